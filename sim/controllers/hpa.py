"""HorizontalPodAutoscalers.

Source: k8s.io/kubernetes/pkg/controller/podautoscaler/horizontal.go.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from seatrial.sim.apiserver.request import Object
from seatrial.sim.config import AutoscalingSpec
from seatrial.sim.controllers import hpa_limits as limits
from seatrial.sim.controllers import hpa_metrics as metrics
from seatrial.sim.controllers.actions import Action, After, Get, Outcome, Record, Steps, Turn, Update, update_status
from seatrial.sim.controllers.conditions import put_in_place
from seatrial.sim.controllers.controller import Controller, Seen
from seatrial.sim.controllers.hpa_calculator import Scope, Tolerances
from seatrial.sim.controllers.ownership import labels_of
from seatrial.sim.machinery import selectors
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.machinery.kinds import Resource
from seatrial.sim.machinery.quantity import parse

AUTOSCALERS = "horizontalpodautoscalers.autoscaling"
SETTINGS = AutoscalingSpec()
"""Of a controller that is driven by hand."""
UNABLE = "the HPA was unable to compute the replica count: "
FULL_STOP = -1
"""No replica count can be given."""


@dataclass(slots=True)
class Run:
    """An autoscaler during one reconcile."""

    turn: Turn
    hpa: Object
    settings: AutoscalingSpec
    conditions: list[Mapping[str, Any]]
    resource: Resource | None = None
    scale: Object = field(default_factory=dict)
    statuses: list[dict[str, Any]] | None = None
    desired: int | None = None
    """What the status will show; None keeps what it shows now."""
    rescaled: bool = False

    @property
    def spec(self) -> Any:
        return self.hpa["spec"]

    @property
    def current(self) -> int:
        replicas: int = (self.scale.get("spec") or {}).get("replicas", 0)
        return replicas

    @property
    def bounds(self) -> limits.Bounds:
        return limits.Bounds(self.spec.get("minReplicas", 1), self.spec["maxReplicas"])

    def say(self, type_: str, status: str, reason: str, message: str) -> None:
        fresh = {"type": type_, "status": status, "lastTransitionTime": self.turn.stamp}
        self.conditions = put_in_place(self.conditions, {**fresh, "reason": reason, "message": message})

    def event(self, type_: str, reason: str, message: str) -> Record:
        return Record(self.hpa, type_, reason, message)


def reconcile(turn: Turn) -> Steps:
    namespace, name = turn.key
    hpa = turn.view(AUTOSCALERS).get(namespace, name)
    settings = SETTINGS if turn.settings is None else turn.settings.autoscaling
    if hpa is None:
        for kind in ("log", "history"):
            turn.memory.pop((kind, turn.key), None)
        turn.memory.get(("selectors", namespace), {}).pop(name, None)
        return None
    run = Run(turn, hpa, settings, list((hpa.get("status") or {}).get("conditions") or ()))
    yield from _autoscale(run)
    yield from _write_status(run)
    return Outcome(settings.sync_period_us, periodic=True)


def _autoscale(run: Run) -> Generator[Action, Any, None]:
    if not (yield from _read_scale(run)):
        return
    run.say("AbleToScale", "True", "SucceededGetScale", "the HPA controller was able to get the target's current scale")
    turn, current, bounds = run.turn, run.current, run.bounds
    turn.memory.setdefault(("log", turn.key), [limits.Recommendation(current, turn.now)])
    reason = ""
    if current == 0 and not (bounds.minimum == 0 and _scaled_to_zero(run)):
        text = "scaling is disabled since the replica count of the target is zero"
        run.say("ScalingActive", "False", "ScalingDisabled", text)
        desired = 0
    elif current > bounds.maximum:
        desired, reason = bounds.maximum, "Current number of replicas above Spec.MaxReplicas"
    elif current < bounds.minimum:
        desired, reason = bounds.minimum, "Current number of replicas below Spec.MinReplicas"
    else:
        proposed, metric = yield from _propose(run)
        if proposed == FULL_STOP:
            return
        if proposed > current:
            reason = f"{metric} above target"
        elif proposed < current:
            reason = "All metrics below target"
        desired = _normalized(run, proposed)
    run.desired = desired
    if desired != current:
        yield from _rescale(run, desired, reason)


def _scaled_to_zero(run: Run) -> bool:
    """Whether this autoscaler took the target to zero; a person's zero is left alone."""
    return any(each["type"] == "ScaledToZero" and each["status"] == "True" for each in run.conditions)


def _needs_no_pods(run: Run) -> bool:
    return any(each["type"] in ("Object", "External") for each in run.spec.get("metrics") or ())


