"""Stand-ins for scheduler and kubelets: the smallest things that let controllers see pods live.

Pods are steered by annotations: ``t.example.com/ready-after`` (seconds, default 1), ``run-for``, ``fail``,
``never-ready``, ``stop-after`` (default 0.5).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any

from seatrial.sim.apiserver.client import Client
from seatrial.sim.apiserver.informer import Informer
from seatrial.sim.apiserver.request import User
from seatrial.sim.cluster import Cluster
from seatrial.sim.composition import CONTROL_PLANE
from seatrial.sim.config import ClusterSpec, S
from seatrial.sim.controllers.nodefit import affinity_matches, untolerated
from seatrial.sim.kernel.clock import micro_stamp_of
from seatrial.sim.machinery.errors import ApiError

LAG_US = 5_000
"""From what happens to a pod to the request that tells of it."""
PATCH = "application/strategic-merge-patch+json"
ADMIN = User("system:admin", ("system:masters", "system:authenticated"))
CONDITIONS = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


class StandIns:
    """Nodes ``w1`` … that answer, and a scheduler that spreads pods."""

    def __init__(self, cluster: Cluster, nodes: tuple[str, ...] = ("w1", "w2", "w3"), schedules: bool = True) -> None:
        self._schedules = schedules
        self.cluster, self.clock, self.kinds = cluster, cluster.clock, cluster.kinds
        self.client = Client(cluster.wiring, CONTROL_PLANE, ADMIN, "standin")
        self.nodes: dict[str, int] = {}
        self.dead: set[str] = set()
        self._ips = 10
        self._known: dict[str, set[str]] = {}
        self._assumed: dict[str, str] = {}
        self.pods = Informer(cluster.wiring, self.client, self.kinds.resource("pods"))
        self.view_nodes = Informer(cluster.wiring, self.client, self.kinds.resource("nodes"))
        self.pods.on_change(self._pod)
        self.view_nodes.on_change(lambda verb, new, old: self._schedule_all())
        for informer in (self.pods, self.view_nodes):
            self.clock.spawn(informer.run(), "standin")
        for name in nodes:
            self.add(name)

    def do(self, steps: Generator[Any, Any, Any]) -> None:
        def quietly() -> Generator[Any, Any, Any]:
            try:
                yield from steps
            except ApiError as error:
                if error.code not in (404, 409):
                    raise

        self.clock.spawn(quietly(), "standin")

    # nodes

    def add(self, name: str, labels: Mapping[str, str] | None = None) -> None:
        self.nodes[name] = len(self.nodes) + 1
        self.do(self._register(name, labels or {}))

    def _register(self, name: str, labels: Mapping[str, str]) -> Generator[Any, Any, None]:
        nodes = self.kinds.resource("nodes")
        all_labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", **labels}
        metadata = {"name": name, "labels": all_labels}
        yield from self.client.create(nodes, {"apiVersion": "v1", "kind": "Node", "metadata": metadata})
        capacity = {"cpu": "4", "memory": "8Gi", "pods": "110", "ephemeral-storage": "50Gi"}
        stamp = self.clock.stamp()
        conditions = [
            {"type": t, "status": s, "reason": r, "message": m, "lastHeartbeatTime": stamp, "lastTransitionTime": stamp}
            for t, s, r, m in CONDITIONS
        ]
        status = {"capacity": capacity, "allocatable": capacity, "conditions": conditions}
        yield from self.client.patch(nodes, "", name, {"status": status}, PATCH, "status")
        leases = self.kinds.resource("leases.coordination.k8s.io")
        spec = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": self.clock.micro_stamp()}
        lease = {"name": name, "namespace": "kube-node-lease"}
        yield from self.client.create(
            leases, {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": lease, "spec": spec}
        )
        while True:
            yield self.clock.sleep(10 * S, periodic=True)
            if name not in self.dead:
                renew = {"spec": {"renewTime": micro_stamp_of(self.clock.now)}}
                yield from self.client.patch(leases, "kube-node-lease", name, renew, PATCH)

    def stop(self, name: str) -> None:
        self.dead.add(name)

    def start(self, name: str) -> None:
        self.dead.discard(name)
        stamp = self.clock.stamp()
        conditions = [{"type": t, "status": s, "reason": r, "lastHeartbeatTime": stamp} for t, s, r, _ in CONDITIONS]
        patch = {"status": {"conditions": conditions}}
        self.do(self.client.patch(self.kinds.resource("nodes"), "", name, patch, PATCH, "status"))

    # the scheduler

    def _schedule_all(self) -> None:
        for pod in self.pods.view.list():
            self._schedule(pod)

    def _schedule(self, pod: Mapping[str, Any]) -> None:
        spec, metadata = pod["spec"], pod["metadata"]
        if spec.get("nodeName") or "deletionTimestamp" in metadata or metadata["uid"] in self._assumed:
            return
        if not self._schedules:
            return
        counts: dict[str, int] = {}
        for other in self.pods.view.list():
            name = other["spec"].get("nodeName") or self._assumed.get(other["metadata"]["uid"], "")
            counts[name] = counts.get(name, 0) + 1
        fit = [
            node["metadata"]["name"]
            for node in self.view_nodes.view.list()
            if affinity_matches(spec, node)
            and not untolerated(
                node["spec"].get("taints") or (), spec.get("tolerations") or (), ("NoSchedule", "NoExecute")
            )
        ]
        if not fit:
            return
        chosen = min(fit, key=lambda name: (counts.get(name, 0), name))
        self._assumed[metadata["uid"]] = chosen
        target = {"apiVersion": "v1", "kind": "Node", "name": chosen}
        named = {"name": metadata["name"], "namespace": metadata["namespace"]}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": named, "target": target}
        self.do(self.client.create(self.kinds.resource("pods"), binding, "binding"))

    # kubelets

    def _pod(self, verb: str, new: Mapping[str, Any] | None, old: Mapping[str, Any] | None) -> None:
        if new is None:
            self._known.pop(old["metadata"]["uid"], None)  # type: ignore[index]
            return
        metadata, node = new["metadata"], new["spec"].get("nodeName")
        if not node:
            self._schedule(new)
            return
        if node not in self.nodes:
            return
        annotations = metadata.get("annotations") or {}
        known = self._known.setdefault(metadata["uid"], set())

        def setting(name: str, default: str = "") -> str:
            value: str = annotations.get(f"t.example.com/{name}", default)
            return value

        if "deletionTimestamp" in metadata:
            if "stop" not in known:
                known.add("stop")
                self.clock.after(int(float(setting("stop-after", "0.5")) * S), lambda: self._remove(node, new))
        elif "start" not in known:
            known.add("start")
            self.clock.after(int(float(setting("ready-after", "1")) * S), lambda: self._run(node, new, setting))

    def _run(self, node: str, pod: Any, setting: Any) -> None:
        running = {"running": {"startedAt": self.clock.stamp()}}
        code = 1 if setting("fail") else 0

        def told() -> None:
            if setting("run-for"):
                self.clock.after(int(float(setting("run-for")) * S), lambda: self._exit(node, pod, code))

        self._status(node, pod, "Running", not setting("never-ready"), running, told)

    def _exit(self, node: str, pod: Any, code: int) -> None:
        stamp = self.clock.stamp()
        ended = {"exitCode": code, "reason": "Error" if code else "Completed", "startedAt": stamp, "finishedAt": stamp}
        self._status(node, pod, "Failed" if code else "Succeeded", False, {"terminated": ended})

    def _status(
        self, node: str, pod: Any, phase: str, ready: bool, state: Any, told: Callable[[], None] = lambda: None
    ) -> None:
        if node in self.dead:
            return
        stamp = self.clock.stamp()
        statuses = [
            {
                "name": each["name"],
                "image": each["image"],
                "imageID": "sha256:0",
                "ready": ready,
                "started": True,
                "restartCount": 0,
                "state": state,
                "lastState": {},
                "containerID": "containerd://0",
            }
            for each in pod["spec"]["containers"]
        ]
        value = "True" if ready else "False"
        reason = {} if ready else {"reason": "PodCompleted" if phase != "Running" else "ContainersNotReady"}
        conditions = [
            {"type": "Initialized", "status": "True", "lastTransitionTime": stamp},
            {"type": "Ready", "status": value, "lastTransitionTime": stamp, **reason},
            {"type": "ContainersReady", "status": value, "lastTransitionTime": stamp, **reason},
        ]
        self._ips += 1
        ip = f"10.244.{self.nodes[node]}.{self._ips % 250 + 1}"
        known = self.pods.view.get(pod["metadata"]["namespace"], pod["metadata"]["name"]) or pod
        ip = (known.get("status") or {}).get("podIP", ip)
        status = {
            "phase": phase,
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "startTime": stamp,
            "conditions": conditions,
            "containerStatuses": statuses,
        }
        metadata = pod["metadata"]
        patch = {"metadata": {"uid": metadata["uid"]}, "status": status}
        pods = self.kinds.resource("pods")

        def tell() -> Generator[Any, Any, None]:
            yield self.clock.sleep(LAG_US)
            yield from self.client.patch(pods, metadata["namespace"], metadata["name"], patch, PATCH, "status")
            told()

        self.do(tell())

    def _remove(self, node: str, pod: Any) -> None:
        if node in self.dead:
            self.clock.after(1 * S, lambda: self._remove(node, pod), periodic=True)
            return
        metadata = pod["metadata"]
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}}
        pods = self.kinds.resource("pods")
        self.do(self.client.delete(pods, metadata["namespace"], metadata["name"], options))


def cluster(**spec: Any) -> Cluster:
    """A control plane whose only scheduler and kubelets are stand-ins."""
    return Cluster(ClusterSpec(**{"control_plane_only": True, **spec}))
