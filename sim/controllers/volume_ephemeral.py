"""Claims for the generic ephemeral volumes of pods.

Source: k8s.io/kubernetes/pkg/controller/volume/ephemeral/controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable

from seatrial.sim.apiserver.request import Object
from seatrial.sim.controllers.actions import Create, Record, Steps, Turn
from seatrial.sim.controllers.controller import Controller, Seen
from seatrial.sim.controllers.informers import controller_of
from seatrial.sim.controllers.ownership import Owner
from seatrial.sim.controllers.podstate import is_terminating
from seatrial.sim.machinery.errors import ApiError

CLAIMS = "persistentvolumeclaims"
POD = Owner("pods", "v1", "Pod")


def reconcile(turn: Turn) -> Steps:
    namespace, name = turn.key
    pod = turn.view("pods").get(namespace, name)
    if pod is None or is_terminating(pod):
        return None
    for volume in pod["spec"].get("volumes") or ():
        if "ephemeral" not in volume:
            continue
        claim_name = f"{name}-{volume['name']}"
        there = turn.view(CLAIMS).get(namespace, claim_name)
        if there is not None:
            owner = controller_of(there)
            if owner is None or owner["uid"] != pod["metadata"]["uid"]:
                text = f"PVC {namespace}/{claim_name} was not created for pod {namespace}/{name} (pod is not owner)"
                raise ApiError(409, "Conflict", text)
            continue
        try:
            yield Create(CLAIMS, claim_of(pod, volume["ephemeral"]["volumeClaimTemplate"], claim_name))
        except ApiError as error:
            text = f"ephemeral volume controller: {error}"
            yield Record(pod, "Warning", "FailedBinding", text)
            raise
    return None


def claim_of(pod: Object, template: Object, name: str) -> Object:
    source = template.get("metadata") or {}
    metadata = {"name": name, "namespace": pod["metadata"]["namespace"], "ownerReferences": [POD.reference(pod)]}
    for key in ("annotations", "labels"):
        if source.get(key):
            metadata[key] = source[key]
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": template["spec"]}


def pod_keys(seen: Seen) -> Iterable[tuple[str, str]]:
    pod = seen.new
    if seen.verb != "ADDED" or pod is None:
        return ()
    if not any("ephemeral" in volume for volume in pod["spec"].get("volumes") or ()):
        return ()
    return ((pod["metadata"]["namespace"], pod["metadata"]["name"]),)


def claim_keys(seen: Seen) -> Iterable[tuple[str, str]]:
    """A claim of a pod that was deleted too early is made again."""
    if seen.verb != "DELETED":
        return ()
    ref = controller_of(seen.obj)
    if ref is None or ref["kind"] != "Pod":
        return ()
    return ((seen.obj["metadata"]["namespace"], ref["name"]),)


CONTROLLER = Controller(
    name="ephemeral-volume-controller",
    reconcile=reconcile,
    watches=(("pods", pod_keys), (CLAIMS, claim_keys)),
)
