"""The persistent volume binder: claims and volumes that find each other, lose each other, are released and reclaimed.

Source: k8s.io/kubernetes/pkg/controller/volume/persistentvolume (pv_controller.go, pv_controller_base.go). *Not
modelled*: recycling, and in-tree plug-ins that delete volumes; a volume of reclaim policy Delete that no provisioner
made becomes Failed.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import Any

from seatrial.sim.apiserver.events import reference
from seatrial.sim.apiserver.request import Object
from seatrial.sim.config import S
from seatrial.sim.controllers import volume_match as match
from seatrial.sim.controllers.actions import Action, Get, Outcome, Record, Steps, Turn, Update, ignoring, update_status
from seatrial.sim.controllers.controller import Controller, Seen, Tick
from seatrial.sim.controllers.podstate import phase

VOLUMES, CLAIMS, CLASSES = "persistentvolumes", "persistentvolumeclaims", "storageclasses.storage.k8s.io"
RESYNC_US = 15 * S
"""--pvclaimbinder-sync-period."""
RESYNC = ("resync", "", "")
LOST_REFERENCE = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
LOST_VOLUME = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
MISBOUND = "Two claims are bound to the same volume, this one is bound incorrectly"
NO_CLASS = "no persistent volumes available for this claim and no storage class is set"
WAITING = (
    "Waiting for a volume to be created either by the external provisioner '{}' or manually by the system"
    " administrator. If volume creation is delayed, please verify that the provisioner is running and correctly"
    " registered."
)
Working = Generator[Action, Any, None]


def reconcile(turn: Turn) -> Steps:
    kind, namespace, name = turn.key
    if kind == "resync":
        return _everything(turn)
    if kind == "volume":
        volume = turn.view(VOLUMES).get("", name)
        if volume is not None:
            return (yield from _sync_volume(turn, volume))
        return None
    claim = turn.view(CLAIMS).get(namespace, name)
    if claim is not None:
        if match.BIND_COMPLETED in match.annotations_of(claim):
            yield from _sync_bound(turn, claim)
        else:
            yield from _sync_unbound(turn, claim)
    return None


def _everything(turn: Turn) -> Outcome:
    volumes = [("volume", "", each["metadata"]["name"]) for each in turn.view(VOLUMES).list()]
    claims = [("claim", each["metadata"]["namespace"], each["metadata"]["name"]) for each in turn.view(CLAIMS).list()]
    return Outcome(also=(*volumes, *claims))


# --- volumes


def _sync_volume(turn: Turn, volume: Object) -> Steps:
    ref = volume["spec"].get("claimRef")
    if ref is None or not ref.get("uid"):
        yield from _set_phase(volume, "Available")
        return None
    claim = yield from _claim_of(turn, volume, ref)
    if claim is None:
        yield from _release(volume)
    elif not claim["spec"].get("volumeName"):
        return Outcome(also=(("claim", ref["namespace"], ref["name"]),))
    elif claim["spec"]["volumeName"] == volume["metadata"]["name"]:
        yield from _set_phase(volume, "Bound")
    elif match.PROVISIONED_BY in match.annotations_of(volume) and _policy(volume) == "Delete":
        yield from _release(volume)
    else:
        yield from _unbind(volume)
    return None


def _claim_of(turn: Turn, volume: Object, ref: Mapping[str, Any]) -> Generator[Action, Any, Object | None]:
    """The claim that the volume names, None when it is gone or another one has its name."""
    claim = turn.view(CLAIMS).get(ref["namespace"], ref["name"])
    if claim is None or claim["metadata"]["uid"] != ref["uid"]:
        claim = yield from ignoring(Get(CLAIMS, ref["namespace"], ref["name"]), 404)
    return claim if claim is not None and claim["metadata"]["uid"] == ref["uid"] else None


def _policy(volume: Object) -> str:
    policy: str = volume["spec"].get("persistentVolumeReclaimPolicy", "Retain")
    return policy


def _set_phase(volume: Object, wanted: str, message: str = "") -> Generator[Action, Any, Object]:
    """Writes the phase, with the time of the change (updateVolumePhase)."""
    if phase(volume) == wanted:
        return volume
    status = {**(volume.get("status") or {}), "phase": wanted}
    if message:
        status["message"] = message
    else:
        status.pop("message", None)
    written: Object = yield update_status(VOLUMES, volume, status)
    return written


def _release(volume: Object) -> Working:
    """A volume whose claim is gone, and what its policy says then."""
    if phase(volume) not in ("Released", "Failed"):
        volume = yield from _set_phase(volume, "Released")
    policy = _policy(volume)
    if policy == "Retain" or phase(volume) == "Failed" or match.PROVISIONED_BY in match.annotations_of(volume):
        return
    name = volume["metadata"]["name"]
    if policy == "Recycle":
        reason, why = "VolumeFailedRecycle", "No recycler plugin found for the volume!"
    else:
        reason = "VolumeFailedDelete"
        why = f'error getting deleter volume plugin for volume "{name}": no deletable volume plugin matched'
    yield Record(volume, "Warning", reason, why)
    yield from _set_phase(volume, "Failed", why)


def _unbind(volume: Object) -> Working:
    """Takes the claim back from a volume that lost the race for it (unbindVolume)."""
    annotations = dict(match.annotations_of(volume))
    spec = dict(volume["spec"])
    if annotations.pop(match.BOUND_BY_CONTROLLER, None) is not None:
        del spec["claimRef"]
    else:
        spec["claimRef"] = {key: value for key, value in spec["claimRef"].items() if key != "uid"}
    changed = yield Update(VOLUMES, {**_annotated(volume, annotations), "spec": spec})
    yield from _set_phase(changed, "Available")


def _annotated(obj: Object, annotations: Mapping[str, str]) -> dict[str, Any]:
    return {**obj, "metadata": {**obj["metadata"], "annotations": dict(annotations)}}


# --- claims


def _sync_unbound(turn: Turn, claim: Object) -> Working:
    classes = turn.view(CLASSES)
    if not match.has_class(claim):
        name = match.default_class(classes.list())
        if name is not None:
            claim = yield Update(CLAIMS, {**claim, "spec": {**claim["spec"], "storageClassName": name}})
    wanted = claim["spec"].get("volumeName")
    if wanted:
        yield from _sync_asking(turn, claim, wanted)
        return
    storage_class = classes.get("", match.class_of(claim)) if match.class_of(claim) else None
    delayed = storage_class is not None and storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"
    volume = match.best_match(claim, turn.view(VOLUMES).list(), delayed)
    if volume is not None:
        yield from _bind(volume, claim)
    elif delayed and match.SELECTED_NODE not in match.annotations_of(claim):
        yield _waits_for_consumer(turn, claim)
        yield from _set_claim_status(claim, "Pending", None)
    elif match.class_of(claim):
        yield from _provision(claim, storage_class)
    else:
        yield Record(claim, "Normal", "FailedBinding", NO_CLASS)
        yield from _set_claim_status(claim, "Pending", None)


def _waits_for_consumer(turn: Turn, claim: Object) -> Record:
    """WaitForFirstConsumer, or the pod that is to be scheduled."""
    metadata = claim["metadata"]
    pods = turn.view("pods").indexed("claim", f"{metadata['namespace']}/{metadata['name']}")
    waiting = [pod["metadata"]["name"] for pod in pods if not pod["spec"].get("nodeName")]
    if waiting:
        text = f"waiting for pod {','.join(waiting)} to be scheduled"
        return Record(claim, "Normal", "WaitForPodScheduled", text)
    return Record(claim, "Normal", "WaitForFirstConsumer", "waiting for first consumer to be created before binding")


def _provision(claim: Object, storage_class: Object | None) -> Working:
    """Says who is to make a volume (provisionClaimOperationExternal)."""
    name = match.class_of(claim)
    if storage_class is None:
        yield Record(claim, "Warning", "ProvisioningFailed", f'storageclass.storage.k8s.io "{name}" not found')
        return
    provisioner = storage_class["provisioner"]
    if provisioner.startswith("kubernetes.io/"):
        yield Record(claim, "Warning", "ProvisioningFailed", f"no volume plugin matched name: {provisioner}")
        return
    annotations = match.annotations_of(claim)
    if annotations.get(match.PROVISIONER) != provisioner:
        more = {match.PROVISIONER_BETA: provisioner, match.PROVISIONER: provisioner}
        claim = yield Update(CLAIMS, _annotated(claim, {**annotations, **more}))
    yield Record(claim, "Normal", "ExternalProvisioning", WAITING.format(provisioner))


def _sync_asking(turn: Turn, claim: Object, wanted: str) -> Working:
    """A claim that asks for one volume by name."""
    volume = turn.view(VOLUMES).get("", wanted)
    if volume is None:
        yield from _set_claim_status(claim, "Pending", None)
    elif volume["spec"].get("claimRef") is None:
        why = match.mismatch(volume, claim)
        if why:
            text = f'Cannot bind to requested volume "{wanted}": {why}'
            yield Record(claim, "Warning", "VolumeMismatch", text)
            yield from _set_claim_status(claim, "Pending", None)
        else:
            yield from _bind(volume, claim)
    elif match.is_bound_to(volume, claim):
        yield from _bind(volume, claim)
    else:
        text = f'volume "{wanted}" already bound to a different claim.'
        yield Record(claim, "Warning", "FailedBinding", text)
        yield from _set_claim_status(claim, "Pending", None)


def _sync_bound(turn: Turn, claim: Object) -> Working:
    name = claim["spec"].get("volumeName")
    volume = turn.view(VOLUMES).get("", name) if name else None
    if not name:
        yield from _lose(claim, "ClaimLost", LOST_REFERENCE)
    elif volume is None:
        yield from _lose(claim, "ClaimLost", LOST_VOLUME)
    elif volume["spec"].get("claimRef") is None or match.is_bound_to(volume, claim):
        yield from _bind(volume, claim)
    else:
        yield from _lose(claim, "ClaimMisbound", MISBOUND)


def _lose(claim: Object, reason: str, message: str) -> Working:
    if phase(claim) != "Lost":
        yield from _set_claim_status(claim, "Lost", None)
        yield Record(claim, "Warning", reason, message)


def _bind(volume: Object, claim: Object) -> Working:
    """Four writes, each of which may be the one that is missing (bind)."""
    ref, metadata = volume["spec"].get("claimRef"), claim["metadata"]
    if ref is None or ref.get("uid") != metadata["uid"]:
        annotations = dict(match.annotations_of(volume))
        if ref is None:
            annotations[match.BOUND_BY_CONTROLLER] = "yes"
        spec = {**volume["spec"], "claimRef": reference(claim)}
        bound = {**volume, "spec": spec}
        volume = yield Update(VOLUMES, _annotated(bound, annotations) if annotations else bound)
    volume = yield from _set_phase(volume, "Bound")
    annotations = dict(match.annotations_of(claim))
    name = volume["metadata"]["name"]
    if claim["spec"].get("volumeName") != name or match.BIND_COMPLETED not in annotations:
        if not claim["spec"].get("volumeName"):
            annotations[match.BOUND_BY_CONTROLLER] = "yes"
        annotations[match.BIND_COMPLETED] = "yes"
        claim = yield Update(CLAIMS, {**_annotated(claim, annotations), "spec": {**claim["spec"], "volumeName": name}})
    yield from _set_claim_status(claim, "Bound", volume)


def _set_claim_status(claim: Object, wanted: str, volume: Object | None) -> Working:
    """updateClaimStatus."""
    before = claim.get("status") or {}
    status = {**before, "phase": wanted}
    if volume is None:
        for key in ("accessModes", "capacity"):
            status.pop(key, None)
    else:
        status["accessModes"] = volume["spec"].get("accessModes") or []
        if phase(claim) != "Bound" or "capacity" not in before:
            status["capacity"] = {"storage": (volume["spec"].get("capacity") or {}).get("storage", "0")}
    if status != before:
        yield update_status(CLAIMS, claim, status)


# --- keys


def volume_keys(seen: Seen) -> Iterable[Any]:
    """A volume, and the claim it belongs to when it is gone."""
    volume = seen.obj
    if seen.verb == "DELETED":
        ref = volume["spec"].get("claimRef")
        return () if ref is None else (("claim", ref["namespace"], ref["name"]),)
    return (("volume", "", volume["metadata"]["name"]),)


def claim_keys(seen: Seen) -> Iterable[Any]:
    """A claim, and the volume it was bound to when it is gone."""
    claim = seen.obj
    if seen.verb == "DELETED":
        name = claim["spec"].get("volumeName")
        return (("volume", "", name),) if name else ()
    return (("claim", claim["metadata"]["namespace"], claim["metadata"]["name"]),)


CONTROLLER = Controller(
    name="persistentvolume-binder-controller",
    account="persistent-volume-binder",
    component="persistentvolume-controller",
    reconcile=reconcile,
    watches=((VOLUMES, volume_keys), (CLAIMS, claim_keys)),
    reads=(CLASSES, "pods"),
    workers=1,
    ticks=(Tick(RESYNC_US, RESYNC),),
)
