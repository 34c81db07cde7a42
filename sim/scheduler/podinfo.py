"""What of a pod the scheduler looks at, worked out once (k8s.io/kubernetes/pkg/scheduler/framework/types.go, PodInfo).

Pods of one template differ in name and uid only. What matters for a decision is their shared ``Traits``: two pods with
equal traits get the same verdicts and scores, so plug-ins compile per traits and not per pod.

*Not modelled*: DRA resource claims.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from seatrial.sim.kernel.compact import compact
from seatrial.sim.machinery.quantity import parse
from seatrial.sim.machinery.selectors import Matches, labels

Object = Mapping[str, Any]
Amounts = dict[str, int]
"""Resource name -> milli CPU for ``cpu``, whole units (bytes) for everything else."""

DEFAULT_NON_ZERO = {"cpu": 100, "memory": 200 * 1024 * 1024}
"""What scoring assumes of a container that requests nothing (pkg/scheduler/util/pod_resources.go)."""
NOT_STARTED = "~"
"""Sorts after every time stamp: a pod without a start time counts as started now (util.GetPodStartTime)."""
VOLUME_SOURCES = (
    "persistentVolumeClaim", "ephemeral", "gcePersistentDisk", "awsElasticBlockStore", "rbd", "iscsi",
    "azureDisk", "csi", "cinder",
)  # fmt: skip
"""Volume sources that a plug-in may look at; the token volume, whose name is random, is none of them."""
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


@dataclass(frozen=True, slots=True)
class Term:
    """One pod (anti-)affinity term; terms that select alike are equal."""

    key: str
    topology_key: str
    namespaces: tuple[str, ...]
    matches_labels: Matches
    matches_namespace: Matches | None
    """On the labels of a namespace; None when the term names its namespaces only."""
    weight: int = 0

    def matches(self, namespace: str, labels: Mapping[str, str], namespace_labels: Mapping[str, str]) -> bool:
        """Whether the term selects a pod of these labels in this namespace."""
        if namespace not in self.namespaces and (
            self.matches_namespace is None or not self.matches_namespace(namespace_labels)
        ):
            return False
        return self.matches_labels(labels)

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Term) and self.key == other.key


class Traits:
    """Everything about a pod that a verdict or a score may depend on."""

    def __init__(self, pod: Object, placed: bool = False) -> None:
        meta, spec = pod["metadata"], pod["spec"]
        self.namespace: str = meta.get("namespace") or "default"
        self.labels: Mapping[str, str] = meta.get("labels") or {}
        self.spec: Object = spec
        self.name: str = meta.get("name") or ""
        self.uid: str = meta.get("uid") or ""
        self.owner: Object | None = _controller(meta)
        self.priority: int = spec.get("priority") or 0
        self.preempts: bool = spec.get("preemptionPolicy") != "Never"
        self.node_name: str = "" if placed else spec.get("nodeName") or ""
        self.held = held_resources(pod)
        self.requests = pod_requests(spec, self.held)
        self.non_zero = _non_zero(spec, self.held)
        self.host_ports = tuple(_host_ports(spec))
        self.tolerations: tuple[Object, ...] = tuple(spec.get("tolerations") or ())
        self.node_selector: Mapping[str, str] = spec.get("nodeSelector") or {}
        affinity = spec.get("affinity") or {}
        self.node_affinity: Object = affinity.get("nodeAffinity") or {}
        pod_affinity, anti = affinity.get("podAffinity") or {}, affinity.get("podAntiAffinity") or {}
        self.required_affinity = _required(pod_affinity, self)
        self.required_anti_affinity = _required(anti, self)
        self.preferred_affinity = _preferred(pod_affinity, self)
        self.preferred_anti_affinity = _preferred(anti, self)
        self.spread: tuple[Object, ...] = tuple(spec.get("topologySpreadConstraints") or ())
        self.volumes = tuple(v for v in spec.get("volumes") or () if any(source in v for source in VOLUME_SOURCES))
        self.images = tuple(c.get("image") or "" for c in _all_containers(spec))

    def __repr__(self) -> str:
        return f"Traits({self.namespace}/{self.name})"


class PodInfo:
    """One pod as the scheduler keeps it."""

    __slots__ = ("name", "namespace", "nominated", "pod", "priority", "start", "terminating", "traits", "uid")

    def __init__(self, pod: Object, traits: Traits) -> None:
        meta, status = pod["metadata"], pod.get("status") or {}
        self.pod = pod
        self.traits = traits
        self.uid: str = meta.get("uid") or f"{meta.get('namespace')}/{meta.get('name')}"
        self.name: str = meta.get("name") or ""
        self.namespace: str = traits.namespace
        self.priority = traits.priority
        self.start: str = status.get("startTime") or NOT_STARTED
        self.terminating = bool(meta.get("deletionTimestamp"))
        self.nominated: str = status.get("nominatedNodeName") or ""

    def __repr__(self) -> str:
        return f"PodInfo({self.namespace}/{self.name})"


class Intern:
    """Gives equal pods the same ``Traits``; remembers the latest few thousand."""

    def __init__(self, size: int = 8192) -> None:
        self._known: dict[bytes, Traits] = {}
        self._size = size

    def info(self, pod: Object, placed: bool = False) -> PodInfo:
        """The scheduler's view of a pod in wire form. ``placed``: it has its node, whose name is no trait then."""
        key = traits_key(pod, placed)
        traits = self._known.get(key)
        if traits is None:
            if len(self._known) >= self._size:
                del self._known[next(iter(self._known))]
            traits = self._known[compact(key)] = Traits(pod, placed)
        return PodInfo(pod, traits)


