"""What the real kubectl prints in front of us is what it printed in front of a real control plane.

``tests/data/transcripts`` holds nine sessions of commands and, for most of them, the exit code and text of kubectl 1.37
before a control plane v1.37.2 with stand-in kubelets. ``tests/conformance/transcripts.yaml`` lists what may differ,
with the reason.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from conformance.printed import DATA, read, same
from e2e.conftest import Machine, clean, wait_for
from e2e.standins import StandIns

TESTS = Path(__file__).parents[1]
KNOWN = TESTS / "conformance" / "transcripts.yaml"


def named_as_recorded(kubeconfig: Path) -> None:
    """Sessions print the names in the recorder's kubeconfig."""
    config = yaml.safe_load(kubeconfig.read_text())
    for rows, name in (("clusters", "c"), ("contexts", "c"), ("users", "admin")):
        config[rows][0]["name"] = name
    config["contexts"][0]["context"] = {"cluster": "c", "user": "admin"}
    config["current-context"] = "c"
    kubeconfig.write_text(yaml.safe_dump(config))


@pytest.fixture(scope="module")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A control plane without nodes, and three kubelets from outside."""
    with clean(tmp_path_factory.mktemp("transcripts")) as machine:
        machine.must("seatrial", "up", "k", "--control-plane-only", "--ephemeral")
        named_as_recorded(machine.kubeconfig)
        StandIns(machine.kubeconfig, ["w1", "w2", "w3"])
        wait_for("nodes without taints", lambda: "NoSchedule" not in machine.kubectl("get", "nodes", "-o", "yaml"))
        yield machine


def present(machine: Machine, *what: str) -> bool:
    return machine.type("kubectl", "get", *what).returncode == 0


@pytest.mark.e2e
@pytest.mark.soak
@pytest.mark.xdist_group("transcripts")
@pytest.mark.parametrize("session", sorted(path.name.removesuffix(".jsonl.gz") for path in DATA.glob("*.gz")))
def test_kubectl_prints_what_it_prints_before_a_real_control_plane(control_plane: Machine, session: str) -> None:
    machine, namespace = control_plane, f"k-{session}"
    machine.kubectl("create", "namespace", namespace)
    for what in (("serviceaccount", "default"), ("configmap", "kube-root-ca.crt")):
        wait_for(" ".join(what), lambda what=what: present(machine, "-n", namespace, *what))  # type: ignore[misc]
    server = yaml.safe_load(machine.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    different = {}
    for line in read(session):
        if "sleep" in line:
            time.sleep(line["sleep"])  # the recording waited here, and stand-in kubelets live on the wall clock
            continue
        command = f"kubectl --kubeconfig {machine.kubeconfig} -n {namespace} {line['cmd']}".replace("$SERVER", server)
        done = machine.type("sh", "-c", command, stdin=line.get("stdin") or "")
        if line.get("withheld") or line.get("unstable"):
            continue
        equal = (
            done.returncode == line["rc"] and same(line["stdout"], done.stdout) and same(line["stderr"], done.stderr)
        )
        if not equal:
            different[line["cmd"]] = done.stdout + done.stderr
    machine.kubectl("delete", "namespace", namespace)
    known = (yaml.safe_load(KNOWN.read_text()) or {}).get(session, {})
    assert different.keys() <= known.keys(), different
