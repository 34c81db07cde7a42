"""KYAML: YAML with its structure in braces and every text in quotes (sigs.k8s.io/yaml/kyaml)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-/]*")
DOUBTFUL = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def kyaml(value: Any) -> str:
    """An object as one KYAML document."""
    return f"---\n{_value(value, 0)}\n"


def _key(name: str) -> str:
    if PLAIN_KEY.fullmatch(name) and name.lower() not in DOUBTFUL:
        return name
    return orjson.dumps(name).decode()


def _value(value: Any, depth: int) -> str:
    inner, outer = "  " * (depth + 1), "  " * depth
    if isinstance(value, Mapping):
        if not value:
            return "{}"
        lines = [f"{inner}{_key(name)}: {_value(value[name], depth + 1)},\n" for name in sorted(value)]
        return "{\n" + "".join(lines) + outer + "}"
    if isinstance(value, list):
        if not value:
            return "[]"
        if all(isinstance(each, Mapping | list) for each in value):
            return "[" + ", ".join(_value(each, depth) for each in value) + "]"
        return "[\n" + "".join(f"{inner}{_value(each, depth + 1)},\n" for each in value) + outer + "]"
    if isinstance(value, str) and "\n" in value:
        lines = value.split("\n")
        body = "".join(f"{inner}{_escaped(line)}\\n\\\n" for line in lines[:-1])
        return '"\\\n' + body + f'{inner}{_escaped(lines[-1])}"' if lines[-1] else '"\\\n' + body + inner + '"'
    return orjson.dumps(value).decode()


def _escaped(line: str) -> str:
    return orjson.dumps(line).decode()[1:-1]
