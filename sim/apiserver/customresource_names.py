"""Names of custom kinds: who has which, within a group.

Source: k8s.io/apiextensions-apiserver/pkg/controller/status/naming_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from seatrial.sim.apiserver.customresource_strategy import with_condition
from seatrial.sim.apiserver.request import Object
from seatrial.sim.machinery.custom.definition import condition
from seatrial.sim.machinery.fields import quoted


def accepted(obj: Object, definitions: Iterable[Object], stamp: str) -> Object | None:
    """The definition with the names that it gets and the conditions that say so; None where nothing changes."""
    resources, kinds = _taken(obj["spec"]["group"], definitions)
    wanted = obj["spec"]["names"]
    own = (obj.get("status") or {}).get("acceptedNames") or {}
    names: dict[str, Any] = {key: value for key, value in own.items() if value or key in ("kind", "plural")}
    conflict: tuple[str, str] | None = None
    for field, reason, taken in (
        ("plural", "PluralConflict", resources),
        ("singular", "SingularConflict", resources),
        ("shortNames", "ShortNamesConflict", resources),
        ("kind", "KindConflict", kinds),
        ("listKind", "ListKindConflict", kinds),
    ):
        problem = _problem(field, wanted.get(field), own, taken)
        if problem:
            conflict = (reason, problem)
        elif wanted.get(field):
            names[field] = wanted[field]
        else:
            names.pop(field, None)
    if wanted.get("categories"):
        names["categories"] = wanted["categories"]
    else:
        names.pop("categories", None)
    return _with_conditions(obj, names, conflict, stamp)


def _taken(group: str, definitions: Iterable[Object]) -> tuple[dict[str, None], dict[str, None]]:
    """Every accepted resource name and kind of the group."""
    resources: dict[str, None] = {}
    kinds: dict[str, None] = {}
    for each in definitions:
        if each["spec"]["group"] == group:
            names = (each.get("status") or {}).get("acceptedNames") or {}
            for name in (names.get("plural"), names.get("singular"), *(names.get("shortNames") or ())):
                resources[name or ""] = None
            for name in (names.get("kind"), names.get("listKind")):
                kinds[name or ""] = None
    return resources, kinds


def _problem(field: str, wanted: Any, own: Object, taken: dict[str, None]) -> str:
    """Why a name cannot be had; empty when it can."""
    if field != "shortNames":
        fresh = (wanted or "") == (own.get(field) or "") or (wanted or "") not in taken
        return "" if fresh else f"{quoted(wanted or '')} is already in use"
    mine = (*(own.get("shortNames") or ()), own.get("plural"), own.get("singular"))
    found = [f"{quoted(name)} is already in use" for name in wanted or () if name not in mine and name in taken]
    return found[0] if len(found) == 1 else f"[{', '.join(found)}]" if found else ""


def _with_conditions(obj: Object, names: Object, conflict: tuple[str, str] | None, stamp: str) -> Object | None:
    status = "False" if conflict else "True"
    reason, message = conflict or ("NoConflicts", "no conflicts found")
    before = condition(obj, "NamesAccepted")
    same = before is not None and (before["status"], before["reason"], before["message"]) == (status, reason, message)
    if same and (obj.get("status") or {}).get("acceptedNames") == names:
        return None
    new: Object = {**obj, "status": {**(obj.get("status") or {}), "acceptedNames": names}}
    new = with_condition(new, "NamesAccepted", status, reason, message, stamp)
    old = condition(obj, "Established")
    if old is not None and old["status"] == "True":
        return new
    if not conflict:
        message = "the initial names have been accepted"
        return with_condition(new, "Established", "False", "Installing", message, stamp)
    if old is None:
        return with_condition(new, "Established", "False", "NotAccepted", "not all names are accepted", stamp)
    return new
