"""A user's first quarter of an hour: apply, look, delete, roll out, undo, reboot, with the real kubectl."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.conftest import Machine, wait_for

pytestmark = pytest.mark.e2e

MANIFEST = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 3
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
      - name: nginx
        image: nginx:1.26
        ports:
        - containerPort: 80
---
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector: {app: web}
  ports:
  - port: 80
"""
ROLLOUT = ("rollout", "status", "deployment/web", "--timeout=240s")


def pods(machine: Machine) -> list[dict[str, Any]]:
    """The pods that are there to stay."""
    found = machine.read("pods", "-l", "app=web")["items"]
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def ready(machine: Machine) -> list[str]:
    return sorted(
        pod["metadata"]["name"]
        for pod in pods(machine)
        if {"type": "Ready", "status": "True"}.items()
        <= {k: v for c in pod["status"].get("conditions", ()) if c["type"] == "Ready" for k, v in c.items()}.items()
    )


def images(machine: Machine) -> set[str]:
    return {pod["spec"]["containers"][0]["image"] for pod in pods(machine)}


def endpoints(machine: Machine) -> set[str]:
    slices = machine.read("endpointslices", "-l", "kubernetes.io/service-name=web")["items"]
    found = [endpoint for piece in slices for endpoint in piece.get("endpoints") or ()]
    return {endpoint["addresses"][0] for endpoint in found if endpoint["conditions"].get("ready")}


def test_the_first_workload(machine: Machine) -> None:
    machine.must("seatrial", "up")
    machine.kubectl("wait", "--for=condition=Ready", "nodes", "--all", "--timeout=240s")
    names = {node["metadata"]["name"] for node in machine.read("nodes")["items"]}
    assert names == {"m-k8s", "w1-k8s", "w2-k8s", "w3-k8s"}

    said = machine.kubectl("apply", "-f", "-", stdin=MANIFEST)
    assert said.splitlines() == ["deployment.apps/web created", "service/web created"]
    assert "successfully rolled out" in machine.kubectl(*ROLLOUT)
    assert len(ready(machine)) == 3
    assert {pod["spec"]["nodeName"] for pod in pods(machine)} == {"w1-k8s", "w2-k8s", "w3-k8s"}
    addresses = {pod["status"]["podIP"] for pod in pods(machine)}
    wait_for("the endpoints", lambda: endpoints(machine) == addresses)

    victim = ready(machine)[0]
    machine.kubectl("delete", "pod", victim)
    wait_for("a replacement", lambda: len(ready(machine)) == 3)
    assert victim not in ready(machine)

    machine.kubectl("set", "image", "deployment/web", "nginx=nginx:1.27")
    assert "successfully rolled out" in machine.kubectl(*ROLLOUT)
    assert images(machine) == {"nginx:1.27"}
    machine.kubectl("rollout", "undo", "deployment/web")
    assert "successfully rolled out" in machine.kubectl(*ROLLOUT)
    assert images(machine) == {"nginx:1.26"}
    assert "unchanged" in machine.kubectl("apply", "-f", "-", stdin=MANIFEST)

    wait_for("the end of the old pods", lambda: len(machine.read("pods", "-l", "app=web")["items"]) == 3)
    assert machine.kubectl("exec", "deployment/web", "--", "echo", "hello") == "hello\n"
    refused = machine.type("kubectl", "exec", "deployment/web", "--", "sh", "-c", "exit 3")
    assert refused.returncode == 3


def test_a_reboot_brings_objects_back_and_starts_containers_again(machine: Machine) -> None:
    machine.must("seatrial", "up", "--nodes", "1")
    machine.kubectl("apply", "-f", "-", stdin=MANIFEST)
    machine.kubectl(*ROLLOUT)
    before = ready(machine)
    machine.must("seatrial", "halt")
    machine.must("seatrial", "up")

    def restarted() -> bool:
        counts = [pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods(machine)]
        return counts == [1, 1, 1] and ready(machine) == before

    wait_for("the containers", restarted)
    machine.kubectl("delete", "deployment,service", "web")
    wait_for("the end of the pods", lambda: not machine.read("pods")["items"])
