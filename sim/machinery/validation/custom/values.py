"""Validation of custom resources against their schema, in the words of the server.

A value is looked at together with the one that it replaces: what is wrong with a value that has not changed is let pass
(ratcheting), and so is what is wrong below it.

Source: k8s.io/kube-openapi/pkg/validation/validate, k8s.io/apiextensions-apiserver/pkg/apiserver/validation
(ValidateCustomResource, ratcheting.go), k8s.io/apiserver/pkg/cel/common (CorrelatedObject).

Not modelled: of several members with errors upstream names them in the random order of Go's maps; here they come in
the order of their names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from seatrial.sim.machinery.custom.schema import Node
from seatrial.sim.machinery.fields import FieldError, quoted
from seatrial.sim.machinery.regexps import compiled
from seatrial.sim.machinery.validation.custom.formats import check_of

MISSING: Any = object()
"""There is no old value to compare with."""
BODY = "in body"
Errors = Sequence[FieldError]
NONE: Errors = ()


class Place(NamedTuple):
    """Where a value stands: its path in messages, and what comes before that path in the field of an error."""

    path: str = ""
    prefix: str = ""

    @property
    def field(self) -> str:
        own = self.path.removeprefix(".")
        if not own or own == ".":
            return self.prefix or "<nil>"
        return f"{self.prefix}.{own}" if self.prefix and own[0] != "[" else self.prefix + own

    def member(self, name: str, declared: bool) -> Place:
        """Of a map's member upstream writes the dot even where nothing stands before it."""
        return Place(f"{self.path}.{name}" if self.path or not declared else name, self.prefix)

    def item(self, at: int) -> Place:
        return Place(f"{self.path}[{at}]", self.prefix)

    def invalid(self, value: Any, text: str, kind: str = "FieldValueInvalid") -> FieldError:
        return FieldError(kind, self.field, f"Invalid value: {quoted(value)}: {self.path} {BODY} {text}")

    def plain(self, text: str) -> FieldError:
        """An error that upstream does not tie to a field."""
        return FieldError("FieldValueInvalid", self.prefix or "<nil>", f'Invalid value: "": {text}')


def problems(node: Node, new: Any, old: Any = MISSING, prefix: str = "") -> Errors:
    """What is wrong with a value; ``old`` is what it replaces, ``prefix`` the path of the value itself."""
    return _check(node, new, old, Place("", prefix))


def _check(node: Node, new: Any, old: Any, place: Place) -> Errors:
    if new is old:
        return NONE
    if new is None:
        found = [*_type_problem(node, None, place), *_enum_problem(node, None, place)]
    else:
        found = []
        if node.type or node.int_or_string or "format" in node.raw:
            found += _type_problem(node, new, place)
        found += _quantifiers(node, new, place) if _has_quantifiers(node) else NONE
        check = BY_KIND.get(type(new))
        if check is not None:
            found += check(node, new, old, place)
        if "enum" in node.raw:
            found += _enum_problem(node, new, place)
        if type(new) is dict:
            found += _object(node, new, old, place)
    return NONE if found and old is not MISSING and new == old else found


def go_kind(value: Any) -> str:
    """The schema type of a value as it came."""
    if isinstance(value, bool):
        return "boolean"
    return {str: "string", int: "integer", float: "number", dict: "object", list: "array"}.get(type(value), "null")


def _type_problem(node: Node, value: Any, place: Place) -> Errors:
    wanted = ("integer", "string") if node.int_or_string else (node.type,) if node.type else ()
    if value is None:
        if not wanted or node.nullable:
            return NONE
        return (_mistyped(place, ",".join(wanted), "null"),)
    kind = go_kind(value)
    if not wanted or kind in wanted:
        return NONE
    if kind == "integer" and "number" in wanted:
        return NONE
    if kind == "number" and "integer" in wanted and value.is_integer():
        return NONE
    known = node.raw.get("format")
    if known and check_of(known) and not {"number", "integer"} & set(wanted):
        if kind in ("string", "array"):
            return NONE
        return (_mistyped(place, known, "float64" if kind == "number" else "int64" if kind == "integer" else ""),)
    return (_mistyped(place, ",".join(wanted), kind),)


def _mistyped(place: Place, wanted: str, found: str) -> FieldError:
    return place.invalid(found, f"must be of type {wanted}: {quoted(found)}", "FieldValueTypeInvalid")


