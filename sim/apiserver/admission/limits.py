"""LimitRanger: defaults and bounds for the resources of containers, pods and claims.

Source: k8s.io/kubernetes/plugin/pkg/admission/limitranger.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from seatrial.sim.apiserver.context import Attributes, Context
from seatrial.sim.apiserver.request import Object
from seatrial.sim.machinery import errors
from seatrial.sim.machinery.quantity import Quantity, parse

ANNOTATION = "kubernetes.io/limit-ranger"
Amounts = Mapping[str, str]


def _ranges(context: Context, namespace: str) -> list[Mapping[str, Any]]:
    found = context.server.store.list("limitranges", namespace)
    return [item for limit_range in found for item in (limit_range.get("spec") or {}).get("limits") or ()]


def defaulted(context: Context, attributes: Attributes) -> Object:
    """The pod with the namespace's default requests and limits, and an annotation that says so."""
    obj = attributes.object
    assert obj is not None
    if attributes.operation != "CREATE":
        return obj
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    for item in _ranges(context, attributes.namespace):
        if item.get("type") == "Container":
            requests.update(item.get("defaultRequest") or {})
            limits.update(item.get("default") or {})
    if not requests and not limits:
        return obj
    spec = dict(obj["spec"])
    told: list[str] = []
    for key, word in (("initContainers", "init container"), ("containers", "container")):
        if spec.get(key):
            spec[key] = [_filled(container, requests, limits, word, told) for container in spec[key]]
    if not told:
        return obj
    metadata = obj["metadata"]
    annotations = {**(metadata.get("annotations") or {}), ANNOTATION: "LimitRanger plugin set: " + "; ".join(told)}
    return {**obj, "metadata": {**metadata, "annotations": annotations}, "spec": spec}


def _filled(container: Object, requests: Amounts, limits: Amounts, word: str, told: list[str]) -> Object:
    resources = dict(container.get("resources") or {})
    filled = False
    for key, wanted in (("requests", requests), ("limits", limits)):
        given = resources.get(key) or {}
        missing = {name: amount for name, amount in wanted.items() if name not in given}
        if missing:
            resources[key] = {**given, **missing}
            filled = True
            told.append(f"{', '.join(sorted(missing))} {key[:-1]} for {word} {container['name']}")
    return {**container, "resources": resources} if filled else container


def check(context: Context, attributes: Attributes) -> None:
    """Raises ApiError 403 that names every bound the object breaks."""
    obj = attributes.object
    assert obj is not None
    problems: list[str] = []
    for item in _ranges(context, attributes.namespace):
        for requests, limits in _subjects(attributes.resource.storage, item.get("type", ""), obj):
            problems += _problems(item, requests, limits)
    if problems:
        listed = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
        raise errors.forbidden(attributes.resource.group, attributes.resource.plural, attributes.name, listed)


def _subjects(storage: str, kind: str, obj: Object) -> Iterator[tuple[Amounts, Amounts]]:
    """(requests, limits) of everything in the object that a range of this type bounds."""
    spec = obj.get("spec") or {}
    if kind == "PersistentVolumeClaim" and storage == "persistentvolumeclaims":
        yield (spec.get("resources") or {}).get("requests") or {}, {}
    elif storage != "pods":
        return
    elif kind == "Container":
        for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
            resources = container.get("resources") or {}
            yield resources.get("requests") or {}, resources.get("limits") or {}
    elif kind == "Pod":
        yield _pod_total(spec, "requests"), _pod_total(spec, "limits")


def _pod_total(spec: Mapping[str, Any], key: str) -> dict[str, str]:
    """The sum over containers, or an init container's amount where that is more."""
    total: dict[str, Quantity] = {}
    for container in spec.get("containers") or ():
        for name, amount in ((container.get("resources") or {}).get(key) or {}).items():
            total[name] = total[name] + parse(amount) if name in total else parse(amount)
    for container in spec.get("initContainers") or ():
        for name, amount in ((container.get("resources") or {}).get(key) or {}).items():
            if name not in total or parse(amount) > total[name]:
                total[name] = parse(amount)
    return {name: str(amount) for name, amount in total.items()}


def _problems(item: Mapping[str, Any], requests: Amounts, limits: Amounts) -> Iterator[str]:
    kind = item.get("type", "")
    for name, bound in sorted((item.get("min") or {}).items()):
        yield from _minimum(kind, name, bound, requests.get(name), limits.get(name))
    for name, bound in sorted((item.get("max") or {}).items()):
        yield from _maximum(kind, name, bound, requests.get(name), limits.get(name))
    for name, bound in sorted((item.get("maxLimitRequestRatio") or {}).items()):
        yield from _ratio(kind, name, bound, requests.get(name), limits.get(name))


def _minimum(kind: str, name: str, bound: str, request: str | None, limit: str | None) -> Iterator[str]:
    if request is None:
        yield f"minimum {name} usage per {kind} is {bound}.  No request is specified"
    elif parse(request) < parse(bound):
        yield f"minimum {name} usage per {kind} is {bound}, but request is {request}"
    elif limit is not None and parse(limit) < parse(bound):
        yield f"minimum {name} usage per {kind} is {bound}, but limit is {limit}"


def _maximum(kind: str, name: str, bound: str, request: str | None, limit: str | None) -> Iterator[str]:
    if kind == "PersistentVolumeClaim":
        if request is not None and parse(request) > parse(bound):
            yield f"maximum {name} usage per {kind} is {bound}, but request is {request}"
    elif limit is None:
        yield f"maximum {name} usage per {kind} is {bound}.  No limit is specified"
    elif parse(limit) > parse(bound):
        yield f"maximum {name} usage per {kind} is {bound}, but limit is {limit}"
    elif request is not None and parse(request) > parse(bound):
        yield f"maximum {name} usage per {kind} is {bound}, but request is {request}"


def _ratio(kind: str, name: str, bound: str, request: str | None, limit: str | None) -> Iterator[str]:
    if request is None:
        yield f"{name} max limit to request ratio per {kind} is {bound}, but no request is specified or request is 0"
        return
    if limit is None:
        yield f"{name} max limit to request ratio per {kind} is {bound}, but no limit is specified or limit is 0"
        return
    ratio = parse(limit).milli_value() / max(parse(request).milli_value(), 1)
    if ratio > parse(bound).milli_value() / 1000:
        yield f"{name} max limit to request ratio per {kind} is {bound}, but provided ratio is {ratio:f}"
