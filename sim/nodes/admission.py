"""What a node checks before it takes a pod: its size, its labels, its ports.

Source: k8s.io/kubernetes/pkg/kubelet/{lifecycle/predicate.go,sysctl/allowlist.go} and
k8s.io/kubernetes/pkg/scheduler/framework/plugins (nodeaffinity, nodeports, noderesources). Not modelled: eviction of
other pods for a critical one; device and topology managers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from seatrial.sim.machinery.pods import qos_class
from seatrial.sim.machinery.quantity import parse
from seatrial.sim.machinery.usage import pod_amounts

Object = Mapping[str, Any]
MEMORY_TAINT, NO_SCHEDULE = "node.kubernetes.io/memory-pressure", "NoSchedule"
CRITICAL_PRIORITY = 2_000_000_000
"""SystemCriticalPriority."""
RESOURCES = ("cpu", "memory", "ephemeral-storage")
SAFE_SYSCTLS = (
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
)
"""What pods may set without the node's leave (SafeSysctlAllowlist)."""


class Rejection(NamedTuple):
    reason: str
    message: str


def admit(pod: Object, node: Object, others: Iterable[Object]) -> Rejection | None:
    """None when the node can take the pod beside ``others``."""
    placed = list(others)
    for check in CHECKS:
        found = check(pod, node, placed)
        if found is not None:
            return found
    return None


def pressed(pod: Object, pressures: Iterable[str], static: bool) -> Rejection | None:
    """A node under pressure takes critical pods only; one that lacks nothing but memory also those that asked for some
    and those that tolerate its taint (eviction_manager.go, Admit)."""
    named, spec = list(pressures), pod["spec"]
    if not named or static or int(spec.get("priority") or 0) >= CRITICAL_PRIORITY:
        return None
    if named == ["MemoryPressure"] and (qos_class(spec) != "BestEffort" or _tolerates_memory_pressure(spec)):
        return None
    return Rejection("Evicted", f"The node had condition: [{' '.join(named)}]. ")


def _tolerates_memory_pressure(spec: Object) -> bool:
    """Of the taint node.kubernetes.io/memory-pressure:NoSchedule, which has no value."""
    for each in spec.get("tolerations") or ():
        there = (each.get("key") or MEMORY_TAINT) == MEMORY_TAINT and (each.get("effect") or NO_SCHEDULE) == NO_SCHEDULE
        if there and (each.get("operator") == "Exists" or (each.get("key") and not each.get("value"))):
            return True
    return False


def _sysctls(pod: Object, node: Object, others: list[Object]) -> Rejection | None:
    spec = pod["spec"]
    for sysctl in (spec.get("securityContext") or {}).get("sysctls") or ():
        name = sysctl["name"].replace("/", ".")
        if name not in SAFE_SYSCTLS:
            return Rejection("SysctlForbidden", f'forbidden sysctl: "{name}" not allowlisted')
        if name.startswith("net.") and spec.get("hostNetwork"):
            return Rejection("SysctlForbidden", f'forbidden sysctl: "{name}" not allowed with host net enabled')
        if name.startswith("kernel.") and spec.get("hostIPC"):
            return Rejection("SysctlForbidden", f'forbidden sysctl: "{name}" not allowed with host ipc enabled')
    return None


def _labels(pod: Object, node: Object, others: list[Object]) -> Rejection | None:
    labels = node["metadata"].get("labels") or {}
    spec = pod["spec"]
    fits = all(labels.get(key) == value for key, value in (spec.get("nodeSelector") or {}).items())
    required = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    if required is not None:
        fits = fits and any(_term(term, labels, node) for term in required.get("nodeSelectorTerms") or ())
    if fits:
        return None
    text = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
    return Rejection("NodeAffinity", text)


def _term(term: Object, labels: Mapping[str, str], node: Object) -> bool:
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    named = {"metadata.name": node["metadata"]["name"]}
    return all(_holds(e, labels) for e in expressions) and all(_holds(f, named) for f in fields)


def _holds(requirement: Object, labels: Mapping[str, str]) -> bool:
    key, operator = requirement["key"], requirement["operator"]
    values: list[str] = list(requirement.get("values") or ())
    value = labels.get(key)
    if operator == "In":
        return value in values
    if operator == "NotIn":
        return value not in values
    if operator == "Exists":
        return value is not None
    if operator == "DoesNotExist":
        return value is None
    if value is None or not value.lstrip("-").isdigit():
        return False
    return int(value) > int(values[0]) if operator == "Gt" else int(value) < int(values[0])


def _ports_of(pod: Object) -> Iterator[tuple[str, str, int]]:
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                yield port.get("hostIP") or "0.0.0.0", port.get("protocol", "TCP"), port["hostPort"]


def _ports(pod: Object, node: Object, others: list[Object]) -> Rejection | None:
    wanted = list(_ports_of(pod))
    if not wanted:
        return None
    taken = [port for other in others for port in _ports_of(other)]
    if not any(_clash(mine, theirs) for mine in wanted for theirs in taken):
        return None
    text = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
    return Rejection("NodePorts", text)


def _clash(mine: tuple[str, str, int], theirs: tuple[str, str, int]) -> bool:
    same_address = mine[0] == theirs[0] or "0.0.0.0" in (mine[0], theirs[0])
    return same_address and mine[1:] == theirs[1:]


def _resources(pod: Object, node: Object, others: list[Object]) -> Rejection | None:
    allocatable = node["status"].get("allocatable") or {}
    capacity = int(allocatable.get("pods", 110))
    if len(others) + 1 > capacity:
        return _short("pods", 1, len(others), capacity)
    wanted = pod_amounts(pod["spec"], "requests")
    for name in RESOURCES:
        if name not in wanted or not wanted[name]:
            continue
        used = sum(_figure(name, amounts[name]) for other in others if name in (amounts := _requests(other)))
        asked, there = _figure(name, wanted[name]), _figure(name, parse(allocatable.get(name, "0")))
        if asked + used > there:
            return _short(name, asked, used, there)
    return None


def _requests(pod: Object) -> Mapping[str, Any]:
    return pod_amounts(pod["spec"], "requests")


def _figure(name: str, amount: Any) -> int:
    return int(amount.milli_value() if name == "cpu" else amount.value())


def _short(name: str, asked: int, used: int, there: int) -> Rejection:
    text = f"Node didn't have enough resource: {name}, requested: {asked}, used: {used}, capacity: {there}"
    return Rejection(f"OutOf{name}", text)


SHUTDOWN = Rejection("NodeShutdown", "Pod was rejected as the node is shutting down.")
CHECKS = (_sysctls, _resources, _labels, _ports)
"""In upstream's order: the first that fails gives the reason."""
