"""Literals that a function will certainly refuse: durations, timestamps and regular expressions.

Source: github.com/google/cel-go/cel (validator.go), the validators that Kubernetes turns on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from seatrial.sim.machinery.cel.checker import Checked
from seatrial.sim.machinery.cel.errors import EvaluationError, Issue
from seatrial.sim.machinery.cel.standard import expression, to_duration, to_timestamp
from seatrial.sim.machinery.cel.syntax import Call, Literal

CHECKS: Mapping[str, Callable[[str], object]] = {
    "duration": to_duration,
    "timestamp": to_timestamp,
    "matches": expression,
}


def wrong(checked: Checked) -> list[Issue]:
    """An issue for every first argument that is a literal and no good."""
    found: list[Issue] = []
    for node in checked.overloads:
        if not isinstance(node, Call) or node.function not in CHECKS or not node.args:
            continue
        first = node.args[0]
        if isinstance(first, Literal) and isinstance(first.value, str) and _refused(CHECKS[node.function], first.value):
            found.append(Issue(first.at, f"invalid {node.function} argument"))
    return found


def _refused(check: Callable[[str], object], text: str) -> bool:
    try:
        check(text)
    except EvaluationError:
        return True
    return False
