"""Attaching and detaching volumes of CSI drivers: the control plane's side of it.

A volume is detached when no pod needs it and the node's kubelet does not report it in use any more; from a node that is
not ready it is taken by force after six minutes, from one that is out of service at once. A driver's own attacher
(``volume_attacher``) does the work, by VolumeAttachments; from the node's status the kubelet knows what is attached.
Source: k8s.io/kubernetes/pkg/controller/volume/attachdetach (attach_detach_controller.go, reconciler/reconciler.go,
statusupdater), pkg/volume/csi/csi_attacher.go and pkg/volume/util/operationexecutor/operation_generator.go.

*Not modelled*: volumes that in-tree plug-ins attach (iSCSI, Fibre Channel), drivers without a CSIDriver, the
reconciler's rhythm (upstream looks ten times a second, here it is looked when something has changed or is due), and the
jitter of its waits.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

from seatrial.sim.apiserver.request import Object
from seatrial.sim.config import S
from seatrial.sim.controllers import nodetaints
from seatrial.sim.controllers.actions import (
    MERGE_PATCH,
    After,
    Create,
    Delete,
    Get,
    Outcome,
    Patch,
    Record,
    Steps,
    Turn,
    ignoring,
)
from seatrial.sim.controllers.controller import Controller, Seen, Tick
from seatrial.sim.controllers.informers import claims
from seatrial.sim.controllers.nodefit import is_node_ready
from seatrial.sim.controllers.volume_attach_state import (
    ATTACH,
    ATTACHMENTS,
    CLAIMS,
    DETACH,
    DRIVERS,
    MANAGED,
    NODES,
    VOLUMES,
    Attachment,
    Operation,
    State,
    attachment_name,
    bound_to,
    in_use,
    is_attachable,
    is_shared,
    is_terminated,
    parts_of,
    populate,
    sources_of,
    state_of,
    take,
    volume_name,
    wanted_on,
)
from seatrial.sim.machinery.errors import ApiError

UNMOUNT_US = 360 * S
"""reconcilerMaxWaitForUnmountDuration."""
ATTACHER_US = 120 * S
"""csiTimeout: how long a driver's attacher is waited for."""
SYNC_US = 60 * S
"""--attach-detach-reconcile-sync-period: how often it is looked whether what is attached still is."""
FRESH_US = 5 * S
"""For so long an operation counts as work that is under way, and afterwards as a rhythm."""
FORCED = "attach_detach_controller_attachdetach_controller_forced_detaches"
EXCLUSIVE = "Volume is already exclusively attached to one node and can't be attached to another"
Quiet = Generator[Any, Any, None]


class Volume:
    """One volume in one turn."""

    def __init__(self, turn: Turn, state: State, name: str) -> None:
        self.turn, self.state, self.name = turn, state, name
        sources = sources_of(turn, name) if is_attachable(turn, name) else []
        self.title = sources[0]["metadata"]["name"] if sources else parts_of(name)[1]
        self.source = sources[0]["metadata"]["name"] if sources else ""
        self.shared = is_shared(sources)
        self.wanted = wanted_on(turn, sources)
        self.due: list[int] = []
        """When there is something to look at again."""

    @property
    def nodes(self) -> dict[str, Attachment]:
        return self.state.nodes_of(self.name)

    def operation(self, node: str) -> Operation | None:
        """What is done with it, or failed last."""
        return self.state.operations.get(self.name, {}).get(node if self.shared else "")

    @property
    def operations(self) -> list[Operation]:
        return list(self.state.operations.get(self.name, {}).values())

    def begin(self, kind: str, node: str) -> Operation:
        now = self.turn.clock_now()
        known = self.state.operations.setdefault(self.name, {})
        found = known.setdefault(node if self.shared else "", Operation(kind, node, now, now))
        found.again(kind, node, now)
        return found

    def end(self, operation: Operation) -> None:
        for key in [key for key, each in self.state.operations.get(self.name, {}).items() if each is operation]:
            take(self.state.operations, self.name, key)

    def fail(self, operation: Operation) -> None:
        """What has failed leaves the attachment uncertain."""
        operation.fail(self.turn.clock_now())
        self.state.mark(self.name, operation.node, False)

    def tell(self, node: str, kind: str, reason: str, text: str) -> Quiet:
        for pod in self.wanted.get(node, ()):
            yield Record(pod, kind, reason, text)