def _enum_problem(node: Node, value: Any, place: Place) -> Errors:
    allowed = node.raw.get("enum")
    if not allowed or (value is not None and any(_same(value, each) for each in allowed)):
        return NONE
    listed = ", ".join(quoted(each if isinstance(each, str) else quoted(each)) for each in allowed)
    text = f"Unsupported value: {quoted(value)}: supported values: {listed}"
    return (FieldError("FieldValueNotSupported", place.field, text),)


def _same(value: Any, other: Any) -> bool:
    return value == other and isinstance(value, bool) == isinstance(other, bool)


def _string(node: Node, value: str, old: Any, place: Place) -> Errors:
    found = _string_problem(node, value, place)
    shape = node.raw.get("format")
    fits = check_of(shape) if shape else None
    if fits is not None and not fits(value):
        wrong = place.invalid(value, f"must be of type {shape}: {quoted(value)}", "FieldValueTypeInvalid")
        return [*found, wrong]
    return found


def _string_problem(node: Node, value: str, place: Place) -> Errors:
    """The first thing that is wrong with a string's length and shape."""
    raw = node.raw
    most, least, shape = raw.get("maxLength"), raw.get("minLength"), raw.get("pattern")
    if most is not None and len(value) > most:
        text = f"Too long: may not be more than {most} bytes"
        return (FieldError("FieldValueTooLong", place.field, text),)
    if least is not None and len(value) < least:
        return (place.invalid(value, f"should be at least {least} chars long"),)
    if shape and not matcher(shape)(value):
        return (place.invalid(value, f"should match '{shape}'"),)
    return NONE


@cache
def matcher(pattern: str) -> Callable[[str], Any]:
    """Whether a pattern is found anywhere in a text, as Go's regexp finds it."""
    try:
        search: Callable[[str], Any] = compiled(pattern).search
    except ValueError:
        return lambda text: False
    return search


INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


def _number(node: Node, value: float, old: Any, place: Place) -> Errors:
    raw = node.raw
    found: list[FieldError] = []
    whole = isinstance(value, int)
    if node.type == "integer" and not INT64_MIN <= value <= INT64_MAX:
        found.append(place.plain(f"Checked value must be of type integer (default format) in {place.path}"))
    factor = raw.get("multipleOf")
    if factor and _indivisible(value, factor):
        found.append(place.invalid(value, f"should be a multiple of {quoted(factor)}"))
    most, least = raw.get("maximum"), raw.get("minimum")
    if most is not None:
        most = int(most) if whole else most
        exclusive = raw.get("exclusiveMaximum")
        if value > most or (exclusive and value == most):
            words = "less than" if exclusive else "less than or equal to"
            found.append(place.invalid(value, f"should be {words} {quoted(most)}"))
    if least is not None:
        least = int(least) if whole else least
        exclusive = raw.get("exclusiveMinimum")
        if value < least or (exclusive and value == least):
            words = "greater than" if exclusive else "greater than or equal to"
            found.append(place.invalid(value, f"should be {words} {quoted(least)}"))
    return found


def _indivisible(value: float, factor: float) -> bool:
    if isinstance(value, int) and isinstance(factor, int):
        return value % factor != 0
    quotient = value / factor
    return not float(quotient).is_integer() and abs(quotient - round(quotient)) > 1e-9


def _list(node: Node, value: list[Any], old: Any, place: Place) -> Errors:
    found: list[FieldError] = []
    items = node.items
    if items is not None:
        partners = correlated(node, value, old)
        for at, item in enumerate(value):
            found += _check(items, item, partners[at] if partners is not None else MISSING, place.item(at))
    most, least = node.raw.get("maxItems"), node.raw.get("minItems")
    if least is not None and len(value) < least:
        found.append(place.invalid(len(value), f"should have at least {least} items"))
    if most is not None and len(value) > most:
        found.append(_too_many(place, len(value), most))
    return found


def _too_many(place: Place, count: int, most: int) -> FieldError:
    text = f"Too many: {count}: must have at most {most} {'item' if most == 1 else 'items'}"
    return FieldError("FieldValueTooMany", place.field, text)


def correlated(node: Node, value: list[Any], old: Any) -> list[Any] | None:
    """What each item replaces: only items of lists with keys are told apart."""
    if node.list_type != "map" or not isinstance(old, list):
        return None
    before: dict[str, Any] = {}
    for item in old:
        if isinstance(item, dict):
            before.setdefault(repr([item.get(key) for key in node.list_keys]), item)
    return [
        before.get(repr([item.get(key) for key in node.list_keys]), MISSING) if isinstance(item, dict) else MISSING
        for item in value
    ]


