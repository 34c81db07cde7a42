"""What the expressions of a policy or match condition see of a request, and the budget they run on.

Source: k8s.io/apiserver/pkg/admission/plugin/cel (activation.go, condition.go, composition.go) and
…/plugin/webhook/matchconditions. *Not modelled*: a request for a scale shows the object whose scale it is
instead of the Scale, which has the same spec.replicas.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from seatrial.sim.apiserver.admission import matching
from seatrial.sim.apiserver.authorization import Attributes as Asked
from seatrial.sim.apiserver.context import Attributes, Context
from seatrial.sim.apiserver.options import first
from seatrial.sim.apiserver.request import Object, User
from seatrial.sim.kernel.stamps import parse_stamp
from seatrial.sim.machinery import conversion
from seatrial.sim.machinery.cel import admission as expressions
from seatrial.sim.machinery.cel.authorization import Answer, Question, authorizer, request_resource
from seatrial.sim.machinery.cel.errors import EvaluationError
from seatrial.sim.machinery.cel.values import Timestamp
from seatrial.sim.machinery.kinds import Resource

OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"
NAMESPACE_FIELDS = (
    "name", "generateName", "namespace", "labels", "annotations", "deletionGracePeriodSeconds", "generation",
    "resourceVersion", "finalizers",
)  # fmt: skip
MOMENTS = ("creationTimestamp", "deletionTimestamp")


class OutOfBudget(Exception):
    """The expressions of a policy cost more than they may; none of the rest is run."""

    def __str__(self) -> str:
        return OUT_OF_BUDGET


def gvk(resource: Resource, subresource: str = "") -> dict[str, str]:
    """The kind of what is sent to a resource, or to a subresource of it."""
    own = resource.subresources.get(subresource) if subresource else None
    if own is None:
        return {"group": resource.group, "version": resource.version, "kind": resource.kind}
    version = own.version or resource.version
    group = own.group if own.version else resource.group
    return {"group": group, "version": version, "kind": own.kind}


def gvr(resource: Resource) -> dict[str, str]:
    return {"group": resource.group, "version": resource.version, "resource": resource.plural}


def admission_request(attributes: Attributes, shown_as: Resource) -> dict[str, Any]:
    """The AdmissionRequest, without the objects and its uid."""
    request: dict[str, Any] = {"kind": gvk(shown_as, attributes.subresource), "resource": gvr(shown_as)}
    if attributes.subresource:
        request["subResource"] = attributes.subresource
    request["requestKind"] = gvk(attributes.resource, attributes.subresource)
    request["requestResource"] = gvr(attributes.resource)
    if attributes.subresource:
        request["requestSubResource"] = attributes.subresource
    if attributes.name and not _unnamed(attributes):
        request["name"] = attributes.name
    namespace = attributes.name if attributes.resource.storage == "namespaces" else attributes.namespace
    if namespace:
        request["namespace"] = namespace
    request["operation"], request["userInfo"] = attributes.operation, attributes.user.info()
    return request


def _unnamed(attributes: Attributes) -> bool:
    """Whether the object's name is still to be generated: the attributes name what it will begin with."""
    return attributes.operation == "CREATE" and not ((attributes.object or {}).get("metadata") or {}).get("name")


OPTIONS = {
    "CREATE": ("CreateOptions", ("fieldManager", "fieldValidation")),
    "UPDATE": ("UpdateOptions", ("fieldManager", "fieldValidation")),
    "DELETE": ("DeleteOptions", ("propagationPolicy",)),
}
"""The kind of options of each operation, and what of them a query may say."""


def operation_options(context: Context, operation: str) -> dict[str, Any] | None:
    """The options that the request came with."""
    kind, names = OPTIONS.get(operation, ("", ()))
    if not kind:
        return None
    options: dict[str, Any] = {"kind": kind, "apiVersion": "meta.k8s.io/v1"}
    if context.dry_run:
        options["dryRun"] = ["All"]
    for name in names:
        if value := first(context.query, name):
            options[name] = value
    return options


def shown(obj: Object | None, resource: Resource) -> Object | None:
    """An object in the version that a policy or webhook wants to see."""
    return None if obj is None else conversion.convert(obj, resource)


def _namespace_value(namespace: Object | None) -> Any:
    if namespace is None:
        return None
    held = namespace["metadata"]
    metadata = {key: held[key] for key in NAMESPACE_FIELDS if key in held}
    for key in MOMENTS:
        if key in held:
            metadata[key] = Timestamp(parse_stamp(held[key]) * 1000)
    metadata["UID"] = held.get("uid", "")
    return {"metadata": metadata, "spec": namespace.get("spec") or {}, "status": namespace.get("status") or {}}


