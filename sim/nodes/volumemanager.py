"""The kubelet's volume manager: which volumes a pod waits for, and which attachable ones the node's status reports.

A volume that has to be attached is reported in use first, so that nobody detaches it, and only then looked for among
those that are attached: the two sides meet in the Node's status. Source: k8s.io/kubernetes/pkg/kubelet/volumemanager
(volume_manager.go, populator, reconciler/reconciler_common.go), …/nodestatus/setters.go (VolumesInUse) and
pkg/volume/util/operationexecutor (GenerateVerifyControllerAttachedVolumeFunc). *Not modelled*: the reconciler's rhythm
where it would find nothing new; volumes of drivers without a CSIDriver, which upstream would wait for.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any

from seatrial.sim.apiserver.events import reference
from seatrial.sim.kernel.clock import Signal

if TYPE_CHECKING:
    from seatrial.sim.nodes.kubelet import Kubelet
    from seatrial.sim.nodes.worker import PodWorker

Object = Mapping[str, Any]
RECONCILER_US = 100_000
"""reconcilerLoopSleepPeriod."""
Steps = Generator[Any, Any, Any]


def claim_of(pod: Object, volume: Object) -> str:
    """The claim that a pod's volume names; empty if it names none."""
    if "ephemeral" in volume:
        return f"{pod['metadata']['name']}-{volume['name']}"
    return str((volume.get("persistentVolumeClaim") or {}).get("claimName", ""))


def names_of(node: Object, field: str) -> list[str]:
    """Unique names of volumes in a Node's status: ``volumesInUse`` or ``volumesAttached``."""
    return [each if isinstance(each, str) else each["name"] for each in (node.get("status") or {}).get(field) or ()]


