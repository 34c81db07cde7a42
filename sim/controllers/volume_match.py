"""Which persistent volume suits which claim: pure functions.

Source: k8s.io/kubernetes/pkg/controller/volume/persistentvolume/index.go and k8s.io/component-helpers/storage/volume.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from seatrial.sim.apiserver.request import Object
from seatrial.sim.controllers.ownership import labels_of
from seatrial.sim.controllers.podstate import is_terminating, phase
from seatrial.sim.machinery import selectors
from seatrial.sim.machinery.quantity import parse

BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
PROVISIONER = "volume.kubernetes.io/storage-provisioner"
PROVISIONER_BETA = "volume.beta.kubernetes.io/storage-provisioner"


def annotations_of(obj: Object) -> Mapping[str, str]:
    return obj["metadata"].get("annotations") or {}


def class_of(obj: Object) -> str:
    """The storage class of a claim or a volume; empty for none."""
    found = annotations_of(obj).get(CLASS_ANNOTATION)
    name: str = found if found is not None else obj["spec"].get("storageClassName") or ""
    return name


def has_class(claim: Object) -> bool:
    """Whether the claim says anything about its class, be it that it wants none."""
    return CLASS_ANNOTATION in annotations_of(claim) or claim["spec"].get("storageClassName") is not None


def storage(quantities: Mapping[str, str] | None) -> Any:
    return parse((quantities or {}).get("storage", "0"))


def is_bound_to(volume: Object, claim: Object) -> bool:
    """The volume's claimRef names this claim, with its uid or with none yet (IsVolumeBoundToClaim)."""
    ref, metadata = volume["spec"].get("claimRef"), claim["metadata"]
    if ref is None or (ref.get("name"), ref.get("namespace")) != (metadata["name"], metadata["namespace"]):
        return False
    return not ref.get("uid") or ref["uid"] == metadata["uid"]


def mode_of(obj: Object) -> str:
    mode: str = obj["spec"].get("volumeMode") or "Filesystem"
    return mode


def mismatch(volume: Object, claim: Object) -> str:
    """Why a volume that the claim asks for by name does not do; empty if it does (checkVolumeSatisfyClaim)."""
    if storage(volume["spec"].get("capacity")) < storage((claim["spec"].get("resources") or {}).get("requests")):
        return "requested PV is too small"
    if class_of(volume) != class_of(claim):
        return "storageClassName does not match"
    if mode_of(volume) != mode_of(claim):
        return "incompatible volumeMode"
    if not set(claim["spec"].get("accessModes") or ()) <= set(volume["spec"].get("accessModes") or ()):
        return "incompatible accessMode"
    return ""


def best_match(claim: Object, volumes: Iterable[Object], delayed: bool) -> Object | None:
    """The smallest volume that does, of those with the fewest access modes (findBestMatchForClaim).

    A volume that names the claim comes first; with delayed binding it is the only one that counts.
    """
    wanted = set(claim["spec"].get("accessModes") or ())
    requested = storage((claim["spec"].get("resources") or {}).get("requests"))
    selector = claim["spec"].get("selector")
    matches = selectors.labels(selector) if selector is not None else None
    fitting: list[tuple[int, Any, str, Object]] = []
    for volume in volumes:
        spec = volume["spec"]
        modes = spec.get("accessModes") or ()
        if not wanted <= set(modes) or mode_of(volume) != mode_of(claim) or is_terminating(volume):
            continue
        size = storage(spec.get("capacity"))
        if size < requested:
            continue
        if spec.get("claimRef") is not None:
            if is_bound_to(volume, claim):
                return volume
            continue
        if delayed or phase(volume) != "Available" or class_of(volume) != class_of(claim):
            continue
        if matches is not None and not matches(labels_of(volume)):
            continue
        fitting.append((len(modes), size, volume["metadata"]["name"], volume))
    return min(fitting, key=lambda each: each[:3])[3] if fitting else None


def default_class(classes: Iterable[Object]) -> str | None:
    """The newest of the classes that are marked as default."""
    marked = [each for each in classes if annotations_of(each).get(DEFAULT_CLASS) == "true"]
    if not marked:
        return None
    newest = max(marked, key=lambda each: (each["metadata"]["creationTimestamp"], each["metadata"]["name"]))
    name: str = newest["metadata"]["name"]
    return name
