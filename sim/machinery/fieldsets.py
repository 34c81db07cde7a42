"""Sets of fields in the form in which managedFields writes them, and what of an object belongs to such a set.

A set *is* its FieldsV1: a mapping from path elements (``f:name``, ``k:{"name":"a"}``, ``v:"x"``) to the set below. An
element without anything below it is a member; one with both is marked by ``"."``. Sets are never changed in place and
share what is equal, so that comparing two revisions of an object costs what differs between them. The empty set is
``None``, because an empty mapping is a member.

Source: sigs.k8s.io/structured-merge-diff/v6 (fieldpath, typed/compare.go, typed/tofieldset.go, typed/remove.go).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import orjson

from seatrial.sim.kernel.compact import compact
from seatrial.sim.machinery.fields import quoted
from seatrial.sim.machinery.schema import Field, Type, type_named

Set = Mapping[str, Any]
MEMBER: Set = {}
SELF = "."
OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
HOLDERS = (dict, list)
MISSING: Any = object()
"""No value at all, which is not the same as null."""


class Shape:
    """How the values of one schema node are owned: as a whole, by field, by key or by value."""

    __slots__ = ("_type", "defaults", "element", "fields", "keys", "kind")

    def __init__(
        self,
        kind: str,
        type: Type | None = None,
        element: Shape | None = None,
        keys: tuple[str, ...] = (),
        defaults: Mapping[str, Any] = MEMBER,
    ) -> None:
        """``kind``: leaf (owned as a whole), struct, map, list (by ``keys``), set, or any (as the value says)."""
        self.kind = kind
        self._type = type
        self.element = element
        self.keys = keys
        self.defaults = defaults
        self.fields: dict[str, Shape] = {}

    def below(self, key: str) -> Shape:
        """The shape of a member of a struct or map."""
        if self.element is not None:
            return self.element
        found = self.fields.get(key)
        if found is None:
            field = self._type.fields.get(key) if self._type is not None else None
            if field is None:
                return ANY
            found = self.fields[key] = of_field(field)
        return found

    def declares(self, key: str) -> bool:
        """Whether the schema itself names the member: fields of structs it does, keys of maps it does not."""
        return self.kind == "struct" and self._type is not None and key in self._type.fields


LEAF, ANY = Shape("leaf"), Shape("any")


@lru_cache(maxsize=2048)
def of_type(type: Type | None) -> Shape:
    """The shape of a struct; without a schema maps are granular and lists atomic."""
    return ANY if type is None else Shape("struct", type)


@lru_cache(maxsize=2048)
def of_custom(type: Type | None) -> Shape:
    """The shape of a custom kind's objects, whose metadata are typed whatever its own schema says."""
    shape = Shape("any" if type is None else "struct", type)
    shape.fields["metadata"] = of_type(type_named(OBJECT_META))
    return shape


def of_field(field: Field) -> Shape:
    """The shape of what a field holds."""
    if field.kind == "struct" and field.type is not None:
        atomic = (field.map_type or field.type.map_type) == "atomic"
        return LEAF if atomic else of_type(field.type)
    if field.kind == "map" and field.element is not None:
        return LEAF if field.map_type == "atomic" else Shape("map", element=of_field(field.element))
    if field.kind == "list" and field.element is not None:
        if field.list_type == "map":
            known = field.element.type.fields if field.element.type is not None else {}
            given = {key: known[key].default for key in field.list_keys if key in known}
            defaults = {key: value for key, value in given.items() if value is not None}
            keys = tuple(sorted(field.list_keys))
            return Shape("list", element=of_field(field.element), keys=keys, defaults=defaults)
        return Shape("set", element=LEAF) if field.list_type == "set" else LEAF
    return ANY if field.kind == "any" else LEAF


def is_granular(shape: Shape, value: Any) -> bool:
    """Whether a value's parts are owned one by one; an empty one never is."""
    if not value or shape.kind == "leaf":
        return False
    return isinstance(value, list) if shape.kind in ("list", "set") else isinstance(value, dict)


