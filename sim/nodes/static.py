"""Static pods: pods that come from files of the node, and their mirrors in the API server.

Source: k8s.io/kubernetes/pkg/kubelet/{config,pod/mirror_client.go}. Not modelled: the time until a changed file is
noticed; ``put`` and ``remove`` take effect at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from seatrial.sim.apiserver.client import Unreachable
from seatrial.sim.kernel.clock import Process
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.nodes.spec import key_of
from seatrial.sim.nodes.worker import PodWorker

if TYPE_CHECKING:
    from seatrial.sim.nodes.kubelet import Kubelet

Object = Mapping[str, Any]
PREFIX = "kubernetes.io/config"
RETRY_US = 10_000_000


class StaticPods:
    """The manifests of one node; they outlive the kubelet."""

    def __init__(self, kubelet: Kubelet) -> None:
        self.kubelet = kubelet
        self.manifests: dict[str, Object] = {}
        """File name → pod, as ``/etc/kubernetes/manifests`` holds them."""
        self._mirrors: dict[str, str] = {}
        """namespace/name → uid of the mirror that is in the API server."""
        self._seen: dict[str, int] = {}
        """Pods' uid → when their manifest appeared, if that was after the kubelet's start."""
        self._processes: dict[str, Process] = {}

    def put(self, file: str, pod: Object) -> None:
        """Adds or changes a manifest."""
        before = self.manifests.get(file)
        self.manifests[file] = pod
        if self.kubelet.running:
            self._seen[self._uid(pod)] = self.kubelet.clock.now
            if before is not None:
                self._end(self.made(before))
            self._run(self.made(pod))

    def remove(self, file: str) -> None:
        pod = self.manifests.pop(file, None)
        if pod is not None and self.kubelet.running:
            self._end(self.made(pod))

    def _uid(self, pod: Object) -> str:
        text = orjson.dumps(pod, option=orjson.OPT_SORT_KEYS) + self.kubelet.node_name.encode()
        return hashlib.md5(text, usedforsecurity=False).hexdigest()

    def made(self, pod: Object) -> Object:
        """The pod that a manifest stands for: named after the node, known by its hash."""
        node, uid = self.kubelet.node_name, self._uid(pod)
        metadata = pod["metadata"]
        annotations = {
            **(metadata.get("annotations") or {}),
            f"{PREFIX}.hash": uid,
            f"{PREFIX}.seen": self.kubelet.clock.stamp(self._seen.get(uid, self.kubelet.begun_us)),
            f"{PREFIX}.source": "file",
        }
        named = {
            **metadata,
            "name": f"{metadata['name']}-{node}",
            "namespace": metadata.get("namespace", "default"),
            "uid": uid,
            "annotations": annotations,
        }
        tolerations = [*(pod["spec"].get("tolerations") or ()), {"operator": "Exists", "effect": "NoExecute"}]
        return {**pod, "metadata": named, "spec": {**pod["spec"], "nodeName": node, "tolerations": tolerations}}

    def start(self) -> None:
        self._mirrors.clear()
        self._seen.clear()
        for pod in self.manifests.values():
            self._run(self.made(pod))

    def stop(self) -> None:
        for process in self._processes.values():
            process.kill()
        self._processes.clear()

    def _run(self, pod: Object) -> None:
        worker = PodWorker(self.kubelet, pod)
        worker.static = True
        worker.record = self.kubelet.runtime.record(worker.uid)
        self.kubelet.workers[worker.uid] = worker
        worker.wake()
        self._mirror(worker)

    def _end(self, pod: Object) -> None:
        worker = self.kubelet.workers.get(pod["metadata"]["uid"])
        if worker is not None:
            worker.deleted = True
            worker.end(None)
        process = self._processes.pop(key_of(pod), None)
        if process is not None:
            process.kill()
        if key_of(pod) in self._mirrors:
            name = f"{self.kubelet.name}/unmirror/{key_of(pod)}"
            self._processes[name] = self.kubelet.spawn(self._delete(pod, self._mirrors[key_of(pod)]), name)

    def _worker(self, key: str) -> PodWorker | None:
        """Whose mirror it would be: one that is ending has none any more."""
        workers = self.kubelet.workers.values()
        return next((w for w in workers if w.static and w.key == key and not w.deleted), None)

    def mirror_seen(self, mirror: Object) -> None:
        """A mirror came from the API server: it belongs to a manifest, or has to go."""
        key = key_of(mirror)
        self._mirrors[key] = mirror["metadata"]["uid"]
        worker = self._worker(key)
        if worker is None or mirror["metadata"].get("deletionTimestamp") is not None or not _of(mirror, worker):
            name = f"{self.kubelet.name}/unmirror/{key}"
            self._processes[name] = self.kubelet.spawn(self._delete(mirror, mirror["metadata"]["uid"]), name)
            return
        if worker.mirror is None or worker.mirror["metadata"]["uid"] != mirror["metadata"]["uid"]:
            worker.sent = None
            worker.mirror = mirror
            self.kubelet.statuses.changed(worker)
        worker.mirror = mirror
        self.kubelet.statuses.seen(worker)

    def mirror_gone(self, mirror: Object) -> None:
        """Somebody deleted a mirror: the pod runs on, and a new mirror is made."""
        key = key_of(mirror)
        self._mirrors.pop(key, None)
        worker = self._worker(key)
        if worker is not None:
            worker.mirror = None
            worker.sent = None
            self._mirror(worker)

    def _mirror(self, worker: PodWorker) -> None:
        key = worker.key
        running = self._processes.get(key)
        if running is None or not running.alive:
            self._processes[key] = self.kubelet.spawn(self._create(worker), f"{self.kubelet.name}/mirror/{key}")

    def _create(self, worker: PodWorker) -> Generator[Any, Any, None]:
        kubelet, pod = self.kubelet, worker.pod
        while kubelet.node is None:
            yield kubelet.clock.sleep(100_000, periodic=True)
        node = kubelet.node["metadata"]
        owner = {"apiVersion": "v1", "kind": "Node", "name": node["name"], "uid": node["uid"], "controller": True}
        metadata = {key: value for key, value in pod["metadata"].items() if key != "uid"}
        annotations = {**metadata["annotations"], f"{PREFIX}.mirror": worker.uid}
        body = {
            **pod,
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**metadata, "annotations": annotations, "ownerReferences": [owner]},
        }
        while worker.mirror is None:
            try:
                yield from kubelet.client.create(kubelet.pods, body)
                return
            except ApiError as error:
                if error.code == 409:
                    return
            except Unreachable:
                pass
            yield kubelet.clock.sleep(RETRY_US, periodic=True)

    def _delete(self, pod: Object, uid: str) -> Generator[Any, Any, None]:
        """Deletes one mirror and no later one of its name, however long the API server does not take it."""
        metadata = pod["metadata"]
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
        while True:
            try:
                yield from self.kubelet.client.delete(
                    self.kubelet.pods, metadata.get("namespace", "default"), metadata["name"], options
                )
                return
            except ApiError as error:
                if error.code < 500:
                    return
            except Unreachable:
                pass
            yield self.kubelet.clock.sleep(RETRY_US, periodic=True)


def _of(mirror: Object, worker: PodWorker) -> bool:
    """Whether a mirror shows what the manifest says now (IsMirrorPodOf)."""
    annotations = mirror["metadata"].get("annotations") or {}
    return bool(annotations.get(f"{PREFIX}.mirror") == worker.uid)
