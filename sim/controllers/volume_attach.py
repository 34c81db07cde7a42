"""Attaching and expanding volumes of CSI drivers: the control plane's side of it.

Source: k8s.io/kubernetes/pkg/controller/volume/attachdetach, pkg/volume/csi/csi_attacher.go and
pkg/controller/volume/expand. A driver's own attacher (``volume_attacher``) says that a volume is attached; from the
node's status the kubelet knows it. *Not modelled*: volumes that in-tree plug-ins attach, drivers without a CSIDriver,
and that a volume is only detached once the kubelet has unmounted it, or six minutes later.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from hashlib import sha256
from typing import Any

from seatrial.sim.apiserver.request import Object
from seatrial.sim.controllers.actions import (
    MERGE_PATCH,
    Create,
    Outcome,
    Patch,
    Record,
    Steps,
    Turn,
    delete_of,
    ignoring,
)
from seatrial.sim.controllers.controller import Controller, Seen, object_key
from seatrial.sim.controllers.informers import claims
from seatrial.sim.controllers.podstate import is_terminal, phase
from seatrial.sim.controllers.volume_match import storage

ATTACHMENTS, DRIVERS = "volumeattachments.storage.k8s.io", "csidrivers.storage.k8s.io"
SHARED_MODES = ("ReadWriteMany", "ReadOnlyMany")
EXCLUSIVE = "Volume is already exclusively attached to one node and can't be attached to another"
NODES = "nodes"
LOOK_US = 1_000_000
"""How often it is looked whether another node has let go. Upstream's reconciler looks ten times as often."""
CLAIMS, VOLUMES, CLASSES = "persistentvolumeclaims", "persistentvolumes", "storageclasses.storage.k8s.io"


def attachment_name(handle: str, driver: str, node: str) -> str:
    """getAttachmentName."""
    return "csi-" + sha256(f"{handle}{driver}{node}".encode()).hexdigest()


def wanted_on(turn: Turn, node: str) -> dict[str, tuple[Object, Object]]:
    """Volumes that pods of a node use and that have to be attached, by the attachment's name."""
    found: dict[str, tuple[Object, Object]] = {}
    for pod in turn.view("pods").indexed("node", node):
        if is_terminal(pod):
            continue
        for key in claims(pod):
            namespace, _, name = key.partition("/")
            claim = turn.view(CLAIMS).get(namespace, name)
            volume = turn.view(VOLUMES).get("", claim["spec"].get("volumeName", "")) if claim is not None else None
            csi = volume["spec"].get("csi") if volume is not None else None
            if volume is None or csi is None:
                continue
            driver = turn.view(DRIVERS).get("", csi["driver"])
            if driver is not None and driver["spec"].get("attachRequired") is not False:
                found[attachment_name(csi["volumeHandle"], csi["driver"], node)] = (volume, pod)
    return found


def held_by(turn: Turn, volume: Object, node: str) -> Object | None:
    """The attachment to another node of a volume that only one node may have (isMultiAttachForbidden)."""
    modes = volume["spec"].get("accessModes") or ()
    if not modes or any(mode in SHARED_MODES for mode in modes):
        return None
    name = volume["metadata"]["name"]
    for each in turn.view(ATTACHMENTS).list():
        spec = each["spec"]
        if (spec.get("source") or {}).get("persistentVolumeName") == name and spec["nodeName"] != node:
            return each
    return None


def why_held(turn: Turn, volume: Object, elsewhere: str) -> str:
    """Who uses a volume on the other node (reportMultiAttachError)."""
    ref = volume["spec"].get("claimRef") or {}
    claim = f"{ref.get('namespace')}/{ref.get('name')}"
    pods = turn.view("pods").indexed("node", elsewhere)
    names = [each["metadata"]["name"] for each in pods if not is_terminal(each) and claim in claims(each)]
    return f"Volume is already used by pod(s) {', '.join(names)}" if names else EXCLUSIVE


def volume_name(volume: Object) -> str:
    """GetUniqueVolumeNameFromSpec, of a volume of a CSI driver."""
    csi = volume["spec"]["csi"]
    return f"kubernetes.io/csi/{csi['driver']}^{csi['volumeHandle']}"


def is_own(turn: Turn, attachment: Object) -> bool:
    """Whether an attachment is one that this controller makes; others are left alone."""
    spec, name = attachment["spec"], attachment["metadata"]["name"]
    volume = turn.view(VOLUMES).get("", (spec.get("source") or {}).get("persistentVolumeName", ""))
    csi = None if volume is None else volume["spec"].get("csi")
    if csi is None:
        return str(name).startswith("csi-")
    return bool(name == attachment_name(csi["volumeHandle"], csi["driver"], spec["nodeName"]))


