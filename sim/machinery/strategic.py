"""Strategic merge patch: a merge that knows which lists are sets of named things.

Source: k8s.io/apimachinery/pkg/util/strategicpatch (patch.go), k8s.io/apimachinery/pkg/util/mergepatch (errors.go).
Where a list's field names a merge key, elements are merged one by one; the directives ``$patch``, ``$retainKeys``,
``$setElementOrder/…`` and ``$deleteFromPrimitiveList/…`` say what a merge alone cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from seatrial.sim.machinery import errors
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.machinery.fields import printed
from seatrial.sim.machinery.patch import TOO_DEEP
from seatrial.sim.machinery.schema import Field, Type

Object = Mapping[str, Any]
Fields = Callable[[str], Field | None]

DIRECTIVE, RETAIN_KEYS = "$patch", "$retainKeys"
STRINGS = frozenset({str})
HOLDERS = (dict, list)
ORDER_PREFIX, DELETE_PREFIX = "$setElementOrder/", "$deleteFromPrimitiveList/"


def strategic_merge(obj: Object, patch: Any, type: Type | None) -> dict[str, Any]:
    """The object with the patch merged in; what the patch leaves alone is shared with ``obj``.

    Raises ApiError: 400 for a patch that is malformed, 422 and 500 as upstream for directives that make no sense.
    """
    if not isinstance(patch, dict):
        raise errors.bad_request("invalid JSON document")
    try:
        return _merge(obj, patch, _of_type(type))
    except RecursionError:
        raise errors.bad_request(TOO_DEEP) from None


def _of_type(type: Type | None) -> Fields:
    if type is None:
        return lambda key: None
    return type.fields.get


def _inside(field: Field | None) -> Fields:
    """The fields of what a field holds: of a struct, or of any value of a map."""
    if field is None:
        return lambda key: None
    if field.kind == "map":
        return lambda key: field.element
    return _of_type(field.type)


def _merge(original: Object, patch: Object, fields: Fields) -> dict[str, Any]:
    if DIRECTIVE in patch:
        return _directed(patch)
    merged = dict(original)
    for key in patch:
        if key[:1] == "$":
            if RETAIN_KEYS in patch:
                patch = _retain(merged, patch)
            patch = _ordered(merged, patch, fields)
            break
    for key, value in patch.items():
        deletes = key[:1] == "$" and key.startswith(DELETE_PREFIX)
        if deletes:
            key = key.removeprefix(DELETE_PREFIX)
        if value is None:
            merged.pop(key, None)
            continue
        held = merged.get(key)
        if isinstance(held, dict) and isinstance(value, dict):
            field = fields(key)
            if field is not None and "replace" in field.patch_strategy:
                merged[key] = value
            else:
                merged[key] = _merge(held, value, _inside(field))
        elif isinstance(held, list) and isinstance(value, list):
            merged[key] = _merge_lists(held, value, fields(key), deletes)
        elif not deletes:
            merged[key] = _plain(value)
    return merged


def _directed(patch: Object) -> dict[str, Any]:
    directive = patch[DIRECTIVE]
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != DIRECTIVE}
    if directive == "delete":
        return {}
    raise errors.unexplained(f"unknown patch type: {printed(directive)} in map: {printed(patch)}")


def _retain(merged: dict[str, Any], patch: Object) -> Object:
    """Drops from the object what ``$retainKeys`` does not list; returns the patch without the directive."""
    kept = patch[RETAIN_KEYS]
    rest = {key: value for key, value in patch.items() if key != RETAIN_KEYS}
    named = (
        key for key, value in rest.items() if value is not None and not key.startswith((ORDER_PREFIX, DELETE_PREFIX))
    )
    if not isinstance(kept, list) or not all(key in kept for key in named):
        raise errors.bad_request("invalid patch format of retainKeys")
    for key in [key for key in merged if key not in kept]:
        del merged[key]
    return rest


def _ordered(merged: dict[str, Any], patch: Object, fields: Fields) -> Object:
    """Merges the lists that ``$setElementOrder`` names; returns what is left of the patch."""
    directives = [key for key in patch if key.startswith(ORDER_PREFIX)]
    if not directives:
        return patch
    rest = dict(patch)
    for directive in directives:
        order, key = rest.pop(directive), directive.removeprefix(ORDER_PREFIX)
        held, given = merged.get(key), rest.pop(key, None)
        for value in (order, held, given):
            if value is not None and not isinstance(value, list):
                raise errors.unexplained("expected a []interface {}, but received a " + _go_kind(value))
        if held is None and given is None:
            continue
        field = fields(key)
        merge_key = field.merge_key if field is not None else ""
        _check_order(given or [], order or [], merge_key)
        if given is None:
            result = list(held or ())
        elif held is None:
            result = _plain(given)
        else:
            result = _merge_lists(held, given, field, False)
        merged[key] = _normalized(result, order or [], held or [], merge_key)
    return rest


def _go_kind(value: Any) -> str:
    kinds = {dict: "map[string]interface {}", str: "string", bool: "bool", int: "int64", float: "float64"}
    return kinds.get(type(value), "[]interface {}")


def _check_order(given: Sequence[Any], order: Sequence[Any], merge_key: str) -> None:
    """The patch's elements must come in the order that the directive says. Raises ApiError."""
    wanted = _identities([item for item in given if not (isinstance(item, dict) and DIRECTIVE in item)], merge_key)
    rest = iter(_identities(order, merge_key))
    if not all(item in rest for item in wanted):
        lists = printed(list(given)), ORDER_PREFIX[:-1], printed(list(order))
        raise errors.unexplained("The order in patch list:\n{}\n doesn't match {} list:\n{}\n".format(*lists))


