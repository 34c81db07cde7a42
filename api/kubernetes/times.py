"""Time on the wire: every date-time of an answer as the client's own clock would have it, and back again in requests.

The store holds times of the simulated calendar. When that is not the wall's (time was advanced, paused or sped up), the
difference is added to each field that the schema calls a time: creationTimestamp, conditions, managedFields, leases,
events. So *now* on the wire is always the client's now, and after an advance of six minutes everything stored looks six
minutes older. Free text (annotations, messages, logs) is never touched, and resourceVersions do not change.

Not modelled: times inside JSON patches (application/json-patch+json), which are taken as they are, and times in custom
resources other than those of their metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import orjson

from seatrial.sim.apiserver.request import Request
from seatrial.sim.apiserver.routing import parse
from seatrial.sim.machinery import schema
from seatrial.sim.machinery.kinds import Kinds
from seatrial.sim.machinery.schema import Field, Type

Object = Mapping[str, Any]
Move = Callable[[Any, int], Any]
"""A value and µs to the value with its times moved; the same value when it has none."""

OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
SHIFTED_TYPES = ("application/json", "application/merge-patch+json", "application/strategic-merge-patch+json", "")
SINCE_TIME = "sinceTime"


@lru_cache(maxsize=1 << 14)
def moved(text: Any, us: int) -> Any:
    """A date-time, later by ``us``, in the precision it came in; anything else as it is."""
    if not isinstance(text, str):
        return text
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            return text
        at = at.astimezone(UTC) + timedelta(microseconds=us)
    except (ValueError, OverflowError):
        return text
    shown = at.strftime("%m-%dT%H:%M:%S.%fZ" if "." in text else "%m-%dT%H:%M:%SZ")
    return f"{at.year:04}-{shown}"


def _move_text(value: Any, us: int) -> Any:
    return moved(value, us) if isinstance(value, str) else value


def _of_list(move: Move) -> Move:
    def move_list(value: Any, us: int) -> Any:
        if not isinstance(value, list):
            return value
        out = [move(item, us) for item in value]
        return out if any(new is not old for new, old in zip(out, value, strict=True)) else value

    return move_list


def _of_map(move: Move) -> Move:
    def move_map(value: Any, us: int) -> Any:
        if not isinstance(value, Mapping):
            return value
        out = {key: move(item, us) for key, item in value.items()}
        return out if any(out[key] is not value[key] for key in out) else value

    return move_map


def _of_struct(moves: Mapping[str, Move]) -> Move:
    def move_struct(value: Any, us: int) -> Any:
        if not isinstance(value, Mapping):
            return value
        out = None
        for key, move in moves.items():
            if key in value and (new := move(value[key], us)) is not value[key]:
                out = dict(value) if out is None else out
                out[key] = new
        return value if out is None else out

    return move_struct


def _field_move(field: Field | None, above: tuple[str, ...]) -> Move | None:
    """How a field's times move; None when it has none."""
    if field is None:
        return None
    if field.kind in ("time", "microtime"):
        return _move_text
    if field.kind == "list":
        inner = _field_move(field.element, above)
        return _of_list(inner) if inner is not None else None
    if field.kind == "map":
        inner = _field_move(field.element, above)
        return _of_map(inner) if inner is not None else None
    if field.kind == "struct" and field.type is not None and field.type.name not in above:
        return _type_move(field.type, above)
    return None


def _type_move(type: Type, above: tuple[str, ...] = ()) -> Move | None:
    inside = (*above, type.name)
    moves = {name: move for name, field in type.fields.items() if (move := _field_move(field, inside)) is not None}
    return _of_struct(moves) if moves else None


@lru_cache(maxsize=512)
def move_of(name: str) -> Move:
    """How the times of a type move, by the type's name."""
    return _type_move(schema.type_named(name)) or _unmoved


def _unmoved(value: Any, us: int) -> Any:
    return value


@lru_cache(maxsize=1)
def _metadata_only() -> Move:
    return _of_struct({"metadata": move_of(OBJECT_META)})


class Times:
    """The times of all kinds that a cluster serves."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds

    def _by_kind(self, api_version: str, kind: str) -> Move:
        group, _, version = api_version.rpartition("/")
        resource = self._kinds.by_kind(group, version, kind)
        if resource is None or resource.custom or resource.type is None:
            return _metadata_only()
        return move_of(resource.type.name)

    def items(self, body: Object) -> tuple[str, Move]:
        """The field of a list's or table's entries, and how their times move; ("", …) for a single object."""
        kind, api_version = str(body.get("kind", "")), str(body.get("apiVersion", ""))
        if kind == "Table":
            return "rows", _of_struct({"object": _metadata_only()})
        if kind == "PartialObjectMetadataList":
            return "items", _metadata_only()
        if kind.endswith("List") and isinstance(body.get("items"), list):
            return "items", self._by_kind(api_version, kind.removesuffix("List"))
        return "", self._by_kind(api_version, kind)

    def outward(self, body: Object, us: int) -> Object:
        """An answer with its times on the client's clock, ``us`` after the simulation's."""
        name, move = self.items(body)
        if not name:
            return move(body, us)  # type: ignore[no-any-return]
        return {**body, name: [move(item, us) for item in body[name]]}

    def inward(self, request: Request, us: int) -> None:
        """Takes the offset off the times of a request, in place."""
        if SINCE_TIME in request.query:
            query = dict(request.query)
            query[SINCE_TIME] = tuple(moved(text, -us) for text in query[SINCE_TIME])
            request.query = query
        raw, media_type = request.body, request.content_type.partition(";")[0].strip()
        if not raw or media_type not in SHIFTED_TYPES or not isinstance(raw, bytes):
            return
        info = parse(request.method, request.path)
        resource = self._kinds.find(info.group, info.version, info.resource) if info.is_resource else None
        if resource is None or resource.type is None:
            return
        move = move_of(resource.type.name) if not resource.custom else _metadata_only()
        try:
            body = orjson.loads(raw)
        except orjson.JSONDecodeError:
            return
        if (new := move(body, -us)) is not body:
            request.body = orjson.dumps(new)
