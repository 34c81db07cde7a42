"""The worker of one pod: what the kubelet does for it, one sync after the other.

A sync reports what was observed, then takes the next steps; when it comes again depends on how it ended. Source:
k8s.io/kubernetes/pkg/kubelet/pod_workers.go and kubelet.go (SyncPod, SyncTerminatingPod, SyncTerminatedPod). A sync
that would change nothing is not executed: a running pod whose containers are quiet costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

from seatrial.sim.apiserver.events import reference
from seatrial.sim.config import S
from seatrial.sim.kernel.clock import Process, Timer
from seatrial.sim.machinery import alike
from seatrial.sim.nodes import launch
from seatrial.sim.nodes.actions import Actions, compute
from seatrial.sim.nodes.backoff import jitter
from seatrial.sim.nodes.conditions import condition, timed
from seatrial.sim.nodes.cri import NOTHING, RUNNING, ContainerRecord, PodRecord, Sandbox
from seatrial.sim.nodes.environment import dns_of, hostname_of, hosts_file, port_mappings_of, sysctls_of
from seatrial.sim.nodes.podprobes import Probes
from seatrial.sim.nodes.report import DEADLINE, Amounts, Facts, amounts_of, mergeable, report
from seatrial.sim.nodes.runtime import Unavailable
from seatrial.sim.nodes.spec import STATUS_FIELDS, find_container, key_of
from seatrial.sim.nodes.status import TERMINAL
from seatrial.sim.nodes.volumes import PodVolumes

if TYPE_CHECKING:
    from seatrial.sim.nodes.kubelet import Kubelet

Object = Mapping[str, Any]
SYNC, TERMINATING, TERMINATED, FINISHED = "sync", "terminating", "terminated", "finished"
NEXT_TICK = 0
JITTER = 0.5
"""workerResyncIntervalJitterFactor and workerBackOffPeriodJitterFactor."""


class PodWorker:
    """One pod on its node, from admission until nothing is left of it."""

    __slots__ = (
        "_amounts", "_cgroup", "_deadline", "_pending", "_process", "_regular_us", "_synced_us", "_syncs", "_timer",
        "allocated", "answered", "counted", "deleted", "disruption", "failure", "fetched", "grace_us", "kubelet",
        "mirror", "mount_at_us", "mount_delay_us", "mounted", "pod", "probes", "pull_errors", "reasons", "record",
        "resize_conditions", "sent", "started_us", "state", "static", "status", "uid", "volumes",
    )  # fmt: skip

    def __init__(self, kubelet: Kubelet, pod: Object) -> None:
        self.kubelet = kubelet
        self.pod = pod
        self.uid: str = pod["metadata"]["uid"]
        self.state = SYNC
        self.record: PodRecord = NOTHING
        """The runtime as of the last relist."""
        self.status: Object = pod.get("status") or {}
        """The report last made."""
        self.sent: Object | None = None
        """The report last sent; this and ``answered`` belong to who sends them."""
        self.answered: Object | None = None
        """The pod as the API server returned it after a report."""
        self.started_us = 0
        self.reasons: dict[str, tuple[str, str]] = {}
        self.pull_errors: dict[str, str] = {}
        self.allocated: dict[str, Object] = {}
        self.resize_conditions: tuple[dict[str, Any], ...] = ()
        self.failure: tuple[str, str] | None = None
        self.grace_us: int | None = None
        self.counted = False
        """The kubelet's metrics know how long it took to run."""
        self.static = False
        """Comes from a file of the node; ``mirror`` is what the API server has of it."""
        self.mirror: Object | None = None
        self.disruption: tuple[str, str] | None = None
        """Reason and message of the DisruptionTarget condition of a pod that the kubelet itself ends."""
        self.deleted = False
        """The API object is gone."""
        self.probes = Probes(self)
        self.volumes = PodVolumes(kubelet, pod)
        self.mounted = False
        self.fetched = False
        self.mount_delay_us = kubelet.settings.mount_retry_us
        self.mount_at_us = 0
        """When mounting what failed is tried again, and how long after that once more."""
        self._cgroup = False
        self._amounts: Amounts | None = None
        self._process: Process | None = None
        self._pending = False
        self._timer: Timer | None = None
        self._deadline: Timer | None = None
        self._syncs = 0
        self._synced_us = 0
        self._regular_us = 0
        """From when on its regular syncs count: the last sync, or one that was passed over."""

    @property
    def key(self) -> str:
        return key_of(self.pod)

    @property
    def active(self) -> bool:
        """Its room is taken: nothing of it runs any more once it has been terminated (filterOutInactivePods)."""
        return self.state not in (TERMINATED, FINISHED)

    def busy(self) -> bool:
        return self._process is not None

    def wake(self) -> None:
        """Something changed: sync now, or again when the current sync is over."""
        if self.state == FINISHED:
            return
        if self._process is not None:
            self._pending = True
            return
        self._unset_timer()
        self._process = self.kubelet.spawn(self._work(), f"pod/{self.uid}")

    def update(self, pod: Object) -> None:
        """A new version of the pod from the API server."""
        deadline = self.pod["spec"].get("activeDeadlineSeconds")
        self.pod = self.volumes.pod = pod
        self.probes.stir()
        if self.started_us and pod["spec"].get("activeDeadlineSeconds") != deadline:
            self._set_deadline()
        if pod["metadata"].get("deletionTimestamp") is not None:
            self.end(None)

    def end(self, failure: tuple[str, str] | None, grace_us: int | None = None) -> None:
        """The pod is to stop: deleted, evicted or past its deadline."""
        if failure is not None:
            self.failure = failure
        if grace_us is not None:
            self.grace_us = grace_us
        if self.state == SYNC:
            self.state = TERMINATING
            if self._process is not None:
                self._process.kill()
                self._process = None
        if self.state == TERMINATING and self._process is None:
            self.wake()

    def stop(self) -> None:
        """The kubelet stops; the containers go on."""
        self._unset_timer()
        if self._deadline is not None:
            self._deadline.cancel()
        if self._process is not None:
            self._process.kill()
            self._process = None
        self.probes.stop()

    def event(self, container: Object | None, kind: str, reason: str, message: str) -> None:
        """Records an event about the pod or one of its containers."""
        path = ""
        if container is not None:
            found = find_container(self.pod, container["name"])
            path = f"{found[0] if found else 'containers'}{{{container['name']}}}"
        self.kubelet.recorder.event(reference(self.pod, path and f"spec.{path}"), kind, reason, message)

    def started(self, container: Object, record: ContainerRecord) -> bool:
        return self.probes.started(container["name"], record)

    def probe_changed(self, kind: str) -> None:
        """A probe's result changed: readiness is said at once, whatever the worker is at; the rest is for a sync."""
        if kind != "liveness" and self.state == SYNC:
            self.publish(poke=False)
        self.wake()

    def refresh_due(self) -> None:
        """The objects behind the volumes changed: they follow at the next regular sync.

        Regular syncs that would have changed nothing were not executed: their times are counted now.
        """
        settings, now = self.kubelet.settings, self.kubelet.clock.now
        due = self._regular_us
        if not due:
            # The first sync is still to come: it reads the objects as they are then.
            return
        while due <= now:
            due += self._jitter(settings.sync_frequency_us)
        self._regular_us = due
        when = self.kubelet.next_tick(due)
        if self._process is None and (self._timer is None or self._timer.due > when):
            self._unset_timer()
            self._timer = self.kubelet.clock.at(when, self.wake, periodic=True)

    def earlier_restarts(self, name: str) -> int:
        """The restart count of a container that the runtime knows nothing of any more."""
        status = self.reported(name)
        count = int(status.get("restartCount", 0))
        return count + 1 if "containerID" in status else count

    def reported(self, name: str) -> Object:
        """What was last reported of a container; empty if nothing was."""
        every = chain.from_iterable(self.status.get(field) or () for field in STATUS_FIELDS.values())
        return next((status for status in every if status["name"] == name), {})

    def fetch_references(self, container: Object) -> Generator[Any, Any, None]:
        """Reads the ConfigMaps and Secrets that a container's variables mention."""
        names: dict[tuple[str, str], None] = {}
        for source in container.get("envFrom") or ():
            for field, kind in (("configMapRef", "configmap"), ("secretRef", "secret")):
                if field in source:
                    names[kind, source[field]["name"]] = None
        for entry in container.get("env") or ():
            source = entry.get("valueFrom") or {}
            for field, kind in (("configMapKeyRef", "configmap"), ("secretKeyRef", "secret")):
                if field in source:
                    names[kind, source[field]["name"]] = None
        if names:
            yield from self.kubelet.fetch(self, list(names))

    # The syncs

    def _work(self) -> Generator[Any, Any, None]:
        kubelet = self.kubelet
        while True:
            newer = kubelet.relist_after(self._synced_us)
            if newer > kubelet.clock.now:
                # A sync wants to see the runtime as it was after the last one (podCache.GetNewerThan).
                yield kubelet.clock.sleep(newer - kubelet.clock.now)
                self.record = kubelet.runtime.record(self.uid)
            self._pending = False
            self.probes.stir()
            again, periodic = yield from SYNCS[self.state](self)
            self._synced_us = self._regular_us = kubelet.clock.now
            if self.state == FINISHED:
                self._process = None
                self.kubelet.finished(self)
                return
            if not self._pending:
                break
        self._process = None
        if again is not None:
            when = self.kubelet.next_tick(self.kubelet.clock.now + again)
            self._timer = self.kubelet.clock.at(when, self.wake, periodic=periodic)

    def _unset_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _jitter(self, period_us: int) -> int:
        self._syncs += 1
        return jitter(period_us, JITTER, self.uid, self._syncs)

    def publish(self, terminal: bool = False, poke: bool = True) -> str:
        """Makes a report and hands it to the status manager; returns the phase that it found."""
        kubelet, spec = self.kubelet, self.pod["spec"]
        if self._amounts is None or self._amounts.spec is not spec:
            self._amounts = amounts_of(spec)
        facts = Facts(
            self.pod,
            self.record,
            self.status,
            kubelet.clock.stamp(),
            kubelet.clock.stamp(self.started_us),
            kubelet.address,
            self.reasons,
            self.probes.probed(poke),
            self.allocated,
            terminal,
            self.failure,
            self._cgroup,
            self.resize_conditions,
            self._amounts,
        )
        made = report(facts)
        phase: str = made["phase"]
        if self.disruption is not None:
            kept = [found for found in made["conditions"] if found["type"] != "DisruptionTarget"]
            target = condition("DisruptionTarget", True, self.pod["metadata"].get("generation", 0), *self.disruption)
            made["conditions"] = timed([target], self.status.get("conditions") or (), facts.now_stamp) + kept
        sent = mergeable(made, self.status, self.state == SYNC or (self.state == TERMINATING and not terminal))
        if sent != self.status or self.sent is None:
            self.status = alike.shared(sent, self.status)
            kubelet.statuses.changed(self)
        return phase

    def sync(self) -> Generator[Any, Any, tuple[int | None, bool]]:
        """One sync of a pod that is to run (SyncPod)."""
        kubelet = self.kubelet
        first = not self.started_us
        if first:
            self._begin()
        regular = {container["name"] for container in self.pod["spec"]["containers"]}
        self._cgroup = any(record.name in regular for record in self.record.containers)
        if self._past_deadline():
            self.failure = DEADLINE
            self.event(None, "Normal", *DEADLINE)
        kubelet.resizes.allocate(self)
        if self.publish() in TERMINAL:
            self.state = TERMINATING
            return NEXT_TICK, False
        if not self.mounted or self.volumes.payloads:
            if not (yield from kubelet.volume_manager.wait_for_attach_and_mount(self)):
                return self._jitter(kubelet.settings.back_off_period_us), False
        self.probes.add()
        return (yield from self._converge())

    def _begin(self) -> None:
        clock = self.kubelet.clock
        known = self.status.get("startTime")
        self.started_us = self.kubelet.parse(known) if known else clock.now
        self._set_deadline()

    def _set_deadline(self) -> None:
        clock = self.kubelet.clock
        if self._deadline is not None:
            self._deadline.cancel()
        deadline = self.pod["spec"].get("activeDeadlineSeconds")
        if deadline is not None and self.state == SYNC:
            self._deadline = clock.at(max(self.started_us + int(deadline) * S, clock.now), self.wake)

    def _past_deadline(self) -> bool:
        deadline = self.pod["spec"].get("activeDeadlineSeconds")
        return deadline is not None and self.kubelet.clock.now - self.started_us >= int(deadline) * S

    def _converge(self) -> Generator[Any, Any, tuple[int | None, bool]]:
        """Does what the containers need (kuberuntime's SyncPod)."""
        kubelet, record = self.kubelet, self.record
        actions = self._actions()
        if actions.kill_pod:
            if record.sandbox is not None and actions.create_sandbox:
                self.event(None, "Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
            yield from launch.stop_all(self)
            kubelet.runtime.stop_sandbox(self.uid)
        for kill in actions.kill:
            yield from launch.stop(self, kill.record, kill.container, kill.message, kill.reason)
        if actions.create_sandbox and not (yield from self._create_sandbox()):
            return self._jitter(kubelet.settings.back_off_period_us), False
        resized = yield from kubelet.resizes.actuate(self)
        failures = []
        for field, container in actions.start:
            failure = yield from launch.start(self, field, container, record)
            if failure is None:
                self.reasons.pop(container["name"], None)
                continue
            self.reasons[container["name"]] = (failure.reason, failure.message)
            failures.append(failure)
        return self._after(failures, resized or bool(actions.start or actions.kill or actions.kill_pod))

    def _actions(self) -> Actions:
        record = self.record
        running = {c.name: self.probes.started(c.name, c) for c in record.containers if c.state == RUNNING}
        return compute(self.pod, record, self.probes.failed(), running)

    def _after(self, failures: list[launch.Failure], acted: bool) -> tuple[int | None, bool]:
        """When the next sync is due, if nothing happens before (completeWork)."""
        settings = self.kubelet.settings
        if failures:
            waits = [failure.wait_us for failure in failures]
            if all(wait is not None for wait in waits):
                left = min(wait for wait in waits if wait is not None)
                return self._jitter(min(settings.sync_frequency_us, left)), False
            return self._jitter(settings.back_off_period_us), False
        if acted:
            self.record = self.kubelet.runtime.record(self.uid)
            self.publish()
            if self._actions().start:
                self._pending = True
        if acted or not self._cgroup:
            return self._jitter(settings.sync_frequency_us), True
        return None, True

    def _create_sandbox(self) -> Generator[Any, Any, bool]:
        kubelet, pod = self.kubelet, self.pod
        spec = pod["spec"]
        hostname, domain = hostname_of(pod, kubelet.cluster_domain)
        host_network = bool(spec.get("hostNetwork"))
        if host_network:
            hostname = kubelet.node_name
        sandbox = Sandbox(
            name=pod["metadata"]["name"],
            namespace=pod["metadata"]["namespace"],
            uid=self.uid,
            host=kubelet.node_name,
            ip=kubelet.address if host_network else "",
            hostname=hostname,
            domain=domain,
            host_network=host_network,
            share_processes=bool(spec.get("shareProcessNamespace")),
            dns=dns_of(pod, kubelet.cluster_dns, kubelet.cluster_domain, kubelet.node_dns),
            annotations=pod["metadata"].get("annotations") or {},
            ports=() if host_network else port_mappings_of(pod),
            sysctls=sysctls_of(pod),
        )
        yield kubelet.clock.sleep(kubelet.settings.sandbox_us)
        yield from kubelet.runtime.wait()
        try:
            made = kubelet.runtime.create_sandbox(sandbox)
        except RuntimeError as error:
            said = str(error) if isinstance(error, Unavailable) else f"rpc error: code = Unknown desc = {error}"
            text = f"Failed to create pod sandbox: {said}"
            self.event(None, "Warning", "FailedCreatePodSandBox", text)
            return False
        aliases = spec.get("hostAliases") or ()
        sandbox.hosts = hosts_file(sandbox.ip, hostname, domain, aliases, host_network)
        kubelet.statuses.sandbox_ready(self, made)
        return True

    def terminate(self) -> Generator[Any, Any, tuple[int | None, bool]]:
        """Stops the containers (SyncTerminatingPod)."""
        kubelet = self.kubelet
        if not self.started_us:
            self._begin()
        if self._deadline is not None:
            self._deadline.cancel()
        if self.failure == DEADLINE:
            self.event(None, "Normal", *DEADLINE)
        regular = {container["name"] for container in self.pod["spec"]["containers"]}
        self._cgroup = any(record.name in regular for record in self.record.containers)
        self.publish()
        self.probes.stop(("startup", "liveness"))
        yield from launch.stop_all(self)
        record = kubelet.runtime.record(self.uid)
        if record.sandbox is not None and record.sandbox.ready:
            yield kubelet.clock.sleep(kubelet.settings.stop_sandbox_us)
            kubelet.runtime.stop_sandbox(self.uid)
        self.probes.stop()
        self.record = kubelet.runtime.record(self.uid)
        if self.failure == DEADLINE:
            self.event(None, "Normal", *DEADLINE)
        self.publish(terminal=True)
        self.state = TERMINATED
        return NEXT_TICK, False

    def finish(self) -> Generator[Any, Any, tuple[int | None, bool]]:
        """Nothing runs any more: give everything back (SyncTerminatedPod)."""
        if self.kubelet.housekeeping_after(self._synced_us) <= self.kubelet.clock.now:
            self._cgroup = False
        if self.failure == DEADLINE:
            self.event(None, "Normal", *DEADLINE)
        self.publish(terminal=True)
        self.state = FINISHED
        return None, True
        yield


SYNCS: dict[str, Callable[[PodWorker], Generator[Any, Any, tuple[int | None, bool]]]] = {
    SYNC: PodWorker.sync,
    TERMINATING: PodWorker.terminate,
    TERMINATED: PodWorker.finish,
}
"""What a sync does in each state of a worker; each returns when the next is due and whether that is mere rhythm."""
