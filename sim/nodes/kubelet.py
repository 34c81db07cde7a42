"""The kubelet: keeps the containers of one machine as the pods bound to it say.

It watches its pods, looks at the runtime about once a second when something happened there, and gives every pod a
worker. Source: k8s.io/kubernetes/pkg/kubelet/kubelet.go, …/pleg/generic.go. Not modelled: relists in which nothing
changed and sync loop ticks at which nothing is due; they have no effect and are not executed.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from functools import partial
from typing import Any

from seatrial.sim.apiserver.client import Client
from seatrial.sim.apiserver.informer import Informer
from seatrial.sim.apiserver.recorder import Recorder
from seatrial.sim.apiserver.request import User
from seatrial.sim.apiserver.wiring import Wiring
from seatrial.sim.kernel.clock import Process, Timer, parse_stamp
from seatrial.sim.machinery.metrics import Meters
from seatrial.sim.nodes import admission, metrics
from seatrial.sim.nodes.backoff import Backoff
from seatrial.sim.nodes.conditions import OWNED
from seatrial.sim.nodes.environment import service_environment
from seatrial.sim.nodes.podcertificates import PodCertificates
from seatrial.sim.nodes.references import References
from seatrial.sim.nodes.relist import superseded, worth_a_sync
from seatrial.sim.nodes.report import rejected
from seatrial.sim.nodes.resize import Resizes
from seatrial.sim.nodes.runtime import Runtime
from seatrial.sim.nodes.settings import KubeletSettings
from seatrial.sim.nodes.spec import is_mirror
from seatrial.sim.nodes.static import StaticPods
from seatrial.sim.nodes.status import TERMINAL
from seatrial.sim.nodes.statuses import Statuses
from seatrial.sim.nodes.volumemanager import VolumeManager
from seatrial.sim.nodes.worker import FINISHED, SYNC, PodWorker

Object = Mapping[str, Any]
KINDS = {
    "configmap": "configmaps",
    "secret": "secrets",
    "claim": "persistentvolumeclaims",
    "volume": "persistentvolumes",
    "driver": "csidrivers.storage.k8s.io",
    "node": "nodes",
    "trustbundle": "clustertrustbundles.certificates.k8s.io",
}
NODE_RESOLVER = "10.0.2.3"
"""The machines' own name server, as VirtualBox gives it to its guests."""
USER_AGENT = "kubelet/v1.37.2 (linux/amd64) kubernetes/2d9a1bd"


ORPHAN_GRACE_US = 2_000_000
"""How long the containers of a pod that nobody knows any more may take to end."""
STATIC_PODS_ALONE_US = 500_000
"""How long static pods wait for the list of the other pods."""


