"""Faults, loads and walks over the control API, and as the commands write and print them."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from seatrial.api.cli import fault as fault_command
from seatrial.api.cli import load as load_command
from seatrial.api.cli import remote, scheduled, traceroute
from seatrial.api.control import faults, loads, trace
from seatrial.api.control.app import make_app
from seatrial.api.problem import Problem
from seatrial.api.server import kept
from seatrial.api.server.assembly import Live
from seatrial.api.server.driver import Driver
from seatrial.api.server.state import Home
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec
from seatrial.sim.kernel.clock import micro_stamp_of
from seatrial.sim.store.sqlite import Durable

BASE = "/seatrial/v1"
CRASH = {"kind": "node-crash", "node": "w1-k8s"}
LOAD = {
    "kind": "constant",
    "url": "http://kubernetes.default.svc.cluster.local:443",
    "level": 5,
    "origin": "node/w1-k8s",
}


@pytest.fixture(scope="module")
def made() -> Cluster:
    cluster = Cluster(ClusterSpec(nodes=1), seed=3)
    cluster.settle()
    return cluster


@pytest.fixture
def cluster(made: Cluster) -> Cluster:
    for each in made.faults.list():
        made.remove_fault(each["name"])
    made.loads.clear()
    made.faults.problems.clear()
    made.advance("1m")
    return made


def ask(cluster: Cluster, method: str, path: str, body: Any = None, **query: str) -> httpx.Response:
    driver = Driver(cluster.clock)
    driver.pause()
    live = Live(cluster, None, 0)
    more = (partial(faults.add_to, live), partial(loads.add_to, live), partial(trace.add_to, cluster))
    app = make_app(driver, dict, lambda: None, *(partial(add, driver) for add in more))

    async def main() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://seatrial") as client:
            return await client.request(method, BASE + path, params=query or None, json=body)

    return asyncio.run(main())


def test_a_fault_is_added_looked_at_and_removed(cluster: Cluster) -> None:
    assert ask(cluster, "POST", "/faults", {**CRASH, "name": "dark", "for": "10m"}).json() == {"names": ["dark"]}
    assert not cluster.nodes["w1-k8s"].powered
    (item,) = ask(cluster, "GET", "/faults").json()["items"]
    assert (item["name"], item["fault"], item["started"]) == ("dark", CRASH, True)
    assert ask(cluster, "GET", "/faults/dark").json()["about"]["symptom"]
    assert ask(cluster, "DELETE", "/faults/dark").json() == {"removed": ["dark"]}
    assert cluster.nodes["w1-k8s"].powered


def test_what_is_added_is_in_the_journal(cluster: Cluster) -> None:
    ask(cluster, "POST", "/faults", {**CRASH, "name": "dark", "after": "1m"})
    ask(cluster, "POST", "/loads", {**LOAD, "name": "busy"})
    entries = [(kind, value.get("name")) for _, kind, value in cluster.journal.entries if kind in ("fault", "load")]
    assert entries[-2:] == [("fault", "dark"), ("load", "busy")]


def test_a_plan_is_taken_whole_or_not_at_all(cluster: Cluster) -> None:
    plan = [{"kind": "dns-stop", "after": "30s", "for": "1m"}, {"kind": "kubelet-stop", "node": "w7"}]
    refused = ask(cluster, "POST", "/faults", plan)
    assert refused.status_code == 422
    assert "no machine 'w7'" in refused.json()["detail"]["why"]
    assert cluster.faults.list() == []
    names = ask(cluster, "POST", "/faults", {"items": [plan[0], {**CRASH, "name": "dark"}]}).json()["names"]
    assert [each["name"] for each in cluster.faults.list()] == names
    assert ask(cluster, "DELETE", "/faults").json() == {"removed": names[::-1]}


def test_a_fault_begins_at_a_moment_and_ends(cluster: Cluster) -> None:
    driver = Driver(cluster.clock)
    at = micro_stamp_of(cluster.now + 60_000_000 + driver.offset_us)

    ask(cluster, "POST", "/faults", {**CRASH, "at": at, "for": "30s"})
    powered = []
    for _ in range(4):
        cluster.advance("28s")
        powered.append(cluster.nodes["w1-k8s"].powered)
    assert powered == [True, True, False, True]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"kind": "node-crsh"}, "did you mean 'node-crash'?"),
        ({"kind": "node-crash", "nod": "w1-k8s"}, "did you mean 'node'?"),
        ({"kind": "api-fault", "share": 3}, "share: Input should be less than or equal to 1"),
        ({"kind": "api-fault", "verb": "creat"}, "verb: Input should be"),
        ({**CRASH, "after": "soon"}, "is not a duration"),
        ({**CRASH, "at": "noon"}, "no moment such as"),
        ({**CRASH, "at": "2020-01-01T00:00:00Z"}, "is past"),
        ({**CRASH, "after": "1s", "at": "2020-01-01T00:00:00Z"}, "not both"),
        ({**CRASH, "for": "0s"}, "has to last"),
        ({**CRASH, "for": 3}, "is no text"),
        (["x"], "no entry of a schedule"),
        ([], "there have to be 1 to"),
        ([CRASH, {"kind": "x"}], "entry 2: there is no fault 'x'"),
    ],
)
def test_a_refusal_says_what_is_wrong(cluster: Cluster, body: Any, said: str) -> None:
    answer = ask(cluster, "POST", "/faults", body)
    assert answer.status_code == 422
    assert said in answer.json()["detail"]["why"]
    assert cluster.faults.list() == []


@pytest.mark.parametrize("path", ["/faults/gone", "/loads/gone"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_what_is_not_there_is_not_found(cluster: Cluster, method: str, path: str) -> None:
    assert ask(cluster, method, path).status_code == 404


def test_a_fault_that_could_not_begin_is_told(cluster: Cluster) -> None:
    ask(cluster, "POST", "/faults", {"kind": "container-kill", "pod": "nobody", "after": "5s", "name": "later"})
    cluster.advance("10s")
    (problem,) = ask(cluster, "GET", "/faults").json()["problems"]
    assert problem.startswith("later: no running container")


def test_a_load_is_added_looked_at_and_removed(cluster: Cluster) -> None:
    assert ask(cluster, "POST", "/loads", LOAD | {"name": "busy"}).status_code == 201
    cluster.advance("20s")
    (item,) = ask(cluster, "GET", "/loads").json()["items"]
    assert item["state"] == "running" and item["total"]["sent"] >= 90
    shown = ask(cluster, "GET", "/loads/busy").json()
    assert len(shown["series"]) >= 4
    assert shown["series"][0]["since"].endswith("Z")
    assert ask(cluster, "DELETE", "/loads").json() == {"removed": ["busy"]}


@pytest.mark.parametrize("word", ["fault", "load"])
def test_kinds_have_parameters(cluster: Cluster, word: str) -> None:
    for row in ask(cluster, "GET", f"/{word}s/kinds").json()["items"]:
        assert row["about"].endswith(".")
        assert all(each.get("description") for each in row["parameters"].values()), row["kind"]
        assert not row.get("subject") or row["subject"] in row["parameters"]


def test_a_walk_is_told(cluster: Cluster) -> None:
    found = ask(cluster, "POST", "/trace-route", origin="w1-k8s", url="http://10.96.0.1:443/healthz").json()
    assert any("KUBE-SERVICES" in step["what"] for step in found["steps"])
    lines = traceroute.told(found)
    assert lines[0].split() == ["#", "WHERE", "WHAT"]
    assert lines[-1].startswith("ended: HTTP")
    refused = ask(cluster, "POST", "/trace-route", origin="mars", url="http://web")
    assert (refused.status_code, "nobody is at 'mars'" in refused.json()["detail"]["why"]) == (422, True)


def test_what_is_in_force_outlives_a_boot(tmp_path: Path) -> None:
    durable = Durable(tmp_path / "db", False)
    first = Cluster(ClusterSpec(nodes=1), state=durable)
    first.advance("30s")
    first.add_fault(CRASH, name="dark", lasts="10m")
    first.add_fault({"kind": "dns-stop"}, name="short", lasts="1s")
    first.add_fault({"kind": "dns-stop"}, name="later", after="5m", lasts="1m")
    first.add_load(LOAD, name="busy")
    kept.keep(first, durable)
    durable.close()
    again = Durable(tmp_path / "db", False)
    second = Cluster(ClusterSpec(nodes=1), state=again, boot=1, now=first.now + 60_000_000)
    kept.restore(second, again)
    assert {each["name"]: (each["until"] or 0) - first.now for each in second.faults.list()} == {
        "dark": 600_000_000,
        "later": 360_000_000,
    }
    assert not second.nodes["w1-k8s"].powered
    assert [each["name"] for each in second.loads.list()] == ["busy"]
    again.close()


def entry(kind: str, *sets: str, on: tuple[str, ...] = (), where: str | None = None) -> dict[str, Any]:
    return fault_command.entry(kind, on, where, sets)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (entry("node-crash", on=("w1",)), {"kind": "node-crash", "node": "w1"}),
        (entry("node-crash", where="zone=a"), {"kind": "node-crash", "selector": "zone=a"}),
        (
            entry("container-kill", on=("shop/cart-0",)),
            {"kind": "container-kill", "pod": "cart-0", "namespace": "shop"},
        ),
        (entry("partition", "b=w2,w3", on=("w1",)), {"kind": "partition", "a": ["w1"], "b": ["w2", "w3"]}),
        (entry("api-fault", "delay-ms=50", on=("pods",)), {"kind": "api-fault", "resource": "pods", "delay_ms": "50"}),
    ],
)
def test_options_make_a_fault(value: dict[str, Any], expected: dict[str, Any]) -> None:
    assert value == expected


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: entry("node-crash"), "say which node"),
        (lambda: entry("dns-stop", on=("x",)), "whole cluster"),
        (lambda: entry("dns-stop", where="x"), "no selector"),
        (lambda: entry("node-crash", on=("a", "b")), "one node at a time"),
        (lambda: entry("etcd-slow", "delay_ms"), "KEY=VALUE"),
        (lambda: entry("etcd-slow", "delay_ms=fast"), "valid integer"),
        (lambda: entry("etcd-slwo"), "did you mean 'etcd-slow'?"),
    ],
)
def test_options_that_mean_nothing_are_told(call: Any, said: str) -> None:
    with pytest.raises(Problem) as problem:
        call()
    assert said in problem.value.why


class Cable:
    """The control API without a socket between the command and the cluster."""

    def __init__(self, cluster: Cluster, patch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.cluster = cluster
        home = Home(tmp_path)
        for module in (fault_command, load_command, traceroute):
            patch.setattr(module, "existing", lambda name: home)
        patch.setattr(Home, "running", True)
        patch.setattr(remote, "ask", self.ask)

    def ask(self, home: Home, method: str, path: str, body: Any = None, timeout_s: float = 0) -> Any:
        answer = ask(self.cluster, method, path, body)
        if answer.status_code >= 300:
            raise Problem(**answer.json()["detail"])
        return answer.json()


@pytest.fixture
def cable(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cable:
    return Cable(cluster, monkeypatch, tmp_path)


def run(command: Any, *words: str, given: str = "") -> str:
    done = CliRunner().invoke(command, words, given, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_fault_command(cable: Cable, tmp_path: Path) -> None:
    fault = fault_command.fault
    assert run(fault, "add", "kubelet-stop", "--on", "w1-k8s", "--name", "deaf", "--for", "2m") == "fault deaf added\n"
    assert "kubelet-stop  in force" in run(fault, "list")
    assert "until:" in run(fault, "describe", "deaf")
    assert "systemctl stop kubelet" in run(fault, "describe", "kubelet-stop")
    path = tmp_path / "plan.yaml"
    path.write_text("faults:\n- {kind: dns-stop, after: 30s, for: 5m, name: mute}\n")
    assert run(fault, "add", "-f", str(path)) == "fault mute added\n"
    assert json.loads(run(fault, "list", "-o", "json"))["items"][1]["name"] == "mute"
    assert run(fault, "remove", "--all") == "fault mute removed\nfault deaf removed\n"
    assert run(fault, "list") == "nothing is broken\n"
    assert "node-crash" in run(fault, "kinds")


def test_the_load_command(cable: Cable, tmp_path: Path) -> None:
    load = load_command.load
    url, origin = LOAD["url"], LOAD["origin"]
    assert run(load, "add", url, "--rate", "20", "--from", origin, "--name", "busy") == "load busy added\n"
    path = tmp_path / "trace.csv"
    path.write_text("seconds,level\n0,1\n60,10\n")
    assert run(load, "add", url, "--trace", str(path), "--from", origin, "--name", "real") == "load real added\n"
    users = ("--users", "3", "--think", "1s", "--for", "1m", "--name", "people")
    assert run(load, "add", url, "--from", origin, *users) == "load people added\n"
    cable.cluster.advance("30s")
    assert run(load, "list").count("running") == 3
    table = run(load, "show", "busy", "--last", "3").splitlines()
    assert table[-4].split()[:4] == ["TIME", "LEVEL", "SENT/S", "OK"]
    rows = run(load, "show", "busy", "-o", "csv").splitlines()
    assert rows[0].startswith("since,seconds,level,sent,rate,ok,failed,p50")
    assert len(rows) > 5
    assert json.loads(run(load, "show", "people", "-o", "json"))["load"]["loop"] == "closed"
    assert run(load, "remove", "busy", "real") == "load busy removed\nload real removed\n"
    assert "between" in run(load, "describe", "trace")
    assert "sine" in run(load, "kinds")


def test_the_walk_as_a_command(cable: Cable) -> None:
    assert "ended: HTTP" in run(traceroute.trace_route, "w1-k8s", "http://10.96.0.1:443/healthz")


@pytest.mark.parametrize(
    ("text", "said"),
    [("a: [", "not YAML"), ("loads: []", "no faults in it"), ("{}", "no faults in it"), ("3", "no faults in it")],
)
def test_a_plan_that_is_none_is_told(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    with pytest.raises(Problem) as problem:
        scheduled.plan(path, "faults")
    assert said in problem.value.why


def test_a_trace_that_is_none_is_told(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("seconds,level\n0,1\nsoon,2\n")
    with pytest.raises(ValueError, match="line 3"):
        list(load_command.read_points(path))
