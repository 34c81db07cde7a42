"""What the built-in kubectl prints is what the real one printed in front of a real control plane.

``tests/data/transcripts`` holds nine sessions of commands and, for most of them, the exit code and text of kubectl 1.37
before a control plane v1.37.2 with stand-in kubelets. Here they are typed on virtual time. ``DIFFERENT`` lists what
differs, with the reason; ``pytest -s`` prints the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from conformance.printed import DATA, read, same
from kubectl.standins import StandIns
from kubectl.typist import Typist

from seatrial.scenarios.kubectl.inside import SERVER
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec

SESSIONS = ("get", "describe", "create", "apply", "rollout", "nodes", "storage", "meta", "crd")
TYPING_US = 45_000
"""What the recorder needed from one command to the next."""
DIFFERENT: dict[str, dict[str, str]] = {
    "apply": {"delete pods --all --wait=false": "how many old pods are still there is a matter of milliseconds"},
}


def typed(typist: Typist, line: dict[str, Any], namespace: str) -> tuple[int, str, str]:
    """Types a recorded command; ``| head`` is all that the recordings have of pipes."""
    command, _, pipe = line["cmd"].partition(" | ")
    command = f"--kubeconfig F -n {namespace} {command}".replace("$SERVER", SERVER)
    code, out, err = typist(command, line.get("stdin") or "")
    if pipe.startswith("head -c"):
        return 0, out[: int(pipe.split()[-1])], err
    if pipe.startswith("head -"):
        return 0, "".join(out.splitlines(keepends=True)[: int(pipe.split("-")[-1])]), err
    return code, out, err


def play(typist: Typist, session: str) -> Iterator[tuple[dict[str, Any], tuple[int, str, str]]]:
    """Every recorded command with what it prints here."""
    cluster, namespace = typist.cluster, f"k-{session}"
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    cluster.advance("1s")
    for line in read(session):
        if "sleep" in line:
            cluster.run(int(float(line["sleep"]) * 1_000_000))
            continue
        cluster.run(TYPING_US)
        printed = typed(typist, line, namespace)
        if not (line.get("withheld") or line.get("unstable")):
            yield line, printed
    cluster.delete("namespace", namespace)
    cluster.advance("30s")  # the next session finds the nodes empty


@pytest.fixture
def typist() -> Typist:
    cluster = Cluster(ClusterSpec(control_plane_only=True), seed=5)
    StandIns(cluster)
    cluster.advance(
        "16s"
    )  # The binder of volumes has just looked at all claims, which it does every 15 s and tells of.
    typist = Typist(cluster)
    # The recorder's machine: the names in its kubeconfig, and a PATH with a directory that was not there.
    typist.session.config = {
        "clusters": [{"name": "c", "cluster": {"server": SERVER}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "admin"}}],
        "users": [{"name": "admin", "user": {}}],
        "current-context": "c",
    }
    typist.session.environment = {"PATH": "/root/go/bin"}
    return typist


@pytest.fixture(scope="module")
def table() -> Iterator[dict[str, tuple[int, int]]]:
    rows: dict[str, tuple[int, int]] = {}
    yield rows
    print()
    for session, (equal, total) in rows.items():
        print(f"{session:10} {equal:3}/{total:3}")
    equal, total = (sum(row[at] for row in rows.values()) for at in (0, 1))
    print(f"{'all':10} {equal:3}/{total:3} = {100 * equal / max(total, 1):.1f} %")


@pytest.mark.parametrize("session", SESSIONS)
def test_it_prints_what_kubectl_prints(typist: Typist, table: dict[str, tuple[int, int]], session: str) -> None:
    different, total = {}, 0
    for line, (code, out, err) in play(typist, session):
        total += 1
        if not (code == line["rc"] and same(line["stdout"], out) and same(line["stderr"], err)):
            different[line["cmd"]] = f"exit code {code}\n{out}{err}"
    table[session] = (total - len(different), total)
    assert sorted(different) == sorted(DIFFERENT.get(session, {})), different


def test_every_session_is_typed() -> None:
    assert {path.name.removesuffix(".jsonl.gz") for path in DATA.glob("*.gz")} == set(SESSIONS)
