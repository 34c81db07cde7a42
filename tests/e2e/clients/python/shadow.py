"""A kopf operator: every Pod of a CronJob gets a ConfigMap of the same name."""

from __future__ import annotations

from typing import Any

import kopf
from kubernetes import client, config


@kopf.on.startup()
def start(**_: Any) -> None:
    config.load_kube_config()


@kopf.on.create("v1", "pods", labels={"app": "shadowed"})
def create(name: str, namespace: str, **_: Any) -> None:
    client.CoreV1Api().create_namespaced_config_map(namespace, {"metadata": {"name": name}})
