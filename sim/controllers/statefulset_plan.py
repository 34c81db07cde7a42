"""What a StatefulSet decides about its pods: pure functions over objects.

Source: k8s.io/kubernetes/pkg/controller/statefulset (stateful_set_control.go, stateful_set_utils.go).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from seatrial.sim.apiserver.request import Object
from seatrial.sim.controllers.ownership import STATEFUL_SET, labels_of, pod_from_template
from seatrial.sim.controllers.podstate import is_available, is_ready, is_terminating, phase
from seatrial.sim.controllers.shares import scaled

POD_NAME = re.compile(r"(.*)-([0-9]+)")
POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name"
POD_INDEX_LABEL = "apps.kubernetes.io/pod-index"
REVISION_LABEL = "controller-revision-hash"


def ordinal_of(name: str) -> int:
    """-1 for a name without one."""
    match = POD_NAME.fullmatch(name)
    return int(match[2]) if match is not None else -1


def is_member(set_name: str, pod: Object) -> bool:
    """Whether the pod's name says that it belongs to the set."""
    match = POD_NAME.fullmatch(pod["metadata"]["name"])
    return match is not None and match[1] == set_name


def start_of(owner: Object) -> int:
    start: int = (owner["spec"].get("ordinals") or {}).get("start", 0)
    return start


def replicas_of(owner: Object) -> int:
    wanted: int = owner["spec"].get("replicas", 1)
    return wanted


