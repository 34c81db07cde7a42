"""Values that people write, such as faults and loads: what is wrong with one, and what there is to say of a kind.

A value is the fields of a pydantic model with its ``kind``; a schedule adds when it begins, how long it lasts and under
which name it is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)
FEW = 12
SHOWN = ("description", "type", "default", "enum", "minimum", "maximum", "exclusiveMinimum")


def nearest(word: str, known: Iterable[str]) -> str:
    """What is said when a name is not known: the one that was meant, and those that there are, unless they are many."""
    names = list(known)
    close = get_close_matches(word.lower(), names, 1, 0.6)
    listed = f"there are {', '.join(names)}" if names else "there are none"
    if not close:
        return listed
    return f"did you mean {close[0]!r}?" + (f" {listed}" if len(names) <= FEW else "")


def value_of(what: str, kinds: Mapping[str, type[Model]], value: Mapping[str, Any]) -> Model:
    """The model that a value means; ``what`` is the word for one of the kinds. Raises ValueError with what is wrong."""
    kind = str(value.get("kind", ""))
    row = kinds.get(kind)
    if row is None:
        raise ValueError(f"there is no {what} {kind!r}: {nearest(kind, kinds)}")
    try:
        return row.model_validate({key: each for key, each in value.items() if key != "kind"})
    except ValidationError as problem:
        raise ValueError(f"{kind}: {said_of(problem, row)}") from None


def said_of(problem: ValidationError, row: type[BaseModel]) -> str:
    """What is wrong with a value, field by field; for a field that there is not, the one that was meant."""
    found = []
    for each in problem.errors():
        where = ".".join(str(part) for part in each["loc"])
        if each["type"] == "extra_forbidden":
            found.append(f"there is no parameter {where!r}: {nearest(where, row.model_fields)}")
        elif each["type"] == "missing":
            found.append(f"{where} is missing: {row.model_fields[where].description}")
        else:
            found.append(f"{where}: {each['msg'].removeprefix('Value error, ')}")
    return "; ".join(found)


def parameters(row: type[BaseModel]) -> dict[str, dict[str, Any]]:
    """The fields of a kind by name: description, type, default, what is allowed, whether it must be given."""
    schema = row.model_json_schema()
    required = schema.get("required", ())
    return {
        name: {**{key: each[key] for key in SHOWN if key in each}, "required": name in required}
        for name, each in schema.get("properties", {}).items()
    }
