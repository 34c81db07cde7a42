"""``seatrial kubectl`` and ``seatrial shell`` before a running cluster, beside the real kubectl."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request

import pytest

from tests.e2e.conftest import DEADLINE_S, Machine, beside, heard, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("lab")]
AGE = re.compile(r"\b(\d+[ydhms])+\b")
BLANKS = re.compile(r" +|-+")
"""How wide a column is follows from how old its rows are, so that a second may move all that stands to its right."""


@pytest.fixture(scope="module")
def web(lab: Machine) -> str:
    """Two pods behind a service, in a namespace of their own."""
    lab.must("seatrial", "kubectl", "create", "namespace", "builtin")
    lab.must("seatrial", "kubectl", "create", "deployment", "web", "--image=nginx", "--replicas=2", "-n", "builtin")
    lab.must("seatrial", "kubectl", "expose", "deployment", "web", "--port=80", "-n", "builtin")
    lab.must("seatrial", "kubectl", "rollout", "status", "deployment/web", "-n", "builtin")
    logs = ("kubectl", "logs", "-n", "builtin", "-l", "app=web")
    wait_for("both servers", lambda: lab.must(*logs).count("ready for start up") == 2)
    asks = {"stdin": "curl -s http://web.builtin/\n"}
    wait_for("the service", lambda: "Welcome" in lab.type("seatrial", "shell", "--cluster", "lab", **asks).stdout)
    return "builtin"


@pytest.mark.parametrize(
    "line",
    [
        "get all -o wide",
        "get deployment,service web -o yaml",
        "get nodes -o json",
        "describe deployment web",
        "describe service web",
        "get pods nope",
        "create role r --verb=get --resource=pods,deployments --dry-run=client -o yaml",
        "explain deployment.spec.strategy",
        "auth can-i --list",
        "logs deployment/web --tail=1",
        "exec deployment/web -- sh -c 'echo out; echo err >&2; exit 3'",
        "get pods --nonsense",
        "api-resources",
        "config get-contexts",
        "version -o yaml",
    ],
)
def test_it_prints_what_the_real_one_prints(lab: Machine, web: str, line: str) -> None:
    """What the real one prints before and after is the same, or the cluster has changed and they are asked again."""

    def printed(kubectl: str) -> list[str]:
        done = lab.type("sh", "-c", f"{kubectl} -n {web} {line}")
        texts = (BLANKS.sub(lambda run: run[0][0], AGE.sub("…", text)) for text in (done.stdout, done.stderr))
        return [str(done.returncode), *texts]

    def stood_still() -> bool:
        nonlocal ours, before, after
        before, ours, after = after or printed("kubectl"), printed("seatrial kubectl"), printed("kubectl")
        return before == after

    ours: list[str] = []
    before: list[str] = []
    after: list[str] = []
    wait_for("a cluster that stands still", stood_still)
    assert ours == before


def test_files_go_into_a_pod_and_out_of_it(lab: Machine, web: str) -> None:
    pod = lab.must("seatrial", "kubectl", "get", "pods", "-n", web, "-o", "name").splitlines()[0].removeprefix("pod/")
    (lab.root / "note.txt").write_text("hello\n")
    lab.must("seatrial", "kubectl", "cp", "note.txt", f"{web}/{pod}:/tmp/note.txt")
    lab.must("seatrial", "kubectl", "cp", f"{web}/{pod}:/tmp/note.txt", "back.txt")
    assert (lab.root / "back.txt").read_text() == "hello\n"


def test_input_reaches_a_container(lab: Machine, web: str) -> None:
    assert (
        lab.must("seatrial", "kubectl", "exec", "-i", "deployment/web", "-n", web, "--", "cat", stdin="typed\n")
        == "typed\n"
    )


def test_a_port_is_forwarded(lab: Machine, web: str) -> None:
    with beside(lab, "seatrial", "kubectl", "port-forward", "-n", web, "service/web", ":80") as forward:
        told = re.fullmatch(r"Forwarding from (127\.0\.0\.1:\d+) -> 80\n", heard(forward, "Forwarding"))
        assert told is not None
        with urllib.request.urlopen(f"http://{told[1]}/", timeout=DEADLINE_S) as answer:
            assert b"Welcome to nginx" in answer.read()


def test_names_are_completed(lab: Machine, web: str) -> None:
    found = lab.must("seatrial", "kubectl", "__complete", "-n", web, "get", "deployment", "w")
    assert found == "web\n:4\n"
    asked = {"_SEATRIAL_COMPLETE": "bash_complete", "COMP_WORDS": "seatrial kubectl rollout st", "COMP_CWORD": "3"}
    done = subprocess.run(["seatrial"], env={**lab.environment, **asked}, capture_output=True, text=True)
    assert done.stdout == "plain,status\n"


def test_the_shell_runs_a_script_and_ends_with_its_code(lab: Machine, web: str) -> None:
    script = f"""
kubectl -n {web} get pods --no-headers | wc -l
curl -s -o /dev/null -w '%{{http_code}}\\n' http://web.{web}/
ssh w1-k8s hostname
kubectl -n {web} get svc web -o yaml > svc.yaml; kubectl -n {web} apply -f svc.yaml --dry-run=server -o name 2>/dev/null
clock show --cluster lab | head -1 | cut -d: -f1
kubectl get nope
"""
    done = lab.type("seatrial", "shell", "--cluster", "lab", stdin=script)
    assert done.stdout.split() == ["2", "200", "w1-k8s", "service/web", "now"]
    assert done.stderr == 'error: the server doesn\'t have a resource type "nope"\n'
    assert done.returncode == 1


def test_a_server_that_is_not_there_is_told_of_as_kubectl_tells(lab: Machine) -> None:
    said = [lab.refused(*kubectl, "get", "pods", "--server=https://127.0.0.1:1").splitlines()[-1]
            for kubectl in (("kubectl",), ("seatrial", "kubectl"))]  # fmt: skip
    assert said[0] == said[1]


def test_use_context_is_kept(lab: Machine) -> None:
    config = lab.root / "other"
    config.write_text(json.dumps({"contexts": [{"name": "a", "context": {}}, {"name": "b", "context": {}}]}))
    said = lab.must("seatrial", "kubectl", "config", "use-context", "b", "--kubeconfig", str(config))
    assert said == 'Switched to context "b".\n'
    assert lab.must("kubectl", "config", "current-context", "--kubeconfig", str(config)) == "b\n"