def _object(node: Node, value: Mapping[str, Any], old: Any, place: Place) -> Errors:
    raw = node.raw
    most, least = raw.get("maxProperties"), raw.get("minProperties")
    if least is not None and len(value) < least:
        return (place.invalid(len(value), f"should have at least {least} properties"),)
    if most is not None and len(value) > most:
        return (_too_many(place, len(value), most),)
    found: list[FieldError] = []
    before: Mapping[str, Any] = old if isinstance(old, dict) and node.map_type != "atomic" else {}
    values = node.values
    declared: list[FieldError] = []
    for name in sorted(value):
        inner = node.field(name)
        if inner is not None:
            wrong = _check(inner, value[name], before.get(name, MISSING), place.member(name, True))
            if wrong:
                declared += wrong
        elif values is not None:
            wrong = _check(values, value[name], before.get(name, MISSING), place.member(name, False))
            if wrong:
                found += wrong
        elif raw.get("additionalProperties") is False:
            found.append(FieldError(*place.invalid(name, "")[:2], _forbidden(place, name)))
    found += declared
    for name in raw.get("required") or ():
        if name not in value:
            found.append(FieldError("FieldValueRequired", place.member(name, False).field, "Required value"))
    return found


def _forbidden(place: Place, name: str) -> str:
    return f"Invalid value: {quoted(name)}: {place.path}.{name} {BODY} is a forbidden property"


BY_KIND: Mapping[type, Callable[[Node, Any, Any, Place], Errors]] = {
    str: _string, int: _number, float: _number, list: _list,
}  # fmt: skip

QUANTIFIERS = ("anyOf", "oneOf", "allOf", "not")


def _has_quantifiers(node: Node) -> bool:
    raw = node.raw
    return "anyOf" in raw or "oneOf" in raw or "allOf" in raw or "not" in raw


def _quantifiers(node: Node, value: Any, place: Place) -> Errors:
    """What the alternatives say of the value as a whole: what they say of its parts is not ratcheted one by one."""
    found: list[FieldError] = []
    any_of, one_of, all_of = (node.alternatives(name) for name in QUANTIFIERS[:3])
    named = quoted(place.path)
    if any_of and (best := _best_failure(any_of, value, place)) is not None:
        found += [place.plain(f"{named} must validate at least one schema (anyOf)"), *best]
    if one_of:
        valid = sum(not _check(each, value, MISSING, place) for each in one_of)
        if valid != 1:
            why = f"Found {valid} valid alternatives" if valid else "Found none valid"
            found.append(place.plain(f"{named} must validate one and only one schema (oneOf). {why}"))
            found += (_best_failure(one_of, value, place) or NONE) if not valid else NONE
    if all_of:
        wrongs = [_check(each, value, MISSING, place) for each in all_of]
        for wrong in wrongs:
            found += wrong
        valid = sum(not wrong for wrong in wrongs)
        if valid != len(all_of):
            why = "" if valid else ". None validated"
            found.append(place.plain(f"{named} must validate all the schemas (allOf){why}"))
    if node.opposite is not None and not _check(node.opposite, value, MISSING, place):
        found.append(place.plain(f"{named} must not validate the schema (not)"))
    return found


def _best_failure(alternatives: Sequence[Node], value: Any, place: Place) -> Errors | None:
    """The errors of the alternative that matches best; None when one matches."""
    best: tuple[int, Errors] | None = None
    for each in alternatives:
        wrong = _check(each, value, MISSING, place)
        if not wrong:
            return None
        score = _matches(each, value)
        if best is None or score > best[0]:
            best = (score, wrong)
    return best[1] if best is not None else None


def _matches(node: Node, value: Any) -> int:
    """How many checks a value went through, by which upstream tells the best of several failures."""
    place = Place()
    typed = bool(node.type or node.int_or_string)
    score = 3 + typed + (typed and not _type_problem(node, value, place))
    if isinstance(value, dict):
        inner = ((node.below(name), item) for name, item in value.items())
        score += sum(_matches(each, item) for each, item in inner if each is not None)
    elif isinstance(value, list) and node.items is not None:
        score += sum(_matches(node.items, item) for item in value)
    return score
