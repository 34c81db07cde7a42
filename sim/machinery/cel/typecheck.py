"""What the types of the matched kinds say against a policy's expressions: its status.typeChecking.

The API server itself accepts such a policy, because it cannot know which kinds will be there.
Source: k8s.io/apiserver/pkg/admission/plugin/policy/validating (typechecking.go). *Not modelled*: the types of
quantities and of free-form fields, which are taken for anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from seatrial.sim.machinery.cel import admission, types
from seatrial.sim.machinery.cel.environment import Environment
from seatrial.sim.machinery.cel.errors import CelError
from seatrial.sim.machinery.cel.naming import escaped
from seatrial.sim.machinery.cel.types import DYN, Type, list_of, map_of
from seatrial.sim.machinery.schema import Field
from seatrial.sim.machinery.schema import Type as GoType

TYPES_MAX = 10
"""Kinds that a policy is checked against (maxTypesToCheck)."""
SCALARS = {
    "string": types.STRING,
    "boolean": types.BOOL,
    "int32": types.INT,
    "int64": types.INT,
    "double": types.DOUBLE,
    "bytes": types.BYTES,
    "time": types.TIMESTAMP,
    "microtime": types.TIMESTAMP,
}

Kind = tuple[str, str, str]
"""Group, version and kind."""
TypeOf = Callable[[Kind], Type | None]
"""The type of a kind's objects; None for a kind that nobody serves."""


@cache
def of_struct(struct: GoType) -> Type:
    """The type of a built-in kind's struct."""
    return types.object_of(
        struct.name, lambda: {escaped(name) or name: of_field(field) for name, field in struct.fields.items()}
    )


def of_field(field: Field) -> Type:
    if field.kind == "struct":
        return DYN if field.type is None else of_struct(field.type)
    if field.kind == "list":
        return list_of(DYN if field.element is None else of_field(field.element))
    if field.kind == "map":
        return map_of(types.STRING, DYN if field.element is None else of_field(field.element))
    return SCALARS.get(field.kind, DYN)


def warnings(spec: Mapping[str, Any], kinds: list[Kind], type_of: TypeOf) -> list[dict[str, str]]:
    """The expressionWarnings of a policy. ``kinds``: what its constraints match, without wildcards."""
    found = []
    for index, validation in enumerate(spec.get("validations") or ()):
        for name in ("expression", "messageExpression"):
            text = validation.get(name)
            told = "\n".join(_told(spec, text, kinds[:TYPES_MAX], type_of)) if text else ""
            if told:
                found.append({"fieldRef": f"spec.validations[{index}].{name}", "warning": told})
    return found


def _told(spec: Mapping[str, Any], text: str, kinds: list[Kind], type_of: TypeOf) -> Iterator[str]:
    for kind in kinds:
        own = type_of(kind)
        if own is None:
            continue
        known = {**admission.ALWAYS, **admission.AUTHORIZER, "object": own, "oldObject": own}
        if (params := spec.get("paramKind")) is not None:
            group, _, version = params["apiVersion"].rpartition("/")
            known["params"] = type_of((group, version, params["kind"])) or DYN
        known["variables"] = types.object_of("kubernetes.variables", _variables(spec, known))
        try:
            Environment(known).compile(text)
        except CelError as error:
            group, version, name = kind
            yield f"{group}/{version}, Kind={name}: {error}\n"


def _variables(spec: Mapping[str, Any], known: Mapping[str, Type]) -> Mapping[str, Type]:
    """The types of a policy's variables over one kind; what cannot be compiled may be anything."""
    found: dict[str, Type] = {}
    for entry in spec.get("variables") or ():
        environment = Environment({**known, "variables": types.object_of("kubernetes.variables", dict(found))})
        try:
            found[entry["name"]] = environment.compile(entry["expression"]).result
        except CelError:
            found[entry["name"]] = DYN
    return found
