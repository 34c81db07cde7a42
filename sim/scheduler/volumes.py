"""Claims and volumes of a pod, as the volume plug-ins read them (pkg/scheduler/framework/plugins/volumebinding).

*Not modelled*: translation of in-tree volumes to their CSI drivers; in-tree sources are compared as they are written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from seatrial.sim.machinery.selectors import labels
from seatrial.sim.scheduler.cache import Cache
from seatrial.sim.scheduler.framework import Code, Rejected, Status, unresolvable
from seatrial.sim.scheduler.labels import Object
from seatrial.sim.scheduler.podinfo import Traits, amount

CLAIMS, VOLUMES, CLASSES = "persistentvolumeclaims", "persistentvolumes", "storageclasses.storage.k8s.io"
CSI_NODES, CSI_DRIVERS = "csinodes.storage.k8s.io", "csidrivers.storage.k8s.io"
CAPACITIES = "csistoragecapacities.storage.k8s.io"
BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
NO_PROVISIONER = "kubernetes.io/no-provisioner"


def claim_reads(traits: Traits) -> tuple[tuple[str, str], ...]:
    """What the volume plug-ins depend on for such a pod: nothing unless it has claims."""
    if not any(True for _ in claim_names(traits)):
        return ()
    kinds = (VOLUMES, CLASSES, CSI_NODES, CSI_DRIVERS)
    return ((CLAIMS, traits.namespace), *((kind, "") for kind in kinds), (CAPACITIES, traits.namespace))


def claim_names(traits: Traits) -> Iterator[tuple[str, bool]]:
    """(name of a claim, whether it belongs to a generic ephemeral volume) of every volume that has one."""
    for volume in traits.volumes:
        if "persistentVolumeClaim" in volume:
            yield (volume["persistentVolumeClaim"] or {}).get("claimName") or "", False
        elif "ephemeral" in volume:
            yield f"{traits.name}-{volume['name']}", True


def uses_claim(traits: Traits, claim: object) -> bool:
    """Whether a claim is one of the pod's."""
    if not isinstance(claim, Mapping) or claim["metadata"].get("namespace") != traits.namespace:
        return False
    return any(name == claim["metadata"]["name"] for name, _ in claim_names(traits))


def not_found(name: str) -> str:
    """What a lister says of a claim that is not there."""
    return f'persistentvolumeclaim "{name}" not found'


def claims_of(cache: Cache, traits: Traits) -> list[Object]:
    """The pod's claims. Raises Rejected when one is missing, lost, or somebody else's."""
    found = []
    for name, ephemeral in claim_names(traits):
        claim = cache.object(CLAIMS, traits.namespace, name)
        if claim is None:
            waiting = f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"'
            raise Rejected(unresolvable(waiting if ephemeral else not_found(name)))
        if (claim.get("status") or {}).get("phase") == "Lost":
            volume = (claim.get("spec") or {}).get("volumeName") or ""
            text = f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{volume}"'
            raise Rejected(unresolvable(text))
        if claim["metadata"].get("deletionTimestamp"):
            raise Rejected(unresolvable(f'persistentvolumeclaim "{name}" is being deleted'))
        if ephemeral and not owned(claim, traits):
            raise Rejected(Status(Code.UNSCHEDULABLE_AND_UNRESOLVABLE, (not_owned(claim, traits),)))
        found.append(claim)
    return found


def owned(claim: Object, traits: Traits) -> bool:
    """Whether the claim was made for this pod's ephemeral volume."""
    owners = claim["metadata"].get("ownerReferences") or ()
    return any(owner.get("controller") and owner.get("uid") == traits.uid for owner in owners)


def not_owned(claim: Object, traits: Traits) -> str:
    """What is wrong with a claim that was made for something else."""
    pod = f"{traits.namespace}/{traits.name}"
    return f"PVC {traits.namespace}/{claim['metadata']['name']} was not created for pod {pod} (pod is not owner)"


def is_bound(claim: Object) -> bool:
    """Whether the claim has its volume for good."""
    annotations = claim["metadata"].get("annotations") or {}
    return bool((claim.get("spec") or {}).get("volumeName")) and BIND_COMPLETED in annotations


def class_of(cache: Cache, claim: Object) -> Object | None:
    """The claim's storage class, if it names one that exists."""
    name = (claim.get("spec") or {}).get("storageClassName") or ""
    return cache.object(CLASSES, "", name) if name else None


def waits_for_pod(cache: Cache, claim: Object) -> bool:
    """Whether the claim is bound only once a pod needs it (WaitForFirstConsumer)."""
    storage_class = class_of(cache, claim)
    return storage_class is not None and storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"


def requested_bytes(claim: Object) -> int:
    """How much storage the claim asks for."""
    requests = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
    return amount("storage", requests.get("storage") or "0")


def volume_suits(volume: Object, claim: Object) -> bool:
    """Whether the volume could satisfy the claim on a node that reaches it (volume.FindMatchingVolume)."""
    spec, wanted = volume.get("spec") or {}, claim.get("spec") or {}
    meta = claim["metadata"]
    reference: Any = spec.get("claimRef")
    if volume["metadata"].get("deletionTimestamp"):
        return False
    if (spec.get("volumeMode") or "Filesystem") != (wanted.get("volumeMode") or "Filesystem"):
        return False
    if reference is not None:
        same = reference.get("name") == meta["name"] and reference.get("namespace") == meta.get("namespace")
        if not same or (reference.get("uid") and reference["uid"] != meta.get("uid")):
            return False
    elif (volume.get("status") or {}).get("phase") not in (None, "Available"):
        return False
    if amount("storage", (spec.get("capacity") or {}).get("storage") or "0") < requested_bytes(claim):
        return False
    if reference is not None:
        return True
    if (spec.get("storageClassName") or "") != (wanted.get("storageClassName") or ""):
        return False
    if not frozenset(wanted.get("accessModes") or ()) <= frozenset(spec.get("accessModes") or ()):
        return False
    selector = wanted.get("selector")
    return selector is None or labels(selector)(volume["metadata"].get("labels") or {})


def reachable(volume: Object) -> tuple[Object, ...] | None:
    """The node selector terms of a volume's node affinity; None: every node reaches it."""
    required = ((volume.get("spec") or {}).get("nodeAffinity") or {}).get("required")
    return None if required is None else tuple(required.get("nodeSelectorTerms") or ())
