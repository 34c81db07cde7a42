"""A stage for whole scenarios in virtual time, and the story of what happened on it as readable lines.

What kubectl prints at a moment is part of the story.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from seatrial.scenarios import kubectl
from seatrial.scenarios.kubectl.inside import ClusterSession
from seatrial.sim.apiserver.request import Request, Response
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import S
from tests.sim.controllers.standins import StandIns, cluster

NAMESPACE = "t"
KINDS: Mapping[str, str] = {
    "pods": "Pod",
    "events": "Event",
    "endpointslices.discovery.k8s.io": "EndpointSlice",
    "deployments.apps": "Deployment",
    "replicasets.apps": "ReplicaSet",
    "statefulsets.apps": "StatefulSet",
    "daemonsets.apps": "DaemonSet",
    "controllerrevisions.apps": "ControllerRevision",
    "jobs.batch": "Job",
    "cronjobs.batch": "CronJob",
    "poddisruptionbudgets.policy": "PodDisruptionBudget",
    "persistentvolumeclaims": "PersistentVolumeClaim",
    "persistentvolumes": "PersistentVolume",
    "resourcequotas": "ResourceQuota",
    "namespaces": "Namespace",
    "nodes": "Node",
    "horizontalpodautoscalers.autoscaling": "HorizontalPodAutoscaler",
    "services": "Service",
}
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
GENERATED = re.compile(r"-[bcdfghjklmnpqrstvwxz2456789]{5}(?=$|[ \n\"./,:])")


class Stage:
    """A control plane with stand-in nodes; what happens in the namespace ``t`` is told.

    With ``scheduler`` pods are placed by the cluster's own, otherwise one by one where fewest are.
    """

    def __init__(self, scheduler: bool = False, **spec: Any) -> None:
        self.cluster: Cluster = cluster(**spec)
        for component in self.cluster.components[1:]:
            if not scheduler:
                component.stop()
        self.nodes = StandIns(self.cluster, schedules=not scheduler)
        self._typed: list[tuple[int, str]] = []
        self.sleep(6)
        self.request(
            "POST", "/api/v1/namespaces", {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": NAMESPACE}}
        )
        self.sleep(1)
        self.began, self.revision = self.cluster.now, self.cluster.store.revision

    def sleep(self, seconds: float) -> None:
        self.cluster.run(int(seconds * S))

    def apply(self, *objects: Any) -> None:
        for obj in objects:
            metadata = {"namespace": NAMESPACE, **obj["metadata"]}
            if obj["kind"] == "PersistentVolume":
                del metadata["namespace"]
            self.cluster.apply({**obj, "metadata": metadata})

    def kubectl(self, line: str) -> str:
        """What the command prints, which the story tells."""
        session = ClusterSession(self.cluster, namespace=NAMESPACE)
        kubectl.run(shlex.split(line), session)
        printed = "".join(session.printed)
        told = [f"{(self.cluster.now - self.began) / S:8.2f} > kubectl {line}"]
        told += [f"         | {each}".rstrip() for each in printed.splitlines()]
        self._typed.append((self.cluster.now, "\n".join(told)))
        return printed

    def request(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Response:
        return self.cluster.request(Request(method, path, body=body, content_type=content_type))

    def path(self, kind: str, name: str) -> str:
        resource = self.cluster.kinds.resource(kind)
        base = f"/apis/{resource.group}" if resource.group else "/api"
        where = f"/namespaces/{NAMESPACE}" if resource.namespaced else ""
        return f"{base}/{resource.version}{where}/{resource.plural}/{name}"

    def patch(self, kind: str, name: str, patch: Any, content_type: str = MERGE) -> None:
        response = self.request("PATCH", self.path(kind, name), patch, content_type)
        assert response.code == 200, response.body

    def delete(self, kind: str, name: str, policy: str = "Background") -> None:
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": policy}
        response = self.request("DELETE", self.path(kind, name), options)
        assert response.code == 200, response.body

    def evict(self, name: str) -> int:
        metadata = {"name": name, "namespace": NAMESPACE}
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
        return self.request("POST", self.path("pods", name) + "/eviction", body).code

    def get(self, kind: str, name: str) -> Any:
        return self.cluster.store.get(kind, NAMESPACE, name)

    def list(self, kind: str) -> list[Any]:
        return self.cluster.store.list(kind, NAMESPACE)

    # the story

    def story(self) -> str:
        """What changed, one line each; lines that say nothing new are left out."""
        last: dict[tuple[str, str], str] = {}
        lines: list[tuple[int, str]] = []
        for change in self._changes():
            kind, name = KINDS[change.storage], change.obj["metadata"]["name"]
            said = _gist(kind, change.obj)
            if change.verb == "MODIFIED" and last.get((kind, name)) == said:
                continue
            last[kind, name] = said
            at = (change.at_us - self.began) / S
            where = f"{kind}/{name}" if kind != "Event" else "Event"
            lines.append((change.at_us, f"{at:8.2f} {change.verb[:3]} {where} {said}".rstrip()))
        lines = sorted([*lines, *self._typed], key=lambda line: line[0])
        return "\n".join(GENERATED.sub("-<gen>", line) for _, line in lines) + "\n"

    def _changes(self) -> Iterator[Any]:
        store = self.cluster.store
        found = []
        for storage in KINDS:
            watch = store.watch(storage, self.revision)
            found += watch.read(100_000)
            watch.close()
        for change in sorted(found, key=lambda change: change.revision):
            metadata = change.obj["metadata"]
            if metadata.get("namespace", NAMESPACE) == NAMESPACE and (
                change.storage != "namespaces" or metadata["name"] == NAMESPACE
            ):
                yield change


def _gist(kind: str, obj: Any) -> str:
    spec, status, metadata = obj.get("spec") or {}, obj.get("status") or {}, obj["metadata"]
    leaving = " leaving" if "deletionTimestamp" in metadata else ""
    if kind == "Event":
        about = obj["involvedObject"]
        times = obj.get("count") or (obj.get("series") or {}).get("count") or 1
        count = f" x{times}" if times > 1 else ""
        return f"{obj['type']} {obj['reason']}{count} {about['kind']}/{about['name']}: {obj['message']}"
    if kind == "Pod":
        ready = [each["status"] for each in status.get("conditions") or () if each["type"] == "Ready"]
        return f"{status.get('phase')} on {spec.get('nodeName', '-')}{' ready' if ready == ['True'] else ''}{leaving}"
    if kind == "EndpointSlice":
        states = [each["conditions"] for each in obj.get("endpoints") or ()]
        return " ".join("".join(key[0] if on else "-" for key, on in each.items()) for each in states)
    if kind == "Node":
        taints = ",".join(f"{each['key'].rpartition('/')[2]}:{each['effect']}" for each in spec.get("taints") or ())
        ready = [each["status"] for each in status.get("conditions") or () if each["type"] == "Ready"]
        return f"ready={''.join(ready) or '-'} taints=[{taints}]"
    counts = {key: value for key, value in status.items() if isinstance(value, int | str) and not key.endswith("Time")}
    counts = {key: value for key, value in counts.items() if not key.endswith("Revision")}
    if "replicas" in spec:
        counts = {"wanted": spec["replicas"], **counts}
    if status.get("used"):
        counts["used"] = json.dumps(status["used"])
    conditions = " ".join(
        f"{each['type']}={each['status']}({each.get('reason', '')})" for each in status.get("conditions") or ()
    )
    return f"{' '.join(f'{key}={value}' for key, value in counts.items())} {conditions}{leaving}".strip()
