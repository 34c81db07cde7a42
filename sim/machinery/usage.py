"""What an object uses of its namespace's quota.

Source: k8s.io/kubernetes/pkg/quota/v1/evaluator/core and k8s.io/apiserver/pkg/quota/v1/generic.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from seatrial.sim.machinery.kinds import Resource
from seatrial.sim.machinery.pods import qos_class
from seatrial.sim.machinery.quantity import Quantity, parse

Object = Mapping[str, Any]
Figures = dict[str, Quantity]

COUNTED_BY_NAME = frozenset(
    {"pods", "services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps", "persistentvolumeclaims"}
)
"""Kinds whose bare plural is a quota name beside count/…."""
COMPUTE = ("cpu", "memory", "ephemeral-storage")
STORAGE_CLASS_SUFFIX = ".storageclass.storage.k8s.io/"


def usage(resource: Resource, obj: Object) -> Figures:
    """Every quota name that the object counts for, and how much."""
    one = parse("1")
    storage = resource.storage
    figures: Figures = {f"count/{storage}": one}
    if storage == "pods":
        if (obj.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            return figures
        figures["pods"] = one
        figures.update(_pod_compute(obj["spec"]))
    elif storage == "services":
        figures["services"] = one
        figures.update(_service_ports(obj["spec"]))
    elif storage == "persistentvolumeclaims":
        figures.update(_claim(obj))
    elif storage in COUNTED_BY_NAME:
        figures[storage] = one
    return figures


def pod_amounts(spec: Object, key: str) -> Figures:
    """A pod's effective ``requests`` or ``limits``: the sum over its containers and sidecars, at least what any init
    container needs while it runs, plus overhead (k8s.io/component-helpers/resource.PodRequests)."""
    total: Figures = {}
    for container in spec.get("containers") or ():
        _add(total, _amounts(container, key))
    sidecars: Figures = {}
    highest: Figures = {}
    for container in spec.get("initContainers") or ():
        needed = dict(_amounts(container, key))
        if container.get("restartPolicy") == "Always":
            _add(total, needed)
            _add(sidecars, needed)
            needed = dict(sidecars)
        else:
            _add(needed, sidecars)
        for name, amount in needed.items():
            if name not in highest or amount > highest[name]:
                highest[name] = amount
    for name, amount in highest.items():
        if name not in total or amount > total[name]:
            total[name] = amount
    for name, amount in _amounts(spec, key).items():
        total[name] = amount
    overhead = {name: parse(text) for name, text in (spec.get("overhead") or {}).items()}
    if key == "requests":
        _add(total, overhead)
    else:
        _add(total, {name: amount for name, amount in overhead.items() if name in total})
    return total


def _amounts(holder: Object, key: str) -> Figures:
    given = (holder.get("resources") or {}).get(key) or {}
    return {name: parse(text) for name, text in given.items()}


def _add(total: Figures, more: Mapping[str, Quantity]) -> None:
    for name, amount in more.items():
        total[name] = total[name] + amount if name in total else amount


def _pod_compute(spec: Object) -> Figures:
    figures: Figures = {}
    for name, amount in pod_amounts(spec, "requests").items():
        figures[f"requests.{name}"] = amount
        if name in COMPUTE or name.startswith("hugepages-"):
            figures[name] = amount
    for name, amount in pod_amounts(spec, "limits").items():
        if name in COMPUTE:
            figures[f"limits.{name}"] = amount
    return figures


def _service_ports(spec: Object) -> Figures:
    ports = len(spec.get("ports") or ())
    kind = spec.get("type")
    figures = {"services.nodeports": parse("0"), "services.loadbalancers": parse("0")}
    if kind == "LoadBalancer":
        figures["services.loadbalancers"] = parse("1")
        if spec.get("allocateLoadBalancerNodePorts") is not False:
            figures["services.nodeports"] = parse(str(ports))
    elif kind == "NodePort":
        figures["services.nodeports"] = parse(str(ports))
    return figures


def _claim(obj: Object) -> Figures:
    spec = obj["spec"]
    one = parse("1")
    asked = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    figures: Figures = {"persistentvolumeclaims": one}
    name = spec.get("storageClassName") or ""
    if name:
        figures[f"{name}{STORAGE_CLASS_SUFFIX}persistentvolumeclaims"] = one
    if asked is not None:
        figures["requests.storage"] = parse(asked)
        if name:
            figures[f"{name}{STORAGE_CLASS_SUFFIX}requests.storage"] = parse(asked)
    return figures


def covers(quota: Object, resource: Resource, obj: Object) -> bool:
    """Whether the quota's scopes select the object; scopes select pods (and claims by class) only."""
    spec = quota.get("spec") or {}
    terms = list(_terms(spec))
    if not terms:
        return True
    if resource.storage != "pods":
        return False
    return all(_scope_matches(term, obj) for term in terms)


def _terms(spec: Object) -> Iterator[Mapping[str, Any]]:
    for scope in spec.get("scopes") or ():
        yield {"scopeName": scope, "operator": "Exists"}
    yield from (spec.get("scopeSelector") or {}).get("matchExpressions") or ()


def _scope_matches(term: Mapping[str, Any], pod: Object) -> bool:
    spec, scope = pod["spec"], term["scopeName"]
    if scope == "Terminating":
        return spec.get("activeDeadlineSeconds") is not None
    if scope == "NotTerminating":
        return spec.get("activeDeadlineSeconds") is None
    if scope == "BestEffort":
        return qos_class(spec) == "BestEffort"
    if scope == "NotBestEffort":
        return qos_class(spec) != "BestEffort"
    if scope == "CrossNamespacePodAffinity":
        return _crosses_namespaces(spec)
    if scope == "PriorityClass":
        return _class_matches(term, spec.get("priorityClassName") or "")
    return False


def _class_matches(term: Mapping[str, Any], name: str) -> bool:
    operator, values = term.get("operator"), term.get("values") or ()
    if operator == "In":
        return name in values
    if operator == "NotIn":
        return name not in values
    return bool(name) == (operator == "Exists")


def _crosses_namespaces(spec: Object) -> bool:
    affinity = spec.get("affinity") or {}
    for side in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(side) or {}
        terms = list(rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        terms += [w["podAffinityTerm"] for w in rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()]
        if any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms):
            return True
    return False
