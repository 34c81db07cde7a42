"""What people write, as Python's callers and the command line hand it in: spans of time, kinds and manifests."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

import orjson
import yaml

from seatrial.sim.apiserver.client import prefix_of
from seatrial.sim.apiserver.patching import APPLY
from seatrial.sim.apiserver.request import Object, Request
from seatrial.sim.config import S
from seatrial.sim.machinery.kinds import Kinds, Resource

Objects = list[Object]
UNITS_US: Final = {"us": 1, "ms": 1_000, "s": S, "m": 60 * S, "h": 3600 * S, "d": 86_400 * S}
DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h|d)")


def duration_us(duration: str | int) -> int:
    """``"1h30m"`` in µs; a number is µs already. Raises ValueError."""
    if isinstance(duration, int):
        return duration
    parts = DURATION.findall(duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise ValueError(f"{duration!r} is not a duration such as 5m, 1h30m or 250ms")
    return round(sum(float(number) * UNITS_US[unit] for number, unit in parts))


def resource_of(kinds: Kinds, kind: str) -> Resource:
    """The kind that a word names (deployment, deploy, deployments.apps), as kubectl finds it. Raises ValueError."""
    word, _, group = kind.lower().partition(".")
    for row in kinds:
        if group and row.group != group:
            continue
        if word in (row.plural, row.singular, row.kind.lower()) or word in row.short_names:
            return row
    raise ValueError(f"the server doesn't have a resource type {kind!r}")


def apply_request(kinds: Kinds, obj: Object, namespace: str) -> Request:
    """The request that applies an object at the server as kubectl does, with force; one whose name is to be generated
    is created. Raises ValueError for a kind that there is not."""
    resource = kinds.of(obj)
    if resource is None:
        kind, version = obj.get("kind"), obj.get("apiVersion")
        raise ValueError(f"no matches for kind {kind!r} in version {version!r}")
    metadata = obj.get("metadata") or {}
    place = metadata.get("namespace") or namespace if resource.namespaced else ""
    query = {"fieldManager": ("kubectl",), "force": ("true",), "fieldValidation": ("Strict",)}
    if not metadata.get("name") and metadata.get("generateName"):
        path = prefix_of(resource).path(place)
        return Request("POST", path, {"fieldManager": ("kubectl",)}, orjson.dumps(obj))
    path = prefix_of(resource).path(place, metadata.get("name", ""))
    return Request("PATCH", path, query, orjson.dumps(obj), APPLY)


def objects_of(manifest: str | bytes | Object | Iterable[Object]) -> Objects:
    """The objects of a manifest, lists taken apart. Raises ValueError."""
    if isinstance(manifest, str | bytes):
        try:
            documents = list(yaml.load_all(manifest, _Loader))
        except yaml.YAMLError as problem:
            raise ValueError(f"the manifest is not YAML: {problem}") from None
    elif isinstance(manifest, Mapping):
        documents = [manifest]
    else:
        documents = list(manifest)
    found: Objects = []
    for document in documents:
        if document is None:
            continue
        if not isinstance(document, Mapping) or "kind" not in document:
            raise ValueError("an object in the manifest has no kind")
        if document["kind"].endswith("List") and "items" in document:
            found += objects_of(document["items"])
        else:
            found.append(document)
    return found


class _Loader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: times stay text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


class Scheduled(NamedTuple):
    """A fault or a load of a schedule: its value, and when it is there."""

    value: Object
    name: str = ""
    after_us: int = 0
    """From now on."""
    lasts_us: int | None = None


SCHEDULE: Final = ("name", "at", "after", "for")
"""The keys that a schedule adds to a value's own."""


def scheduled(entry: Object, moment: Callable[[str], int] | None = None) -> Scheduled:
    """An entry of a schedule: ``{"kind": "node-crash", "node": "w1", "after": "30s", "for": "5m", "name": "dark"}``;
    ``at`` is a moment, which ``moment`` makes µs from now of. Raises ValueError."""
    if not isinstance(entry, Mapping):
        raise ValueError(f"{entry!r} is no entry of a schedule, which is a mapping with a kind")
    for key in SCHEDULE:
        if key in entry and not isinstance(entry[key], str):
            raise ValueError(f"{key}: {entry[key]!r} is no text")
    if "at" in entry and "after" in entry:
        raise ValueError("it begins either at a moment or after a while, not both")
    after = 0
    if "at" in entry:
        if moment is None:
            raise ValueError("at: a moment means nothing here; say after")
        after = moment(entry["at"])
        if after < 0:
            raise ValueError(f"at: {entry['at']} is past")
    elif entry.get("after"):
        after = duration_us(entry["after"])
    lasts = duration_us(entry["for"]) if entry.get("for") else None
    if lasts == 0:
        raise ValueError("for: it has to last for a while")
    value = {key: each for key, each in entry.items() if key not in SCHEDULE}
    return Scheduled(value, entry.get("name", ""), after, lasts)
