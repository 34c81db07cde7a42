"""Jobs: pods until enough of them have succeeded, or too many have failed.

Source: k8s.io/kubernetes/pkg/controller/job/job_controller.go. How finished pods are counted exactly once is in
``job_tracking``. *Not modelled*: jobs managed by somebody else are left alone, without metrics about them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Any

from seatrial.sim.apiserver.request import Object
from seatrial.sim.config import S
from seatrial.sim.controllers import job_plan as plan
from seatrial.sim.controllers import job_tracking as tracking
from seatrial.sim.controllers.actions import (
    Action,
    After,
    Batch,
    Create,
    Outcome,
    Record,
    Steps,
    Turn,
    delete_of,
    slow_start,
)
from seatrial.sim.controllers.conditions import find, namespace_is_terminating, without
from seatrial.sim.controllers.controller import Controller, Seen
from seatrial.sim.controllers.informers import controller_of
from seatrial.sim.controllers.job_run import Run
from seatrial.sim.controllers.ownership import JOB, children_keys, claim, labels_of, pod_from_template, selector_of
from seatrial.sim.controllers.podstate import by_activity, is_active, is_ready, is_terminal, is_terminating, phase
from seatrial.sim.kernel.clock import parse_stamp
from seatrial.sim.machinery.errors import ApiError

BATCH_US = 1 * S
"""From a change of a pod to the sync of its job (syncJobBatchPeriod)."""
PODS_PER_SYNC_MAX = 500
"""Pods created or deleted in one sync (MaxPodCreateDeletePerSync)."""
MANAGED_BY = "kubernetes.io/job-controller"
INDEX_ENV = {
    "name": "JOB_COMPLETION_INDEX",
    "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{plan.INDEX}']"}},
}


def reconcile(turn: Turn) -> Steps:
    if turn.key[0] == "orphan":
        return (yield from tracking.release_orphan(turn))
    namespace, name = turn.key
    job = turn.view(JOB.storage).get(namespace, name)
    if job is None:
        turn.memory.pop(("backoff", turn.key), None)
        return None
    status = dict(job.get("status") or {})
    if is_finished(job) or job["spec"].get("managedBy", MANAGED_BY) != MANAGED_BY:
        turn.memory.pop(("backoff", turn.key), None)
        return None
    pods = yield from claim(JOB, job, "pods", turn.view("pods"))
    run = Run(turn, job, pods, status, [pod for pod in pods if is_active(pod)])
    _count(run)
    if "startTime" not in status and not run.suspended:
        status["startTime"] = turn.stamp
    status.setdefault("uncountedTerminatedPods", {})
    _judge(run)
    error = yield from _act(run)
    _note_counts(run)
    yield from tracking.track(run)
    if error is not None:
        return Outcome(retry=True)
    return None if run.again_us is None else Outcome(run.again_us)


def is_finished(job: Object) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(each["type"] in ("Complete", "Failed") and each["status"] == "True" for each in conditions)


def condition(type_: str, status: str, reason: str, message: str, stamp: str) -> dict[str, Any]:
    made = {"type": type_, "status": status, "lastProbeTime": stamp, "lastTransitionTime": stamp}
    return {**made, "reason": reason, "message": message}


# --- what has happened


def _count(run: Run) -> None:
    """Finished pods, new ones and those that the status already knows."""
    job, status = run.job, run.status
    new_done, new_failed = tracking.newly_finished(run)
    uncounted = status.get("uncountedTerminatedPods") or {}
    run.succeeded = status.get("succeeded", 0) + len(new_done) + len(uncounted.get("succeeded") or ())
    run.failed = status.get("failed", 0) + len(new_failed) + len(uncounted.get("failed") or ())
    key = ("backoff", run.turn.key)
    before = run.turn.memory.get(key, plan.Backoff())
    done_us = [plan.finished_at(pod) for pod in new_done]
    failed_us = [plan.finished_at(pod) for pod in new_failed]
    run.backoff = before.after(done_us, failed_us)
    run.running = len(run.active)
    run.ready = sum(is_ready(pod) for pod in run.active)
    run.terminating = sum(is_terminating(pod) and not is_terminal(pod) for pod in run.pods)
    if plan.is_indexed(job):
        completions = run.spec["completions"]
        run.done_before = plan.parse_indexes(status.get("completedIndexes"), completions)
        fresh = {plan.index_of(pod) for pod in run.pods if phase(pod) == "Succeeded"}
        known = set(run.done_before)
        run.done = sorted(known | {index for index in fresh if 0 <= index < completions})
        run.succeeded = len(run.done)
        if run.spec.get("backoffLimitPerIndex") is not None:
            run.lost = tracking.failed_indexes(run)


def _judge(run: Run) -> None:
    """Whether the job is to finish, and how (the conditions of syncJob in their order)."""
    stamp, spec = run.turn.stamp, run.spec
    listed = run.status.get("conditions")
    met = find(listed, "SuccessCriteriaMet")
    if met is not None and met["status"] == "True":
        run.finish = dict(met)
        return
    target = find(listed, "FailureTarget")
    if target is not None and target["status"] == "True":
        run.finish = condition("Failed", "True", target["reason"], target["message"], stamp)
        return
    why = _failure(run)
    if why is not None:
        run.finish = condition("Failed", "True", *why, stamp)
        return
    policy = spec.get("successPolicy")
    if policy is not None and plan.is_indexed(run.job):
        message = plan.match_success_policy(policy.get("rules"), spec["completions"], run.done)
        if message:
            run.finish = condition("SuccessCriteriaMet", "True", "SuccessPolicy", message, stamp)


def _failure(run: Run) -> tuple[str, str] | None:
    """(reason, message) of a job that has failed."""
    spec = run.spec
    rules = (spec.get("podFailurePolicy") or {}).get("rules")
    if rules:
        for pod in run.pods:
            if plan.is_failed(run.job, pod):
                match = plan.match_failure_policy(rules, pod)
                if match.action == "FailJob":
                    return "PodFailurePolicy", match.message
    if run.failed > spec.get("backoffLimit", 6) or plan.past_backoff_limit_on_failure(run.job, run.pods):
        return "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not run.suspended and "startTime" in run.status:
        left = parse_stamp(run.status["startTime"]) + deadline * S - run.turn.clock_now()
        if left <= 0:
            return "DeadlineExceeded", "Job was active longer than specified deadline"
        run.again(left)
    if run.lost is not None:
        most = spec.get("maxFailedIndexes")
        if most is not None and len(run.lost) > most:
            return "MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes"
        if run.lost and len(run.lost) + run.succeeded >= spec["completions"]:
            return "FailedIndexes", "Job has failed indexes"
    return None


# --- what is to be done


def _act(run: Run) -> Generator[Action, Any, Exception | None]:
    if run.finish is not None:
        return (yield from _delete(run, run.active))
    if is_terminating(run.job):
        return None
    error = yield from _manage(run)
    completions = run.spec.get("completions")
    if completions is None:
        complete = run.succeeded > 0 and run.running == 0
    else:
        complete = run.succeeded >= completions and run.running == 0
    if complete:
        message = "Reached expected number of succeeded pods"
        run.finish = condition("SuccessCriteriaMet", "True", "CompletionsReached", message, run.turn.stamp)
    else:
        yield from _note_suspension(run)
    return error


def _note_suspension(run: Run) -> Generator[Action, Any, None]:
    listed = run.status.get("conditions") or []
    current = find(listed, "Suspended")
    if run.suspended and (current is None or current["status"] != "True"):
        fresh = condition("Suspended", "True", "JobSuspended", "Job suspended", run.turn.stamp)
    elif not run.suspended and current is not None and current["status"] == "True":
        fresh = condition("Suspended", "False", "JobResumed", "Job resumed", run.turn.stamp)
        run.status["startTime"] = run.turn.stamp
    else:
        return
    run.status["conditions"] = [*without(listed, "Suspended"), fresh]
    if run.suspended:
        run.status.pop("startTime", None)
    run.dirty = True
    word = "Suspended" if run.suspended else "Resumed"
    yield Record(run.job, "Normal", word, f"Job {word.lower()}")


def _delete(run: Run, pods: Sequence[Object]) -> Generator[Action, Any, Exception | None]:
    """Deletes active pods, all at once."""
    failed: Exception | None = None
    answers = (yield Batch(tuple(delete_of("pods", pod) for pod in pods))) if pods else []
    for pod, answer in zip(pods, answers, strict=True):
        gone = isinstance(answer, ApiError) and answer.code == 404
        if isinstance(answer, Exception) and not gone:
            yield Record(run.job, "Warning", "FailedDelete", f"Error deleting: {answer}")
            failed = failed or answer
            continue
        if not gone:
            yield Record(run.job, "Normal", "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}")
        run.running -= 1
        run.terminating += 1
        run.ready -= is_ready(pod)
    return failed


def _manage(run: Run) -> Generator[Action, Any, Exception | None]:
    """As many pods as there should be (manageJob)."""
    if run.suspended:
        return (yield from _delete(run, run.active))
    wanted = plan.wanted_active(run.job, run.succeeded, run.running)
    surplus = _surplus(run, max(0, run.running - wanted))
    if surplus:
        return (yield from _delete(run, surplus[:PODS_PER_SYNC_MAX]))
    replaced = run.terminating if plan.replaces_only_failed(run.job) else 0
    missing = min(wanted - replaced - run.running, PODS_PER_SYNC_MAX)
    if missing <= 0:
        return None
    wait = 0
    if run.lost is None:
        since = run.turn.now - (run.backoff.last_us or 0)
        wait = plan.remaining(run.backoff.failures, since)
    if wait:
        run.again(wait)
        return None
    return (yield from _create(run, missing))


def _surplus(run: Run, at_least: int) -> list[Object]:
    """Pods to be deleted: of indexes that are done, out of range or twice there, then the least active ones."""
    doomed: list[Object] = []
    left = run.active
    if plan.is_indexed(run.job):
        taken: set[int] = set()
        finished = {*run.done, *(run.lost or ())}
        kept = []
        for pod in by_activity(run.active, run.turn.now)[::-1]:
            index = plan.index_of(pod)
            if index < 0 or index >= run.spec["completions"] or index in taken or index in finished:
                doomed.append(pod)
            else:
                taken.add(index)
                kept.append(pod)
        left = kept
    if len(doomed) < at_least:
        doomed += by_activity(left, run.turn.now)[: at_least - len(doomed)]
    return doomed


def _create(run: Run, count: int) -> Generator[Action, Any, Exception | None]:
    template = run.spec["template"]
    pod = pod_from_template(JOB, run.job, template)
    finalizers = [*(pod["metadata"].get("finalizers") or ()), plan.FINALIZER]
    pod = {**pod, "metadata": {**pod["metadata"], "finalizers": finalizers}}
    if plan.is_indexed(run.job):
        creates = [Create("pods", indexed_pod(run, pod, index)) for index in tracking.pending_indexes(run, count)]
    else:
        creates = [Create("pods", pod)] * count
    if not creates:
        return None
    slow = yield from slow_start(creates)
    failed: Exception | None = None
    for answer in slow.answers:
        if not isinstance(answer, Exception):
            run.running += 1
            yield Record(run.job, "Normal", "SuccessfulCreate", f"Created pod: {answer['metadata']['name']}")
        elif not namespace_is_terminating(answer):
            yield Record(run.job, "Warning", "FailedCreate", f"Error creating: {answer}")
            failed = failed or answer
    return failed


def indexed_pod(run: Run, pod: dict[str, Any], index: int) -> dict[str, Any]:
    """The pod of one completion index: it is told so by annotation, label, host name and environment."""
    name = run.job["metadata"]["name"]
    metadata = dict(pod["metadata"])
    metadata["generateName"] = f"{name}-{index}-"
    metadata["annotations"] = {**(metadata.get("annotations") or {}), plan.INDEX: str(index)}
    metadata["labels"] = {**(metadata.get("labels") or {}), plan.INDEX: str(index)}
    if run.lost is not None:
        metadata["annotations"][plan.FAILURE_COUNT] = str(tracking.failures_of(run, index))
    spec = {**pod["spec"], "hostname": f"{name}-{index}"}
    for field_name in ("containers", "initContainers"):
        if spec.get(field_name):
            spec[field_name] = [_with_index(container) for container in spec[field_name]]
    return {**pod, "metadata": metadata, "spec": spec}


def _with_index(container: dict[str, Any]) -> dict[str, Any]:
    env = container.get("env") or []
    if any(each["name"] == INDEX_ENV["name"] for each in env):
        return container
    return {**container, "env": [*env, INDEX_ENV]}


def _note_counts(run: Run) -> None:
    for key, value in (("active", run.running), ("ready", run.ready), ("terminating", run.terminating)):
        before = run.status.get(key, 0 if key == "active" else None)
        if before != value:
            run.status[key] = value
            run.dirty = True
    if not run.status.get("active"):
        run.status.pop("active", None)


# --- keys


def job_keys(seen: Seen) -> Iterable[Any]:
    new, old, metadata = seen.new, seen.old, seen.obj["metadata"]
    if new is None:
        pods = seen.view("pods").indexed("controller", metadata["uid"])
        return [_orphan_key(pod) for pod in pods if plan.has_finalizer(pod)]
    key = (metadata["namespace"], metadata["name"])
    if old is not None and old["metadata"].get("generation") == metadata.get("generation"):
        return (After(key, BATCH_US),)
    return (key,)


def _orphan_key(pod: Object) -> tuple[str, str, str]:
    return ("orphan", pod["metadata"]["namespace"], pod["metadata"]["name"])


_owner_keys = children_keys(JOB)


def pod_keys(seen: Seen) -> Iterable[Any]:
    """A job hears of its pods a second later, of all at once; pods without a job lose their finalizer."""
    found: list[Any] = [After(key, BATCH_US) for key in _owner_keys(seen)]
    pod = seen.new
    if pod is not None and plan.has_finalizer(pod):
        ref = controller_of(pod)
        namespace = pod["metadata"]["namespace"]
        lost = ref is None and not _claimable(seen, pod)
        if lost or (ref is not None and ref["kind"] == "Job" and JOB.resolve(seen.view, namespace, ref) is None):
            found.append(_orphan_key(pod))
    return found


def _claimable(seen: Seen, pod: Object) -> bool:
    jobs = seen.view(JOB.storage).list(pod["metadata"]["namespace"])
    return any(selector_of(job)(labels_of(pod)) for job in jobs)


CONTROLLER = Controller(
    name="job-controller",
    reconcile=reconcile,
    watches=((JOB.storage, job_keys), ("pods", pod_keys)),
    backoff_base_us=1 * S,
    backoff_max_us=60 * S,
)
