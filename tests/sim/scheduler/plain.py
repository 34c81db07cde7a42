"""A slow scheduler: one node after the other, straight from the objects, with nothing remembered between questions.

It answers what the default plug-ins say of a pod and every node, and is what the columns are compared with.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Object = Mapping[str, Any]
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
HOSTNAME = "kubernetes.io/hostname"
WEIGHTS = {"TaintToleration": 3, "NodeAffinity": 2, "PodTopologySpread": 2, "InterPodAffinity": 2}


@dataclass
class PlainCluster:
    """Nodes by name, pods by uid with the node they are on, labels of namespaces."""

    nodes: dict[str, Object] = field(default_factory=dict)
    pods: dict[str, tuple[Object, str]] = field(default_factory=dict)
    namespaces: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def on(self, name: str) -> list[Object]:
        return [pod for pod, node in self.pods.values() if node == name]

    def placed(self) -> list[tuple[Object, Object]]:
        """(pod, node) of pods whose node exists."""
        return [(pod, self.nodes[node]) for pod, node in self.pods.values() if node in self.nodes]


# amounts: tests write whole CPUs in milli and memory in bytes


def requests(pod: Object, defaults: Mapping[str, int] | None = None) -> dict[str, int]:
    total: dict[str, int] = {}
    for container in pod["spec"].get("containers") or ():
        for name, units in _asked(container, defaults).items():
            total[name] = total.get(name, 0) + units
    for container in pod["spec"].get("initContainers") or ():
        for name, units in _asked(container, defaults).items():
            total[name] = max(total.get(name, 0), units)
    return total


def _asked(container: Object, defaults: Mapping[str, int] | None) -> dict[str, int]:
    given = (container.get("resources") or {}).get("requests") or {}
    return {**(defaults or {}), **{name: number(name, text) for name, text in given.items()}}


def number(name: str, text: str) -> int:
    """``250m`` of CPU is 250; other resources are written as whole numbers or with Mi."""
    if name == "cpu":
        return int(text[:-1]) if text.endswith("m") else int(text) * 1000
    return int(text[:-2]) << 20 if text.endswith("Mi") else int(text)


# selectors


def selects(selector: Object | None, labels: Mapping[str, str]) -> bool:
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(holds(r, labels.get(r["key"])) for r in selector.get("matchExpressions") or ())


def holds(r: Object, value: str | None) -> bool:
    match r["operator"]:
        case "In":
            return value in r["values"]
        case "NotIn":
            return value not in r["values"]
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt":
            return value is not None and value.isdecimal() and int(value) > int(r["values"][0])
        case "Lt":
            return value is not None and value.isdecimal() and int(value) < int(r["values"][0])
    raise ValueError(r["operator"])


def labels_of(obj: Object) -> Mapping[str, str]:
    return obj["metadata"].get("labels") or {}


def namespace_of(pod: Object) -> str:
    return str(pod["metadata"]["namespace"])


def required_node(pod: Object, node: Object) -> bool:
    labels = labels_of(node)
    if any(labels.get(key) != value for key, value in (pod["spec"].get("nodeSelector") or {}).items()):
        return False
    required = _rules(pod, "nodeAffinity").get(REQUIRED)
    return required is None or any(_term_holds(term, labels) for term in required["nodeSelectorTerms"])


def _term_holds(term: Object, labels: Mapping[str, str]) -> bool:
    expressions = term.get("matchExpressions") or ()
    return bool(expressions) and all(holds(r, labels.get(r["key"])) for r in expressions)


def _rules(pod: Object, kind: str) -> Object:
    return (pod["spec"].get("affinity") or {}).get(kind) or {}


def tolerated(pod: Object, taint: Object) -> bool:
    for toleration in pod["spec"].get("tolerations") or ():
        if toleration.get("effect") and toleration["effect"] != taint["effect"]:
            continue
        if toleration.get("key") and toleration["key"] != taint["key"]:
            continue
        if toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", ""):
            return True
    return False


def term_selects(cluster: PlainCluster, owner: Object, term: Object, other: Object) -> bool:
    """Whether a pod's affinity term means another pod."""
    named, selector = term.get("namespaces") or [], term.get("namespaceSelector")
    if not named and selector is None:
        named = [namespace_of(owner)]
    where = namespace_of(other)
    if where not in named and not (selector is not None and selects(selector, cluster.namespaces.get(where, {}))):
        return False
    return selects(term.get("labelSelector"), labels_of(other))


