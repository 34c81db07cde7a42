"""Custom resources: the columns that a CustomResourceDefinition asks for, each a JSONPath into the object.

Source: k8s.io/apiextensions-apiserver/pkg/registry/customresource/tableconvertor, k8s.io/client-go/util/jsonpath.

Not modelled: of JSONPath only what a column may use: members, indices, slices, ``*``, unions of names and filters that
compare a member with a literal. Recursive descent (``..``) finds nothing.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson

from seatrial.sim.machinery.durations import since
from seatrial.sim.machinery.fields import printed
from seatrial.sim.machinery.printers.cells import Cells, Object, name_of

Step = Callable[[Any], Iterator[Any]]

TOKEN = re.compile(
    r"""\.?(?:(?P<name>(?:\\.|[^.\[\]{}'"\\])+)
    |\[(?:(?P<quoted>(?:'[^']*'|"[^"]*")(?:\s*,\s*(?:'[^']*'|"[^"]*"))*)
    |\?\((?P<filter>.*?)\)
    |(?P<slice>-?\d*(?::-?\d*){1,2})
    |(?P<index>-?\d+)
    |(?P<all>\*))\])""",
    re.VERBOSE,
)
FILTER = re.compile(r"\s*@(?P<path>[^=!<>\s]*)\s*(?:(?P<op>==|!=|<=|>=|<|>)\s*(?P<literal>.+?))?\s*")
OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
AGE = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}


def cells(columns: Sequence[Mapping[str, Any]], obj: Object, now_us: int) -> Cells:
    """The cells of an object under ``additionalPrinterColumns``; what a path does not find is null."""
    return [name_of(obj), *(_cell(column["type"], found(column["jsonPath"], obj), now_us) for column in columns)]


def found(path: str, obj: Any) -> list[Any]:
    """Everything that a JSONPath finds."""
    values = [obj]
    for step in _steps(path):
        values = [inner for value in values for inner in step(value)]
    return values


def is_path(path: str) -> bool:
    """Whether a text is a JSONPath that is understood here."""
    steps = _steps(path)
    return bool(steps) and _nothing not in steps


def _cell(kind: str, values: list[Any], now_us: int) -> Any:
    if not values or (value := values[0]) is None:
        return None
    if kind == "string":
        return _text(value)
    if kind == "date" and isinstance(value, str):
        try:
            return since(value, now_us)
        except ValueError:
            return "<invalid>"
    if isinstance(value, bool):
        return value if kind == "boolean" else None
    if isinstance(value, int | float):
        return int(value) if kind == "integer" else value if kind == "number" else None
    return None


def _text(value: Any) -> str:
    if isinstance(value, dict | list):
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    return printed(value)


@lru_cache(maxsize=4096)
def _steps(path: str) -> tuple[Step, ...]:
    text = path.strip().removeprefix("{").removesuffix("}").removeprefix("$")
    steps: list[Step] = []
    at = 0
    while at < len(text):
        token = TOKEN.match(text, at)
        if token is None or token.end() == at:
            return (_nothing,)
        steps.append(_step(token))
        at = token.end()
    return tuple(steps)


def _nothing(value: Any) -> Iterator[Any]:
    return iter(())


def _step(token: re.Match[str]) -> Step:
    if token["name"] is not None:
        name = re.sub(r"\\(.)", r"\1", token["name"])
        return _all if name == "*" else lambda value: _members(value, (name,))
    if token["quoted"] is not None:
        names = [each.strip()[1:-1] for each in re.findall(r"'[^']*'|\"[^\"]*\"", token["quoted"])]
        return lambda value: _members(value, names)
    if token["filter"] is not None:
        return _filter(token["filter"])
    if token["slice"] is not None:
        bounds = slice(*(int(each) if each else None for each in token["slice"].split(":")))
        return lambda value: iter(value[bounds] if isinstance(value, list) else ())
    if token["index"] is not None:
        index = int(token["index"])
        return lambda value: _item(value, index)
    return _all


def _members(value: Any, names: Iterable[str]) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from (value[name] for name in names if name in value)


def _item(value: Any, index: int) -> Iterator[Any]:
    if isinstance(value, list) and -len(value) <= index < len(value):
        yield value[index]


def _all(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _filter(text: str) -> Step:
    shape = FILTER.fullmatch(text)
    if shape is None:
        return _nothing
    path, compare, literal = shape["path"], OPERATORS.get(shape["op"] or ""), _literal(shape["literal"])

    def step(value: Any) -> Iterator[Any]:
        for item in value if isinstance(value, list) else ():
            values = found(path, item)
            if values and (compare is None or (type(values[0]) is type(literal) and compare(values[0], literal))):
                yield item

    return step


def _literal(text: str | None) -> Any:
    if not text:
        return None
    if text[0] in "'\"":
        return text[1:-1]
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
