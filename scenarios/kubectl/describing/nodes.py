"""Nodes as ``describe`` shows them, with what runs there and what it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.scenarios.kubectl.describing.workloads import Describe, Found
from seatrial.scenarios.kubectl.describing.writer import (
    Writer,
    annotated,
    events,
    go_bool,
    labels,
    or_unset,
    when,
)
from seatrial.sim.machinery import quantity
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.machinery.quantity import Quantity

Object = Mapping[str, Any]
ROLE = "node-role.kubernetes.io/"
INFO = (
    ("machineID", "Machine ID"), ("systemUUID", "System UUID"), ("bootID", "Boot ID"),
    ("kernelVersion", "Kernel Version"), ("osImage", "OS Image"), ("operatingSystem", "Operating System"),
    ("architecture", "Architecture"), ("containerRuntimeVersion", "Container Runtime Version"),
    ("kubeletVersion", "Kubelet Version"),
)  # fmt: skip


def node(w: Writer, found: Found) -> None:
    obj = found.object
    metadata, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    held = metadata.get("labels") or {}
    roles = sorted({key.removeprefix(ROLE) for key in held if key.startswith(ROLE)}
                   | ({held["kubernetes.io/role"]} if held.get("kubernetes.io/role") else set()))  # fmt: skip
    w.line(0, "Name:", metadata["name"])
    w.line(0, "Roles:", ",".join(roles) or "<none>")
    labels(w, "Labels", held)
    annotated(w, "Annotations", metadata.get("annotations"))
    w.line(0, "CreationTimestamp:", when(metadata.get("creationTimestamp")))
    _taints(w, spec)
    w.line(0, "Unschedulable:", go_bool(spec.get("unschedulable")))
    _lease(w, found)
    if status.get("conditions"):
        w.write(0, "Conditions:\n")
        w.line(1, "Type", "Status", "LastHeartbeatTime", "LastTransitionTime", "Reason", "Message")
        w.line(1, "----", "------", "-----------------", "------------------", "------", "-------")
        for each in status["conditions"]:
            times = (when(each.get("lastHeartbeatTime")), when(each.get("lastTransitionTime")))
            w.write(1, f"{each['type']} \t{each['status']} \t{times[0]} \t{times[1]} \t{each.get('reason', '')} \t"
                    f"{each.get('message', '')}\n")  # fmt: skip
    w.write(0, "Addresses:\n")
    for each in status.get("addresses") or ():
        w.line(1, f"{each['type']}:", each["address"])
    for field, heading in (("capacity", "Capacity"), ("allocatable", "Allocatable")):
        amounts = status.get(field) or {}
        if amounts:
            w.write(0, f"{heading}:\n")
            for name in sorted(amounts):
                w.line(1, f"{name}:", amounts[name])
    info = status.get("nodeInfo") or {}
    w.write(0, "System Info:\n")
    for field, heading in INFO:
        w.line(1, f"{heading}:", info.get(field, ""))
    if spec.get("podCIDR"):
        w.line(0, "PodCIDR:", spec["podCIDR"])
    if spec.get("podCIDRs"):
        w.line(0, "PodCIDRs:", ",".join(spec["podCIDRs"]))
    if spec.get("providerID"):
        w.line(0, "ProviderID:", spec["providerID"])
    _pods(w, found, status)
    events(w, found.events())


def _taints(w: Writer, spec: Object) -> None:
    found = sorted(spec.get("taints") or (), key=lambda each: (each["effect"], each["key"]))
    if not found:
        w.line(0, "Taints:", "<none>")
    for position, each in enumerate(found):
        value = f"={each['value']}" if each.get("value") else ""
        w.line(0, "Taints:" if not position else "", f"{each['key']}{value}:{each['effect']}")


def _lease(w: Writer, found: Found) -> None:
    w.write(0, "Lease:\n")
    try:
        lease = found.get("leases.coordination.k8s.io", "kube-node-lease", found.object["metadata"]["name"])
    except ApiError as problem:
        w.line(1, "Failed to get lease:", f"{problem.message}")
        return
    spec = lease.get("spec") or {}
    w.line(1, "HolderIdentity:", or_unset(spec.get("holderIdentity")))
    w.line(1, "AcquireTime:", when(spec.get("acquireTime")))
    w.line(1, "RenewTime:", when(spec.get("renewTime")))


def _pods(w: Writer, found: Found, status: Object) -> None:
    name = found.object["metadata"]["name"]
    query = {"fieldSelector": f"spec.nodeName={name},status.phase!=Succeeded,status.phase!=Failed"}
    pods = found.items("pods", "", query)
    allocatable = status.get("allocatable") or status.get("capacity") or {}
    w.line(0, "Non-terminated Pods:", f"({len(pods)} in total)")
    w.line(1, "Namespace", "Name", "\tCPU Requests", "CPU Limits", "Memory Requests", "Memory Limits", "Age")
    w.line(1, "---------", "----", "\t------------", "----------", "---------------", "-------------", "---")
    totals: dict[str, dict[str, Quantity]] = {"requests": {}, "limits": {}}
    for pod in pods:
        held = {kind: asked(pod, kind) for kind in totals}
        for kind, amounts in held.items():
            for resource, amount in amounts.items():
                totals[kind][resource] = totals[kind][resource] + amount if resource in totals[kind] else amount
        cells = [share(held[kind].get(resource), resource, allocatable)
                 for resource in ("cpu", "memory") for kind in ("requests", "limits")]  # fmt: skip
        age = w.since(pod["metadata"].get("creationTimestamp"))
        w.line(1, pod["metadata"]["namespace"], pod["metadata"]["name"], "\t" + cells[0], *cells[1:], age)
    w.write(0, "Allocated resources:\n  (Total limits may be over 100 percent, i.e., overcommitted.)\n")
    w.line(1, "Resource", "Requests", "Limits")
    w.line(1, "--------", "--------", "------")
    for resource in ("cpu", "memory", "ephemeral-storage"):
        w.line(1, resource, *(share(totals[kind].get(resource), resource, allocatable) for kind in totals))
    others = sorted(name for name in allocatable if name.startswith("hugepages-") or "/" in name)
    for resource in others:
        plain = resource.startswith("hugepages-")
        cells = [share(totals[kind].get(resource), resource, allocatable) if plain
                 else str(totals[kind].get(resource, Quantity(0))) for kind in totals]  # fmt: skip
        w.line(1, resource, *cells)


def share(amount: Quantity | None, resource: str, allocatable: Mapping[str, str]) -> str:
    """``100m (5%)``: an amount and what part of the node's it is, cut off."""
    amount = amount or Quantity(0)
    whole = quantity.parse(str(allocatable.get(resource, "0")))
    if resource == "cpu":
        part = amount.milli_value() * 100 / whole.milli_value() if whole.milli_value() else 0
    else:
        part = amount.value() * 100 / whole.value() if whole.value() else 0
    return f"{amount} ({int(part)}%)"


