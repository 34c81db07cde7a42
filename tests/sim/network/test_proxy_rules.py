"""The rules for a service and its endpoints are those that a real kube-proxy wrote on node w1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from seatrial.sim.network import iptables
from seatrial.sim.network.proxy_rules import Place, assemble, fragment
from seatrial.sim.network.servicemap import SERVICE_LABEL, choose, endpoints_of, service_ports

DATA = Path(__file__).resolve().parents[2] / "data" / "network"
PLACE = Place("w1", "10.244.0.0/16")
BALANCER_IP = "203.0.113.50"
"""What the cluster in which the rules were written gave its load balancer."""


def service(name: str, namespace: str, ip: str, port: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"clusterIP": ip, "ports": [port]}}


def others(text: str) -> list[dict[str, Any]]:
    """The cluster's other services, as the dump tells of them: what they were is not under test."""
    found = [service("kubernetes", "default", "10.96.0.1", {"name": "https", "port": 443})]
    found.append(service("a", "t-kubelet-stop", "10.97.222.143", {"port": 80}))
    addresses = [line.split("--to-destination ")[1][:-3] for line in text.splitlines() if line.endswith(":80")]
    found.append(
        {
            "metadata": {"namespace": "t-kubelet-stop", "labels": {SERVICE_LABEL: "a"}},
            "ports": [{"name": "", "port": 80}],
            "endpoints": [{"addresses": [address], "nodeName": "w1"} for address in addresses],
        }
    )
    return found


def ruleset(objects: list[dict[str, Any]], place: Place = PLACE) -> iptables.Ruleset:
    slices = [each for each in objects if "endpoints" in each]
    ports = [port for each in objects if "spec" in each for port in service_ports(each)]
    fragments = []
    for port in sorted(ports, key=str):
        own = [
            each
            for each in slices
            if each["metadata"]["labels"][SERVICE_LABEL] == port.name
            and each["metadata"]["namespace"] == port.namespace
        ]
        endpoints = endpoints_of(own, port.port_name, port.protocol)
        fragments.append(fragment(port, choose(endpoints, port, place.node, place.zone), place))
    return assemble(fragments)


def unordered(text: str) -> list[str]:
    """The dump with the services of a chain in one order: upstream's is a Go map's."""
    lines = text.splitlines()
    spread = ("-A KUBE-SERVICES -d ", "-A KUBE-NODEPORTS ", "-A KUBE-EXTERNAL-SERVICES ")
    held: list[str] = []
    found = []
    for line in lines:
        if line.startswith(spread):
            held.append(line)
            continue
        found += sorted(held)
        held = []
        found.append(line)
    return found


@pytest.mark.parametrize("name", sorted(path.stem for path in DATA.glob("*.iptables")))
def test_the_rules_are_those_of_a_real_kube_proxy(name: str) -> None:
    expected = (DATA / f"{name}.iptables").read_text()
    manifest = DATA / f"{name}.yaml"
    objects = list(yaml.safe_load_all(manifest.read_text())) if manifest.exists() else []
    for each in objects:
        if each["kind"] == "Service" and each["spec"].get("type") == "LoadBalancer":
            each["status"] = {"loadBalancer": {"ingress": [{"ip": BALANCER_IP}]}}
    made = iptables.save(ruleset([*objects, *others(expected)]))
    assert unordered(made) == unordered(expected)
