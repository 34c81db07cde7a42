"""What breaks, as the real kubectl and the real curl see it: a machine, a kubelet, a kube-proxy, the API server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.conftest import DEADLINE_S, Machine, beside, clean, heard, wait_for
from tests.e2e.test_addresses import SILENT, ready_pods, status, twin

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("faults")]
WAIT = f"--timeout={DEADLINE_S:g}s"
ON, OTHER, REACH = "w1-k8s", "w2-k8s", ("--cluster", "reach")
WORKLOADS = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: 8080, nodePort: 30080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      topologySpreadConstraints:
      - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway,
         labelSelector: {matchLabels: {app: web}}}
      containers:
      - {name: c, image: "registry.k8s.io/e2e-test-images/agnhost:2.53", args: [netexec]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 2
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 1
      topologySpreadConstraints:
      - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule,
         labelSelector: {matchLabels: {app: db}}}
      containers:
      - {name: c, image: "registry.k8s.io/e2e-test-images/agnhost:2.53", args: [pause]}
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with clean(tmp_path_factory.mktemp("faults")) as made:
        made.must("seatrial", "up", "reach", "--nodes", "2", "--ephemeral")
        made.kubectl("wait", "--for=condition=Ready", "nodes", "--all", WAIT)
        made.kubectl("apply", "-f", "-", stdin=WORKLOADS)
        yield made


def settled(machine: Machine) -> None:
    """Both workloads are complete, one pod of each on each worker."""

    def spread(app: str) -> bool:
        nodes = sorted(ready_pods(machine, app).values())
        if nodes in ([ON, ON], [OTHER, OTHER]):
            machine.kubectl("delete", "pods", "-l", f"app={app}")  # they were made while a machine was away
        return nodes == [ON, OTHER]

    for each in ("web", "db"):
        wait_for(f"a pod of {each} on each worker", lambda app=each: spread(app))  # type: ignore[misc]


@pytest.fixture(autouse=True)
def whole(machine: Machine) -> None:
    """Whatever the test before broke is mended, and both nodes know it."""
    settled(machine)
    for node in (ON, OTHER):
        wait_for(f"{node} serves", lambda node=node: answers(machine, node, *SILENT) == "200")  # type: ignore[misc]


@contextmanager
def broken(machine: Machine, kind: str, *more: str) -> Iterator[None]:
    machine.must("seatrial", "fault", "add", kind, "--name", "it", *more, *REACH)
    try:
        yield
    finally:
        machine.must("seatrial", "fault", "remove", "it", *REACH)


@contextmanager
def standing_still(machine: Machine) -> Iterator[None]:
    """The clock goes on by ``advance`` alone."""
    machine.must("seatrial", "clock", "pause", *REACH)
    try:
        yield
    finally:
        machine.must("seatrial", "clock", "resume", *REACH)


def advance(machine: Machine, span: str) -> None:
    machine.must("seatrial", "clock", "advance", span, *REACH)


def pods(machine: Machine, app: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = machine.read("pods", "-l", f"app={app}")["items"]
    return items


def at(machine: Machine, app: str, node: str = ON) -> dict[str, Any]:
    """A workload's pod on a node."""
    name = next(name for name, where in ready_pods(machine, app).items() if where == node)
    return next(each for each in pods(machine, app) if each["metadata"]["name"] == name)


def shown(machine: Machine, *arguments: str) -> str:
    """The STATUS column of a line of ``kubectl get``."""
    (line,) = machine.kubectl("get", *arguments, "--no-headers").splitlines()
    return line.split()[2 if "pod" in arguments else 1]


def ready_endpoints(machine: Machine) -> list[str]:
    """The nodes of the service's ready endpoints."""
    (piece,) = machine.read("endpointslices", "-l", "kubernetes.io/service-name=web")["items"]
    return sorted(each["nodeName"] for each in piece["endpoints"] or () if each["conditions"]["ready"])


def answers(machine: Machine, node: str, *patience: str) -> str:
    return status(machine, *patience, f"http://{twin(machine, node, 30080)}/hostname")


def test_with_its_rules_flushed_a_node_reaches_no_service_while_pods_answer(machine: Machine) -> None:
    proxy = json.loads(machine.must("seatrial", "addresses", "reach", "-o", "json"))["proxy"]
    pod = at(machine, "web")["status"]["podIP"]
    with broken(machine, "kube-proxy-flushed", "--on", ON):
        assert answers(machine, ON, *SILENT) == "000"
        assert answers(machine, OTHER) == "200"
        assert status(machine, "-x", proxy, f"http://{pod}:8080/hostname") == "200"
    wait_for("the rules are there again", lambda: answers(machine, ON, *SILENT) == "200")


