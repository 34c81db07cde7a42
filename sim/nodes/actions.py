"""What has to be done so that a pod's containers become what its spec says: pure decisions.

Source: k8s.io/kubernetes/pkg/kubelet/kuberuntime/kuberuntime_manager.go (computePodActions) and
…/kuberuntime_container.go (computeInitContainerActions).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from seatrial.sim.nodes.cri import CREATED, EXITED, RUNNING, ContainerRecord, PodRecord
from seatrial.sim.nodes.spec import is_sidecar

Object = Mapping[str, Any]


class Kill(NamedTuple):
    """A container to be stopped."""

    record: ContainerRecord
    container: Object
    message: str
    reason: str = ""


class Actions(NamedTuple):
    """The next steps of a pod; containers in the order in which they start."""

    kill_pod: bool = False
    create_sandbox: bool = False
    attempt: int = 0
    kill: tuple[Kill, ...] = ()
    start: tuple[tuple[str, Object], ...] = ()
    """(field of the spec, container)."""


def rule_of(container: Object, exit_code: int) -> str | None:
    """What a container's own restart rules say of an exit code: their action, or None."""
    for rule in container.get("restartPolicyRules") or ():
        codes = rule.get("exitCodes") or {}
        inside = exit_code in (codes.get("values") or ())
        if inside == (codes.get("operator") == "In"):
            return str(rule.get("action"))
    return None


def restarts(pod: Object, container: Object, record: ContainerRecord | None) -> bool:
    """Whether a container is to be started, for the first time or again (ShouldContainerBeRestarted).

    One that was created and never started is, too: its machine or its runtime went away in between.
    """
    if record is None or record.state == CREATED:
        return True
    if record.state == RUNNING:
        return False
    if rule_of(container, record.exit_code) == "Restart":
        return True
    policy = container.get("restartPolicy") or pod["spec"].get("restartPolicy", "Always")
    return policy == "Always" or (policy == "OnFailure" and record.exit_code != 0)


def should_restart(pod: Object, container: Object, record: ContainerRecord | None) -> bool:
    """As ``restarts``, of a pod that may be on its way out."""
    return not pod["metadata"].get("deletionTimestamp") and restarts(pod, container, record)


def initialized(pod: Object, record: PodRecord) -> bool:
    """Whether a regular container of the pod was ever started (HasAnyRegularContainerStarted)."""
    regular = {container["name"] for container in pod["spec"]["containers"]}
    return any(found.name in regular and found.started_us for found in record.containers)


def compute(pod: Object, record: PodRecord, failed: Mapping[str, str], started: Mapping[str, bool]) -> Actions:
    """The next steps.

    ``failed`` maps containers to the probe that failed (liveness, startup); ``started`` tells which running sidecars
    have passed their startup probe.
    """
    sandbox = record.sandbox
    if sandbox is None or not sandbox.ready:
        return _from_nothing(pod, record)
    start: list[tuple[str, Object]] = []
    kill: list[Kill] = []
    ephemeral = pod["spec"].get("ephemeralContainers") or ()
    start += [("ephemeralContainers", container) for container in ephemeral if record.latest(container["name"]) is None]
    done = _init(pod, record, failed, started, start, kill)
    if done:
        _regular(pod, record, failed, start, kill)
    kill_pod = done and not start and _all_ended(pod, record) and bool(kill)
    return Actions(kill_pod=kill_pod, kill=tuple(kill), start=tuple(start))


def _from_nothing(pod: Object, record: PodRecord) -> Actions:
    spec = pod["spec"]
    regular = spec["containers"]
    attempt = 0 if record.sandbox is None else 1
    if attempt and spec.get("restartPolicy", "Always") != "Always":
        waiting = [c for c in regular if should_restart(pod, c, record.latest(c["name"]))]
        if record.containers and not waiting:
            return Actions(kill_pod=True)
        regular = waiting
    init = spec.get("initContainers") or ()
    first = (("initContainers", init[0]),) if init else tuple(("containers", c) for c in regular)
    return Actions(kill_pod=True, create_sandbox=True, attempt=attempt, start=first)


def _init(
    pod: Object,
    record: PodRecord,
    failed: Mapping[str, str],
    started: Mapping[str, bool],
    start: list[tuple[str, Object]],
    kill: list[Kill],
) -> bool:
    """Adds what init containers need; whether the regular ones may start."""
    was_initialized = initialized(pod, record)
    for container in pod["spec"].get("initContainers") or ():
        name = container["name"]
        latest = record.latest(name)
        sidecar = is_sidecar(container)
        if was_initialized and not sidecar:
            continue
        if latest is None:
            start.append(("initContainers", container))
            if not was_initialized:
                return False
        elif latest.state == RUNNING:
            if sidecar and name in failed:
                kill.append(Kill(latest, container, _probe_message(name, failed[name]), failed[name]))
                start.append(("initContainers", container))
            if was_initialized or (sidecar and started.get(name, True)):
                continue
            return False
        elif latest.state == EXITED and not sidecar and latest.exit_code == 0:
            continue
        elif should_restart(pod, container, latest):
            start.append(("initContainers", container))
            if not was_initialized:
                return False
        elif not was_initialized:
            return False
    return True


def _probe_message(name: str, probe: str) -> str:
    return f"Container {name} failed {probe} probe, will be restarted"


def _regular(
    pod: Object, record: PodRecord, failed: Mapping[str, str], start: list[tuple[str, Object]], kill: list[Kill]
) -> None:
    for container in pod["spec"]["containers"]:
        name = container["name"]
        latest = record.latest(name)
        if latest is None or latest.state != RUNNING:
            if should_restart(pod, container, latest):
                start.append(("containers", container))
        elif latest.asked != container.get("image", ""):
            kill.append(Kill(latest, container, f"Container {name} definition changed, will be restarted"))
            start.append(("containers", container))
        elif name in failed:
            policy = container.get("restartPolicy") or pod["spec"].get("restartPolicy", "Always")
            if policy == "Never":
                kill.append(Kill(latest, container, f"Container {name} failed {failed[name]} probe", failed[name]))
                continue
            kill.append(Kill(latest, container, _probe_message(name, failed[name]), failed[name]))
            start.append(("containers", container))


def _all_ended(pod: Object, record: PodRecord) -> bool:
    latest = (record.latest(container["name"]) for container in pod["spec"]["containers"])
    return all(found is not None and found.state == EXITED for found in latest)
