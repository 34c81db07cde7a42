"""The versions of Kubernetes 1.18, which a cluster with ``api_profile: book`` serves beside today's."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
import yaml

from seatrial.sim.apiserver.request import Request
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec
from seatrial.sim.machinery import legacy

POD = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    return Cluster(ClusterSpec(api_profile="book", controllers="none", nodes=0))


def request(cluster: Cluster, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
    raw = b"" if body is None else orjson.dumps(body)
    answer = cluster.request(Request(method, path, body=raw, content_type=content_type))
    assert answer.code < 300, answer.body["message"]
    return answer


def made(cluster: Cluster, api_version: str, plural: str, kind: str, name: str, **fields: Any) -> str:
    """Creates an object; its path."""
    body = {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **fields}
    row = cluster.kinds.find(*api_version.split("/"), plural)
    assert row is not None
    path = f"/apis/{api_version}/{'namespaces/default/' if row.namespaced else ''}{plural}"
    request(cluster, "POST", path, body)
    return f"{path}/{name}"


def spec_of(cluster: Cluster, path: str) -> Any:
    return request(cluster, "GET", path).body["spec"]


INGRESS = """
apiVersion: networking.k8s.io/v1beta1
kind: Ingress
metadata: {name: shop, namespace: default}
spec:
  backend: {serviceName: fallback, servicePort: http}
  rules:
  - http:
      paths:
      - path:
        backend: {serviceName: front, servicePort: 80}