def test_a_stopped_kube_proxy_keeps_the_rules_that_it_wrote(machine: Machine) -> None:
    before = {each["metadata"]["name"] for each in pods(machine, "web")}
    with broken(machine, "kube-proxy-stop", "--on", ON):
        assert answers(machine, ON) == "200", "unchanged endpoints"
        machine.kubectl("delete", "pods", "-l", "app=web")
        settled(machine)
        wait_for("the other node knows the new pods", lambda: answers(machine, OTHER, *SILENT) == "200")
        assert answers(machine, ON, *SILENT) == "000", "the rules lead to pods that are gone"
        assert not before & {each["metadata"]["name"] for each in pods(machine, "web")}
    wait_for("the rules follow again", lambda: answers(machine, ON, *SILENT) == "200")


def test_without_a_kubelet_pods_stay_and_deletions_wait_for_it(machine: Machine) -> None:
    name = at(machine, "web")["metadata"]["name"]
    with broken(machine, "kubelet-stop", "--on", ON):
        advance(machine, "30s")
        assert machine.kubectl("get", "pod", name, "--no-headers").split()[1:3] == ["1/1", "Running"]
        assert answers(machine, ON) == "200", "its containers go on"
        machine.kubectl("delete", "pod", name, "--wait=false")
        advance(machine, "20s")
        assert shown(machine, "pod", name) == "Terminating"
        hangs = machine.type("kubectl", "delete", "pod", name, "--timeout=1s")
        assert (hangs.returncode, "timed out waiting for the condition" in hangs.stderr) == (1, True)
    machine.kubectl("wait", "--for=delete", f"pod/{name}", WAIT)
    machine.kubectl("wait", "--for=condition=Ready", f"node/{ON}", WAIT)


def test_a_watch_ends_with_the_api_server_and_not_with_a_proper_end(machine: Machine) -> None:
    name = at(machine, "web")["metadata"]["name"]
    with beside(machine, "kubectl", "get", "pods", "-l", "app=web", "--watch", "-v=1") as watching:
        heard(watching, name)
        machine.kubectl("label", "pod", name, "seen=yes")
        heard(watching, name)  # That was the list; this is the watch.
        with broken(machine, "apiserver-down"):
            heard(watching, "unexpected EOF")
            assert machine.type("kubectl", "get", "pods").returncode == 1
    wait_for("the API server", lambda: machine.type("kubectl", "get", "pods").returncode == 0)


@pytest.mark.parametrize("websockets", ["true", "false"])
def test_what_is_held_open_into_a_pod_ends_with_the_api_server(
    machine: Machine, websockets: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over SPDY kubectl takes the end of its streams for the end of the process."""
    monkeypatch.setitem(machine.environment, "KUBECTL_REMOTE_COMMAND_WEBSOCKETS", websockets)
    name = at(machine, "web")["metadata"]["name"]
    script = ("sh", "-c", "echo begun; sleep 1000")
    with (
        beside(machine, "kubectl", "exec", name, "--", *script) as process,
        beside(machine, "kubectl", "logs", "-f", name) as log,
    ):
        heard(process, "begun")
        heard(log, "")
        with broken(machine, "apiserver-down"):
            heard(log, "unexpected EOF")
            if websockets == "true":
                heard(process, "websocket: close 1006 (abnormal closure): unexpected EOF")
            assert process.wait(DEADLINE_S) == (websockets == "true")
    wait_for("the API server", lambda: machine.type("kubectl", "get", "pods").returncode == 0)


def test_a_node_without_power_minute_by_minute(machine: Machine) -> None:
    advance(machine, "2m")  # Leaders lead again, after whatever came before.
    lost, kept = at(machine, "web")["metadata"]["name"], at(machine, "db")["metadata"]["name"]
    with standing_still(machine):
        machine.must("seatrial", "fault", "add", "node-crash", "--on", ON, "--name", "it", *REACH)
        advance(machine, "39s")
        assert shown(machine, "node", ON) == "Ready"
        assert ready_endpoints(machine) == [ON, OTHER]
        advance(machine, "22s")
        assert shown(machine, "node", ON) == "NotReady"
        assert ready_endpoints(machine) == [OTHER]
        assert shown(machine, "pod", lost) == "Running"
        advance(machine, "279s")
        assert shown(machine, "pod", lost) == "Running", "340 s after the crash"
        advance(machine, "22s")
        assert shown(machine, "pod", lost) == "Terminating", "362 s after the crash"
        assert shown(machine, "pod", kept) == "Terminating"
        advance(machine, "10m")
    assert shown(machine, "pod", kept) == "Terminating"
    assert len(pods(machine, "db")) == 2, "no second pod of the same name"
    assert [shown(machine, "pod", each["metadata"]["name"]) for each in pods(machine, "web")].count("Running") == 2
    assert answers(machine, OTHER) == "200"
    assert machine.type("curl", "-s", *SILENT, f"http://{twin(machine, ON, 30080)}/").returncode == 28, "no answer"
    machine.must("seatrial", "fault", "remove", "it", *REACH)
    machine.kubectl("wait", "--for=condition=Ready", f"node/{ON}", WAIT)
    wait_for("the pods are gone", lambda: lost not in machine.kubectl("get", "pods", "-o", "name"))
