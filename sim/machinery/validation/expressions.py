"""Expressions in configuration objects: compiled when the object is written, so that what is wrong is told then.

Source: k8s.io/kubernetes/pkg/apis/admissionregistration/validation (validateCELCondition and its like).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seatrial.sim.machinery.cel import admission
from seatrial.sim.machinery.cel.admission import Purpose, Variables
from seatrial.sim.machinery.validation.problems import NONE, Errors, invalid, required


@dataclass(frozen=True, slots=True)
class Scope:
    """What the expressions of a policy may name; the empty one is a webhook's."""

    params: bool = False
    variables: Variables = ()

    def before(self, position: int) -> Scope:
        """The scope of a variable: it sees the ones before it."""
        return Scope(self.params, self.variables[:position])


WEBHOOK = Scope()


def scope_of(spec: Mapping[str, Any]) -> Scope:
    return Scope(spec.get("paramKind") is not None, admission.variables_of(spec))


def expression(value: str, purpose: Purpose, scope: Scope, missing: str = "") -> Errors:
    """What is wrong with an expression. ``missing``: what is said of an empty one."""
    if not value.strip():
        return (required("", missing),)
    problem = admission.compiled(value, purpose, scope.params, scope.variables if purpose.variables else ()).error
    return (invalid("", value, problem),) if problem else NONE
