"""What node selectors and tolerations match, one label or taint at a time.

Source: k8s.io/component-helpers/scheduling/corev1 (nodeaffinity, helpers) and k8s.io/api/core/v1/toleration.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from seatrial.sim.machinery.validation.names import label_value

Object = Mapping[str, Any]
ValueMatch = Callable[[str | None], bool]
"""On the value of one label; None where the object does not have it."""


def requirement(r: Object) -> ValueMatch:
    """One expression (key, operator, values) as a function of the label's value.

    NotIn and DoesNotExist hold where the label is absent. Values that no label can have, values where there must be
    none, and limits that are not one integer make an expression that matches nothing.
    """
    operator, values = r.get("operator"), tuple(r.get("values") or ())
    if any(label_value(value) for value in values) or (bool(values) is (operator in ("Exists", "DoesNotExist"))):
        return _nothing
    return value_match(operator, values)


def _nothing(value: str | None) -> bool:
    return False


def value_match(operator: str | None, values: tuple[str, ...]) -> ValueMatch:
    """An operator with its values as a function of what is compared, a label's or a field's value."""
    if operator == "In":
        wanted = frozenset(values)
        return lambda value: value in wanted
    if operator == "NotIn":
        unwanted = frozenset(values)
        return lambda value: value not in unwanted
    if operator == "Exists":
        return lambda value: value is not None
    if operator == "DoesNotExist":
        return lambda value: value is None
    limit = integer(values[0]) if len(values) == 1 else None
    if limit is None or operator not in ("Gt", "Lt"):
        return _nothing
    sign = 1 if operator == "Gt" else -1

    def compare(value: str | None) -> bool:
        number = integer(value)
        return number is not None and sign * number > sign * limit

    return compare


def integer(text: str | None) -> int | None:
    """The number as Go's strconv.ParseInt reads it, or None."""
    if (
        text is None
        or not text.lstrip("+-").isdecimal()
        or len(text) - len(text.lstrip("+-")) > 1
        or not text.isascii()
    ):
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


def tolerates(toleration: Object, taint: Object) -> bool:
    """Whether one toleration tolerates one taint; Lt and Gt compare integers."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    operator = toleration.get("operator") or "Equal"
    value = taint.get("value") or ""
    if operator == "Equal":
        return (toleration.get("value") or "") == value
    if operator == "Exists":
        return True
    if operator not in ("Gt", "Lt"):
        return False
    wanted, given = integer(toleration.get("value") or ""), integer(value)
    if wanted is None or given is None:
        return False
    return given > wanted if operator == "Gt" else given < wanted


def untolerated(taints: tuple[Object, ...], tolerations: tuple[Object, ...], effects: frozenset[str]) -> list[Object]:
    """The taints of these effects that no toleration tolerates, in the node's order."""
    return [
        taint
        for taint in taints
        if taint.get("effect") in effects and not any(tolerates(toleration, taint) for toleration in tolerations)
    ]
