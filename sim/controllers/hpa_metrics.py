"""Metrics from the API server's aggregated APIs, and what each kind of metric asks for.

Source: k8s.io/kubernetes/pkg/controller/podautoscaler (horizontal.go computeReplicasForMetric, metrics/client.go) and
k8s.io/metrics.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, NamedTuple

from seatrial.sim.apiserver.request import Object
from seatrial.sim.config import MS, S
from seatrial.sim.controllers import hpa_calculator as calculator
from seatrial.sim.controllers.actions import Action, Call
from seatrial.sim.controllers.hpa_calculator import MetricError, Proposal, Sample, Scope
from seatrial.sim.kernel.clock import parse_stamp
from seatrial.sim.machinery import selectors
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.machinery.kinds import Kinds
from seatrial.sim.machinery.quantity import parse

RESOURCE_API = "/apis/metrics.k8s.io/v1beta1"
CUSTOM_API = "/apis/custom.metrics.k8s.io/v1beta2"
EXTERNAL_API = "/apis/external.metrics.k8s.io/v1beta1"
UNSPOKEN = {
    404: "the server could not find the requested resource",
    503: "the server is currently unable to handle the request",
}
"""What client-go says of an answer that says nothing itself."""
WINDOW_UNITS = {"ms": MS, "s": S, "m": 60 * S, "h": 3600 * S}

Fetched = Generator[Action, Any, Any]


class Target(NamedTuple):
    """What is scaled, as its scale says."""

    namespace: str
    selector: str
    status_replicas: int
    scope: Scope


class Answer(NamedTuple):
    """What one metric says."""

    proposal: Proposal
    name: str
    status: dict[str, Any]
    """The metric's current value, as the status shows it."""


class Failure(Exception):
    """A metric that gives no answer: the condition's reason, its cause, and how the sum of all failures words it."""

    def __init__(self, reason: str, cause: str, wrapped: str) -> None:
        super().__init__(reason, cause, wrapped)
        self.reason, self.cause, self.wrapped = reason, cause, wrapped


def milli(value: int) -> str:
    """A quantity of thousandths in its canonical form."""
    return str(parse(f"{value}m"))


def evaluate(spec: Mapping[str, Any], target: Target, kinds: Kinds) -> Generator[Action, Any, Answer]:
    """Raises Failure."""
    row = EVALUATE.get(spec.get("type", ""))
    if row is None:
        text = f'unknown metric source type "{spec.get("type", "")}"'
        raise Failure("InvalidMetricSourceType", text, text)
    compute, reason, wrap = row
    try:
        answer: Answer = yield from compute(spec, target, kinds)
        return answer
    except MetricError as error:
        raise Failure(reason, str(error), wrap(spec, str(error))) from None


# --- resource metrics


def _window(text: str) -> int:
    """µs of a Go duration such as ``15s`` or ``1m0s``."""
    total, number, unit = 0.0, "", ""
    for character in [*text, "0"]:
        if character.isdigit() or character == ".":
            if unit:
                total += float(number or 0) * WINDOW_UNITS.get(unit, S)
                number, unit = "", ""
            number += character
        else:
            unit += character
    return int(total)


def _fetch(path: str, query: Mapping[str, tuple[str, ...]], what: str, resource: str) -> Fetched:
    try:
        return (yield Call("GET", path, query))
    except ApiError as error:
        message = str(error)
        if not error.reason or "page not found" in message:
            message = f"{UNSPOKEN.get(error.code, message)} (get {resource})"
        raise MetricError(f"{what}: {message}") from None