# filters, in the default order: (plug-in, reasons, whether preemption could help) or None


def rejection(cluster: PlainCluster, pod: Object, node: Object) -> tuple[str, list[str]] | None:
    """The first plug-in that turns the node down, and why."""
    for name, judge in FILTERS:
        reasons = judge(cluster, pod, node)
        if reasons:
            return name, reasons
    return None


def cordoned(cluster: PlainCluster, pod: Object, node: Object) -> list[str]:
    taint = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    if node["spec"].get("unschedulable") and not tolerated(pod, taint):
        return ["node(s) were unschedulable"]
    return []


def tainted(cluster: PlainCluster, pod: Object, node: Object) -> list[str]:
    hard = [t for t in node["spec"].get("taints") or () if t["effect"] != "PreferNoSchedule"]
    return [] if all(tolerated(pod, t) for t in hard) else ["node(s) had untolerated taint(s)"]


def elsewhere(cluster: PlainCluster, pod: Object, node: Object) -> list[str]:
    return [] if required_node(pod, node) else ["node(s) didn't match Pod's node affinity/selector"]


def ports_of(pod: Object) -> list[tuple[str, str, int]]:
    return [
        (port.get("hostIP") or "0.0.0.0", port.get("protocol") or "TCP", port["hostPort"])
        for container in pod["spec"].get("containers") or ()
        for port in container.get("ports") or ()
        if port.get("hostPort")
    ]


def port_taken(cluster: PlainCluster, pod: Object, node: Object) -> list[str]:
    for other in cluster.on(node["metadata"]["name"]):
        for ip, protocol, port in ports_of(pod):
            for used_ip, used_protocol, used in ports_of(other):
                if (protocol, port) == (used_protocol, used) and (ip == used_ip or "0.0.0.0" in (ip, used_ip)):
                    return ["node(s) didn't have free ports for the requested pod ports"]
    return []


def no_room(cluster: PlainCluster, pod: Object, node: Object) -> list[str]:
    there = cluster.on(node["metadata"]["name"])
    allocatable = node["status"]["allocatable"]
    reasons = ["Too many pods"] if len(there) >= int(allocatable["pods"]) else []
    for name, units in requests(pod).items():
        used = sum(requests(other).get(name, 0) for other in there)
        if units and units > number(name, allocatable.get(name, "0")) - used:
            reasons.append(f"Insufficient {name}")
    return reasons


def constraints_of(pod: Object, when: str) -> list[Object]:
    return [c for c in pod["spec"].get("topologySpreadConstraints") or () if c["whenUnsatisfiable"] == when]


def counted(cluster: PlainCluster, pod: Object, constraint: Object, everything: list[Object], node: Object) -> bool:
    """Whether the pods of a node count for a constraint."""
    if not all(c["topologyKey"] in labels_of(node) for c in everything):
        return False
    if constraint.get("nodeAffinityPolicy", "Honor") == "Honor" and not required_node(pod, node):
        return False
    return constraint.get("nodeTaintsPolicy", "Ignore") == "Ignore" or not tainted(cluster, pod, node)


def matching(cluster: PlainCluster, pod: Object, constraint: Object, node: Object) -> int:
    return sum(
        namespace_of(other) == namespace_of(pod)
        and not other["metadata"].get("deletionTimestamp")
        and selects(constraint.get("labelSelector"), labels_of(other))
        for other in cluster.on(node["metadata"]["name"])
    )


def skewed(cluster: PlainCluster, pod: Object, node: Object) -> list[str]:
    constraints = constraints_of(pod, "DoNotSchedule")
    text = "node(s) didn't match pod topology spread constraints"
    for constraint in constraints:
        key = constraint["topologyKey"]
        if key not in labels_of(node):
            return [f"{text} (missing required label)"]
        domains: dict[str, int] = {}
        for other in cluster.nodes.values():
            if counted(cluster, pod, constraint, constraints, other):
                value = labels_of(other)[key]
                domains[value] = domains.get(value, 0) + matching(cluster, pod, constraint, other)
        least = min(domains.values(), default=10**9)
        if len(domains) < constraint.get("minDomains", 1):
            least = 0
        own = int(selects(constraint.get("labelSelector"), labels_of(pod)))
        if domains.get(labels_of(node)[key], 0) + own - least > constraint["maxSkew"]:
            return [text]
    return []


