"""CronJobs.

Source: k8s.io/kubernetes/pkg/apis/batch/validation (validateCronJobSpec).
"""

from __future__ import annotations

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation.cron import schedule_problem, zone_problem
from seatrial.sim.machinery.validation.jobs import job_spec
from seatrial.sim.machinery.validation.problems import (
    NONE,
    Errors,
    Object,
    at,
    invalid,
    nonnegative,
    not_supported,
    required,
)
from seatrial.sim.machinery.validation.table import table

_cron_numbers = table(
    {
        "startingDeadlineSeconds": nonnegative,
        "successfulJobsHistoryLimit": nonnegative,
        "failedJobsHistoryLimit": nonnegative,
    }
)


def _schedule(value: str, old: str | None, zone: str | None) -> Errors:
    errors: list[FieldError] = []
    if problem := schedule_problem(value):
        errors.append(invalid("schedule", value, problem))
    if "TZ" in value:
        if old is None or "TZ" not in old:
            told = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
            errors.append(invalid("schedule", value, told))
        elif zone is not None:
            told = "cannot use both timeZone field and TZ or CRON_TZ in schedule"
            errors.append(invalid("schedule", value, told))
    return errors


def cron_job_spec(spec: Object, old: Object | None) -> Errors:
    errors: list[FieldError] = []
    schedule, zone = spec.get("schedule") or "", spec.get("timeZone")
    if not schedule:
        errors.append(required("schedule"))
    else:
        errors += _schedule(schedule, old.get("schedule") if old is not None else None, zone)
    if zone is not None and (old is None or old.get("timeZone") != zone) and (problem := zone_problem(zone)):
        errors.append(invalid("timeZone", zone, problem))
    policy = spec.get("concurrencyPolicy") or ""
    if not policy:
        errors.append(required("concurrencyPolicy"))
    elif policy not in ("Allow", "Forbid", "Replace"):
        errors.append(not_supported("concurrencyPolicy", policy, ("Allow", "Forbid", "Replace")))
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    errors += at("jobTemplate.spec", job_spec(job))
    if job.get("selector") is not None:
        errors.append(invalid("jobTemplate.spec.selector", job["selector"], "`selector` will be auto-generated"))
    if job.get("manualSelector"):
        errors.append(not_supported("jobTemplate.spec.manualSelector", True, ("nil", "false")))
    errors += _cron_numbers(spec)
    return errors


def cron_job_create(value: Object) -> Errors:
    errors = [*at("spec", cron_job_spec(value.get("spec") or {}, None))]
    name = value["metadata"].get("name", "")
    if len(name) > 52:
        errors.append(invalid("metadata.name", name, "must be no more than 52 characters"))
    return errors


def cron_job_update(new: Object, old: Object) -> Errors:
    after, before = new.get("spec") or {}, old.get("spec") or {}
    return at("spec", cron_job_spec(after, before)) if after is not before else NONE
