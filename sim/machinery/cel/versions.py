"""Functions over semantic versions.

Source: k8s.io/apiserver/pkg/cel/library (semverlib.go) and github.com/blang/semver/v4.
"""

from __future__ import annotations

import re

from seatrial.sim.machinery.cel.declarations import fixed, overload, traversal
from seatrial.sim.machinery.cel.errors import EvaluationError
from seatrial.sim.machinery.cel.values import Opaque

NUMBER = r"(0|[1-9][0-9]*)"
LABEL = r"(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
SHAPE = re.compile(
    rf"{NUMBER}\.{NUMBER}\.{NUMBER}(?:-({LABEL}(?:\.{LABEL})*))?(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?", re.ASCII
)
LOOSE = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(.*)", re.ASCII)
LENGTH_MAX = 256


class Semver(Opaque):
    """A version; the key is what it is ordered by, build metadata left out."""

    __slots__ = ()
    type_name = "kubernetes.Semver"


def _label(text: str) -> tuple[int, int, str]:
    return (0, int(text), "") if text.isdigit() else (1, 0, text)


def parse(text: str) -> Semver | None:
    match = SHAPE.fullmatch(text) if len(text) <= LENGTH_MAX else None
    if match is None:
        return None
    before = (1,) if match[4] is None else (0, *map(_label, match[4].split(".")))
    return Semver((int(match[1]), int(match[2]), int(match[3]), before))


def normalised(text: str) -> str:
    """A leading v goes, missing numbers are zero, leading zeros go."""
    match = LOOSE.fullmatch(text) if len(text) <= LENGTH_MAX else None
    if match is None:
        return text
    numbers = [str(int(part or "0")) for part in match.groups()[:3]]
    return ".".join(numbers) + match[4]


def semver(text: str, normalise: bool = False) -> Semver:
    found = parse(normalised(text) if normalise else text)
    if found is None:
        raise EvaluationError(_problem(text))
    return found


def _problem(text: str) -> str:
    parts = text.split(".", 2)
    if len(parts) != 3:
        return "No Major.Minor.Patch elements found"
    for name, part in zip(("major", "minor"), parts, strict=False):
        if not part.isdigit():
            return f'Invalid character(s) found in {name} number "{part}"'
        if len(part) > 1 and part[0] == "0":
            return f'{name.capitalize()} number must not contain leading zeroes "{part}"'
    return f'Invalid character(s) found in patch number "{parts[2]}"'


def is_semver(text: str, normalise: bool = False) -> bool:
    return parse(normalised(text) if normalise else text) is not None


def compare(left: Semver, right: Semver) -> int:
    return int((left.key > right.key) - (left.key < right.key))


ONE = fixed(1)

LIBRARY = (
    overload("semver", "string_to_semver", "(string): Semver", semver, traversal),
    overload("semver", "string_bool_to_semver", "(string, bool): Semver", semver, traversal),
    overload("isSemver", "is_semver_string", "(string): bool", is_semver, traversal),
    overload("isSemver", "is_semver_string_bool", "(string, bool): bool", is_semver, traversal),
    overload("isGreaterThan", "semver_is_greater_than", "Semver.(Semver): bool", lambda a, b: compare(a, b) > 0, ONE),
    overload("isLessThan", "semver_is_less_than", "Semver.(Semver): bool", lambda a, b: compare(a, b) < 0, ONE),
    overload("compareTo", "semver_compare_to", "Semver.(Semver): int", compare, ONE),
    overload("major", "semver_major", "Semver.(): int", lambda v: v.key[0], ONE),
    overload("minor", "semver_minor", "Semver.(): int", lambda v: v.key[1], ONE),
    overload("patch", "semver_patch", "Semver.(): int", lambda v: v.key[2], ONE),
)
