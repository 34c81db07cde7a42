"""What the attach-detach controller believes: which volume is attached to which node, who wants it, what is under way.

Source: k8s.io/kubernetes/pkg/controller/volume/attachdetach/cache (actual_state_of_world.go,
desired_state_of_world.go), …/util (util.go), pkg/volume/util/nestedpendingoperations and
pkg/util/goroutinemap/exponentialbackoff. A volume goes by its unique name, ``kubernetes.io/csi/DRIVER^HANDLE``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from seatrial.sim.apiserver.request import Object
from seatrial.sim.config import MS, S
from seatrial.sim.controllers.actions import Turn
from seatrial.sim.controllers.podstate import is_terminal, is_terminating, phase

ATTACHMENTS, DRIVERS = "volumeattachments.storage.k8s.io", "csidrivers.storage.k8s.io"
NODES, CLAIMS, VOLUMES = "nodes", "persistentvolumeclaims", "persistentvolumes"
SHARED_MODES = ("ReadWriteMany", "ReadOnlyMany")
CSI = "kubernetes.io/csi/"
MANAGED = "volumes.kubernetes.io/controller-managed-attach-detach"
"""The annotation of a node whose kubelet leaves attaching to the controller."""
KEEPS = "volumes.kubernetes.io/keep-terminated-pod-volumes"
ATTACH, DETACH = "attach", "detach"
POLL_US = 500 * MS
"""First wait for a driver's attacher (csi_attacher.go: waitForVolumeAttachDetachStatusWithLister)."""
POLL_FACTOR, POLL_MAX_US = 1.05, 7 * S
BACKOFF_US, BACKOFF_MAX_US = 500 * MS, 122 * S
"""initialDurationBeforeRetry and maxDurationBeforeRetry of a failed operation."""


@dataclass(slots=True)
class Attachment:
    """One volume on one node."""

    certain: bool
    """attachedConfirmed: neither an attempt to attach nor one to detach has failed since."""
    reported: bool
    """Is to stand in the node's volumesAttached."""
    unwanted_us: int | None = None
    """Since when it is to be detached."""


@dataclass(slots=True)
class Operation:
    """The one thing that is done with a volume, or with a shared volume on one node, at a time."""

    kind: str
    node: str
    begun_us: int
    due_us: int
    """When the attacher's work is looked at next; of one that has failed: when it may be tried again."""
    wait_us: int = POLL_US
    pending: bool = True
    backoff_us: int = 0

    def look_again(self, now: int) -> None:
        self.wait_us = min(int(self.wait_us * POLL_FACTOR), POLL_MAX_US)
        self.due_us = now + self.wait_us

    def fail(self, now: int) -> None:
        self.pending = False
        self.backoff_us = min(self.backoff_us * 2, BACKOFF_MAX_US) if self.backoff_us else BACKOFF_US
        self.due_us = now + self.backoff_us

    def again(self, kind: str, node: str, now: int) -> None:
        """Begins once more; another kind of operation has no failures yet."""
        if kind != self.kind:
            self.backoff_us = 0
        self.kind, self.node, self.pending = kind, node, True
        self.begun_us, self.wait_us, self.due_us = now, POLL_US, now + POLL_US


