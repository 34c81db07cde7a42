"""Safety of pods' lives on their nodes: what a kubelet may report, and what it may run.

Source: kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle and the comments of PodStatus. *Not modelled*: init
containers that run anew after a machine's restart take their pod back to Pending, as upstream, so pods that have any
are not held to it; resources other than CPU and memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from seatrial.sim.config import S
from seatrial.sim.history import World
from seatrial.sim.invariants.reading import NODES, PODS, called, requests
from seatrial.sim.invariants.rules import Rule
from seatrial.sim.kernel.clock import parse_stamp
from seatrial.sim.machinery.quantity import parse as quantity
from seatrial.sim.store.log import Change

Object = Mapping[str, Any]
Wrong = Iterator[str]

ENDED = ("Succeeded", "Failed")
LISTS = ("initContainerStatuses", "containerStatuses")
KILLED = 137
"""The exit code of what was ended by SIGKILL."""
ROUNDED_US = 1 * S
"""Times of objects are whole seconds."""


def phase(pod: Object) -> str:
    found: str = (pod.get("status") or {}).get("phase", "")
    return found


def statuses(pod: Object, field: str) -> dict[str, Object]:
    """Container statuses by name."""
    return {each["name"]: each for each in (pod.get("status") or {}).get(field) or ()}


def phases_go_forward(change: Change, world: World) -> Wrong:
    """A pod that has ended stays as it ended, and one that ran does not wait again."""
    if change.verb != "MODIFIED" or change.old is None:
        return
    before, after = phase(change.old), phase(change.obj)
    back = before == "Running" and after == "Pending" and not change.obj["spec"].get("initContainers")
    if back or (before in ENDED and after != before):
        yield f"{called(change.obj)} was {before} and is {after}"


def restarts_add_up(change: Change, world: World) -> Wrong:
    if change.verb != "MODIFIED" or change.old is None:
        return
    for field in LISTS:
        before = statuses(change.old, field)
        for name, each in statuses(change.obj, field).items():
            known = before.get(name, each)["restartCount"]
            if each["restartCount"] < known:
                yield f"{name} of {called(change.obj)} had restarted {known} times, now {each['restartCount']}"


def init_containers_come_first(change: Change, world: World) -> Wrong:
    """No container runs before those that prepare for it have ended well; sidecars have to have started."""
    if change.verb == "DELETED":
        return
    running = [name for name, each in statuses(change.obj, LISTS[1]).items() if "running" in each["state"]]
    done = statuses(change.obj, LISTS[0])
    for container in change.obj["spec"].get("initContainers") or () if running else ():
        state = done[container["name"]]["state"] if container["name"] in done else {}
        beside = container.get("restartPolicy") == "Always"
        if not beside and (state.get("terminated") or {}).get("exitCode") != 0:
            yield f"{running[0]} of {called(change.obj)} runs before {container['name']} has ended: {state}"
        if beside and "waiting" in state and not done[container["name"]]["restartCount"]:
            yield f"{running[0]} of {called(change.obj)} runs before {container['name']} has started"


def grace_is_given(change: Change, world: World) -> Wrong:
    """A container of a pod that is deleted is not killed before its time is up."""
    if change.verb != "MODIFIED" or change.old is None or "deletionTimestamp" not in change.old["metadata"]:
        return
    if (change.obj.get("status") or {}).get("reason") or "deletionTimestamp" not in change.obj["metadata"]:
        return
    before = statuses(change.old, LISTS[1])
    due = parse_stamp(change.obj["metadata"]["deletionTimestamp"])
    for name, each in statuses(change.obj, LISTS[1]).items():
        ended = each["state"].get("terminated") or {}
        if ended.get("exitCode") != KILLED or ended.get("reason") != "Error" or not ended.get("finishedAt"):
            continue
        ran = "running" in (before.get(name) or {"state": {}})["state"]
        if ran and parse_stamp(ended["finishedAt"]) + ROUNDED_US < due:
            yield f"{name} of {called(change.obj)} was killed at {ended['finishedAt']}, before its time"


def nodes_run_what_they_hold(change: Change, world: World) -> Wrong:
    """What runs on a node asks together for no more than there is, whoever put it there."""
    if change.verb != "MODIFIED" or phase(change.obj) != "Running" or phase(change.old or {}) == "Running":
        return
    name = change.obj["spec"].get("nodeName", "")
    node = world.get(NODES, "", name)
    allocatable = ((node or {}).get("status") or {}).get("allocatable") or {}
    running = [pod for pod in world.list(PODS) if pod["spec"].get("nodeName") == name and phase(pod) == "Running"]
    for resource in ("cpu", "memory"):
        asked = sum(requests(pod, resource) for pod in running)
        if resource in allocatable and asked > quantity(allocatable[resource]).milli_value():
            yield f"{name} runs pods that ask for {asked}m {resource}, more than {allocatable[resource]}"


LIVES: tuple[Rule, ...] = (
    Rule("phases go forward", phases_go_forward, (PODS,)),
    Rule("restarts add up", restarts_add_up, (PODS,)),
    Rule("init containers come first", init_containers_come_first, (PODS,)),
    Rule("grace is given", grace_is_given, (PODS,)),
    Rule("nodes run what they hold", nodes_run_what_they_hold, (PODS,)),
)
"""What holds of every pod that a node has taken."""
