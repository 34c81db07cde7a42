"""Scheduler extenders: webhooks that filter, prioritize, preempt and bind.

Source: k8s.io/kubernetes/pkg/scheduler/extender.go and k8s.io/kube-scheduler/extender/v1.

*Not modelled*: client certificates.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from seatrial.sim.apiserver.context import ExternalCall
from seatrial.sim.apiserver.wiring import Wiring
from seatrial.sim.config import S
from seatrial.sim.scheduler.cache import Cache
from seatrial.sim.scheduler.columns import NodeInfo
from seatrial.sim.scheduler.framework import MAX_SCORE, Code, Plugin, Status
from seatrial.sim.scheduler.labels import Object
from seatrial.sim.scheduler.podinfo import Traits
from seatrial.sim.scheduler.preemption import Candidate, candidate_of

Steps = Generator[Any, Any, Any]
EXTENDER = "Extender"
"""The name under which extenders turn nodes down (framework.ExtenderName)."""
EXTENDER_SCORE_MAX = 10
"""Extenders score from 0 to this (MaxExtenderPriority)."""
TIMEOUT_US = 5 * S
"""DefaultExtenderTimeout."""
DURATION = re.compile(r"([0-9.]+)(ms|s|m|h)")
UNITS_US = {"ms": 1000, "s": S, "m": 60 * S, "h": 3600 * S}


class ExtenderError(Exception):
    """An extender did not do its part."""


class ExtenderVerdicts(Plugin):
    """Stands for extenders in the queue: whatever happens may help a pod that one of them turned down."""

    name = EXTENDER
    events = (
        "AssignedPod/Add", "AssignedPod/Delete", "AssignedPod/UpdateLabel", "AssignedPod/ScaleDown", "Pod/UpdateLabel",
        "Pod/UpdateTolerations", "Pod/ScaleDown", "Node/Add", "Node/Delete", "Node/UpdateAllocatable",
        "Node/UpdateLabel", "Node/UpdateTaint", "PersistentVolume/Add", "PersistentVolume/Update",
        "PersistentVolumeClaim/Add", "PersistentVolumeClaim/Update", "StorageClass/Add", "StorageClass/Update",
    )  # fmt: skip


class Extender:
    """One webhook of a configuration."""

    def __init__(self, config: Object, wiring: Wiring) -> None:
        self._config, self._wiring = config, wiring
        self.url: str = config["urlPrefix"].rstrip("/")
        self.filters: str = config.get("filterVerb") or ""
        self.prioritizes: str = config.get("prioritizeVerb") or ""
        self.preempts: str = config.get("preemptVerb") or ""
        self.binds: str = config.get("bindVerb") or ""
        self.weight: int = config.get("weight") or 1
        self.ignorable = bool(config.get("ignorable"))
        self._by_name = bool(config.get("nodeCacheCapable"))
        self._managed = frozenset(resource["name"] for resource in config.get("managedResources") or ())

    def interested(self, traits: Traits) -> bool:
        """Whether the extender has a say in such pods."""
        if not self._managed:
            return True
        spec = traits.spec
        for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
            resources = container.get("resources") or {}
            if self._managed & {*(resources.get("requests") or ()), *(resources.get("limits") or ())}:
                return True
        return False

    def filter(self, pod: Object, nodes: list[NodeInfo]) -> Steps:
        """(names that may stay, name -> reason, name -> reason that preemption cannot mend). Raises ExtenderError."""
        answer = yield from self._send(self.filters, self._arguments(pod, nodes))
        if answer.get("error"):
            raise ExtenderError(answer["error"])
        if self._by_name and answer.get("nodenames") is not None:
            kept = list(answer["nodenames"])
        elif answer.get("nodes") is not None:
            kept = [item["metadata"]["name"] for item in answer["nodes"].get("items") or ()]
        else:
            kept = []
        return kept, answer.get("failednodes") or {}, answer.get("failedandunresolvablenodes") or {}

    def prioritize(self, pod: Object, nodes: list[NodeInfo]) -> Steps:
        """Name -> what to add to the node's score. Raises ExtenderError."""
        answer = yield from self._send(self.prioritizes, self._arguments(pod, nodes))
        scale = self.weight * (MAX_SCORE // EXTENDER_SCORE_MAX)
        return {entry["host"]: entry["score"] * scale for entry in answer or ()}

    def preempt(self, pod: Object, candidates: Mapping[str, Candidate], cache: Cache) -> Steps:
        """Node -> candidate as the extender would have it, of those that it leaves. Raises ExtenderError."""
        asked = {
            node: {
                "Pods": [{"UID": v.uid} if self._by_name else v.pod for v in candidate.victims],
                "NumPDBViolations": candidate.violations,
            }
            for node, candidate in candidates.items()
        }
        names = ("NodeNameToVictims", "NodeNameToMetaVictims")
        answer = yield from self._send(self.preempts, {"Pod": pod, names[self._by_name]: asked})
        found = {}
        for node, victims in (answer.get("nodenametometavictims") or {}).items():
            said = _lowered(victims or {})
            uids = [victim.get("uid") or "" for victim in _lowered(said.get("pods") or [])]
            if uids or not self.ignorable:
                found[node] = self._candidate(node, uids, said.get("numpdbviolations") or 0, cache)
        return found

    def _candidate(self, node: str, uids: list[str], violations: int, cache: Cache) -> Candidate:
        row = cache.row_of.get(node)
        there = cache.nodes[row].pods if row is not None else {}
        for uid in uids:
            if uid not in there:
                claim = f"extender: {self.url} claims to preempt pod (UID: {uid}) on node: {node}"
                raise ExtenderError(f"{claim}, but the pod is not found on that node")
        if not uids:
            raise ExtenderError(f'expected at least one victim pod on node "{node}"')
        return candidate_of(node, [there[uid] for uid in uids], violations)

    def bind(self, pod: Object, node: str) -> Steps:
        """Have the extender bind the pod. Raises ExtenderError."""
        meta = pod["metadata"]
        names = {"PodName": meta["name"], "PodNamespace": meta["namespace"], "PodUID": meta["uid"], "Node": node}
        answer = yield from self._send(self.binds, names)
        if answer.get("error"):
            raise ExtenderError(answer["error"])

    def _arguments(self, pod: Object, nodes: list[NodeInfo]) -> dict[str, Any]:
        if self._by_name:
            return {"Pod": pod, "Nodes": None, "NodeNames": [info.name for info in nodes]}
        listed = {"metadata": {}, "items": [info.node for info in nodes]}
        return {"Pod": pod, "Nodes": listed, "NodeNames": None}

    def _send(self, verb: str, body: Mapping[str, Any]) -> Steps:
        """The answer to a POST, field names in lower case. Raises ExtenderError."""
        url = f"{self.url}/{verb}"
        authority = base64.b64decode((self._config.get("tlsConfig") or {}).get("caData") or "")
        call = ExternalCall(url, orjson.dumps(body), duration_us(self._config.get("httpTimeout")), authority)
        answer = yield from self._wiring.external(call)
        if isinstance(answer, OSError):
            raise ExtenderError(f'Post "{url}": {answer}')
        code, raw = answer
        if code != 200:
            raise ExtenderError(f"failed {verb} with extender at URL {url}, code {code}")
        return _lowered(orjson.loads(raw))


@dataclass(slots=True)
class Opinion:
    """What extenders made of the feasible nodes."""

    nodes: list[NodeInfo]
    """Those that none turned down."""
    refused: list[tuple[Status, str]] = field(default_factory=list)
    """Why, and which node."""
    added: dict[str, int] = field(default_factory=dict)
    """Name -> what to add to the node's score."""


def consult(extenders: list[Extender], pod: Object, nodes: list[NodeInfo]) -> Steps:
    """Ask one extender after the other about feasible nodes; returns an Opinion. Raises ExtenderError for one that
    fails and may not be ignored."""
    opinion = Opinion(nodes)
    for extender in extenders:
        if not extender.filters or not opinion.nodes:
            continue
        try:
            kept, failed, hopeless = yield from extender.filter(pod, opinion.nodes)
        except ExtenderError:
            if not extender.ignorable:
                raise
            continue
        opinion.nodes = [node for node in opinion.nodes if node.name in kept]
        for code, reasons in ((Code.UNSCHEDULABLE, failed), (Code.UNSCHEDULABLE_AND_UNRESOLVABLE, hopeless)):
            opinion.refused += [(Status(code, (why,), EXTENDER), name) for name, why in reasons.items()]
    for extender in extenders if len(opinion.nodes) > 1 else ():
        if not extender.prioritizes:
            continue
        try:
            scores = yield from extender.prioritize(pod, opinion.nodes)
        except ExtenderError:
            continue
        for name, score in scores.items():
            opinion.added[name] = opinion.added.get(name, 0) + score
    return opinion


def consult_preemption(
    extenders: list[Extender], pod: Object, candidates: Mapping[str, Candidate], cache: Cache
) -> Steps:
    """Ask one extender after the other what it makes of the candidates; returns those that are left. Raises
    ExtenderError for one that fails and may not be ignored."""
    for extender in extenders:
        if not extender.preempts or not candidates:
            continue
        try:
            candidates = yield from extender.preempt(pod, candidates, cache)
        except ExtenderError:
            if not extender.ignorable:
                raise
    return candidates


def _lowered(value: Any) -> Any:
    """Go reads field names in any case; only the answer's own fields matter, not those of objects in it."""
    if isinstance(value, list):
        return [_lowered(item) for item in value]
    return {key.lower(): inner for key, inner in value.items()} if isinstance(value, dict) else value


def duration_us(text: str | None) -> int:
    """A Go duration in µs; the default timeout when there is none."""
    parts = DURATION.findall(text or "")
    return int(sum(float(number) * UNITS_US[unit] for number, unit in parts)) or TIMEOUT_US
