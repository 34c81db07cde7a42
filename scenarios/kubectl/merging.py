"""Patches from three states: what was applied last, what is wanted now, what is there.

Source: k8s.io/apimachinery/pkg/util/strategicpatch (CreateThreeWayMergePatch, diffMaps, diffLists),
k8s.io/apimachinery/pkg/util/jsonmergepatch. Lists whose elements have a merge key are compared element by element.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from seatrial.sim.machinery.schema import Field, Type
from seatrial.sim.machinery.strategic import DELETE_PREFIX, ORDER_PREFIX

Object = Mapping[str, Any]
Fields = Callable[[str], Field | None]


def three_way(original: Object, modified: Object, current: Object, type: Type | None) -> dict[str, Any]:
    """The patch that takes ``current`` to ``modified`` and removes what only ``original`` had.

    A strategic merge patch for a known type, a JSON merge patch without one.
    """
    if type is None:
        additions = merge_diff(current, modified, deletions=False)
        deletions = _only_deletions(original, modified)
        return _merged(deletions, additions)
    delta = diff(current, modified, type.fields.get, ignore_deletions=True)
    gone = diff(original, modified, type.fields.get, ignore_additions=True)
    return _combined(gone, delta, type.fields.get)


# JSON merge patches


def merge_diff(old: Object, new: Object, deletions: bool = True) -> dict[str, Any]:
    """The merge patch from one object to another."""
    patch: dict[str, Any] = {}
    for key, value in new.items():
        held = old.get(key)
        if isinstance(value, dict) and isinstance(held, dict):
            inner = merge_diff(held, value, deletions)
            if inner:
                patch[key] = inner
        elif key not in old or held != value:
            patch[key] = value
    if deletions:
        patch.update({key: None for key in old if key not in new})
    return patch


def _only_deletions(old: Object, new: Object) -> dict[str, Any]:
    patch: dict[str, Any] = {}
    for key, value in old.items():
        if key not in new:
            patch[key] = None
        elif isinstance(value, dict) and isinstance(new[key], dict):
            inner = _only_deletions(value, new[key])
            if inner:
                patch[key] = inner
    return patch


def _merged(left: Object, right: Object) -> dict[str, Any]:
    out = dict(left)
    for key, value in right.items():
        held = out.get(key)
        out[key] = _merged(held, value) if isinstance(held, dict) and isinstance(value, dict) else value
    return out


# strategic merge patches


def _inside(field: Field | None) -> Fields:
    if field is None:
        return lambda key: None
    if field.kind == "map":
        return lambda key: field.element
    return field.type.fields.get if field.type is not None else lambda key: None


def diff(
    old: Object, new: Object, fields: Fields, ignore_deletions: bool = False, ignore_additions: bool = False
) -> dict[str, Any]:
    """The strategic merge patch from one object to another, or half of it."""
    patch: dict[str, Any] = {}
    for key in sorted(old.keys() | new.keys()):
        if key not in new:
            if not ignore_deletions:
                patch[key] = None
            continue
        value = new[key]
        if key not in old:
            if not ignore_additions:
                patch[key] = value
            continue
        held, field = old[key], fields(key)
        if isinstance(held, dict) and isinstance(value, dict):
            _diff_maps(patch, key, held, value, field, ignore_deletions, ignore_additions)
        elif isinstance(held, list) and isinstance(value, list) and field is not None:
            _diff_lists(patch, key, held, value, field, ignore_deletions, ignore_additions)
        elif held != value and not ignore_additions:
            patch[key] = value
    return patch


def _diff_maps(
    patch: dict[str, Any], key: str, held: Object, value: Object, field: Field | None, no_del: bool, no_add: bool
) -> None:
    strategy = field.patch_strategy if field is not None else ()
    if "replace" in strategy:
        if held != value and not no_add:
            patch[key] = value
        return
    inner = diff(held, value, _inside(field), no_del, no_add)
    if "retainKeys" in strategy and inner and not no_add:
        inner["$retainKeys"] = sorted(value)
    if inner:
        patch[key] = inner


def _diff_lists(
    patch: dict[str, Any], key: str, held: list[Any], value: list[Any], field: Field, no_del: bool, no_add: bool
) -> None:
    if "merge" not in field.patch_strategy:
        if held != value and not no_add:
            patch[key] = value
        return
    if field.merge_key and all(isinstance(each, dict) for each in (*held, *value)):
        changes, order = _elements(held, value, field, no_del, no_add)
        if changes:
            patch[key] = changes
        moved = [_id(each, field) for each in held] != [_id(each, field) for each in value]
        if order and not no_add and (changes or moved):
            patch[ORDER_PREFIX + key] = [{field.merge_key: each} for each in order]
        return
    added = [each for each in value if each not in held]
    gone = [each for each in held if each not in value]
    if added and not no_add:
        patch[key] = added
    if gone and not no_del:
        patch[DELETE_PREFIX + key] = gone
    if not no_add and (added or (gone and not no_del) or held != value):
        patch[ORDER_PREFIX + key] = list(value)


def _id(item: Object, field: Field) -> Any:
    return item.get(field.merge_key)


def _elements(
    held: Sequence[Object], value: Sequence[Object], field: Field, no_del: bool, no_add: bool
) -> tuple[list[Any], list[Any]]:
    """Changes per element, and the order of the new list."""
    merge_key, inside = field.merge_key, _inside(field.element)
    before = {_id(each, field): each for each in held}
    after = {_id(each, field): each for each in value}
    changes: list[Any] = []
    for name, each in after.items():
        if name not in before:
            if not no_add:
                changes.append(dict(each))
            continue
        inner = diff(before[name], each, inside, no_del, no_add)
        if inner:
            changes.append({**inner, merge_key: name})
    if not no_del:
        changes += [{"$patch": "delete", merge_key: name} for name in before if name not in after]
    return changes, list(after)


def _combined(gone: Object, delta: Object, fields: Fields) -> dict[str, Any]:
    """Deletions and additions in one patch; where both speak of an element, they become one."""
    out = dict(gone)
    for key, value in delta.items():
        held = out.get(key)
        plain = key.removeprefix(ORDER_PREFIX)
        if key.startswith(ORDER_PREFIX) or held is None:
            out[key] = value
        elif isinstance(held, dict) and isinstance(value, dict):
            out[key] = _combined(held, value, _inside(fields(plain)))
        elif isinstance(held, list) and isinstance(value, list):
            out[key] = _combined_lists(held, value, fields(plain))
        else:
            out[key] = value
    return out


def _combined_lists(gone: list[Any], delta: list[Any], field: Field | None) -> list[Any]:
    if field is None or not field.merge_key:
        return delta
    merge_key, inside = field.merge_key, _inside(field.element)
    by_name = {each[merge_key]: each for each in delta if isinstance(each, dict)}
    out: list[Any] = []
    for each in delta:
        other = next((one for one in gone if one[merge_key] == each[merge_key] and "$patch" not in one), None)
        out.append(each if other is None else _combined(other, each, inside))
    return out + [each for each in gone if each[merge_key] not in by_name or each.get("$patch") == "delete"]