class Kubelet:
    """One kubelet process. ``start`` and ``stop`` may follow each other; the runtime goes on meanwhile."""

    def __init__(
        self, wiring: Wiring, node_name: str, address: str, runtime: Runtime, settings: KubeletSettings
    ) -> None:
        self.wiring = wiring
        self.clock = wiring.clock
        self.node_name = self.host = node_name
        self.name = f"kubelet/{node_name}"
        self.address = address
        self.runtime = runtime
        self.settings = settings
        network = wiring.spec.network
        self.cluster_domain = network.dns_domain
        self.cluster_dns = _tenth(network.service_cidr)
        self.node_dns: dict[str, list[str]] = {"servers": [NODE_RESOLVER], "searches": [], "options": []}
        self.allocatable: Mapping[str, str] = {}
        self.running = False
        self.begun_us = 0
        user = User(f"system:node:{node_name}", ("system:nodes", "system:authenticated"))
        limits = wiring.spec.client
        self.client = Client(wiring, node_name, user, USER_AGENT, limits.kubelet_qps, limits.kubelet_burst)
        event_client = Client(wiring, node_name, user, USER_AGENT, settings.event_qps, settings.event_burst)
        kinds = wiring.kinds
        self.kinds = {name: kinds.resource(storage) for name, storage in KINDS.items()}
        self.pods = kinds.resource("pods")
        self.accounts = kinds.resource("serviceaccounts")
        self.recorder = Recorder(self.clock, event_client, kinds.resource("events"), "kubelet", node_name)
        self._service_kind = kinds.resource("services")
        self.statuses = Statuses(self)
        self.references = References(self, self.reference_changed)
        self.certificates = PodCertificates(self)
        self.resizes = Resizes(self)
        self.volume_manager = VolumeManager(self)
        self.static_pods = StaticPods(self)
        self.shutting_down = False
        self.pressure: dict[str, tuple[str, str]] = {}
        """Pressures that the eviction manager sees: condition → (reason, message)."""
        self.workers: dict[str, PodWorker] = {}
        self._processes: list[Process] = []
        self.meters = Meters("kubelet")
        """What this process counted."""
        self._reset()

    def _reset(self) -> None:
        settings = self.settings
        self.container_backoff = Backoff(settings.container_back_off_us, settings.container_back_off_max_us)
        self.image_backoff = Backoff(settings.image_back_off_us, settings.image_back_off_max_us)
        self.pod_informer = Informer(
            self.wiring, self.client, self.pods, field_selector=f"spec.nodeName={self.node_name}", heedless=True
        )
        self.pod_informer.on_change(self._pod_changed)
        self.service_informer = Informer(self.wiring, self.client, self._service_kind, heedless=True)
        self._services_at = -1
        self._service_variables: dict[tuple[str, bool], Mapping[str, str]] = {}
        self.workers.clear()
        self._relisted: dict[str, None] = {}
        self._relist: Timer | None = None
        self._patience: Timer | None = None
        self.node: Object | None = None

    # Component

    def start(self) -> None:
        if self.running:
            return
        self.running = True
        self._reset()
        self.begun_us = self.clock.now
        self.meters = self.client.meters = Meters("kubelet")
        self.runtime.on_operation = partial(metrics.operated, self.meters)
        self._relist_offset = self.clock.now
        self._tick_offset = self.clock.now + self.settings.sync_loop_delay_us
        self.runtime.on_change = self._container_changed
        self.recorder.start()
        self.statuses.start()
        self.volume_manager.start()
        alone_us = self.settings.pods_after_us + STATIC_PODS_ALONE_US
        self._patience = self.clock.after(alone_us, self._static_pods, periodic=True)
        self._processes = [self.spawn(self._run(), self.name)]

    def stop(self) -> None:
        """The process ends; containers, sandboxes and their logs stay."""
        if not self.running:
            return
        self.running = False
        self.runtime.on_change = _ignore
        for worker in list(self.workers.values()):
            worker.stop()
        for process in self._processes:
            process.kill()
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        self.static_pods.stop()
        self.references.stop()
        self.certificates.stop()
        self.statuses.stop()
        self.recorder.stop()
        if self._relist is not None:
            self._relist.cancel()
        self.workers.clear()

    def busy(self) -> list[str]:
        """What is under way."""
        found = [f"pod {worker.key}" for worker in self.workers.values() if worker.busy()]
        if self.statuses.busy():
            found.append("pod statuses")
        if self.recorder.busy():
            found.append("events")
        return found

    @property
    def is_lazy(self) -> bool:
        """Whether what changes nothing need not be executed (``apiserver.standing``)."""
        return self.wiring.endpoint.server.standing.lazy

    def stir(self) -> None:
        """Something about the machine may be different from now on."""
        for worker in self.workers.values():
            worker.probes.stir()

    def spawn(self, steps: Generator[Any, Any, Any], name: str) -> Process:
        return self.clock.spawn(steps, name)

    def _run(self) -> Generator[Any, Any, None]:
        services = self.spawn(self.service_informer.run(), f"{self.name}/services")
        self._processes.append(services)
        while self.node is None or not self.service_informer.synced:
            yield (
                self.clock.sleep(1_000, periodic=True)
                if self.service_informer.synced
                else (self.service_informer.changed.wait(100_000, periodic=True))
            )
        yield self.clock.sleep(max(self.begun_us + self.settings.pods_after_us - self.clock.now, 0))
        self._processes.append(self.spawn(self.pod_informer.run(), f"{self.name}/pods"))
        while not self.pod_informer.synced:
            yield self.pod_informer.changed.wait(100_000, periodic=True)
        self._static_pods()
        self._orphans()
        self.volume_manager.synced()

    def _static_pods(self) -> None:
        """Pods from files, which may be the API server itself, do not wait for it longer than a moment."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
            self.static_pods.start()

    def registered(self, node: Object) -> None:
        """The node object, as last seen: pods are admitted against it."""
        self.node = node
        self.volume_manager.seen(node)
        self.allocatable = (node.get("status") or {}).get("allocatable") or {}

    def service_environment(self, namespace: str, wanted: bool) -> Mapping[str, str]:
        """Variables that name the services of a namespace; made anew when a service has changed."""
        view = self.service_informer.view
        if self._services_at != view.revision:
            self._services_at = view.revision
            self._service_variables.clear()
        key = (namespace, wanted)
        found = self._service_variables.get(key)
        if found is None:
            found = self._service_variables[key] = service_environment(view.list(), namespace, wanted)
        return found

    # Pods

    def _pod_changed(self, verb: str, new: Object | None, old: Object | None) -> None:
        if is_mirror(new or old or {}):
            if new is not None:
                self.static_pods.mirror_seen(new)
            elif old is not None:
                self.static_pods.mirror_gone(old)
            return
        if new is None:
            assert old is not None
            self._removed(old)
            return
        uid = new["metadata"]["uid"]
        worker = self.workers.get(uid)
        if worker is None:
            self._added(new)
        elif _only_status(new, worker.pod):
            before, worker.pod = worker.pod, new
            worker.probes.stir()
            worker.volumes.pod = new
            self._reconcile(worker, new, before)
        else:
            worker.update(new)
            if worker.state == FINISHED:
                self.statuses.changed(worker)
            worker.wake()

    def _reconcile(self, worker: PodWorker, new: Object, old: Object) -> None:
        """Nothing but the status is different: the kubelet's own is put right, conditions of others may be gates."""
        self.statuses.seen(worker)
        if new["spec"].get("readinessGates") and _foreign(new) != _foreign(old):
            worker.wake()

    def _added(self, pod: Object) -> None:
        status = pod.get("status") or {}
        worker = PodWorker(self, pod)
        self.workers[worker.uid] = worker
        worker.record = self.runtime.record(worker.uid)
        if status.get("phase") in TERMINAL:
            self._ended_before(worker)
            return
        if worker.record.sandbox is None and pod["metadata"].get("deletionTimestamp") is None and self._refuses(worker):
            return
        self.certificates.track(worker)
        worker.update(pod)
        worker.wake()

    def _ended_before(self, worker: PodWorker) -> None:
        """A pod that had ended when the kubelet first saw it."""
        worker.state = FINISHED
        worker.sent = worker.status
        self.volume_manager.release(worker.uid)
        if worker.pod["metadata"].get("deletionTimestamp") is not None:
            self.statuses.changed(worker)

    def _refuses(self, worker: PodWorker) -> bool:
        assert self.node is not None
        pod = worker.pod
        others = self.beside(worker)
        if self.shutting_down:
            rejection: admission.Rejection | None = admission.SHUTDOWN
        else:
            pressed = admission.pressed(pod, self.pressure, worker.static)
            rejection = pressed or admission.admit(pod, self.node, others)
        if rejection is None:
            return False
        worker.event(None, "Warning", rejection.reason, rejection.message)
        worker.status = rejected(pod, rejection.reason, rejection.message, self.clock.stamp())
        worker.state = FINISHED
        self.volume_manager.release(worker.uid)
        self.statuses.changed(worker)
        return True

    def beside(self, worker: PodWorker) -> list[Object]:
        """The other pods that a pod has to share the node with (GetActivePods). What was deleted by force is none of
        them, though it may still be ending (kubernetes/kubernetes#104824)."""
        return [each.pod for each in self.workers.values() if each is not worker and each.active and not each.deleted]

    def _removed(self, pod: Object) -> None:
        worker = self.workers.get(pod["metadata"]["uid"])
        if worker is None:
            return
        worker.deleted = True
        if worker.state == FINISHED:
            self._forget(worker)
        else:
            worker.pod = worker.volumes.pod = pod
            worker.end(None)

    def finished(self, worker: PodWorker) -> None:
        """Nothing of the pod runs any more."""
        self.references.release(worker.uid)
        self.volume_manager.release(worker.uid)
        if worker.deleted:
            self._forget(worker)
        else:
            self.statuses.changed(worker)

    def _forget(self, worker: PodWorker) -> None:
        self.workers.pop(worker.uid, None)
        self.statuses.forget(worker.uid)
        self.references.release(worker.uid)
        self.certificates.forget(worker.uid)
        self.runtime.remove_pod(worker.uid)
        self.container_backoff.forget_prefix(f"{worker.uid}/")
        self.image_backoff.forget_prefix(f"{worker.uid}/")

    def _orphans(self) -> None:
        """Pods that went away while the kubelet was not there."""
        for uid in [uid for uid in self.runtime.pods if uid not in self.workers]:
            for container in self.runtime.record(uid).containers:
                if container.state == "running":
                    self.runtime.stop_container(container.id, ORPHAN_GRACE_US)
            self.runtime.stop_sandbox(uid)
            self.clock.after(ORPHAN_GRACE_US, partial(self._orphaned, uid))
        for uid in [uid for uid in self.runtime.attached if uid not in self.workers and uid not in self.runtime.pods]:
            self.volume_manager.release(uid)

    def _orphaned(self, uid: str) -> None:
        """Forgets a pod that nobody knows any more, once its containers have ended."""
        if not self.running:
            return
        if any(container.state == "running" for container in self.runtime.record(uid).containers):
            self.clock.after(ORPHAN_GRACE_US, partial(self._orphaned, uid), periodic=True)
            return
        self.runtime.remove_pod(uid)
        self.volume_manager.release(uid)

    # The runtime

    def _container_changed(self, uid: str) -> None:
        """Something happened to a pod's containers: the next relist will see it."""
        self._relisted[uid] = None
        if self._relist is None:
            when = _next(self.clock.now, self.settings.relist_period_us, self._relist_offset)
            self._relist = self.clock.at(when, self._look)

    def _look(self) -> None:
        changed, self._relisted = self._relisted, {}
        self._relist = None
        for uid in changed:
            worker = self.workers.get(uid)
            record = self.runtime.record(uid)
            if worker is not None:
                metrics.started(self.meters, worker, record.containers, self.clock.now)
            if worker is not None and worker.record is not record:
                seen, worker.record = worker.record, record
                worker.probes.stir()
                if worker.state == SYNC and worth_a_sync(seen, record):
                    worker.wake()
            for container in superseded(record):
                self.runtime.remove_container(container.id)

    def relist_after(self, when: int) -> int:
        """The first relist later than ``when``."""
        return _next(when, self.settings.relist_period_us, self._relist_offset)

    def next_tick(self, when: int) -> int:
        """The sync loop's first tick at or after ``when``."""
        return _next(when - 1, self.settings.sync_loop_us, self._tick_offset)

    def housekeeping_after(self, when: int) -> int:
        """The first housekeeping later than ``when``; both of the sync loop's tickers begin at once."""
        period_us = self.settings.housekeeping_us
        return _next(when, period_us, self._tick_offset + period_us - self.settings.sync_loop_us)

    # Volumes

    def referenced(self, kind: str, namespace: str, name: str) -> Object | None:
        return self.references.get(kind, namespace, name)

    def fetch(self, worker: PodWorker, names: list[tuple[str, str]]) -> Generator[Any, Any, None]:
        yield from self.references.fetch(worker.uid, worker.pod["metadata"]["namespace"], names)

    def reference_changed(self, uid: str) -> None:
        """Contents follow at the pod's next regular sync; which one that is needs no counting before."""
        worker = self.workers.get(uid)
        if worker is not None and worker.mounted:
            worker.refresh_due()

    @staticmethod
    def parse(stamp: str) -> int:
        return parse_stamp(stamp)


def _only_status(new: Object, old: Object) -> bool:
    """Whether two versions of a pod differ in nothing that a kubelet acts on."""
    if new["spec"] is not old["spec"] and new["spec"] != old["spec"]:
        return False
    a, b = new["metadata"], old["metadata"]
    keys = ("labels", "annotations", "deletionTimestamp", "deletionGracePeriodSeconds", "finalizers")
    return all(a.get(key) == b.get(key) for key in keys)


def _foreign(pod: Object) -> dict[str, str]:
    """The conditions that others wrote."""
    found = (pod.get("status") or {}).get("conditions") or ()
    return {each["type"]: each["status"] for each in found if each["type"] not in OWNED}


def _next(after: int, period: int, offset: int) -> int:
    """The first moment of a rhythm later than ``after``."""
    return after - (after - offset) % period + period


def _tenth(cidr: str) -> str:
    """The tenth address of the service range: the cluster's DNS, as kubeadm has it."""
    a, b, c, d = (int(part) for part in cidr.split("/")[0].split("."))
    return f"{a}.{b}.{c}.{d + 10}"


def _ignore(uid: str) -> None:
    return None
