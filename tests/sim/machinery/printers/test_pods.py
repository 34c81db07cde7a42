"""READY, STATUS and RESTARTS of a pod: which of its containers decides."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.sim.kernel.clock import parse_stamp
from seatrial.sim.machinery.printers import pods

NOW = parse_stamp("2026-01-01T01:00:00Z")


def waiting(reason: str, **more: Any) -> dict[str, Any]:
    return {"name": "c", "ready": False, "restartCount": 0, "state": {"waiting": {"reason": reason}}, **more}


def running(ready: bool = True, **more: Any) -> dict[str, Any]:
    return {"name": "c", "ready": ready, "restartCount": 0, "state": {"running": {}}, **more}


def ended(code: int = 0, **more: Any) -> dict[str, Any]:
    state = {"terminated": {"exitCode": code, **more}}
    return {"name": "c", "ready": False, "restartCount": 0, "state": state}


def crashed(count: int, at: str) -> dict[str, Any]:
    return {"restartCount": count, "lastState": {"terminated": {"exitCode": 1, "finishedAt": at}}}


READY, UNREADY = ({"type": "Ready", "status": text} for text in ("True", "False"))
INITIALIZED = {"type": "Initialized", "status": "True"}
GATED = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}
SIDECAR = {"name": "s", "restartPolicy": "Always"}


def pod(status: Any, inits: Any = (), containers: int = 1, deleting: bool = False) -> dict[str, Any]:
    metadata = {"name": "p", "creationTimestamp": "2026-01-01T00:58:00Z"}
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-01T00:59:00Z"
    spec = {"containers": [{"name": f"c{number}"} for number in range(containers)], "initContainers": list(inits)}
    return {"metadata": metadata, "spec": spec, "status": status}


TWO_INITS = ({"name": "i"}, {"name": "j"})
STATES: list[tuple[str, dict[str, Any], str, str]] = [
    ("new", pod({"phase": "Pending"}), "0/1", "Pending"),
    ("gated", pod({"phase": "Pending", "conditions": [GATED]}), "0/1", "SchedulingGated"),
    (
        "creating",
        pod({"phase": "Pending", "containerStatuses": [waiting("ContainerCreating")]}),
        "0/1",
        "ContainerCreating",
    ),
    ("running", pod({"phase": "Running", "containerStatuses": [running()]}), "1/1", "Running"),
    ("evicted", pod({"phase": "Failed", "reason": "Evicted"}), "0/1", "Evicted"),
    (
        "first of two init containers",
        pod({"phase": "Pending", "initContainerStatuses": [running(False), waiting("PodInitializing")]}, TWO_INITS),
        "0/1",
        "Init:0/2",
    ),
    (
        "init container in a crash loop",
        pod({"phase": "Pending", "initContainerStatuses": [waiting("CrashLoopBackOff")]}, TWO_INITS),
        "0/1",
        "Init:CrashLoopBackOff",
    ),
    (
        "init container failed",
        pod({"phase": "Pending", "initContainerStatuses": [ended(1)]}, TWO_INITS),
        "0/1",
        "Init:ExitCode:1",
    ),
    (
        "init container killed",
        pod({"phase": "Pending", "initContainerStatuses": [ended(137, signal=9)]}, TWO_INITS),
        "0/1",
        "Init:Signal:9",
    ),
    (
        "init containers done",
        pod(
            {"phase": "Running", "initContainerStatuses": [ended(), ended()], "containerStatuses": [running()]},
            TWO_INITS,
        ),
        "1/1",
        "Running",
    ),
    (
        "with a sidecar",
        pod(
            {
                "phase": "Running",
                "initContainerStatuses": [running(name="s", started=True)],
                "containerStatuses": [running()],
            },
            [SIDECAR],
        ),
        "2/2",
        "Running",
    ),
    ("done", pod({"phase": "Succeeded", "containerStatuses": [ended(reason="Completed")]}), "0/1", "Completed"),
    (
        "out of memory",
        pod({"phase": "Running", "containerStatuses": [ended(137, reason="OOMKilled")]}),
        "0/1",
        "OOMKilled",
    ),
    (
        "one of two failed",
        pod(
            {
                "phase": "Failed",
                "containerStatuses": [ended(reason="Completed"), ended(1, reason="Error")],
            },
            containers=2,
        ),
        "0/2",
        "Error",
    ),
    ("exited without a reason", pod({"phase": "Failed", "containerStatuses": [ended(2)]}), "0/1", "ExitCode:2"),
    (
        "one done, one ready",
        pod(
            {"phase": "Running", "conditions": [READY], "containerStatuses": [ended(reason="Completed"), running()]},
            containers=2,
        ),
        "1/2",
        "Running",
    ),
    (
        "one done, pod not ready",
        pod(
            {"phase": "Running", "conditions": [UNREADY], "containerStatuses": [ended(reason="Completed"), running()]},
            containers=2,
        ),
        "1/2",
        "NotReady",
    ),
    ("deleting", pod({"phase": "Running", "containerStatuses": [running()]}, deleting=True), "1/1", "Terminating"),
    (
        "deleting, but over",
        pod({"phase": "Succeeded", "containerStatuses": [ended(reason="Completed")]}, deleting=True),
        "0/1",
        "Completed",
    ),
    ("deleting on a lost node", pod({"phase": "Running", "reason": "NodeLost"}, deleting=True), "0/1", "Unknown"),
]


@pytest.mark.parametrize(("obj", "ready", "text"), [row[1:] for row in STATES], ids=[row[0] for row in STATES])
def test_the_state_of_a_pod(obj: dict[str, Any], ready: str, text: str) -> None:
    assert pods.pod(obj, NOW)[1:3] == [ready, text]


def test_restarts_say_when_the_last_one_was() -> None:
    statuses = [
        running(**crashed(2, "2026-01-01T00:59:20Z")),
        running(**crashed(1, "2026-01-01T00:59:48Z")),
    ]
    obj = pod({"phase": "Running", "containerStatuses": statuses}, containers=2)
    assert pods.pod(obj, NOW)[3:5] == ["3 (12s ago)", "2m"]


def test_restarts_of_init_containers_count_until_they_are_done() -> None:
    status = {"phase": "Pending", "initContainerStatuses": [waiting("CrashLoopBackOff", restartCount=4)]}
    assert pods.pod(pod(status, TWO_INITS), NOW)[3] == "4"
    status = {**status, "conditions": [INITIALIZED], "containerStatuses": [running(restartCount=1)]}
    assert pods.pod(pod(status, TWO_INITS), NOW)[3] == "1"


def test_readiness_gates_are_counted() -> None:
    obj = pod({"phase": "Running", "conditions": [{"type": "x", "status": "True"}, {"type": "y", "status": "False"}]})
    obj["spec"]["readinessGates"] = [{"conditionType": "x"}, {"conditionType": "y"}]
    assert pods.pod(obj, NOW)[8] == "1/2"
