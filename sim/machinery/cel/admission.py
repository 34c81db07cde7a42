"""The expressions of admission: of policies, and the match conditions of webhooks.

Source: k8s.io/apiserver/pkg/admission/plugin/cel (compile.go, composition.go) and …/plugin/policy/mutating. Objects are
untyped here, as upstream has them; what is known of the request, the namespace and the authorizer is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from seatrial.sim.machinery.cel import environment, patches, types
from seatrial.sim.machinery.cel.declarations import OPAQUE
from seatrial.sim.machinery.cel.errors import CelError
from seatrial.sim.machinery.cel.program import Program
from seatrial.sim.machinery.cel.types import BOOL, DYN, INT, NULL, STRING, TIMESTAMP, Type, list_of, map_of, object_of

BUDGET = 10_000_000
"""What the expressions of one policy may cost for one request (celconfig.RuntimeCELCostBudget)."""

GVK = object_of("kubernetes.GroupVersionKind", {"group": STRING, "version": STRING, "kind": STRING})
GVR = object_of("kubernetes.GroupVersionResource", {"group": STRING, "version": STRING, "resource": STRING})
USER = object_of(
    "kubernetes.UserInfo",
    {"username": STRING, "uid": STRING, "groups": list_of(STRING), "extra": map_of(STRING, list_of(STRING))},
)
REQUEST = object_of(
    "kubernetes.AdmissionRequest",
    {
        "kind": GVK,
        "resource": GVR,
        "subResource": STRING,
        "requestKind": GVK,
        "requestResource": GVR,
        "requestSubResource": STRING,
        "name": STRING,
        "namespace": STRING,
        "operation": STRING,
        "userInfo": USER,
        "dryRun": BOOL,
        "options": DYN,
    },
)
NAMESPACE = object_of(
    "kubernetes.Namespace",
    {
        "metadata": object_of(
            "kubernetes.NamespaceMetadata",
            {
                "name": STRING,
                "generateName": STRING,
                "namespace": STRING,
                "labels": map_of(STRING, STRING),
                "annotations": map_of(STRING, STRING),
                "UID": STRING,
                "creationTimestamp": TIMESTAMP,
                "deletionGracePeriodSeconds": INT,
                "deletionTimestamp": TIMESTAMP,
                "generation": INT,
                "resourceVersion": STRING,
                "finalizers": list_of(STRING),
            },
        ),
        "spec": object_of("kubernetes.NamespaceSpec", {"finalizers": list_of(STRING)}),
        "status": object_of(
            "kubernetes.NamespaceStatus",
            {
                "conditions": list_of(
                    object_of(
                        "kubernetes.NamespaceCondition",
                        {
                            "status": STRING,
                            "type": STRING,
                            "lastTransitionTime": TIMESTAMP,
                            "message": STRING,
                            "reason": STRING,
                        },
                    )
                ),
                "phase": STRING,
            },
        ),
    },
)
ALWAYS: Mapping[str, Type] = {"object": DYN, "oldObject": DYN, "request": REQUEST, "namespaceObject": NAMESPACE}
AUTHORIZER: Mapping[str, Type] = {
    "authorizer": types.opaque(OPAQUE["Authorizer"]),
    "authorizer.requestResource": types.opaque(OPAQUE["ResourceCheck"]),
}

Variables = tuple[tuple[str, str], ...]
"""Name and expression of a policy's variables, in order: each may name the ones before."""


@dataclass(frozen=True, slots=True, eq=False)
class Purpose:
    """What an expression is for: the results it may have, and what it may name. Compared by identity: there are few."""

    results: tuple[Type, ...]
    authorizer: bool = True
    variables: bool = True
    patch: bool = False


MATCH = Purpose((BOOL,), variables=False)
VALIDATION = Purpose((BOOL,))
MESSAGE = Purpose((STRING,), authorizer=False)
AUDIT = Purpose((STRING, NULL))
VARIABLE = Purpose((DYN,))
APPLY = Purpose((types.Type("object", "Object"),), patch=True)
JSON_PATCH = Purpose((list_of(types.Type("object", "JSONPatch")),), patch=True)


class Compiled(NamedTuple):
    """A program, or what is wrong with its expression."""

    text: str
    program: Program | None
    error: str = ""


@lru_cache(maxsize=4096)
def compiled(text: str, purpose: Purpose, params: bool, variables: Variables = ()) -> Compiled:
    """An expression of a webhook or policy. ``params``: whether the policy has a paramKind."""
    known = dict(ALWAYS)
    if params:
        known["params"] = DYN
    if purpose.authorizer:
        known |= AUTHORIZER
    if purpose.variables:
        fields = _variable_types(variables, params)
        known["variables"] = object_of("kubernetes.variables", fields)
    env = patches.environment(known) if purpose.patch else environment.Environment(known)
    try:
        program = env.compile(text)
    except CelError as error:
        return Compiled(text, None, f"compilation failed: {error}")
    if purpose is not VARIABLE and program.result not in purpose.results:
        return Compiled(text, None, _wrong_result(purpose.results))
    return Compiled(text, program)


RESULT_NAMES = {"null": "null_type"}


def _wrong_result(results: Sequence[Type]) -> str:
    names = [RESULT_NAMES.get(kind.name, str(kind)) for kind in results]
    return f"must evaluate to {names[0]}" if len(names) == 1 else f"must evaluate to one of [{' '.join(names)}]"


@lru_cache(maxsize=1024)
def _variable_types(variables: Variables, params: bool) -> Mapping[str, Type]:
    found: dict[str, Type] = {}
    for position, (name, text) in enumerate(variables):
        program = compiled(text, VARIABLE, params, variables[:position]).program
        found[name] = DYN if program is None else program.result
    return found


def variables_of(spec: Mapping[str, Any]) -> Variables:
    """A policy's variables, as ``compiled`` wants them."""
    return tuple((entry.get("name") or "", entry.get("expression") or "") for entry in spec.get("variables") or ())
