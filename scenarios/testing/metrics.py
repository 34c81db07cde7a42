"""A stand-in metrics server: the load of a namespace, shared by its ready pods, so that autoscalers close a loop.

It answers ``metrics.k8s.io`` in the API server's place. *Not modelled*: the delay and the window of real measurements;
the load is what it is at the moment of asking.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seatrial.sim.apiserver.client import Verdict
from seatrial.sim.apiserver.request import Request, Response
from seatrial.sim.cluster import Cluster
from seatrial.sim.kernel.clock import stamp_of
from seatrial.sim.machinery import selectors

GROUP_VERSION = "metrics.k8s.io/v1beta1"
PREFIX = f"/apis/{GROUP_VERSION}/namespaces/"
Load = Callable[[int], float]
"""Millicores of CPU that all pods together use, by the time (µs)."""


def serve_metrics(cluster: Cluster, load: Load) -> Callable[[], None]:
    """Lets every namespace have this load; returns what ends that."""

    def judge(request: Request) -> Verdict | None:
        if not request.path.startswith(PREFIX):
            return None
        namespace = request.path.removeprefix(PREFIX).partition("/")[0]
        selector = "".join(request.query.get("labelSelector", ()))
        return Verdict(0, Response(200, pod_metrics(cluster, namespace, selector, load(cluster.now))))

    return cluster.faults.judge(judge)


def pod_metrics(cluster: Cluster, namespace: str, selector: str, load: float) -> dict[str, Any]:
    """A PodMetricsList of the ready pods that the selector chooses."""
    chosen = selectors.labels(selector)
    pods = [pod for pod in cluster.store.list("pods", namespace) if chosen(pod["metadata"].get("labels") or {})]
    measured = [pod for pod in pods if _is_measured(pod)]
    each = round(load / max(len(measured), 1))
    return {
        "kind": "PodMetricsList",
        "apiVersion": GROUP_VERSION,
        "metadata": {},
        "items": [_item(pod, each, stamp_of(cluster.now)) for pod in measured],
    }


def _is_measured(pod: Any) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def _item(pod: Any, millicores: int, stamp: str) -> dict[str, Any]:
    names = [container["name"] for container in pod["spec"]["containers"]]
    usage = {"cpu": f"{millicores // len(names)}m", "memory": "20Mi"}
    metadata = {key: pod["metadata"][key] for key in ("name", "namespace", "labels") if key in pod["metadata"]}
    containers = [{"name": name, "usage": usage} for name in names]
    return {"metadata": metadata, "timestamp": stamp, "window": "15s", "containers": containers}