def reconcile(turn: Turn) -> Steps:
    """Keys are ``volume`` or ``verify`` and a volume's unique name, or ``start``."""
    state = state_of(turn.memory)
    if not state.populated:
        populate(turn, state)
    if turn.key[0] == "start":
        return Outcome(also=tuple(("volume", name) for name in state.attached))
    volume = Volume(turn, state, turn.key[1])
    if turn.key[0] == "verify":
        return (yield from _verify(volume))
    concerned = dict.fromkeys(volume.nodes)
    for operation in volume.operations:
        if operation.pending and operation.due_us <= turn.now:
            yield from _look(volume, operation)
    yield from _detach(volume)
    yield from _attach(volume)
    for node in dict.fromkeys((*concerned, *volume.nodes)):
        yield from _report(turn, state, node)
    for operation in volume.operations:
        if operation.pending or operation.due_us > turn.now:
            volume.due.append(operation.due_us)
        elif not volume.nodes and not volume.wanted:
            volume.end(operation)
    if not volume.due:
        return None
    now = turn.clock_now()
    fresh = any(each.pending and now - each.begun_us < FRESH_US for each in volume.operations)
    return Outcome(max(min(volume.due) - now, 1), periodic=not fresh)


def _look(volume: Volume, operation: Operation) -> Quiet:
    """Whether the driver's attacher is through (verifyAttachmentStatus, verifyDetachmentStatus)."""
    turn, node = volume.turn, operation.node
    attachment = turn.view(ATTACHMENTS).get("", attachment_name(volume.name, node))
    status = (attachment or {}).get("status") or {}
    late = turn.now - operation.begun_us >= ATTACHER_US
    if operation.kind == DETACH:
        if attachment is None:
            volume.state.forget(volume.name, node)
            volume.end(operation)
        elif status.get("detachError") or late:
            volume.fail(operation)
        else:
            operation.look_again(turn.now)
        return
    driver, handle = parts_of(volume.name)
    problem = (status.get("attachError") or {}).get("message", "")
    if attachment is not None and "deletionTimestamp" in attachment["metadata"]:
        problem = "volume attachment is being deleted"
    elif status.get("attached"):
        volume.state.mark(volume.name, node, True)
        volume.end(operation)
        text = f'AttachVolume.Attach succeeded for volume "{volume.title}" '
        yield from volume.tell(node, "Normal", "SuccessfulAttachVolume", text)
        return
    if not problem and late:
        problem = f"timed out waiting for external-attacher of {driver} CSI driver to attach volume {handle}"
    if problem:
        yield from _not_attached(volume, operation, problem)
    else:
        operation.look_again(turn.now)


def _not_attached(volume: Volume, operation: Operation, problem: str) -> Quiet:
    volume.fail(operation)
    text = f'AttachVolume.Attach failed for volume "{volume.title}" : {problem}'
    yield from volume.tell(operation.node, "Warning", "FailedAttachVolume", text)


def _detach(volume: Volume) -> Quiet:
    """Begins to detach what nobody wants, once it is safe or has taken too long."""
    turn = volume.turn
    for node, attachment in list(volume.nodes.items()):
        operation = volume.operation(node)
        if node in volume.wanted or (operation is not None and _keeps(operation, DETACH, turn.now)):
            continue
        if attachment.unwanted_us is None:
            attachment.unwanted_us = turn.now
        expired = turn.now - attachment.unwanted_us > UNMOUNT_US
        timeout = expired and not turn.settings.attach_detach.disable_force_detach_on_timeout
        found = turn.view(NODES).get("", node)
        healthy = found is not None and is_node_ready(found)
        taints = nodetaints.taints_of(found) if found is not None else ()
        out_of_service = any(taint["key"] == nodetaints.OUT_OF_SERVICE for taint in taints)
        if in_use(turn, volume.name, node) and not (timeout and not healthy) and not out_of_service:
            if not expired:
                volume.due.append(attachment.unwanted_us + UNMOUNT_US + 1)
            continue
        attachment.reported = False
        yield from _report(turn, volume.state, node)
        operation = volume.begin(DETACH, node)
        if timeout or out_of_service:
            turn.count(FORCED, ("timeout" if timeout else "out-of-service",))
        elif not (yield from _is_safe(volume, node)):
            volume.fail(operation)
            continue
        try:
            yield from ignoring(Delete(ATTACHMENTS, "", attachment_name(volume.name, node)), 404)
        except ApiError:
            volume.fail(operation)


def _keeps(operation: Operation, kind: str, now: int) -> bool:
    """Whether an operation is under way, or one of the same kind failed a moment ago."""
    return operation.pending or (operation.kind == kind and now < operation.due_us)


