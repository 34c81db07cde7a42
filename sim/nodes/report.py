"""The whole PodStatus of a sync, and what of it may be sent.

Source: k8s.io/kubernetes/pkg/kubelet/kubelet_pods.go (generateAPIPodStatus) and …/status/status_manager.go
(mergePodStatus).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from seatrial.sim.machinery.pods import qos_class
from seatrial.sim.machinery.usage import pod_amounts
from seatrial.sim.nodes import conditions
from seatrial.sim.nodes.actions import initialized
from seatrial.sim.nodes.cri import PodRecord
from seatrial.sim.nodes.spec import CONTAINER_FIELDS, STATUS_FIELDS
from seatrial.sim.nodes.status import TERMINAL, Containers, Object, Probed, Reasons, container_status, phase

UNLIMITED_MEMORY = "9007199254740988Ki"
"""What a memory cgroup without a limit says: the highest multiple of the page size that fits 63 bits."""

EMPTY: Mapping[str, Any] = MappingProxyType({})

DEADLINE = ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")


class Amounts(NamedTuple):
    """A pod's requests and limits of CPU and memory, as the wire shows them."""

    spec: Object
    requests: Mapping[str, str]
    limits: Mapping[str, str]
    memory_limited: bool


class Facts(NamedTuple):
    """Everything a report is made from."""

    pod: Object
    record: PodRecord
    old: Object
    """The status reported before, or the one that the pod came with."""
    now_stamp: str
    start_stamp: str
    node_ip: str
    reasons: Reasons = EMPTY
    probed: Mapping[str, Probed] = EMPTY
    allocated: Mapping[str, Object] = EMPTY
    terminal: bool = False
    """The pod's containers have ended for good."""
    failure: tuple[str, str] | None = None
    """Reason and message of a pod that the kubelet ends: past its deadline, evicted."""
    cgroup: bool = False
    """The pod's cgroup is there to be asked for its limits."""
    extra: tuple[Mapping[str, Any], ...] = ()
    """Conditions of a resize."""
    amounts: Amounts | None = None
    """What ``amounts_of`` made of the same spec before."""


def report(facts: Facts) -> dict[str, Any]:
    """A complete PodStatus. Its phase may already be terminal: ``mergeable`` says what is sent while containers run."""
    pod, record, old = facts.pod, facts.record, facts.old
    spec, generation = pod["spec"], pod["metadata"].get("generation", 0)
    begun = initialized(pod, record)
    statuses = {}
    for field, kind in CONTAINER_FIELDS:
        containers = spec.get(field)
        if not containers:
            continue
        before = {status["name"]: status for status in old.get(STATUS_FIELDS[kind]) or ()}
        known = Containers(pod, record, before, facts.reasons, facts.probed, facts.allocated, begun)
        statuses[kind] = [container_status(known, container, kind) for container in containers]
    init, regular = statuses.get("init", []), statuses.get("regular", [])
    status: dict[str, Any] = {}
    if generation:
        status["observedGeneration"] = generation
    status["phase"] = phase(pod, init, regular, facts.terminal, begun)
    if old.get("phase") in TERMINAL:
        status["phase"] = old["phase"]
        for key in ("message", "reason"):
            if key in old:
                status[key] = old[key]
    elif facts.failure is not None:
        status["phase"] = "Failed"
        status["reason"], status["message"] = facts.failure
    status["conditions"] = _conditions(facts, init, regular, status["phase"], begun)
    status["hostIP"], status["hostIPs"] = facts.node_ip, [{"ip": facts.node_ip}]
    address = _address(facts)
    if address:
        status["podIP"], status["podIPs"] = address, [{"ip": address}]
    status["startTime"] = facts.start_stamp
    for kind, made in statuses.items():
        status[STATUS_FIELDS[kind]] = made
    status["qosClass"] = old.get("qosClass") or qos_class(spec)
    amounts = facts.amounts if facts.amounts is not None and facts.amounts.spec is spec else amounts_of(spec)
    if amounts.requests:
        status["allocatedResources"] = dict(amounts.requests)
    status["resources"] = pod_resources(amounts, facts.cgroup)
    return status


def _address(facts: Facts) -> str:
    if facts.pod["spec"].get("hostNetwork"):
        return facts.node_ip
    if facts.record.sandbox is not None and facts.record.sandbox.ip:
        return facts.record.sandbox.ip
    return str(facts.old.get("podIP", ""))


def amounts_of(spec: Object) -> Amounts:
    pod_level = spec.get("resources") or {}
    limited = "memory" in (pod_level.get("limits") or {})
    limited = limited or all("memory" in ((c.get("resources") or {}).get("limits") or {}) for c in spec["containers"])
    return Amounts(spec, _amounts(spec, "requests"), _amounts(spec, "limits"), limited)


def _amounts(spec: Object, key: str) -> dict[str, str]:
    pod_level = (spec.get("resources") or {}).get(key)
    if pod_level:
        return dict(pod_level)
    return {name: str(amount) for name, amount in sorted(pod_amounts(spec, key).items())}


def pod_resources(amounts: Amounts, cgroup: bool) -> dict[str, Any]:
    """``status.resources``: what the spec says, with the memory limit as the pod's cgroup has it."""
    limits = dict(amounts.limits)
    if cgroup and not amounts.memory_limited:
        limits["memory"] = UNLIMITED_MEMORY
    shown: dict[str, Any] = {}
    if limits:
        shown["limits"] = limits
    if amounts.requests:
        shown["requests"] = dict(amounts.requests)
    return shown


def _conditions(
    facts: Facts, init: list[dict[str, Any]], regular: list[dict[str, Any]], phase_now: str, begun: bool
) -> list[Any]:
    pod, old = facts.pod, facts.old.get("conditions") or ()
    theirs = (pod.get("status") or {}).get("conditions") or ()
    generation = pod["metadata"].get("generation", 0)
    containers = conditions.containers_ready(pod, init, regular, phase_now, generation)
    made = [
        *(dict(extra) for extra in facts.extra),
        conditions.sandbox(facts.record, generation),
        conditions.initialized(pod, init, phase_now, begun, generation),
        conditions.ready(pod, containers, theirs, generation),
        containers,
        conditions.condition("PodScheduled", True, generation),
    ]
    return conditions.timed(made, old, facts.now_stamp)


def rejected(pod: Object, reason: str, message: str, stamp: str) -> dict[str, Any]:
    """The status of a pod that the node refuses (rejectPod)."""
    old = pod.get("status") or {}
    status: dict[str, Any] = {}
    if pod["metadata"].get("generation"):
        status["observedGeneration"] = pod["metadata"]["generation"]
    status["phase"] = "Failed"
    if old.get("conditions"):
        status["conditions"] = list(old["conditions"])
    status["message"] = f"Pod was rejected: {message}"
    status["reason"] = reason
    status["startTime"] = stamp
    status["qosClass"] = old.get("qosClass") or qos_class(pod["spec"])
    return status


def mergeable(new: dict[str, Any], old: Object, running: bool) -> dict[str, Any]:
    """What may be sent: a pod is not called ended while its containers may still run."""
    if not running or old.get("phase") in TERMINAL or new["phase"] not in TERMINAL:
        return new
    held = {key: value for key, value in new.items() if key not in ("reason", "message")}
    held["phase"] = old.get("phase", "Pending")
    for key in ("reason", "message"):
        if key in old:
            held[key] = old[key]
    return held
