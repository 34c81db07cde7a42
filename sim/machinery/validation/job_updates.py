"""What may change in a Job, and what its status may become.

Source: k8s.io/kubernetes/pkg/apis/batch/validation (ValidateJobUpdate, ValidateJobUpdateStatus).
"""

from __future__ import annotations

from typing import Any

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation.golang import internal_form
from seatrial.sim.machinery.validation.jobs import job_selected
from seatrial.sim.machinery.validation.problems import (
    NONE,
    OMITTED,
    Errors,
    Object,
    at,
    immutable,
    invalid,
    nonnegative,
    required,
    same,
)
from seatrial.sim.machinery.validation.table import table

JOB_FIXED = ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy")
PRINTED = {"podFailurePolicy": "*PodFailurePolicy", "successPolicy": "*SuccessPolicy"}
"""How the structures among them print."""
SUSPENDED_MAY_CHANGE = ("nodeSelector", "tolerations", "schedulingGates")


def job_update(new: Object, old: Object) -> Errors:
    after, before = new.get("spec") or {}, old.get("spec") or {}
    errors = [*at("spec", job_selected(after))] if after is not before else []
    errors += at("spec", _completions_update(after, before))
    errors += immutable("spec.selector", after.get("selector"), before.get("selector"))
    wanted = _comparable_template(before.get("template") or {}, after.get("template") or {}, _may_move(new, old))
    if not same(after.get("template"), wanted):
        shown = internal_form(after.get("template"), "PodTemplateSpec")
        errors.append(invalid("spec.template", shown, "field is immutable"))
    for name in JOB_FIXED:
        if not same(after.get(name), before.get(name)):
            shown = internal_form(after.get(name), PRINTED.get(name, "="))
            errors.append(invalid(f"spec.{name}", shown, "field is immutable"))
    return errors


def _may_move(new: Object, old: Object) -> bool:
    """A suspended Job that has not started may still be sent elsewhere."""
    spec, status = old.get("spec") or {}, old.get("status") or {}
    return bool(spec.get("suspend")) and status.get("startTime") is None


def _comparable_template(before: Object, after: Object, may_move: bool) -> Object:
    if not may_move:
        return before
    spec, wanted = before.get("spec") or {}, after.get("spec") or {}
    moved: dict[str, Any] = {key: value for key, value in spec.items() if key not in SUSPENDED_MAY_CHANGE}
    moved.update({key: wanted[key] for key in SUSPENDED_MAY_CHANGE if key in wanted})
    affinity = dict(spec.get("affinity") or {})
    affinity.pop("nodeAffinity", None)
    if (node := (wanted.get("affinity") or {}).get("nodeAffinity")) is not None:
        affinity["nodeAffinity"] = node
    moved["affinity"] = affinity or None
    moved = {key: value for key, value in moved.items() if value is not None}
    metadata = {key: value for key, value in (before.get("metadata") or {}).items() if key not in MOVING_METADATA}
    metadata.update({k: v for k, v in (after.get("metadata") or {}).items() if k in MOVING_METADATA})
    return {**before, "metadata": metadata, "spec": moved}


MOVING_METADATA = ("labels", "annotations")


def _completions_update(after: Object, before: Object) -> Errors:
    new, old = after.get("completions"), before.get("completions")
    if new == old:
        return NONE
    if after.get("completionMode") != "Indexed":
        return immutable("completions", new, old)
    if new is not None and new != after.get("parallelism"):
        return (invalid("completions", new, "can only be modified in tandem with spec.parallelism"),)
    return NONE


_job_counters = table(
    {f"status.{name}": nonnegative for name in ("active", "succeeded", "failed", "ready", "terminating")}
)
TERMINAL = ("Failed", "Complete", "FailureTarget")


def _is_true(obj: Object, kind: str) -> bool:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == kind and c.get("status") == "True" for c in conditions)


CONTRADICTIONS = (
    ("Complete", "Failed", "cannot set Complete=True and Failed=true conditions"),
    ("Complete", "FailureTarget", "cannot set Complete=True and FailureTarget=true conditions"),
    ("SuccessCriteriaMet", "Failed", "cannot set SuccessCriteriaMet=True and Failed=true conditions"),
    ("SuccessCriteriaMet", "FailureTarget", "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"),
)
NEEDED = (
    ("Failed", "FailureTarget", "cannot set Failed=True condition without the FailureTarget=true condition"),
    (
        "Complete",
        "SuccessCriteriaMet",
        "cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
    ),
)


def job_status(new: Object, old: Object) -> Errors:
    status, before = new.get("status") or {}, old.get("status") or {}
    errors = [*_job_counters(new)]
    for one, other, told in CONTRADICTIONS:
        if _is_true(new, one) and _is_true(new, other):
            errors.append(invalid("status.conditions", OMITTED, told))
    for one, other, told in NEEDED:
        if _is_true(new, one) and not _is_true(old, one) and not _is_true(new, other):
            errors.append(invalid("status.conditions", OMITTED, told))
    errors += _completion_times(new, status, before)
    for kind in (*TERMINAL, "SuccessCriteriaMet"):
        if _is_true(old, kind) and not _is_true(new, kind):
            terminal = "terminal " if kind in TERMINAL else ""
            told = f"cannot disable the {terminal}{kind}=True condition"
            errors.append(invalid("status.conditions", OMITTED, told))
    for name in ("failed", "succeeded"):
        if (status.get(name) or 0) < (before.get(name) or 0):
            told = f"cannot decrease the {name} counter"
            errors.append(invalid(f"status.{name}", status.get(name) or 0, told))
    ready, active = status.get("ready"), status.get("active") or 0
    if ready is not None and ready > active:
        errors.append(invalid("status.ready", ready, "cannot set more ready pods than active"))
    return errors


def _completion_times(new: Object, status: Object, before: Object) -> Errors:
    errors: list[FieldError] = []
    complete, finished = _is_true(new, "Complete"), _is_true(new, "Complete") or _is_true(new, "Failed")
    done, started = status.get("completionTime"), status.get("startTime")
    if done is not None and not complete:
        told = "cannot set completionTime when there is no Complete=True condition"
        errors.append(invalid("status.completionTime", done, told))
    if done is None and complete:
        errors.append(required("status.completionTime", "completionTime is required for Complete jobs"))
    if done is not None and started is not None and done < started:
        errors.append(invalid("status.completionTime", done, "completionTime cannot be set before startTime"))
    if done is not None and before.get("completionTime") not in (None, done):
        errors.append(invalid("status.completionTime", done, "completionTime cannot be mutated"))
    if finished and started is None:
        errors.append(required("status.startTime", "startTime is required for finished job"))
    if finished and (status.get("active") or 0) > 0:
        errors.append(invalid("status.active", status["active"], "active>0 is invalid for finished job"))
    if finished and (status.get("terminating") or 0) > 0:
        errors.append(invalid("status.terminating", status["terminating"], "terminating>0 is invalid for finished job"))
    suspended = (new.get("spec") or {}).get("suspend")
    if before.get("startTime") is not None and started != before["startTime"] and not suspended:
        errors.append(required("status.startTime", "startTime cannot be removed for unsuspended job"))
    return errors
