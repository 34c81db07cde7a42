"""What the real kubectl prints in front of us is what it printed in front of a real control plane.

``tests/data/transcripts`` holds nine sessions of commands and, for most of them, the exit code and text of kubectl 1.37
before a control plane v1.37.2 with stand-in kubelets. ``tests/conformance/transcripts.yaml`` lists what differs, with
the reason.
"""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.conftest import Machine, wait_for
from e2e.standins import StandIns

TESTS = Path(__file__).parents[1]
DATA = TESTS / "data" / "transcripts"
KNOWN = TESTS / "conformance" / "transcripts.yaml"
MASKS = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?[Z+\-][\d:]*)( UTC)?", "<time>"),
        (r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+\-]\d{4}", "<time>"),
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uid>"),
        (r"X509SHA256=[0-9a-f]+", "<credential>"),
        (r"eyJ[\w.\-]+", "<token>"),
        (r"(?<=-)[bcdfghjklmnpqrstvwxz2456789]{5}\b", "<generated>"),
        (r"(?<=-)[bcdf0-9]{8,10}\b", "<hash>"),
        (r"\.18[0-9a-f]{14}\b", ".<event>"),
        (r"127\.0\.0\.1:\d+", "<server>"),
        (r"\b(?:10\.\d+|172\.(?:1[6-9]|2\d|3[01]))\.\d+\.\d+\b", "<ip>"),
        (r"\bw[123](/[\d.]+)?\b", "<node>"),
        (r"\b192\.(168|0)\.\d+\.\d+\b", "<host>"),
        (r"(<invalid>|\b(\d+[ydhms])+\d*\b)( \(x\d+ over (\d+[ydhms])+\))?", "<age>"),
        (r'([rR]esource ?Version\\?"?: *\\?"?)\d+', r"\1<version>"),
        (r":3\d{4}/", ":<port>/"),
        (r'("?nodePort"?: )\d+', r"\1<port>"),
        (r"(NodePort: +\S+ +)\d+/TCP", r"\1<port>/TCP"),
        (r"(?m)^[EWI]\d{4} [\d:.]+ +\d+ ", "<log> "),
        (r"(?m)^Waiting for .*\n", ""),
        (r"-{3,}", "---"),
        (r"[ \t]+", " "),
    )
)
"""What no two clusters print alike; how often a roll-out reports is a matter of milliseconds."""


def masked(text: str) -> list[str]:
    for pattern, replacement in MASKS:
        text = pattern.sub(replacement, text)
    return [line.rstrip() for line in text.splitlines()]


def same(want: str, got: str) -> bool:
    """Equal after masking; lines about objects with generated names may come in another order."""
    ours, theirs = masked(got), masked(want)
    return ours == theirs or ("<generated>" in "".join(theirs) and sorted(ours) == sorted(theirs))


def read(session: str) -> list[dict[str, Any]]:
    with gzip.open(DATA / f"{session}.jsonl.gz", "rt") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A control plane without nodes, and three kubelets from outside."""
    machine = Machine(tmp_path_factory.mktemp("transcripts"))
    up = ("seatrial", "up", "k", "--control-plane-only", "--ephemeral", "--kubeconfig", str(machine.kubeconfig))
    machine.must(*up)
    StandIns(machine.kubeconfig, ["w1", "w2", "w3"])
    wait_for("nodes without taints", lambda: "NoSchedule" not in machine.kubectl("get", "nodes", "-o", "yaml"))
    yield machine
    machine.must("seatrial", "destroy", "k", "--yes")


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
    assert sorted(different) == sorted(known), different