def _identities(items: Sequence[Any], merge_key: str) -> list[Any]:
    """The identity of each element; nearly always the text under the merge key."""
    if merge_key:
        try:
            keys = [item[merge_key] for item in items]
        except (KeyError, TypeError):
            keys = [None]
        if STRINGS.issuperset(map(type, keys)):
            return keys
    return [_identity(item, merge_key) for item in items]


def _identity(item: Any, merge_key: str) -> Any:
    """What makes an element the same in two lists. Raises ApiError for an object without its merge key."""
    if not merge_key:
        return item
    if not isinstance(item, dict) or merge_key not in item:
        raise errors.unexplained(f"map: {printed(item)} does not contain declared merge key: {merge_key}")
    key = item[merge_key]
    return printed(key) if isinstance(key, list | dict) else key


def _merge_lists(held: list[Any], given: list[Any], field: Field | None, deletes: bool) -> list[Any]:
    if field is None or "merge" not in field.patch_strategy:
        return given
    if not held and not given:
        return held
    kinds = [type(item) for item in (*held, *given)]
    if list in kinds:
        raise ApiError(422, "Invalid", "lists of lists are not supported", {})
    if len(dict.fromkeys(kinds)) > 1:
        raise errors.unexplained(f"list element types are not identical: {printed([held, given])}")
    if kinds[0] is not dict:
        if deletes:
            return [item for item in held if item not in given]
        return _normalized(list(dict.fromkeys([*held, *given])), given, held, "")
    if not field.merge_key:
        raise errors.unexplained(
            f"cannot merge lists without merge key for {field.type.kind if field.type else field.name}"
        )
    element = field.element
    return _merge_elements(held, given, field.merge_key, _of_type(element.type if element is not None else None))


def _merge_elements(held: list[Any], given: list[Any], merge_key: str, fields: Fields) -> list[Any]:
    plain, replaces = [], False
    for item in given:
        directive = item.get(DIRECTIVE)
        if directive is None:
            plain.append(item)
        elif directive == "delete":
            gone = _identity(item, merge_key)
            held = [other for other in held if other.get(merge_key) != gone]
        elif directive == "replace":
            replaces = True
        elif directive == "merge":
            raise errors.unexplained("merging lists cannot yet be specified in the patch")
        else:
            raise errors.unexplained(f"unknown patch type: {printed(directive)} in map: {printed(item)}")
    if replaces:
        return plain
    merged = list(held)
    places = _places(_identities(merged, merge_key))
    for key, item in zip(_identities(plain, merge_key), plain, strict=True):
        place = places.get(key)
        if place is None:
            places[key] = len(merged)
            merged.append(_plain(item))
        else:
            merged[place] = _merge(merged[place], item, fields)
    return _normalized(merged, plain, held, merge_key)


def _normalized(merged: list[Any], first: Sequence[Any], held: Sequence[Any], merge_key: str) -> list[Any]:
    """The elements that ``first`` names in its order, the others woven in by the order in which they were held."""
    keys, first_keys = _identities(merged, merge_key), _identities(first, merge_key)
    if keys == first_keys and len(_places(keys)) == len(keys):
        return merged  # nothing to weave in
    stood_keys = _identities(held, merge_key)
    asked, stood = _places(first_keys), _places(stood_keys)
    if len(set(keys)) == len(keys) and list(asked) == [key for key in keys if key in asked]:
        if len(asked) == len(keys) or keys == stood_keys:
            return merged  # in that order already
    keyed = list(zip(keys, merged, strict=True))
    right = sorted((pair for pair in keyed if pair[0] in asked), key=lambda pair: asked[pair[0]])
    left = sorted((pair for pair in keyed if pair[0] not in asked), key=lambda pair: stood.get(pair[0], len(stood)))
    woven, at = [], 0
    for key, item in right:
        limit = stood.get(key, -1)
        while at < len(left) and stood.get(left[at][0], len(stood)) < limit:
            woven.append(left[at][1])
            at += 1
        woven.append(item)
    return woven + [item for _, item in left[at:]]


def _places(keys: Sequence[Any]) -> dict[Any, int]:
    """Where each element is found first."""
    places: dict[Any, int] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, place)
    return places


def _plain(value: Any) -> Any:
    """A value that comes in whole: without nulls and without directives."""
    if isinstance(value, dict):
        plain = {}
        for key, item in value.items():
            if isinstance(item, HOLDERS):
                if key[:1] == "$" or _is_directed(item):
                    continue
                item = _plain(item)
            elif item is None or key[:1] == "$":
                continue
            plain[key] = item
        return plain
    if isinstance(value, list):
        return [_plain(item) for item in value if not _is_directed(item)]
    return value


def _is_directed(value: Any) -> bool:
    return isinstance(value, dict) and DIRECTIVE in value
