"""Cells that many kinds share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from seatrial.sim.machinery.durations import since

Object = Mapping[str, Any]
Cells = list[Any]

NONE, UNSET, UNKNOWN = "<none>", "<unset>", "<unknown>"
EMPTY: Object = {}


def part(obj: Object, *path: str) -> Any:
    """What lies at a path; an empty object where something on the way is missing."""
    for key in path:
        obj = obj.get(key) or EMPTY
    return obj


def name_of(obj: Object) -> str:
    return str(obj["metadata"].get("name", ""))


def age(obj: Object, now_us: int) -> str:
    """How long ago the object was created."""
    return since(obj["metadata"].get("creationTimestamp"), now_us)


def created_at(obj: Object) -> str:
    """The time of creation itself, which some kinds show instead of an age."""
    return str(obj["metadata"].get("creationTimestamp") or "")


def deleting(obj: Object) -> bool:
    return "deletionTimestamp" in obj["metadata"]


def labels(found: Mapping[str, str] | None) -> str:
    """``a=1,b=2`` in order of keys, or ``<none>``."""
    return ",".join(f"{key}={found[key]}" for key in sorted(found)) if found else NONE


def listed(values: Iterable[str], limit: int, total: int, separator: str = ",") -> str:
    """The first few of many values, and how many more there are."""
    shown = list(values)[:limit]
    text = separator.join(shown)
    return f"{text} + {total - limit} more..." if total > limit else text


def containers(pod_spec: Object) -> Cells:
    """Names and images of a template's containers."""
    found = pod_spec.get("containers") or ()
    return [",".join(each.get("name", "") for each in found), ",".join(each.get("image", "") for each in found)]


def conditions(obj: Object) -> dict[str, Object]:
    """The conditions of a status by type."""
    return {each["type"]: each for each in part(obj, "status").get("conditions") or ()}


def holds(obj: Object, condition: str) -> bool:
    return any(
        each["type"] == condition and each.get("status") == "True"
        for each in part(obj, "status").get("conditions") or ()
    )


def addresses(status: Object) -> str:
    """Where a load balancer answers: addresses or host names, each once, in order."""
    found = [each.get("ip") or each.get("hostname") or "" for each in part(status, "loadBalancer").get("ingress") or ()]
    return ",".join(sorted(dict.fromkeys(each for each in found if each)))


def is_default_class(obj: Object, annotations: Sequence[str]) -> str:
    """The name of a class, marked when new claims get it."""
    given = obj["metadata"].get("annotations") or EMPTY
    default = any(given.get(each) == "true" for each in annotations)
    return f"{name_of(obj)} (default)" if default else name_of(obj)
