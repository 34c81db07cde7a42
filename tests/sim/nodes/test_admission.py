"""What a node refuses, and why."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.sim.nodes.admission import admit

NODE: dict[str, Any] = {
    "metadata": {"name": "w1", "labels": {"disk": "ssd", "size": "4"}},
    "status": {"allocatable": {"cpu": "2", "memory": "4Gi", "pods": "3", "ephemeral-storage": "10Gi"}},
}


def pod(cpu: str = "", **spec: Any) -> dict[str, Any]:
    container: dict[str, Any] = {"name": "c"}
    if cpu:
        container["resources"] = {"requests": {"cpu": cpu}}
    container.update(spec.pop("container", {}))
    return {"metadata": {"name": "p"}, "spec": {"containers": [container], **spec}}


def required(*expressions: dict[str, Any]) -> dict[str, Any]:
    terms = {"nodeSelectorTerms": [{"matchExpressions": list(expressions)}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


@pytest.mark.parametrize(
    ("asked", "others", "reason", "message"),
    [
        (pod("1500m"), [pod("600m")], "OutOfcpu", "cpu, requested: 1500, used: 600, capacity: 2000"),
        (pod("1000"), [], "OutOfcpu", "cpu, requested: 1000000, used: 0, capacity: 2000"),
        (pod(), [pod()] * 3, "OutOfpods", "pods, requested: 1, used: 3, capacity: 3"),
    ],
)
def test_a_node_that_is_full(asked: dict[str, Any], others: list[dict[str, Any]], reason: str, message: str) -> None:
    refusal = admit(asked, NODE, others)
    assert refusal is not None
    assert refusal == (reason, f"Node didn't have enough resource: {message}")


@pytest.mark.parametrize(
    ("spec", "fits"),
    [
        ({"nodeSelector": {"disk": "ssd"}}, True),
        ({"nodeSelector": {"disk": "hdd"}}, False),
        ({"affinity": required({"key": "disk", "operator": "In", "values": ["ssd", "x"]})}, True),
        ({"affinity": required({"key": "disk", "operator": "NotIn", "values": ["ssd"]})}, False),
        ({"affinity": required({"key": "none", "operator": "NotIn", "values": ["ssd"]})}, True),
        ({"affinity": required({"key": "size", "operator": "Gt", "values": ["3"]})}, True),
        ({"affinity": required({"key": "size", "operator": "Lt", "values": ["4"]})}, False),
        ({"affinity": required({"key": "disk", "operator": "Exists"})}, True),
        ({"affinity": required({"key": "disk", "operator": "DoesNotExist"})}, False),
    ],
)
def test_labels_decide(spec: dict[str, Any], fits: bool) -> None:
    refusal = admit(pod(**spec), NODE, [])
    assert (refusal is None) == fits
    if refusal is not None:
        assert refusal.reason == "NodeAffinity"


@pytest.mark.parametrize(
    ("mine", "theirs", "fits"),
    [
        ({"hostPort": 80}, {"hostPort": 80}, False),
        ({"hostPort": 80}, {"hostPort": 80, "protocol": "UDP"}, True),
        ({"hostPort": 80, "hostIP": "1.1.1.1"}, {"hostPort": 80, "hostIP": "2.2.2.2"}, True),
        ({"hostPort": 80, "hostIP": "1.1.1.1"}, {"hostPort": 80}, False),
        ({"containerPort": 80}, {"hostPort": 80}, True),
    ],
)
def test_a_host_port_is_taken_once(mine: dict[str, Any], theirs: dict[str, Any], fits: bool) -> None:
    first, second = (pod(container={"ports": [port]}) for port in (theirs, mine))
    refusal = admit(second, NODE, [first])
    assert (refusal is None) == fits
    if refusal is not None:
        assert refusal.reason == "NodePorts"


@given(st.lists(st.integers(0, 1500), max_size=12))
def test_what_runs_never_exceeds_what_there_is(requests: list[int]) -> None:
    placed: list[dict[str, Any]] = []
    for request in requests:
        asked = pod(f"{request}m")
        if admit(asked, NODE, placed) is None:
            placed.append(asked)
    total = sum(int(each["spec"]["containers"][0]["resources"]["requests"]["cpu"][:-1]) for each in placed)
    assert total <= 2000
    assert len(placed) <= 3