def _read_scale(run: Run) -> Generator[Action, Any, bool]:
    ref = run.spec["scaleTargetRef"]
    group, _, version = ref.get("apiVersion", "v1").rpartition("/")
    run.resource = run.turn.shared["kinds"].by_kind(group, version, ref["kind"])
    problem: str
    if run.resource is None:
        problem = f'no matches for kind "{ref["kind"]}" in group "{group}"'
    else:
        try:
            run.scale = yield Get(run.resource, run.hpa["metadata"]["namespace"], ref["name"], "scale")
            return True
        except ApiError as error:
            problem = str(error)
    yield run.event("Warning", "FailedGetScale", problem)
    text = f"the HPA controller was unable to get the target's current scale: {problem}"
    run.say("AbleToScale", "False", "FailedGetScale", text)
    return False


# --- what the metrics ask for


def _propose(run: Run) -> Generator[Action, Any, tuple[int, str]]:
    """(replicas, metric), FULL_STOP when no answer can be given (computeReplicasForMetrics)."""
    selector = yield from _selector(run)
    if selector is None:
        return FULL_STOP, ""
    turn, namespace = run.turn, run.hpa["metadata"]["namespace"]
    matches = selectors.labels(selector)
    pods = [pod for pod in turn.view("pods").list(namespace) if matches(labels_of(pod))]
    scope = Scope(pods, run.current, _tolerances(run), run.settings, turn.now)
    status_replicas = (run.scale.get("status") or {}).get("replicas", 0)
    target = metrics.Target(namespace, selector, status_replicas, scope)
    specs = run.spec.get("metrics") or []
    run.statuses = [{"type": ""} for _ in specs]
    replicas, name, failures = 0, "", []
    for index, spec in enumerate(specs):
        try:
            answer = yield from metrics.evaluate(spec, target, turn.shared["kinds"])
        except metrics.Failure as failure:
            yield run.event("Warning", failure.reason, failure.cause)
            failures.append(failure)
            continue
        run.statuses[index] = answer.status
        if replicas == 0 or answer.proposal.replicas > replicas:
            replicas, name = answer.proposal.replicas, answer.name
    if failures and (len(failures) >= len(specs) or replicas < run.current):
        run.say("ScalingActive", "False", failures[0].reason, UNABLE + failures[0].cause)
        text = f"invalid metrics ({len(failures)} invalid out of {len(specs)}), first error is: {failures[0].wrapped}"
        yield run.event("Warning", "FailedComputeMetricsReplicas", text)
        return FULL_STOP, ""
    text = f"the HPA was able to successfully calculate a replica count from {name}"
    run.say("ScalingActive", "True", "ValidMetricFound", text)
    return replicas, name


def _tolerances(run: Run) -> Tolerances:
    """The autoscaler's own, or those of the flag."""
    behavior = run.spec.get("behavior") or {}
    values = []
    for direction in ("scaleDown", "scaleUp"):
        own = (behavior.get(direction) or {}).get("tolerance")
        values.append(run.settings.tolerance if own is None else parse(own).milli_value() / 1000)
    return Tolerances(*values)


def _selector(run: Run) -> Generator[Action, Any, str | None]:
    """The target's selector; None when it is missing or shared with another autoscaler."""
    text: str = (run.scale.get("status") or {}).get("selector", "")
    reason = problem = event = ""
    if not text:
        problem, event, reason = "selector is required", "SelectorRequired", "InvalidSelector"
        message = "the HPA target's scale is missing a selector"
    else:
        try:
            others = _sharing(run, text)
        except ApiError as error:
            reason = event = "InvalidSelector"
            message = problem = f"couldn't convert selector into a corresponding internal selector object: {error}"
        else:
            if len(others) <= 1:
                return text
            reason = event = "AmbiguousSelector"
            message = problem = f"pods by selector {text} are controlled by multiple HPAs: [{' '.join(others)}]"
    yield run.event("Warning", event, problem)
    run.say("ScalingActive", "False", reason, message)
    run.statuses = None
    yield run.event("Warning", "FailedComputeMetricsReplicas", problem)
    return None


def _sharing(run: Run, text: str) -> list[str]:
    """Keys of the autoscalers whose selectors match pods that this one's selector matches. Raises ApiError."""
    metadata = run.hpa["metadata"]
    namespace = metadata["namespace"]
    known: dict[str, str] = run.turn.memory.setdefault(("selectors", namespace), {})
    known[metadata["name"]] = text
    mine = selectors.labels(text)
    pods = [labels_of(pod) for pod in run.turn.view("pods").list(namespace) if mine(labels_of(pod))]
    return [
        f"{namespace}/{name}"
        for name, other in known.items()
        if any(selectors.labels(other)(labels) for labels in pods)
    ]


# --- what is allowed


