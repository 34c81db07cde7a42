"""The scheduler as users meet it: explained on the command line, and configured by a file of their own."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request

import pytest
import yaml

from tests.e2e.conftest import DEADLINE_S, Machine, wait_for

pytestmark = pytest.mark.e2e
WAIT = f"--timeout={DEADLINE_S:g}s"
PACKER = """\
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
- schedulerName: default-scheduler
- schedulerName: packer
  pluginConfig:
  - name: NodeResourcesFit
    args:
      scoringStrategy: {type: MostAllocated, resources: [{name: cpu, weight: 1}]}
"""


def pod(name: str, cpu: str = "100m", **spec: object) -> str:
    container = {"name": "c", "image": "nginx", "resources": {"requests": {"cpu": cpu}}}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container], **spec}}
    return yaml.safe_dump(body)


def test_a_pod_is_explained(lab: Machine) -> None:
    lab.kubectl("apply", "-f", "-", stdin=pod("explained"))
    lab.kubectl("apply", "-f", "-", stdin=pod("too-big", cpu="50"))
    wait_for("the pod's node", lambda: "nodeName" in lab.read("pod", "explained")["spec"])
    lab.kubectl("wait", "--for=condition=PodScheduled=False", "pod/too-big", WAIT)
    said = lab.must("seatrial", "explain", "explained", "--cluster", "lab")
    assert f"default/explained is on {lab.read('pod', 'explained')['spec']['nodeName']}." in said
    header = next(line for line in said.splitlines() if line.startswith("NODE"))
    assert header.split()[:2] == ["NODE", "VERDICT"] and "NodeResourcesFit" in header
    assert "had untolerated taint" in next(line for line in said.splitlines() if line.startswith("m-k8s"))
    said = lab.must("seatrial", "explain", "pod/too-big", "--cluster", "lab")
    assert "0/3 nodes are available" in said and "Insufficient cpu" in said and "next when something changes" in said
    lab.kubectl("delete", "pod", "explained", "too-big", "--now")


def test_what_does_not_exist_is_tried(lab: Machine) -> None:
    asked = ("seatrial", "explain", "-f", "-", "--cluster", "lab", "-o", "json")
    deployment = lab.kubectl("create", "deployment", "maybe", "--image=nginx", "--dry-run=client", "-o", "yaml")
    found = json.loads(lab.must(*asked, stdin=deployment))
    assert found["nodesFeasible"] == 2
    assert set(found["best"]) <= {"w1-k8s", "w2-k8s"} and found["best"]
    assert lab.kubectl("get", "deployment", "maybe", "--ignore-not-found") == ""
    on_one = pod("chosen", nodeSelector={"kubernetes.io/hostname": "w2-k8s"})
    assert json.loads(lab.must(*asked, stdin=on_one))["best"] == ["w2-k8s"]


def test_what_cannot_be_explained_is_refused_with_a_mend(lab: Machine) -> None:
    where = ("--cluster", "lab")
    said = lab.refused("seatrial", "explain", "nobody", *where)
    assert "pod default/nobody" in said and 'pods "nobody" not found' in said and "kubectl get pods -n default" in said
    assert "no pod in it, only ConfigMap" in lab.refused(
        "seatrial", "explain", "-f", "-", *where, stdin="{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}"
    )
    assert "cannot be read" in lab.refused("seatrial", "explain", "-f", "missing.yaml", *where)
    assert "either the name of a pod or a file" in lab.refused("seatrial", "explain", *where)
    assert "seatrial up" in lab.refused("seatrial", "explain", "web", "--cluster", "elsewhere")


def test_only_administrators_may_ask(lab: Machine) -> None:
    token = lab.kubectl("create", "token", "default").strip()
    server = lab.kubectl("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}")
    request = urllib.request.Request(
        f"{server}/seatrial/v1/explain?name=any", headers={"Authorization": f"Bearer {token}"}
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, context=ssl._create_unverified_context(), timeout=DEADLINE_S)
    assert refused.value.code == 403
    assert 'User "system:serviceaccount:default:default" cannot get path' in json.load(refused.value)["message"]


def test_a_scheduler_is_configured_by_a_file(machine: Machine) -> None:
    wrong, right = machine.root / "wrong.yaml", machine.root / "packer.yaml"
    wrong.write_text(PACKER.replace("schedulerName: packer", "schedulerName: packer\n  sheduler: x"))
    right.write_text(PACKER)
    size = ("--nodes", "2")
    said = machine.refused("seatrial", "up", *size, "--scheduler-config", str(wrong))
    assert 'unknown field "profiles[1].sheduler"' in said
    assert "no cluster yet" in machine.must("seatrial", "list")
    machine.must("seatrial", "up", *size, "--scheduler-config", str(right))
    machine.kubectl("wait", "--for=condition=Ready", "nodes", "--all", WAIT)
    machine.kubectl("apply", "-f", "-", stdin=pod("packed", schedulerName="packer"))
    wait_for("the pod's node", lambda: "nodeName" in machine.read("pod", "packed")["spec"])
    machine.must("seatrial", "halt")
    right.unlink()
    machine.must("seatrial", "up")
    machine.kubectl("apply", "-f", "-", stdin=pod("again", schedulerName="packer"))
    wait_for("the pod's node", lambda: "nodeName" in machine.read("pod", "again")["spec"])


def test_a_bare_cluster_has_no_scheduler_to_ask(machine: Machine) -> None:
    machine.must("seatrial", "up", "--nodes", "0", "--controllers", "none")
    machine.kubectl("create", "serviceaccount", "default")
    machine.kubectl("apply", "-f", "-", stdin=pod("web"))
    said = machine.refused("seatrial", "explain", "web")
    assert "this cluster has no scheduler" in said and "--controllers none" in said
    machine.must("seatrial", "halt")
    assert "not running" in machine.refused("seatrial", "explain", "web")
