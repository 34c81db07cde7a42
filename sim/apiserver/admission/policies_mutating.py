"""MutatingAdmissionPolicy: expressions that change the object of a request.

Source: k8s.io/apiserver/pkg/admission/plugin/policy/mutating (dispatcher.go, patch/smd.go, patch/json_patch.go).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from seatrial.sim.apiserver.admission.policies_active import Failure, Invocation, invocations
from seatrial.sim.apiserver.admission.policies_inputs import Inputs, OutOfBudget
from seatrial.sim.apiserver.admission.webhooks import Round, accepted
from seatrial.sim.apiserver.context import Attributes, Context
from seatrial.sim.apiserver.request import Object
from seatrial.sim.machinery import configuration, conversion, errors, fieldsets, patch
from seatrial.sim.machinery.cel import admission as expressions
from seatrial.sim.machinery.cel.errors import EvaluationError
from seatrial.sim.machinery.cel.patches import plain
from seatrial.sim.machinery.fieldsets import Shape
from seatrial.sim.machinery.managers import shape_of


class _Impossible(Exception):
    """A mutation that cannot be made."""


def mutate(context: Context, attributes: Attributes, round: Round) -> Object | None:
    """The object as the mutating policies leave it. Raises ApiError 403 when one cannot be applied and says Fail."""
    problems: list[str] = []
    round.begin(attributes.object)
    for found in invocations(context, attributes, "mutatingadmission"):
        fails_closed = found.policy["spec"].get("failurePolicy") != "Ignore"
        try:
            if isinstance(found, Failure):
                raise _Impossible(found.message)
            attributes = replace(attributes, object=_mutated(context, attributes, found, round))
        except _Impossible as problem:
            if fails_closed:
                problems.append(_denied(found, str(problem)))
    round.last = attributes.object
    if problems:
        resource = attributes.resource
        causes = [{"message": problem} for problem in problems]
        refusal = errors.forbidden(resource.group, resource.plural, attributes.name, problems[0], causes)
        raise errors.ApiError(403, "Invalid", problems[0], refusal.details)
    return attributes.object


def _denied(found: Invocation | Failure, problem: str) -> str:
    policy = found.policy["metadata"]["name"]
    if found.binding is None:
        return f'policy "{policy}" denied request: {problem}'
    return f"policy '{policy}' with binding '{found.binding['metadata']['name']}' denied request: {problem}"


def _mutated(context: Context, attributes: Attributes, found: Invocation, round: Round) -> Object | None:
    """The object after all mutations of one policy. Raises _Impossible."""
    spec = found.policy["spec"]
    inputs = Inputs(context, attributes, found.shown_as, found.param, spec)
    unmet, problem = inputs.unmet(spec.get("matchConditions") or ())
    if problem:
        raise _Impossible(problem)
    param = found.param["metadata"] if found.param is not None else {}
    names = found.policy["metadata"]["name"], found.binding["metadata"]["name"]
    key = (*names, param.get("namespace"), param.get("name"))
    if unmet or (round.again and key not in round.due):
        return attributes.object
    before = attributes.object
    for mutation in spec.get("mutations") or ():
        if attributes.object is None:
            break
        attributes = replace(attributes, object=_applied(context, attributes, found, mutation))
    if attributes.object != before:
        round.changed()
    if spec.get("reinvocationPolicy") == "IfNeeded":
        round.repeatable[key] = None
    return attributes.object


def _applied(context: Context, attributes: Attributes, found: Invocation, mutation: Mapping[str, Any]) -> Object:
    assert attributes.object is not None
    shown_as = found.shown_as
    before = conversion.convert(attributes.object, shown_as)
    inputs = Inputs(context, attributes, shown_as, found.param, found.policy["spec"])
    try:
        if mutation.get("patchType") == "JSONPatch":
            text = (mutation.get("jsonPatch") or {}).get("expression") or ""
            changed = _json_patched(before, inputs.evaluate(text, expressions.JSON_PATCH))
        else:
            text = (mutation.get("applyConfiguration") or {}).get("expression") or ""
            config = plain(inputs.evaluate(text, expressions.APPLY))
            config = {**config, "apiVersion": shown_as.api_version, "kind": shown_as.kind}
            changed = _merged(shape_of(shown_as), before, config)
    except (EvaluationError, OutOfBudget) as error:
        raise _Impossible(str(error)) from None
    if changed is before:
        return attributes.object
    return changed if attributes.own_body else accepted(changed, shown_as)


def _json_patched(before: Object, operations: Any) -> Any:
    """The object after the operations; unchanged when a test among them fails."""
    try:
        return patch.json_patch(before, [plain(operation) for operation in operations])
    except errors.ApiError as error:
        tests = [plain(operation) for operation in operations if operation.get("op") == "test"]
        if tests and not _all_apply(before, tests):
            return before
        raise _Impossible(f"JSONPath: {error.message}") from None


def _all_apply(before: Object, operations: list[Any]) -> bool:
    try:
        patch.json_patch(before, operations)
    except errors.ApiError:
        return False
    return True


def _merged(shape: Shape, before: Object, config: Object) -> Object:
    """A configuration laid over the object, as server-side apply would, without taking note of owners."""
    atomics = list(_atomics(shape, config, ""))
    if atomics:
        listed = ", ".join(atomics)
        told = f"invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: {listed}"
        raise _Impossible(f"error applying patch: {told}")
    try:
        merged: Object = configuration.merge(shape, before, config)
    except fieldsets.Keyless as problem:
        raise _Impossible(f"error applying patch: failed to convert patch object to typed object: {problem}") from None
    return merged


def _atomics(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """Paths of lists and maps that can only be replaced as a whole: an expression that writes one may not mean that."""
    if not isinstance(value, dict | list):
        return
    if shape.kind == "leaf" or (shape.kind == "any" and isinstance(value, list)):
        yield path
        return
    if isinstance(value, dict):
        for key, held in value.items():
            yield from _atomics(shape.below(key), held, f"{path}.{key}")
        return
    for index, held in enumerate(value):
        if shape.element is not None:
            yield from _atomics(shape.element, held, f"{path}[{index}]")