def _answer(context: Context) -> Answer:
    """The authorizer, as expressions ask it."""

    def answer(question: Question) -> tuple[bool, str]:
        user = context.user
        if question.user:
            namespace = question.user.split(":")[2]
            groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
            user = User(question.user, groups)
        if question.path:
            asked = Asked(question.verb, path=question.path)
        else:
            asked = Asked(
                question.verb,
                question.group,
                "*",
                question.resource,
                question.subresource,
                question.namespace,
                question.name,
            )
        return context.server.authorizer.explain(user, asked)

    return answer


class Inputs:
    """The bindings of one policy (or webhook) for one request and one parameter object."""

    def __init__(
        self,
        context: Context,
        attributes: Attributes,
        shown_as: Resource,
        params: Object | None = None,
        spec: Mapping[str, Any] | None = None,
    ) -> None:
        """``spec``: the policy's, for its variables and paramKind; None for a webhook."""
        spec = spec or {}
        self.has_params = spec.get("paramKind") is not None
        self.variables = expressions.variables_of(spec)
        self.budget = expressions.BUDGET
        self.bindings = _Bindings(context, attributes, shown_as)
        self.bindings["params"] = params
        self.bindings["variables"] = _Variables(self)

    def spend(self, cost: int) -> None:
        """Takes from the budget. Raises OutOfBudget."""
        self.budget -= cost
        if self.budget < 0:
            raise OutOfBudget

    def evaluate(self, text: str, purpose: expressions.Purpose) -> Any:
        """The value of an expression. Raises EvaluationError in the words of the server, and OutOfBudget."""
        variables = self.variables if purpose.variables else ()
        compiled = expressions.compiled(text, purpose, self.has_params, variables)
        return self.measured(compiled, "compilation error", f"expression '{text}' resulted in error")

    def measured(self, compiled: expressions.Compiled, uncompiled: str, failed: str) -> Any:
        """The value, its cost taken from the budget; the two texts begin what EvaluationError says."""
        if compiled.program is None:
            raise EvaluationError(f"{uncompiled}: {compiled.error}")
        try:
            value, cost = compiled.program.measured(self.bindings)
        except EvaluationError as error:
            self.spend(error.cost)
            raise EvaluationError(f"{failed}: {error}") from None
        self.spend(cost)
        return value

    def unmet(self, conditions: Sequence[Mapping[str, Any]]) -> tuple[bool, str]:
        """Whether some match condition is false, and else what went wrong while finding out."""
        problems: list[str] = []
        for condition in conditions:
            try:
                if self.evaluate(condition.get("expression") or "", expressions.MATCH) is False:
                    return True, ""
            except (EvaluationError, OutOfBudget) as error:
                problems.append(str(error))
        distinct = list(dict.fromkeys(problems))
        return False, distinct[0] if len(distinct) == 1 else f"[{', '.join(distinct)}]" if distinct else ""


class _Bindings(dict[str, Any]):
    """What expressions name: each is made when it is first named."""

    def __init__(self, context: Context, attributes: Attributes, shown_as: Resource) -> None:
        super().__init__()
        self._of = (context, attributes, shown_as)

    def __missing__(self, name: str) -> Any:
        value = self[name] = SOURCES[name](*self._of)
        return value


def _request(context: Context, attributes: Attributes, shown_as: Resource) -> Any:
    request = admission_request(attributes, shown_as)
    request["dryRun"] = attributes.dry_run
    request["options"] = operation_options(context, attributes.operation)
    return request


def _request_resource(context: Context, attributes: Attributes, shown_as: Resource) -> Any:
    resource = attributes.resource
    question = Question(
        group=resource.group,
        resource=resource.plural,
        subresource=attributes.subresource,
        namespace=attributes.namespace,
        name=attributes.name,
    )
    return request_resource(_answer(context), question)


SOURCES: Mapping[str, Callable[[Context, Attributes, Resource], Any]] = {
    "object": lambda context, attributes, shown_as: shown(attributes.object, shown_as),
    "oldObject": lambda context, attributes, shown_as: shown(attributes.old, shown_as),
    "request": _request,
    "namespaceObject": lambda context, attributes, _: _namespace_value(matching.namespace_of(context, attributes)),
    "authorizer": lambda context, attributes, _: authorizer(_answer(context)),
    "authorizer.requestResource": _request_resource,
}


class _Variables(dict[str, Any]):
    """A policy's variables: each is evaluated when it is first named."""

    def __init__(self, inputs: Inputs) -> None:
        super().__init__()
        self._inputs = inputs

    def __contains__(self, name: object) -> bool:
        return any(name == known for known, _ in self._inputs.variables)

    def __missing__(self, name: str) -> Any:
        inputs = self._inputs
        names = [known for known, _ in inputs.variables]
        if name not in names:
            raise KeyError(name)
        position = names.index(name)
        text, before = inputs.variables[position][1], inputs.variables[:position]
        compiled = expressions.compiled(text, expressions.VARIABLE, inputs.has_params, before)
        variable = f'composited variable "{name}" fails to'
        value = self[name] = inputs.measured(compiled, f"{variable} compile", f"{variable} evaluate")
        return value
