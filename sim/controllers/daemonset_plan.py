"""What a DaemonSet decides about nodes and pods: pure functions over objects.

Source: k8s.io/kubernetes/pkg/controller/daemon (daemon_controller.go, update.go, util/daemonset_util.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from seatrial.sim.apiserver.request import Object
from seatrial.sim.controllers.nodefit import affinity_matches, untolerated
from seatrial.sim.controllers.ownership import labels_of
from seatrial.sim.controllers.podstate import is_available, is_ready, is_terminal, is_terminating, phase
from seatrial.sim.controllers.shares import scaled

HASH_LABEL = "controller-revision-hash"
GENERATION_LABEL = "pod-template-generation"
GENERATION_ANNOTATION = "deprecated.daemonset.template.generation"
TAINT_PREFIX = "node.kubernetes.io/"
TOLERATED = (
    ("not-ready", "NoExecute"),
    ("unreachable", "NoExecute"),
    ("disk-pressure", "NoSchedule"),
    ("memory-pressure", "NoSchedule"),
    ("pid-pressure", "NoSchedule"),
    ("unschedulable", "NoSchedule"),
)
"""Taints that every daemon pod tolerates (AddOrUpdateDaemonPodTolerations)."""
HOST_NETWORK_TOLERATED = ("network-unavailable", "NoSchedule")

ByNode = Mapping[str, list[Object]]


def tolerations_of(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A pod's tolerations with those of daemons."""
    wanted = [*TOLERATED, HOST_NETWORK_TOLERATED] if spec.get("hostNetwork") else list(TOLERATED)
    added = [{"key": TAINT_PREFIX + key, "operator": "Exists", "effect": effect} for key, effect in wanted]
    own = [each for each in spec.get("tolerations") or () if not any(_covers(more, each) for more in added)]
    return own + added


def _covers(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    fields = ("key", "effect", "operator", "value")
    return all(ours.get(field, "") == theirs.get(field, "") for field in fields)


def should_run(owner: Object, node: Object) -> tuple[bool, bool]:
    """(whether a pod should be put on the node, whether one that is there may stay) (NodeShouldRunDaemonPod)."""
    spec = owner["spec"]["template"]["spec"]
    if spec.get("nodeName", "") not in ("", node["metadata"]["name"]):
        return False, False
    if not affinity_matches(spec, node):
        return False, False
    taints = node["spec"].get("taints") or []
    tolerations = tolerations_of(spec)
    if untolerated(taints, tolerations, ("NoExecute", "NoSchedule")) is not None:
        return False, untolerated(taints, tolerations, ("NoExecute",)) is None
    return True, True


def target_of(pod: Object) -> str:
    """The node a daemon pod is on or meant for (GetTargetNodeName)."""
    name: str = pod["spec"].get("nodeName", "")
    if name:
        return name
    affinity = ((pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    ) or {}
    for term in affinity.get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            if field["key"] == "metadata.name" and field["operator"] == "In" and len(field["values"]) == 1:
                found: str = field["values"][0]
                return found
    return ""


def counted(pods: Iterable[Object]) -> list[Object]:
    """Daemon pods without those that are finished and on their way out."""
    return [pod for pod in pods if not (is_terminal(pod) and is_terminating(pod))]


def pinned(affinity: Mapping[str, Any] | None, node_name: str) -> dict[str, Any]:
    """The affinity that ties a pod to one node (ReplaceDaemonSetPodNodeNameNodeAffinity)."""
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node_name]}]}
    required = {"nodeSelectorTerms": [term]}
    before = dict(affinity or {})
    node_affinity = {
        **(before.get("nodeAffinity") or {}),
        "requiredDuringSchedulingIgnoredDuringExecution": required,
    }
    return {**before, "nodeAffinity": node_affinity}


