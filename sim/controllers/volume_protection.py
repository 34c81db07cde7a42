"""Volumes and claims that are in use do not go.

Source: k8s.io/kubernetes/pkg/controller/volume/pvcprotection and pvprotection.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

from seatrial.sim.apiserver.request import Object
from seatrial.sim.controllers.actions import Action, ListAll, Steps, Turn, Update, ignoring, update_status
from seatrial.sim.controllers.conditions import put_in_place
from seatrial.sim.controllers.controller import Controller, Seen, object_key
from seatrial.sim.controllers.informers import claims
from seatrial.sim.controllers.podstate import is_terminal, is_terminating, phase

CLAIMS, VOLUMES = "persistentvolumeclaims", "persistentvolumes"
CLAIM_FINALIZER, VOLUME_FINALIZER = "kubernetes.io/pvc-protection", "kubernetes.io/pv-protection"
IN_USE = ("False", "PodUsingPVC", "A pod is currently referencing this PVC")
UNUSED = ("True", "NoPodsUsingPVC", "No pods are currently referencing this PVC")


def _has(obj: Object, finalizer: str) -> bool:
    return finalizer in (obj["metadata"].get("finalizers") or ())


def _without(obj: Object, finalizer: str) -> dict[str, Any]:
    left = [each for each in obj["metadata"].get("finalizers") or () if each != finalizer]
    return {**obj, "metadata": {**obj["metadata"], "finalizers": left}}


def _with(obj: Object, finalizer: str) -> dict[str, Any]:
    finalizers = [*(obj["metadata"].get("finalizers") or ()), finalizer]
    return {**obj, "metadata": {**obj["metadata"], "finalizers": finalizers}}


def uses(pod: Object, claim_key: str) -> bool:
    """A scheduled pod that has not ended and names the claim."""
    return bool(pod["spec"].get("nodeName")) and not is_terminal(pod) and claim_key in claims(pod)


def reconcile_claim(turn: Turn) -> Steps:
    namespace, name = turn.key
    claim = turn.view(CLAIMS).get(namespace, name)
    if claim is None:
        return None
    key = f"{namespace}/{name}"
    pods = turn.view("pods").indexed("claim", key)
    if is_terminating(claim):
        if _has(claim, CLAIM_FINALIZER) and not any(uses(pod, key) for pod in pods):
            latest = yield ListAll("pods", namespace)
            if not any(uses(pod, key) for pod in latest):
                yield from ignoring(Update(CLAIMS, _without(claim, CLAIM_FINALIZER)), 404)
        return None
    if not _has(claim, CLAIM_FINALIZER):
        claim = yield Update(CLAIMS, _with(claim, CLAIM_FINALIZER))
    if phase(claim) == "Bound":
        yield from _note_use(turn, claim, any(not is_terminal(pod) for pod in pods))
    return None


def _note_use(turn: Turn, claim: Object, used: bool) -> Generator[Action, Any, None]:
    """The condition that says since when nobody has used the claim."""
    status, reason, message = IN_USE if used else UNUSED
    before = claim.get("status") or {}
    listed = before.get("conditions") or []
    fresh = {
        "type": "Unused",
        "status": status,
        "reason": reason,
        "message": message,
        "lastProbeTime": None,
        "lastTransitionTime": turn.stamp,
    }
    if any(each["type"] == "Unused" and each["status"] == status for each in listed):
        return
    conditions = put_in_place(listed, fresh)
    yield from ignoring(update_status(CLAIMS, claim, {**before, "conditions": conditions}), 404, 409)


def pod_keys(seen: Seen) -> Iterable[tuple[str, str]]:
    """Pods that come, are bound, end or go concern their claims."""
    new, old = seen.new, seen.old
    if new is not None and old is not None:
        same = new["spec"].get("nodeName") == old["spec"].get("nodeName")
        if same and is_terminal(new) == is_terminal(old):
            return ()
    return [(namespace, name) for namespace, _, name in (key.partition("/") for key in claims(seen.obj))]


def reconcile_volume(turn: Turn) -> Steps:
    _, name = turn.key
    volume = turn.view(VOLUMES).get("", name)
    if volume is None:
        return None
    if is_terminating(volume):
        if _has(volume, VOLUME_FINALIZER) and phase(volume) != "Bound":
            yield from ignoring(Update(VOLUMES, _without(volume, VOLUME_FINALIZER)), 404)
    elif not _has(volume, VOLUME_FINALIZER):
        yield Update(VOLUMES, _with(volume, VOLUME_FINALIZER))
    return None


CLAIM_CONTROLLER = Controller(
    name="persistentvolumeclaim-protection-controller",
    account="pvc-protection-controller",
    reconcile=reconcile_claim,
    watches=((CLAIMS, object_key), ("pods", pod_keys)),
    workers=1,
)
VOLUME_CONTROLLER = Controller(
    name="persistentvolume-protection-controller",
    account="pv-protection-controller",
    reconcile=reconcile_volume,
    watches=((VOLUMES, object_key),),
    workers=1,
)
