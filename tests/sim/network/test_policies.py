"""What NetworkPolicies say of a connection."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.sim.network.policies import EGRESS, INGRESS, Connection, Peer, judge, types_of


def pod(namespace: str, **labels: str) -> dict[str, Any]:
    ports = [{"name": "http", "containerPort": 8080}]
    return {"metadata": {"namespace": namespace, "labels": labels}, "spec": {"containers": [{"ports": ports}]}}


WEB = Peer("10.244.0.5", pod("shop", app="web"), {"team": "red"})
CLIENT = Peer("10.244.1.6", pod("shop", app="client"), {"team": "red"})
STRANGER = Peer("10.244.1.7", pod("other", app="client"), {"team": "blue"})
OUTSIDE = Peer("198.51.100.9")


def policy(namespace: str = "shop", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p", "namespace": namespace}, "spec": {"podSelector": {}, **spec}}


def ingress(*rules: dict[str, Any]) -> dict[str, Any]:
    return policy(ingress=list(rules))


CLIENTS = {"podSelector": {"matchLabels": {"app": "client"}}}
BLUE = {"namespaceSelector": {"matchLabels": {"team": "blue"}}}


@pytest.mark.parametrize(
    ("rule", "source", "port", "protocol", "passes"),
    [
        pytest.param(None, CLIENT, 8080, "TCP", False, id="no-rule"),
        pytest.param({}, OUTSIDE, 8080, "TCP", True, id="empty-rule"),
        pytest.param({"from": [CLIENTS]}, CLIENT, 8080, "TCP", True, id="pods-of-the-namespace"),
        pytest.param({"from": [CLIENTS]}, STRANGER, 8080, "TCP", False, id="not-of-another-namespace"),
        pytest.param({"from": [BLUE]}, STRANGER, 8080, "TCP", True, id="namespace"),
        pytest.param({"from": [BLUE]}, CLIENT, 8080, "TCP", False, id="wrong-namespace"),
        pytest.param({"from": [{**BLUE, **CLIENTS}]}, STRANGER, 8080, "TCP", True, id="both"),
        pytest.param({"from": [{"namespaceSelector": {}}]}, STRANGER, 8080, "TCP", True, id="all-namespaces"),
        pytest.param({"from": [{"namespaceSelector": {}}]}, OUTSIDE, 8080, "TCP", False, id="outside-is-no-pod"),
        pytest.param({"from": [{"ipBlock": {"cidr": "198.51.0.0/16"}}]}, OUTSIDE, 8080, "TCP", True, id="block"),
        pytest.param(
            {"from": [{"ipBlock": {"cidr": "198.51.0.0/16", "except": ["198.51.100.0/24"]}}]},
            OUTSIDE,
            8080,
            "TCP",
            False,
            id="block-with-a-hole",
        ),
        pytest.param({"ports": [{"port": 8080}]}, OUTSIDE, 8080, "TCP", True, id="port"),
        pytest.param({"ports": [{"port": 8080}]}, OUTSIDE, 8081, "TCP", False, id="other-port"),
        pytest.param({"ports": [{"port": 8080}]}, OUTSIDE, 8080, "UDP", False, id="other-protocol"),
        pytest.param({"ports": [{"port": "http"}]}, OUTSIDE, 8080, "TCP", True, id="named-port"),
        pytest.param({"ports": [{"port": "metrics"}]}, OUTSIDE, 8080, "TCP", False, id="unknown-name"),
        pytest.param({"ports": [{"port": 8000, "endPort": 8100}]}, OUTSIDE, 8080, "TCP", True, id="range"),
        pytest.param({"ports": [{"protocol": "UDP"}]}, OUTSIDE, 53, "UDP", True, id="all-ports-of-a-protocol"),
        pytest.param({"from": [CLIENTS], "ports": [{"port": 80}]}, CLIENT, 8080, "TCP", False, id="peer-and-port"),
    ],
)
def test_what_a_pod_accepts(rule: dict[str, Any] | None, source: Peer, port: int, protocol: str, passes: bool) -> None:
    policies = [ingress(*([] if rule is None else [rule]))]
    assert judge(policies, INGRESS, Connection(source, WEB, protocol, port)).allowed is passes


def test_policies_add_up() -> None:
    connection = Connection(CLIENT, WEB, "TCP", 8080)
    verdict = judge([ingress(), ingress({"from": [CLIENTS]})], INGRESS, connection)
    assert verdict == (True, ("p", "p"))


def test_who_is_not_selected_is_free() -> None:
    connection = Connection(OUTSIDE, WEB, "TCP", 8080)
    other = policy(podSelector={"matchLabels": {"app": "db"}}, ingress=[])
    assert judge([other, policy("elsewhere", ingress=[])], INGRESS, connection) == (True, ())


@pytest.mark.parametrize(
    ("spec", "types"),
    [
        ({}, (INGRESS,)),
        ({"ingress": []}, (INGRESS,)),
        ({"egress": [{}]}, (INGRESS, EGRESS)),
        ({"policyTypes": ["Egress"]}, (EGRESS,)),
    ],
)
def test_directions(spec: dict[str, Any], types: tuple[str, ...]) -> None:
    assert types_of(policy(**spec)) == types


def test_egress_looks_at_the_sender() -> None:
    only_names = policy(policyTypes=["Egress"], egress=[{"ports": [{"port": 53, "protocol": "UDP"}]}])
    assert judge([only_names], EGRESS, Connection(CLIENT, OUTSIDE, "UDP", 53)).allowed
    assert not judge([only_names], EGRESS, Connection(CLIENT, OUTSIDE, "TCP", 443)).allowed
    assert judge([only_names], INGRESS, Connection(OUTSIDE, CLIENT, "TCP", 443)).allowed
