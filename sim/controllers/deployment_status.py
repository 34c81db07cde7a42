"""The status of a Deployment: counts, and the conditions Available, Progressing and ReplicaFailure.

Source: k8s.io/kubernetes/pkg/controller/deployment (sync.go calculateStatus, progress.go) and util/deployment_util.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seatrial.sim.apiserver.request import Object
from seatrial.sim.config import S
from seatrial.sim.controllers import conditions
from seatrial.sim.controllers.deployment_plan import INT32_MAX, count, limits, replicas, status_count, terminating_count
from seatrial.sim.kernel.clock import parse_stamp

PROGRESSING, AVAILABLE, REPLICA_FAILURE = "Progressing", "Available", "ReplicaFailure"
DONE, TIMED_OUT = "NewReplicaSetAvailable", "ProgressDeadlineExceeded"
OBJECT_SET = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas")

Status = Mapping[str, Any]
Objects = Sequence[Object | None]


def condition(type_: str, status: str, reason: str, message: str, stamp: str) -> dict[str, Any]:
    return {
        "type": type_,
        "status": status,
        "lastUpdateTime": stamp,
        "lastTransitionTime": stamp,
        "reason": reason,
        "message": message,
    }


def deadline_s(deployment: Object) -> int | None:
    """None for a deployment without one (HasProgressDeadline)."""
    seconds = deployment["spec"].get("progressDeadlineSeconds")
    return None if seconds is None or seconds == INT32_MAX else seconds


def calculate(deployment: Object, sets: Objects, new: Object | None, stamp: str) -> dict[str, Any]:
    """Counts, and whether the deployment is available."""
    before = deployment.get("status") or {}
    available = status_count(sets, "availableReplicas")
    counts = {
        "observedGeneration": deployment["metadata"].get("generation", 0),
        "replicas": status_count(sets, "replicas"),
        "updatedReplicas": status_count([new], "replicas"),
        "readyReplicas": status_count(sets, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, count(sets) - available),
    }
    status: dict[str, Any] = conditions.compact(counts)
    terminating = terminating_count(sets)
    if terminating is not None:
        status["terminatingReplicas"] = terminating
    if "collisionCount" in before:
        status["collisionCount"] = before["collisionCount"]
    _, unavailable = limits(deployment)
    if available >= replicas(deployment) - unavailable:
        reached = condition(
            AVAILABLE, "True", "MinimumReplicasAvailable", "Deployment has minimum availability.", stamp
        )
    else:
        text = "Deployment does not have minimum availability."
        reached = condition(AVAILABLE, "False", "MinimumReplicasUnavailable", text, stamp)
    status["conditions"] = conditions.put_last(before.get("conditions"), reached)
    return status


def complete(deployment: Object, status: Status) -> bool:
    """Everything is new, there and available (DeploymentComplete)."""
    wanted = replicas(deployment)
    observed: bool = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    counts = ("updatedReplicas", "replicas", "availableReplicas")
    return observed and all(status.get(field, 0) == wanted for field in counts)


def progressing(deployment: Object, new: Status) -> bool:
    """Something got better since the stored status (DeploymentProgressing)."""
    old = deployment.get("status") or {}

    def rose(field: str) -> bool:
        higher: bool = new.get(field, 0) > old.get(field, 0)
        return higher

    def outdated(status: Status) -> int:
        left: int = status.get("replicas", 0) - status.get("updatedReplicas", 0)
        return left

    return (
        rose("updatedReplicas") or outdated(new) < outdated(old) or rose("readyReplicas") or rose("availableReplicas")
    )


def timed_out(deployment: Object, status: Status, now: int) -> bool:
    """No progress within the deadline (DeploymentTimedOut)."""
    seconds = deadline_s(deployment)
    current = conditions.find(status.get("conditions"), PROGRESSING)
    if seconds is None or current is None or current["reason"] == DONE:
        return False
    if current["reason"] == TIMED_OUT:
        return True
    return parse_stamp(current["lastUpdateTime"]) + seconds * S < now


def rollout(deployment: Object, sets: Objects, new: Object | None, stamp: str, now: int) -> dict[str, Any]:
    """The status of a rollout under way (syncRolloutStatus)."""
    status = calculate(deployment, sets, new, stamp)
    seconds = deadline_s(deployment)
    if seconds is None:
        status["conditions"] = conditions.without(status["conditions"], PROGRESSING)
    current = conditions.find((deployment.get("status") or {}).get("conditions"), PROGRESSING)
    settled = (
        status.get("replicas", 0) == status.get("updatedReplicas", 0)
        and current is not None
        and current["reason"] == DONE
    )
    if seconds is not None and not settled:
        status["conditions"] = _progress(deployment, status, new, current, stamp, now)
    failure = _failure(sets, new)
    if failure is not None:
        status["conditions"] = conditions.put_last(status["conditions"], failure)
    else:
        status["conditions"] = conditions.without(status["conditions"], REPLICA_FAILURE)
    return status


def _progress(
    deployment: Object, status: Status, new: Object | None, current: Any, stamp: str, now: int
) -> list[Mapping[str, Any]]:
    what = f'ReplicaSet "{new["metadata"]["name"]}"' if new else f'Deployment "{deployment["metadata"]["name"]}"'
    listed: list[Mapping[str, Any]] = status["conditions"]
    if complete(deployment, status):
        text = f"{what} has successfully progressed."
        return conditions.put_last(listed, condition(PROGRESSING, "True", DONE, text, stamp))
    if progressing(deployment, status):
        fresh = condition(PROGRESSING, "True", "ReplicaSetUpdated", f"{what} is progressing.", stamp)
        if current is not None and current["status"] == "True":
            fresh["lastTransitionTime"] = current["lastTransitionTime"]
        return [*conditions.without(listed, PROGRESSING), fresh]
    if timed_out(deployment, status, now):
        text = f"{what} has timed out progressing."
        return conditions.put_last(listed, condition(PROGRESSING, "False", TIMED_OUT, text, stamp))
    return listed


def _failure(sets: Objects, new: Object | None) -> dict[str, Any] | None:
    """The first failure to create or delete pods, the new set's before the old ones' (getReplicaFailures)."""
    for each in (new, *sets):
        found = conditions.find((each.get("status") or {}).get("conditions"), REPLICA_FAILURE) if each else None
        if found is not None:
            return {
                **condition(REPLICA_FAILURE, found["status"], found["reason"], found["message"], ""),
                **{
                    "lastUpdateTime": found["lastTransitionTime"],
                    "lastTransitionTime": found["lastTransitionTime"],
                },
            }
    return None


def stuck_in(deployment: Object, status: Status, now: int) -> int | None:
    """µs until the deadline has to be looked at again; None when it does not matter (requeueStuckDeployment)."""
    seconds = deadline_s(deployment)
    current = conditions.find((deployment.get("status") or {}).get("conditions"), PROGRESSING)
    if seconds is None or current is None or current["reason"] == TIMED_OUT or complete(deployment, status):
        return None
    left = parse_stamp(current["lastUpdateTime"]) + seconds * S - now
    return max(left, 0) + S
