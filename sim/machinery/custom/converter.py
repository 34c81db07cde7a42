"""What a definition's conversion webhook makes of objects, as far as it has been asked.

Source: k8s.io/apiextensions-apiserver/pkg/apiserver/conversion/webhook_converter.go. The webhook is taken for a
function: an object that says the same has the same form in another version, so it is asked once for each content.
Whoever needs what has not been asked yet gets ``Unconverted``, asks, and tries again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

Object = Mapping[str, Any]
ANSWERS_MAX = 8192
"""Objects of which one version of a kind remembers the other form."""
CHANGEABLE = ("labels", "annotations")
"""What a webhook may change in metadata."""
IDENTITY = ("name", "namespace")


class Unconverted(Exception):
    """Objects whose form in another version has to be asked for first."""

    def __init__(self, converter: Converter, objects: Sequence[Object], api_version: str) -> None:
        super().__init__(converter, objects, api_version)
        self.converter = converter
        self.objects = objects
        self.api_version = api_version
        self.resume: Any = None
        """How the answer of a request is made that has done its work otherwise; None to begin anew."""


class Converter:
    """One version's memory of what its webhook answered."""

    def __init__(self, webhook: Mapping[str, Any]) -> None:
        self.client: Mapping[str, Any] = webhook.get("clientConfig") or {}
        self.versions: Sequence[str] = webhook.get("conversionReviewVersions") or ()
        self._answers: dict[bytes, Object] = {}

    def converted(self, obj: Object, api_version: str) -> Object:
        """The object in another version; itself when that is its own. Raises Unconverted."""
        if obj.get("apiVersion") == api_version:
            return obj
        found = self._answers.get(key_of(obj, api_version))
        if found is None:
            raise Unconverted(self, (obj,), api_version)
        return with_metadata_of(obj, found)

    def missing(self, objects: Sequence[Object], api_version: str) -> list[Object]:
        """Those of the objects that have to be asked for."""
        return [
            obj
            for obj in objects
            if obj.get("apiVersion") != api_version and key_of(obj, api_version) not in self._answers
        ]

    def remember(self, obj: Object, api_version: str, answer: Object) -> None:
        """Keeps an answer."""
        if len(self._answers) >= ANSWERS_MAX:
            self._answers.clear()
        self._answers[key_of(obj, api_version)] = answer


def key_of(obj: Object, api_version: str) -> bytes:
    """What an object says, and the version that is wanted."""
    metadata = obj.get("metadata") or {}
    said = {key: value for key, value in obj.items() if key != "metadata"}
    return orjson.dumps([api_version, said, [metadata.get(key) for key in (*IDENTITY, *CHANGEABLE)]])


def with_metadata_of(original: Object, converted: Object) -> Object:
    """A converted object with the metadata of the original, but for labels and annotations (restoreObjectMeta)."""
    made = converted.get("metadata") or {}
    kept = {key: value for key, value in (original.get("metadata") or {}).items() if key not in CHANGEABLE}
    own = {key: made[key] for key in CHANGEABLE if made.get(key)}
    return {**converted, "metadata": {**kept, **own}}
