"""What the client wants to see of an object: itself, its metadata, or a table; and in which encoding.

Source: k8s.io/apiserver/pkg/endpoints/handlers/{response.go,negotiation}.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from seatrial.sim.machinery import errors

JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
AVAILABLE = (JSON, YAML, PROTOBUF)

NOT_MARSHALABLE = "does not implement the protobuf marshalling interface and cannot be encoded to a protobuf message"


class Accepted(NamedTuple):
    """A media type the server can answer with, and the transformation it asks for."""

    media_type: str
    as_: str = ""
    """Table, PartialObjectMetadata, PartialObjectMetadataList, APIGroupDiscoveryList, or empty."""
    group: str = ""
    version: str = ""
    pretty: bool = False
    stream: str = ""


TRANSFORMS = frozenset(
    {
        ("Table", "meta.k8s.io", "v1"),
        ("PartialObjectMetadata", "meta.k8s.io", "v1"),
        ("PartialObjectMetadataList", "meta.k8s.io", "v1"),
    }
)


@lru_cache(maxsize=256)
def negotiate(accept: str, transforms: bool = True, protobuf: bool = True, tables: bool = True) -> Accepted:
    """The first clause of an Accept header that the server can serve. Raises ApiError 406.

    ``transforms``: objects may be asked for in another form; discovery knows one form of its own instead. ``tables``:
    whether a table is one of the forms; kinds that are never stored have none (RequestScope.TableConvertor).
    """
    available = AVAILABLE if protobuf else (JSON, YAML)
    for clause in _by_quality(accept or "*/*"):
        media, _, rest = clause.partition(";")
        media = media.strip().lower()
        parameters = dict(_parameter(part) for part in rest.split(";") if part.strip())
        if media in ("*/*", "application/*"):
            media = JSON
        if media not in available:
            continue
        wanted = (parameters.get("as", ""), parameters.get("g", ""), parameters.get("v", ""))
        if wanted[0] and (wanted not in TRANSFORMS if transforms else wanted[0] != "APIGroupDiscoveryList"):
            continue
        if wanted[0] == "Table" and not tables:
            continue
        if media == PROTOBUF and wanted[0] == "Table":
            raise errors.ApiError(406, "NotAcceptable", f"object *v1.Table {NOT_MARSHALABLE}")
        return Accepted(media, *wanted, parameters.get("pretty") == "1", parameters.get("stream", ""))
    raise errors.not_acceptable(available)


def media_of_refusal(accept: str) -> str:
    """The media type of an error's Status: what the client asks for, JSON where that cannot be served."""
    try:
        return negotiate(accept).media_type
    except errors.ApiError:
        return JSON


def _parameter(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key.strip().lower(), value.strip()


def _by_quality(accept: str) -> list[str]:
    clauses = []
    for position, clause in enumerate(accept.split(",")):
        quality = 1.0
        for part in clause.split(";")[1:]:
            key, value = _parameter(part)
            if key == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
        clauses.append((-quality, position, clause))
    return [clause for quality, _, clause in sorted(clauses) if quality < 0]


CONVERTED_ANNOTATIONS = {"DaemonSet": "deprecated.daemonset.template.generation"}
"""Annotations that a kind only gets by its conversion to a version; its bare metadata do not have them."""


def metadata_of(obj: Mapping[str, Any]) -> dict[str, Any]:
    """An object as PartialObjectMetadata."""
    metadata = obj.get("metadata", {})
    converted = CONVERTED_ANNOTATIONS.get(obj.get("kind", ""))
    if converted in metadata.get("annotations", ()):
        annotations = {key: value for key, value in metadata["annotations"].items() if key != converted}
        metadata = {key: value for key, value in metadata.items() if key != "annotations"}
        if annotations:
            metadata["annotations"] = annotations
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
