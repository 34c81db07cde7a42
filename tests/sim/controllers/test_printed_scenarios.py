"""Whole scenarios under the cluster's own scheduler, and what kubectl prints of them, as golden transcripts.

``pytest tests/sim/controllers/test_printed_scenarios.py --rewrite`` writes them anew; read the difference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from seatrial.scenarios.testing.metrics import serve_metrics
from tests.sim.controllers.scenes import deployment, image, pod, service
from tests.sim.controllers.stage import STRATEGIC, Stage
from tests.sim.controllers.test_scenarios import GOLDEN

HOSTNAME = "kubernetes.io/hostname"


def named(name: str, made: dict[str, Any], cpu: str = "") -> dict[str, Any]:
    """A Deployment ``w`` under another name, or a pod template as a pod."""
    if "template" not in made["spec"]:
        return {"apiVersion": "v1", "kind": "Pod", **made, "metadata": {"name": name, **made["metadata"]}}
    template = made["spec"]["template"]
    template["metadata"]["labels"] = {"app": name}
    if cpu:
        template["spec"]["containers"][0]["resources"]["requests"]["cpu"] = cpu
    spec = {**made["spec"], "selector": {"matchLabels": {"app": name}}}
    return {**made, "metadata": {"name": name}, "spec": spec}


def volume(name: str, size: str) -> dict[str, Any]:
    spec = {"capacity": {"storage": size}, "accessModes": ["ReadWriteMany"], "storageClassName": "t"}
    spec |= {"hostPath": {"path": "/x"}, "persistentVolumeReclaimPolicy": "Retain"}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}


def claim(name: str, size: str, mode: str = "ReadWriteMany") -> dict[str, Any]:
    spec = {"accessModes": [mode], "storageClassName": "t", "resources": {"requests": {"storage": size}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def autoscaler(target: dict[str, Any], least: int, most: int, **spec: Any) -> dict[str, Any]:
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "w"}
    metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    body = {"scaleTargetRef": ref, "minReplicas": least, "maxReplicas": most, "metrics": metrics, **spec}
    kind = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler"}
    return {**kind, "metadata": {"name": "w"}, "spec": body}


def condition(stage: Stage, name: str, status: str) -> None:
    ready = {"status": {"conditions": [{"type": "Ready", "status": status}]}}
    response = stage.request("PATCH", stage.path("pods", name) + "/status", ready, STRATEGIC)
    assert response.code == 200, response.body


def scaled_up_and_down(stage: Stage) -> None:
    stage.apply(deployment(3), service())
    stage.sleep(4)
    stage.kubectl("scale deploy w --replicas=6")
    stage.sleep(3)
    stage.kubectl("scale deploy w --replicas=2")
    stage.sleep(4)


def available_after_a_while(stage: Stage) -> None:
    stage.apply(deployment(2, minReadySeconds=5))
    stage.sleep(8)
    image(stage, "deployments.apps", "w", "nginx:2")
    stage.sleep(16)
    stage.kubectl("rollout history deploy/w")


def stray_pod(stage: Stage) -> None:
    stage.apply(named("stray", pod()))
    stage.sleep(2)
    spec = {"replicas": 3, "selector": {"matchLabels": {"app": "w"}}, "template": pod()}
    stage.apply({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "w"}, "spec": spec})
    stage.sleep(3)
    stage.kubectl("label pod stray app=free --overwrite")
    stage.sleep(3)


def ready_and_not(stage: Stage) -> None:
    unready = service()
    unready = {**unready, "metadata": {"name": "n"}, "spec": {**unready["spec"], "publishNotReadyAddresses": True}}
    stage.apply(deployment(3), service(), unready)
    stage.sleep(4)
    first = min(each["metadata"]["name"] for each in stage.list("pods"))
    for status in ("False", "True"):
        condition(stage, first, status)
        stage.sleep(3)
    stage.kubectl(f"delete pod {first} --wait=false --grace-period=30")
    stage.sleep(4)
    stage.kubectl("scale deploy w --replicas=0")
    stage.sleep(3)


def preempted(stage: Stage) -> None:
    for name, value in (("low", 10), ("high", 1000)):
        stage.kubectl(f"create priorityclass t-{name} --value={value}")
    low = named("w", deployment(12), "900m")
    low["spec"]["template"]["spec"]["priorityClassName"] = "t-low"
    stage.apply(low)
    stage.sleep(6)
    high = named("h", deployment(2), "1800m")
    high["spec"]["template"]["spec"]["priorityClassName"] = "t-high"
    stage.apply(high)
    stage.sleep(10)
    stage.kubectl("get pods -o wide")


def why_pods_wait(stage: Stage) -> None:
    big = pod()
    big["spec"]["containers"][0]["resources"]["requests"] = {"cpu": "100"}
    gone = [{"name": "v", "persistentVolumeClaim": {"claimName": "missing"}}]
    apart = {"labelSelector": {"matchLabels": {"anti": "1"}}, "topologyKey": HOSTNAME}
    alone = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}}
    stage.apply(
        named("toobig", big),
        named("nosel", pod(nodeSelector={"disk": "ssd"})),
        named("gated", pod(schedulingGates=[{"name": "t.example.com/g"}])),
        named("nopvc", pod(volumes=gone)),
        *(named(f"anti{number}", pod({"anti": "1"}, affinity=alone)) for number in range(5)),
    )
    stage.kubectl("taint nodes w1 w2 only=me:NoSchedule")
    stage.kubectl("cordon w3")
    stage.apply(named("mixed", pod()))
    stage.sleep(3)
    stage.kubectl("taint nodes w1 w2 only-")
    stage.kubectl("uncordon w3")
    stage.sleep(3)
    stage.kubectl("label node w1 disk=ssd")
    stage.sleep(3)
    stage.kubectl("get pods -o wide")


def spread_over_nodes(stage: Stage) -> None:
    made = deployment(7)
    made["spec"]["template"]["spec"]["topologySpreadConstraints"] = [
        {
            "maxSkew": 1,
            "topologyKey": HOSTNAME,
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": "w"}},
        }
    ]
    stage.apply(made)
    stage.sleep(4)
    stage.kubectl("cordon w1")
    stage.kubectl("scale deploy w --replicas=12")
    stage.sleep(4)
    stage.kubectl("get pods -o wide")
    stage.kubectl("uncordon w1")
    stage.sleep(2)


def volumes_and_claims(stage: Stage) -> None:
    stage.apply(volume("t-a", "1Gi"), volume("t-b", "5Gi"), volume("t-c", "3Gi"), claim("two", "2Gi"))
    stage.sleep(3)
    stage.apply(claim("huge", "50Gi"), claim("rwo", "1Gi", "ReadWriteOnce"))
    stage.sleep(4)
    stage.kubectl("get pv,pvc")
    stage.kubectl("describe pvc huge")
    stage.kubectl("delete pvc two")
    stage.sleep(3)
    stage.kubectl("get pv")
    stage.kubectl("delete pvc --all --wait=false")
    stage.kubectl("delete pv t-a t-b t-c --wait=false")
    stage.sleep(3)


def kinds_of_services(stage: Stage) -> None:
    stage.kubectl("create deployment w --image=nginx:1 --replicas=2")
    stage.kubectl("expose deployment w --type=NodePort --port=80 --name=np")
    stage.kubectl("expose deployment w --type=LoadBalancer --port=8080 --target-port=80 --name=lb")
    stage.kubectl("create service externalname ex --external-name=example.org")
    stage.sleep(3)
    stage.kubectl("get svc,endpointslices")
    stage.kubectl("describe svc np")
    stage.kubectl("delete svc np lb ex")


def lost_for_five_minutes(stage: Stage) -> None:
    stage.nodes.add("n3")
    made = deployment(2)
    made["spec"]["template"]["spec"]["nodeSelector"] = {HOSTNAME: "n3"}
    stage.apply(made)
    stage.sleep(6)
    stage.nodes.stop("n3")
    stage.sleep(400)
    stage.kubectl("get pods -o wide")
    stage.kubectl("delete node n3")
    stage.sleep(45)
    stage.kubectl("get pods")


def unmeasured(stage: Stage) -> None:
    stage.apply(deployment(2))
    stage.kubectl("autoscale deploy w --min=1 --max=5 --cpu=50%")
    stage.sleep(40)
    stage.kubectl("get hpa")
    stage.kubectl("describe hpa w")


def load_that_comes_and_goes(stage: Stage) -> None:
    load = [0.0]
    serve_metrics(stage.cluster, lambda now: load[0])
    stage.apply(deployment(1))
    stage.sleep(3)
    stage.apply(autoscaler({"type": "AverageValue", "averageValue": "50m"}, 1, 10))
    for millicores, seconds in ((0, 40), (290, 100), (60, 400)):
        load[0] = millicores
        stage.sleep(seconds)
        stage.kubectl("get hpa")
        stage.kubectl("describe hpa w")


def a_rate_of_its_own(stage: Stage) -> None:
    load = [100.0]
    serve_metrics(stage.cluster, lambda now: load[0])
    stage.apply(deployment(2))
    stage.sleep(3)
    up = {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 2, "periodSeconds": 30}]}
    down = {"stabilizationWindowSeconds": 30, "policies": [{"type": "Percent", "value": 50, "periodSeconds": 30}]}
    target = {"type": "Utilization", "averageUtilization": 50}
    stage.apply(autoscaler(target, 2, 20, behavior={"scaleUp": up, "scaleDown": down}))
    for millicores, seconds in ((100, 35), (600, 150), (30, 150)):
        load[0] = millicores
        stage.sleep(seconds)
        stage.kubectl("get hpa")
    stage.kubectl("describe hpa w")


SCENARIOS: tuple[Callable[[Stage], None], ...] = (
    scaled_up_and_down,
    available_after_a_while,
    stray_pod,
    ready_and_not,
    preempted,
    why_pods_wait,
    spread_over_nodes,
    volumes_and_claims,
    kinds_of_services,
    lost_for_five_minutes,
    unmeasured,
    load_that_comes_and_goes,
    a_rate_of_its_own,
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[each.__name__ for each in SCENARIOS])
def test_story(scenario: Callable[[Stage], None], request: pytest.FixtureRequest) -> None:
    stage = Stage(scheduler=True)
    scenario(stage)
    story, file = stage.story(), GOLDEN / f"{scenario.__name__}.txt"
    if request.config.getoption("--rewrite"):
        file.write_text(story)
    assert story == file.read_text()
