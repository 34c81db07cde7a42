"""How many replicas a metric asks for: pure functions over pods and samples.

Source: k8s.io/kubernetes/pkg/controller/podautoscaler/replica_calculator.go and metrics/utilization.go. Values are in
thousandths of the metric's unit, as upstream computes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Any, NamedTuple

from seatrial.sim.apiserver.request import Object
from seatrial.sim.config import AutoscalingSpec, S
from seatrial.sim.controllers.podstate import condition, is_ready, is_terminating, phase
from seatrial.sim.kernel.clock import parse_stamp
from seatrial.sim.machinery.quantity import parse


class MetricError(Exception):
    """Why a metric gives no answer."""


class Tolerances(NamedTuple):
    down: float
    up: float

    def within(self, ratio: float) -> bool:
        return 1.0 - self.down <= ratio <= 1.0 + self.up


class Sample(NamedTuple):
    """One pod's metric."""

    value: int
    at: int = 0
    """µs: end of the window it was taken over."""
    window: int = 60 * S


Samples = Mapping[str, Sample]


class Groups(NamedTuple):
    """Pods by what their samples are worth."""

    ready: int
    unready: list[str]
    missing: list[str]
    ignored: list[str]


class Proposal(NamedTuple):
    replicas: int
    value: int
    """The metric as it is reported: utilisation in percent, or thousandths of its unit."""
    average: int = 0
    """Of a utilisation: the plain average per pod."""


class Scope(NamedTuple):
    """What a calculation looks at."""

    pods: Sequence[Object]
    """All that the target's selector matches."""
    current: int
    """Replicas the target asks for."""
    tolerances: Tolerances
    settings: AutoscalingSpec
    now: int


def group(pods: Iterable[Object], samples: Samples, resource: str, settings: AutoscalingSpec, now: int) -> Groups:
    """groupPods."""
    groups = Groups(0, [], [], [])
    ready = 0
    for pod in pods:
        name = pod["metadata"]["name"]
        if is_terminating(pod) or phase(pod) == "Failed":
            groups.ignored.append(name)
        elif phase(pod) == "Pending":
            groups.unready.append(name)
        elif name not in samples:
            groups.missing.append(name)
        elif resource == "cpu" and _warms_up(pod, samples[name], settings, now):
            groups.unready.append(name)
        else:
            ready += 1
    return groups._replace(ready=ready)


def _warms_up(pod: Object, sample: Sample, settings: AutoscalingSpec, now: int) -> bool:
    """Whether the pod's CPU use says nothing yet about its load."""
    found, started = condition(pod, "Ready"), (pod.get("status") or {}).get("startTime")
    if found is None or not started:
        return True
    began = parse_stamp(started)
    changed = parse_stamp(found["lastTransitionTime"]) if found.get("lastTransitionTime") else 0
    not_ready: bool = found["status"] == "False"
    if began + settings.cpu_initialization_us > now:
        return not_ready or sample.at < changed + sample.window
    return not_ready and began + settings.initial_readiness_us > changed


def requests_of(pods: Iterable[Object], container: str, resource: str) -> dict[str, int]:
    """Requests by pod, of one container or of all. Raises MetricError for a container without one."""
    result: dict[str, int] = {}
    for pod in pods:
        name, spec = pod["metadata"]["name"], pod["spec"]
        whole = (spec.get("resources") or {}).get("requests") or {}
        if not container and resource in whole:
            result[name] = parse(whole[resource]).milli_value()
            continue
        sidecars = [each for each in spec.get("initContainers") or () if each.get("restartPolicy") == "Always"]
        total = 0
        for each in (*spec["containers"], *sidecars):
            if container and each["name"] != container:
                continue
            request = ((each.get("resources") or {}).get("requests") or {}).get(resource)
            if request is None:
                raise MetricError(f"missing request for {resource} in container {each['name']} of Pod {name}")
            total += parse(request).milli_value()
        result[name] = total
    return result


