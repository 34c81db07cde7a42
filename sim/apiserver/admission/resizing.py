"""A pod cannot be resized beyond what its node could ever give.

What other pods hold does not count here: the kubelet defers a resize that has to wait for them. Source: the admission
of the resize subresource in k8s.io/kubernetes/plugin/pkg/admission. Only cpu and memory can be resized.
"""

from __future__ import annotations

from seatrial.sim.apiserver.context import Attributes, Context
from seatrial.sim.machinery import errors
from seatrial.sim.machinery.quantity import parse
from seatrial.sim.machinery.usage import pod_amounts


def check(context: Context, attributes: Attributes) -> None:
    """Raises ApiError 403."""
    obj = attributes.object
    if attributes.subresource != "resize" or obj is None:
        return
    node = context.server.store.get("nodes", "", obj["spec"].get("nodeName") or "")
    if node is None:
        return
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    wanted = pod_amounts(obj["spec"], "requests")
    for name in ("cpu", "memory"):
        if name not in wanted or name not in allocatable:
            continue
        asked, given = wanted[name], parse(allocatable[name])
        if asked > given:
            more, less = (each.milli_value() if name == "cpu" else each.value() for each in (asked, given))
            why = f"node didn't have enough allocatable resources: {name}, requested: {more}, allocatable: {less}"
            raise errors.forbidden("", "pods", attributes.name, why)
