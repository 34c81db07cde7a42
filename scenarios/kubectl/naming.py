"""The name and metadata that ``kubectl create TYPE NAME`` and ``run`` give to what they make."""

from __future__ import annotations

from typing import Any

from seatrial.scenarios.kubectl.call import Call

Object = dict[str, Any]


def meta(call: Call, name: str, **more: Any) -> Object:
    """Metadata; the namespace is named when it was asked for."""
    found: Object = {"name": name, **more}
    if call.explicit_namespace:
        found["namespace"] = call.namespace
    return found


def name_of(call: Call) -> str:
    """The one NAME. Raises Failure."""
    args = call.own_args
    if len(args) != 1:
        raise call.misused(f"exactly one NAME is required, got {len(args)}")
    return args[0]
