"""Debian's real Prometheus and promtool in front of a cluster, and the real hey during rolling updates."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import DEADLINE_S, Machine, beside, clean, heard, wait_for
from tests.e2e.test_addresses import CAREFUL, GRACE_S, SILENT, roll, served, twin

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
SCRAPES = 4
"""So many of each target have to go well."""
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
    with beside(machine, *command, "--web.listen-address=127.0.0.1:0") as running:
        server = f"http://{heard(running, 'Listening on').rpartition('address=')[2].strip()}"

        def page(path: str) -> bytes:
            with urllib.request.urlopen(f"{server}/{path}", timeout=DEADLINE_S) as answer:
                return bytes(answer.read())

        def ask(path: str) -> Any:
            return json.loads(page(f"api/v1/{path}"))["data"]

        def all_scraped() -> bool:
            counts = ask("query?query=sum_over_time(up[1h])")["result"]
            return len(counts) == targets and all(int(count["value"][1]) >= SCRAPES for count in counts)

        targets = sum(len(each["static_configs"][0]["targets"]) for each in scrapes)
        heard(running, "Server is ready to receive web requests")
        wait_for("all targets are scraped", all_scraped)
        for query in ("scheduler_pending_pods", "kubelet_running_pods", "apiserver_request_total", "workqueue_depth"):
            assert ask(f"query?query={query}")["result"], query
        for dropped in ("duplicate_timestamp", "out_of_bounds", "out_of_order"):
            name = f"prometheus_target_scrapes_sample_{dropped}_total"
            assert f"{name} 0" in page("metrics").decode(), dropped


def test_promtool_finds_nothing_but_upstreams_names(machine: Machine, tools: Path) -> None:
    token = (machine.root / "token").read_text()
    for name, (scheme, path, targets) in jobs().items():
        header = f"Authorization: Bearer {token}"
        url = f"{scheme}://{targets[-1]}{path}"
        page = machine.must("curl", "-sSfk", "-m", f"{DEADLINE_S:g}", "-x", proxy_of(machine), "-H", header, url)
        done = subprocess.run([str(tools / "promtool"), "check", "metrics"], input=page, capture_output=True, text=True)
        said = [line for line in (done.stdout + done.stderr).splitlines() if not line.endswith(SUFFIXES)]
        assert not said, (name, said)


def test_hey_during_a_rolling_update(machine: Machine) -> None:
    if shutil.which("go") is None:
        pytest.skip("there is no Go to build hey with")
    built = machine.type("env", f"GOBIN={machine.root}", "go", "install", "github.com/rakyll/hey@v0.1.5")
    if built.returncode:
        pytest.skip(f"hey cannot be had: {built.stderr.strip()[-200:]}")

    def failures(careful: bool) -> int:
        """How many requests fail while a Deployment goes over to another pod."""
        name, port = f"hey-{str(careful).lower()}", 30200 + careful
        machine.kubectl("apply", "-f", "-", stdin=served(name, port, GRACE_S, **(CAREFUL if careful else {})))
        machine.kubectl("rollout", "status", f"deployment/{name}", WAIT)
        url = f"http://{twin(machine, 'w1-k8s', port)}/hostname"
        wait_for("the service answers", lambda: machine.type("curl", "-sf", *SILENT, url).returncode == 0)
        patience_s = DEADLINE_S if careful else 1
        command = (
            str(machine.root / "hey"),
            "-z",
            "20s",
            "-c",
            "4",
            "-t",
            f"{patience_s:g}",
            "-disable-keepalive",
            url,
        )
        with beside(machine, *command) as hey:
            roll(machine, name)
            said, _ = hey.communicate(timeout=DEADLINE_S)
        assert "[200]" in said, said
        errors = said.partition("Error distribution:")[2]
        return sum(int(line.split("]")[0].strip(" \t[")) for line in errors.splitlines() if "[" in line)

    assert failures(careful=True) == 0
    wait_for("a request that fails", lambda: failures(careful=False) > 0)
