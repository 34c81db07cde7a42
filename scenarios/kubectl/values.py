"""Objects as text: JSON and YAML as Go's libraries write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cmp_to_key
from typing import Any

import orjson
import yaml

from seatrial.sim.machinery.schema import Field, Type, type_of_kind

ESCAPED = re.compile("[<>&\u2028\u2029]")
LETTERS = re.compile(r"[A-Za-z]+")
NOT_TEXT = re.compile(
    r"""(?x)
    ~ | null | Null | NULL | | y | Y | yes | Yes | YES | n | N | no | No | NO
    | true | True | TRUE | false | False | FALSE | on | On | ON | off | Off | OFF | <<
    | [-+]?\.(inf|Inf|INF) | \.(nan|NaN|NAN)
    | [-+]?(0b[01_]+ | 0o[0-7_]+ | 0x[0-9a-fA-F_]+ | [0-9][0-9_]*)
    | [-+]?(\.[0-9]+ | [0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?
    | [-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?
    | \d{4}-\d{1,2}-\d{1,2}([Tt ]\s*\d{1,2}:\d{1,2}:\d{1,2}(\.\d+)?\s*(Z|[-+]\d{1,2}(:?\d{2})?)?)?
    """
)
"""Texts that gopkg.in/yaml.v2 would read as something else, which it therefore writes in quotes."""


def _escape(text: str) -> str:
    return ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def compact(value: Any, sort: bool = True) -> str:
    """encoding/json: keys of maps in order, no blanks, HTML's characters escaped."""
    return _escape(orjson.dumps(value, option=orjson.OPT_SORT_KEYS if sort else 0).decode())


def pretty(value: Any, sort: bool = True) -> str:
    """json.MarshalIndent with four blanks; maps in order, structs (``sort`` off) as they are."""
    raw = orjson.dumps(value, option=(orjson.OPT_SORT_KEYS if sort else 0) | orjson.OPT_INDENT_2).decode()
    lines = []
    for line in raw.split("\n"):
        stripped = line.lstrip(" ")
        lines.append("  " * (len(line) - len(stripped)) + stripped)
    return _escape("\n".join(lines))


def as_struct(obj: Any) -> Any:
    """An object of a known kind with its fields in the order in which Go's struct has them."""
    group, _, version = str(obj.get("apiVersion", "")).rpartition("/")
    type_ = type_of_kind(group, version, str(obj.get("kind", "")))
    head = {name: obj[name] for name in ("kind", "apiVersion") if name in obj}
    return {**head, **_of_type(obj, type_)}


def _of_type(value: Any, type_: Type | None) -> Any:
    if type_ is None or not isinstance(value, dict):
        return {name: value[name] for name in sorted(value)} if isinstance(value, dict) else value
    found = {name: _of_field(value[name], field) for name, field in type_.fields.items() if name in value}
    return {**found, **{name: value[name] for name in sorted(value) if name not in found}}


def _of_field(value: Any, field: Field | None) -> Any:
    if field is not None and field.kind == "list" and isinstance(value, list):
        return [_of_field(each, field.element) for each in value]
    if field is not None and field.kind == "map" and isinstance(value, dict):
        return {name: _of_field(value[name], field.element) for name in sorted(value)}
    return _of_type(value, field.type if field is not None else None)


def _less(left: str, right: str) -> int:
    """The order of keys in yaml.v2: letters by code, digits by what they are worth."""
    for position, (a, b) in enumerate(zip(left, right, strict=False)):
        if a == b:
            continue
        if a.isalpha() and b.isalpha():
            return -1 if a < b else 1
        if a.isalpha() or b.isalpha():
            return -1 if b.isalpha() else 1
        ai, an = _number(left, position)
        bi, bn = _number(right, position)
        if an != bn:
            return -1 if an < bn else 1
        if ai != bi:
            return -1 if ai < bi else 1
        return -1 if a < b else 1
    return len(left) - len(right)


def _number(text: str, start: int) -> tuple[int, int]:
    end = start
    while end < len(text) and text[end].isdigit():
        end += 1
    return end, int(text[start:end] or 0)


KEY = cmp_to_key(_less)


class _Dumper(yaml.CSafeDumper):
    """YAML as sigs.k8s.io/yaml writes it."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


STR = "tag:yaml.org,2002:str"
_Dumper.yaml_implicit_resolvers = {}


def _sequence(dumper: Any, value: Any) -> Any:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=not value)


def _map(dumper: Any, value: dict[str, Any]) -> Any:
    names = sorted(value) if all(LETTERS.fullmatch(name) for name in value) else sorted(value, key=KEY)
    node = dumper.represent_mapping("tag:yaml.org,2002:map", [(name, value[name]) for name in names])
    node.flow_style = not value
    return node


def _string(dumper: Any, value: str) -> Any:
    if "\n" in value:
        return dumper.represent_scalar(STR, value, style="|")
    if NOT_TEXT.fullmatch(value):
        return dumper.represent_scalar(STR, value, style='"')
    return dumper.represent_scalar(STR, value)


def _plain(dumper: Any, value: Any) -> Any:
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif value is None:
        text = "null"
    elif isinstance(value, float):
        text = str(int(value)) if value.is_integer() and abs(value) < 1e21 else repr(value)
    else:
        text = str(value)
    return dumper.represent_scalar(STR, text)


_Dumper.add_representer(dict, _map)
_Dumper.add_representer(list, _sequence)
_Dumper.add_representer(tuple, _sequence)
_Dumper.add_representer(str, _string)
for _type in (bool, int, float, type(None)):
    _Dumper.add_representer(_type, _plain)


def yaml_text(value: Any) -> str:
    """An object in YAML, keys in order."""
    text: str = yaml.dump(value, Dumper=_Dumper, default_flow_style=False, allow_unicode=True, width=1 << 30)
    return text.removesuffix("...\n")


def stamp_of(now_us: int) -> str:
    """A time in whole seconds as RFC 3339 has it."""
    return datetime.fromtimestamp(now_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
