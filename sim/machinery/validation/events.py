"""Events, as both API groups take them.

Source: k8s.io/kubernetes/pkg/apis/core/validation/events.go. Events are stored as core/v1 has them; who creates one
through events.k8s.io is held to stricter rules.
"""

from __future__ import annotations

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation.names import is_qualified_name
from seatrial.sim.machinery.validation.problems import NONE, Errors, Object, at, immutable, invalid, required

TEXT_MAX = 128
NOTE_BYTES_MAX = 1024


def _text(name: str, value: str) -> Errors:
    if not value:
        return (required(name),)
    return (invalid(name, value, f"can have at most {TEXT_MAX} characters"),) if len(value) > TEXT_MAX else NONE


def event(value: Object) -> Errors:
    """What every event must hold: it lies in the namespace of what it is about."""
    errors: list[FieldError] = []
    namespace = value["metadata"].get("namespace") or ""
    about = (value.get("involvedObject") or {}).get("namespace") or ""
    if about != namespace and not (not about and namespace == "default"):
        errors.append(invalid("involvedObject.namespace", about, "does not match event.namespace"))
    if value.get("eventTime"):
        errors += _reported(value)
    return errors


def _reported(value: Object) -> Errors:
    """What an event with a precise time says of who reports it."""
    errors: list[FieldError] = []
    controller = value.get("reportingComponent") or ""
    if not controller:
        errors.append(required("reportingController"))
    errors += at("reportingController", is_qualified_name(controller))
    errors += _text("reportingInstance", value.get("reportingInstance") or "")
    errors += _text("action", value.get("action") or "")
    errors += _text("reason", value.get("reason") or "")
    if len((value.get("message") or "").encode()) > NOTE_BYTES_MAX:
        errors.append(invalid("message", "", f"can have at most {NOTE_BYTES_MAX} bytes"))
    return errors


def strict_event(value: Object) -> Errors:
    """A new event of events.k8s.io/v1."""
    errors: list[FieldError] = [*event(value)]
    if not value.get("eventTime"):
        errors.append(required("eventTime"))
        errors += _reported(value)
    if (value.get("type") or "") not in ("Normal", "Warning"):
        errors.append(invalid("type", value.get("type") or "", "has invalid value: "))
    for name, shown in (("firstTimestamp", "deprecatedFirstTimestamp"), ("lastTimestamp", "deprecatedLastTimestamp")):
        if value.get(name):
            errors.append(invalid(shown, value[name], "needs to be unset"))
    if value.get("count"):
        errors.append(invalid("deprecatedCount", value["count"], "needs to be unset"))
    return errors


FIXED = (
    "involvedObject", "reason", "message", "source", "firstTimestamp", "lastTimestamp", "count", "eventTime", "action",
    "related", "reportingComponent", "reportingInstance", "type",
)  # fmt: skip
SHOWN = {
    "involvedObject": "regarding", "message": "note", "source": "deprecatedSource", "count": "deprecatedCount",
    "firstTimestamp": "deprecatedFirstTimestamp", "lastTimestamp": "deprecatedLastTimestamp",
    "reportingComponent": "reportingController",
}  # fmt: skip


def strict_event_update(new: Object, old: Object) -> Errors:
    """An event of events.k8s.io/v1 is what it is; only its series goes on."""
    errors: list[FieldError] = []
    for name in FIXED:
        errors += immutable(SHOWN.get(name, name), new.get(name), old.get(name))
    return errors