class VolumeManager:
    """What one kubelet knows of its pods' volumes. What is attached outlives it, in the runtime's memory."""

    def __init__(self, kubelet: Kubelet) -> None:
        self.kubelet = kubelet
        self.on_change: Callable[[], None] = _nobody
        """The node's status has to report other volumes than before."""
        self.on_timeout: Callable[[Object, str], None] = _no_timeout
        """Told (reference to the pod, what was missing) when a sync has waited for too long, of which there is no
        event."""
        self._news = Signal(kubelet.clock)
        self._reset()

    def _reset(self) -> None:
        self._desired: dict[str, tuple[str, ...]] = {}
        self._reported: dict[str, None] = {}
        self._attached: dict[str, None] = {}
        self._problems: dict[str, tuple[tuple[str, str], ...]] = {}
        """Volumes of each pod that could not be set up, and why."""
        self._synced = self._told = False

    def start(self) -> None:
        """A new process: until it has seen its pods it says nothing of volumes."""
        self._reset()

    def synced(self) -> None:
        """The pods of the node are known."""
        self._synced = True
        if self.status():
            self.on_change()

    # The node's status

    def in_use(self) -> list[str]:
        """What pods are to have and what is still there of others (GetVolumesInUse)."""
        attached = self.kubelet.runtime.attached
        return sorted({name: None for names in (*self._desired.values(), *attached.values()) for name in names})

    def status(self) -> dict[str, Any]:
        """The part of the node's status; empty where there is nothing to say and nothing to take back."""
        names = self.in_use()
        return {"volumesInUse": names or None} if self._synced and (names or self._told) else {}

    def reported(self, node: Object) -> None:
        """The Node after a report, or as it was when there was nothing to report (markVolumesFromNode)."""
        self._reported = dict.fromkeys(names_of(node, "volumesInUse"))
        self.seen(node)

    def seen(self, node: Object) -> None:
        """The Node as the kubelet's watch knows it."""
        self._told = self._told or bool(names_of(node, "volumesInUse"))
        self._attached = dict.fromkeys(names_of(node, "volumesAttached"))
        self._news.fire()

    # The volumes of a pod

    def claimed(self, namespace: str, claim: str) -> Object | None:
        """The volume bound to a claim; None while there is none."""
        references = self.kubelet.references
        found = references.get("claim", namespace, claim)
        if found is None or (found.get("status") or {}).get("phase") != "Bound":
            return None
        return references.get("volume", "", found["spec"]["volumeName"])

    def unattached(self, worker: PodWorker) -> dict[str, str]:
        """The pod's volumes that have to be attached and are not, with their unique names."""
        there = self.kubelet.runtime.attached.get(worker.uid, ())
        return {volume: name for volume, name in self._attachable(worker).items() if name not in there}

    def _attachable(self, worker: PodWorker) -> dict[str, str]:
        found: dict[str, str] = {}
        for volume in worker.pod["spec"].get("volumes") or ():
            claim = claim_of(worker.pod, volume)
            bound = self.claimed(worker.pod["metadata"]["namespace"], claim) if claim else None
            csi = bound["spec"].get("csi") if bound is not None else None
            driver = self.kubelet.references.get("driver", "", csi["driver"]) if csi is not None else None
            if csi is not None and driver is not None and driver["spec"].get("attachRequired") is not False:
                found[volume["name"]] = f"kubernetes.io/csi/{csi['driver']}^{csi['volumeHandle']}"
        return found

    def wait_for_attach_and_mount(self, worker: PodWorker) -> Generator[Any, Any, bool]:
        """Waits until every volume of the pod is mounted, but not for ever; False: the sync is over."""
        volumes, clock, settings = worker.volumes, self.kubelet.clock, self.kubelet.settings
        deadline = clock.now + settings.mount_timeout_us
        if not worker.mounted:
            yield clock.sleep(settings.mount_us)
        if not worker.fetched:
            names = [*volumes.references()]
            if names:
                yield from self.kubelet.fetch(worker, names)
            worker.fetched = True
        errors = {} if worker.mounted else (yield from self._process(worker))
        while True:
            yield from self._verify_attached(worker)
            waiting, problems = self.unattached(worker), self._problems.get(worker.uid, ())
            due = clock.now >= worker.mount_at_us
            found = volumes.set_up({*waiting, *errors, *(name for name, _ in problems if not due)})
            problems = self._problems[worker.uid] = (*(() if due else problems), *found)
            worker.probes.stir()
            for name, message in found:
                text = f'MountVolume.SetUp failed for volume "{name}" : {message}'
                worker.event(None, "Warning", "FailedMount", text)
            if errors:
                self._failed(worker, {*errors, *waiting, *dict(problems)}, waiting, errors)
                return False
            if not problems and not waiting:
                worker.mounted = True
                worker.mount_at_us, worker.mount_delay_us = 0, settings.mount_retry_us
                return True
            if found:
                worker.mount_at_us = clock.now + worker.mount_delay_us
                worker.mount_delay_us = min(worker.mount_delay_us * 2, settings.mount_retry_max_us)
            if clock.now >= deadline:
                text = _missing({*waiting, *dict(problems)}, waiting, ())
                self.on_timeout(reference(worker.pod), f"{text}: context deadline exceeded")
                return False
            until = min(deadline, worker.mount_at_us) if problems else deadline
            if self._hopeful(worker):
                yield clock.sleep(RECONCILER_US)
            elif waiting:
                yield self._news.wait(until - clock.now)
            else:
                yield clock.sleep(until - clock.now)

    def _failed(
        self, worker: PodWorker, missing: set[str], waiting: Mapping[str, str], errors: Mapping[str, str]
    ) -> None:
        text = f"Unable to attach or mount volumes: {_missing(missing, waiting, errors)}: {'; '.join(errors.values())}"
        worker.event(None, "Warning", "FailedMount", text)

    def _process(self, worker: PodWorker) -> Generator[Any, Any, dict[str, str]]:
        """Asks for the claims behind the pod's volumes and what they are bound to; what is wrong with which volume
        (desired_state_of_world_populator.go: getPVCExtractPV)."""
        pod, references, errors = worker.pod, self.kubelet.references, dict[str, str]()
        namespace = pod["metadata"]["namespace"]
        for volume in pod["spec"].get("volumes") or ():
            name = claim_of(pod, volume)
            if not name:
                continue
            yield from references.fetch(worker.uid, namespace, [("claim", name)])
            claim = references.get("claim", namespace, name)
            problem = ""
            if claim is None:
                problem = f'failed to fetch PVC from API server: persistentvolumeclaims "{name}" not found'
            elif (claim.get("status") or {}).get("phase") != "Bound":
                problem = "PVC is not bound"
            else:
                yield from self._fetch_volume(worker, claim["spec"]["volumeName"])
            if problem:
                errors[volume["name"]] = f"error processing PVC {namespace}/{name}: {problem}"
        desired = tuple(self._attachable(worker).values())
        if desired and self._desired.get(worker.uid) != desired:
            self._desired[worker.uid] = desired
            self.on_change()
        return errors

    def _fetch_volume(self, worker: PodWorker, name: str) -> Steps:
        references = self.kubelet.references
        yield from references.fetch(worker.uid, "", [("volume", name)])
        found = references.get("volume", "", name)
        csi = found["spec"].get("csi") if found is not None else None
        if csi is not None:
            yield from references.fetch(worker.uid, "", [("driver", csi["driver"])])

    def _verify_attached(self, worker: PodWorker) -> Steps:
        """Asks the API server whether what the watch shows as attached is so, once it is reported in use."""
        kubelet, hopeful = self.kubelet, self._hopeful(worker)
        if not hopeful:
            return
        yield from kubelet.references.fetch(worker.uid, "", [("node", kubelet.node_name)])
        attached = names_of(kubelet.references.get("node", "", kubelet.node_name) or {}, "volumesAttached")
        there = kubelet.runtime.attached.get(worker.uid, ())
        new = tuple(each for each in hopeful if each in attached)
        if new:
            kubelet.runtime.attached[worker.uid] = (*there, *new)

    def _hopeful(self, worker: PodWorker) -> list[str]:
        """What the pod waits for that is reported in use and attached, as far as the watch knows."""
        return [each for each in self.unattached(worker).values() if each in self._reported and each in self._attached]

    def release(self, uid: str) -> None:
        """Nothing of the pod runs any more: its volumes are unmounted."""
        self._problems.pop(uid, None)
        desired = self._desired.pop(uid, None)
        attached = self.kubelet.runtime.attached.pop(uid, None)
        if desired or attached:
            self.on_change()


def _missing(unmounted: set[str], unattached: Mapping[str, str], failed: Mapping[str, str] | tuple[()]) -> str:
    lists = (" ".join(sorted(each)) for each in (unmounted, unattached, failed))
    return "unmounted volumes=[{}], unattached volumes=[{}], failed to process volumes=[{}]".format(*lists)


def _nobody() -> None:
    return None


def _no_timeout(about: Object, missing: str) -> None:
    return None
