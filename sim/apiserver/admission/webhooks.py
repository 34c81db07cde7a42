"""Admission webhooks: who is asked, in which order, and what their answers do.

Source: k8s.io/apiserver/pkg/admission/plugin/webhook (generic, mutating, validating). *Not modelled*: validating
webhooks are asked one after the other instead of at once, so that several slow ones take longer than upstream's; the
audit log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from seatrial.sim.apiserver.admission import matching, webhooks_client, webhooks_review
from seatrial.sim.apiserver.admission.policies_inputs import Inputs
from seatrial.sim.apiserver.admission.webhooks_client import CallFailed
from seatrial.sim.apiserver.context import Attributes, Context, Steps
from seatrial.sim.apiserver.request import Object
from seatrial.sim.kernel.streams import uid_from
from seatrial.sim.machinery import conversion, decode, defaults, errors, patch
from seatrial.sim.machinery.kinds import Resource

MUTATING = f"mutatingwebhookconfigurations.{matching.GROUP}"
VALIDATING = f"validatingwebhookconfigurations.{matching.GROUP}"
VALIDATING_BINDINGS = f"validatingadmissionpolicybindings.{matching.GROUP}"
POLICY_BINDINGS = f"mutatingadmissionpolicybindings.{matching.GROUP}"
TIMEOUT_S = 10
WITHOUT_EFFECT = ("None", "NoneOnDryRun")


class Hook(NamedTuple):
    """One webhook of one configuration."""

    key: tuple[str, int]
    spec: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.spec.get("name") or "")

    @property
    def fails_open(self) -> bool:
        return self.spec.get("failurePolicy") == "Ignore"


@dataclass(slots=True)
class Round:
    """What the mutating stages of one request remember between their two rounds (admission/reinvocation.go)."""

    again: bool = False
    """Whether this is the second round."""
    wanted: bool = False
    """Whether something changed the object so that a second round is due."""
    repeatable: dict[Any, None] = field(default_factory=dict)
    """Who was called and may be called again (reinvocationPolicy IfNeeded)."""
    due: dict[Any, None] = field(default_factory=dict)
    """Who of them is to be called again."""
    last: Object | None = None
    """The object after the stage's last call in the first round."""

    def begin(self, obj: Object | None) -> None:
        """The stage's turn: whatever others changed since its last one is a reason to call it again."""
        if self.again and self.last is not obj:
            self.due.update(self.repeatable)

    def changed(self) -> None:
        """A stage changed the object: whoever came before and wants to is called again."""
        self.due.update(self.repeatable)
        self.repeatable.clear()
        self.wanted = True


def hooks(context: Context, storage: str) -> Iterator[Hook]:
    """All webhooks, in the order of the names of their configurations."""
    for configuration in context.server.store.list(storage):
        for index, spec in enumerate(configuration.get("webhooks") or ()):
            yield Hook((configuration["metadata"]["name"], index), spec)


def wanted(context: Context) -> bool:
    """Whether anybody might want to change a request's object; most clusters have nobody."""
    store = context.server.store
    return bool(store.count(MUTATING) or store.count(POLICY_BINDINGS))


def configured(context: Context) -> bool:
    """Whether there is any webhook or bound policy."""
    store = context.server.store
    return wanted(context) or bool(store.count(VALIDATING) or store.count(VALIDATING_BINDINGS))


def _called_for(context: Context, attributes: Attributes, hook: Hook) -> Resource | None:
    """The version in which a webhook wants to see the request; None when it is not for it. Raises ApiError 403."""
    spec = hook.spec
    rules = spec.get("rules") or ()
    shown_as = matching.matched(context, attributes, spec, rules) if rules else None
    conditions = spec.get("matchConditions")
    if shown_as is None or not conditions:
        return shown_as
    unmet, problem = Inputs(context, attributes, shown_as).unmet(conditions)
    if problem and not unmet and not hook.fails_open:
        raise errors.forbidden(attributes.resource.group, attributes.resource.plural, attributes.name, problem)
    return None if unmet or problem else shown_as


def _ask(
    context: Context, attributes: Attributes, hook: Hook, shown_as: Resource, mutating: bool
) -> Steps[webhooks_review.Verdict | None]:
    """A webhook's verdict; None when it could not be asked and does not mind. Raises ApiError."""
    if attributes.dry_run and hook.spec.get("sideEffects") not in WITHOUT_EFFECT:
        raise errors.bad_request(f'admission webhook "{hook.name}" does not support dry run')
    uid = uid_from(context.server.streams("apiserver/webhooks"))
    version = webhooks_review.version_for(hook.spec)
    review = webhooks_review.review(context, attributes, shown_as, version, uid)
    timeout_s = hook.spec.get("timeoutSeconds") or TIMEOUT_S
    try:
        try:
            answer = yield from webhooks_client.call(context, hook.spec.get("clientConfig") or {}, review, timeout_s)
        except CallFailed as problem:
            raise CallFailed(f"failed to call webhook: {problem}") from None
        found = webhooks_review.verdict(answer, version, uid, mutating)
    except CallFailed as problem:
        if hook.fails_open:
            return None
        raise errors.internal(f'failed calling webhook "{hook.name}": {problem}') from None
    context.warnings.extend(found.warnings)
    if not found.allowed:
        raise webhooks_review.refusal(hook.name, found.status)
    return found


def validate(context: Context, attributes: Attributes) -> Steps[None]:
    """Asks the validating webhooks. Raises ApiError."""
    if matching.exempt(attributes):
        return
    for hook in hooks(context, VALIDATING):
        shown_as = _called_for(context, attributes, hook)
        if shown_as is not None:
            yield from _ask(context, attributes, hook, shown_as, mutating=False)


def mutate(context: Context, attributes: Attributes, round: Round) -> Steps[Object | None]:
    """The object as the mutating webhooks leave it. Raises ApiError."""
    if matching.exempt(attributes):
        return attributes.object
    round.begin(attributes.object)
    for hook in hooks(context, MUTATING):
        shown_as = _called_for(context, attributes, hook)
        if shown_as is None or (round.again and hook.key not in round.due):
            continue
        found = yield from _ask(context, attributes, hook, shown_as, mutating=True)
        if found is not None and found.operations:
            obj = _patched(attributes, shown_as, hook, found.operations)
            if obj != attributes.object:
                attributes = replace(attributes, object=obj)
                round.changed()
        if hook.spec.get("reinvocationPolicy") == "IfNeeded":
            round.repeatable[hook.key] = None
    round.last = attributes.object
    return attributes.object


def _patched(attributes: Attributes, shown_as: Resource, hook: Hook, operations: list[Any]) -> Object:
    if attributes.object is None:
        told = "attempted to modify the object, which is not supported for this operation"
        raise errors.internal(f'admission webhook "{hook.name}" {told}')
    before = conversion.convert(attributes.object, shown_as)
    try:
        changed = patch.json_patch(before, operations)
        return changed if attributes.own_body else accepted(changed, shown_as)
    except errors.ApiError as error:
        raise errors.internal(error.message) from None


def accepted(changed: Any, shown_as: Resource) -> Object:
    """A changed object as the server reads and stores it: typed, with its defaults. Raises ApiError."""
    obj, _ = decode.decode_value(shown_as, changed, "Ignore")
    return conversion.to_storage(defaults.default(shown_as, obj), shown_as)
