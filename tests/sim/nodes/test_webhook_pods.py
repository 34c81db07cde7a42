"""A webhook that runs in a pod of the cluster."""

from __future__ import annotations

import pytest

from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec, S
from seatrial.sim.machinery.errors import ApiError

LABELS = {"app": "hook"}
IMAGE = "registry.k8s.io/ingress-nginx/controller:v1.14.0"
"""Its port 8443 answers reviews."""
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "hook"},
    "spec": {"selector": LABELS, "ports": [{"port": 443, "targetPort": 8443}]},
}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "hook", "labels": LABELS},
    "spec": {"containers": [{"name": "c", "image": IMAGE, "args": ["/nginx-ingress-controller"]}]},
}
RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
CONFIGURATION = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingWebhookConfiguration",
    "metadata": {"name": "hook"},
    "webhooks": [
        {
            "name": "hook.example.com",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": "Fail",
            "rules": [RULE],
            "clientConfig": {"service": {"name": "hook", "namespace": "default"}},
        }
    ],
}
CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}


def test_it_is_asked_once_its_pod_is_ready() -> None:
    cluster = Cluster(ClusterSpec(nodes=1, metrics_server=False))
    cluster.run(3 * S)
    cluster.apply([SERVICE, POD, CONFIGURATION])
    with pytest.raises(ApiError, match=r'failed to call webhook: Post "https://hook.default.svc:443/\?timeout=10s"'):
        cluster.apply(CONFIG_MAP)
    cluster.run(60 * S)
    assert cluster.apply(CONFIG_MAP)[0]["metadata"]["name"] == "a"
