"""Debian's real Prometheus and promtool in front of a cluster, and the real hey during rolling updates."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import DEADLINE_S, Machine, clean, wait_for
from tests.e2e.test_addresses import CAREFUL, served, twin

pytestmark = [pytest.mark.e2e, pytest.mark.soak, pytest.mark.xdist_group("prometheus")]
WAIT = f"--timeout={DEADLINE_S:g}s"
ROLE = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: prometheus}
rules:
- {apiGroups: [""], resources: [nodes/metrics], verbs: [get]}
- {nonResourceURLs: [/metrics], verbs: [get]}
"""
NODES = {"m-k8s": "192.168.1.10", "w1-k8s": "192.168.1.101"}
SUFFIXES = ('counter metrics should have "_total" suffix', 'non-counter metrics should not have "_total" suffix')
"""What promtool has against names of upstream's."""


def jobs() -> dict[str, tuple[str, str, list[str]]]:
    """Job → scheme, path, targets."""
    everywhere = list(NODES.values())
    control = NODES["m-k8s"]
    return {
        "apiserver": ("https", "/metrics", [f"{control}:6443"]),
        "kube-controller-manager": ("https", "/metrics", [f"{control}:10257"]),
        "kube-scheduler": ("https", "/metrics", [f"{control}:10259"]),
        "kubelet": ("https", "/metrics", [f"{address}:10250" for address in everywhere]),
        "cadvisor": ("https", "/metrics/cadvisor", [f"{address}:10250" for address in everywhere]),
        "probes": ("https", "/metrics/probes", [f"{address}:10250" for address in everywhere]),
        "resource": ("https", "/metrics/resource", [f"{address}:10250" for address in everywhere]),
        "kube-proxy": ("http", "/metrics", [f"{address}:10249" for address in everywhere]),
    }


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with clean(tmp_path_factory.mktemp("scrape")) as made:
        made.must("seatrial", "up", "reach", "--nodes", "1", "--ephemeral")
        made.kubectl("wait", "--for=condition=Ready", "nodes", "--all", WAIT)
        made.kubectl("apply", "-f", "-", stdin=ROLE)
        made.kubectl("create", "serviceaccount", "prometheus")
        binding = (
            "clusterrolebinding",
            "prometheus",
            "--clusterrole=prometheus",
            "--serviceaccount=default:prometheus",
        )
        made.kubectl("create", *binding)
        (made.root / "token").write_text(made.kubectl("create", "token", "prometheus").strip())
        yield made


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of prometheus and promtool, out of Debian's package."""
    root = tmp_path_factory.mktemp("prometheus")
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        pytest.skip("this is no Debian: there is no package of Prometheus to take")
    got = subprocess.run(["apt-get", "download", "prometheus"], cwd=root, capture_output=True, text=True)
    packages = list(root.glob("prometheus_*.deb"))
    if not packages:
        pytest.skip(f"Debian's package of Prometheus cannot be had: {got.stderr.strip()[-200:]}")
    subprocess.run(["dpkg", "-x", str(packages[0]), str(root)], check=True)
    return root / "usr" / "bin"


def proxy_of(machine: Machine) -> str:
    view = json.loads(machine.must("seatrial", "addresses", "reach", "-o", "json"))
    return str(view["proxy"])


def test_prometheus_scrapes_everything_without_an_error(machine: Machine, tools: Path) -> None:
    scrapes = [
        {
            "job_name": name,
            "scheme": scheme,
            "metrics_path": path,
            "proxy_url": proxy_of(machine),
            "authorization": {"credentials_file": str(machine.root / "token")},
            "tls_config": {"insecure_skip_verify": True},
            "static_configs": [{"targets": targets}],
        }
        for name, (scheme, path, targets) in jobs().items()
    ]
    config = {"global": {"scrape_interval": "3s", "scrape_timeout": "3s"}, "scrape_configs": scrapes}
    file = machine.root / "prometheus.yml"
    file.write_text(json.dumps(config))
    command = [str(tools / "prometheus"), f"--config.file={file}", f"--storage.tsdb.path={machine.root / 'data'}"]
    log = (machine.root / "prometheus.log").open("w")
    running = subprocess.Popen([*command, "--web.listen-address=127.0.0.1:19090"], stdout=log, stderr=log)

    def ask(path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:19090/api/v1/{path}", timeout=5) as answer:
            return json.load(answer)["data"]

    def all_up() -> bool:
        try:
            found = ask("targets")["activeTargets"]
        except OSError:
            return False
        return bool(found) and all(each["health"] == "up" for each in found)

    try:
        wait_for("all targets are up", all_up, 60)
        time.sleep(10)
        assert all_up(), [each["lastError"] for each in ask("targets")["activeTargets"]]
        for query in ("scheduler_pending_pods", "kubelet_running_pods", "apiserver_request_total", "workqueue_depth"):
            assert ask(f"query?query={query}")["result"], query
        for dropped in ("duplicate_timestamp", "out_of_bounds", "out_of_order"):
            name = f"prometheus_target_scrapes_sample_{dropped}_total"
            with urllib.request.urlopen("http://127.0.0.1:19090/metrics", timeout=5) as answer:
                assert f"{name} 0" in answer.read().decode(), dropped
    finally:
        running.terminate()
        running.wait()
        log.close()


def test_promtool_finds_nothing_but_upstreams_names(machine: Machine, tools: Path) -> None:
    token = (machine.root / "token").read_text()
    for name, (scheme, path, targets) in jobs().items():
        header = f"Authorization: Bearer {token}"
        url = f"{scheme}://{targets[-1]}{path}"
        page = machine.must("curl", "-sSfk", "-m", "20", "-x", proxy_of(machine), "-H", header, url)
        done = subprocess.run([str(tools / "promtool"), "check", "metrics"], input=page, capture_output=True, text=True)
        said = [line for line in (done.stdout + done.stderr).splitlines() if not line.endswith(SUFFIXES)]
        assert not said, (name, said)


def test_hey_during_a_rolling_update(machine: Machine) -> None:
    if shutil.which("go") is None:
        pytest.skip("there is no Go to build hey with")
    built = machine.type("env", f"GOBIN={machine.root}", "go", "install", "github.com/rakyll/hey@v0.1.5")
    if built.returncode:
        pytest.skip(f"hey cannot be had: {built.stderr.strip()[-200:]}")
    failed = {}
    for careful in (False, True):
        name, port = f"hey-{str(careful).lower()}", 30200 + careful
        machine.kubectl("apply", "-f", "-", stdin=served(name, port, 10, **(CAREFUL if careful else {})))
        machine.kubectl("rollout", "status", f"deployment/{name}", WAIT)
        url = f"http://{twin(machine, 'w1-k8s', port)}/hostname"
        wait_for("the service answers", lambda at=url: machine.type("curl", "-sf", "-m", "2", at).returncode == 0)  # type: ignore[misc]
        command = [str(machine.root / "hey"), "-z", "10s", "-c", "4", "-t", "1", "-disable-keepalive", url]
        running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        machine.kubectl("rollout", "restart", f"deployment/{name}")
        said, _ = running.communicate(timeout=DEADLINE_S)
        errors = said.partition("Error distribution:")[2]
        failed[careful] = sum(int(line.split("]")[0].strip(" \t[")) for line in errors.splitlines() if "[" in line)
        assert "[200]" in said, said
    assert failed[False] > 0 and failed[True] == 0, failed
