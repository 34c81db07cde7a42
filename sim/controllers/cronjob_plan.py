"""When a CronJob's next run is, and which ones it has missed: pure functions.

Source: k8s.io/kubernetes/pkg/controller/cronjob/utils.go.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from seatrial.sim.apiserver.request import Object
from seatrial.sim.config import MS, S
from seatrial.sim.controllers.cronschedule import Schedule
from seatrial.sim.kernel.clock import parse_stamp

DELTA_US = 100 * MS
"""How long after its time a run is looked for (nextScheduleDelta)."""
MANY = 100
"""Missed runs of which the user is told."""


class InvalidSchedule(ValueError):
    """A schedule that never runs."""


class Recent(NamedTuple):
    """The most recent run that should have happened."""

    earliest: int
    """µs: from when runs count."""
    at: int | None
    """µs."""
    missed: str
    """none, few or many."""


def most_recent(cronjob: Object, now: int, schedule: Schedule, clip_to_deadline: bool) -> Recent:
    """mostRecentScheduleTime. Raises InvalidSchedule."""
    status, spec = cronjob.get("status") or {}, cronjob["spec"]
    earliest = parse_stamp(status.get("lastScheduleTime") or cronjob["metadata"]["creationTimestamp"])
    deadline = spec.get("startingDeadlineSeconds")
    if clip_to_deadline and deadline is not None:
        earliest = max(earliest, now - deadline * S)
    first = schedule.next(earliest)
    second = schedule.next(first) if first is not None else None
    if first is None or second is None:
        raise InvalidSchedule("time difference between two schedules is less than 1 second")
    if now < first:
        return Recent(earliest, None, "none")
    if now < second:
        return Recent(earliest, first, "none")
    between = (second - first) // S
    count = (now - first) // S // between + 1
    at: int | None = None
    following = schedule.next(first + (count - 2) * between * S)
    while following is not None and following <= now:
        at, following = following, schedule.next(following)
    return Recent(earliest, at, "many" if count > MANY else "few")


def next_run_in(cronjob: Object, now: int, schedule: Schedule) -> int:
    """µs until the next look (nextScheduleTimeDuration)."""
    try:
        recent = most_recent(cronjob, now, schedule, False)
    except InvalidSchedule:
        base = now
    else:
        base = recent.at if recent.at is not None else recent.earliest if recent.missed == "none" else now
    following = schedule.next(base)
    return DELTA_US if following is None else following + DELTA_US - now


def job_name(cronjob: Object, scheduled: int) -> str:
    return f"{cronjob['metadata']['name']}-{scheduled // (60 * S)}"


def in_active(cronjob: Object, uid: str) -> bool:
    active: list[Any] = (cronjob.get("status") or {}).get("active") or []
    return any(each["uid"] == uid for each in active)
