"""The simple part of kustomize."""

from __future__ import annotations

import pytest

from seatrial.scenarios.kubectl.failures import Failure
from seatrial.scenarios.kubectl.kustomizing import build
from seatrial.scenarios.kubectl.session import MemoryFiles

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: nginx, image: "nginx:1.27", envFrom: [{configMapRef: {name: cfg}}]}
"""
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n"
BASE = {
    "base/kustomization.yaml": "resources: [web.yaml, service.yaml]\n"
    "configMapGenerator: [{name: cfg, literals: [a=b]}]\n",
    "base/web.yaml": DEPLOYMENT,
    "base/service.yaml": SERVICE,
}


def built(overlay: str, **more: str) -> dict[str, dict[str, object]]:
    files = MemoryFiles({**BASE, "over/kustomization.yaml": "resources: [../base]\n" + overlay, **more})
    return {f"{obj['kind']}/{obj['metadata']['name']}": obj for obj in build(files, "over")}


def test_names_get_prefix_suffix_and_hash_wherever_they_stand() -> None:
    found = built("namePrefix: dev-\nnameSuffix: -v1\n")
    config = next(name for name in found if name.startswith("ConfigMap/"))
    assert sorted(found) == sorted([config, "Deployment/dev-web-v1", "Service/dev-web-v1"])
    assert config.startswith("ConfigMap/dev-cfg-")
    spec = found["Deployment/dev-web-v1"]["spec"]
    named = spec["template"]["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"]  # type: ignore[index]
    assert named == config.removeprefix("ConfigMap/")


@pytest.mark.parametrize(
    ("overlay", "path", "value"),
    [
        ("namespace: shop\n", "metadata.namespace", "shop"),
        ("images: [{name: nginx, newTag: '1.28'}]\n", "spec.template.spec.containers.0.image", "nginx:1.28"),
        ("images: [{name: nginx, newName: a/b, digest: 'sha256:0'}]\n", "spec.template.spec.containers.0.image",
         "a/b@sha256:0"),
        ("replicas: [{name: web, count: 5}]\n", "spec.replicas", 5),
        ("labels: [{pairs: {x: z}}]\n", "metadata.labels.x", "z"),
        ("commonLabels: {x: z}\n", "spec.selector.matchLabels.x", "z"),
        ("commonAnnotations: {x: z}\n", "spec.template.metadata.annotations.x", "z"),
        ("patches: [{path: p.yaml}]\n", "spec.template.spec.containers.0.tty", True),
        ("patches: [{target: {kind: Deployment}, patch: '[{\"op\": \"replace\", \"path\": \"/spec/replicas\", "
         "\"value\": 7}]'}]\n", "spec.replicas", 7),
    ],
)  # fmt: skip
def test_an_overlay(overlay: str, path: str, value: object) -> None:
    patch = ("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n"
             "spec: {template: {spec: {containers: [{name: nginx, tty: true}]}}}\n")  # fmt: skip
    at: object = built(overlay, **{"over/p.yaml": patch})["Deployment/web"]
    for part in path.split("."):
        at = at[int(part)] if isinstance(at, list) else at[part]  # type: ignore[index]
    assert at == value


def test_configuration_comes_before_what_uses_it() -> None:
    assert [name.partition("/")[0] for name in built("")] == ["ConfigMap", "Service", "Deployment"]


@pytest.mark.parametrize(
    ("overlay", "said"),
    [
        ("helmCharts: []\n", "helmCharts"),
        ("patches: [{path: p.yaml, target: {kind: Nope}}]\n", "no matches for Id"),
    ],
)
def test_what_it_does_not_know_is_refused_by_name(overlay: str, said: str) -> None:
    with pytest.raises(Failure) as refused:
        built(overlay, **{"over/p.yaml": "kind: X\n"})
    assert said in refused.value.text
