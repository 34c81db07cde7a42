"""Finished Jobs go when their time to live is over.

Source: k8s.io/kubernetes/pkg/controller/ttlafterfinished/ttlafterfinished_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from seatrial.sim.apiserver.request import Object
from seatrial.sim.config import S
from seatrial.sim.controllers.actions import Get, Outcome, Steps, Turn, delete_of, ignoring
from seatrial.sim.controllers.controller import Controller, Seen
from seatrial.sim.controllers.job import is_finished
from seatrial.sim.controllers.ownership import JOB
from seatrial.sim.kernel.clock import parse_stamp


def expires_in(job: Object, now: int) -> int | None:
    """µs until the job may go; None for one that stays."""
    ttl = job["spec"].get("ttlSecondsAfterFinished")
    if ttl is None or not is_finished(job) or "deletionTimestamp" in job["metadata"]:
        return None
    ended = next(
        each["lastTransitionTime"]
        for each in job["status"]["conditions"]
        if each["type"] in ("Complete", "Failed") and each["status"] == "True"
    )
    return max(0, parse_stamp(ended) + int(ttl) * S - now)


def reconcile(turn: Turn) -> Steps:
    namespace, name = turn.key
    job = turn.view(JOB.storage).get(namespace, name)
    left = expires_in(job, turn.now) if job is not None else None
    if left is None:
        return None
    if left:
        return Outcome(left)
    fresh = yield from ignoring(Get(JOB.storage, namespace, name), 404)
    left = expires_in(fresh, turn.clock_now()) if fresh is not None else None
    if left is None:
        return None
    if left:
        return Outcome(left)
    yield from ignoring(delete_of(JOB.storage, fresh, {"propagationPolicy": "Foreground"}), 404)
    return None


def job_keys(seen: Seen) -> Iterable[Any]:
    job = seen.new
    if job is None or expires_in(job, seen.now) is None:
        return ()
    return ((job["metadata"]["namespace"], job["metadata"]["name"]),)


CONTROLLER = Controller(
    name="ttl-after-finished-controller",
    reconcile=reconcile,
    watches=((JOB.storage, job_keys),),
)
