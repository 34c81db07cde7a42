"""Facts that the kubelet reads from a pod's spec, over and over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.sim.machinery.quantity import parse

Object = Mapping[str, Any]
NOT_FOUND = 127
"""The status with which a shell says that there is no such command."""
NONROOT = 65532
"""The user of images that are built to run without root."""

CONTAINER_FIELDS = (("initContainers", "init"), ("containers", "regular"), ("ephemeralContainers", "ephemeral"))
"""The lists of containers of a pod's spec, in the order in which they start."""

STATUS_FIELDS = {
    "init": "initContainerStatuses",
    "regular": "containerStatuses",
    "ephemeral": "ephemeralContainerStatuses",
}


def is_sidecar(container: Object) -> bool:
    """An init container that is restarted always and runs beside the others."""
    return container.get("restartPolicy") == "Always"


def is_to_end(container: Object, pod: Object) -> bool:
    """Whether the pod waits for the container's end."""
    spec = pod["spec"]
    policy = container.get("restartPolicy") or spec.get("restartPolicy", "Always")
    return policy != "Always" or (container in (spec.get("initContainers") or ()) and not is_sidecar(container))


def ports_of(container: Object) -> tuple[int, ...]:
    """The ports that a container's spec mentions, in its own list or as those that a probe or a hook asks."""
    asked = [container.get(field) for field in ("startupProbe", "livenessProbe", "readinessProbe")]
    asked += (container.get("lifecycle") or {}).values()
    named = [(action or {}).get(kind) or {} for action in asked for kind in ("httpGet", "tcpSocket", "grpc")]
    listed = [port["containerPort"] for port in container.get("ports") or ()]
    return tuple(dict.fromkeys([*listed, *(action["port"] for action in named if isinstance(action.get("port"), int))]))


def find_container(pod: Object, name: str) -> tuple[str, Object] | None:
    """The field that holds a container, and the container."""
    for field, _ in CONTAINER_FIELDS:
        for container in pod["spec"].get(field) or ():
            if container["name"] == name:
                return field, container
    return None


def key_of(pod: Object) -> str:
    """namespace/name."""
    metadata = pod["metadata"]
    return f"{metadata.get('namespace', '')}/{metadata['name']}"


def described(pod: Object) -> str:
    """``name_namespace(uid)``, as messages name a pod (format.Pod)."""
    metadata = pod["metadata"]
    return f"{metadata['name']}_{metadata.get('namespace', '')}({metadata['uid']})"


def grace_s(pod: Object) -> int:
    """Seconds that the containers get to end (calculateEffectiveGracePeriod)."""
    metadata = pod["metadata"]
    grace = metadata.get("deletionGracePeriodSeconds")
    if grace is None:
        grace = pod["spec"].get("terminationGracePeriodSeconds", 30)
    return max(int(grace), 1)


def is_static(pod: Object) -> bool:
    """Comes from a file of the node, not from the API server."""
    return "kubernetes.io/config.source" in (pod["metadata"].get("annotations") or {}) and not is_mirror(pod)


def is_mirror(pod: Object) -> bool:
    return "kubernetes.io/config.mirror" in (pod["metadata"].get("annotations") or {})


def nanocores(amount: str | None) -> int | None:
    """An amount of CPU; None for what is not said."""
    return parse(amount).nanos if amount else None


def cpu_shares(resources: Mapping[str, Any]) -> int:
    """The cgroup's weight of what a container asks for (MilliCPUToShares)."""
    asked = (resources.get("requests") or {}).get("cpu")
    return max(parse(asked).milli_value() * 1024 // 1000, 2) if asked else 2
