"""Objects that scenarios are made of, in the namespace of a stage."""

from __future__ import annotations

from typing import Any

from tests.sim.controllers.stage import STRATEGIC, Stage


def pod(labels: Any = None, steer: Any = None, image: str = "nginx:1", **spec: Any) -> dict[str, Any]:
    annotations = {f"t.example.com/{key}": str(value) for key, value in (steer or {}).items()}
    container = {"name": "c", "image": image, "resources": {"requests": {"cpu": "100m"}}}
    return {
        "metadata": {"labels": labels or {"app": "w"}, "annotations": annotations},
        "spec": {"containers": [container], **spec},
    }


def deployment(replicas: int = 3, image: str = "nginx:1", steer: Any = None, **spec: Any) -> dict[str, Any]:
    template = pod({"app": "w"}, steer, image)
    selector = {"matchLabels": {"app": "w"}}
    body = {"replicas": replicas, "selector": selector, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "w"}, "spec": body}


def stateful_set(replicas: int = 3, steer: Any = None, **spec: Any) -> dict[str, Any]:
    template = pod({"app": "s"}, steer, "db:1")
    selector = {"matchLabels": {"app": "s"}}
    body = {"replicas": replicas, "serviceName": "s", "selector": selector, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "s"}, "spec": body}


def service() -> dict[str, Any]:
    spec = {"selector": {"app": "w"}, "ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "w"}, "spec": spec}


def job(name: str = "j", steer: Any = None, **spec: Any) -> dict[str, Any]:
    template = pod({"job": name}, steer or {"run-for": 1}, restartPolicy="Never")
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": template, **spec}}


def image(stage: Stage, kind: str, name: str, text: str) -> None:
    containers = [{"name": "c", "image": text}]
    stage.patch(kind, name, {"spec": {"template": {"spec": {"containers": containers}}}}, STRATEGIC)