def apart(cluster: PlainCluster, pod: Object, node: Object) -> list[str]:
    def near(key: str, other: Object) -> bool:
        return key in labels_of(node) and labels_of(other).get(key) == labels_of(node)[key]

    terms = _rules(pod, "podAffinity").get(REQUIRED) or []
    friends = [
        (other, where) for other, where in cluster.placed() if all(term_selects(cluster, pod, t, other) for t in terms)
    ]
    if terms:
        keyed = any(t["topologyKey"] in labels_of(where) for _, where in friends for t in terms)
        met = all(any(near(t["topologyKey"], where) for _, where in friends) for t in terms)
        labelled = all(t["topologyKey"] in labels_of(node) for t in terms)
        first = not keyed and all(term_selects(cluster, pod, t, pod) for t in terms)
        if not labelled or not (met or first):
            return ["node(s) didn't match pod affinity rules"]
    for term in _rules(pod, "podAntiAffinity").get(REQUIRED) or ():
        if any(term_selects(cluster, pod, term, o) and near(term["topologyKey"], w) for o, w in cluster.placed()):
            return ["node(s) didn't match pod anti-affinity rules"]
    for other, where in cluster.placed():
        for term in _rules(other, "podAntiAffinity").get(REQUIRED) or ():
            if term_selects(cluster, other, term, pod) and near(term["topologyKey"], where):
                return ["node(s) didn't satisfy existing pods anti-affinity rules"]
    return []


FILTERS = (
    ("NodeUnschedulable", cordoned),
    ("TaintToleration", tainted),
    ("NodeAffinity", elsewhere),
    ("NodePorts", port_taken),
    ("NodeResourcesFit", no_room),
    ("PodTopologySpread", skewed),
    ("InterPodAffinity", apart),
)

# scores of the feasible nodes, weighted


def scores(cluster: PlainCluster, pod: Object, feasible: list[Object]) -> dict[str, dict[str, int]]:
    """Node -> plug-in -> weighted score."""
    found: dict[str, dict[str, int]] = {node["metadata"]["name"]: {} for node in feasible}
    for name, scorer in SCORES:
        values = scorer(cluster, pod, feasible)
        if values is None:
            continue
        for node, value in zip(feasible, values, strict=True):
            found[node["metadata"]["name"]][name] = value * WEIGHTS.get(name, 1)
    return found


