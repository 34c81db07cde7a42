"""Lists of conditions, changed by copy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from seatrial.sim.machinery.errors import ApiError

Condition = Mapping[str, Any]


def find(conditions: Iterable[Condition] | None, type_: str) -> Condition | None:
    for each in conditions or ():
        if each["type"] == type_:
            return each
    return None


def without(conditions: Iterable[Condition] | None, type_: str) -> list[Condition]:
    return [each for each in conditions or () if each["type"] != type_]


def put_last(conditions: Iterable[Condition] | None, new: Condition) -> list[Condition]:
    """As most controllers set one: nothing changes when status and reason are the same; otherwise the condition moves
    to the end and keeps its transition time if its status is the same."""
    current = find(conditions, new["type"])
    if current is not None and current["status"] == new["status"] and current.get("reason") == new.get("reason"):
        return list(conditions or ())
    if current is not None and current["status"] == new["status"] and "lastTransitionTime" in current:
        new = {**new, "lastTransitionTime": current["lastTransitionTime"]}
    return [*without(conditions, new["type"]), new]


def put_in_place(conditions: Iterable[Condition] | None, new: Condition) -> list[Condition]:
    """As apimachinery's meta.SetStatusCondition: in its place, transition time kept if the status is the same."""
    result, done = [], False
    for each in conditions or ():
        if each["type"] == new["type"]:
            if each["status"] == new["status"]:
                new = {**new, "lastTransitionTime": each["lastTransitionTime"]}
            result.append(new)
            done = True
        else:
            result.append(each)
    return result if done else [*result, new]


def namespace_is_terminating(error: Exception) -> bool:
    """Whether a creation was refused because the namespace is on its way out (NamespaceTerminatingCause)."""
    causes = (error.details or {}).get("causes") or () if isinstance(error, ApiError) else ()
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)


def compact(status: Mapping[str, Any], keep: Iterable[str] = ()) -> dict[str, Any]:
    """A status as Go writes it: zeros, empty texts and empty lists left out, except fields named in ``keep``."""
    kept = tuple(keep)
    return {key: value for key, value in status.items() if value or key in kept}
