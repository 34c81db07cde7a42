"""What kube-controller-manager's ``/metrics`` tells: its queues, its requests, what its controllers look after.

Source: k8s.io/component-base/metrics/prometheus/workqueue, k8s.io/kubernetes/pkg/controller/nodelifecycle/metrics.go,
pkg/controller/volume/persistentvolume/metrics. Not modelled: the counters that
single controllers keep beside these, but for volumes detached by force.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from seatrial.sim.controllers.workqueue import WAITS, WORKS, WorkQueue
from seatrial.sim.machinery.metrics import Labels, Meters, Rows, standing
from seatrial.sim.store.view import View

COMPONENT: Final = "kube-controller-manager"
S: Final = 1_000_000
QUEUES: Final = {
    "endpointslice-controller": "endpoint_slice",
    "endpointslice-mirroring-controller": "endpoint_slice_mirroring",
    "endpoints-controller": "endpoint",
    "garbage-collector-controller": "garbage_collector_attempt_to_delete",
    "horizontal-pod-autoscaler-controller": "horizontalpodautoscaler",
    "legacy-serviceaccount-token-cleaner-controller": "legacy_service_account_token_cleaner",
    "node-ipam-controller": "cidrallocator-node",
    "node-lifecycle-controller": "node_lifecycle_controller",
    "persistentvolume-binder-controller": "claims",
    "persistentvolume-protection-controller": "pvprotection",
    "persistentvolumeclaim-protection-controller": "pvcprotection",
    "resourcequota-controller": "resourcequota_primary",
    "root-ca-certificate-publisher-controller": "root_ca_cert_publisher",
    "serviceaccount-token-controller": "serviceaccount_tokens_service",
    "taint-eviction-controller": "noexec_taint_pod",
    "ttl-after-finished-controller": "ttl_jobs_to_delete",
}
"""Names of queues that are not those of their controllers."""


def queue_name(controller: str) -> str:
    """What a controller's queue is called."""
    return QUEUES.get(controller) or controller.removesuffix("-controller").replace("-", "_")


def page(
    version: str,
    began_us: int,
    now_us: int,
    meters: Meters,
    queues: Mapping[str, WorkQueue],
    leads: bool,
    view: Callable[[str], View] | None,
) -> bytes:
    """/metrics. ``view`` gives what the manager knows of a kind, while it leads."""
    values: dict[str, Rows | float] = standing(version, began_us)
    values["leader_election_master_status"] = {(COMPONENT,): float(leads)}
    told = Meters(COMPONENT)
    told.counters, told.distributions = dict(meters.counters), dict(meters.distributions)
    for controller, queue in queues.items():
        name = (queue_name(controller),)
        rows: dict[str, float] = {
            "workqueue_adds_total": queue.adds,
            "workqueue_retries_total": queue.retries,
            "workqueue_depth": queue.depth,
            "workqueue_unfinished_work_seconds": sum(now_us - at for at in queue.since()) / S,
            "workqueue_longest_running_processor_seconds": max((now_us - at for at in queue.since()), default=0) / S,
        }
        for family, value in rows.items():
            found = values.setdefault(family, {})
            assert isinstance(found, dict)
            found[name] = found.get(name, 0) + value
        for family, durations in {WAITS: queue.waits, WORKS: queue.works}.items():
            told.distributions.setdefault(family, {}).setdefault(name, durations)
    if view is not None:
        values.update(_looked_after(view))
        values["running_managed_controllers"] = {("kube-controller-manager", name): 1 for name in queues}
    return told.text(values)


def _looked_after(view: Callable[[str], View]) -> dict[str, Rows | float]:
    zones: dict[Labels, float] = {}
    unhealthy: dict[Labels, float] = {}
    for node in view("nodes").list():
        labels = node["metadata"].get("labels") or {}
        region, zone = (labels.get(f"topology.kubernetes.io/{name}", "") for name in ("region", "zone"))
        key = (f"{region}:\x00:{zone}" if region or zone else "",)
        zones[key] = zones.get(key, 0) + 1
        unhealthy[key] = unhealthy.get(key, 0) + (not _is_true(node, "Ready"))
    bound: dict[Labels, float] = {}
    unbound: dict[Labels, float] = {}
    for claim in view("persistentvolumeclaims").list():
        spec = claim["spec"]
        place = (claim["metadata"]["namespace"], spec.get("storageClassName") or "", "")
        rows = bound if (claim.get("status") or {}).get("phase") == "Bound" else unbound
        rows[place] = rows.get(place, 0) + 1
    return {
        "node_collector_zone_size": zones,
        "node_collector_unhealthy_nodes_in_zone": unhealthy,
        "node_collector_zone_health": {key: 100 * (1 - unhealthy[key] / count) for key, count in zones.items()},
        "pv_collector_bound_pvc_count": bound,
        "pv_collector_unbound_pvc_count": unbound,
        "pv_collector_bound_pv_count": _volumes(view("persistentvolumes").list()),
    }


def _volumes(volumes: Iterable[Mapping[str, Any]]) -> Rows:
    found: dict[Labels, float] = {}
    for volume in volumes:
        if (volume.get("status") or {}).get("phase") == "Bound":
            key = (volume["spec"].get("storageClassName") or "",)
            found[key] = found.get(key, 0) + 1
    return found


def _is_true(obj: Mapping[str, Any], kind: str) -> bool:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(each["type"] == kind and each["status"] == "True" for each in conditions)
