"""Kubelets from outside, for a control plane that has none: they register nodes, run what is bound to them by the
annotations of the pods, and finish deletions.

  t.example.com/ready-after   seconds from binding until Running and Ready (1)
  t.example.com/run-for       seconds until the containers exit
  t.example.com/fail          they exit with 1
  t.example.com/never-ready   Running and never Ready
  t.example.com/stop-after    seconds a deletion takes (0.5)
"""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from e2e.access import client_of
from kubelets import SYSTEM

STRATEGIC, MERGE = "application/strategic-merge-patch+json", "application/merge-patch+json"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
LEASE_S = 10
HEALTH = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


def stamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class StandIns:
    """Kubelets of the given names; they run in threads until the process ends."""

    def __init__(self, kubeconfig: Path, names: list[str]) -> None:
        self._client: httpx.Client = client_of(kubeconfig)
        self._numbers = {name: index for index, name in enumerate(names, start=1)}
        self._seen: dict[str, set[str]] = {}
        self._pods = 0
        for name in names:
            self._register(name)
        threading.Thread(target=self._follow, daemon=True).start()

    def _patch(self, path: str, body: Any, content_type: str = STRATEGIC) -> int:
        raw = json.dumps(body)
        return self._client.patch(path, content=raw, headers={"Content-Type": content_type}).status_code

    def _register(self, name: str) -> None:
        number = self._numbers[name]
        labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}
        self._client.post("/api/v1/nodes", json=node)
        room = {"cpu": "4", "memory": "8Gi", "pods": "110", "ephemeral-storage": "50Gi"}
        addresses = [
            {"type": "InternalIP", "address": f"192.168.1.{100 + number}"},
            {"type": "Hostname", "address": name},
        ]
        now = stamp()
        conditions = [
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": now,
                "lastTransitionTime": now,
            }
            for kind, status, reason, message in HEALTH
        ]
        status = {
            "capacity": room,
            "allocatable": room,
            "addresses": addresses,
            "nodeInfo": SYSTEM,
            "conditions": conditions,
        }
        self._patch(f"/api/v1/nodes/{name}/status", {"status": status})
        self._renew(name)

    def _renew(self, name: str) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if self._patch(f"{LEASES}/{name}", {"spec": {"renewTime": now}}, MERGE) == 404:
            spec = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": now}
            lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name}, "spec": spec}
            self._client.post(LEASES, json=lease)
        self._later(LEASE_S, self._renew, name)

    def _later(self, seconds: float, call: Any, *arguments: Any) -> None:
        timer = threading.Timer(seconds, self._tried, (call, *arguments))
        timer.daemon = True
        timer.start()

    def _tried(self, call: Any, *arguments: Any) -> None:
        """A server that is gone ends the stand-ins as well."""
        try:
            call(*arguments)
        except httpx.HTTPError:
            return

    def _follow(self) -> None:
        try:
            listed = self._client.get("/api/v1/pods").json()
            for pod in listed["items"]:
                self._see("ADDED", pod)
            query = {"watch": "1", "resourceVersion": listed["metadata"]["resourceVersion"], "timeoutSeconds": "3600"}
            with self._client.stream("GET", "/api/v1/pods", params=query, timeout=None) as changes:
                for line in changes.iter_lines():
                    change = json.loads(line)
                    self._see(change["type"], change["object"])
        except httpx.HTTPError:
            return

    def _see(self, kind: str, pod: Any) -> None:
        metadata, node = pod["metadata"], pod["spec"].get("nodeName")
        if kind == "DELETED" or node not in self._numbers:
            self._seen.pop(metadata["uid"], None)
            return
        wishes = {
            key.removeprefix("t.example.com/"): value for key, value in (metadata.get("annotations") or {}).items()
        }
        done = self._seen.setdefault(metadata["uid"], set())
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        if "deletionTimestamp" in metadata:
            if "stop" not in done:
                done.add("stop")
                self._later(float(wishes.get("stop-after", 0.5)), self._remove, path, metadata["uid"])
        elif "start" not in done:
            done.add("start")
            self._later(float(wishes.get("ready-after", 1)), self._run, path, pod, wishes)

    def _run(self, path: str, pod: Any, wishes: dict[str, str]) -> None:
        self._post(path, pod, "Running", "never-ready" not in wishes, {"running": {"startedAt": stamp()}})
        if "run-for" in wishes:
            self._later(float(wishes["run-for"]), self._exit, path, pod, 1 if "fail" in wishes else 0)

    def _exit(self, path: str, pod: Any, code: int) -> None:
        ended = {
            "exitCode": code,
            "reason": "Error" if code else "Completed",
            "startedAt": stamp(),
            "finishedAt": stamp(),
        }
        self._post(path, pod, "Failed" if code else "Succeeded", False, {"terminated": ended})

    def _post(self, path: str, pod: Any, phase: str, ready: bool, state: Any) -> None:
        number = self._numbers[pod["spec"]["nodeName"]]
        if "_address" not in pod:
            self._pods += 1
            pod["_address"] = f"10.244.{number}.{self._pods % 240 + 10}"
        why = {} if ready else {"reason": "PodCompleted" if phase != "Running" else "ContainersNotReady"}
        conditions = [
            {"type": "PodReadyToStartContainers", "status": "True"},
            {"type": "Initialized", "status": "True"},
            {"type": "Ready", "status": str(ready), **why},
            {"type": "ContainersReady", "status": str(ready), **why},
            {"type": "PodScheduled", "status": "True"},
        ]
        containers = [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "sha256:0",
                "containerID": "containerd://0",
                "ready": ready,
                "started": True,
                "restartCount": 0,
                "state": state,
                "lastState": {},
            }
            for container in pod["spec"]["containers"]
        ]
        status = {
            "phase": phase,
            "hostIP": f"192.168.1.{100 + number}",
            "podIP": pod["_address"],
            "podIPs": [{"ip": pod["_address"]}],
            "startTime": stamp(),
            "conditions": [{**condition, "lastTransitionTime": stamp()} for condition in conditions],
            "containerStatuses": containers,
        }
        self._patch(f"{path}/status", {"metadata": {"uid": pod["metadata"]["uid"]}, "status": status})

    def _remove(self, path: str, uid: str) -> None:
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
        self._client.request("DELETE", path, json=options)