def _counted(scope: Scope, samples: Samples, resource: str) -> tuple[Groups, dict[str, Sample]]:
    if not scope.pods:
        raise MetricError("no pods returned by selector while calculating replica count")
    groups = group(scope.pods, samples, resource, scope.settings, scope.now)
    unusable = {*groups.ignored, *groups.unready}
    usable = {name: sample for name, sample in samples.items() if name not in unusable}
    if not usable:
        raise MetricError("did not receive metrics for targeted pods (pods might be unready)")
    return groups, usable


class _Ratio(NamedTuple):
    ratio: float
    value: int
    average: int


def _utilization(samples: Samples, requests: Mapping[str, int], target: int) -> _Ratio:
    known = [name for name in samples if name in requests]
    total, requested = sum(samples[name].value for name in known), sum(requests[name] for name in known)
    if not requested:
        raise MetricError("no metrics returned matched known pods")
    percent = total * 100 // requested
    return _Ratio(percent / target, percent, total // len(known))


def _plain(samples: Samples, target: int) -> _Ratio:
    average = sum(sample.value for sample in samples.values()) // len(samples)
    return _Ratio(average / target, average, average)


def utilization_replicas(scope: Scope, samples: Samples, target: int, resource: str, container: str = "") -> Proposal:
    """For a target in percent of requests (GetResourceReplicas)."""
    groups, usable = _counted(scope, samples, resource)
    requests = requests_of(scope.pods, container, resource)
    first = _utilization(usable, requests, target)
    fallback = {name: max(100, target) * requests[name] // 100 for name in groups.missing}
    replicas = _replicas(scope, groups, usable, first, fallback, lambda filled: _utilization(filled, requests, target))
    return Proposal(replicas, first.value, first.average)


def average_replicas(scope: Scope, samples: Samples, target: int, resource: str = "") -> Proposal:
    """For a target per pod (calcPlainMetricReplicas)."""
    groups, usable = _counted(scope, samples, resource)
    first = _plain(usable, target)
    fallback = dict.fromkeys(groups.missing, target)
    replicas = _replicas(scope, groups, usable, first, fallback, lambda filled: _plain(filled, target))
    return Proposal(replicas, first.value)


def _replicas(
    scope: Scope, groups: Groups, usable: Samples, first: _Ratio, fallback: Mapping[str, int], again: Any
) -> int:
    """With guesses for pods without usable samples, which never turn the direction around."""
    ratio, current = first.ratio, scope.current
    unready_matter = bool(groups.unready) and ratio > 1.0
    if not unready_matter and not groups.missing:
        return current if scope.tolerances.within(ratio) else ceil(ratio * groups.ready)
    filled = dict(usable)
    for name in groups.missing:
        if ratio < 1.0:
            filled[name] = Sample(fallback[name])
        elif ratio > 1.0:
            filled[name] = Sample(0)
    if unready_matter:
        filled.update(dict.fromkeys(groups.unready, Sample(0)))
    second: float = again(filled).ratio
    if scope.tolerances.within(second) or (ratio < 1.0 < second) or (second < 1.0 < ratio):
        return current
    replicas = ceil(second * len(filled))
    if (second < 1.0 and replicas > current) or (second > 1.0 and replicas < current):
        return current
    return replicas


def value_replicas(scope: Scope, usage: int, target: int) -> Proposal:
    """For one value that all replicas share (GetObjectMetricReplicas, GetExternalMetricReplicas)."""
    ratio = usage / target
    if scope.current == 0:
        return Proposal(ceil(ratio), usage)
    if scope.tolerances.within(ratio):
        return Proposal(scope.current, usage)
    if not scope.pods:
        raise MetricError("no pods returned by selector while calculating replica count")
    ready = sum(phase(pod) == "Running" and is_ready(pod) for pod in scope.pods)
    return Proposal(ceil(ratio * ready), usage)


def per_pod_replicas(scope: Scope, status_replicas: int, usage: int, target_average: int) -> Proposal:
    """For one value divided by the replicas (GetObjectPerPodMetricReplicas, GetExternalPerPodMetricReplicas)."""
    replicas = status_replicas
    ratio = usage / (target_average * replicas) if replicas else float("inf")
    if not scope.tolerances.within(ratio):
        replicas = ceil(usage / target_average)
    return Proposal(replicas, ceil(usage / status_replicas) if status_replicas else usage)
