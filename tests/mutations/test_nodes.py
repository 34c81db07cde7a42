"""What nodes promise, and what goes wrong without it: lives go forward, containers wait for one another, grace is
given, no room is promised twice, and what is deleted gives its room back.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from seatrial.scenarios.testing import Broken, Faults, History, booted, judge
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import S
from seatrial.sim.kernel.clock import parse_stamp
from seatrial.sim.nodes import actions, admission, launch, report
from seatrial.sim.nodes.backoff import Backoff
from seatrial.sim.nodes.runtime import Runtime
from seatrial.sim.scheduler.cache import Cache

Patch = pytest.MonkeyPatch
CPUS = 2
"""Of the only worker, which the node's own share leaves all to pods."""


def pod(name: str, command: str, **spec: Any) -> dict[str, Any]:
    container = {"name": "main", "image": "busybox", "command": ["sh", "-c", command]}
    if "cpu" in spec:
        container["resources"] = {"requests": {"cpu": spec.pop("cpu")}}
    metadata = {"name": name, "labels": {"name": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container], **spec}}


def one_worker() -> Cluster:
    return booted({"nodes": 1, "node": {"cpus": CPUS}})


def phase_of(cluster: Cluster, name: str) -> str:
    found: str = cluster.get("pod", name)["status"]["phase"]
    return found


def lives_go_forward() -> None:
    cluster = one_worker()
    cluster.apply([pod("good", "sleep 3", restartPolicy="Never"), pod("bad", "sleep 3; exit 1", restartPolicy="Never")])
    cluster.advance("20s")
    Faults(cluster).add("kubelet-stop", lasts="5s", node="w1-k8s")
    cluster.advance("30s")
    judge(cluster)
    assert [phase_of(cluster, name) for name in ("good", "bad")] == ["Succeeded", "Failed"]


def restarts_add_up_and_wait_longer() -> None:
    cluster = one_worker()
    cluster.apply(pod("crash", "exit 1"))
    cluster.advance("6m")
    judge(cluster)
    starts = []
    for change in History(cluster.store).changes("pods"):
        for each in (change.obj.get("status") or {}).get("containerStatuses") or ():
            ended = each["state"].get("terminated") or each["lastState"].get("terminated")
            if change.obj["metadata"]["name"] == "crash" and ended and ended["startedAt"] not in starts:
                starts.append(ended["startedAt"])
    waits = [parse_stamp(other) - parse_stamp(one) for one, other in pairwise(starts)]
    assert len(waits) >= 4
    assert all(later >= earlier for earlier, later in pairwise(waits))
    assert waits[-1] >= 80 * S
    assert cluster.get("pod", "crash")["status"]["containerStatuses"][0]["restartCount"] == len(starts) - 1


def containers_wait_for_init_containers() -> None:
    cluster = one_worker()
    first = {"name": "first", "image": "busybox", "command": ["sleep", "5"]}
    beside = {"name": "beside", "image": "nginx", "restartPolicy": "Always"}
    cluster.apply(pod("w", "sleep 3600", initContainers=[first, beside]))
    cluster.advance("30s")
    judge(cluster)
    assert phase_of(cluster, "w") == "Running"


def grace_is_respected() -> None:
    cluster = one_worker()
    cluster.apply(pod("deaf", "trap '' TERM; while true; do sleep 1; done", terminationGracePeriodSeconds=8))
    cluster.advance("20s")
    cluster.delete("pod", "deaf")
    cluster.advance("5s")
    assert [each["status"]["phase"] for each in cluster.list("pods", "default")] == ["Running"]
    cluster.advance("15s")
    judge(cluster)
    assert not cluster.list("pods", "default")


def room_is_promised_once() -> None:
    cluster = one_worker()
    cluster.apply([pod(f"p-{number}", "sleep 3600", cpu="900m", nodeName="w1-k8s") for number in range(4)])
    cluster.advance("20s")
    judge(cluster)
    phases = sorted(each["status"]["phase"] for each in cluster.list("pods", "default"))
    assert phases == ["Failed", "Failed", "Running", "Running"]


def room_comes_back() -> None:
    cluster = one_worker()
    cluster.apply(
        [pod(f"p-{number}", "sleep 3600", cpu="900m", terminationGracePeriodSeconds=1) for number in range(3)]
    )
    cluster.advance("20s")
    judge(cluster)
    phases = {each["metadata"]["name"]: each["status"]["phase"] for each in cluster.list("pods", "default")}
    assert sorted(phases.values()) == ["Pending", "Running", "Running"]
    cluster.delete("pod", next(name for name, phase in phases.items() if phase == "Running"))
    cluster.advance("60s")
    judge(cluster)
    assert [each["status"]["phase"] for each in cluster.list("pods", "default")] == ["Running"] * 2


# --- mutations


def ended_counts_as_not_begun(patch: Patch) -> None:
    honest = report.phase

    def phase(pod: Any, init: Any, regular: Any, terminal: bool, initialized: bool) -> str:
        states = [each if "terminated" not in each["state"] else {**each, "state": {"waiting": {}}} for each in regular]
        return honest(pod, init, states, False, initialized)

    patch.setattr(report, "phase", phase)


def ends_are_forgotten(patch: Patch) -> None:
    create = Runtime.create_container

    def created(runtime: Any, config: Any, attempt: int, *more: Any) -> Any:
        return create(runtime, config, attempt % 3, *more)

    patch.setattr(Runtime, "create_container", created)


def back_off_stays_short(patch: Patch) -> None:
    patch.setattr(Backoff, "next", lambda backoff, key, event, now: backoff._entries.update({key: (10 * S, now)}))


def init_containers_are_not_waited_for(patch: Patch) -> None:
    init = actions._init

    def started(*arguments: Any) -> bool:
        init(*arguments)
        return True

    patch.setattr(actions, "_init", started)


def kills_at_once(patch: Patch) -> None:
    patch.setattr(launch, "grace_s", lambda pod: 0)


def takes_everybody(patch: Patch) -> None:
    patch.setattr(admission, "admit", lambda pod, node, others: None)


def keeps_what_is_gone(patch: Patch) -> None:
    patch.setattr(Cache, "remove_pod", lambda cache, uid: None)


RULES: tuple[tuple[Callable[[], None], Callable[[Patch], None]], ...] = (
    (lives_go_forward, ended_counts_as_not_begun),
    (restarts_add_up_and_wait_longer, ends_are_forgotten),
    (restarts_add_up_and_wait_longer, back_off_stays_short),
    (containers_wait_for_init_containers, init_containers_are_not_waited_for),
    (grace_is_respected, kills_at_once),
    (room_is_promised_once, takes_everybody),
    (room_comes_back, keeps_what_is_gone),
)
PROMISES = list(dict.fromkeys(holds for holds, _ in RULES))


@pytest.mark.parametrize("holds", PROMISES, ids=[holds.__name__ for holds in PROMISES])
def test_a_node_keeps_its_promise(holds: Callable[[], None]) -> None:
    holds()


@pytest.mark.parametrize(("holds", "mutate"), RULES, ids=[mutate.__name__ for _, mutate in RULES])
def test_a_mutant_of_a_node_is_caught(
    holds: Callable[[], None], mutate: Callable[[Patch], None], monkeypatch: Patch
) -> None:
    mutate(monkeypatch)
    with pytest.raises((AssertionError, Broken)):
        holds()
