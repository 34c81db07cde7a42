"""Amounts of resources: ``100m``, ``1.5Gi``, ``2e3`` (k8s.io/apimachinery/pkg/api/resource).

A quantity is a whole number of billionths and the family of suffixes it was written in. *Not modelled*: upstream's
int64 overflow of very large decimal amounts; here they stay exact.
"""

from __future__ import annotations

import re
from functools import lru_cache

DECIMAL_SI, BINARY_SI, DECIMAL_EXPONENT = "DecimalSI", "BinarySI", "DecimalExponent"

FORMAT_WRONG = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
SUFFIX_WRONG = "unable to parse quantity's suffix"

NANO = 10**9
MICRO_SCALE = 10**6
BINARY_MAX = (2**63 - 1) * NANO
"""Binary amounts are capped at the largest int64."""
EXPONENT_MAX = 1000
"""Larger decimal exponents are refused: nothing is measured in them, and they would only burn memory."""

DECIMAL_EXPONENTS = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
DECIMAL_SUFFIXES = {exponent: suffix for suffix, exponent in DECIMAL_EXPONENTS.items()}
BINARY_SUFFIXES = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
BINARY_EXPONENTS = {suffix: 10 * power for power, suffix in enumerate(BINARY_SUFFIXES) if power}

SHAPE = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)", re.ASCII)


class Quantity:
    """An amount; immutable, ordered and hashed by what it is worth, printed in canonical form."""

    __slots__ = ("_text", "format", "nanos")

    def __init__(self, nanos: int, format: str = DECIMAL_SI) -> None:
        """``nanos``: billionths; ``format``: DecimalSI, BinarySI or DecimalExponent."""
        self.nanos = nanos
        self.format = format
        self._text: str | None = None

    def __str__(self) -> str:
        if self._text is None:
            self._text = _canonical(self.nanos, self.format)
        return self._text

    def __repr__(self) -> str:
        return f"Quantity({str(self)!r})"

    def value(self) -> int:
        """Whole units, rounded away from zero."""
        return _rounded(self.nanos, NANO)

    def milli_value(self) -> int:
        """Thousandths, rounded away from zero."""
        return _rounded(self.nanos, MICRO_SCALE)

    def __add__(self, other: Quantity) -> Quantity:
        return Quantity(self.nanos + other.nanos, self.format if self.nanos else other.format)

    def __sub__(self, other: Quantity) -> Quantity:
        return Quantity(self.nanos - other.nanos, self.format if self.nanos else other.format)

    def __neg__(self) -> Quantity:
        return Quantity(-self.nanos, self.format)

    def __mul__(self, factor: int) -> Quantity:
        return Quantity(self.nanos * factor, self.format)

    def __bool__(self) -> bool:
        return self.nanos != 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.nanos == other.nanos

    def __hash__(self) -> int:
        return hash(self.nanos)

    def __lt__(self, other: Quantity) -> bool:
        return self.nanos < other.nanos

    def __le__(self, other: Quantity) -> bool:
        return self.nanos <= other.nanos

    def __gt__(self, other: Quantity) -> bool:
        return self.nanos > other.nanos

    def __ge__(self, other: Quantity) -> bool:
        return self.nanos >= other.nanos


def of(value: int, format: str = DECIMAL_SI) -> Quantity:
    """So many whole units."""
    return Quantity(value * NANO, format)


def of_milli(value: int, format: str = DECIMAL_SI) -> Quantity:
    """So many thousandths."""
    return Quantity(value * MICRO_SCALE, format)


@lru_cache(maxsize=1 << 16)
def parse(text: str) -> Quantity:
    """The amount that a text stands for. Raises ValueError with upstream's message."""
    shape = SHAPE.fullmatch(text) if text else None
    if shape is None:
        raise ValueError(FORMAT_WRONG)
    sign, whole, fraction, suffix = shape.groups()
    digits = int((whole + (fraction or "")) or "0")
    places = len(fraction or "")
    base, exponent, format = _suffix(suffix)
    if base == 2:
        numerator, denominator = digits * NANO << exponent, 10**places
    elif exponent >= places:
        numerator, denominator = digits * NANO * 10 ** (exponent - places), 1
    else:
        numerator, denominator = digits * NANO, 10 ** (places - exponent)
    nanos = -(-numerator // denominator)
    if format == BINARY_SI:
        nanos = min(nanos, BINARY_MAX)
        if 0 < nanos < NANO:
            format = DECIMAL_SI
    return Quantity(-nanos if sign == "-" else nanos, format)


def scaled(text: str) -> tuple[int, int, str]:
    """(number, power of ten, format) of an amount in canonical form, as Go's Quantity holds it (int64Amount)."""
    shape = SHAPE.fullmatch(text)
    assert shape is not None
    base, exponent, format = _suffix(shape[4])
    number = int(shape[1] + shape[2])
    return (number << exponent, 0, format) if base == 2 else (number, exponent, format)


def _suffix(suffix: str) -> tuple[int, int, str]:
    """(base, exponent, format) of a suffix."""
    if suffix in DECIMAL_EXPONENTS:
        return 10, DECIMAL_EXPONENTS[suffix], DECIMAL_SI
    if suffix in BINARY_EXPONENTS:
        return 2, BINARY_EXPONENTS[suffix], BINARY_SI
    if suffix[0] in "eE":
        try:
            exponent = int(suffix[1:])
        except ValueError:
            exponent = EXPONENT_MAX + 1
        if abs(exponent) <= EXPONENT_MAX:
            return 10, exponent, DECIMAL_EXPONENT
    raise ValueError(SUFFIX_WRONG)


def _rounded(nanos: int, unit: int) -> int:
    return -(-nanos // unit) if nanos >= 0 else nanos // unit


def _canonical(nanos: int, format: str) -> str:
    """The shortest form without a fraction, as the API server stores it."""
    if nanos == 0:
        return "0"
    if format == BINARY_SI and abs(nanos) >= 1024 * NANO and nanos % NANO == 0:
        value, power = nanos // NANO, 0
        while value % 1024 == 0 and power < len(BINARY_SUFFIXES) - 1:
            value, power = value // 1024, power + 1
        return f"{value}{BINARY_SUFFIXES[power]}"
    value, exponent = nanos, -9
    largest = None if format == DECIMAL_EXPONENT else 18
    while value % 1000 == 0 and exponent != largest:
        value, exponent = value // 1000, exponent + 3
    if format == DECIMAL_EXPONENT:
        return f"{value}e{exponent}" if exponent else str(value)
    return f"{value}{DECIMAL_SUFFIXES[exponent]}"
