"""A pod template as Go's deep dump prints it, from which the hashes in names are computed.

Source: k8s.io/apimachinery/pkg/util/dump (ForHash) and the ``%#v`` form of github.com/davecgh/go-spew; the layout of
the structs is that of k8s.io/api, compiled by ``data/go_layout`` of the machinery.

Not modelled: pointer cycles and interfaces, which a pod template does not have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from seatrial.sim.machinery.quantity import scaled
from seatrial.sim.machinery.schema import data

NIL = "<nil>"
ROOT = "v1.PodTemplateSpec"
NO_TIME = "{Time:(time.Time){wall:(uint64)0 ext:(int64)0 loc:(*time.Location)<nil>}}"
INT64_DIGITS, BINARY_PLACES, NANO_PLACES = 18, 15, 9
"""How many digits ParseQuantity takes the fast way with; the places of a billionth."""
WORD = (1 << 64) - 1
NUMBERS = frozenset({"int", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})


class Member(NamedTuple):
    name: str
    key: str
    """Its JSON name; empty for an embedded struct, whose members stand beside it in JSON."""
    type: str


class Layout(NamedTuple):
    kind: str
    element: str
    members: tuple[Member, ...]


@cache
def layout(type: str) -> Layout:
    """How Go lays out a type."""
    row = data("go_layout")[type]
    members = []
    for field in row.get("f", ()):
        key, _, options = field["j"].partition(",")
        inline = field.get("e") and not key
        members.append(Member(field["n"], "" if inline or options == "inline" else key, field["t"]))
    return Layout(row["k"], row.get("el", ""), tuple(members))


def dump(template: Mapping[str, Any]) -> str:
    """The text of a pod template given in JSON's form."""
    return "".join(_typed(ROOT, template))


def _typed(type: str, value: Any) -> Iterator[str]:
    """A value behind its type's name."""
    yield f"({type})"
    yield from _bare(type, value)


def _bare(type: str, value: Any) -> Iterator[str]:
    shape = layout(type)
    kind = shape.kind
    special = SPECIAL.get(type)
    if special is not None:
        yield special(value)
    elif kind == "ptr":
        yield from (NIL,) if value is None else _bare(shape.element, value)
    elif kind == "struct":
        yield "{"
        for index, member in enumerate(shape.members):
            yield f" {member.name}:" if index else f"{member.name}:"
            inner = value if not member.key else (value or {}).get(member.key)
            yield from _typed(member.type, inner)
        yield "}"
    elif kind == "slice":
        yield from _list(shape.element, value)
    elif kind == "map":
        yield from _map(shape.element, value)
    elif kind == "bool":
        yield "true" if value else "false"
    elif kind in NUMBERS:
        yield str(value or 0)
    else:
        yield str(value or "")


def _list(element: str, value: Any) -> Iterator[str]:
    if not value:
        yield NIL
        return
    yield "["
    for index, item in enumerate(value):
        if index:
            yield " "
        yield from _bare(element, item)
    yield "]"


def _map(element: str, value: Any) -> Iterator[str]:
    if not value:
        yield NIL
        return
    yield "map["
    for index, key in enumerate(sorted(value)):
        yield f" {key}:" if index else f"{key}:"
        yield from _bare(element, value[key])
    yield "]"


def _quantity(value: Any) -> str:
    """A parsed resource.Quantity: a number and its power of ten, or a decimal of any size; and the text, if it was kept
    because it was found to be canonical (resource.ParseQuantity)."""
    if value is None:
        return _small(0, 0, "", "")
    text = str(value)
    number, scale, form = scaled(text)
    digits = text.lstrip("+-").rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    if form != "BinarySI":
        if len(digits) > INT64_DIGITS:
            return _large(number * 10 ** (scale + NANO_PLACES), form)
        return _small(number, scale, "" if digits.endswith("000") and number else text, form)
    bits = number.bit_length() and (abs(number) // int(digits)).bit_length() - 1
    if BINARY_PLACES - len(digits) - bits * 3 // 10 - 1 < 0:
        return _large(number * 10**NANO_PLACES, form)
    return _small(number, scale, text if int(digits) & 7 else "", form)


def _small(number: int, scale: int, text: str, form: str) -> str:
    return (
        f"{{i:(resource.int64Amount){{value:(int64){number} scale:(resource.Scale){scale}}} "
        f"d:(resource.infDecAmount){{Dec:(*inf.Dec)<nil>}} s:(string){text} Format:(resource.Format){form}}}"
    )


def _large(unscaled: int, form: str) -> str:
    """A number that does not fit an int64 safely: billionths in words of 64 bits."""
    words, rest = [], abs(unscaled)
    while rest:
        words.append(str(rest & WORD))
        rest >>= 64
    number = f"{{neg:(bool){'true' if unscaled < 0 else 'false'} abs:(big.nat)[{' '.join(words)}]}}"
    return (
        "{i:(resource.int64Amount){value:(int64)0 scale:(resource.Scale)0} "
        f"d:(resource.infDecAmount){{Dec:(*inf.Dec){{unscaled:(big.Int){number} scale:(inf.Scale){NANO_PLACES}}}}} "
        f"s:(string) Format:(resource.Format){form}}}"
    )


def _time(value: Any) -> str:
    return NO_TIME


def _int_or_string(value: Any) -> str:
    text = value if isinstance(value, str) else ""
    number = value if isinstance(value, int) else 0
    return f"{{Type:(intstr.Type){1 if isinstance(value, str) else 0} IntVal:(int32){number} StrVal:(string){text}}}"


SPECIAL = {"resource.Quantity": _quantity, "v1.Time": _time, "intstr.IntOrString": _int_or_string}
"""Types whose JSON is not the form of their struct."""
