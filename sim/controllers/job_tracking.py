"""How a Job counts finished pods exactly once: by uid in the status until the pod's finalizer is gone.

Source: k8s.io/kubernetes/pkg/controller/job (job_controller.go trackJobStatusAndRemoveFinalizers,
tracking_utils.go, indexed_job_utils.go).
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from seatrial.sim.apiserver.request import Object
from seatrial.sim.controllers import job_plan as plan
from seatrial.sim.controllers.actions import Action, Batch, Get, Patch, Record, Steps, Turn, ignoring, update_status
from seatrial.sim.controllers.conditions import find, without
from seatrial.sim.controllers.informers import controller_of
from seatrial.sim.controllers.job_run import Run
from seatrial.sim.controllers.ownership import JOB
from seatrial.sim.controllers.podstate import is_active, is_terminating, phase
from seatrial.sim.machinery.errors import ApiError

UNCOUNTED_MAX = 500
"""Uids in the status at most (MaxUncountedPods)."""
WITHOUT_FINALIZER = {"metadata": {"$deleteFromPrimitiveList/finalizers": [plan.FINALIZER]}}


def _uncounted(run: Run, kind: str) -> list[str]:
    return list((run.status.get("uncountedTerminatedPods") or {}).get(kind) or ())


def _in_range(run: Run, pod: Object) -> bool:
    return not plan.is_indexed(run.job) or 0 <= plan.index_of(pod) < run.spec["completions"]


def _counts_as_failure(run: Run, pod: Object) -> bool:
    rules = (run.spec.get("podFailurePolicy") or {}).get("rules")
    return not rules or plan.match_failure_policy(rules, pod).counts


def newly_finished(run: Run) -> tuple[list[Object], list[Object]]:
    """Pods that have succeeded and failed and are not in the status yet."""
    done, failed = _uncounted(run, "succeeded"), _uncounted(run, "failed")
    candidates = [pod for pod in run.pods if plan.has_finalizer(pod) and _in_range(run, pod)]
    succeeded = [pod for pod in candidates if phase(pod) == "Succeeded" and pod["metadata"]["uid"] not in done]
    lost = [
        pod
        for pod in candidates
        if plan.is_failed(run.job, pod) and pod["metadata"]["uid"] not in failed and _counts_as_failure(run, pod)
    ]
    return succeeded, lost


# --- indexes


def failures_of(run: Run, index: int) -> int:
    """How often an index has failed, as its last failed pod knows."""
    known = [
        plan.index_failures(pod) + _counts_as_failure(run, pod)
        for pod in run.pods
        if plan.index_of(pod) == index and plan.is_failed(run.job, pod)
    ]
    return max(known, default=0)


def failed_indexes(run: Run) -> list[int]:
    """Indexes that have failed for good (calculateFailedIndexes)."""
    limit, completions = run.spec["backoffLimitPerIndex"], run.spec["completions"]
    found = set(plan.parse_indexes(run.status.get("failedIndexes"), completions))
    rules = (run.spec.get("podFailurePolicy") or {}).get("rules")
    for pod in run.pods:
        index = plan.index_of(pod)
        if not plan.is_failed(run.job, pod) or not 0 <= index < completions:
            continue
        match = plan.match_failure_policy(rules, pod)
        if match.action == "FailIndex" or (match.counts and plan.index_failures(pod) >= limit):
            found.add(index)
    return sorted(found)


def pending_indexes(run: Run, count: int) -> list[int]:
    """The first indexes that nobody works on (firstPendingIndexes)."""
    taken = {*run.done, *(run.lost or ())}
    taken |= {plan.index_of(pod) for pod in run.pods if is_active(pod)}
    if plan.replaces_only_failed(run.job):
        taken |= {
            plan.index_of(pod) for pod in run.pods if is_terminating(pod) and phase(pod) in ("Pending", "Running")
        }
    result: list[int] = []
    for index in range(run.spec["completions"]):
        if len(result) == count:
            break
        if index in taken:
            continue
        if run.lost is not None and (wait := _index_wait(run, index)):
            run.again(wait)
            continue
        result.append(index)
    return result


def _index_wait(run: Run, index: int) -> int:
    """µs until an index may be tried again (getRemainingTimePerIndex)."""
    failures = failures_of(run, index)
    if not failures:
        return 0
    ends = [plan.finished_at(pod) for pod in run.pods if plan.index_of(pod) == index and plan.is_failed(run.job, pod)]
    return plan.remaining(failures, run.turn.now - max(ends))


# --- the status


def track(run: Run) -> Generator[Action, Any, None]:
    """Puts finished pods into the status, takes their finalizers away, counts them, and finishes the job."""
    status, stamp = run.status, run.turn.stamp
    by_uid = {pod["metadata"]["uid"]: pod for pod in run.pods if plan.has_finalizer(pod)}
    _settle(run, [uid for kind in ("succeeded", "failed") for uid in _uncounted(run, kind) if uid not in by_uid])
    ended = _collect(run)
    if plan.is_indexed(run.job):
        _note_indexes(run)
    if (
        run.finish is not None
        and run.finish["type"] == "Failed"
        and not find(status.get("conditions"), "FailureTarget")
    ):
        _set(run, {**run.finish, "type": "FailureTarget"}, stamp)
    elif run.finish is not None and run.finish["type"] == "SuccessCriteriaMet":
        if not find(status.get("conditions"), "SuccessCriteriaMet"):
            _set(run, run.finish, stamp)
    if run.dirty:
        yield from _flush(run)
    yield from _remove_finalizers(run, ended)
    if _finish(run, stamp):
        run.dirty = True
    if run.dirty:
        yield from _flush(run)
    final = find(run.status.get("conditions"), "Complete") or find(run.status.get("conditions"), "Failed")
    if final is not None:
        run.again_us = None
        if final["type"] == "Complete":
            yield Record(run.job, "Normal", "Completed", "Job completed")
        else:
            yield Record(run.job, "Warning", final["reason"], final["message"])


def _set(run: Run, condition: Any, stamp: str) -> None:
    fresh = {**condition, "lastProbeTime": stamp, "lastTransitionTime": stamp}
    run.status["conditions"] = [*without(run.status.get("conditions"), condition["type"]), fresh]
    run.dirty = True


def _settle(run: Run, uids: list[str]) -> None:
    """Counts the uids whose pods have no finalizer any more (cleanUncountedPodsWithoutFinalizers)."""
    gone = set(uids)
    waiting: dict[str, list[str]] = {}
    for kind in ("succeeded", "failed"):
        listed = _uncounted(run, kind)
        left = [uid for uid in listed if uid not in gone]
        counted = len(listed) - len(left)
        if counted:
            run.status[kind] = run.status.get(kind, 0) + counted
            run.dirty = True
        if left:
            waiting[kind] = left
    run.status["uncountedTerminatedPods"] = waiting


def _collect(run: Run) -> list[Object]:
    """Puts newly finished pods into the status; returns those that may lose their finalizer."""
    done, failed = _uncounted(run, "succeeded"), _uncounted(run, "failed")
    known_done, known_failed = set(done), set(failed)
    finishing_badly = run.finish is not None and run.finish["type"] == "Failed"
    ended: list[Object] = []
    for pod in run.pods:
        if not plan.has_finalizer(pod) or len(done) + len(failed) >= UNCOUNTED_MAX:
            continue
        uid = pod["metadata"]["uid"]
        lost = plan.is_failed(run.job, pod)
        if phase(pod) == "Succeeded":
            ended.append(pod)
            if not plan.is_indexed(run.job) and uid not in known_done and uid not in known_failed:
                done.append(uid)
                run.dirty = True
        elif lost or (finishing_badly and is_terminating(pod)):
            ended.append(pod)
            if uid not in known_failed and _in_range(run, pod) and _counts_as_failure(run, pod):
                failed.append(uid)
                run.dirty = True
    waiting = {"succeeded": done, "failed": failed}
    run.status["uncountedTerminatedPods"] = {kind: uids for kind, uids in waiting.items() if uids}
    return ended


def _note_indexes(run: Run) -> None:
    text = plan.render_indexes(run.done)
    if run.status.get("completedIndexes", "") != text:
        run.status["completedIndexes"] = text
        run.status["succeeded"] = len(run.done)
        run.dirty = True
    if run.lost is not None:
        lost = plan.render_indexes(run.lost)
        if run.status.get("failedIndexes") != lost:
            run.status["failedIndexes"] = lost
            run.dirty = True


def _flush(run: Run) -> Generator[Action, Any, None]:
    always = ("ready", "terminating", "uncountedTerminatedPods", "failedIndexes")
    status = {key: value for key, value in run.status.items() if value or key in always}
    run.job = yield update_status(JOB.storage, run.job, status)
    run.dirty = False
    run.turn.memory["backoff", run.turn.key] = run.backoff


def _remove_finalizers(run: Run, pods: list[Object]) -> Generator[Action, Any, None]:
    """Raises the first refusal other than that the pod is gone."""
    if not pods:
        return
    namespace = run.job["metadata"]["namespace"]
    patches = tuple(Patch("pods", namespace, pod["metadata"]["name"], WITHOUT_FINALIZER) for pod in pods)
    released, failed = [], None
    for pod, answer in zip(pods, (yield Batch(patches)), strict=True):
        if not isinstance(answer, Exception) or (isinstance(answer, ApiError) and answer.code == 404):
            released.append(pod["metadata"]["uid"])
        else:
            failed = failed or answer
    _settle(run, released)
    if failed is not None:
        raise failed


def _finish(run: Run, stamp: str) -> bool:
    """The terminal condition, once nothing is left to count and no pod to wait for (enactJobFinished)."""
    finish = run.finish
    if finish is None or run.status.get("uncountedTerminatedPods") or run.terminating or run.running:
        return False
    if finish["type"] == "SuccessCriteriaMet":
        finish = {**finish, "type": "Complete"}
        run.status["completionTime"] = stamp
    _set(run, finish, stamp)
    return True


def release_orphan(turn: Turn) -> Steps:
    """A pod whose job is gone loses its finalizer (syncOrphanPod)."""
    _, namespace, name = turn.key
    pod = turn.view("pods").get(namespace, name)
    if pod is None or not plan.has_finalizer(pod):
        return None
    ref = controller_of(pod)
    if ref is not None and ref["kind"] == JOB.kind:
        job = yield from ignoring(Get(JOB.storage, namespace, ref["name"]), 404)
        if job is not None and job["metadata"]["uid"] == ref["uid"]:
            return None
    yield from ignoring(Patch("pods", namespace, name, WITHOUT_FINALIZER), 404)
    return None
