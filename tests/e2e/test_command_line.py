"""The command line with a real server behind it: what works, and what is refused with a reason and a mend."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import DEADLINE_S, Machine, beside, heard, wait_for

pytestmark = pytest.mark.e2e
BARE = ("--nodes", "0", "--controllers", "none")


def contexts(machine: Machine) -> list[str]:
    return machine.kubectl("config", "get-contexts", "-o", "name").split()


def test_a_cluster_comes_goes_and_comes_back(machine: Machine) -> None:
    said = machine.must("seatrial", "up", *BARE)
    assert 'context "seatrial"' in said
    assert "kubectl" in machine.refused("seatrial", "up", *BARE)
    machine.kubectl("create", "configmap", "kept", "--from-literal=a=1")
    before = machine.read("configmap", "kept")
    machine.must("seatrial", "halt")
    assert "is not running" in machine.must("seatrial", "halt")
    assert machine.type("kubectl", "get", "configmap").returncode == 1
    machine.must("seatrial", "up")
    assert machine.read("configmap", "kept") == before
    machine.kubectl("create", "configmap", "later")
    assert int(machine.read("configmap", "later")["metadata"]["resourceVersion"]) > int(
        before["metadata"]["resourceVersion"]
    )
    assert "Delete cluster" in machine.type("seatrial", "destroy", stdin="n\n").stdout
    assert contexts(machine) == ["seatrial"]
    machine.must("seatrial", "destroy", "--yes")
    assert contexts(machine) == []
    assert "none of that name" in machine.refused("seatrial", "status")


def test_several_clusters_side_by_side(machine: Machine) -> None:
    machine.must("seatrial", "up", *BARE)
    machine.must("seatrial", "up", "lab", *BARE)
    assert contexts(machine) == ["seatrial", "seatrial-lab"]
    assert machine.kubectl("config", "current-context") == "seatrial-lab\n"
    machine.kubectl("create", "configmap", "only-here")
    assert "NotFound" in machine.type("kubectl", "--context", "seatrial", "get", "configmap", "only-here").stderr
    listed = {entry["name"]: entry["state"] for entry in json.loads(machine.must("seatrial", "list", "-o", "json"))}
    assert listed == {"lab": "running", "seatrial": "running"}
    machine.must("seatrial", "destroy", "lab", "--yes")
    assert contexts(machine) == ["seatrial"]
    machine.kubectl("--context", "seatrial", "get", "namespaces")


def test_an_ephemeral_cluster_leaves_no_trace(machine: Machine) -> None:
    target = machine.root / "elsewhere"
    machine.must("seatrial", "up", *BARE, "--ephemeral", "--kubeconfig", str(target))
    assert not machine.kubeconfig.exists()
    machine.kubectl("--kubeconfig", str(target), "create", "configmap", "gone-soon")
    assert "seatrial" in machine.must("seatrial", "list")
    machine.must("seatrial", "halt")
    assert not any(path.is_file() for folder in ("state", "runtime") for path in (machine.root / folder).rglob("*"))
    assert yaml.safe_load(target.read_text())["contexts"] == []
    assert "no cluster yet" in machine.must("seatrial", "list")


def test_in_the_foreground_it_ends_with_the_terminal(machine: Machine) -> None:
    with beside(machine, "seatrial", "up", *BARE, "--foreground") as server:
        wait_for("the server", lambda: machine.type("kubectl", "get", "namespaces").returncode == 0)
        server.send_signal(signal.SIGINT)
        assert server.wait(DEADLINE_S) == 0
    assert "halted" in machine.must("seatrial", "list")


def test_a_port_in_use_is_named_and_nothing_is_left(machine: Machine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = machine.refused("seatrial", "up", *BARE, "--port", str(port))
        assert str(port) in said
        assert "--port PORT" in said
    assert "no cluster yet" in machine.must("seatrial", "list")
    assert not machine.kubeconfig.exists()


@pytest.mark.parametrize("content", ["clusters: [", "just text", "clusters: {}"])
def test_a_broken_kubeconfig_stops_everything_before_it_starts(machine: Machine, content: str) -> None:
    machine.kubeconfig.write_text(content)
    said = machine.refused("seatrial", "up", *BARE)
    assert str(machine.kubeconfig) in said
    assert machine.kubeconfig.read_text() == content
    assert "no cluster yet" in machine.must("seatrial", "list")


def test_a_locked_kubeconfig_undoes_the_start(machine: Machine) -> None:
    lock = machine.kubeconfig.with_name("kubeconfig.lock")
    lock.touch()
    assert "lock file" in machine.refused("seatrial", "up", *BARE)
    assert "no cluster yet" in machine.must("seatrial", "list")
    lock.unlink()
    machine.must("seatrial", "up", *BARE)


DAMAGES = {
    ("state.json", "{"): "state.json",
    ("state.json", '{"version": 99}'): "layout version 99",
    ("cluster.db", "no database" * 1000): "not a database",
    ("pki/ca.crt", "no certificate"): "pki",
}


def test_a_damaged_directory_is_refused_and_can_be_destroyed(machine: Machine) -> None:
    home, sound = machine.root / "state" / "seatrial" / "seatrial", machine.root / "sound"
    machine.must("seatrial", "up", *BARE)
    machine.must("seatrial", "halt")
    shutil.copytree(home, sound)
    for (name, content), reason in DAMAGES.items():
        for file in (home / name, Path(f"{home / name}-wal"), Path(f"{home / name}-shm")):
            file.unlink(missing_ok=True)
        (home / name).write_text(content)
        said = machine.refused("seatrial", "up")
        assert reason in said
        assert "seatrial destroy" in said
        assert (home / name).read_text() == content
        machine.must("seatrial", "list")
        machine.must("seatrial", "destroy", "--yes")
        assert not home.exists()
        shutil.copytree(sound, home)
    machine.must("seatrial", "up")


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("up", "Not_A_Name"), "lower-case letters"),
        (("up", "--nodes", "many"), "many"),
        (("up", "--nodes", "-1"), "-1"),
        (("up", "--controllers", "some"), "some"),
        (("upp",), "upp"),
        (("halt", "nobody"), "none of that name"),
        (("destroy", "nobody", "--yes"), "none of that name"),
        (("logs", "nobody"), "none of that name"),
        (("clock", "show"), "none of that name"),
        (("clock", "advance", "soon"), "no span of time"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_meant_is_refused(machine: Machine, command: tuple[str, ...], reason: str) -> None:
    assert reason in machine.refused("seatrial", *command)


def test_a_cluster_keeps_what_it_is_made_of(machine: Machine) -> None:
    machine.must("seatrial", "up", *BARE, "--seed", "5")
    machine.must("seatrial", "halt")
    said = machine.refused("seatrial", "up", "--nodes", "7")
    assert "made with --nodes 0" in said
    assert "--seed" in machine.refused("seatrial", "up", "--seed", "6")
    machine.must("seatrial", "up", "--seed", "5")


def test_a_killed_server_is_not_taken_for_a_running_one(machine: Machine) -> None:
    machine.must("seatrial", "up", *BARE)
    machine.kubectl("create", "configmap", "kept")
    os.kill(machine.pid(), signal.SIGKILL)
    wait_for("the end", lambda: "halted" in machine.must("seatrial", "list"))
    assert "halted" in machine.must("seatrial", "status")
    assert "not running" in machine.refused("seatrial", "clock", "show")
    machine.must("seatrial", "up")
    machine.kubectl("get", "configmap", "kept")


def test_watchers_hear_of_a_halt(machine: Machine) -> None:
    machine.must("seatrial", "up", *BARE)
    with beside(machine, "kubectl", "get", "configmaps", "-A", "--watch") as watcher:
        machine.kubectl("create", "configmap", "seen")
        heard(watcher, "seen")
        machine.must("seatrial", "halt")
        assert watcher.wait(DEADLINE_S) == 0


def test_a_manifest_that_is_no_yaml_changes_nothing(machine: Machine) -> None:
    machine.must("seatrial", "up", *BARE)
    before = machine.read("configmaps", "-A")
    assert "error" in machine.refused("kubectl", "apply", "-f", "-", stdin="kind: [ConfigMap\n  x")
    assert machine.read("configmaps", "-A")["items"] == before["items"]


def test_time_jumps_and_everything_looks_older(machine: Machine) -> None:
    machine.must("seatrial", "up", *BARE)
    machine.kubectl("create", "configmap", "old")
    machine.must("seatrial", "clock", "advance", "6h")
    assert "6h" in machine.kubectl("get", "configmap", "old", "--no-headers")
    machine.kubectl("create", "configmap", "young")
    assert "6h" not in machine.kubectl("get", "configmap", "young", "--no-headers")
    assert "ConfigMap default/young" in machine.must("seatrial", "clock", "diff", "1h")
    assert "6h ahead of the wall clock" in machine.must("seatrial", "clock", "show")
    machine.must("seatrial", "halt")
    machine.must("seatrial", "up")
    assert "6h" in machine.kubectl("get", "configmap", "old", "--no-headers")
    assert "paused" in machine.must("seatrial", "clock", "pause")
    assert "1 ×" in machine.must("seatrial", "clock", "resume")
    assert "60 ×" in machine.must("seatrial", "clock", "speed", "60")
    assert "greater than 0" in machine.refused("seatrial", "clock", "speed", "0")
    assert "write it like 90s" in machine.refused("seatrial", "clock", "advance", "soon")


def test_the_control_api_is_for_cluster_admins(machine: Machine) -> None:
    machine.must("seatrial", "up", *BARE)
    machine.kubectl("get", "--raw", "/seatrial/v1/status")
    for user in ("jane", "system:anonymous"):
        said = machine.type("kubectl", "--as", user, "get", "--raw", "/seatrial/v1/status")
        assert said.returncode == 1
        assert "forbidden" in said.stderr


def test_doctor_looks_at_everything(machine: Machine) -> None:
    machine.must("seatrial", "up", *BARE)
    said = machine.must("seatrial", "doctor")
    assert "cluster seatrial: runs on port" in said
    machine.kubeconfig.write_text("clusters: [")
    done = machine.type("seatrial", "doctor")
    assert (done.returncode, "mend: mend or move" in done.stdout) == (1, True)


def test_logs_are_shown(machine: Machine) -> None:
    machine.must("seatrial", "up", *BARE)
    assert "answers on https://127.0.0.1:" in machine.must("seatrial", "logs")
    assert machine.must("seatrial", "logs", "--tail", "0") == ""
