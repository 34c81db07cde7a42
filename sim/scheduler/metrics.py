"""What kube-scheduler counts, and what its ``/metrics`` tells.

Source: k8s.io/kubernetes/pkg/scheduler/metrics/metrics.go. Not modelled: how long cycles and plug-ins take
(they take no simulated time, so they are counted as instants), and the events by which pods came to their queue.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from seatrial.sim.machinery.metrics import Labels, Meters, Rows, standing
from seatrial.sim.scheduler.queue import ACTIVE, BACKOFF, GATED, UNSCHEDULABLE, QueuedPod

COMPONENT: Final = "kube-scheduler"
ATTEMPTS: Final = "scheduler_schedule_attempts_total"
ATTEMPT_SECONDS: Final = "scheduler_scheduling_attempt_duration_seconds"
ATTEMPTS_MAX: Final = 15
"""From here on the label of attempts says "15+"."""


def scheduled(meters: Meters, profile: str, queued: QueuedPod, now_us: int) -> None:
    """A pod was bound."""
    meters.count(ATTEMPTS, (profile, "scheduled"))
    meters.observe(ATTEMPT_SECONDS, 0, (profile, "scheduled"))
    meters.observe("scheduler_scheduling_algorithm_duration_seconds", 0)
    attempts = f"{ATTEMPTS_MAX}+" if queued.attempts >= ATTEMPTS_MAX else str(queued.attempts)
    since = queued.first_us if queued.first_us is not None else now_us
    meters.observe("scheduler_pod_scheduling_sli_duration_seconds", now_us - since, (attempts,))
    meters.observe_value("scheduler_pod_scheduling_attempts", queued.attempts)


def failed(meters: Meters, profile: str) -> None:
    """No node suited a pod."""
    meters.count(ATTEMPTS, (profile, "unschedulable"))
    meters.observe(ATTEMPT_SECONDS, 0, (profile, "unschedulable"))
    meters.observe("scheduler_scheduling_algorithm_duration_seconds", 0)


def preempted(meters: Meters, victims: int) -> None:
    """Others have to make room."""
    meters.count("scheduler_preemption_attempts_total")
    meters.observe_value("scheduler_preemption_victims", victims)


def page(version: str, began_us: int, meters: Meters, queued: Iterable[QueuedPod], cache: Any, leads: bool) -> bytes:
    """/metrics; ``cache`` is None while the process has none."""
    pending: dict[Labels, float] = {(queue,): 0 for queue in (ACTIVE, BACKOFF, GATED, UNSCHEDULABLE)}
    objecting: dict[Labels, float] = {}
    for pod in queued:
        if (pod.where,) in pending:
            pending[(pod.where,)] += 1
        for plugin in pod.plugins:
            key = (plugin, pod.info.pod["spec"].get("schedulerName") or "default-scheduler")
            objecting[key] = objecting.get(key, 0) + 1
    values: dict[str, Rows | float] = {
        **standing(version, began_us),
        "leader_election_master_status": {(COMPONENT,): float(leads)},
        "scheduler_pending_pods": pending,
        "scheduler_unschedulable_pods": objecting,
    }
    if cache is not None:
        sizes: dict[Labels, float] = {
            ("nodes",): float(len(cache.nodes)),
            ("pods",): float(len(cache.where)),
            ("assumed_pods",): 0.0,
        }
        values["scheduler_scheduler_cache_size"] = values["scheduler_cache_size"] = sizes
    return meters.text(values)
