"""A dynamic provisioner: volumes for claims whose storage class names it, as an NFS provisioner or that of a CSI driver
makes them.

Source: sigs.k8s.io/sig-storage-lib-external-provisioner (controller.go), kubernetes-csi/external-provisioner
(pkg/controller/controller.go). *Not modelled*: the directory behind a volume, and where in the topology a driver's
volumes can be reached: everywhere. An add-on: it does not run where only the control plane does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from seatrial.sim.apiserver.request import Object
from seatrial.sim.controllers import volume_match as match
from seatrial.sim.controllers.actions import Create, Record, Steps, Turn, delete_of, ignoring
from seatrial.sim.controllers.controller import Controller, Seen
from seatrial.sim.controllers.podstate import is_terminating, phase
from seatrial.sim.controllers.volume_attach_state import DRIVERS
from seatrial.sim.controllers.volume_binder import CLAIMS, CLASSES, VOLUMES

NAMES = (
    "k8s-sigs.io/nfs-subdir-external-provisioner",
    "k8s.io/minikube-hostpath",
    "rancher.io/local-path",
    "seatrial.io/dynamic",
)
"""Provisioners that the add-on answers for, beside every driver of which there is a CSIDriver."""
FSTYPE = "csi.storage.k8s.io/fstype"
"""A storage class' parameter."""


def reconcile(turn: Turn) -> Steps:
    kind, namespace, name = turn.key
    if kind == "volume":
        return (yield from _reclaim(turn, name))
    claim = turn.view(CLAIMS).get(namespace, name)
    if claim is None or claim["spec"].get("volumeName") or is_terminating(claim):
        return None
    storage_class = turn.view(CLASSES).get("", match.class_of(claim))
    annotations = match.annotations_of(claim)
    if (
        storage_class is None
        or match.PROVISIONER not in annotations
        or not _is_ours(turn, storage_class["provisioner"])
    ):
        return None
    late = storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"
    if late and match.SELECTED_NODE not in annotations:
        return None
    text = f'External provisioner is provisioning volume for claim "{namespace}/{name}"'
    yield Record(claim, "Normal", "Provisioning", text)
    driver = turn.view(DRIVERS).get("", storage_class["provisioner"])
    volume = volume_of(claim, storage_class, driver)
    yield from ignoring(Create(VOLUMES, volume), 409)
    text = f"Successfully provisioned volume {volume['metadata']['name']}"
    yield Record(claim, "Normal", "ProvisioningSucceeded", text)
    return None


def _is_ours(turn: Turn, provisioner: str | None) -> bool:
    if provisioner in turn.shared.get("provisioners", NAMES):
        return True
    return turn.view(DRIVERS).get("", provisioner or "") is not None


def volume_of(claim: Object, storage_class: Object, driver: Object | None = None) -> dict[str, Any]:
    """The volume for a claim; of a CSI driver if one is given."""
    metadata, spec = claim["metadata"], claim["spec"]
    name = f"pvc-{metadata['uid']}"
    ref = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": metadata["namespace"]}
    ref |= {"name": metadata["name"], "uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
    made: dict[str, Any] = {
        "capacity": {"storage": spec["resources"]["requests"]["storage"]},
        "accessModes": spec.get("accessModes") or [],
        "claimRef": ref,
        "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", "Delete"),
        "storageClassName": storage_class["metadata"]["name"],
        "volumeMode": match.mode_of(claim),
    }
    if driver is None:
        path = f"/volumes/{metadata['namespace']}-{metadata['name']}-{name}"
        made["nfs"] = {"server": "nfs.kube-system.svc", "path": path}
    else:
        csi = made["csi"] = {"driver": driver["metadata"]["name"], "volumeHandle": name}
        fstype = (storage_class.get("parameters") or {}).get(FSTYPE)
        if fstype and made["volumeMode"] != "Block":
            csi["fsType"] = fstype
    if storage_class.get("mountOptions"):
        made["mountOptions"] = storage_class["mountOptions"]
    annotations = {match.PROVISIONED_BY: storage_class["provisioner"]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": annotations},
        "spec": made,
    }


def _reclaim(turn: Turn, name: str) -> Steps:
    """A released volume of ours goes, if its policy says so."""
    volume = turn.view(VOLUMES).get("", name)
    if volume is None or phase(volume) != "Released" or is_terminating(volume):
        return None
    ours = _is_ours(turn, match.annotations_of(volume).get(match.PROVISIONED_BY))
    if ours and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
        yield from ignoring(delete_of(VOLUMES, volume), 404)
    return None


def claim_keys(seen: Seen) -> Iterable[Any]:
    claim = seen.new
    if claim is None or claim["spec"].get("volumeName"):
        return ()
    return (("claim", claim["metadata"]["namespace"], claim["metadata"]["name"]),)


def volume_keys(seen: Seen) -> Iterable[Any]:
    volume = seen.new
    return (("volume", "", volume["metadata"]["name"]),) if volume is not None and phase(volume) == "Released" else ()


CONTROLLER = Controller(
    name="volume-provisioner",
    account="persistent-volume-binder",
    component="volume-provisioner",
    reconcile=reconcile,
    watches=((CLAIMS, claim_keys), (VOLUMES, volume_keys)),
    reads=(CLASSES, DRIVERS),
    workers=4,
    addon=True,
)