@dataclass(slots=True)
class State:
    """The controller's memory, found in what the API server has when it is made anew."""

    attached: dict[str, dict[str, Attachment]] = field(default_factory=dict)
    """Volume → node → attachment."""
    on_node: dict[str, dict[str, None]] = field(default_factory=dict)
    """Node → volumes attached to it."""
    sources: dict[str, dict[str, None]] = field(default_factory=dict)
    """Volume → names of the PersistentVolumes that mean it."""
    of_pod: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Volumes of each pod, by its uid."""
    operations: dict[str, dict[str, Operation]] = field(default_factory=dict)
    """Volume → node, of volumes that several nodes may have, or nothing → what is done with it, or failed last."""
    told: dict[str, dict[str, None]] = field(default_factory=dict)
    """Volume → nodes of which it has been said that another one has the volume."""
    last_in_use: dict[str, list[str]] = field(default_factory=dict)
    """What nodes that are gone last had in use, while something is attached to them."""
    populated: bool = False

    def mark(self, volume: str, node: str, certain: bool) -> None:
        """MarkVolumeAsAttached and MarkVolumeAsUncertain; only what is certain is reported."""
        nodes = self.attached.setdefault(volume, {})
        found = nodes.get(node)
        if found is None:
            nodes[node] = Attachment(certain, certain)
        else:
            found.certain, found.reported = certain, certain or found.reported
        self.on_node.setdefault(node, {})[volume] = None

    def forget(self, volume: str, node: str) -> None:
        """MarkVolumeAsDetached."""
        take(self.attached, volume, node)
        take(self.on_node, node, volume)
        if node not in self.on_node:
            self.last_in_use.pop(node, None)

    def nodes_of(self, volume: str) -> dict[str, Attachment]:
        return self.attached.get(volume, {})

    def to_report(self, node: str) -> list[str]:
        """GetVolumesToReportAttachedForNode."""
        return sorted(each for each in self.on_node.get(node, ()) if self.attached[each][node].reported)


def take(table: dict[str, dict[str, Any]], key: str, member: str) -> None:
    """Takes a member out of one of the dicts of a table, which goes when it is empty."""
    members = table.get(key)
    if members is not None:
        members.pop(member, None)
        if not members:
            del table[key]


def state_of(memory: dict[object, object]) -> State:
    found = memory.get("state")
    if not isinstance(found, State):
        found = memory["state"] = State()
    return found


def attachment_name(volume: str, node: str) -> str:
    """getAttachmentName."""
    driver, handle = parts_of(volume)
    return "csi-" + sha256(f"{handle}{driver}{node}".encode()).hexdigest()


def parts_of(volume: str) -> tuple[str, str]:
    """Driver and handle (SplitUniqueName)."""
    driver, _, handle = volume.removeprefix(CSI).partition("^")
    return driver, handle


def volume_name(source: Object) -> str:
    """GetUniqueVolumeNameFromSpec, of a PersistentVolume; empty for those that no CSI driver has."""
    csi = source["spec"].get("csi")
    return f"{CSI}{csi['driver']}^{csi['volumeHandle']}" if csi is not None else ""


def is_attachable(turn: Turn, volume: str) -> bool:
    """Whether its driver says so (CanAttach)."""
    driver = turn.view(DRIVERS).get("", parts_of(volume)[0])
    return driver is not None and driver["spec"].get("attachRequired") is not False


def sources_of(turn: Turn, volume: str) -> list[Object]:
    """PersistentVolumes that mean this volume."""
    view = turn.view(VOLUMES)
    found = (view.get("", name) for name in state_of(turn.memory).sources.get(volume, ()))
    return [each for each in found if each is not None and volume_name(each) == volume]


def is_shared(sources: list[Object]) -> bool:
    """Whether several nodes may have it at a time; so it is of a volume that says nothing (IsMultiAttachAllowed)."""
    for source in sources:
        modes = source["spec"].get("accessModes") or ()
        if modes and not any(mode in SHARED_MODES for mode in modes):
            return False
    return True


def is_terminated(pod: Object) -> bool:
    """Whether a pod does not need its volumes any more, though it is there (IsPodTerminated)."""
    if is_terminal(pod):
        return True
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    states = [each.get("state") or {} for each in statuses]
    return is_terminating(pod) and all("terminated" in each or "waiting" in each for each in states)


def wanted_on(turn: Turn, sources: list[Object]) -> dict[str, list[Object]]:
    """Node → its pods that need the volume (DetermineVolumeAction, desired_state_of_world.go)."""
    found: dict[str, list[Object]] = {}
    for pod in _users(turn, sources):
        name = pod["spec"].get("nodeName", "")
        node = turn.view(NODES).get("", name) if name else None
        annotations = ((node or {"metadata": {}})["metadata"]).get("annotations") or {}
        if MANAGED in annotations and (annotations.get(KEEPS) == "true" or not is_terminated(pod)):
            found.setdefault(name, []).append(pod)
    return found


def bound_to(claim: Object | None) -> str:
    """The PersistentVolume that a claim is bound to; empty if it is to none (getPVCFromCache)."""
    return str(claim["spec"].get("volumeName", "")) if claim is not None and phase(claim) == "Bound" else ""


def _users(turn: Turn, sources: list[Object]) -> Iterator[Object]:
    for source in sources:
        ref = source["spec"].get("claimRef") or {}
        claim = turn.view(CLAIMS).get(ref.get("namespace", ""), ref.get("name", ""))
        if bound_to(claim) == source["metadata"]["name"]:
            yield from turn.view("pods").indexed("claim", f"{ref['namespace']}/{ref['name']}")


def in_use(turn: Turn, volume: str, node: str) -> bool:
    """Whether the node's kubelet says so, or last said so; of a node that was never seen it is assumed
    (MountedByNode)."""
    found = turn.view(NODES).get("", node)
    if found is None:
        last = state_of(turn.memory).last_in_use.get(node)
        return last is None or volume in last
    return volume in ((found.get("status") or {}).get("volumesInUse") or ())


def populate(turn: Turn, state: State) -> None:
    """Finds what is attached: what nodes report is, of other VolumeAttachments one cannot be sure
    (populateActualStateOfWorld, processVolumeAttachments)."""
    state.populated = True
    for node in turn.view(NODES).list():
        for each in (node.get("status") or {}).get("volumesAttached") or ():
            state.mark(each["name"], node["metadata"]["name"], True)
    for attachment in turn.view(ATTACHMENTS).list():
        volume, node = volume_of(turn, attachment), attachment["spec"]["nodeName"]
        if volume and node not in state.nodes_of(volume):
            state.mark(volume, node, False)


def volume_of(turn: Turn, attachment: Object) -> str:
    """The volume of a VolumeAttachment whose PersistentVolume is known; empty for others, which are left alone."""
    name = (attachment["spec"].get("source") or {}).get("persistentVolumeName", "")
    source = turn.view(VOLUMES).get("", name) if name else None
    volume = volume_name(source) if source is not None else ""
    return volume if volume and is_attachable(turn, volume) else ""
