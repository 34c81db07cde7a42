"""Tables of checks: what a kind's fields must hold, one row per field path.

A row is a path and a check, or several. ``a.b`` is a field of a field, ``a[]`` every element of a list, ``a{}`` every
value of a map, the empty path the whole value. Fields that are absent are not checked, unless a row says REQUIRED:
then a field that is absent or has Go's zero value is an error and the row's other checks do not run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation.problems import NONE, Check, Errors, at, join, required


class Required:
    """A row's marker: the field must have a value."""

    def __init__(self, detail: str = "") -> None:
        self.detail = detail


REQUIRED = Required()

Row = Check | Required | Sequence["Check | Required"]
Step = tuple[str, str, Required | None, Check | None]
"""(field, what it is: "", "[]" or "{}", marker, checks of the value or element)"""


def table(rows: Mapping[str, Row]) -> Check:
    """Compiles rows to one check of the value that they describe."""
    whole: list[Check] = []
    parts: dict[str, dict[str, Row]] = {}
    for path, row in rows.items():
        if not path:
            whole += [check for check in _listed(row) if not isinstance(check, Required)]
            continue
        head, _, rest = path.partition(".")
        parts.setdefault(head, {})[rest] = row
    steps = tuple(_step(head, below) for head, below in parts.items())
    return _compiled(steps, tuple(whole))


def _listed(row: Row) -> Sequence[Check | Required]:
    return row if isinstance(row, Sequence) else (row,)


def _step(head: str, below: Mapping[str, Row]) -> Step:
    kind = head[-2:] if head.endswith(("[]", "{}")) else ""
    name = head.removesuffix(kind) if kind else head
    marker: Required | None = None
    checks: list[Check] = []
    deeper = {path: row for path, row in below.items() if path}
    for entry in _listed(below.get("", ())):
        if isinstance(entry, Required):
            marker = entry
        else:
            checks.append(entry)
    if deeper:
        checks.append(table(deeper))
    return name, kind, marker, _sequence(checks)


def _sequence(checks: Sequence[Check]) -> Check | None:
    if len(checks) < 2:
        return checks[0] if checks else None

    def check(value: Any) -> Errors:
        errors: list[FieldError] = []
        for one in checks:
            found = one(value)
            if found:
                errors += found
        return errors

    return check


def _compiled(steps: tuple[Step, ...], whole: tuple[Check, ...]) -> Check:
    def check(value: Any) -> Errors:
        errors: list[FieldError] = []
        for name, kind, marker, inner in steps:
            part = value.get(name)
            if marker is not None and not part and part is not False:
                errors.append(required(name, marker.detail))
            elif part is not None and inner is not None:
                found = inner(part) if not kind else _within(kind, part, inner)
                if found:
                    errors += at(name, found)
        for one in whole:
            found = one(value)
            if found:
                errors += found
        return errors or NONE

    return check


def _within(kind: str, values: Any, check: Check) -> Errors:
    errors: list[FieldError] = []
    pairs = enumerate(values) if kind == "[]" else values.items()
    for key, value in pairs:
        found = check(value)
        if found:
            errors += [FieldError(e.kind, join(f"[{key}]", e.path), e.message) for e in found]
    return errors
