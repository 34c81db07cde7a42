"""CronJobs: jobs on a schedule, and their history.

Source: k8s.io/kubernetes/pkg/controller/cronjob (cronjob_controllerv2.go, utils.go).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from seatrial.sim.apiserver.events import reference
from seatrial.sim.apiserver.request import Object
from seatrial.sim.config import S
from seatrial.sim.controllers import cronjob_plan as plan
from seatrial.sim.controllers.actions import (
    Action,
    Create,
    Delete,
    Get,
    Outcome,
    Record,
    Steps,
    Turn,
    delete_of,
    ignoring,
    update_status,
)
from seatrial.sim.controllers.conditions import namespace_is_terminating
from seatrial.sim.controllers.controller import Controller, Seen, object_key
from seatrial.sim.controllers.cronschedule import Schedule, parse
from seatrial.sim.controllers.informers import controller_of
from seatrial.sim.controllers.job import is_finished
from seatrial.sim.controllers.ownership import CRON_JOB, JOB, children
from seatrial.sim.kernel.clock import parse_stamp, stamp_of
from seatrial.sim.machinery.errors import ApiError

JOBS = JOB.storage
SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"
HISTORY = (("Complete", "successfulJobsHistoryLimit", 3), ("Failed", "failedJobsHistoryLimit", 1))
TOO_MANY = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
FORBIDDEN = "Not starting job because prior execution is running and concurrency policy is Forbid"


@dataclass(slots=True)
class Run:
    turn: Turn
    cronjob: Object
    status: dict[str, Any]
    changed: bool = False

    @property
    def active(self) -> list[Any]:
        listed: list[Any] = self.status.get("active") or []
        return listed

    def forget(self, uid: str) -> None:
        left = [each for each in self.active if each["uid"] != uid]
        self.status["active"] = left
        if not left:
            del self.status["active"]
        self.changed = True


def reconcile(turn: Turn) -> Steps:
    namespace, name = turn.key
    cronjob = turn.view(CRON_JOB.storage).get(namespace, name)
    if cronjob is None:
        return None
    run = Run(turn, cronjob, dict(cronjob.get("status") or {}))
    jobs = children(turn.view(JOBS), cronjob)
    yield from _clean_history(run, jobs)
    again = yield from _sync(run, jobs)
    if run.changed:
        yield update_status(CRON_JOB.storage, run.cronjob, run.status)
    return None if again is None else Outcome(again)


def finished_as(job: Object) -> str:
    """Complete, Failed, or empty."""
    for each in (job.get("status") or {}).get("conditions") or ():
        if each["type"] in ("Complete", "Failed") and each["status"] == "True":
            found: str = each["type"]
            return found
    return ""


def _clean_history(run: Run, jobs: list[Object]) -> Generator[Action, Any, None]:
    """Deletes the oldest finished jobs beyond the limits (cleanupFinishedJobs)."""
    for kind, field, default in HISTORY:
        limit = run.cronjob["spec"].get(field, default)
        ended = [job for job in jobs if finished_as(job) == kind]
        ended.sort(key=lambda job: ((job.get("status") or {}).get("startTime") or "", job["metadata"]["name"]))
        for job in ended[: max(0, len(ended) - limit)]:
            yield from _delete_job(run, job)


def _delete_job(run: Run, job: Object) -> Generator[Action, Any, None]:
    name = job["metadata"]["name"]
    try:
        yield from ignoring(delete_of(JOBS, job, {"propagationPolicy": "Background"}), 404)
    except ApiError as error:
        yield Record(run.cronjob, "Warning", "FailedDelete", f"Deleted job: {error}")
        raise
    if plan.in_active({"status": run.status}, job["metadata"]["uid"]):
        run.forget(job["metadata"]["uid"])
    yield Record(run.cronjob, "Normal", "SuccessfulDelete", f"Deleted job {name}")


def _sync(run: Run, jobs: list[Object]) -> Generator[Action, Any, int | None]:
    yield from _note_jobs(run, jobs)
    yield from _note_missing(run, jobs)
    spec, now = run.cronjob["spec"], run.turn.clock_now()
    if "deletionTimestamp" in run.cronjob["metadata"]:
        return None
    schedule = yield from _schedule(run)
    if schedule is None or spec.get("suspend"):
        return None
    try:
        recent = plan.most_recent(run.cronjob, now, schedule, True)
    except plan.InvalidSchedule as problem:
        text = f"invalid schedule: {spec['schedule']} : {problem}"
        yield Record(run.cronjob, "Warning", "InvalidSchedule", text)
        return None
    if recent.missed == "many":
        yield Record(run.cronjob, "Warning", "TooManyMissedTimes", TOO_MANY)
    if recent.at is not None and (yield from _may_start(run, recent.at, now)):
        yield from _start(run, recent.at)
    latest = {**run.cronjob, "status": run.status}
    return plan.next_run_in(latest, now, schedule)


def _note_jobs(run: Run, jobs: list[Object]) -> Generator[Action, Any, None]:
    for job in jobs:
        metadata = job["metadata"]
        known = plan.in_active({"status": run.status}, metadata["uid"])
        if not known and not is_finished(job):
            text = f"Saw a job that the controller did not create or forgot: {metadata['name']}"
            yield Record(run.cronjob, "Warning", "UnexpectedJob", text)
        elif known and is_finished(job):
            run.forget(metadata["uid"])
            text = f"Saw completed job: {metadata['name']}, condition: {finished_as(job)}"
            yield Record(run.cronjob, "Normal", "SawCompletedJob", text)
        completed = (job.get("status") or {}).get("completionTime")
        if completed and finished_as(job) == "Complete":
            last = run.status.get("lastSuccessfulTime")
            if last is None or parse_stamp(last) < parse_stamp(completed):
                run.status["lastSuccessfulTime"] = completed
                run.changed = True


def _note_missing(run: Run, jobs: list[Object]) -> Generator[Action, Any, None]:
    """Active jobs that do not exist any more."""
    there = {job["metadata"]["uid"] for job in jobs}
    for ref in list(run.active):
        if ref["uid"] in there:
            continue
        job = yield from ignoring(Get(JOBS, ref["namespace"], ref["name"]), 404)
        if job is None:
            run.forget(ref["uid"])
            yield Record(run.cronjob, "Normal", "MissingJob", f"Active job went missing: {ref['name']}")


def _schedule(run: Run) -> Generator[Action, Any, Schedule | None]:
    spec = run.cronjob["spec"]
    zone = spec.get("timeZone")
    try:
        return parse(spec["schedule"], zone)
    except (ZoneInfoNotFoundError, OSError):
        text = f'invalid timeZone: "{zone}": unknown time zone {zone}'
        yield Record(run.cronjob, "Warning", "UnknownTimeZone", text)
    except ValueError as problem:
        text = f'unparseable schedule: "{spec["schedule"]}" : {problem}'
        yield Record(run.cronjob, "Warning", "UnparseableSchedule", text)
    return None


def _may_start(run: Run, scheduled: int, now: int) -> Generator[Action, Any, bool]:
    spec = run.cronjob["spec"]
    deadline = spec.get("startingDeadlineSeconds")
    if deadline is not None and scheduled + deadline * S < now:
        at = format_datetime(datetime.fromtimestamp(scheduled // S, UTC))
        yield Record(run.cronjob, "Warning", "MissSchedule", f"Missed scheduled time to start a job: {at}")
        return False
    name = plan.job_name(run.cronjob, scheduled)
    last = run.status.get("lastScheduleTime")
    if any(ref["name"] == name for ref in run.active) or (last and parse_stamp(last) == scheduled):
        return False
    policy = spec.get("concurrencyPolicy", "Allow")
    if policy == "Forbid" and run.active:
        yield Record(run.cronjob, "Normal", "JobAlreadyActive", FORBIDDEN)
        return False
    if policy == "Replace":
        for ref in list(run.active):
            delete = Delete(JOBS, ref["namespace"], ref["name"], ref["uid"], {"propagationPolicy": "Background"})
            yield from ignoring(delete, 404)
            run.forget(ref["uid"])
            yield Record(run.cronjob, "Normal", "SuccessfulDelete", f"Deleted job {ref['name']}")
    return True


def job_of(cronjob: Object, scheduled: int) -> dict[str, Any]:
    """The job of one run (getJobFromTemplate2)."""
    template, zone = cronjob["spec"]["jobTemplate"], cronjob["spec"].get("timeZone")
    source = template.get("metadata") or {}
    at = stamp_of(scheduled)
    if zone:
        at = datetime.fromtimestamp(scheduled // S, ZoneInfo(zone)).isoformat()
    metadata: dict[str, Any] = {
        "name": plan.job_name(cronjob, scheduled),
        "namespace": cronjob["metadata"]["namespace"],
        "annotations": {**(source.get("annotations") or {}), SCHEDULED_AT: at},
        "ownerReferences": [CRON_JOB.reference(cronjob)],
    }
    if source.get("labels"):
        metadata["labels"] = source["labels"]
    return {"apiVersion": JOB.api_version, "kind": JOB.kind, "metadata": metadata, "spec": template["spec"]}


def _start(run: Run, scheduled: int) -> Generator[Action, Any, None]:
    wanted = job_of(run.cronjob, scheduled)
    try:
        job: Object = yield Create(JOBS, wanted)
    except ApiError as error:
        if namespace_is_terminating(error):
            return
        if error.reason != "AlreadyExists":
            yield Record(run.cronjob, "Warning", "FailedCreate", f"Error creating job: {error}")
            raise
        job = yield Get(JOBS, wanted["metadata"]["namespace"], wanted["metadata"]["name"])
        owner = controller_of(job)
        if owner is None or owner["uid"] != run.cronjob["metadata"]["uid"] or is_finished(job):
            return
    else:
        yield Record(run.cronjob, "Normal", "SuccessfulCreate", f"Created job {job['metadata']['name']}")
    run.status["active"] = [*run.active, reference(job)]
    run.status["lastScheduleTime"] = stamp_of(scheduled)
    run.changed = True


def job_keys(seen: Seen) -> Iterable[tuple[str, str]]:
    namespace = seen.obj["metadata"]["namespace"]
    owner = CRON_JOB.resolve(seen.view, namespace, controller_of(seen.obj))
    return () if owner is None else ((namespace, owner["metadata"]["name"]),)


CONTROLLER = Controller(
    name="cronjob-controller",
    reconcile=reconcile,
    watches=((CRON_JOB.storage, object_key), (JOBS, job_keys)),
)