def _is_safe(volume: Volume, node: str) -> Generator[Any, Any, bool]:
    """Whether the node, as it is now, does not have the volume in use (verifyVolumeIsSafeToDetach)."""
    try:
        found = yield from ignoring(Get(NODES, "", node), 404)
    except ApiError:
        return False
    return found is None or volume.name not in ((found.get("status") or {}).get("volumesInUse") or ())


def _attach(volume: Volume) -> Quiet:
    turn, state = volume.turn, volume.state
    for node in [each for each in state.told.get(volume.name, ()) if each not in volume.wanted]:
        take(state.told, volume.name, node)
    for node in volume.wanted:
        operation, there = volume.operation(node), volume.nodes.get(node)
        if operation is not None and operation.pending:
            continue
        if there is not None and there.certain:
            there.unwanted_us, there.reported = None, True
            continue
        holders = [] if volume.shared else [name for name, each in volume.nodes.items() if each.certain]
        if holders:
            told = state.told.setdefault(volume.name, {})
            if node not in told:
                told[node] = None
                yield from _tell_of_holders(volume, node, holders)
            continue
        if operation is not None and _keeps(operation, ATTACH, turn.now):
            continue
        operation = volume.begin(ATTACH, node)
        name = attachment_name(volume.name, node)
        if turn.view(ATTACHMENTS).get("", name) is not None:
            continue
        spec = {"attacher": parts_of(volume.name)[0], "nodeName": node}
        source = {"persistentVolumeName": volume.source}
        kind = {"apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment", "metadata": {"name": name}}
        try:
            yield from ignoring(Create(ATTACHMENTS, {**kind, "spec": {**spec, "source": source}}), 409)
        except ApiError as refused:
            yield from _not_attached(volume, operation, str(refused))


def _tell_of_holders(volume: Volume, node: str, holders: list[str]) -> Quiet:
    """Each waiting pod hears which pods have the volume, of other namespaces only how many (reportMultiAttachError)."""
    users = [pod["metadata"] for holder in holders for pod in volume.wanted.get(holder, ())]
    for pod in volume.wanted[node]:
        near = [each["name"] for each in users if each["namespace"] == pod["metadata"]["namespace"]]
        far = len(users) - len(near)
        why = f"Volume is already used by pod(s) {', '.join(near)}" if near else EXCLUSIVE
        if far:
            why = f"{why} and {far}" if near else f"Volume is already used by {far}"
            why += " pod(s) in different namespaces"
        yield Record(pod, "Warning", "FailedAttachVolume", f'Multi-Attach error for volume "{volume.title}" {why}')


def _report(turn: Turn, state: State, node: str) -> Quiet:
    """Writes what is attached into the node's status (UpdateNodeStatusForNode)."""
    found = turn.view(NODES).get("", node)
    attached = [{"devicePath": "", "name": name} for name in state.to_report(node)]
    if found is not None and ((found.get("status") or {}).get("volumesAttached") or []) != attached:
        patch = {"status": {"volumesAttached": attached or None}}
        yield from ignoring(Patch(NODES, "", node, patch, MERGE_PATCH, "status"), 404)


def _verify(volume: Volume) -> Steps:
    """What was attached and is so no more is forgotten (VerifyVolumesAreAttached)."""
    state = volume.state
    for node, each in list(volume.nodes.items()):
        operation = volume.operation(node)
        attachment = volume.turn.view(ATTACHMENTS).get("", attachment_name(volume.name, node))
        attached = ((attachment or {}).get("status") or {}).get("attached")
        if each.certain and not attached and (operation is None or not operation.pending):
            state.forget(volume.name, node)
            yield from _report(volume.turn, state, node)
    return Outcome(also=(("volume", volume.name),))


# --- changes become keys


def _keys(volumes: Iterable[str]) -> tuple[tuple[str, str], ...]:
    return tuple(("volume", each) for each in dict.fromkeys(volumes) if each)


def _behind(seen: Seen, claim: str) -> str:
    """The volume that a claim (namespace/name) is bound to, which is noted; empty without one."""
    namespace, _, name = claim.partition("/")
    found = seen.view(CLAIMS).get(namespace, name)
    source = seen.view(VOLUMES).get("", bound_to(found))
    volume = volume_name(source) if source is not None else ""
    if source is not None and volume:
        state_of(seen.memory).sources.setdefault(volume, {})[source["metadata"]["name"]] = None
    return volume


