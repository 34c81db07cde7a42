"""Controllers of volumes, services, accounts and nodes: what each does for an object, seen from outside."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pytest

from tests.sim.controllers.scenes import deployment, pod, service
from tests.sim.controllers.stage import NAMESPACE, Stage

Object = Mapping[str, Any]


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def with_addons() -> Stage:
    return Stage(control_plane_only=False, nodes=0)


def volume(name: str, size: str, policy: str = "Retain") -> Object:
    spec = {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "storageClassName": "none"}
    spec |= {"hostPath": {"path": "/x"}, "persistentVolumeReclaimPolicy": policy}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}


def claim(name: str, size: str, storage_class: str = "none") -> Object:
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": storage_class}
    spec |= {"resources": {"requests": {"storage": size}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def storage_class(stage: Stage, name: str, mode: str = "Immediate", **more: Any) -> None:
    kind = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}}
    stage.cluster.apply({**kind, "provisioner": "seatrial.io/dynamic", "volumeBindingMode": mode, **more})


def user_of(claim_name: str, name: str = "user") -> Object:
    spec = pod(volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": claim_name}}])["spec"]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def secret(name: str, type_: str, namespace: str = NAMESPACE, **more: Any) -> Object:
    metadata = {"name": name, "namespace": namespace, **more.pop("metadata", {})}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": type_, **more}


def reasons(stage: Stage, kind: str, name: str) -> list[str]:
    events = [each for each in stage.list("events") if each["involvedObject"]["kind"] == kind]
    return [each["reason"] for each in events if each["involvedObject"]["name"] == name]


class TestVolumes:
    def test_a_claim_gets_the_smallest_volume_that_fits(self, stage: Stage) -> None:
        stage.apply(volume("big", "5Gi"), volume("small", "1Gi"), volume("fits", "3Gi"))
        stage.sleep(1)
        stage.apply(claim("c", "2Gi"))
        stage.sleep(2)
        assert stage.get("persistentvolumeclaims", "c")["spec"]["volumeName"] == "fits"
        assert stage.get("persistentvolumeclaims", "c")["status"]["capacity"] == {"storage": "3Gi"}

    @pytest.mark.parametrize(("policy", "left"), [("Retain", "Released"), ("Delete", "Failed")])
    def test_a_volume_outlives_its_claim(self, stage: Stage, policy: str, left: str) -> None:
        """A host path outside /tmp has no deleter, so that its deletion fails."""
        stage.apply(volume("v", "1Gi", policy), claim("c", "1Gi"))
        stage.sleep(2)
        stage.delete("persistentvolumeclaims", "c")
        stage.sleep(2)
        assert stage.cluster.store.get("persistentvolumes", "", "v")["status"]["phase"] == left

    def test_a_claim_in_use_stays_until_its_pod_is_gone(self, stage: Stage) -> None:
        stage.apply(volume("v", "1Gi"), claim("c", "1Gi"), user_of("c"))
        stage.sleep(3)
        stage.delete("persistentvolumeclaims", "c")
        stage.sleep(3)
        assert "deletionTimestamp" in stage.get("persistentvolumeclaims", "c")["metadata"]
        stage.delete("pods", "user")
        stage.sleep(3)
        assert stage.get("persistentvolumeclaims", "c") is None

    def test_a_provisioned_volume_comes_and_goes_with_its_claim(self, with_addons: Stage) -> None:
        stage = with_addons
        storage_class(stage, "fast")
        stage.apply(claim("c", "1Gi", "fast"))
        stage.sleep(2)
        found = stage.get("persistentvolumeclaims", "c")
        assert found["status"]["phase"] == "Bound"
        assert found["spec"]["volumeName"] == f"pvc-{found['metadata']['uid']}"
        assert reasons(stage, "PersistentVolumeClaim", "c") == [
            "Provisioning",
            "ExternalProvisioning",
            "ProvisioningSucceeded",
        ]
        stage.delete("persistentvolumeclaims", "c")
        stage.sleep(3)
        assert stage.cluster.store.list("persistentvolumes") == []

    def test_a_late_class_waits_for_a_consumer(self, with_addons: Stage) -> None:
        stage = with_addons
        storage_class(stage, "late", "WaitForFirstConsumer")
        stage.apply(claim("c", "1Gi", "late"))
        stage.sleep(20)
        assert stage.get("persistentvolumeclaims", "c")["status"]["phase"] == "Pending"
        assert set(reasons(stage, "PersistentVolumeClaim", "c")) == {"WaitForFirstConsumer"}
        annotations = {"volume.kubernetes.io/selected-node": "w1"}
        stage.patch("persistentvolumeclaims", "c", {"metadata": {"annotations": annotations}})
        stage.sleep(2)
        assert stage.get("persistentvolumeclaims", "c")["status"]["phase"] == "Bound"

    def test_an_ephemeral_volume_is_a_claim_that_the_pod_owns(self, stage: Stage) -> None:
        template = {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
        spec = pod(volumes=[{"name": "scratch", "ephemeral": {"volumeClaimTemplate": template}}])["spec"]
        stage.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec})
        stage.sleep(2)
        (owner,) = stage.get("persistentvolumeclaims", "p-scratch")["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["controller"]) == ("Pod", "p", True)


class TestServices:
    def test_address_of_a_service_that_is_no_balancer_any_more_goes_to_one_that_waits(self, with_addons: Stage) -> None:
        first, last = with_addons.cluster.spec.network.load_balancer_pool
        count = int(last.rpartition(".")[2]) - int(first.rpartition(".")[2]) + 1
        for number in range(count + 1):
            spec = {**service()["spec"], "type": "LoadBalancer"}
            with_addons.apply({**service(), "metadata": {"name": f"s{number}"}, "spec": spec})
            with_addons.sleep(1)
        waiting = f"s{count}"
        assert "ingress" not in with_addons.get("services", waiting)["status"]["loadBalancer"]
        with_addons.patch("services", "s0", {"spec": {"type": "ClusterIP"}})
        with_addons.sleep(2)
        assert with_addons.get("services", waiting)["status"]["loadBalancer"]["ingress"][0]["ip"] == first

    def test_balancers_get_addresses_of_their_own(self, with_addons: Stage) -> None:
        wanted = service()
        for name in ("a", "b"):
            spec = {**wanted["spec"], "type": "LoadBalancer"}
            with_addons.apply({**wanted, "metadata": {"name": name}, "spec": spec})
        with_addons.sleep(2)
        addresses = [each["status"]["loadBalancer"]["ingress"][0]["ip"] for each in with_addons.list("services")]
        assert len(set(addresses)) == 2

    def test_a_slice_takes_a_hundred_endpoints(self, stage: Stage) -> None:
        stage.apply(deployment(130), service())
        stage.sleep(60)
        slices = stage.list("endpointslices.discovery.k8s.io")
        assert sorted(len(each["endpoints"]) for each in slices) == [30, 100]

    def test_endpoints_by_hand_are_mirrored(self, stage: Stage) -> None:
        bare = service()
        stage.apply({**bare, "spec": {"ports": bare["spec"]["ports"]}})
        subsets = [{"addresses": [{"ip": "10.9.0.1"}], "ports": [{"port": 80}]}]
        stage.apply({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "w"}, "subsets": subsets})
        stage.sleep(3)
        (mirror,) = stage.list("endpointslices.discovery.k8s.io")
        assert [each["addresses"] for each in mirror["endpoints"]] == [["10.9.0.1"]]
        managed_by = mirror["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"]
        assert managed_by == "endpointslicemirroring-controller.k8s.io"
        stage.delete("endpoints", "w")
        stage.sleep(3)
        assert stage.list("endpointslices.discovery.k8s.io") == []


class TestAccounts:
    def test_a_namespace_has_an_account_and_the_root_certificate(self, stage: Stage) -> None:
        assert stage.get("serviceaccounts", "default") is not None
        assert "ca.crt" in stage.get("configmaps", "kube-root-ca.crt")["data"]
        stage.delete("serviceaccounts", "default")
        stage.delete("configmaps", "kube-root-ca.crt")
        stage.sleep(1)
        assert stage.get("serviceaccounts", "default") is not None
        assert "ca.crt" in stage.get("configmaps", "kube-root-ca.crt")["data"]

    def test_a_token_secret_is_filled_and_goes_with_its_account(self, stage: Stage) -> None:
        annotations = {"kubernetes.io/service-account.name": "default"}
        stage.apply(secret("t", "kubernetes.io/service-account-token", metadata={"annotations": annotations}))
        stage.sleep(1)
        data = stage.get("secrets", "t")["data"]
        assert base64.b64decode(data["namespace"]) == NAMESPACE.encode()
        assert base64.b64decode(data["token"]).count(b".") == 2
        stage.delete("serviceaccounts", "default")
        stage.sleep(2)
        assert stage.get("secrets", "t") is None

    def test_an_expired_bootstrap_token_is_removed(self, stage: Stage) -> None:
        def token(identity: str, until: str) -> Object:
            data = {"token-id": identity, "token-secret": "0123456789abcdef", "expiration": until}
            name = f"bootstrap-token-{identity}"
            return secret(name, "bootstrap.kubernetes.io/token", "kube-system", stringData=data)

        stage.apply(token("aaaaaa", "2026-01-01T00:01:00Z"), token("bbbbbb", "2027-01-01T00:00:00Z"))
        stage.sleep(90)
        left = [each["metadata"]["name"] for each in stage.cluster.store.list("secrets", "kube-system")]
        assert left == ["bootstrap-token-bbbbbb"]

    def test_rules_of_roles_are_gathered_by_label(self, stage: Stage) -> None:
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}
        rules = [{"apiGroups": ["x.io"], "resources": ["foos"], "verbs": ["get"]}]
        selector = {"clusterRoleSelectors": [{"matchLabels": {"into": "sum"}}]}
        stage.cluster.apply({**role, "metadata": {"name": "sum"}, "aggregationRule": selector, "rules": []})
        stage.cluster.apply({**role, "metadata": {"name": "part", "labels": {"into": "sum"}}, "rules": rules})
        stage.sleep(1)
        found = stage.cluster.store.get("clusterroles.rbac.authorization.k8s.io", "", "sum")
        assert found is not None
        assert found["rules"] == rules
        owners = [(each["manager"], each["operation"]) for each in found["metadata"]["managedFields"]]
        assert ("clusterrole-aggregation-controller", "Apply") in owners

    def test_gathered_rules_go_with_their_roles(self, stage: Stage) -> None:
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}
        rules = [{"apiGroups": ["x.io"], "resources": ["foos"], "verbs": ["get"]}]
        selector = {"clusterRoleSelectors": [{"matchLabels": {"into": "sum"}}]}
        stage.cluster.apply({**role, "metadata": {"name": "part", "labels": {"into": "sum"}}, "rules": rules})
        stage.cluster.apply({**role, "metadata": {"name": "sum"}, "aggregationRule": selector})
        stage.sleep(1)
        stage.request("DELETE", "/apis/rbac.authorization.k8s.io/v1/clusterroles/part")
        stage.sleep(1)
        found = stage.cluster.store.get("clusterroles.rbac.authorization.k8s.io", "", "sum")
        assert found is not None
        assert not found.get("rules")


class TestNodes:
    def test_pods_of_a_node_that_is_no_more_are_collected(self, stage: Stage) -> None:
        stage.apply(deployment(3))
        stage.sleep(3)
        lost = [each["metadata"]["name"] for each in stage.list("pods") if each["spec"]["nodeName"] == "w1"]
        stage.nodes.stop("w1")
        stage.request("DELETE", "/api/v1/nodes/w1")
        stage.sleep(120)
        left = [each["metadata"]["name"] for each in stage.list("pods")]
        assert len(left) == 3
        assert not set(lost) & set(left)

    def test_every_node_gets_addresses_for_pods(self, stage: Stage) -> None:
        ranges = [each["spec"].get("podCIDR") for each in stage.cluster.store.list("nodes")]
        assert len(set(ranges)) == 3
        assert None not in ranges
