"""From YAML texts to plain values, as the API server reads them.

Source: sigs.k8s.io/yaml: YAML 1.1 as gopkg.in/yaml.v2 resolves it, then JSON.

Not modelled: the wording of syntax errors below ``yaml: line N:`` is PyYAML's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import yaml

from seatrial.sim.machinery.reading import Unreadable, shallow

ALIASED_MAX, ALIASED_PER_BYTE = 100_000, 10
"""How many values the aliases of a document may stand for, at least and for every byte of it."""
PREFIXES = (("0b", 2), ("0o", 8), ("0x", 16), ("0", 8))
WHOLE_MIN, WHOLE_MAX = -(2**63), 2**64 - 1
"""What Go holds in an int64 or uint64; anything larger becomes a float64."""
INTEGRAL_MAX = 1e21
"""Whole numbers below this have no exponent when Go writes them as JSON, from which the server reads on."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML as the API server reads it: no dates, no base-60 numbers, keys are text, duplicate keys are noted."""

    duplicates: list[tuple[int, str]]


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    integer = re.compile(r"[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)$")
    real = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$")
    found: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for first, rows in _Loader.yaml_implicit_resolvers.items():
        kept = [row for row in rows if row[0].rpartition(":")[2] not in ("timestamp", "int", "float")]
        found[first] = kept
    for first in "yYnN":
        found.setdefault(first, []).append(("tag:yaml.org,2002:bool", re.compile(r"[yYnN]$")))
    for first in "-+.0123456789":
        found.setdefault(first, []).extend([("tag:yaml.org,2002:int", integer), ("tag:yaml.org,2002:float", real)])
    return found


def _truth(loader: Any, node: Any) -> bool:
    return loader.construct_scalar(node).lower() in ("y", "yes", "on", "true")


def _whole(loader: Any, node: Any) -> Any:
    text = loader.construct_scalar(node).replace("_", "")
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-").lower()
    prefix, base = next((row for row in PREFIXES if digits.startswith(row[0]) and len(digits) > len(row[0])), ("", 10))
    value = sign * int(digits[len(prefix) :], base)
    return value if WHOLE_MIN <= value <= WHOLE_MAX else float(value)


def _real(loader: Any, node: Any) -> Any:
    text = loader.construct_scalar(node).replace("_", "").lower()
    value = float(text.replace(".inf", "inf").replace(".nan", "nan"))
    return int(value) if value.is_integer() and abs(value) < INTEGRAL_MAX else value


def _mapping(loader: Any, node: Any) -> dict[str, Any]:
    loader.flatten_mapping(node)
    out: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = _key(loader.construct_object(key_node, deep=True))
        if key in out:
            loader.duplicates.append((key_node.start_mark.line + 1, key))
        out[key] = loader.construct_object(value_node, deep=True)
    return out


def _key(key: Any) -> str:
    if key is None:
        return "null"
    return str(key).lower() if isinstance(key, bool) else str(key)


_Loader.yaml_implicit_resolvers = _resolvers()
CONSTRUCTORS: dict[str, Callable[[Any, Any], Any]] = {"bool": _truth, "int": _whole, "float": _real, "map": _mapping}
for _tag, _constructor in CONSTRUCTORS.items():
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _constructor)


def expanded(value: Any, sizes: dict[int, int]) -> int:
    """How many values there are once every alias is written out. Raises Unreadable for a value that contains itself."""
    if not isinstance(value, dict | list):
        return 1
    known = sizes.get(id(value))
    if known is None:
        sizes[id(value)] = 0
        items = value.values() if isinstance(value, dict) else value
        known = sizes[id(value)] = 1 + sum(expanded(item, sizes) for item in items)
    elif not known:
        raise Unreadable("yaml: anchor value contains itself")
    return known


def yaml_value(raw: bytes) -> tuple[Any, list[str]]:
    """The first document of a YAML text and what is wrong with its keys, in yaml.v2's words. Raises Unreadable."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable("yaml: invalid leading UTF-8 octet") from None
    loader: Any = None
    try:
        loader = _Loader(text)
        loader.duplicates = []
        value = loader.get_data() if loader.check_data() else None
        if "*" in text and expanded(value, {}) > ALIASED_MAX + ALIASED_PER_BYTE * len(raw):
            raise Unreadable("yaml: document contains excessive aliasing")
        return shallow(value), [f'line {line}: key "{key}" already set in map' for line, key in loader.duplicates]
    except yaml.MarkedYAMLError as problem:
        line = (problem.problem_mark.line + 1) if problem.problem_mark is not None else 1
        raise Unreadable(f"yaml: line {line}: {problem.problem}") from None
    except Unreadable:
        raise
    except RecursionError:
        raise Unreadable("yaml: exceeded max depth") from None
    except (yaml.YAMLError, ValueError) as problem:
        raise Unreadable(f"yaml: {problem}") from None
    finally:
        if loader is not None:
            loader.dispose()
