"""Which pod and which container a command means.

Source: k8s.io/kubectl/pkg/polymorphichelpers, k8s.io/kubectl/pkg/cmd/util/podcmd.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.scenarios.kubectl.builder import Target, fetched, wanted
from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.failures import Failure
from seatrial.sim.machinery import selectors

Object = Mapping[str, Any]
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
TIMED_OUT = "timed out waiting for the condition"


def pod_for(call: Call, word: str) -> Object:
    """The pod that ``pod``, ``pod/name`` or ``deploy/name`` means, the best of several. Raises Failure, ApiError."""
    name = word if "/" in word else f"pods/{word}"
    target = next(iter(fetched(call, wanted(call, [name]))))
    if target.kind.resource == "pods":
        return dict(target.object)
    found = pods_of(call, target)
    if not found:
        raise Failure(TIMED_OUT)
    return found[0]


def pods_of(call: Call, target: Target) -> list[Object]:
    """The pods of a workload or service, those first that are most worth looking at (podutils.ByLogging)."""
    spec = target.object.get("spec") or {}
    chosen = spec.get("selector")
    if target.kind.kind in ("Service", "ReplicationController"):
        chosen = {"matchLabels": chosen or {}}
    if not chosen:
        raise Failure(f'cannot attach to {target.kind.resource} "{target.name}": no selector')
    query = {"labelSelector": selectors.text_of(chosen)}
    found = call.client.items(call.client.kind("pods"), target.namespace, query)
    return sorted(found, key=_worth)


def _worth(pod: Object) -> tuple[Any, ...]:
    """Lower is more: on a node, running, ready, ready for longer, restarted less, older."""
    status = pod.get("status") or {}
    phases = {"Running": 0, "Unknown": 1, "Pending": 2}
    ready: Object = next((each for each in status.get("conditions") or () if each["type"] == "Ready"), {})
    is_ready = ready.get("status") == "True"
    restarts = max((each.get("restartCount", 0) for each in status.get("containerStatuses") or ()), default=0)
    return (
        not pod["spec"].get("nodeName"),
        phases.get(status.get("phase", ""), 0),
        not is_ready,
        ready.get("lastTransitionTime") or "" if is_ready else "",
        restarts,
        pod["metadata"].get("creationTimestamp") or "",
    )


def containers_of(pod: Object) -> dict[str, list[str]]:
    spec = pod["spec"]
    return {
        key: [each["name"] for each in spec.get(key) or ()]
        for key in ("containers", "initContainers", "ephemeralContainers")
    }


def container_for(call: Call, pod: Object, quiet: bool = False) -> str:
    """The container that is meant; tells which when there are several. Raises Failure for one that is not there."""
    names = containers_of(pod)
    every = [name for group in names.values() for name in group]
    asked = call.flags.get("container") or ""
    if asked:
        if asked not in every:
            listed = ", ".join(every)
            raise Failure(f"container {asked} is not valid for pod {pod['metadata']['name']} out of: {listed}")
        return str(asked)
    preferred = (pod["metadata"].get("annotations") or {}).get(DEFAULT_CONTAINER)
    if preferred in every:
        return str(preferred)
    first = names["containers"][0]
    if len(every) > 1 and not quiet:
        listed = ", ".join([*names["containers"], *(f"{name} (ephem)" for name in names["ephemeralContainers"]),
                            *(f"{name} (init)" for name in names["initContainers"])])  # fmt: skip
        call.err(f'Defaulted container "{first}" out of: {listed}')
    return first
