"""Where expressions are compiled: the variables they may name and the functions they may call.

Source: k8s.io/apiserver/pkg/cel/environment (base.go).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from seatrial.sim.machinery.cel import (
    authorization,
    formats,
    lists,
    literals,
    network,
    optionals,
    quantities,
    standard,
    text,
    versions,
)
from seatrial.sim.machinery.cel.checker import check
from seatrial.sim.machinery.cel.declarations import Functions, functions
from seatrial.sim.machinery.cel.errors import CelError, EvaluationError, Issue
from seatrial.sim.machinery.cel.parser import TOO_DEEP, parse
from seatrial.sim.machinery.cel.program import Program
from seatrial.sim.machinery.cel.types import Type

BASE = functions(
    standard.LIBRARY,
    optionals.LIBRARY,
    text.LIBRARY,
    lists.LIBRARY,
    network.LIBRARY,
    quantities.LIBRARY,
    versions.LIBRARY,
    formats.LIBRARY,
    authorization.LIBRARY,
)
"""Kubernetes' base environment."""


def no_structure(name: str) -> Type | None:
    return None


def no_struct(name: str, fields: dict[str, Any]) -> Any:
    raise EvaluationError(f"unknown type: {name}")


class Environment:
    """Variables with their types, functions, and the objects that may be written out as ``Name{…}``."""

    def __init__(
        self,
        variables: Mapping[str, Type],
        functions: Functions = BASE,
        structure: Callable[[str], Type | None] = no_structure,
        struct: Callable[[str, dict[str, Any]], Any] = no_struct,
    ) -> None:
        self.variables = variables
        self.functions = functions
        self.structure = structure
        self.struct = struct

    def with_variables(self, more: Mapping[str, Type]) -> Environment:
        return Environment({**self.variables, **more}, self.functions, self.structure, self.struct)

    def compile(self, source: str) -> Program:
        """Raises CelError with upstream's text of everything that is wrong."""
        try:
            checked = check(source, parse(source), self.variables, self.functions, self.structure)
            if issues := literals.wrong(checked):
                raise CelError(source, issues)
            return Program(source, checked, self.struct)
        except RecursionError:
            raise CelError(source, [Issue(0, TOO_DEEP)]) from None
