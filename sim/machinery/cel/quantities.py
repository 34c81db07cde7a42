"""Functions over resource quantities.

Source: k8s.io/apiserver/pkg/cel/library (quantity.go).
"""

from __future__ import annotations

from seatrial.sim.machinery import quantity as amounts
from seatrial.sim.machinery.cel.declarations import fixed, overload, traversal
from seatrial.sim.machinery.cel.errors import EvaluationError
from seatrial.sim.machinery.cel.values import INT_MAX, INT_MIN, Opaque


class Quantity(Opaque):
    """An amount of a resource."""

    __slots__ = ()
    type_name = "kubernetes.Quantity"


def quantity(text: str) -> Quantity:
    try:
        return Quantity(amounts.parse(text))
    except ValueError as error:
        raise EvaluationError(str(error)) from None


def is_quantity(text: str) -> bool:
    try:
        amounts.parse(text)
    except ValueError:
        return False
    return True


def _whole(value: Quantity) -> int | None:
    number, rest = divmod(value.key.nanos, amounts.NANO)
    return int(number) if not rest and INT_MIN <= number <= INT_MAX else None


def as_integer(value: Quantity) -> int:
    number = _whole(value)
    if number is None:
        raise EvaluationError("cannot convert value to integer")
    return number


def as_float(value: Quantity) -> float:
    return float(value.key.nanos / amounts.NANO)


def _other(value: Quantity | int) -> amounts.Quantity:
    return amounts.Quantity(value * amounts.NANO) if isinstance(value, int) else value.key


def compare(value: Quantity, other: Quantity) -> int:
    return int((value.key > other.key) - (value.key < other.key))


ONE = fixed(1)

LIBRARY = (
    overload("quantity", "string_to_quantity", "(string): Quantity", quantity, traversal),
    overload("isQuantity", "is_quantity_string", "(string): bool", is_quantity, traversal),
    overload("sign", "quantity_sign", "Quantity.(): int", lambda q: (q.key.nanos > 0) - (q.key.nanos < 0), ONE),
    overload("isGreaterThan", "quantity_is_greater_than", "Quantity.(Quantity): bool", lambda a, b: a.key > b.key, ONE),
    overload("isLessThan", "quantity_is_less_than", "Quantity.(Quantity): bool", lambda a, b: a.key < b.key, ONE),
    overload("compareTo", "quantity_compare_to", "Quantity.(Quantity): int", compare, ONE),
    overload(
        "asApproximateFloat", "quantity_get_float", "Quantity.(): double", lambda q: q.key.nanos / amounts.NANO, ONE
    ),
    overload("asInteger", "quantity_get_int", "Quantity.(): int", as_integer, ONE),
    overload("isInteger", "quantity_is_integer", "Quantity.(): bool", lambda q: _whole(q) is not None, ONE),
    overload("add", "quantity_add", "Quantity.(Quantity): Quantity", lambda a, b: Quantity(a.key + _other(b)), ONE),
    overload("add", "quantity_add_int", "Quantity.(int): Quantity", lambda a, b: Quantity(a.key + _other(b)), ONE),
    overload("sub", "quantity_sub", "Quantity.(Quantity): Quantity", lambda a, b: Quantity(a.key - _other(b)), ONE),
    overload("sub", "quantity_sub_int", "Quantity.(int): Quantity", lambda a, b: Quantity(a.key - _other(b)), ONE),
)