def _resource_samples(target: Target, resource: str, container: str) -> Fetched:
    """Samples by pod. Raises MetricError."""
    path = f"{RESOURCE_API}/namespaces/{target.namespace}/pods"
    what = f"unable to get metrics for resource {resource}: unable to fetch metrics from resource metrics API"
    body = yield from _fetch(path, {"labelSelector": (target.selector,)}, what, "pods.metrics.k8s.io")
    items = body.get("items") or []
    if not items:
        text = f"unable to get metrics for resource {resource}: no metrics returned from resource metrics API"
        raise MetricError(text)
    samples: dict[str, Sample] = {}
    for item in items:
        chosen = [each for each in item.get("containers") or () if not container or each["name"] == container]
        if container and not chosen:
            text = f"unable to get metrics for resource {resource}: failed to get container metrics: container"
            raise MetricError(f"{text} {container} not present in metrics for pod {item['metadata']['name']}")
        values = [each["usage"].get(resource) for each in chosen]
        if None in values:
            continue
        value = sum(parse(each).milli_value() for each in values)
        sample = Sample(value, parse_stamp(item["timestamp"]), _window(item.get("window", "60s")))
        samples[item["metadata"]["name"]] = sample
    return samples


def _resource(spec: Mapping[str, Any], target: Target, kinds: Kinds) -> Generator[Action, Any, Answer]:
    key = "resource" if spec["type"] == "Resource" else "containerResource"
    source = spec[key]
    resource, container, wanted = source["name"], source.get("container", ""), source["target"]
    shown: dict[str, Any] = {"name": resource, **({"container": container} if container else {})}
    if wanted.get("averageValue") is not None:
        try:
            samples = yield from _resource_samples(target, resource, container)
            goal = parse(wanted["averageValue"]).milli_value()
            proposal = calculator.average_replicas(target.scope, samples, goal, resource)
        except MetricError as error:
            raise MetricError(f"failed to get {resource} usage: {error}") from None
        status = {"type": spec["type"], key: {**shown, "current": {"averageValue": milli(proposal.value)}}}
        return Answer(proposal, f"{resource} resource", status)
    goal = wanted.get("averageUtilization")
    if goal is None:
        text = "neither an average utilization target nor an average value (usage) target was set"
        raise MetricError(f"invalid resource metric source: {text}")
    try:
        samples = yield from _resource_samples(target, resource, container)
        proposal = calculator.utilization_replicas(target.scope, samples, goal, resource, container)
    except MetricError as error:
        raise MetricError(f"failed to get {resource} utilization: {error}") from None
    current = {"averageUtilization": proposal.value, "averageValue": milli(proposal.average)}
    status = {"type": spec["type"], key: {**shown, "current": current}}
    return Answer(proposal, f"{resource} resource utilization (percentage of request)", status)


# --- custom and external metrics


def _selector_text(selector: Mapping[str, Any] | None) -> str:
    return "" if selector is None else selectors.text_of(selector).replace("<none>", "")


def _pods(spec: Mapping[str, Any], target: Target, kinds: Kinds) -> Generator[Action, Any, Answer]:
    source = spec["pods"]
    metric, goal = source["metric"], parse(source["target"]["averageValue"]).milli_value()
    path = f"{CUSTOM_API}/namespaces/{target.namespace}/pods/*/{metric['name']}"
    query = {
        "labelSelector": (target.selector,),
        "metricLabelSelector": (_selector_text(metric.get("selector")),),
    }
    what = f"unable to get metric {metric['name']}: unable to fetch metrics from custom metrics API"
    body = yield from _fetch(path, query, what, "pods.custom.metrics.k8s.io")
    samples = {}
    for item in body.get("items") or ():
        window = item.get("windowSeconds")
        at = parse_stamp(item["timestamp"])
        value = parse(item["value"]).milli_value()
        samples[item["describedObject"]["name"]] = Sample(value, at, 60 * S if window is None else window * S)
    if not samples:
        raise MetricError(f"unable to get metric {metric['name']}: no metrics returned from custom metrics API")
    proposal = calculator.average_replicas(target.scope, samples, goal)
    shown = {"metric": metric, "current": {"averageValue": milli(proposal.value)}}
    return Answer(proposal, f"pods metric {metric['name']}", {"type": "Pods", "pods": shown})