class Keyless(ValueError):
    """An item of a list that is owned by key lacks one of its keys."""


def element_key(shape: Shape, item: Any) -> str:
    """The path element of a list's item. Raises Keyless."""
    if shape.kind == "set":
        return "v:" + orjson.dumps(item).decode()
    if len(shape.keys) == 1 and type(item) is dict:
        value = item.get(shape.keys[0])
        if type(value) is str:
            return _key(shape.keys, value)
    values = []
    for name in shape.keys:
        value = item.get(name, MISSING) if isinstance(item, dict) else MISSING
        if value is MISSING:
            if name not in shape.defaults:
                why = f"associative list with keys has an element that omits key field {quoted(name)}"
                raise Keyless(f"{why} (and doesn't have default value)")
            value = shape.defaults[name]
        values.append(value)
    try:
        return _key(shape.keys, *values)
    except TypeError:  # a list or an object where a plain value should be: not remembered
        return str(_key.__wrapped__(shape.keys, *values))


@lru_cache(maxsize=1 << 14, typed=True)
def _key(names: tuple[str, ...], *values: Any) -> str:
    return "k:" + orjson.dumps(dict(zip(names, values, strict=True))).decode()


def parts(shape: Shape, value: Any) -> Iterator[tuple[str, Shape, Any]]:
    """(path element, shape, value) of each part of a granular value. Raises Keyless."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield "f:" + name, shape.below(name), part
        return
    element = shape.element or ANY
    for item in value:
        yield element_key(shape, item), element, item


def fresh(shape: Shape, value: Any) -> Set:
    """Everything in a value that was not there before: every node is a member."""
    if not is_granular(shape, value):
        return MEMBER
    found: dict[str, Any] = {SELF: MEMBER}
    if isinstance(value, dict):
        below = shape.below
        for name, part in value.items():
            found["f:" + name] = fresh(below(name), part) if isinstance(part, HOLDERS) else MEMBER
        return found
    for key, element, item in parts(shape, value):
        found[key] = fresh(element, item)
    return found


def compare(shape: Shape, old: Any, new: Any) -> tuple[Set | None, Set | None]:
    """(added or modified, removed) fields between two values, either of which may be MISSING."""
    if old is new:
        return None, None
    if old is MISSING:
        return fresh(shape, new), None
    if new is MISSING:
        return None, fresh(shape, old)
    before, after = is_granular(shape, old), is_granular(shape, new)
    if not (before or after):
        return (None, None) if old == new else (MEMBER, None)
    if isinstance(new if after else old, dict):
        return _compare_members(shape, old if before else MEMBER, new if after else MEMBER)
    return _compare_items(shape, old if before else [], new if after else [])


def _compare_members(shape: Shape, old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Set | None, Set | None]:
    changed: dict[str, Any] = {}
    removed: dict[str, Any] = {}
    below = shape.below
    for name, part in new.items():
        held = old.get(name, MISSING)
        if held is part:
            continue
        if held is MISSING:
            changed["f:" + name] = fresh(below(name), part) if isinstance(part, HOLDERS) else MEMBER
        elif isinstance(part, HOLDERS) or isinstance(held, HOLDERS):
            more, less = compare(below(name), held, part)
            if more is not None:
                changed["f:" + name] = more
            if less is not None:
                removed["f:" + name] = less
        elif held != part:
            changed["f:" + name] = MEMBER
    for name in old:
        if name not in new:
            removed["f:" + name] = fresh(below(name), old[name])
    return changed or None, removed or None


def _compare_items(shape: Shape, old: list[Any], new: list[Any]) -> tuple[Set | None, Set | None]:
    olds = {key: part for key, _, part in parts(shape, old)} if old else {}
    changed: dict[str, Any] = {}
    removed: dict[str, Any] = {}
    seen: dict[str, None] = {}
    for key, element, part in parts(shape, new):
        if key in seen:
            continue
        seen[key] = None
        more, less = compare(element, olds.get(key, MISSING), part)
        if more is not None:
            changed[key] = more
        if less is not None:
            removed[key] = less
    element = shape.element or ANY
    for key, part in olds.items():
        if key not in seen:
            removed[key] = fresh(element, part)
    return changed or None, removed or None


def applied(shape: Shape, value: Any) -> Set | None:
    """The fields that a configuration claims: leaves and list items, not the structs that merely hold them."""
    found: dict[str, Any] = {}
    for key, below, part in parts(shape, value) if is_granular(shape, value) else ():
        named = key[:2] == "f:" and shape.declares(key[2:])
        if is_granular(below, part):
            inner = applied(below, part)
            if not named:
                inner = {SELF: MEMBER, **(inner or {})}
            if inner is not None:
                found[key] = inner
        elif part == [] and below.kind in ("list", "set") and named:
            continue
        else:
            found[key] = MEMBER
    return found or None


def has_self(node: Set) -> bool:
    """Whether the element at which a set hangs is a member itself."""
    return not node or SELF in node


def union(one: Set | None, other: Set | None) -> Set | None:
    """What is in either; the very same object when the second adds nothing to the first."""
    if one is None or one is other:
        return other
    if other is None:
        return one
    return _joined(one, other)


def _joined(one: Set, other: Set) -> Set:
    if one is other:
        return one
    merged: dict[str, Any] | None = None
    for key, node in other.items():
        if key == SELF:
            continue
        held = one.get(key)
        joined = node if held is None else _joined(held, node)
        if joined is not held:
            if merged is None:
                merged = dict(one)
            merged[key] = joined
    member = has_self(one) or has_self(other)
    if merged is None and member == has_self(one):
        return one
    result = one if merged is None else merged
    return {SELF: MEMBER, **result} if member and SELF not in result else result


def difference(one: Set | None, other: Set | None) -> Set | None:
    """What is in the first and not in the second, path by path; the very same object when nothing goes."""
    if one is None or other is None:
        return one
    return _without(one, other)


def _without(one: Set, other: Set) -> Set | None:
    if one is other:
        return None
    member = has_self(one)
    loses = member and has_self(other)
    kept: dict[str, Any] | None = None
    for key, node in one.items():
        if key == SELF or key not in other:
            continue
        left = _without(node, other[key])
        if left is not node:
            if kept is None:
                kept = dict(one)
            if left is None:
                del kept[key]
            else:
                kept[key] = left
    if kept is None and not loses:
        return one
    children = {key: node for key, node in (one if kept is None else kept).items() if key != SELF}
    if member and not loses:
        return {SELF: MEMBER, **children} if children else MEMBER
    return children or None


def intersection(one: Set | None, other: Set | None) -> Set | None:
    """What is in both."""
    if one is None or other is None:
        return None
    return _common(one, other)


def _common(one: Set, other: Set) -> Set | None:
    found: dict[str, Any] = {}
    for key, node in one.items():
        if key != SELF and key in other:
            both = _common(node, other[key])
            if both is not None:
                found[key] = both
    if has_self(one) and has_self(other):
        return {SELF: MEMBER, **found} if found else MEMBER
    return found or None


def excluding(one: Set | None, roots: Set) -> Set | None:
    """A set without the members of ``roots`` and everything below them (RecursiveDifference)."""
    if one is None:
        return None
    kept = {}
    for key, node in one.items():
        cut = roots.get(key) if key != SELF else None
        if cut is None:
            kept[key] = node
        elif not has_self(cut):
            inner = excluding(node, cut)
            if inner is not None:
                kept[key] = inner
    return one if len(kept) == len(one) and all(kept[key] is one[key] for key in kept) else kept or None


def with_named(shape: Shape, one: Set | None) -> Set | None:
    """A set to which the structs that hold its members are added (EnsureNamedFieldsAreMembers)."""
    return None if one is None else _named(shape, one)


def _named(shape: Shape, one: Set) -> Set:
    found: dict[str, Any] = {}
    for key, node in one.items():
        if key == SELF or not node:
            found[key] = node
            continue
        name = key[2:]
        below = (shape.element or ANY) if key[:2] != "f:" else shape.below(name) if shape.kind != "leaf" else LEAF
        inner = _named(below, node)
        found[key] = {SELF: MEMBER, **inner} if key[:2] == "f:" and shape.declares(name) else inner
    return found


def without_items(shape: Shape, value: Any, gone: Set | None) -> Any:
    """A value without the fields of a set; what becomes empty becomes null (RemoveItems)."""
    if gone is None or not is_granular(shape, value):
        return value
    kept: dict[str, Any] | list[Any] = {} if isinstance(value, dict) else []
    for key, below, part in parts(shape, value):
        cut = gone.get(key)
        if cut is not None:
            if has_self(cut):
                continue
            part = without_items(below, part, cut)
        if isinstance(kept, dict):
            kept[key[2:]] = part
        else:
            kept.append(part)
    return kept or None


def paths(one: Set | None, prefix: str = "") -> Iterator[str]:
    """Each member as upstream prints it: ``.spec.containers[name="a"].image``."""
    for key, node in sorted((one or {}).items(), key=lambda pair: element_order(pair[0])):
        if key == SELF:
            continue
        here = prefix + element_text(key)
        if has_self(node):
            yield here
        yield from paths(node, here)


def element_text(key: str) -> str:
    """A path element as upstream prints it."""
    kind, rest = key[:2], key[2:]
    if kind == "f:":
        return f".{rest}"
    if kind == "k:":
        pairs = sorted(orjson.loads(rest).items())
        return "[" + ",".join(f"{name}={quoted(value)}" for name, value in pairs) + "]"
    return f"[={quoted(orjson.loads(rest))}]" if kind == "v:" else f"[{rest}]"


@lru_cache(maxsize=1 << 14)
def element_order(key: str) -> tuple[Any, ...]:
    """Sorts path elements: the node itself, fields, keys, values, indices; numbers before texts."""
    kind, rest = key[:2], key[2:]
    if kind == "f:":
        return (1, rest)
    if kind == "k:":
        return (2, tuple((name, *_value_order(value)) for name, value in sorted(orjson.loads(rest).items())))
    if kind == "v:":
        return (3, *_value_order(orjson.loads(rest)))
    return (4, int(rest)) if kind == "i:" else (0,)


def _value_order(value: Any) -> tuple[int, Any]:
    if isinstance(value, bool):
        return (2, value)
    return (0, value) if isinstance(value, int | float) else (1, str(value))


def written(one: Set | None) -> bytes:
    """A set as bytes: equal sets give equal bytes."""
    return compact(orjson.dumps(one, option=orjson.OPT_SORT_KEYS))


@lru_cache(maxsize=1 << 12)
def read(raw: bytes) -> Set:
    """The set that ``written`` wrote, in upstream's order; equal bytes give the same object."""
    return _arranged(orjson.loads(raw))


KEYED = ("k:", "v:", "i:")
"""The path elements that upstream does not sort as text. As text they come after all others."""


def _arranged(one: dict[str, Any]) -> Set:
    """A set just read, whose elements are sorted as text, in upstream's order. Changed in place."""
    key = SELF
    for key, node in one.items():
        one[key] = _arranged(node) if node else MEMBER
    if key[:2] in KEYED and len(one) > 1:
        return {key: one[key] for key in sorted(one, key=element_order)}
    return one


def arranged(one: Set, known: Set | None) -> Set:
    """A set in upstream's order. ``known`` is in that order: what is shared with it is not looked at again."""
    if one is known:
        return one
    if not one:
        return MEMBER
    held = known or MEMBER
    found = {key: arranged(node, held.get(key)) for key, node in one.items()}
    if len(found) == 1:
        return found
    order = sorted(found, key=element_order) if any(key[:2] in KEYED for key in found) else sorted(found)
    return {key: found[key] for key in order}
