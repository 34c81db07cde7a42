"""Priority: a pod's class becomes a number (k8s.io/kubernetes/plugin/pkg/admission/priority)."""

from __future__ import annotations

from seatrial.sim.apiserver.context import Attributes, Context
from seatrial.sim.apiserver.request import Object
from seatrial.sim.machinery import errors

CLASSES = "priorityclasses.scheduling.k8s.io"
LOWER = "PreemptLowerPriority"


def with_priority(context: Context, attributes: Attributes) -> Object:
    """Raises ApiError 403 for a class that is not there or a priority that contradicts it."""
    obj = attributes.object
    assert obj is not None
    spec = dict(obj["spec"])
    name = spec.get("priorityClassName")
    if name:
        found = context.server.store.get(CLASSES, "", name)
        if found is None:
            raise errors.forbidden("", "pods", attributes.name, f"no PriorityClass with name {name} was found")
    else:
        found = default_class(context)
        if found is not None:
            spec["priorityClassName"] = found["metadata"]["name"]
    value = found["value"] if found is not None else 0
    policy = (found.get("preemptionPolicy") if found is not None else None) or LOWER
    if spec.get("priority") is not None and spec["priority"] != value:
        why = (
            f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; "
            f"priority admission controller computed {value} from the given PriorityClass name"
        )
        raise errors.forbidden("", "pods", attributes.name, why)
    if spec.get("preemptionPolicy") is not None and spec["preemptionPolicy"] != policy:
        why = (
            f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) must not be provided in pod spec; "
            f"priority admission controller computed {policy} from the given PriorityClass name"
        )
        raise errors.forbidden("", "pods", attributes.name, why)
    spec["priority"], spec["preemptionPolicy"] = value, policy
    return {**obj, "spec": spec}


def default_class(context: Context) -> Object | None:
    """The global default; the one of lowest value when several claim it."""
    defaults = [found for found in context.server.store.list(CLASSES) if found.get("globalDefault")]
    return min(defaults, key=lambda found: found["value"]) if defaults else None


def check_class(context: Context, attributes: Attributes) -> None:
    """There is at most one global default. Raises ApiError 403."""
    new = attributes.object
    if new is None or not new.get("globalDefault"):
        return
    current = default_class(context)
    if current is not None and current["metadata"]["name"] != new["metadata"]["name"]:
        why = f"PriorityClass {current['metadata']['name']} is already marked as default. Only one default can exist"
        raise errors.forbidden(attributes.resource.group, attributes.resource.plural, attributes.name, why)