def _object(spec: Mapping[str, Any], target: Target, kinds: Kinds) -> Generator[Action, Any, Answer]:
    source = spec["object"]
    metric, described = source["metric"], source["describedObject"]
    group, _, version = described.get("apiVersion", "v1").rpartition("/")
    row = kinds.by_kind(group, version, described["kind"])
    plural = row.plural if row is not None else described["kind"].lower() + "s"
    resource = f"{plural}.{group}" if group else plural
    path = f"{CUSTOM_API}/namespaces/{target.namespace}/{resource}/{described['name']}/{metric['name']}"
    query = {"metricLabelSelector": (_selector_text(metric.get("selector")),)}
    where = f"{described['kind']} {target.namespace} {described['name']}"
    what = f"unable to get metric {metric['name']}: {where}/unable to fetch metrics from custom metrics API"
    body = yield from _fetch(path, query, what, f"{plural}.custom.metrics.k8s.io")
    items = body.get("items") or []
    if not items:
        raise MetricError(f"unable to get metric {metric['name']}: {where}/no metrics returned")
    usage = parse(items[0]["value"]).milli_value()
    proposal, current = _one_value(source["target"], target, usage)
    shown = {"metric": metric, "describedObject": described, "current": current}
    name = f"{described['kind']} metric {metric['name']}"
    return Answer(proposal, name, {"type": "Object", "object": shown})


def _external(spec: Mapping[str, Any], target: Target, kinds: Kinds) -> Generator[Action, Any, Answer]:
    source = spec["external"]
    metric = source["metric"]
    path = f"{EXTERNAL_API}/namespaces/{target.namespace}/{metric['name']}"
    label = _selector_text(metric.get("selector"))
    shown_label = label or "nil"
    what = f"unable to get external metric {target.namespace}/{metric['name']}/{shown_label}"
    asked = f"{metric['name']}.external.metrics.k8s.io"
    unfetched = f"{what}: unable to fetch metrics from external metrics API"
    body = yield from _fetch(path, {"labelSelector": (label,)}, unfetched, asked)
    items = body.get("items") or []
    if not items:
        raise MetricError(f"{what}: no metrics returned from external metrics API")
    usage = sum(parse(item["value"]).milli_value() for item in items)
    proposal, current = _one_value(source["target"], target, usage)
    shown = {"metric": metric, "current": current}
    name = f"external metric {metric['name']}({shown_label})"
    return Answer(proposal, name, {"type": "External", "external": shown})


def _one_value(wanted: Mapping[str, Any], target: Target, usage: int) -> tuple[Proposal, dict[str, str]]:
    if wanted.get("averageValue") is not None:
        goal = parse(wanted["averageValue"]).milli_value()
        proposal = calculator.per_pod_replicas(target.scope, target.status_replicas, usage, goal)
        return proposal, {"averageValue": milli(proposal.value)}
    if wanted.get("value") is None:
        raise MetricError("invalid object metric source: neither a value target nor an average value target was set")
    proposal = calculator.value_replicas(target.scope, usage, parse(wanted["value"]).milli_value())
    return proposal, {"value": milli(proposal.value)}


def _named(spec: Mapping[str, Any], key: str) -> str:
    source: Object = spec[key]
    found: str = source["name"] if "name" in source else source["metric"]["name"]
    return found


EVALUATE: Mapping[str, Any] = {
    "Resource": (
        _resource,
        "FailedGetResourceMetric",
        lambda spec, why: f"failed to get {_named(spec, 'resource')} resource metric value: {why}",
    ),
    "ContainerResource": (
        _resource,
        "FailedGetContainerResourceMetric",
        lambda spec, why: f"failed to get {_named(spec, 'containerResource')} container metric value: {why}",
    ),
    "Pods": (_pods, "FailedGetPodsMetric", lambda spec, why: f"failed to get pods metric value: {why}"),
    "Object": (_object, "FailedGetObjectMetric", lambda spec, why: f"failed to get object metric value: {why}"),
    "External": (
        _external,
        "FailedGetExternalMetric",
        lambda spec, why: f"failed to get {_named(spec, 'external')} external metric value: {why}",
    ),
}
"""By type of metric: how to compute it, the reason of its failure, and how the sum of failures words it."""