def traits_key(pod: Object, placed: bool = False) -> bytes:
    """Bytes that are equal exactly for pods that every plug-in treats alike."""
    meta, spec = pod["metadata"], pod["spec"]
    get = spec.get
    volumes = get("volumes")
    kept = [v for v in volumes if any(source in v for source in VOLUME_SOURCES)] if volumes else None
    owned = kept and any("ephemeral" in v for v in kept)
    return orjson.dumps(
        (
            meta.get("namespace"),
            meta.get("labels"),
            meta.get("ownerReferences"),
            [(c.get("image"), c.get("resources"), c.get("ports")) for c in get("containers") or ()],
            [
                (c.get("image"), c.get("resources"), c.get("ports"), c.get("restartPolicy"))
                for c in get("initContainers") or ()
            ],
            get("priority"),
            get("tolerations"),
            get("nodeSelector"),
            get("affinity"),
            get("topologySpreadConstraints"),
            get("overhead"),
            get("resources"),
            None if placed else get("nodeName"),
            get("preemptionPolicy"),
            kept,
            held_resources(pod),
            (meta.get("name"), meta.get("uid")) if owned else None,
        ),
        option=orjson.OPT_SORT_KEYS,
    )


Held = dict[str, dict[str, str]]
"""Container -> resource -> what it holds, where that is not what its spec asks for."""


def held_resources(pod: Object) -> Held:
    """What containers hold beyond their spec while a resize is under way; all they hold when it is infeasible.

    Source: component-helpers/resource (determineContainerReqs).
    """
    status = pod.get("status") or {}
    statuses = (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
    holding = {s["name"]: s for s in statuses if s.get("allocatedResources") or s.get("resources")}
    if not holding:
        return {}
    pending = next((c for c in status.get("conditions") or () if c.get("type") == "PodResizePending"), None)
    infeasible = pending is not None and pending.get("reason") == "Infeasible"
    held: Held = {}
    for container in _all_containers(pod["spec"]):
        found = holding.get(container["name"])
        if found is None:
            continue
        asked = (container.get("resources") or {}).get("requests") or {}
        most = {} if infeasible else dict(asked)
        for source in (found.get("allocatedResources"), (found.get("resources") or {}).get("requests")):
            for name, text in (source or {}).items():
                if name not in most or _nanos(text) > _nanos(most[name]):
                    most[name] = text
        if most != asked:
            held[container["name"]] = most
    return held


def pod_requests(spec: Object, held: Held | None = None) -> Amounts:
    """What the pod asks of a node: the sum over containers and sidecars, at least what any init container needs while
    it runs, what the pod asks as a whole instead, plus overhead (component-helpers/resource.PodRequests)."""
    return _amounts(spec, {}, held or {})


def _non_zero(spec: Object, held: Held) -> tuple[int, int]:
    """(milli CPU, bytes of memory) for scoring: containers that ask for nothing count as a small one."""
    whole = (spec.get("resources") or {}).get("requests") or {}
    missing = {name: amount for name, amount in DEFAULT_NON_ZERO.items() if name not in whole}
    totals = _amounts(spec, missing, held)
    return totals.get("cpu", 0), totals.get("memory", 0)


def _amounts(spec: Object, missing: Amounts, held: Held) -> Amounts:
    """``missing``: what a container without a request for a resource counts as."""
    total: dict[str, int] = {}
    for container in spec.get("containers") or ():
        _add(total, _container(container, missing, held))
    sidecars: dict[str, int] = {}
    highest: dict[str, int] = {}
    for container in spec.get("initContainers") or ():
        needed = dict(_container(container, missing, held))
        if container.get("restartPolicy") == "Always":
            _add(total, needed)
            _add(sidecars, needed)
            needed = dict(sidecars)
        else:
            _add(needed, sidecars)
        _raise_to(highest, needed)
    _raise_to(total, highest)
    whole = (spec.get("resources") or {}).get("requests") or {}
    total.update((name, _nanos(text)) for name, text in whole.items() if _pod_level(name))
    _add(total, {name: _nanos(text) for name, text in (spec.get("overhead") or {}).items()})
    return {name: _units(name, nanos) for name, nanos in total.items()}


def _pod_level(name: str) -> bool:
    return name in ("cpu", "memory") or name.startswith("hugepages-")


def _container(container: Object, missing: Amounts, held: Held) -> dict[str, int]:
    requests = held.get(container.get("name") or "") or (container.get("resources") or {}).get("requests") or {}
    amounts = {name: _nanos(text) for name, text in requests.items()}
    for name, units in missing.items():
        if name not in amounts:
            amounts[name] = units * (10**6 if name == "cpu" else 10**9)
    return amounts


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, 0) + amount


