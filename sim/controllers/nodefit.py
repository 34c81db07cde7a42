"""Whether a pod may be on a node: selectors, affinity and taints, as controllers ask it.

Source: k8s.io/component-helpers/scheduling/corev1 (helpers.go, nodeaffinity/nodeaffinity.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from seatrial.sim.apiserver.request import Object

Taint = Mapping[str, Any]
Toleration = Mapping[str, Any]


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """Toleration.ToleratesTaint."""
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    operator = toleration.get("operator") or "Equal"
    if operator == "Exists":
        return True
    same: bool = toleration.get("value", "") == taint.get("value", "")
    return operator == "Equal" and bool(toleration.get("key")) and same


def untolerated(taints: Iterable[Taint], tolerations: Sequence[Toleration], effects: Sequence[str]) -> Taint | None:
    """The first taint of one of these effects that no toleration covers."""
    for taint in taints:
        if taint["effect"] in effects and not any(tolerates(each, taint) for each in tolerations):
            return taint
    return None


def affinity_matches(spec: Mapping[str, Any], node: Object) -> bool:
    """nodeSelector and the required node affinity (RequiredNodeAffinity.Match)."""
    labels = node["metadata"].get("labels") or {}
    wanted = spec.get("nodeSelector") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    return selector_matches(required, node)


def selector_matches(selector: Mapping[str, Any], node: Object) -> bool:
    """A NodeSelector: one of its terms has to match; a term without requirements matches nothing."""
    labels = node["metadata"].get("labels") or {}
    fields = {"metadata.name": node["metadata"]["name"]}
    for term in selector.get("nodeSelectorTerms") or ():
        expressions, on_fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
        if (expressions or on_fields) and all(
            [*(_meets(each, labels) for each in expressions), *(_meets(each, fields) for each in on_fields)]
        ):
            return True
    return False


def _meets(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    operator = requirement["operator"]
    values: Sequence[str] = requirement.get("values") or ()
    found = labels.get(requirement["key"])
    if operator == "In":
        return found in values
    if operator == "NotIn":
        return found is None or found not in values
    if operator == "Exists":
        return found is not None
    if operator == "DoesNotExist":
        return found is None
    try:
        ours, limit = int(found or ""), int(values[0])
    except (ValueError, IndexError):
        return False
    return ours > limit if operator == "Gt" else ours < limit


def is_node_ready(node: Object) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
