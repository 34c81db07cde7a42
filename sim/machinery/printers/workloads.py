"""What runs pods: deployments and replica sets to jobs, and what scales and guards them."""

from __future__ import annotations

from typing import Any

from seatrial.sim.machinery.durations import between, human, since
from seatrial.sim.machinery.printers.cells import (
    NONE,
    UNKNOWN,
    UNSET,
    Cells,
    Object,
    age,
    containers,
    deleting,
    holds,
    labels,
    listed,
    name_of,
    part,
)
from seatrial.sim.machinery.selectors import text_of

METRICS_SHOWN = 2


def _template(obj: Object) -> Cells:
    return containers(part(obj, "spec", "template", "spec"))


def deployment(obj: Object, now_us: int) -> Cells:
    spec, status = obj["spec"], part(obj, "status")
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}"
    counts = [ready, status.get("updatedReplicas", 0), status.get("availableReplicas", 0)]
    selector = text_of(spec.get("selector"))
    return [name_of(obj), *counts, age(obj, now_us), *_template(obj), "" if selector == NONE else selector]


def _replicas(obj: Object, now_us: int) -> Cells:
    status = part(obj, "status")
    counts = [obj["spec"].get("replicas", 0), status.get("replicas", 0), status.get("readyReplicas", 0)]
    return [name_of(obj), *counts, age(obj, now_us), *_template(obj)]


def replica_set(obj: Object, now_us: int) -> Cells:
    return [*_replicas(obj, now_us), text_of(obj["spec"].get("selector"))]


def replication_controller(obj: Object, now_us: int) -> Cells:
    return [*_replicas(obj, now_us), labels(obj["spec"].get("selector"))]


def stateful_set(obj: Object, now_us: int) -> Cells:
    ready = f"{part(obj, 'status').get('readyReplicas', 0)}/{obj['spec'].get('replicas', 0)}"
    return [name_of(obj), ready, age(obj, now_us), *_template(obj)]


DAEMONS = (
    "desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled", "numberAvailable",
)  # fmt: skip


def daemon_set(obj: Object, now_us: int) -> Cells:
    status = part(obj, "status")
    nodes = labels(part(obj, "spec", "template", "spec").get("nodeSelector"))
    counts = [status.get(field, 0) for field in DAEMONS]
    selector = text_of(obj["spec"].get("selector"))
    return [name_of(obj), *counts, nodes, age(obj, now_us), *_template(obj), selector]


def controller_revision(obj: Object, now_us: int) -> Cells:
    owners = [each for each in obj["metadata"].get("ownerReferences") or () if each.get("controller")]
    controller = NONE
    if owners:
        group = owners[0]["apiVersion"].rpartition("/")[0]
        kind = owners[0]["kind"].lower()
        controller = f"{kind}.{group}/{owners[0]['name']}" if group else f"{kind}/{owners[0]['name']}"
    return [name_of(obj), controller, obj.get("revision", 0), age(obj, now_us)]


JOB_STATES = (
    ("Suspended", "Suspended"),
    ("FailureTarget", "FailureTarget"),
    ("SuccessCriteriaMet", "SuccessCriteriaMet"),
)


def _job_state(obj: Object) -> str:
    if holds(obj, "Complete"):
        return "Complete"
    if holds(obj, "Failed"):
        return "Failed"
    if deleting(obj):
        return "Terminating"
    return next((text for condition, text in JOB_STATES if holds(obj, condition)), "Running")


def job(obj: Object, now_us: int) -> Cells:
    spec, status = obj["spec"], part(obj, "status")
    succeeded, parallelism = status.get("succeeded", 0), spec.get("parallelism") or 0
    if spec.get("completions") is not None:
        completions = f"{succeeded}/{spec['completions']}"
    else:
        completions = f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"
    start, end = status.get("startTime"), status.get("completionTime")
    duration = "" if not start else between(start, end) if end else since(start, now_us)
    cells = [name_of(obj), _job_state(obj), completions, duration, age(obj, now_us)]
    return [*cells, *_template(obj), text_of(spec.get("selector"))]


def cron_job(obj: Object, now_us: int) -> Cells:
    spec, status = obj["spec"], part(obj, "status")
    last = status.get("lastScheduleTime")
    suspend = spec.get("suspend")
    cells = [
        name_of(obj),
        spec.get("schedule", ""),
        spec.get("timeZone") or NONE,
        UNSET if suspend is None else str(suspend),
        len(status.get("active") or ()),
        since(last, now_us) if last else NONE,
        age(obj, now_us),
    ]
    template = part(spec, "jobTemplate", "spec")
    return [*cells, *containers(part(template, "template", "spec")), text_of(template.get("selector"))]


def horizontal_pod_autoscaler(obj: Object, now_us: int) -> Cells:
    spec, status = obj["spec"], part(obj, "status")
    target = spec.get("scaleTargetRef") or {}
    minimum = spec.get("minReplicas")
    return [
        name_of(obj),
        f"{target.get('kind', '')}/{target.get('name', '')}",
        _targets(spec.get("metrics") or (), status.get("currentMetrics") or ()),
        UNSET if minimum is None else str(minimum),
        spec.get("maxReplicas", 0),
        status.get("currentReplicas", 0),
        age(obj, now_us),
    ]


SOURCES = {
    "External": "external", "Pods": "pods", "Object": "object", "Resource": "resource",
    "ContainerResource": "containerResource",
}  # fmt: skip


def _targets(metrics: Any, currents: Any) -> str:
    if not metrics:
        return NONE
    texts = [_target(metric, currents[place] if place < len(currents) else {}) for place, metric in enumerate(metrics)]
    return listed(texts, METRICS_SHOWN, len(texts), ", ")


def _target(metric: Object, current: Object) -> str:
    """One metric as ``current/target``."""
    source = SOURCES.get(metric.get("type", ""))
    if source is None:
        return "<unknown type>"
    wanted, found = part(metric, source, "target"), part(current, source, "current")
    average = wanted.get("averageValue")
    if source in ("resource", "containerResource"):
        name = part(metric, source).get("name", "")
        if average is not None:
            return f"{name}: {found.get('averageValue', UNKNOWN)}/{average}"
        have, want = found.get("averageUtilization"), wanted.get("averageUtilization")
        return f"{name}: {UNKNOWN if have is None else f'{have}%'}/{'<auto>' if want is None else f'{want}%'}"
    if source == "pods":
        return f"{found.get('averageValue', UNKNOWN)}/{average}"
    if average is not None:
        return f"{found.get('averageValue', UNKNOWN)}/{average} (avg)"
    return f"{found.get('value', UNKNOWN)}/{wanted.get('value', '')}"


def pod_disruption_budget(obj: Object, now_us: int) -> Cells:
    spec = part(obj, "spec")
    bounds = [
        str(spec[field]) if spec.get(field) is not None else "N/A" for field in ("minAvailable", "maxUnavailable")
    ]
    return [name_of(obj), *bounds, part(obj, "status").get("disruptionsAllowed", 0), age(obj, now_us)]


def scale(obj: Object, now_us: int) -> Cells:
    counts = [part(obj, "spec").get("replicas", 0), part(obj, "status").get("replicas", 0)]
    return [name_of(obj), *counts, age(obj, now_us)]


def lifetime(seconds: int | None) -> str:
    """A requested duration."""
    return NONE if seconds is None else human(seconds)
