"""Kubelets from inside the simulation that live as those of the recordings did: nodes w1 to w3, pods steered by
annotations. The scheduler is the cluster's own."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any

from seatrial.sim.kernel.clock import micro_stamp_of
from tests.kubelets import SYSTEM
from tests.sim.controllers.standins import CONDITIONS, LAG_US, PATCH, S
from tests.sim.controllers.standins import StandIns as Bare

POD_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")

READINESS = ("Ready", "ContainersReady")


class StandIns(Bare):
    """The nodes and their kubelets."""

    def _schedule(self, pod: Mapping[str, Any]) -> None:
        pass

    def _register(self, name: str, labels: Mapping[str, str]) -> Generator[Any, Any, None]:
        nodes, leases = self.kinds.resource("nodes"), self.kinds.resource("leases.coordination.k8s.io")
        held = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
        metadata = {"name": name, "labels": held}
        yield from self.client.create(nodes, {"apiVersion": "v1", "kind": "Node", "metadata": metadata})
        room = {"cpu": "4", "memory": "8Gi", "pods": "110", "ephemeral-storage": "50Gi"}
        stamp = self.clock.stamp()
        conditions = [
            {"type": t, "status": s, "reason": r, "message": m, "lastHeartbeatTime": stamp, "lastTransitionTime": stamp}
            for t, s, r, m in CONDITIONS
        ]
        addresses = [
            {"type": "InternalIP", "address": f"192.168.1.{100 + self.nodes[name]}"},
            {"type": "Hostname", "address": name},
        ]
        status = {"capacity": room, "allocatable": room, "conditions": conditions, "addresses": addresses,
                  "nodeInfo": SYSTEM}  # fmt: skip
        yield from self.client.patch(nodes, "", name, {"status": status}, PATCH, "status")
        spec = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": self.clock.micro_stamp()}
        place = {"name": name, "namespace": "kube-node-lease"}
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": place, "spec": spec}
        yield from self.client.create(leases, lease)
        while True:
            yield self.clock.sleep(10 * S, periodic=True)
            renew = {"spec": {"renewTime": micro_stamp_of(self.clock.now)}}
            yield from self.client.patch(leases, "kube-node-lease", name, renew, PATCH)

    def _status(
        self, node: str, pod: Any, phase: str, ready: bool, state: Any, told: Callable[[], None] = lambda: None
    ) -> None:
        stamp = self.clock.stamp()
        why = {} if ready else {"reason": "PodCompleted" if phase != "Running" else "ContainersNotReady"}
        conditions = [
            {"type": kind, "lastTransitionTime": stamp, **({"status": str(ready), **why} if kind in READINESS else
                                                           {"status": "True"})}
            for kind in POD_CONDITIONS
        ]  # fmt: skip
        containers = [
            {"name": each["name"], "image": each["image"], "imageID": "sha256:0", "containerID": "containerd://0",
             "ready": ready, "started": True, "restartCount": 0, "state": state, "lastState": {}}
            for each in pod["spec"]["containers"]
        ]  # fmt: skip
        self._ips += 1
        held = self.pods.view.get(pod["metadata"]["namespace"], pod["metadata"]["name"]) or pod
        address = (held.get("status") or {}).get("podIP", f"10.244.{self.nodes[node]}.{self._ips % 240 + 10}")
        status = {
            "phase": phase,
            "hostIP": f"192.168.1.{100 + self.nodes[node]}",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "startTime": stamp,
            "conditions": conditions,
            "containerStatuses": containers,
        }
        metadata = pod["metadata"]
        patch = {"metadata": {"uid": metadata["uid"]}, "status": status}

        def tell() -> Generator[Any, Any, None]:
            yield self.clock.sleep(LAG_US)
            pods = self.kinds.resource("pods")
            yield from self.client.patch(pods, metadata["namespace"], metadata["name"], patch, PATCH, "status")
            told()

        self.do(tell())
