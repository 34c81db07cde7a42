"""Pods that say the same share what was found out about the first: the answers are those of a server that forgets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.sim.apiserver.molds import Mold, Molds
from seatrial.sim.apiserver.request import Request, Response, User
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec

ADMIN = User("admin", ("system:masters", "system:authenticated"))
CONTAINER = {"name": "c", "image": "nginx:1", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
MOUNTED = {**CONTAINER, "name": "own", "volumeMounts": [{"name": "v", "mountPath": TOKEN_PATH}]}
EPHEMERAL = {"name": "e", "ephemeral": {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"]}}}}
SPECS: Mapping[str, Mapping[str, Any]] = {
    "plain": {"containers": [CONTAINER]},
    "limits": {"containers": [{**CONTAINER, "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}]},
    "init": {"containers": [CONTAINER], "initContainers": [{**CONTAINER, "name": "i"}]},
    "no token": {"containers": [CONTAINER], "automountServiceAccountToken": False},
    "token mounted": {"containers": [MOUNTED], "volumes": [{"name": "v", "emptyDir": {}}]},
    "token partly mounted": {"containers": [MOUNTED, CONTAINER], "volumes": [{"name": "v", "emptyDir": {}}]},
    "token named": {"containers": [CONTAINER], "volumes": [{"name": "kube-api-access-x", "emptyDir": {}}]},
    "gated": {"containers": [CONTAINER], "schedulingGates": [{"name": "example.com/g"}]},
    "tolerant": {"containers": [CONTAINER], "tolerations": [{"operator": "Exists"}]},
    "classy": {"containers": [CONTAINER], "priorityClassName": "high"},
    "other account": {"containers": [CONTAINER], "serviceAccountName": "builder"},
    "empty lists": {"containers": [{**CONTAINER, "env": [], "ports": []}], "volumes": []},
    "claims": {"containers": [CONTAINER], "volumes": [EPHEMERAL]},
    "warned of": {"containers": [CONTAINER], "nodeSelector": {"beta.kubernetes.io/os": "linux"}},
    "wrong": {"containers": [{**CONTAINER, "name": "C_"}]},
    "twice": {"containers": [CONTAINER, CONTAINER]},
    "no containers": {},
}
METADATA: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "labels": {"labels": {"app": "a"}},
    "wrong labels": {"labels": {"a": "-"}},
    "annotations": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "x"}},
    "empty lists": {"finalizers": [], "ownerReferences": []},
    "long name": {"generateName": "n" * 55},
}


def kind(name: str, group: str, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": group, "kind": name, **fields}


CHANGES: Mapping[str, tuple[str, str, Any]] = {
    "account": (
        "PUT",
        "/api/v1/namespaces/default/serviceaccounts/default",
        kind("ServiceAccount", "v1", metadata={"name": "default"}, imagePullSecrets=[{"name": "pull"}]),
    ),
    "builder": (
        "POST",
        "/api/v1/namespaces/default/serviceaccounts",
        kind("ServiceAccount", "v1", metadata={"name": "builder"}, automountServiceAccountToken=False),
    ),
    "class": (
        "POST",
        "/apis/scheduling.k8s.io/v1/priorityclasses",
        kind("PriorityClass", "scheduling.k8s.io/v1", metadata={"name": "high"}, value=7, globalDefault=True),
    ),
    "limit range": (
        "POST",
        "/api/v1/namespaces/default/limitranges",
        kind(
            "LimitRange",
            "v1",
            metadata={"name": "l"},
            spec={"limits": [{"type": "Container", "default": {"cpu": "2"}, "defaultRequest": {"cpu": "1"}}]},
        ),
    ),
    "no limit range": ("DELETE", "/api/v1/namespaces/default/limitranges/l", None),
    "quota": (
        "POST",
        "/api/v1/namespaces/default/resourcequotas",
        kind("ResourceQuota", "v1", metadata={"name": "q"}, spec={"hard": {"pods": "100"}}),
    ),
    "policy": (
        "POST",
        "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies",
        kind(
            "MutatingAdmissionPolicy",
            "admissionregistration.k8s.io/v1",
            metadata={"name": "p"},
            spec={
                "matchConstraints": {
                    "resourceRules": [
                        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
                    ]
                },
                "failurePolicy": "Fail",
                "reinvocationPolicy": "Never",
                "mutations": [
                    {
                        "patchType": "ApplyConfiguration",
                        "applyConfiguration": {"expression": 'Object{spec: Object.spec{hostname: "h"}}'},
                    }
                ],
            },
        ),
    ),
    "binding": (
        "POST",
        "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings",
        kind(
            "MutatingAdmissionPolicyBinding",
            "admissionregistration.k8s.io/v1",
            metadata={"name": "b"},
            spec={"policyName": "p"},
        ),
    ),
}


class Server:
    """A server that remembers ``entries`` specs."""

    def __init__(self, entries: int) -> None:
        self.cluster = Cluster(ClusterSpec(nodes=0, controllers="none"))
        server = self.cluster.server
        server.molds = Molds(server.store, server.streams, entries)
        account = kind("ServiceAccount", "v1", metadata={"name": "default"})
        self.send("POST", "/api/v1/namespaces/default/serviceaccounts", account)

    def send(self, method: str, path: str, body: Any) -> Response:
        raw = None if body is None else orjson.dumps(body)
        return self.cluster.request(Request(method, path, {}, raw, user=ADMIN))

    def create(self, metadata: str, spec: str, decoded: bool) -> Response:
        body = kind("Pod", "v1", metadata={"generateName": "p-", **METADATA[metadata]}, spec=SPECS[spec])
        given = orjson.loads(orjson.dumps(body)) if decoded else orjson.dumps(body)
        return self.cluster.request(Request("POST", "/api/v1/namespaces/default/pods", {}, given, user=ADMIN))


PODS = st.tuples(st.sampled_from(sorted(METADATA)), st.lists(st.sampled_from(sorted(SPECS)), max_size=3), st.booleans())
STEPS = st.lists(st.one_of(PODS, PODS, st.sampled_from(sorted(CHANGES))), min_size=2, max_size=8)


def alike(steps: list[Any]) -> None:
    """Both servers answer the same, byte for byte and warning for warning."""
    one, other = Server(1024), Server(0)
    for step in steps:
        if isinstance(step, str):
            answers = [(one.send(*CHANGES[step]), other.send(*CHANGES[step]))]
        else:
            metadata, specs, decoded = step
            pods = [(metadata, spec, decoded) for spec in specs for _ in range(3)]
            answers = [(one.create(*pod), other.create(*pod)) for pod in pods]
        for mine, yours in answers:
            assert (mine.code, orjson.dumps(mine.body), mine.warnings) == (
                yours.code,
                orjson.dumps(yours.body),
                yours.warnings,
            )
    assert one.cluster.digest() == other.cluster.digest()


@given(STEPS)
@settings(max_examples=25)
def test_a_server_that_remembers_answers_as_one_that_forgets(steps: list[Any]) -> None:
    alike(steps)


@pytest.mark.parametrize("spec", sorted(SPECS))
def test_every_kind_of_spec(spec: str) -> None:
    before, after = ("plain", [spec], False), ("plain", [spec], True)
    alike([before, "builder", "class", ("labels", [spec, spec], True), "account", after])


def test_pods_that_say_the_same_are_made_of_one_mold() -> None:
    server = Server(1024)
    bodies = [server.create("plain", "plain", False).body for _ in range(4)]
    tokens = {body["spec"]["volumes"][0]["name"] for body in bodies}
    assert len(tokens) == 4
    last, before = bodies[-1], bodies[-2]
    assert last["status"] is before["status"], "the others take what was found out about the first"
    assert last["spec"]["tolerations"] is before["spec"]["tolerations"]
    assert last["spec"]["containers"][0]["resources"] is before["spec"]["containers"][0]["resources"]


MUTATIONS: Mapping[str, tuple[type, str, Any, list[Any]]] = {
    "a change of what plug-ins read is not noticed": (
        Molds,
        "_read",
        lambda self: (),
        [("plain", ["plain"], False), "class", ("plain", ["plain"], False)],
    ),
    "every mold is sound": (Mold, "sound", True, [("plain", ["wrong"], False)]),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_what_would_be_remembered_wrongly_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, attribute, value, steps = MUTATIONS[name]
    if attribute == "sound":
        value = property(lambda self: True, lambda self, value: None)
    monkeypatch.setattr(owner, attribute, value)
    with pytest.raises((AssertionError, KeyError)):
        alike(steps)
