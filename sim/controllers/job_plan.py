"""What a Job decides about its pods: pure functions over objects.

Source: k8s.io/kubernetes/pkg/controller/job (job_controller.go, backoff_utils.go, pod_failure_policy.go,
success_policy.go, indexed_job_utils.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from seatrial.sim.apiserver.request import Object
from seatrial.sim.config import S
from seatrial.sim.controllers.podstate import condition, is_terminating, phase, sidecars
from seatrial.sim.kernel.clock import parse_stamp

FINALIZER = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"
FAILURE_COUNT = "batch.kubernetes.io/job-index-failure-count"
IGNORED_FAILURE_COUNT = "batch.kubernetes.io/job-index-ignored-failure-count"
BACKOFF_US, BACKOFF_MAX_US = 10 * S, 600 * S
"""First and longest wait before a failed pod is replaced."""

Rule = Mapping[str, Any]


class Match(NamedTuple):
    """What a failure policy makes of a failed pod."""

    counts: bool
    """Towards the back-off limit."""
    action: str | None
    message: str = ""
    """Of a failed job."""


# --- policies


def match_failure_policy(rules: Sequence[Rule] | None, pod: Object) -> Match:
    """matchPodFailurePolicy."""
    for index, rule in enumerate(rules or ()):
        action = rule["action"]
        if action not in ("FailJob", "FailIndex", "Ignore", "Count"):
            continue
        why = _matches_exit_codes(rule.get("onExitCodes"), pod) or _matches_conditions(rule.get("onPodConditions"), pod)
        if not why:
            continue
        message = f"{why} matching FailJob rule at index {index}" if action == "FailJob" else ""
        return Match(action != "Ignore", action, message)
    return Match(True, None)


def _pod_name(pod: Object) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _matches_exit_codes(requirement: Mapping[str, Any] | None, pod: Object) -> str:
    if requirement is None or requirement["operator"] not in ("In", "NotIn"):
        return ""
    status = pod.get("status") or {}
    wanted = requirement.get("values") or ()
    only = requirement.get("containerName")
    for each in (*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())):
        ended = (each.get("state") or {}).get("terminated")
        if ended is None or (only is not None and only != each["name"]):
            continue
        code = ended.get("exitCode", 0)
        if code != 0 and (code in wanted) == (requirement["operator"] == "In"):
            return f"Container {each['name']} for pod {_pod_name(pod)} failed with exit code {code}"
    return ""


def _matches_conditions(patterns: Sequence[Mapping[str, Any]] | None, pod: Object) -> str:
    for pattern in patterns or ():
        found = condition(pod, pattern["type"])
        if found is not None and found["status"] == pattern.get("status", "True"):
            return f"Pod {_pod_name(pod)} has condition {found['type']}"
    return ""


def match_success_policy(rules: Sequence[Rule] | None, completions: int, succeeded: Sequence[int]) -> str:
    """Why the job counts as a success before all indexes have succeeded; empty if it does not."""
    done = set(succeeded)
    for index, rule in enumerate(rules or ()):
        wanted = range(completions)
        named = rule.get("succeededIndexes")
        among = parse_indexes(named, completions) if named is not None else wanted
        found = sum(each in done for each in among)
        count = rule.get("succeededCount")
        if found and found >= (count if count is not None else len(among)):
            return f"Matched rules at index {index}"
    return ""


# --- indexes


def parse_indexes(text: str | None, completions: int) -> list[int]:
    """``0-2,5`` as numbers below ``completions``."""
    found: list[int] = []
    for part in (text or "").split(","):
        first, _, last = part.partition("-")
        if first.isdigit():
            top = int(last) if last.isdigit() else int(first)
            found.extend(range(int(first), min(top, completions - 1) + 1))
    return found


def render_indexes(indexes: Iterable[int]) -> str:
    """Ascending numbers as intervals."""
    parts: list[list[int]] = []
    for each in indexes:
        if parts and each == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], each]
        else:
            parts.append([each])
    return ",".join(str(part[0]) if len(part) == 1 else _interval(part) for part in parts)


def _interval(part: list[int]) -> str:
    first, last = part
    return f"{first},{last}" if last == first + 1 else f"{first}-{last}"


def index_of(pod: Object) -> int:
    """-1 for a pod without one."""
    text = (pod["metadata"].get("annotations") or {}).get(INDEX, "")
    return int(text) if text.isdigit() else -1


def is_indexed(job: Object) -> bool:
    return bool(job["spec"].get("completionMode") == "Indexed")


# --- pods


def has_finalizer(pod: Object) -> bool:
    return FINALIZER in (pod["metadata"].get("finalizers") or ())


def replaces_only_failed(job: Object) -> bool:
    return bool(job["spec"].get("podReplacementPolicy") == "Failed")


def is_failed(job: Object, pod: Object) -> bool:
    """Failed, or deleted before it could fail (isPodFailed)."""
    if phase(pod) == "Failed":
        return True
    if replaces_only_failed(job):
        return False
    return is_terminating(pod) and phase(pod) != "Succeeded"


def _containers_finished_at(pod: Object) -> int | None:
    """µs at which the last container ended; sidecars end after the others. None while one has not."""
    status, beside = pod.get("status") or {}, sidecars(pod)
    others = [each for each in status.get("initContainerStatuses") or () if each["name"] in beside]
    ends = []
    for each in (*(status.get("containerStatuses") or ()), *others):
        ended = (each.get("state") or {}).get("terminated")
        if ended is None or not ended.get("finishedAt"):
            return None
        ends.append(parse_stamp(ended["finishedAt"]))
    return max(ends, default=None)


def finished_at(pod: Object) -> int:
    """µs (getFinishedTime)."""
    ended = _containers_finished_at(pod)
    if ended is not None:
        return ended
    ready = condition(pod, "Ready")
    if ready is not None and ready["status"] == "False" and ready.get("lastTransitionTime"):
        return parse_stamp(ready["lastTransitionTime"])
    if is_terminating(pod):
        grace = pod["metadata"].get("deletionGracePeriodSeconds", 0)
        return parse_stamp(pod["metadata"]["deletionTimestamp"]) - int(grace) * S
    return parse_stamp(pod["metadata"]["creationTimestamp"])


# --- back-off


class Backoff(NamedTuple):
    """Failures of a job since its last success."""

    failures: int = 0
    last_us: int | None = None

    def after(self, succeeded_us: Sequence[int], failed_us: Sequence[int]) -> Backoff:
        """With newly finished pods, given when they finished (newBackoffRecord)."""
        last_success = max(succeeded_us, default=None)
        if last_success is None:
            counted, before = list(failed_us), self.failures
        else:
            counted, before = [each for each in failed_us if each > last_success], 0
        last = max(counted, default=self.last_us if last_success is None else None)
        return Backoff(before + len(counted), last)


def remaining(failures: int, since_last_us: int, base_us: int = BACKOFF_US, max_us: int = BACKOFF_MAX_US) -> int:
    """µs until the next pod may be created (getRemainingTimeForFailuresCount)."""
    if failures == 0:
        return 0
    wait = min(base_us << min(failures - 1, 40), max_us)
    return max(0, wait - since_last_us)


def index_failures(pod: Object) -> int:
    """How often the pod's index had failed before it."""
    text = (pod["metadata"].get("annotations") or {}).get(FAILURE_COUNT, "0")
    return int(text) if text.isdigit() else 0


def past_backoff_limit_on_failure(job: Object, pods: Iterable[Object]) -> bool:
    """Containers of OnFailure pods restarted too often (pastBackoffLimitOnFailure)."""
    spec = job["spec"]
    if spec["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    total = 0
    for pod in pods:
        if phase(pod) in ("Running", "Pending"):
            status = pod.get("status") or {}
            for each in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
                total += each.get("restartCount", 0)
    limit: int = spec.get("backoffLimit", 6)
    return total > 0 if limit == 0 else total >= limit


def wanted_active(job: Object, succeeded: int, active: int) -> int:
    """How many pods should run now."""
    spec = job["spec"]
    parallelism: int = spec.get("parallelism", 1)
    completions: int | None = spec.get("completions")
    if completions is None:
        return active if succeeded > 0 else parallelism
    return max(0, min(completions - succeeded, parallelism))
