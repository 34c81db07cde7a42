"""NetworkPolicy: which connections pods accept and may begin.

Pure functions over policies, pods and namespaces, and ``Policies``, the component that keeps them current. Source: the
API's own description (k8s.io/api/networking/v1) and what the policy suites of Kubernetes' conformance tests demand.

Not modelled: an enforcing agent per node: one component judges for all, with one link's delay; AdminNetworkPolicy;
policies for pods on the host's network, which no plug-in enforces. Traffic between a node and its own pods always
passes, as kubelets' probes must.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from seatrial.sim.apiserver.wiring import Wiring
from seatrial.sim.machinery import selectors
from seatrial.sim.network.agent import Agent, service_account
from seatrial.sim.network.netfilter import within
from seatrial.sim.store.view import View

Object = Mapping[str, Any]
INGRESS, EGRESS = "Ingress", "Egress"
USER_AGENT = "cni/v1"
Labels = Callable[[Mapping[str, str]], bool]


class Peer(NamedTuple):
    """One end of a connection. ``pod`` is None for what is no pod on the pod network."""

    address: str
    pod: Object | None = None
    namespace_labels: Mapping[str, str] = {}


class Connection(NamedTuple):
    source: Peer
    destination: Peer
    protocol: str
    """TCP, UDP or SCTP."""
    port: int


class Verdict(NamedTuple):
    allowed: bool
    policies: tuple[str, ...] = ()
    """The policies that select the pod; empty: none does, and all is allowed."""


def types_of(policy: Object) -> tuple[str, ...]:
    """policyTypes, with what is assumed when they are not given."""
    spec = policy["spec"]
    given = spec.get("policyTypes")
    if given:
        return tuple(given)
    return (INGRESS, EGRESS) if spec.get("egress") else (INGRESS,)


def judge(policies: Iterable[Object], direction: str, connection: Connection) -> Verdict:
    """Whether the policies let the pod at ``direction``'s end take part in a connection.

    Ingress looks at the destination, egress at the source; a pod that no policy of the direction selects is free.
    """
    subject = connection.destination if direction == INGRESS else connection.source
    pod = subject.pod
    if pod is None:
        return Verdict(True)
    metadata = pod["metadata"]
    names = []
    allowed = False
    for policy in policies:
        about = policy["metadata"]
        if about["namespace"] != metadata["namespace"] or direction not in types_of(policy):
            continue
        if not _selects(policy["spec"].get("podSelector"), metadata.get("labels")):
            continue
        names.append(about["name"])
        rules = policy["spec"].get(direction.lower()) or ()
        allowed = allowed or any(_rule(rule, direction, about["namespace"], connection) for rule in rules)
    return Verdict(allowed or not names, tuple(names))


def _rule(rule: Object, direction: str, namespace: str, connection: Connection) -> bool:
    other = connection.source if direction == INGRESS else connection.destination
    peers = rule.get("from" if direction == INGRESS else "to")
    if peers and not any(_peer(peer, namespace, other) for peer in peers):
        return False
    ports = rule.get("ports")
    return not ports or any(_port(port, connection) for port in ports)


def _peer(peer: Object, namespace: str, other: Peer) -> bool:
    block = peer.get("ipBlock")
    if block is not None:
        return within(other.address, block["cidr"]) and not any(
            within(other.address, each) for each in block.get("except") or ()
        )
    if other.pod is None:
        return False
    metadata = other.pod["metadata"]
    if "namespaceSelector" in peer:
        if not _selects(peer["namespaceSelector"], other.namespace_labels):
            return False
    elif metadata["namespace"] != namespace:
        return False
    return "podSelector" not in peer or _selects(peer["podSelector"], metadata.get("labels"))


def _port(port: Object, connection: Connection) -> bool:
    if port.get("protocol", "TCP") != connection.protocol:
        return False
    wanted = port.get("port")
    if wanted is None:
        return True
    if isinstance(wanted, str):
        return connection.port in _named(connection.destination.pod, wanted, connection.protocol)
    return bool(wanted <= connection.port <= port.get("endPort", wanted))


def _named(pod: Object | None, name: str, protocol: str) -> list[int]:
    spec = pod["spec"] if pod is not None else {}
    containers = (*spec.get("containers", ()), *(c for c in spec.get("initContainers") or () if c.get("restartPolicy")))
    return [
        port["containerPort"]
        for container in containers
        for port in container.get("ports") or ()
        if port.get("name") == name and port.get("protocol", "TCP") == protocol
    ]


def _selects(selector: Object | None, labels: Mapping[str, str] | None) -> bool:
    found: Labels = selectors.labels(selector or {})
    return found(labels or {})


class Policies(Agent):
    """Keeps policies current and judges by them. Pods and namespaces are watched once there is a policy."""

    def __init__(self, wiring: Wiring, host: str) -> None:
        super().__init__(wiring, "network-policies", host, service_account("kube-system", "cni"), USER_AGENT)
        self._reset()

    def _reset(self) -> None:
        self._policies: dict[tuple[str, str], Object] = {}
        self._pods: View | None = None
        self._namespaces: View | None = None

    def _begin(self) -> None:
        """What was enforced before stays in force until the views are there again."""
        self._pods = self._namespaces = None
        self.watch("networkpolicies.networking.k8s.io", self._changed)
        if self._policies:
            self._look_at_pods()

    def _changed(self, verb: str, new: Object | None, old: Object | None) -> None:
        metadata = (new or old or {})["metadata"]
        key = (metadata["namespace"], metadata["name"])
        if new is None:
            self._policies.pop(key, None)
        else:
            self._policies[key] = new
            self._look_at_pods()

    def _look_at_pods(self) -> None:
        if self._pods is None:
            indexers = {"address": _addresses}
            self._pods = self.watch("pods", indexers=indexers).view
            self._namespaces = self.watch("namespaces").view

    def _peer(self, address: str) -> Peer:
        assert self._pods is not None and self._namespaces is not None
        pods = self._pods.indexed("address", address)
        if not pods:
            return Peer(address)
        pod = pods[0]
        namespace = self._namespaces.get("", pod["metadata"]["namespace"])
        return Peer(address, pod, ((namespace or {}).get("metadata") or {}).get("labels") or {})

    def judge(self, direction: str, source: str, destination: str, protocol: str, port: int) -> Verdict:
        """Whether a connection may pass at its one end."""
        if not self._policies or self._pods is None:
            return Verdict(True)
        connection = Connection(self._peer(source), self._peer(destination), protocol, port)
        return judge(self._policies.values(), direction, connection)


def _addresses(pod: Object) -> Iterable[str]:
    """Where a pod is found on the pod network, while it runs."""
    status = pod.get("status") or {}
    if pod["spec"].get("hostNetwork") or status.get("phase") in ("Succeeded", "Failed"):
        return ()
    return tuple(entry["ip"] for entry in status.get("podIPs") or () if entry.get("ip"))