"""


def test_an_ingress_is_the_same_object_in_all_its_versions(cluster: Cluster) -> None:
    body = yaml.safe_load(INGRESS)
    request(cluster, "POST", "/apis/networking.k8s.io/v1beta1/namespaces/default/ingresses", body)
    path = {"pathType": "ImplementationSpecific"}
    assert spec_of(cluster, "/apis/networking.k8s.io/v1/namespaces/default/ingresses/shop") == {
        "defaultBackend": {"service": {"name": "fallback", "port": {"name": "http"}}},
        "rules": [{"http": {"paths": [{**path, "backend": {"service": {"name": "front", "port": {"number": 80}}}}]}}],
    }
    shown = request(cluster, "GET", "/apis/extensions/v1beta1/namespaces/default/ingresses/shop")
    assert shown.body["apiVersion"] == "extensions/v1beta1"
    assert shown.body["spec"] == {
        "backend": {"serviceName": "fallback", "servicePort": "http"},
        "rules": [{"http": {"paths": [{**path, "backend": {"serviceName": "front", "servicePort": 80}}]}}],
    }
    assert shown.warnings == (
        "extensions/v1beta1 Ingress is deprecated in v1.14+, unavailable in v1.22+; use networking.k8s.io/v1 Ingress",
    )


def test_an_old_ingress_is_patched_in_its_own_words(cluster: Cluster) -> None:
    backend = {"backend": {"serviceName": "old", "servicePort": 1}}
    path = made(cluster, "extensions/v1beta1", "ingresses", "Ingress", "patched", spec=backend)
    patch = {"spec": {"backend": {"servicePort": 2}}}
    request(cluster, "PATCH", path, patch, "application/strategic-merge-patch+json")
    now = spec_of(cluster, "/apis/networking.k8s.io/v1/namespaces/default/ingresses/patched")
    assert now == {"defaultBackend": {"service": {"name": "old", "port": {"number": 2}}}}


@pytest.mark.parametrize(
    ("api_version", "plural", "kind", "wanted"),
    [
        (
            "extensions/v1beta1",
            "deployments",
            "Deployment",
            {
                "progressDeadlineSeconds": 2147483647,
                "revisionHistoryLimit": 2147483647,
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1}},
            },
        ),
        (
            "apps/v1beta1",
            "deployments",
            "Deployment",
            {
                "progressDeadlineSeconds": 600,
                "revisionHistoryLimit": 2,
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
            },
        ),
        ("extensions/v1beta1", "daemonsets", "DaemonSet", {"updateStrategy": {"type": "OnDelete"}}),
        ("extensions/v1beta1", "replicasets", "ReplicaSet", {"replicas": 1}),
        ("apps/v1beta1", "statefulsets", "StatefulSet", {"updateStrategy": {"type": "OnDelete"}}),
    ],
)
def test_an_old_workload_selects_what_its_template_makes_and_keeps_its_defaults(
    cluster: Cluster, api_version: str, plural: str, kind: str, wanted: dict[str, Any]
) -> None:
    name = api_version.replace("/", "-")
    made(cluster, api_version, plural, kind, name, spec={"template": POD})
    now = request(cluster, "GET", f"/apis/apps/v1/namespaces/default/{plural}/{name}").body
    assert now["metadata"]["labels"] == {"app": "web"}
    assert now["spec"]["selector"] == {"matchLabels": {"app": "web"}}
    assert {key: now["spec"][key] for key in wanted} == wanted


@pytest.mark.parametrize(
    ("old", "now"),
    [
        ({}, legacy.NOTHING_V1),
        (legacy.EVERYTHING_V1BETA1, {}),
        ({"matchLabels": {"a": "b"}}, {"matchLabels": {"a": "b"}}),
    ],
)
def test_an_empty_selector_of_an_old_budget_selects_nothing(cluster: Cluster, old: Any, now: Any) -> None:
    name = f"b{len(str(old))}"
    spec = {"minAvailable": 1, "selector": old}
    path = made(cluster, "policy/v1beta1", "poddisruptionbudgets", "PodDisruptionBudget", name, spec=spec)
    assert spec_of(cluster, path)["selector"] == old
    assert spec_of(cluster, path.replace("v1beta1", "v1"))["selector"] == now


def test_an_old_autoscaler_has_flat_metrics(cluster: Cluster) -> None:
    metric = {"type": "Resource", "resource": {"name": "cpu", "targetAverageUtilization": 50}}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
    spec = {"maxReplicas": 3, "scaleTargetRef": target, "metrics": [metric]}
    path = made(cluster, "autoscaling/v2beta1", "horizontalpodautoscalers", "HorizontalPodAutoscaler", "old", spec=spec)
    assert spec_of(cluster, path)["metrics"] == [metric]
    wanted = {"type": "Utilization", "averageUtilization": 50}
    now = spec_of(cluster, path.replace("v2beta1", "v2"))
    assert now["metrics"] == [{"type": "Resource", "resource": {"name": "cpu", "target": wanted}}]


def test_an_old_definition_without_a_schema_keeps_every_field(cluster: Cluster) -> None:
    names = {"plural": "pools", "singular": "pool", "kind": "Pool", "listKind": "PoolList"}
    columns = [{"name": "CIDR", "type": "string", "JSONPath": ".spec.cidr"}]
    spec = {"group": "example.org", "version": "v1", "names": names, "scope": "Cluster"}
    path = made(
        cluster,
        "apiextensions.k8s.io/v1beta1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        "pools.example.org",
        spec={**spec, "additionalPrinterColumns": columns},
    )
    assert spec_of(cluster, path)["additionalPrinterColumns"] == columns
    cluster.settle()
    pool = {"apiVersion": "example.org/v1", "kind": "Pool", "metadata": {"name": "p"}, "spec": {"cidr": "10.0.0.0/8"}}
    assert request(cluster, "POST", "/apis/example.org/v1/pools", pool).body["spec"] == pool["spec"]


def test_a_security_policy_is_stored_without_the_namespace_of_its_manifest(cluster: Cluster) -> None:
    body = {
        "apiVersion": "policy/v1beta1",
        "kind": "PodSecurityPolicy",
        "metadata": {"name": "speaker", "namespace": "metallb-system"},
        "spec": {"privileged": True, "hostPorts": [{"min": 1, "max": 2}], "fsGroup": {"rule": "RunAsAny"}},
    }
    answer = request(cluster, "POST", "/apis/policy/v1beta1/podsecuritypolicies", body)
    assert "namespace" not in answer.body["metadata"]
    assert answer.body["spec"]["allowPrivilegeEscalation"] is True
    listed = request(cluster, "GET", "/apis/extensions/v1beta1/podsecuritypolicies").body
    assert [item["metadata"]["name"] for item in listed["items"]] == ["speaker"]


def test_discovery_lists_the_old_versions_after_the_preferred_one(cluster: Cluster) -> None:
    groups = {group["name"]: group for group in request(cluster, "GET", "/apis").body["groups"]}
    assert [each["version"] for each in groups["apps"]["versions"]] == ["v1", "v1beta2", "v1beta1"]
    assert groups["apps"]["preferredVersion"]["version"] == "v1"
    assert [each["version"] for each in groups["extensions"]["versions"]] == ["v1beta1"]
    services = request(cluster, "GET", "/apis/apiregistration.k8s.io/v1/apiservices").body["items"]
    assert "v1beta1.extensions" in [service["metadata"]["name"] for service in services]


def test_every_old_version_is_listed_and_shown_as_a_table(cluster: Cluster) -> None:
    for row in legacy.rows():
        path = f"/apis/{row.api_version}/{row.plural}"
        assert request(cluster, "GET", path).body["kind"] == f"{row.kind}List"
        accept = "application/json;as=Table;g=meta.k8s.io;v=v1"
        table = cluster.request(Request("GET", path, accept=accept))
        assert table.body["kind"] == "Table"
        assert table.warnings == (row.legacy.warning,) if row.legacy else ()


def test_a_cluster_without_the_profile_knows_none_of_them() -> None:
    plain = Cluster(ClusterSpec(controllers="none", nodes=0))
    assert plain.request(Request("GET", "/apis/extensions/v1beta1/ingresses")).code == 404


def test_an_old_version_is_answered_in_json_where_protobuf_is_preferred(cluster: Cluster) -> None:
    accept = "application/vnd.kubernetes.protobuf,application/json"
    answer = cluster.request(Request("GET", "/apis/extensions/v1beta1/ingresses", accept=accept))
    assert (answer.code, answer.content_type) == (200, "application/json")


def test_old_webhooks_ignore_failures_and_match_exactly(cluster: Cluster) -> None:
    hook = {"name": "a.example.org", "clientConfig": {"url": "https://127.0.0.1/"}}
    path = "/apis/admissionregistration.k8s.io/v1beta1/validatingwebhookconfigurations"
    body = {
        "apiVersion": "admissionregistration.k8s.io/v1beta1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "old"},
        "webhooks": [hook],
    }
    request(cluster, "POST", path, body)
    (now,) = request(cluster, "GET", f"{path.replace('v1beta1', 'v1')}/old").body["webhooks"]
    assert (now["failurePolicy"], now["matchPolicy"], now["timeoutSeconds"]) == ("Ignore", "Exact", 30)
    request(cluster, "DELETE", f"{path}/old")