def reconcile_attach(turn: Turn) -> Steps:
    """Keys are ``node`` and a node's name."""
    _, node = turn.key
    wanted = wanted_on(turn, node)
    there = {
        each["metadata"]["name"]: each for each in turn.view(ATTACHMENTS).list() if each["spec"]["nodeName"] == node
    }
    told: dict[str, None] = turn.memory.setdefault("told", {})
    waits = False
    for name, (volume, pod) in wanted.items():
        attachment = there.get(name)
        held = held_by(turn, volume, node) if attachment is None else None
        if held is not None:
            waits = True
            if f"{name}/held" not in told:
                told[f"{name}/held"] = None
                why = why_held(turn, volume, held["spec"]["nodeName"])
                text = f'Multi-Attach error for volume "{volume["metadata"]["name"]}" {why}'
                yield Record(pod, "Warning", "FailedAttachVolume", text)
        elif attachment is None:
            told.pop(f"{name}/held", None)
            spec = {"attacher": volume["spec"]["csi"]["driver"], "nodeName": node}
            source = {"persistentVolumeName": volume["metadata"]["name"]}
            kind = {"apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment", "metadata": {"name": name}}
            yield from ignoring(Create(ATTACHMENTS, {**kind, "spec": {**spec, "source": source}}), 409)
        elif (attachment.get("status") or {}).get("attached") and name not in told:
            told[name] = None
            text = f'AttachVolume.Attach succeeded for volume "{volume["metadata"]["name"]}"'
            yield Record(pod, "Normal", "SuccessfulAttachVolume", text)
    yield from _report(turn, node, wanted, there)
    for name, attachment in there.items():
        if name not in wanted and not attachment["metadata"].get("deletionTimestamp") and is_own(turn, attachment):
            told.pop(name, None)
            yield from ignoring(delete_of(ATTACHMENTS, attachment), 404)
    return Outcome(LOOK_US, periodic=True) if waits else None


def _report(
    turn: Turn, node: str, wanted: Mapping[str, tuple[Object, Object]], there: Mapping[str, Object]
) -> Generator[Any, Any, None]:
    """Writes what is attached into the node's status, and that before anything is detached (UpdateNodeStatuses)."""
    found = turn.view(NODES).get("", node)
    if found is None:
        return
    names = sorted(
        volume_name(volume)
        for name, (volume, _) in wanted.items()
        if name in there
        and "deletionTimestamp" not in there[name]["metadata"]
        and (there[name].get("status") or {}).get("attached")
    )
    attached = [{"devicePath": "", "name": name} for name in names]
    if ((found.get("status") or {}).get("volumesAttached") or []) != attached:
        patch = {"status": {"volumesAttached": attached or None}}
        yield from ignoring(Patch(NODES, "", node, patch, MERGE_PATCH, "status"), 404)


def pod_keys(seen: Seen) -> Iterable[tuple[str, str]]:
    pod = seen.obj
    name = pod["spec"].get("nodeName")
    if not name or not claims(pod):
        return ()
    old = seen.old
    if seen.new is not None and old is not None and old["spec"].get("nodeName") == name:
        if is_terminal(seen.new) == is_terminal(old):
            return ()
    return (("node", name),)


def attachment_keys(seen: Seen) -> Iterable[tuple[str, str]]:
    return (("node", seen.obj["spec"]["nodeName"]),)


def reconcile_expand(turn: Turn) -> Steps:
    """Tells of a claim that has been made larger than its volume."""
    namespace, name = turn.key
    claim = turn.view(CLAIMS).get(namespace, name)
    if claim is None or phase(claim) != "Bound":
        return None
    asked = storage((claim["spec"].get("resources") or {}).get("requests"))
    if asked <= storage((claim.get("status") or {}).get("capacity")):
        return None
    text = "waiting for an external controller to expand this PVC"
    yield Record(claim, "Normal", "ExternalExpanding", text)
    return None


def claim_keys(seen: Seen) -> Iterable[Any]:
    """Only a claim that asks for more than before."""
    new, old = seen.new, seen.old
    if new is None or old is None or new["spec"].get("resources") == old["spec"].get("resources"):
        return ()
    return object_key(seen)


ATTACH = Controller(
    name="persistentvolume-attach-detach-controller",
    account="attachdetach-controller",
    reconcile=reconcile_attach,
    watches=(("pods", pod_keys), (ATTACHMENTS, attachment_keys)),
    reads=(CLAIMS, VOLUMES, DRIVERS, NODES),
    workers=1,
)
EXPAND = Controller(
    name="persistentvolume-expander-controller",
    account="expand-controller",
    component="volume_expand",
    reconcile=reconcile_expand,
    watches=((CLAIMS, claim_keys),),
)
