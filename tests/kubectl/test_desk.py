"""The desk: a shell whose commands act on a cluster, on virtual time, and start nothing on this machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from seatrial.scenarios.desk import Desk, desk_of
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec


class Seat:
    """A user at a desk."""

    def __init__(self) -> None:
        self.cluster = Cluster(ClusterSpec(nodes=1), seed=2)
        self.cluster.settle()
        self.lines: list[str] = []
        self.desk: Desk = desk_of(self.cluster, {"cm.yaml": CONFIG_MAP}, self.lines.append, self.lines.append)

    def __call__(self, line: str) -> str:
        """What a line prints."""
        self.lines.clear()
        self.code = self.desk.run(line)
        return "".join(self.lines)


CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cfg}\ndata: {a: b}\n"


@pytest.fixture(scope="module")
def seat() -> Iterator[Seat]:
    seat = Seat()
    seat("kubectl create deployment web --image=nginx --replicas=2")
    seat("kubectl expose deployment web --port=80 --type=NodePort; clock settle; clock advance 15s")
    yield seat


def test_output_goes_through_the_shells_own_commands(seat: Seat) -> None:
    assert seat("kubectl get nodes --no-headers | grep -v control-plane | wc -l").strip() == "1"


def test_curl_comes_from_outside(seat: Seat) -> None:
    script = "port=$(kubectl get svc web -o jsonpath='{.spec.ports[0].nodePort}')\ncurl -s http://192.168.1.101:$port/"
    assert "Welcome to nginx!" in seat(script)
    assert seat("curl -sS http://192.168.1.101:9/").startswith("curl: (7) Failed to connect to 192.168.1.101 port 9")
    assert seat.code == 7


def test_ssh_reaches_the_machines(seat: Seat) -> None:
    assert seat("ssh w1-k8s hostname") == "w1-k8s\n"
    assert seat("echo pwd | ssh w1-k8s") == "/root\n"


def test_the_clock_is_the_clusters(seat: Seat) -> None:
    before = seat.cluster.now
    assert seat("clock advance 6m").startswith("now:")
    assert seat.cluster.now == before + 360_000_000
    assert seat("clock advance soon").startswith("clock: 'soon' is not a duration")


def test_files_are_given_or_written_at_the_desk(seat: Seat) -> None:
    assert seat("kubectl apply -f cm.yaml") == "configmap/cfg created\n"
    seat("kubectl get cm cfg -o yaml > kept.yaml; kubectl delete cm cfg")
    assert seat("kubectl apply -f kept.yaml").splitlines()[-1] == "configmap/cfg created"
    assert seat("cat kept.yaml | kubectl delete -f -") == 'configmap "cfg" deleted from default namespace\n'


def test_directory_and_exported_variables_outlive_a_line(seat: Seat) -> None:
    seat("cd /tmp; export WHAT=pods")
    assert seat("pwd; echo $WHAT") == "/tmp\npods\n"


def test_exit_codes_are_the_commands_own(seat: Seat) -> None:
    seat("kubectl get nope")
    assert seat.code == 1
    assert seat("kubectl get nope 2>/dev/null || echo no") == "no\n"
    seat("kubectl exec deploy/web -- sh -c 'exit 4'")
    assert seat.code == 4
    assert seat("nonsense") == "sh: nonsense: not found\n"
    assert not seat.desk.exited
    seat("if true")
    assert not seat.desk.exited
    seat("exit 3")
    assert (seat.code, seat.desk.exited) == (3, True)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("kubectl get pods -A", ["kubectl", "get", "pods", "-A"]),
        ("kubectl get pods | wc", None),
        ("kubectl get pods -o jsonpath='{.items}'", None),
        ("grep x", None),
        ("kubectl label pod 'a b'  # why", ["kubectl", "label", "pod", "a b"]),
    ],
)
def test_a_line_of_one_command_needs_no_shell(seat: Seat, line: str, words: list[str] | None) -> None:
    assert seat.desk.words(line) == words


def test_a_process_in_a_container_is_lost_with_the_api_server(seat: Seat) -> None:
    seat.cluster.add_fault({"kind": "apiserver-down"}, after="5s", lasts="30s")
    before = seat.cluster.now
    said = seat("kubectl exec deploy/web -- sleep 600")
    assert said.endswith("next reader: websocket: close 1006 (abnormal closure): unexpected EOF\n")
    assert seat.code == 1
    assert seat.cluster.now - before < 6_000_000
    seat.cluster.advance("60s")
