"""Hypothesis strategies: small clusters, pods that want all sorts of things, and what may happen to them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
KEYS = (ZONE, HOSTNAME, "rack")
IMAGES = {"nginx:latest": 60 << 20, "mysql:8": 600 << 20, "example.com:5000/huge:1": 3000 << 20}
"""Image -> bytes."""
LABELS = st.dictionaries(st.sampled_from(("app", "tier")), st.sampled_from(("a", "b")), max_size=2)
SELECTORS = st.one_of(
    st.builds(lambda labels: {"matchLabels": labels}, LABELS),
    st.builds(
        lambda key, operator, values: {
            "matchExpressions": [
                {"key": key, "operator": operator, **({"values": values} if operator in ("In", "NotIn") else {})}
            ]
        },
        st.sampled_from(("app", "tier")),
        st.sampled_from(("In", "NotIn", "Exists", "DoesNotExist")),
        st.lists(st.sampled_from(("a", "b")), min_size=1, max_size=2, unique=True),
    ),
)
TAINTS = st.lists(
    st.builds(
        lambda key, value, effect: {"key": key, "value": value, "effect": effect},
        st.sampled_from(("dedicated", "gpu")),
        st.sampled_from(("x", "y")),
        st.sampled_from(("NoSchedule", "PreferNoSchedule", "NoExecute")),
    ),
    max_size=2,
)
TOLERATIONS = st.lists(
    st.one_of(
        st.just({"operator": "Exists"}),
        st.builds(lambda key: {"key": key, "operator": "Exists"}, st.sampled_from(("dedicated", "gpu"))),
        st.builds(
            lambda key, value, effect: {"key": key, "value": value, "effect": effect},
            st.sampled_from(("dedicated", "gpu")),
            st.sampled_from(("x", "y")),
            st.sampled_from(("NoSchedule", "PreferNoSchedule")),
        ),
    ),
    max_size=2,
)


@st.composite
def nodes(draw: st.DrawFn, name: str) -> dict[str, Any]:
    labels = {HOSTNAME: name}
    for key, values in ((ZONE, ("z1", "z2", "z3")), ("rack", ("1", "2", "10"))):
        value = draw(st.sampled_from((*values, None)))
        if value is not None:
            labels[key] = value
    spec: dict[str, Any] = {"taints": draw(TAINTS)} if draw(st.integers(0, 3)) == 0 else {}
    if draw(st.integers(0, 7)) == 0:
        spec["unschedulable"] = True
    allocatable = {
        "cpu": draw(st.sampled_from(("1", "2", "4"))),
        "memory": draw(st.sampled_from(("1024Mi", "4096Mi"))),
        "pods": draw(st.sampled_from(("2", "5", "110"))),
    }
    if draw(st.booleans()):
        allocatable["example.com/gpu"] = "2"
    status: dict[str, Any] = {"allocatable": allocatable}
    held = draw(st.lists(st.sampled_from(sorted(IMAGES)), max_size=3, unique=True))
    if held:
        status["images"] = [{"names": [image], "sizeBytes": IMAGES[image]} for image in held]
    return {"metadata": {"name": name, "labels": labels}, "spec": spec, "status": status}


CONTAINERS = st.builds(
    lambda cpu, memory, gpu, port, image: {
        "name": "c",
        "image": image,
        "resources": {
            "requests": {
                key: value
                for key, value in (("cpu", cpu), ("memory", memory), ("example.com/gpu", gpu))
                if value is not None
            }
        },
        **({"ports": [{"hostPort": port}]} if port else {}),
    },
    st.sampled_from((None, "100m", "500m", "1")),
    st.sampled_from((None, "128Mi", "512Mi")),
    st.sampled_from((None, None, None, "1")),
    st.sampled_from((None, None, None, 80, 81)),
    st.sampled_from(("nginx", "mysql:8", "example.com:5000/huge:1", "unknown")),
)
EXPRESSIONS = st.one_of(
    st.builds(
        lambda key, operator, values: {"key": key, "operator": operator, "values": values},
        st.sampled_from((ZONE, "rack")),
        st.sampled_from(("In", "NotIn")),
        st.lists(st.sampled_from(("z1", "z2", "1", "10")), min_size=1, max_size=2, unique=True),
    ),
    st.builds(
        lambda key, operator: {"key": key, "operator": operator},
        st.sampled_from((ZONE, "rack")),
        st.sampled_from(("Exists", "DoesNotExist")),
    ),
    st.builds(
        lambda operator, value: {"key": "rack", "operator": operator, "values": [value]},
        st.sampled_from(("Gt", "Lt")),
        st.sampled_from(("1", "2", "5")),
    ),
)
NODE_TERMS = st.builds(lambda items: {"matchExpressions": items}, st.lists(EXPRESSIONS, max_size=2))
POD_TERMS = st.builds(
    lambda selector, key, namespaces, namespace_selector: {
        "labelSelector": selector,
        "topologyKey": key,
        **({"namespaces": namespaces} if namespaces else {}),
        **({"namespaceSelector": namespace_selector} if namespace_selector is not None else {}),
    },
    st.one_of(SELECTORS, st.none()),
    st.sampled_from(KEYS),
    st.sampled_from(([], [], ["one"], ["one", "two"])),
    st.sampled_from((None, None, {}, {"matchLabels": {"team": "a"}})),
)
CONSTRAINTS = st.builds(
    lambda skew, key, when, selector, affinity, taints, domains: {
        "maxSkew": skew,
        "topologyKey": key,
        "whenUnsatisfiable": when,
        "labelSelector": selector,
        "nodeAffinityPolicy": affinity,
        "nodeTaintsPolicy": taints,
        **({"minDomains": domains} if domains and when == "DoNotSchedule" else {}),
    },
    st.integers(1, 2),
    st.sampled_from(KEYS),
    st.sampled_from(("DoNotSchedule", "ScheduleAnyway")),
    SELECTORS,
    st.sampled_from(("Honor", "Ignore")),
    st.sampled_from(("Honor", "Ignore")),
    st.sampled_from((None, 2, 4)),
)


def _some(draw: st.DrawFn, strategy: Any, chance: int = 2) -> list[Any]:
    """Mostly nothing, sometimes one or two."""
    if draw(st.integers(0, chance)):
        return []
    return draw(st.lists(strategy, min_size=1, max_size=2))


ABOUT = ("anything", "spread", "company", "room")
"""What a history is mostly about: pods of one kind meet more often than pods of all kinds."""


@st.composite
def pods(draw: st.DrawFn, name: str, about: str = "anything") -> dict[str, Any]:
    if about != "anything":
        return _focused(draw, name, about)
    namespace = draw(st.sampled_from(("one", "two")))
    spec: dict[str, Any] = {"containers": draw(st.lists(CONTAINERS, min_size=1, max_size=2))}
    spec["initContainers"] = _some(draw, CONTAINERS, 5)
    for container in spec["initContainers"]:
        container.pop("ports", None)
    spec["tolerations"] = draw(TOLERATIONS)
    spec["priority"] = draw(st.sampled_from((0, 0, 10, 20)))
    if draw(st.integers(0, 6)) == 0:
        spec["nodeSelector"] = {ZONE: draw(st.sampled_from(("z1", "z2")))}
    affinity: dict[str, Any] = {"nodeAffinity": {}, "podAffinity": {}, "podAntiAffinity": {}}
    terms = _some(draw, NODE_TERMS, 4)
    if terms:
        affinity["nodeAffinity"][REQUIRED] = {"nodeSelectorTerms": terms}
    preferred = _some(draw, st.tuples(st.integers(1, 100), NODE_TERMS))
    if preferred:
        affinity["nodeAffinity"][PREFERRED] = [{"weight": w, "preference": t} for w, t in preferred]
    for kind in ("podAffinity", "podAntiAffinity"):
        affinity[kind][REQUIRED] = _some(draw, POD_TERMS, 3)
        weighted = _some(draw, st.tuples(st.integers(1, 100), POD_TERMS))
        affinity[kind][PREFERRED] = [{"weight": w, "podAffinityTerm": t} for w, t in weighted]
    spec["affinity"] = affinity
    spec["topologySpreadConstraints"] = _some(draw, CONSTRAINTS)
    meta: dict[str, Any] = {"name": name, "namespace": namespace, "uid": name, "labels": draw(LABELS)}
    if draw(st.integers(0, 9)) == 0:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {"metadata": meta, "spec": spec}


def _focused(draw: st.DrawFn, name: str, about: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"priority": draw(st.sampled_from((0, 10)))}
    spec["containers"] = [draw(CONTAINERS)] if about == "room" else [{"name": "c", "image": "nginx"}]
    if about == "spread":
        spec["topologySpreadConstraints"] = draw(st.lists(CONSTRAINTS, min_size=1, max_size=2))
    if about == "company":
        kind = draw(st.sampled_from(("podAffinity", "podAntiAffinity")))
        weighted = {"weight": draw(st.integers(1, 100)), "podAffinityTerm": draw(POD_TERMS)}
        rules = {REQUIRED: [draw(POD_TERMS)]} if draw(st.booleans()) else {PREFERRED: [weighted]}
        spec["affinity"] = {kind: rules}
    meta = {"name": name, "namespace": "one", "uid": name, "labels": draw(LABELS)}
    return {"metadata": meta, "spec": spec}


REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