def _raise_to(total: dict[str, int], floor: Mapping[str, int]) -> None:
    for name, amount in floor.items():
        if amount > total.get(name, -1):
            total[name] = amount


@lru_cache(maxsize=1 << 14)
def _nanos(text: str | int | float) -> int:
    return parse(str(text)).nanos


def _units(name: str, nanos: int) -> int:
    return -(-nanos // (10**6 if name == "cpu" else 10**9))


def amount(name: str, text: str | int | float) -> int:
    """A quantity in the scheduler's unit for the resource: milli CPU, else whole units."""
    return _units(name, _nanos(text))


def _host_ports(spec: Object) -> Iterator[tuple[str, str, int]]:
    """(ip, protocol, port) of every host port: those of containers and of sidecars (restartable init containers)."""
    sidecars = (c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always")
    for container in (*sidecars, *(spec.get("containers") or ())):
        for port in container.get("ports") or ():
            if (port.get("hostPort") or 0) > 0:
                yield port.get("hostIP") or "0.0.0.0", port.get("protocol") or "TCP", port["hostPort"]


def _all_containers(spec: Object) -> Iterator[Object]:
    yield from spec.get("initContainers") or ()
    yield from spec.get("containers") or ()


def _controller(meta: Object) -> Object | None:
    return next((o for o in meta.get("ownerReferences") or () if o.get("controller")), None)


def _required(rules: Object, traits: Traits) -> tuple[Term, ...]:
    return tuple(_term(term, traits, 0) for term in rules.get(REQUIRED) or ())


def _preferred(rules: Object, traits: Traits) -> tuple[Term, ...]:
    return tuple(
        _term(w["podAffinityTerm"], traits, w.get("weight") or 0) for w in rules.get(PREFERRED) or () if w.get("weight")
    )


def _term(term: Object, traits: Traits, weight: int) -> Term:
    selector = term.get("labelSelector")
    selector = _with_label_keys(selector, term, traits.labels)
    namespace_selector = term.get("namespaceSelector")
    namespaces = tuple(sorted(term.get("namespaces") or ()))
    if not namespaces and namespace_selector is None:
        namespaces = (traits.namespace,)
    key = orjson.dumps(
        (weight, term.get("topologyKey"), namespaces, namespace_selector, selector), option=orjson.OPT_SORT_KEYS
    ).decode()
    return Term(
        key=key,
        topology_key=term.get("topologyKey") or "",
        namespaces=namespaces,
        matches_labels=labels(selector),
        matches_namespace=None if namespace_selector is None else labels(namespace_selector),
        weight=weight,
    )


def _with_label_keys(selector: Object | None, term: Object, own: Mapping[str, str]) -> Object | None:
    """The selector with matchLabelKeys and mismatchLabelKeys merged in, unless the API server already did so."""
    extra = [
        {"key": key, "operator": operator, "values": [own[key]]}
        for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn"))
        for key in term.get(field) or ()
        if key in own
    ]
    if selector is None or not extra:
        return selector
    present = list(selector.get("matchExpressions") or ())
    return {**selector, "matchExpressions": present + [e for e in extra if e not in present]}
