"""From YAML texts to plain values, as the API server reads them.

Source: sigs.k8s.io/yaml: YAML 1.1 as gopkg.in/yaml.v2 resolves it, then JSON.

Not modelled: the wording of syntax errors below ``yaml: line N:`` is PyYAML's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import yaml

from seatrial.sim.machinery.reading import Unreadable

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
    for first in "-+.0123456789":
        found.setdefault(first, []).extend([("tag:yaml.org,2002:int", integer), ("tag:yaml.org,2002:float", real)])
    return found


def _whole(loader: Any, node: Any) -> Any:
    text = loader.construct_scalar(node).replace("_", "")
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-").lower()
    for prefix, base in (("0b", 2), ("0o", 8), ("0x", 16), ("0", 8)):
        if digits.startswith(prefix) and len(digits) > len(prefix):
            return sign * int(digits[len(prefix) :], base)
    return sign * int(digits)


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
CONSTRUCTORS: dict[str, Callable[[Any, Any], Any]] = {"int": _whole, "float": _real, "map": _mapping}
for _tag, _constructor in CONSTRUCTORS.items():
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _constructor)


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
        return value, [f'line {line}: key "{key}" already set in map' for line, key in loader.duplicates]
    except yaml.MarkedYAMLError as problem:
        line = (problem.problem_mark.line + 1) if problem.problem_mark is not None else 1
        raise Unreadable(f"yaml: line {line}: {problem.problem}") from None
    except (yaml.YAMLError, ValueError) as problem:
        raise Unreadable(f"yaml: {problem}") from None
    finally:
        if loader is not None:
            loader.dispose()
