"""Small manifests that are right as they are, for tests that do not care what exactly runs."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]
API = {"deployment": ("apps/v1", "Deployment"), "statefulset": ("apps/v1", "StatefulSet")}
API |= {"replicaset": ("apps/v1", "ReplicaSet"), "daemonset": ("apps/v1", "DaemonSet")}


def template(kind: str, name: str, **spec: Any) -> Object:
    """A pod template with labels of its own."""
    return {
        "metadata": {"labels": {"kind": kind, "name": name, "app": name}},
        "spec": {"containers": [{"name": "main", "image": "nginx:1.0"}], "terminationGracePeriodSeconds": 2, **spec},
    }


def workload(kind: str, name: str, replicas: int = 1, **spec: Any) -> Object:
    """A Deployment, StatefulSet or ReplicaSet."""
    version, word = API[kind]
    selector = {"matchLabels": {"kind": kind, "name": name}}
    body = {"replicas": replicas, "selector": selector, "template": template(kind, name), **spec}
    if kind == "statefulset":
        body["serviceName"] = name
    return {"apiVersion": version, "kind": word, "metadata": {"name": name}, "spec": body}


def daemons(name: str, **spec: Any) -> Object:
    """A DaemonSet."""
    made = workload("daemonset", name, **spec)
    del made["spec"]["replicas"]
    return made


def job(name: str, completions: int = 1, parallelism: int = 1, seconds: float = 1, **spec: Any) -> Object:
    """A Job whose pods run for some seconds and succeed."""
    pod = template("job", name, restartPolicy="Never")
    pod["spec"]["containers"] = [{"name": "main", "image": "busybox", "command": ["sleep", str(seconds)]}]
    body = {"completions": completions, "parallelism": parallelism, "template": pod, **spec}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": body}


def service(name: str) -> Object:
    """A Service for all workloads of the name."""
    spec = {"selector": {"app": name}, "ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def budget(name: str, least: int) -> Object:
    """A PodDisruptionBudget for the Deployment of the name."""
    spec = {"minAvailable": least, "selector": {"matchLabels": {"kind": "deployment", "name": name}}}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name}, "spec": spec}
