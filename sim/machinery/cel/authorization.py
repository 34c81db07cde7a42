"""Questions to the authorizer: authorizer.group('').resource('pods').check('create').allowed().

Source: k8s.io/apiserver/pkg/cel/library (authz.go). Who answers is a function that comes in with the ``authorizer``
variable; a check is put together step by step and asked at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from seatrial.sim.machinery.cel.declarations import fixed, overload
from seatrial.sim.machinery.cel.errors import EvaluationError
from seatrial.sim.machinery.cel.values import Opaque

CHECK_COST = 350_000
"""Few checks fit into one expression (library.CostEstimator)."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked; ``user`` is empty for the one who sent the request, else a service account's full name."""

    verb: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    user: str = ""
    field_selector: str = ""
    label_selector: str = ""


Answer = Callable[[Question], tuple[bool, str]]
"""From a question to whether it is allowed, and why."""


@dataclass(frozen=True, slots=True)
class _Asking:
    answer: Answer
    question: Question


class _Part(Opaque):
    __slots__ = ()

    def asking(self, **more: str) -> _Asking:
        held: _Asking = self.key
        return replace(held, question=replace(held.question, **more))


class Authorizer(_Part):
    """The ``authorizer`` variable."""

    __slots__ = ()
    type_name = "kubernetes.authorization.Authorizer"


class PathCheck(_Part):
    __slots__ = ()
    type_name = "kubernetes.authorization.PathCheck"


class GroupCheck(_Part):
    __slots__ = ()
    type_name = "kubernetes.authorization.GroupCheck"


class ResourceCheck(_Part):
    """Also what ``authorizer.requestResource`` is."""

    __slots__ = ()
    type_name = "kubernetes.authorization.ResourceCheck"


class Decision(Opaque):
    """The key: (allowed, reason)."""

    __slots__ = ()
    type_name = "kubernetes.authorization.Decision"


def authorizer(answer: Answer) -> Authorizer:
    return Authorizer(_Asking(answer, Question()))


def request_resource(answer: Answer, question: Question) -> ResourceCheck:
    return ResourceCheck(_Asking(answer, question))


def path(value: Authorizer, wanted: str) -> PathCheck:
    if not wanted:
        raise EvaluationError("path must not be empty")
    return PathCheck(value.asking(path=wanted))


def service_account(value: Authorizer, namespace: str, name: str) -> Authorizer:
    return Authorizer(value.asking(user=f"system:serviceaccount:{namespace}:{name}"))


def check(value: PathCheck | ResourceCheck, verb: str) -> Decision:
    asking = value.asking(verb=verb)
    return Decision(asking.answer(asking.question))


def _step(result: type[_Part], field: str) -> Callable[[Any, str], _Part]:
    return lambda value, text: result(value.asking(**{field: text}))


ONE, CHECK = fixed(1), fixed(CHECK_COST)

LIBRARY = (
    overload("path", "authorizer_path", "Authorizer.(string): PathCheck", path, ONE),
    overload("check", "pathcheck_check", "PathCheck.(string): Decision", check, CHECK),
    overload("group", "authorizer_group", "Authorizer.(string): GroupCheck", _step(GroupCheck, "group"), ONE),
    overload(
        "serviceAccount", "authorizer_serviceaccount", "Authorizer.(string, string): Authorizer", service_account, ONE
    ),
    overload(
        "resource", "groupcheck_resource", "GroupCheck.(string): ResourceCheck", _step(ResourceCheck, "resource"), ONE
    ),
    *(
        overload(
            name, f"resourcecheck_{name}", "ResourceCheck.(string): ResourceCheck", _step(ResourceCheck, field), ONE
        )
        for name, field in (
            ("subresource", "subresource"),
            ("namespace", "namespace"),
            ("name", "name"),
            ("fieldSelector", "field_selector"),
            ("labelSelector", "label_selector"),
        )
    ),
    overload("check", "resourcecheck_check", "ResourceCheck.(string): Decision", check, CHECK),
    overload("errored", "decision_errored", "Decision.(): bool", lambda decision: False, ONE),
    overload("error", "decision_error", "Decision.(): string", lambda decision: "", ONE),
    overload("allowed", "decision_allowed", "Decision.(): bool", lambda decision: decision.key[0], ONE),
    overload("reason", "decision_reason", "Decision.(): string", lambda decision: decision.key[1], ONE),
)