def asked(pod: Object, kind: str) -> dict[str, Quantity]:
    """What a pod requests or is limited to: its containers together or the most of its init containers, whichever is
    more, and its overhead (resource.PodRequests)."""
    spec = pod["spec"]
    total: dict[str, Quantity] = {}
    for container in spec.get("containers") or ():
        _add(total, _held(container, kind))
    running: dict[str, Quantity] = {}
    most: dict[str, Quantity] = {}
    for container in spec.get("initContainers") or ():
        held = _held(container, kind)
        if container.get("restartPolicy") == "Always":
            _add(total, held)
            _add(running, held)
            held = dict(running)
        else:
            held = dict(held)
            _add(held, running)
        for name, amount in held.items():
            if name not in most or most[name] < amount:
                most[name] = amount
    for name, amount in most.items():
        if name not in total or total[name] < amount:
            total[name] = amount
    own = _held(spec, kind)
    total.update(own)
    for name, text in (spec.get("overhead") or {}).items():
        if kind == "requests" or name in total:
            _add(total, {name: quantity.parse(text)})
    return total


def _held(of: Object, kind: str) -> dict[str, Quantity]:
    return {name: quantity.parse(str(text)) for name, text in ((of.get("resources") or {}).get(kind) or {}).items()}


def _add(total: dict[str, Quantity], more: Mapping[str, Quantity]) -> None:
    for name, amount in more.items():
        total[name] = total[name] + amount if name in total else amount


KINDS: Mapping[str, Describe] = {"nodes": node}
