"""What of a pod the scheduler counts."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.sim.scheduler.intake import same_wishes
from seatrial.sim.scheduler.podinfo import Intern, pod_requests, traits_key
from tests.sim.scheduler.building import pod

GI = 1 << 30
SIDECAR = {"restartPolicy": "Always"}


def asks(name: str = "c", **requests: str) -> dict[str, Any]:
    return {"name": name, "image": "i", "resources": {"requests": requests}}


REQUESTS = [
    ({"containers": [asks(cpu="100m"), asks(cpu="1", memory="1Gi")]}, {"cpu": 1100, "memory": GI}),
    ({"containers": [asks(cpu="1")], "initContainers": [asks(cpu="3"), asks(cpu="2")]}, {"cpu": 3000}),
    ({"containers": [asks(cpu="1")], "initContainers": [{**asks(cpu="2"), "restartPolicy": "Always"}]}, {"cpu": 3000}),
    (
        {
            "containers": [asks(cpu="1")],
            "initContainers": [{**asks(cpu="1"), "restartPolicy": "Always"}, asks(cpu="3")],
        },
        {"cpu": 4000},
    ),
    ({"containers": [asks(cpu="1")], "overhead": {"cpu": "250m"}}, {"cpu": 1250}),
    ({"containers": [asks(cpu="1")], "resources": {"requests": {"cpu": "3"}}}, {"cpu": 3000}),
    ({"containers": [asks(**{"example.com/gpu": "2"})]}, {"example.com/gpu": 2}),
    ({"containers": [asks(memory="100m")]}, {"memory": 1}),
]


@pytest.mark.parametrize(("spec", "expected"), REQUESTS)
def test_requests_add_up(spec: dict[str, Any], expected: dict[str, int]) -> None:
    assert pod_requests(spec) == expected


@pytest.mark.parametrize(
    ("spec_cpu", "allocated", "conditions", "expected"),
    [
        ("1", "1", [], 1000),
        ("1", "3", [], 3000),
        ("3", "1", [], 3000),
        ("9", "1", [{"type": "PodResizePending", "reason": "Infeasible"}], 1000),
        ("9", "1", [{"type": "PodResizePending", "reason": "Deferred"}], 9000),
    ],
    ids=["at rest", "shrinking", "growing", "infeasible", "deferred"],
)
def test_a_pod_being_resized_holds_the_most_of_what_it_has_and_wants(
    spec_cpu: str, allocated: str, conditions: list[Any], expected: int
) -> None:
    resized = pod("p", cpu=spec_cpu)
    holds = {"name": "c", "allocatedResources": {"cpu": allocated}, "resources": {"requests": {"cpu": allocated}}}
    resized["status"] = {"containerStatuses": [holds], "conditions": conditions}
    assert Intern().info(resized, placed=True).traits.requests == {"cpu": expected}


def test_pods_of_one_template_share_their_traits() -> None:
    intern = Intern()
    token = [{"name": f"kube-api-access-{suffix}", "projected": {}} for suffix in ("a", "b")]
    first, second = (intern.info(pod(f"web-{n}", cpu="1", volumes=[token[n]])) for n in range(2))
    assert first.traits is second.traits
    assert intern.info(pod("web-3", cpu="2")).traits is not first.traits


def test_the_node_of_a_placed_pod_is_no_trait() -> None:
    bound, free = pod("a", cpu="1", nodeName="n1"), pod("b", cpu="1")
    assert traits_key(bound, placed=True) == traits_key(free)
    assert traits_key(bound) != traits_key(free)


def test_a_pod_without_a_node_wants_none_though_its_like_had_one_when_the_scheduler_started() -> None:
    intern = Intern()
    assert intern.info({**pod("a"), "spec": {**pod("a")["spec"], "nodeName": "n1"}}, placed=True).traits.node_name == ""
    assert intern.info(pod("b")).traits.node_name == ""


def test_host_ports_of_containers_and_sidecars_count() -> None:
    ports = [{"containerPort": 1, "hostPort": 80}, {"containerPort": 2}, {"hostPort": 53, "protocol": "UDP"}]
    sidecar = {"name": "s", "restartPolicy": "Always", "ports": [{"hostPort": 81, "hostIP": "127.0.0.1"}]}
    once = {"name": "i", "ports": [{"hostPort": 82}]}
    info = Intern().info(pod("p", containers=[{"name": "c", "ports": ports}], initContainers=[sidecar, once]))
    assert info.traits.host_ports == (("127.0.0.1", "TCP", 81), ("0.0.0.0", "TCP", 80), ("0.0.0.0", "UDP", 53))


CONTAINERS: list[Any] = [{"name": "c"}]


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ({"containers": CONTAINERS}, {"containers": CONTAINERS}, True),
        ({"containers": CONTAINERS}, {"containers": CONTAINERS, "nodeName": "n"}, True),
        ({"containers": CONTAINERS}, {"nodeName": "n", "containers": CONTAINERS}, True),
        ({"containers": CONTAINERS, "nodeName": "n"}, {"containers": CONTAINERS, "nodeName": "m"}, False),
        ({"containers": CONTAINERS}, {"containers": [{"name": "d"}], "nodeName": "n"}, False),
        ({"containers": CONTAINERS}, {"containers": CONTAINERS, "priority": 1}, False),
        ({"containers": CONTAINERS, "priority": 1}, {"containers": CONTAINERS, "nodeName": "n"}, False),
    ],
)
def test_a_pod_that_got_its_node_wishes_what_it_wished(before: Any, after: Any, same: bool) -> None:
    assert same_wishes(before, after) == same