def pod_keys(seen: Seen) -> Iterable[Any]:
    """Of a pod that is bound, has ended, or is gone."""
    pod, new, old = seen.obj, seen.new, seen.old
    node = pod["spec"].get("nodeName")
    named = claims(pod) if node else ()
    if not named:
        return ()
    if new is not None and old is not None and old["spec"].get("nodeName") == node:
        if is_terminated(new) == is_terminated(old):
            return ()
    uid, state = pod["metadata"]["uid"], state_of(seen.memory)
    known = state.of_pod.pop(uid, ())
    volumes = tuple(dict.fromkeys((*known, *filter(None, (_behind(seen, claim) for claim in named)))))
    if new is not None and volumes:
        state.of_pod[uid] = volumes
    return _keys(volumes)


def claim_keys(seen: Seen) -> Iterable[Any]:
    """Of a claim that has been bound: of its pods that were first."""
    new, old = seen.new, seen.old
    if new is None or not bound_to(new) or bound_to(old):
        return ()
    claim = f"{new['metadata']['namespace']}/{new['metadata']['name']}"
    volume, state = _behind(seen, claim), state_of(seen.memory)
    pods = seen.view("pods").indexed("claim", claim) if volume else ()
    for pod in (each for each in pods if each["spec"].get("nodeName")):
        uid = pod["metadata"]["uid"]
        state.of_pod[uid] = tuple(dict.fromkeys((*state.of_pod.get(uid, ()), volume)))
    return _keys((volume,))


def source_keys(seen: Seen) -> Iterable[Any]:
    """Of a PersistentVolume that is new, gone, or bound to another claim."""
    if seen.new is not None and seen.old is not None and seen.new["spec"] == seen.old["spec"]:
        return ()
    volume, sources = volume_name(seen.obj), state_of(seen.memory).sources
    if volume and seen.new is not None:
        sources.setdefault(volume, {})[seen.obj["metadata"]["name"]] = None
    else:
        take(sources, volume, seen.obj["metadata"]["name"])
    return _keys((volume,))


def driver_keys(seen: Seen) -> Iterable[Any]:
    driver = seen.obj["metadata"]["name"]
    return _keys(each for each in state_of(seen.memory).sources if parts_of(each)[0] == driver)


def attachment_keys(seen: Seen) -> Iterable[Any]:
    """Of one that is lost without having been given up: that is seen at the next look at all of them."""
    if seen.new is not None and "deletionTimestamp" in seen.new["metadata"]:
        return
    lost = seen.new is None or not (seen.new.get("status") or {}).get("attached")
    source = seen.view(VOLUMES).get("", (seen.obj["spec"].get("source") or {}).get("persistentVolumeName", ""))
    volume = volume_name(source) if source is not None else ""
    there = state_of(seen.memory).nodes_of(volume).get(seen.obj["spec"]["nodeName"])
    if lost and there is not None and there.certain:
        yield After(("verify", volume), SYNC_US - seen.now % SYNC_US, periodic=True)


def node_keys(seen: Seen) -> Iterable[Any]:
    """Of a node whose kubelet uses other volumes, or that is well, ill or out of service from now on."""
    new, old, state = seen.new, seen.old, state_of(seen.memory)
    name = seen.obj["metadata"]["name"]
    if new is None and state.on_node.get(name):
        state.last_in_use[name] = list((seen.obj.get("status") or {}).get("volumesInUse") or ())
    elif old is None:
        state.last_in_use.pop(name, None)
    elif new is not None and _facts(new) == _facts(old):
        return ()
    pods = seen.view("pods").indexed("node", name) if old is None or new is None else ()
    of_pods = (volume for pod in pods for volume in state.of_pod.get(pod["metadata"]["uid"], ()))
    return _keys((*state.on_node.get(name, ()), *of_pods))


def _facts(node: Object) -> tuple[Any, ...]:
    taints = [taint["key"] == nodetaints.OUT_OF_SERVICE for taint in nodetaints.taints_of(node)]
    managed = MANAGED in (node["metadata"].get("annotations") or {})
    return (node.get("status") or {}).get("volumesInUse"), is_node_ready(node), any(taints), managed


CONTROLLER = Controller(
    name="persistentvolume-attach-detach-controller",
    account="attachdetach-controller",
    reconcile=reconcile,
    watches=(
        ("pods", pod_keys),
        (CLAIMS, claim_keys),
        (VOLUMES, source_keys),
        (DRIVERS, driver_keys),
        (NODES, node_keys),
        (ATTACHMENTS, attachment_keys),
    ),
    workers=1,
    ticks=(Tick(0, ("start",), first_us=1),),
)
