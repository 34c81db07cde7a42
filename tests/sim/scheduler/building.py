"""Short forms of nodes and pods for the scheduler's tests, and a cache to put them in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.sim.scheduler.cache import Cache
from seatrial.sim.scheduler.decide import Framework
from seatrial.sim.scheduler.podinfo import Intern, PodInfo
from seatrial.sim.scheduler.registry import default_profile

HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"


def node(name: str, labels: Mapping[str, str] | None = None, **allocatable: str) -> dict[str, Any]:
    """A node; ``allocatable`` replaces the default of 4 CPUs, 8Gi and 110 pods."""
    figures = {"cpu": "4", "memory": "8Gi", "pods": "110", **allocatable}
    return {
        "metadata": {"name": name, "labels": {HOSTNAME: name, **(labels or {})}},
        "spec": {},
        "status": {"allocatable": figures},
    }


def pod(name: str, namespace: str = "default", labels: Mapping[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    """A pod without containers unless ``spec`` says otherwise; ``cpu`` and ``memory`` are a container's requests."""
    requests = {key: spec.pop(key) for key in ("cpu", "memory") if key in spec}
    if requests:
        spec["containers"] = [{"name": "c", "image": "nginx", "resources": {"requests": requests}}]
    meta = {"name": name, "namespace": namespace, "uid": f"{namespace}/{name}", "labels": dict(labels or {})}
    return {"metadata": meta, "spec": {"containers": [], **spec}}


class World:
    """A cache with the default profile on it."""

    def __init__(self, *nodes: dict[str, Any], args: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self.cache = Cache()
        self.intern = Intern()
        for each in nodes:
            self.cache.set_node(each)
        self.cache.refresh()
        self.framework = Framework(default_profile(self.cache, args), self.cache)

    def info(self, given: dict[str, Any]) -> PodInfo:
        return self.intern.info(given, placed=True)

    def place(self, given: dict[str, Any], on: str) -> PodInfo:
        """The pod runs on the node."""
        info = self.info(given)
        self.cache.add_pod(info, on)
        return info
