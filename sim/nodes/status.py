"""The status of a pod as the kubelet reports it: a pure function of spec, runtime, probes and earlier report.

Source: k8s.io/kubernetes/pkg/kubelet/kubelet_pods.go (generateAPIPodStatus, convertToAPIContainerStatuses, getPhase)
and …/pkg/kubelet/status/generate.go. Not modelled: ``user`` and ``allocatedResourcesStatus`` of a container, which
depend on the runtime's version and on devices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from seatrial.sim.kernel.clock import stamp_of
from seatrial.sim.nodes.actions import restarts, should_restart
from seatrial.sim.nodes.cri import CREATED, EXITED, RUNNING, ContainerRecord, PodRecord
from seatrial.sim.nodes.spec import is_sidecar

Object = Mapping[str, Any]
Reasons = Mapping[str, tuple[str, str]]
"""Container name → why its last start failed: reason and message (the kubelet's reason cache)."""

TERMINAL = ("Failed", "Succeeded")


class Probed(NamedTuple):
    """What the probes say of a running container."""

    started: bool
    ready: bool


STARTED_AND_READY = Probed(True, True)


def terminated(record: ContainerRecord) -> dict[str, Any]:
    """A ContainerStateTerminated."""
    state: dict[str, Any] = {"exitCode": record.exit_code, "reason": record.reason}
    if record.message:
        state["message"] = record.message
    state["startedAt"] = stamp_of(record.started_us) if record.started_us else None
    state["finishedAt"] = stamp_of(record.finished_us)
    state["containerID"] = f"containerd://{record.id}"
    return state


def _state(record: ContainerRecord) -> dict[str, Any]:
    if record.state == RUNNING:
        return {"running": {"startedAt": stamp_of(record.started_us)}}
    if record.state == EXITED:
        return {"terminated": terminated(record)}
    return {"waiting": {"reason": "ContainerCreating"}}


def _mounts(container: Object) -> list[dict[str, Any]]:
    mounts = []
    for mount in container.get("volumeMounts") or ():
        shown = {"name": mount["name"], "mountPath": mount["mountPath"]}
        if mount.get("readOnly"):
            shown["readOnly"] = True
            shown["recursiveReadOnly"] = mount.get("recursiveReadOnly", "Disabled")
        mounts.append(shown)
    return mounts


class Containers(NamedTuple):
    """What the container statuses of one list are made from."""

    pod: Object
    record: PodRecord
    old: Mapping[str, Object]
    reasons: Reasons
    probed: Mapping[str, Probed]
    allocated: Mapping[str, Object]
    init_done: bool


def container_status(facts: Containers, container: Object, kind: str) -> dict[str, Any]:
    """One ContainerStatus; ``kind`` is init, regular or ephemeral."""
    name = container["name"]
    status: dict[str, Any] = {"name": name}
    found = [record for record in facts.record.containers if record.name == name][:2]
    latest = found[0] if found else None
    if latest is not None:
        status["state"] = _state(latest)
    else:
        waits = kind != "init" and facts.pod["spec"].get("initContainers") and not facts.init_done
        waiting = "PodInitializing" if waits or kind == "init" else "ContainerCreating"
        status["state"] = {"waiting": {"reason": waiting}}
    status["lastState"] = {}
    if len(found) > 1 and found[1].state == EXITED:
        status["lastState"] = {"terminated": terminated(found[1])}
    status["ready"] = False
    old = facts.old.get(name)
    status["restartCount"] = latest.attempt if latest is not None else (old or {}).get("restartCount", 0)
    if latest is not None:
        status["image"], status["imageID"] = latest.image, latest.image_ref
        status["containerID"] = f"containerd://{latest.id}"
    else:
        status["image"], status["imageID"] = container.get("image", ""), ""
        if old is not None:
            _vanished(status, old)
    if kind != "ephemeral":
        status["started"] = False
    _waiting(facts, container, kind, status)
    running = "running" in status["state"]
    if running and kind != "ephemeral":
        probed = facts.probed.get(name, STARTED_AND_READY)
        status["started"] = probed.started
        if kind == "regular" or is_sidecar(container):
            status["ready"] = probed.started and probed.ready
    if kind == "init" and not is_sidecar(container):
        status["ready"] = latest is not None and latest.state == EXITED and latest.exit_code == 0
    if latest is not None and latest.state != CREATED:
        _resources(facts, container, latest, status)
    mounts = _mounts(container)
    if mounts:
        status["volumeMounts"] = mounts
    return status


def _vanished(status: dict[str, Any], old: Object) -> None:
    """A container that was reported and is no longer there: after a kubelet's or a machine's restart."""
    state = old.get("state") or {}
    status["lastState"] = old.get("lastState") or {}
    if "terminated" in state:
        status["state"] = state
        for key in ("image", "imageID", "containerID"):
            if key in old:
                status[key] = old[key]
    elif "running" in state:
        status["lastState"] = {
            "terminated": {
                "exitCode": 137,
                "reason": "ContainerStatusUnknown",
                "message": "The container could not be located when the pod was deleted.  "
                "The container used to be Running",
                "startedAt": None,
                "finishedAt": None,
            }
        }
        status["restartCount"] = old.get("restartCount", 0) + 1


def _waiting(facts: Containers, container: Object, kind: str, status: dict[str, Any]) -> None:
    """What failed to start and is to be started again is Waiting, with the reason."""
    name = container["name"]
    latest = facts.record.latest(name)
    if kind == "ephemeral" and latest is not None:
        return
    if kind == "init" and latest is not None and latest.state == EXITED and latest.exit_code == 0:
        return
    if not should_restart(facts.pod, container, latest):
        return
    reason = facts.reasons.get(name)
    if reason is None:
        return
    if "terminated" in status["state"]:
        status["lastState"] = status["state"]
    status["state"] = {"waiting": {"reason": reason[0], "message": reason[1]} if reason[1] else {"reason": reason[0]}}


def _resources(facts: Containers, container: Object, record: ContainerRecord, status: dict[str, Any]) -> None:
    requests = (facts.allocated.get(record.name) or container.get("resources") or {}).get("requests")
    if requests:
        status["allocatedResources"] = dict(requests)
    status["resources"] = record.resources


def phase(pod: Object, init: Sequence[Object], regular: Sequence[Object], terminal: bool, initialized: bool) -> str:
    """The pod's phase from its container statuses (getPhase)."""
    spec = pod["spec"]
    policy = spec.get("restartPolicy", "Always")
    sidecars = {c["name"] for c in spec.get("initContainers") or () if is_sidecar(c)}
    pending_init = failed_init = 0
    for status in init:
        state, last = status["state"], status.get("lastState") or {}
        if status["name"] in sidecars:
            if "terminated" in state and terminal:
                continue
            pending_init += not status.get("started") and "running" not in state
        elif "terminated" in state:
            failed_init += state["terminated"]["exitCode"] != 0
        elif "waiting" in state and "terminated" in last:
            if last["terminated"]["exitCode"] != 0:
                failed_init += 1
            else:
                pending_init += 1
        else:
            pending_init += 1
    if len(init) < len(spec.get("initContainers") or ()):
        pending_init += 1
    if failed_init and policy == "Never":
        return "Failed"
    if (pending_init or failed_init) and not initialized and not terminal:
        return "Pending"
    return _regular_phase(regular, len(spec["containers"]), policy, terminal)


def _regular_phase(statuses: Sequence[Object], expected: int, policy: str, terminal: bool) -> str:
    running = waiting = stopped = succeeded = 0
    unknown = expected - len(statuses)
    for status in statuses:
        state = status["state"]
        if "running" in state:
            running += 1
        elif "terminated" in state:
            stopped += 1
            succeeded += state["terminated"]["exitCode"] == 0
        elif "terminated" in (status.get("lastState") or {}):
            stopped += 1
        else:
            waiting += 1
    if terminal:
        return "Succeeded" if succeeded == expected and not running else "Failed"
    if waiting:
        return "Pending"
    if running and not unknown:
        return "Running"
    if stopped and not unknown:
        if policy == "Always":
            return "Running"
        if stopped == succeeded:
            return "Succeeded"
        return "Failed" if policy == "Never" else "Running"
    return "Pending"


def pod_restarts(pod: Object, record: PodRecord) -> bool:
    """Whether some container of an ended pod would be started again."""
    return any(restarts(pod, c, record.latest(c["name"])) for c in pod["spec"]["containers"])
