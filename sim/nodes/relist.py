"""What a kubelet makes of a look at the runtime: whose pod has to be synced, which ended containers are too many.

Source: k8s.io/kubernetes/pkg/kubelet/kubelet.go (isSyncPodWorthy), …/pod_container_deletor.go.
"""

from __future__ import annotations

from collections.abc import Iterator

from seatrial.sim.nodes.cri import EXITED, ContainerRecord, PodRecord

KEPT_PER_NAME = 1
"""Ended containers of one name that stay (maximum-dead-containers-per-container)."""


def worth_a_sync(before: PodRecord, now: PodRecord) -> bool:
    """Whether anything happened to a pod but that ended containers were removed."""
    known = {container.id: container for container in before.containers}
    return before.sandbox != now.sandbox or any(known.get(each.id) != each for each in now.containers)


def superseded(record: PodRecord) -> Iterator[ContainerRecord]:
    """The ended containers that younger ended ones of the same name have made superfluous."""
    seen: dict[str, int] = {}
    for container in record.containers:
        if container.state == EXITED:
            seen[container.name] = seen.get(container.name, 0) + 1
            if seen[container.name] > KEPT_PER_NAME:
                yield container