def rolling(owner: Object) -> Mapping[str, Any] | None:
    """The rolling update's settings; None when pods are updated on deletion only."""
    strategy = owner["spec"].get("updateStrategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return None
    return strategy.get("rollingUpdate") or {}


def is_monotonic(owner: Object) -> bool:
    return bool(owner["spec"].get("podManagementPolicy", "OrderedReady") != "Parallel")


def max_unavailable(owner: Object) -> int:
    """At least 1 (getStatefulSetMaxUnavailable)."""
    value = (rolling(owner) or {}).get("maxUnavailable", 1)
    return max(1, scaled(value, replicas_of(owner), False))


def is_created(pod: Object) -> bool:
    return phase(pod) != ""


def is_running_and_ready(pod: Object) -> bool:
    return phase(pod) == "Running" and is_ready(pod)


def is_running_and_available(pod: Object, min_ready_s: int, now: int) -> bool:
    return phase(pod) == "Running" and is_available(pod, min_ready_s, now)


def is_unavailable(pod: Object, min_ready_s: int, now: int) -> bool:
    """Not there, on its way out, or not available."""
    return is_terminating(pod) or not is_running_and_available(pod, min_ready_s, now)


def revision_of(pod: Object) -> str:
    return labels_of(pod).get(REVISION_LABEL, "")


class Members(NamedTuple):
    """Pods by what is to become of them: one for each ordinal, those that do not exist yet without a phase."""

    replicas: list[Object]
    condemned: list[Object]
    """Beyond the set's size, highest ordinal first."""


def members(owner: Object, pods: Iterable[Object], current: Object, update: Object) -> Members:
    """``current`` and ``update`` are (template, revision name) carriers: see ``Version``."""
    start, wanted = start_of(owner), replicas_of(owner)
    there: dict[int, Object] = {}
    condemned: list[Object] = []
    for pod in pods:
        ordinal = ordinal_of(pod["metadata"]["name"])
        if start <= ordinal < start + wanted:
            there[ordinal] = pod
        elif ordinal >= 0:
            condemned.append(pod)
    condemned.sort(key=lambda pod: -ordinal_of(pod["metadata"]["name"]))
    ordinals = range(start, start + wanted)
    replicas = [there.get(ordinal) or new_pod(owner, ordinal, current, update) for ordinal in ordinals]
    return Members(replicas, condemned)


def version(name: str, template: Mapping[str, Any]) -> Object:
    """A revision's name and the template it stands for."""
    return {"name": name, "template": template}


def new_pod(owner: Object, ordinal: int, current: Object, update: Object) -> dict[str, Any]:
    """The pod of an ordinal: of the current revision below the partition, of the update revision from there on."""
    settings = rolling(owner)
    held = False
    if settings is not None:
        held = ordinal < start_of(owner) + settings.get("partition", 0)
    chosen = current if held else update
    pod = pod_from_template(STATEFUL_SET, owner, chosen["template"])
    name = f"{owner['metadata']['name']}-{ordinal}"
    metadata = {**pod["metadata"], "name": name}
    metadata["labels"] = {
        **(metadata.get("labels") or {}),
        POD_NAME_LABEL: name,
        POD_INDEX_LABEL: str(ordinal),
        REVISION_LABEL: chosen["name"],
    }
    spec = {**pod["spec"], "hostname": name, "subdomain": owner["spec"].get("serviceName", "")}
    if not spec["subdomain"]:
        del spec["subdomain"]
    return {**pod, "metadata": metadata, "spec": with_claims(owner, spec, ordinal)}


def claim_name(owner: Object, claim_template: Object, ordinal: int) -> str:
    return f"{claim_template['metadata']['name']}-{owner['metadata']['name']}-{ordinal}"


def claims_of(owner: Object, ordinal: int) -> list[dict[str, Any]]:
    """The claims of an ordinal."""
    result = []
    selector = (owner["spec"].get("selector") or {}).get("matchLabels") or {}
    for template in owner["spec"].get("volumeClaimTemplates") or ():
        metadata = {**template["metadata"], "name": claim_name(owner, template, ordinal)}
        metadata["namespace"] = owner["metadata"]["namespace"]
        labels = {**(metadata.get("labels") or {}), **selector}
        if labels:
            metadata["labels"] = labels
        result.append(
            {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": template["spec"]}
        )
    return result


def with_claims(owner: Object, spec: Mapping[str, Any], ordinal: int) -> dict[str, Any]:
    """A pod's spec with the volumes of the set's claims in front of its own."""
    templates = owner["spec"].get("volumeClaimTemplates") or ()
    if not templates:
        return dict(spec)
    names = {template["metadata"]["name"] for template in templates}
    volumes = [
        {
            "name": template["metadata"]["name"],
            "persistentVolumeClaim": {"claimName": claim_name(owner, template, ordinal)},
        }
        for template in templates
    ]
    volumes += [volume for volume in spec.get("volumes") or () if volume["name"] not in names]
    return {**spec, "volumes": volumes}


def identity_matches(owner: Object, pod: Object) -> bool:
    """Name, namespace and labels are those of the ordinal (identityMatches)."""
    metadata, labels = pod["metadata"], labels_of(pod)
    return (
        is_member(owner["metadata"]["name"], pod)
        and labels.get(POD_NAME_LABEL) == metadata["name"]
        and labels.get(POD_INDEX_LABEL) == str(ordinal_of(metadata["name"]))
    )


def storage_matches(owner: Object, pod: Object) -> bool:
    ordinal = ordinal_of(pod["metadata"]["name"])
    volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes") or ()}
    for template in owner["spec"].get("volumeClaimTemplates") or ():
        volume = volumes.get(template["metadata"]["name"]) or {}
        if (volume.get("persistentVolumeClaim") or {}).get("claimName") != claim_name(owner, template, ordinal):
            return False
    return True


def restored(owner: Object, pod: Object) -> dict[str, Any]:
    """The pod with the identity and the volumes that its ordinal should have."""
    metadata = pod["metadata"]
    ordinal = ordinal_of(metadata["name"])
    labels = {**labels_of(pod), POD_NAME_LABEL: metadata["name"], POD_INDEX_LABEL: str(ordinal)}
    return {**pod, "metadata": {**metadata, "labels": labels}, "spec": with_claims(owner, pod["spec"], ordinal)}


def first_unavailable(owner: Object, found: Members, now: int) -> Object | None:
    """The pod that ordered scaling waits for: the one with the lowest ordinal, the condemned coming last."""
    min_ready = owner["spec"].get("minReadySeconds", 0)
    for pod in (*found.replicas, *reversed(found.condemned)):
        if is_unavailable(pod, min_ready, now):
            return pod
    return None


def counts(owner: Object, pods: Sequence[Object], current: str, update: str, now: int) -> dict[str, int]:
    """The numbers of a status (updateStatus)."""
    min_ready = owner["spec"].get("minReadySeconds", 0)
    result = dict.fromkeys(COUNTS, 0)
    for pod in pods:
        if is_running_and_ready(pod):
            result["readyReplicas"] += 1
            if is_running_and_available(pod, min_ready, now):
                result["availableReplicas"] += 1
        if is_created(pod):
            result["replicas"] += 1
            if not is_terminating(pod):
                result["currentReplicas"] += revision_of(pod) == current
                result["updatedReplicas"] += revision_of(pod) == update
    return result


COUNTS = ("replicas", "readyReplicas", "availableReplicas", "currentReplicas", "updatedReplicas")


def updates(owner: Object, replicas: Sequence[Object], update: str, now: int) -> list[Object]:
    """Pods to be deleted now so that they come back at the update revision, in order
    (updateStatefulSetAfterInvariantEstablished)."""
    settings = rolling(owner)
    if settings is None:
        return []
    min_ready = owner["spec"].get("minReadySeconds", 0)
    unavailable = [pod for pod in replicas if is_unavailable(pod, min_ready, now)]
    budget = max_unavailable(owner) - len(unavailable)
    old = [
        pod
        for pod in reversed(replicas[settings.get("partition", 0) :])
        if revision_of(pod) != update and not is_terminating(pod)
    ]
    if is_monotonic(owner):
        return old[: max(0, budget)]
    broken = [pod for pod in old if not is_running_and_available(pod, min_ready, now)]
    sound = [pod for pod in old if is_running_and_available(pod, min_ready, now)]
    return broken + sound[: max(0, budget)]