def _normalized(run: Run, proposed: int) -> int:
    """The proposal after stabilisation and limits, with conditions that say what they did."""
    turn, behavior = run.turn, run.spec.get("behavior")
    log = turn.memory["log", turn.key]
    if behavior is None:
        stable, log = limits.stabilize(log, proposed, turn.now, run.settings.downscale_window_us)
        why = limits.DOWN_STABILIZED
        limited = limits.limit(run.current, stable, run.bounds)
    else:
        up, down = behavior.get("scaleUp") or {}, dict(behavior.get("scaleDown") or {})
        if down.get("stabilizationWindowSeconds") is None:
            down["stabilizationWindowSeconds"] = run.settings.downscale_window_us // 1_000_000
        result, log = limits.stabilize_with_behavior(log, run.current, proposed, turn.now, up, down)
        stable, why = result.replicas, (result.reason, result.message)
        history = turn.memory.get(("history", turn.key), limits.History())
        limited = limits.limit_with_behavior(run.current, stable, run.bounds, history, up, down, turn.now)
    turn.memory["log", turn.key] = log
    if stable != proposed:
        run.say("AbleToScale", "True", *why)
    else:
        run.say("AbleToScale", "True", "ReadyForNewScale", "recommended size matches current size")
    run.say("ScalingLimited", "False" if limited.replicas == stable else "True", limited.reason, limited.message)
    return limited.replicas


def _rescale(run: Run, desired: int, reason: str) -> Generator[Action, Any, None]:
    current = run.current
    scale = {**run.scale, "spec": {**(run.scale.get("spec") or {}), "replicas": desired}}
    try:
        yield Update(run.resource, scale, "scale")
    except ApiError as error:
        yield run.event("Warning", "FailedRescale", f"New size: {desired}; reason: {reason}; error: {error}")
        text = f"the HPA controller was unable to update the target scale: {error}"
        run.say("AbleToScale", "False", "FailedUpdateScale", text)
        run.desired = None
        return
    text = f"the HPA controller was able to update the target scale to {desired}"
    run.say("AbleToScale", "True", "SucceededRescale", text)
    yield run.event("Normal", "SuccessfulRescale", f"New size: {desired}; reason: {reason}")
    if current and desired == run.bounds.minimum == 0 and _needs_no_pods(run):
        run.say("ScaledToZero", "True", "ScaledToZero", "the HPA controller scaled the workload to zero")
    else:
        text = "the HPA controller did not scale the workload to zero"
        run.say("ScaledToZero", "False", "NotScaledToZero", text)
    _remember(run, desired - current)
    run.rescaled = True


def _remember(run: Run, change: int) -> None:
    behavior = run.spec.get("behavior")
    if behavior is None:
        return
    turn = run.turn
    key = ("history", turn.key)
    before = turn.memory.get(key, limits.History())
    direction = "scaleUp" if change > 0 else "scaleDown"
    policies = (behavior.get(direction) or {}).get("policies") or []
    events = before.ups if change > 0 else before.downs
    after = limits.store_event(events, abs(change), policies, turn.now)
    turn.memory[key] = before._replace(ups=after) if change > 0 else before._replace(downs=after)


def _write_status(run: Run) -> Generator[Action, Any, None]:
    before = run.hpa.get("status") or {}
    status: dict[str, Any] = {}
    if before.get("lastScaleTime"):
        status["lastScaleTime"] = before["lastScaleTime"]
    if run.rescaled:
        status["lastScaleTime"] = run.turn.stamp
    current = run.current if run.scale else before.get("currentReplicas", 0)
    if current:
        status["currentReplicas"] = current
    status["desiredReplicas"] = before.get("desiredReplicas", 0) if run.desired is None else run.desired
    status["currentMetrics"] = run.statuses if run.scale else before.get("currentMetrics")
    if run.conditions:
        status["conditions"] = run.conditions
    generation = run.hpa["metadata"].get("generation")
    if generation:
        status["observedGeneration"] = generation
    if status != before:
        yield update_status(AUTOSCALERS, run.hpa, status)


def hpa_keys(seen: Seen) -> Iterable[Any]:
    """A new one at once; changes wait for the rhythm."""
    metadata = seen.obj["metadata"]
    key = (metadata["namespace"], metadata["name"])
    if seen.verb == "MODIFIED":
        settings = SETTINGS if seen.settings is None else seen.settings.autoscaling
        return (After(key, settings.sync_period_us, True),)
    return (key,)


CONTROLLER = Controller(
    name="horizontal-pod-autoscaler-controller",
    account="horizontal-pod-autoscaler",
    reconcile=reconcile,
    watches=((AUTOSCALERS, hpa_keys),),
    reads=("pods",),
)
