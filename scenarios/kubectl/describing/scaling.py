"""Autoscalers and disruption budgets as ``describe`` shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.scenarios.kubectl.describing.workloads import Describe, Found
from seatrial.scenarios.kubectl.describing.writer import (
    Writer,
    annotated,
    events,
    labels,
    named,
    selector,
    when,
)

Object = Mapping[str, Any]


def autoscaler(w: Writer, found: Found) -> None:
    obj = found.object
    metadata, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
    named(w, metadata)
    labels(w, "Labels", metadata.get("labels"))
    annotated(w, "Annotations", metadata.get("annotations"))
    w.line(0, "CreationTimestamp:", when(metadata.get("creationTimestamp")))
    target = spec["scaleTargetRef"]
    w.line(0, "Reference:", f"{target['kind']}/{target['name']}")
    w.line(0, "Metrics:", "( current / target )")
    currents = status.get("currentMetrics") or ()
    for position, metric in enumerate(spec.get("metrics") or ()):
        _metric(w, metric, currents[position] if position < len(currents) else {})
    w.line(0, "Min replicas:", spec["minReplicas"] if spec.get("minReplicas") is not None else "<unset>")
    w.line(0, "Max replicas:", spec["maxReplicas"])
    if spec.get("behavior"):
        w.write(0, "Behavior:\n")
        _rules(w, "Scale Up", spec["behavior"].get("scaleUp"))
        _rules(w, "Scale Down", spec["behavior"].get("scaleDown"))
    w.line(0, f"{target['kind']} pods:",
           f"{status.get('currentReplicas', 0)} current / {status.get('desiredReplicas', 0)} desired")  # fmt: skip
    held = status.get("conditions") or ()
    if held:
        w.write(0, "Conditions:\n")
        w.line(1, "Type", "Status", "Reason", "Message")
        w.line(1, "----", "------", "------", "-------")
        for each in held:
            w.line(1, each["type"], each["status"], each.get("reason", ""), each.get("message", ""))
    events(w, found.events())


def _metric(w: Writer, metric: Object, current: Object) -> None:
    kind = metric["type"]
    field = kind[0].lower() + kind[1:]
    spec, held = metric.get(field) or {}, (current.get(field) or {}).get("current") or {}
    target = spec.get("target") or {}
    match kind:
        case "Resource" | "ContainerResource":
            what = f"resource {spec['name']}"
            if kind == "ContainerResource":
                what += f" of container {spec['container']}"
            on = "on pods"
            if target.get("averageValue") is not None:
                w.line(1, f"{what} {on}:", f"{held.get('averageValue', '<unknown>')} / {target['averageValue']}")
                return
            w.line(1, f"{what} {on}  (as a percentage of request):", _utilization(held, target))
        case "Pods":
            name = spec["metric"]["name"]
            w.line(1, f'"{name}" on pods:', f"{held.get('averageValue', '<unknown>')} / {target.get('averageValue')}")
        case "Object":
            name, of = spec["metric"]["name"], spec["describedObject"]
            on = f'"{name}" on {of["kind"]}/{of["name"]} (target {"average value" if target.get("type") == "AverageValue" else "value"}):'
            value = "averageValue" if target.get("type") == "AverageValue" else "value"
            w.line(1, on, f"{held.get(value, '<unknown>')} / {target.get(value)}")
        case "External":
            name = spec["metric"]["name"]
            value = "averageValue" if target.get("averageValue") is not None else "value"
            word = "target average value" if value == "averageValue" else "target value"
            w.line(1, f'"{name}" ({word}):', f"{held.get(value, '<unknown>')} / {target.get(value)}")
        case _:
            w.write(1, f"<unknown metric type {kind!r}>\n")


def _utilization(held: Object, target: Object) -> str:
    current = "<unknown>"
    if held.get("averageUtilization") is not None:
        current = f"{held['averageUtilization']}% ({held.get('averageValue', '')})"
    wanted = f"{target['averageUtilization']}%" if target.get("averageUtilization") is not None else "<auto>"
    return f"{current} / {wanted}"


def _rules(w: Writer, heading: str, found: Object | None) -> None:
    if not found:
        return
    w.write(1, f"{heading}:\n")
    if found.get("stabilizationWindowSeconds") is not None:
        w.write(2, f"Stabilization Window: {found['stabilizationWindowSeconds']} seconds\n")
    if found.get("policies"):
        w.write(2, f"Select Policy: {found.get('selectPolicy') or 'Max'}\n")
        w.write(2, "Policies:\n")
        for each in found["policies"]:
            w.write(3, f"- Type: {each['type']}\tValue: {each['value']}\tPeriod: {each['periodSeconds']} seconds\n")


def budget(w: Writer, found: Found) -> None:
    obj = found.object
    metadata, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    named(w, metadata)
    if spec.get("minAvailable") is not None:
        w.line(0, "Min available:", spec["minAvailable"])
    elif spec.get("maxUnavailable") is not None:
        w.line(0, "Max unavailable:", spec["maxUnavailable"])
    w.line(0, "Selector:", selector(spec["selector"]) if spec.get("selector") is not None else "<unset>")
    w.write(0, "Status:\n")
    for field, heading in (("disruptionsAllowed", "Allowed disruptions"), ("currentHealthy", "Current"),
                           ("desiredHealthy", "Desired"), ("expectedPods", "Total")):  # fmt: skip
        w.line(2, f"{heading}:", status.get(field, 0))
    events(w, found.events())


KINDS: Mapping[str, Describe] = {
    "horizontalpodautoscalers.autoscaling": autoscaler,
    "poddisruptionbudgets.policy": budget,
}