def stretched(raw: Iterable[int], reverse: bool = False) -> list[int]:
    raw = list(raw)
    highest = max(raw, default=0)
    if not highest:
        return [100] * len(raw) if reverse else raw
    scaled = [value * 100 // highest for value in raw]
    return [100 - value for value in scaled] if reverse else scaled


def by_taints(cluster: PlainCluster, pod: Object, nodes: list[Object]) -> list[int]:
    soft = {"spec": {"tolerations": [
        t for t in pod["spec"].get("tolerations") or () if t.get("effect", "") in ("", "PreferNoSchedule")
    ]}}  # fmt: skip
    return stretched(
        (
            sum(t["effect"] == "PreferNoSchedule" and not tolerated(soft, t) for t in node["spec"].get("taints") or ())
            for node in nodes
        ),
        reverse=True,
    )


def by_affinity(cluster: PlainCluster, pod: Object, nodes: list[Object]) -> list[int] | None:
    preferred = _rules(pod, "nodeAffinity").get(PREFERRED) or []
    if not preferred:
        return None
    return stretched(
        sum(p["weight"] for p in preferred if _term_holds(p["preference"], labels_of(node))) for node in nodes
    )


def by_emptiness(cluster: PlainCluster, pod: Object, nodes: list[Object]) -> list[int]:
    defaults = {"cpu": 100, "memory": 200 << 20}
    found = []
    for node in nodes:
        shares = []
        for name in ("cpu", "memory"):
            there = [*cluster.on(node["metadata"]["name"]), pod]
            need = sum(requests(other, defaults).get(name, 0) for other in there)
            have = number(name, node["status"]["allocatable"][name])
            shares.append((have - need) * 100 // have if need <= have else 0)
        found.append(sum(shares) // 2)
    return found


def by_balance(cluster: PlainCluster, pod: Object, nodes: list[Object]) -> list[int] | None:
    if not any(requests(pod).get(name) for name in ("cpu", "memory")):
        return None

    def even(node: Object, pods: list[Object]) -> int:
        shares = []
        for name in ("cpu", "memory"):
            have = number(name, node["status"]["allocatable"][name])
            shares.append(min(sum(requests(other).get(name, 0) for other in pods) / have, 1.0))
        return int((1 - abs((shares[0] - shares[1]) / 2)) * 100)

    found = []
    for node in nodes:
        there = cluster.on(node["metadata"]["name"])
        found.append(50 + (50 + even(node, [*there, pod]) - even(node, there)) // 2)
    return found


def by_spread(cluster: PlainCluster, pod: Object, nodes: list[Object]) -> list[int] | None:
    constraints = constraints_of(pod, "ScheduleAnyway")
    if not constraints:
        return None
    scored = [node for node in nodes if all(c["topologyKey"] in labels_of(node) for c in constraints)]
    raw: dict[str, int] = {}
    for node in scored:
        total = 0.0
        for constraint in constraints:
            key = constraint["topologyKey"]
            if key == HOSTNAME:
                count, size = matching(cluster, pod, constraint, node), len(scored)
            else:
                same = [o for o in cluster.nodes.values() if labels_of(o).get(key) == labels_of(node)[key]]
                counting = [o for o in same if counted(cluster, pod, constraint, constraints, o)]
                count = sum(matching(cluster, pod, constraint, o) for o in counting)
                size = len({labels_of(o)[key] for o in scored})
            total += count * math.log(size + 2) + constraint["maxSkew"] - 1
        raw[node["metadata"]["name"]] = math.floor(total + 0.5)
    highest, lowest = max(raw.values(), default=0), min(raw.values(), default=0)
    found = []
    for node in nodes:
        value = raw.get(node["metadata"]["name"])
        if value is None:
            found.append(0)
        else:
            found.append(100 if not highest else 100 * (highest + lowest - value) // highest)
    return found


def by_company(cluster: PlainCluster, pod: Object, nodes: list[Object]) -> list[int] | None:
    pairs: dict[tuple[str, str], int] = {}

    def add(term: Object, weight: int, where: Object) -> None:
        key = term["topologyKey"]
        if key in labels_of(where):
            pair = (key, labels_of(where)[key])
            pairs[pair] = pairs.get(pair, 0) + weight

    for other, where in cluster.placed():
        for kind, sign in (("podAffinity", 1), ("podAntiAffinity", -1)):
            for item in _rules(pod, kind).get(PREFERRED) or ():
                if term_selects(cluster, pod, item["podAffinityTerm"], other):
                    add(item["podAffinityTerm"], sign * item["weight"], where)
            for item in _rules(other, kind).get(PREFERRED) or ():
                if term_selects(cluster, other, item["podAffinityTerm"], pod):
                    add(item["podAffinityTerm"], sign * item["weight"], where)
        for term in _rules(other, "podAffinity").get(REQUIRED) or ():
            if term_selects(cluster, other, term, pod):
                add(term, 1, where)
    if not pairs:
        return None
    raw = [sum(v for (key, value), v in pairs.items() if labels_of(n).get(key) == value) for n in nodes]
    lowest, highest = min(raw), max(raw)
    return [0 if lowest == highest else int(100 * ((v - lowest) / (highest - lowest))) for v in raw]


def by_images(cluster: PlainCluster, pod: Object, nodes: list[Object]) -> list[int]:
    def held(node: Object) -> dict[str, int]:
        images = node["status"].get("images") or ()
        return {name: image["sizeBytes"] for image in images for name in image["names"]}

    containers = [*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ())]
    least, most = 23 << 20, (1000 << 20) * len(containers)

    def of(node: Object) -> int:
        total = 0
        for container in containers:
            image = container["image"] if ":" in container["image"].split("/")[-1] else f"{container['image']}:latest"
            if image in held(node):
                holders = sum(image in held(other) for other in cluster.nodes.values())
                total += int(held(node)[image] * (holders / len(cluster.nodes)))
        return 100 * (min(max(total, least), most) - least) // (most - least)

    return [of(node) for node in nodes]


def indifferent(cluster: PlainCluster, pod: Object, nodes: list[Object]) -> list[int]:
    return [0] * len(nodes)


SCORES = (
    ("TaintToleration", by_taints),
    ("NodeAffinity", by_affinity),
    ("NodeResourcesFit", by_emptiness),
    ("VolumeBinding", indifferent),
    ("PodTopologySpread", by_spread),
    ("InterPodAffinity", by_company),
    ("DynamicResources", indifferent),
    ("NodeResourcesBalancedAllocation", by_balance),
    ("ImageLocality", by_images),
)
