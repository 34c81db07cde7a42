"""lightkube: typed objects made, applied, patched, watched, paged through and deleted."""

from __future__ import annotations

import httpx2
from lightkube import Client, KubeConfig
from lightkube.core.exceptions import ApiError
from lightkube.models.apps_v1 import DeploymentSpec
from lightkube.models.core_v1 import Container, PodSpec, PodTemplateSpec
from lightkube.models.meta_v1 import LabelSelector, ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Node, Pod
from lightkube.types import PatchType

NAMES = [f"lightkube-{number}" for number in range(4)]

client = Client(
    config=KubeConfig.from_env(), namespace="default", field_manager="lightkube", timeout=httpx2.Timeout(240)
)
assert {node.metadata.name for node in client.list(Node)} >= {"m-k8s", "w1-k8s"}
for name in NAMES:
    client.create(ConfigMap(metadata=ObjectMeta(name=name, labels={"of": "lightkube"}), data={"a": "1"}))
applied = ConfigMap(
    apiVersion="v1", kind="ConfigMap", metadata=ObjectMeta(name=NAMES[0], namespace="default"), data={"a": "2"}
)
assert client.apply(applied, force=True).data == {"a": "2"}
try:
    client.apply(ConfigMap.from_dict({**applied.to_dict(), "data": {"a": "3"}}), field_manager="other")
except ApiError as refusal:
    assert refusal.status.reason == "Conflict", refusal
else:
    raise AssertionError("a conflict was not noticed")
assert client.patch(ConfigMap, NAMES[0], {"data": {"b": "3"}}, patch_type=PatchType.MERGE).data == {"a": "2", "b": "3"}
found = [each.metadata.name for each in client.list(ConfigMap, labels={"of": "lightkube"}, chunk_size=2)]
assert found == NAMES, found
for event, each in client.watch(ConfigMap, labels={"of": "lightkube"}, resource_version=None):
    if event == "ADDED" and each.metadata.name == NAMES[-1]:
        client.delete(ConfigMap, NAMES[-1])
    if event == "DELETED":
        break
for name in NAMES[:-1]:
    client.delete(ConfigMap, name)

labels = {"app": "lightkube"}
template = PodTemplateSpec(
    metadata=ObjectMeta(labels=labels), spec=PodSpec(containers=[Container(name="c", image="nginx")])
)
spec = DeploymentSpec(replicas=1, selector=LabelSelector(matchLabels=labels), template=template)
client.create(Deployment(metadata=ObjectMeta(name="lightkube"), spec=spec))
client.wait(Deployment, "lightkube", for_conditions=["Available"])
begun = client.list(Pod, labels=labels)
assert len(list(begun)) == 1
scale = client.get(Deployment.Scale, "lightkube")
scale.spec.replicas = 0
scale.metadata.resourceVersion = None  # whatever the controller writes meanwhile
client.replace(scale, "lightkube")
for event, _ in client.watch(Pod, labels=labels, resource_version=begun.resourceVersion):
    if event == "DELETED":
        break
client.delete(Deployment, "lightkube")
