"""Upstream's tables of Jobs and CronJobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from seatrial.sim.config import MS, S
from seatrial.sim.controllers import (
    cronjob_plan,
    job_plan,
)
from seatrial.sim.controllers.cronschedule import parse
from seatrial.sim.kernel.clock import parse_stamp, stamp_of
from tests.conformance.cases import Object, Runner, plain


def job_backoff(given: Object, expect: Object) -> None:
    failures = given.get("failures_since_last_success", 0)
    if "index_failure_count" in given:
        failures = given["index_failure_count"] + 1
    since = given["seconds_since_last_failure"] * S
    left = job_plan.remaining(failures, since, given["base_seconds"] * S, given["max_seconds"] * S)
    assert left == expect["remaining_seconds"] * S


def job_backoff_record(given: Object, expect: Object) -> None:
    before = job_plan.Backoff(given["failures_before"])
    done, failed = ([each * MS for each in given[field]] for field in ("succeeded_ms", "failed_ms"))
    after = before.after(done, failed)
    last = None if after.last_us is None else after.last_us // MS
    assert (after.failures, last) == (expect["failures"], expect["last_failure_ms"])


def _containers_ended(ends: Any, stamps: Callable[[int], str]) -> list[Any]:
    """A container each, by when it ended."""
    states = [{"running": {}} if end is None else {"terminated": {"finishedAt": stamps(end)}} for end in ends]
    return [{"name": f"c-{index}", "state": state} for index, state in enumerate(states)]


def job_finished_time(given: Object, expect: Object) -> None:
    base, pod = parse_stamp(given["base_time"]), given["pod"]

    def stamp(offset_s: int) -> str:
        return stamp_of(base + offset_s * S)

    metadata: dict[str, Any] = {"name": "p", "creationTimestamp": stamp(pod.get("created_offset_s", -3600))}
    if "deletion_offset_s" in pod:
        metadata["deletionTimestamp"] = stamp(pod["deletion_offset_s"])
        metadata["deletionGracePeriodSeconds"] = pod.get("grace_s", 0)
    sidecars = pod.get("sidecars", [])
    status: dict[str, Any] = {"containerStatuses": _containers_ended(pod["containers"], stamp), "conditions": []}
    status["initContainerStatuses"] = _containers_ended(sidecars, stamp)
    for field, value in (("ready_offset_s", "True"), ("not_ready_offset_s", "False")):
        if field in pod:
            changed = {"lastTransitionTime": stamp(pod[field])}
            status["conditions"].append({"type": "Ready", "status": value, **changed})
    beside = [{"name": f"c-{index}", "restartPolicy": "Always"} for index in range(len(sidecars))]
    made = {"metadata": metadata, "spec": {"initContainers": beside}, "status": status}
    assert job_plan.finished_at(made) == base + expect["finished_offset_s"] * S


def job_success_policy(given: Object, expect: Object) -> None:
    done = job_plan.parse_indexes(given["succeeded_indexes"], given["completions"])
    found = job_plan.match_success_policy(plain(given["rules"]), given["completions"], done)
    assert found == expect["message"]


def _failed_pod(given: Object) -> Any:
    status: dict[str, Any] = {"phase": given["phase"], "conditions": plain(given.get("conditions") or [])}
    for each in given["containers"]:
        ended = {"terminated": {"exitCode": each["exitCode"]}} if "exitCode" in each else {"running": {}}
        key = "initContainerStatuses" if each.get("init") else "containerStatuses"
        status.setdefault(key, []).append({"name": each["name"], "state": ended})
    return {"metadata": {"namespace": given["namespace"], "name": given["name"]}, "status": status}


def pod_failure_policy(given: Object, expect: Object) -> None:
    match = job_plan.match_failure_policy(plain(given["rules"]), _failed_pod(given["pod"]))
    assert (match.counts, match.action) == (expect["counts_towards_backoff"], expect["action"])
    assert match.message == expect.get("job_failure_message", "")


# --- cron jobs


def _cronjob(given: Object) -> tuple[Any, int, int]:
    base = parse_stamp(given["base_time"])
    created = stamp_of(base + given["created_offset_s"] * S)
    status = {}
    if given.get("last_schedule_offset_s") is not None:
        status["lastScheduleTime"] = stamp_of(base + given["last_schedule_offset_s"] * S)
    spec = {"schedule": given["schedule"], "startingDeadlineSeconds": given.get("starting_deadline_s")}
    cronjob = {"metadata": {"name": "c", "creationTimestamp": created}, "spec": spec, "status": status}
    return cronjob, base, base + given["now_offset_s"] * S


def most_recent_time(given: Object, expect: Object) -> None:
    cronjob, base, now = _cronjob(given)
    schedule = parse(given["schedule"])
    if expect.get("error"):
        with pytest.raises(cronjob_plan.InvalidSchedule):
            cronjob_plan.most_recent(cronjob, now, schedule, given["clip_to_starting_deadline"])
        return
    found = cronjob_plan.most_recent(cronjob, now, schedule, given["clip_to_starting_deadline"])
    at = None if found.at is None else (found.at - base) // S
    assert at == expect["most_recent_offset_s"]
    assert (found.earliest - base) // S == expect["earliest_offset_s"]
    assert found.missed == expect["missed"]


def next_requeue(given: Object, expect: Object) -> None:
    cronjob, _, now = _cronjob(given)
    wait = cronjob_plan.next_run_in(cronjob, now, parse(given["schedule"])) - cronjob_plan.DELTA_US
    assert wait == expect["requeue_after_s_excluding_100ms_delta"] * S


JOBS: Mapping[str, Runner] = {
    "job.backoff": job_backoff,
    "job.backoff_record": job_backoff_record,
    "job.finished_time": job_finished_time,
    "job.pod_failure_policy": pod_failure_policy,
    "job.success_policy": job_success_policy,
    "cronjob.most_recent_time": most_recent_time,
    "cronjob.next_requeue": next_requeue,
}
