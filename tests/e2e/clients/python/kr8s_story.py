"""kr8s: a pod made, waited for, looked into, labelled and deleted; lists and a watch."""

from __future__ import annotations

import warnings

import httpx
import kr8s
from kr8s.objects import ConfigMap, Deployment, Pod

warnings.simplefilter("ignore")
CONTAINERS = [{"name": "c", "image": "nginx", "ports": [{"containerPort": 80}]}]

api = kr8s.api()
assert api.version()["gitVersion"] == "v1.37.2"
assert api.whoami() == "kubernetes-admin"
assert {node.name for node in api.get("nodes")} >= {"m-k8s", "w1-k8s"}

pod = Pod({"metadata": {"name": "kr8s", "namespace": "default"}, "spec": {"containers": CONTAINERS}})
pod.create()
pod.wait("condition=Ready", timeout=240)
assert pod.ready()
assert pod.exec(["echo", "hi"]).stdout == b"hi\n"
assert any("Configuration complete" in line for line in pod.logs(follow=True))
with pod.portforward(80) as port:
    assert httpx.get(f"http://localhost:{port}", timeout=240).status_code == 200
pod.label({"a": "b"})
pod.annotate({"c": "d"})
pod.refresh()
assert (pod.labels["a"], pod.annotations["c"]) == ("b", "d")
assert [found.name for found in api.get("pods", label_selector={"a": "b"})] == ["kr8s"]

spec = {
    "replicas": 1,
    "selector": {"matchLabels": {"app": "kr8s"}},
    "template": {"metadata": {"labels": {"app": "kr8s"}}, "spec": {"containers": CONTAINERS}},
}
deployment = Deployment({"metadata": {"name": "kr8s", "namespace": "default"}, "spec": spec})
deployment.create()
deployment.scale(2)
deployment.wait("condition=Available", timeout=240)
assert deployment.replicas == 2
deployment.delete()

ConfigMap({"metadata": {"name": "kr8s", "namespace": "default"}, "data": {"a": "b"}}).create()
for event, found in api.watch("configmaps", namespace="default"):
    if (event, found.name) == ("ADDED", "kr8s"):
        found.delete()
    elif (event, found.name) == ("DELETED", "kr8s"):
        break

for event, found in api.watch("pods", namespace="default", field_selector="metadata.name=kr8s"):
    if event == "ADDED":
        found.delete(grace_period=1)
    elif event == "DELETED":
        break
pod.wait("delete", timeout=240)
