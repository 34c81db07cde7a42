"""A kopf operator: every Greeting gets a ConfigMap of its own, a status, and a farewell before it goes."""

from __future__ import annotations

from typing import Any

import kopf
from kubernetes import client, config


@kopf.on.startup()
def start(settings: kopf.OperatorSettings, **_: Any) -> None:
    config.load_kube_config()
    settings.persistence.finalizer = "greetings.seatrial.dev/farewell"


def body_of(spec: Any) -> dict[str, Any]:
    return {"data": {"text": " ".join([spec["hello"]] * spec["times"])}}


@kopf.on.create("seatrial.dev", "v1", "greetings")
def create(spec: Any, body: Any, name: str, namespace: str, patch: kopf.Patch, **_: Any) -> None:
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **body_of(spec)}
    kopf.adopt(made)
    client.CoreV1Api().create_namespaced_config_map(namespace, made)
    kopf.info(body, reason="Greeted", message="said hello")
    patch.status["said"] = 1


@kopf.on.update("seatrial.dev", "v1", "greetings", field="spec")
def update(spec: Any, name: str, namespace: str, status: Any, patch: kopf.Patch, **_: Any) -> None:
    client.CoreV1Api().patch_namespaced_config_map(name, namespace, body_of(spec))
    patch.status["said"] = status.get("said", 0) + 1


@kopf.on.delete("seatrial.dev", "v1", "greetings")
def delete(name: str, namespace: str, **_: Any) -> None:
    body = {"metadata": {"name": f"{name}-farewell"}}
    client.CoreV1Api().create_namespaced_config_map(namespace, body)
