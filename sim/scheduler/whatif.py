"""What would become of a pod now, or why it is where it is: a decision tried on a copy of the scheduler's picture.

Nothing changes by asking: neither the queue nor the cache nor where the next search begins. A pod that has its node is
decided as if it were not there yet, on the cluster as it is now; what the scheduler saw when it placed the pod is gone.

*Not modelled*: extenders are not asked, so nodes that they would turn down count as feasible.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import TYPE_CHECKING, Any

from seatrial.sim.kernel.clock import micro_stamp_of
from seatrial.sim.scheduler.config import frameworks
from seatrial.sim.scheduler.decide import Decision
from seatrial.sim.scheduler.explain import explanation
from seatrial.sim.scheduler.labels import Object
from seatrial.sim.scheduler.podinfo import Intern, PodInfo
from seatrial.sim.scheduler.preemption import Candidate

if TYPE_CHECKING:
    from seatrial.sim.scheduler.scheduler import Scheduler

POD_TEMPLATES = (("spec", "template"), ("spec", "jobTemplate", "spec", "template"))
"""Where workloads keep what their pods are made from."""


def pod_of(manifest: Object) -> dict[str, Any]:
    """The pod of a manifest: itself, or the first that a workload would make. Raises ValueError when it has none."""
    if manifest.get("kind") == "Pod":
        return dict(manifest)
    name = (manifest.get("metadata") or {}).get("name") or "pod"
    for path in POD_TEMPLATES:
        found: Any = manifest
        for key in path:
            found = found.get(key) if isinstance(found, Mapping) else None
        if isinstance(found, Mapping) and "spec" in found:
            metadata = {**(found.get("metadata") or {}), "name": name}
            where = (manifest.get("metadata") or {}).get("namespace")
            if where:
                metadata["namespace"] = where
            return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": found["spec"]}
    raise ValueError(f"a {manifest.get('kind') or 'manifest without kind'} has no pod in it")


def what_if(scheduler: Scheduler, pod: Object) -> dict[str, Any]:
    """The explanation of a pod as the API server has it, or would have it. Raises LookupError when the scheduler does
    not run or has no profile for the pod.

    Beside what ``explanation`` gives: ``bound`` (the node it has), ``waiting`` (its place in the queue), ``best`` (the
    nodes that score highest, of which one is taken at random), ``preemption`` (who would have to go) and
    ``extendersNotAsked`` (who else would have a say).
    """
    if not scheduler.running:
        raise LookupError("kube-scheduler is not running")
    if scheduler.framework_of(pod) is None:
        name = pod["spec"].get("schedulerName")
        raise LookupError(f"no profile is responsible for schedulerName {name!r}")
    bound = pod["spec"].get("nodeName") or ""
    if bound:
        pod = {**pod, "spec": {key: value for key, value in pod["spec"].items() if key != "nodeName"}}
    info = Intern().info(pod, placed=True)
    cache = scheduler.cache.copy(but=info.uid)
    framework = frameworks(scheduler.config, cache)[pod["spec"].get("schedulerName") or "default-scheduler"]
    decision = framework.decide(info, Random(0), detail=True)
    candidate = None
    if decision.node is None:
        outcome = scheduler.post_filter(info, framework, decision, Random(0))
        decision.post_filter, candidate = outcome.message, outcome.candidate
    explained = explanation(decision, framework.profile)
    explained["best"] = _best(decision)
    if bound:
        explained["bound"] = bound
    elif waiting := _waiting(scheduler, info):
        explained["waiting"] = waiting
    silent = [extender.url for extender in scheduler.extenders if extender.interested(info.traits)]
    if silent:
        explained["extendersNotAsked"] = silent
    if candidate is not None:
        explained["preemption"] = _preemption(candidate)
    return explained


def _best(decision: Decision) -> list[str]:
    if not decision.final:
        return [] if decision.node is None else [decision.node]
    highest = max(decision.final.values())
    return sorted(name for name, score in decision.final.items() if score == highest)


def _waiting(scheduler: Scheduler, info: PodInfo) -> dict[str, Any]:
    """Where the pod waits, since when, how often it was tried, and whose objections an event must lift."""
    queued = scheduler.queue.find(info.uid)
    if queued is None:
        return {}
    found = {
        "queue": queued.where,
        "since": micro_stamp_of(queued.entered_us),
        "attempts": queued.attempts,
        "plugins": list(queued.plugins),
    }
    if gates := info.pod["spec"].get("schedulingGates"):
        found["gates"] = [gate["name"] for gate in gates]
    return found


def _preemption(candidate: Candidate) -> dict[str, Any]:
    victims = [{"namespace": pod.namespace, "name": pod.name, "priority": pod.priority} for pod in candidate.victims]
    return {"node": candidate.node, "victims": victims, "violatedBudgets": candidate.violations}