def template_for(owner: Object, digest: str) -> dict[str, Any]:
    """The template of daemon pods at a revision (CreatePodTemplate)."""
    template = owner["spec"]["template"]
    metadata = dict(template.get("metadata") or {})
    labels = {**(metadata.get("labels") or {})}
    generation = generation_of(owner)
    if generation is not None:
        labels[GENERATION_LABEL] = generation
    if digest:
        labels[HASH_LABEL] = digest
    metadata["labels"] = labels
    return {"metadata": metadata, "spec": {**template["spec"], "tolerations": tolerations_of(template["spec"])}}


def generation_of(owner: Object) -> Any:
    """The generation of the template as old versions counted it; None when the set does not say."""
    return (owner["metadata"].get("annotations") or {}).get(GENERATION_ANNOTATION)


def is_updated(owner: Object, pod: Object, digest: str) -> bool:
    labels = labels_of(pod)
    generation = generation_of(owner)
    by_generation = generation is not None and labels.get(GENERATION_LABEL) == generation
    return by_generation or (bool(digest) and labels.get(HASH_LABEL) == digest)


def limits(owner: Object, desired: int) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) in nodes; one may be unavailable if both would be zero."""
    strategy = owner["spec"].get("updateStrategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return 0, 0
    rolling = strategy.get("rollingUpdate") or {}
    surge = scaled(rolling.get("maxSurge"), desired, True)
    unavailable = scaled(rolling.get("maxUnavailable", 1), desired, True)
    if not surge and not unavailable:
        unavailable = 1
    return surge, unavailable


def allows_surge(owner: Object) -> bool:
    return limits(owner, 1)[0] > 0


def oldest_first(pods: Iterable[Object]) -> list[Object]:
    """By creation; of one second, those that run first (podByCreationTimestampAndPhase)."""
    order = {"Running": 0, "Pending": 1}

    def place(pod: Object) -> tuple[str, int, str]:
        metadata = pod["metadata"]
        return (metadata.get("creationTimestamp", ""), order.get(phase(pod), 2), metadata["name"])

    return sorted(pods, key=place)


class NodePlan(NamedTuple):
    """What is to be done about one node."""

    create: bool
    delete: list[Object]
    failed: list[Object]
    """Of those to delete: pods that failed and are deleted after a back-off."""


def on_node(owner: Object, node: Object, pods: Sequence[Object] | None, digest: str, now: int) -> NodePlan:
    """podsShouldBeOnNode."""
    run, stay = should_run(owner, node)
    if run and not pods:
        return NodePlan(True, [], [])
    alive = [pod for pod in pods or () if not is_terminating(pod)]
    if not stay:
        return NodePlan(False, alive, [])
    failed = [pod for pod in alive if phase(pod) == "Failed"]
    finished = [pod for pod in alive if phase(pod) == "Succeeded"]
    running = oldest_first(pod for pod in alive if not is_terminal(pod))
    if len(running) <= 1:
        return NodePlan(False, finished, failed)
    if not allows_surge(owner):
        return NodePlan(False, finished + running[1:], failed)
    return NodePlan(False, finished + _surplus(owner, running, digest, now), failed)


def _surplus(owner: Object, running: list[Object], digest: str, now: int) -> list[Object]:
    """Of several pods on a node that surges, those that are not the oldest of their revision."""
    new = [pod for pod in running if labels_of(pod).get(HASH_LABEL) == digest]
    old = [pod for pod in running if labels_of(pod).get(HASH_LABEL) != digest]
    doomed = new[1:] + old[1:]
    if new and old and (not is_ready(old[0]) or is_available(new[0], owner["spec"].get("minReadySeconds", 0), now)):
        doomed.append(old[0])
    return doomed


def _pair(owner: Object, pods: Iterable[Object], digest: str) -> tuple[Object | None, Object | None] | None:
    """(new, old) pod of a node; None when there are several of one sort (findUpdatedPodsOnNode)."""
    alive = [pod for pod in pods if not is_terminating(pod)]
    new = [pod for pod in alive if is_updated(owner, pod, digest)]
    old = [pod for pod in alive if not is_updated(owner, pod, digest)]
    if len(new) > 1 or len(old) > 1:
        return None
    return (new[0] if new else None, old[0] if old else None)


class Update(NamedTuple):
    delete: list[Object]
    create_on: list[str]


def rolling_update(owner: Object, nodes: Sequence[Object], pods: ByNode, digest: str, now: int) -> Update:
    """The next step of a rolling update (rollingUpdate)."""
    wanting = [node["metadata"]["name"] for node in nodes if should_run(owner, node)[0]]
    surge, unavailable = limits(owner, len(wanting))
    names = list(dict.fromkeys([*pods, *wanting]))
    pairs = {name: _pair(owner, pods.get(name, ()), digest) for name in names}
    min_ready = owner["spec"].get("minReadySeconds", 0)

    def available(pod: Object) -> bool:
        return is_available(pod, min_ready, now)

    if surge == 0:
        return Update(_replaceable(pairs, unavailable, available), [])
    return _surged(pairs, surge, available)


def _replaceable(pairs: Mapping[str, Any], unavailable_max: int, available: Any) -> list[Object]:
    """Old pods that may go: those that are not available anyway, and as many others as the limit allows."""
    unavailable, broken, sound = 0, [], []
    for pair in pairs.values():
        if pair is None or (pair[0] is None) == (pair[1] is None):
            unavailable += 1
        elif pair[0] is not None:
            unavailable += not available(pair[0])
        elif not available(pair[1]):
            broken.append(pair[1])
        elif unavailable < unavailable_max:
            sound.append(pair[1])
    return broken + sound[: max(0, unavailable_max - unavailable)]


def _surged(pairs: Mapping[str, Any], surge_max: int, available: Any) -> Update:
    surging, doomed, broken, sound = 0, [], [], []
    for name, pair in pairs.items():
        if pair is None:
            surging += 1
        elif pair[1] is None:
            continue
        elif pair[0] is None:
            if not available(pair[1]):
                broken.append(name)
            elif surging < surge_max:
                sound.append(name)
        elif available(pair[0]):
            doomed.append(pair[1])
        else:
            surging += 1
    return Update(doomed, broken + sound[: max(0, surge_max - surging)])


class Counts(NamedTuple):
    """Nodes, by what a set has there."""

    desired: int = 0
    current: int = 0
    misscheduled: int = 0
    ready: int = 0
    available: int = 0
    updated: int = 0
    outdated: int = 0
    """Pods of an earlier revision that are not on their way out, wherever they are."""

    def changed(self, before: Counts, after: Counts) -> Counts:
        """With one node counted anew."""
        return Counts._make(count - was + now_is for count, was, now_is in zip(self, before, after, strict=True))


NO_COUNTS = Counts()


def counts_of(owner: Object, node: Object | None, here: Sequence[Object], digest: str, now: int) -> Counts:
    """What one node adds, or pods on a node that there is not (updateDaemonSetStatus)."""
    outdated = sum(not is_terminating(pod) and not is_updated(owner, pod, digest) for pod in here)
    if node is None:
        return Counts(outdated=outdated)
    if not should_run(owner, node)[0]:
        return Counts(misscheduled=int(bool(here)), outdated=outdated)
    if not here:
        return Counts(desired=1)
    first = oldest_first(here)[0]
    available = is_available(first, owner["spec"].get("minReadySeconds", 0), now)
    return Counts(1, 1, 0, int(is_ready(first)), int(available), int(is_updated(owner, first, digest)), outdated)


def status_of(owner: Object, counts: Counts) -> dict[str, Any]:
    """The counts as a status has them."""
    status = {
        "currentNumberScheduled": counts.current,
        "numberMisscheduled": counts.misscheduled,
        "desiredNumberScheduled": counts.desired,
        "numberReady": counts.ready,
    }
    more = {
        "observedGeneration": owner["metadata"].get("generation", 0),
        "updatedNumberScheduled": counts.updated,
        "numberAvailable": counts.available,
        "numberUnavailable": counts.desired - counts.available,
    }
    return {**status, **{key: value for key, value in more.items() if value}}
