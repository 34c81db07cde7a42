"""Admission webhooks: who is asked what, and what becomes of the answer."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

import orjson
import pytest

from seatrial.sim.apiserver.context import Answered, ExternalCall
from seatrial.sim.apiserver.request import Request, Response, User
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec, S

ADMIN = User("admin", ("system:masters", "system:authenticated"))
CONFIG_MAPS = {
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "operations": ["CREATE", "UPDATE"],
    "resources": ["configmaps"],
}
Reply = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""From the request of a review to its response, without the uid."""


class World:
    """What lies outside: a webhook at every URL, which answers as told and remembers what it was asked."""

    def __init__(self) -> None:
        self.cluster = Cluster(ClusterSpec(nodes=0, controllers="none"))
        self.cluster.connect(self._perform)
        self.calls: list[ExternalCall] = []
        self.reply: Reply = lambda request: {"allowed": True}
        self.answer: Answered | None = None
        """What every call gets, instead of a review."""

    def _perform(self, call: ExternalCall) -> Any:
        self.calls.append(call)
        yield self.cluster.clock.sleep(1000)
        if self.answer is not None:
            return self.answer
        review = orjson.loads(call.body)
        request = review["request"]
        response = {"uid": request["uid"], **self.reply(request)}
        return 200, orjson.dumps({"kind": "AdmissionReview", "apiVersion": review["apiVersion"], "response": response})

    def configure(self, kind: str, *hooks: Mapping[str, Any]) -> None:
        """``kind``: Mutating or Validating."""
        webhooks = [
            {
                "name": f"hook{index}.example.com",
                "clientConfig": {"url": f"https://hook{index}/admit"},
                "rules": [CONFIG_MAPS],
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                **hook,
            }
            for index, hook in enumerate(hooks)
        ]
        body = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": f"{kind}WebhookConfiguration",
            "metadata": {"name": "hooks"},
            "webhooks": webhooks,
        }
        plural = f"{kind.lower()}webhookconfigurations"
        made = self.send("POST", f"/apis/admissionregistration.k8s.io/v1/{plural}", body)
        assert made.code == 201, made.body

    def send(self, method: str, path: str, body: Any = None, **query: tuple[str, ...]) -> Response:
        return self.cluster.request(Request(method, path, query, body, user=ADMIN, user_agent="kubectl/v1.37"))

    def create(self, name: str = "a", data: Mapping[str, str] | None = None, **query: tuple[str, ...]) -> Response:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data or {"k": "v"}}
        return self.send("POST", "/api/v1/namespaces/default/configmaps", body, **query)

    def requests(self) -> list[Mapping[str, Any]]:
        return [orjson.loads(call.body)["request"] for call in self.calls]


@pytest.fixture
def world() -> World:
    return World()


def patched(*operations: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "allowed": True,
        "patchType": "JSONPatch",
        "patch": base64.b64encode(orjson.dumps(operations)).decode(),
    }


def test_a_webhook_is_sent_what_upstream_sends(world: World) -> None:
    world.configure("Validating", {"timeoutSeconds": 3})
    assert world.create(fieldManager=("me",)).code == 201
    (call,) = world.calls
    assert (call.method, call.url, call.timeout_us) == ("POST", "https://hook0/admit?timeout=3s", 3 * S)
    review = orjson.loads(call.body)
    assert (review["kind"], review["apiVersion"]) == ("AdmissionReview", "admission.k8s.io/v1")
    request = review["request"]
    assert request.pop("object")["metadata"]["name"] == "a"
    assert len(request.pop("uid")) == 36
    kind, resource = {"group": "", "version": "v1", "kind": "ConfigMap"}, {"group": "", "version": "v1"}
    assert request == {
        "kind": kind,
        "resource": {**resource, "resource": "configmaps"},
        "requestKind": kind,
        "requestResource": {**resource, "resource": "configmaps"},
        "name": "a",
        "namespace": "default",
        "operation": "CREATE",
        "userInfo": {"username": "admin", "groups": ["system:masters", "system:authenticated"]},
        "oldObject": None,
        "dryRun": False,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1", "fieldManager": "me"},
    }


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (None, 400, 'admission webhook "hook0.example.com" denied the request without explanation'),
        ({"message": "no"}, 400, 'admission webhook "hook0.example.com" denied the request: no'),
        (
            {"code": 403, "reason": "Forbidden", "message": "no"},
            403,
            'admission webhook "hook0.example.com" denied the request: no',
        ),
        (
            {"code": 409, "reason": "Conflict"},
            409,
            'admission webhook "hook0.example.com" denied the request: Conflict',
        ),
    ],
)
def test_a_refusal(world: World, status: Any, code: int, message: str) -> None:
    world.configure("Validating", {})
    world.reply = lambda request: {"allowed": False} if status is None else {"allowed": False, "status": status}
    answer = world.create()
    assert (answer.code, answer.body["message"]) == (code, message)
    assert world.send("GET", "/api/v1/namespaces/default/configmaps/a").code == 404


FAILED = 'Internal error occurred: failed calling webhook "hook0.example.com": failed to call webhook: '
INVALID = 'Internal error occurred: failed calling webhook "hook0.example.com": received invalid webhook response: '


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            OSError("dial tcp 1.2.3.4:443: connect: connection refused"),
            FAILED + 'Post "https://hook0/admit?timeout=10s": dial tcp 1.2.3.4:443: connect: connection refused',
        ),
        ((404, b"404 page not found"), FAILED + "the server could not find the requested resource"),
        ((500, b"oh\n"), FAILED + 'an error on the server ("oh") has prevented the request from succeeding'),
        ((200, b"{}"), INVALID + "webhook response was absent"),
        ((200, b'{"response":{"uid":"x"}}'), None),
        ((200, b"<html>"), None),
    ],
)
def test_a_webhook_that_cannot_be_asked(world: World, answer: Answered, message: str | None) -> None:
    world.configure("Validating", {})
    world.answer = answer
    got = world.create()
    assert got.code == 500 and got.body["reason"] == "InternalError"
    if message is not None:
        assert got.body["message"] == message
        assert got.body["details"]["causes"] == [{"message": message.removeprefix("Internal error occurred: ")}]


def test_a_webhook_that_may_fail(world: World) -> None:
    world.configure("Validating", {"failurePolicy": "Ignore"})
    world.answer = OSError("nobody there")
    assert world.create().code == 201


def test_warnings_reach_the_client(world: World) -> None:
    world.configure("Validating", {})
    world.reply = lambda request: {"allowed": True, "warnings": ["careful"]}
    assert world.create().warnings == ("careful",)


def test_a_mutation_is_stored_and_seen_by_the_next(world: World) -> None:
    world.configure("Mutating", {}, {"reinvocationPolicy": "Never"})
    world.reply = lambda request: patched(
        {"op": "add", "path": f"/data/n{len(request['object']['data'])}", "value": "x"}
    )
    assert world.create().body["data"] == {"k": "v", "n1": "x", "n2": "x"}


@pytest.mark.parametrize(
    ("policy", "called"), [("IfNeeded", ["hook0", "hook1", "hook0"]), ("Never", ["hook0", "hook1"])]
)
def test_who_wants_to_is_called_again_when_others_changed_the_object(
    world: World, policy: str, called: list[str]
) -> None:
    world.configure("Mutating", {"reinvocationPolicy": policy}, {})
    late = patched({"op": "add", "path": "/data/late", "value": "1"})
    world.reply = lambda request: late if len(world.calls) == 2 else {"allowed": True}
    assert world.create().body["data"] == {"k": "v", "late": "1"}
    assert [call.url.removeprefix("https://").partition("/")[0] for call in world.calls] == called


def test_a_generated_name_is_not_there_yet_when_objects_are_mutated(world: World) -> None:
    world.configure("Mutating", {})
    world.configure("Validating", {})
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "a-"}}
    name = world.send("POST", "/api/v1/namespaces/default/configmaps", body).body["metadata"]["name"]
    mutating, validating = world.requests()
    assert "name" not in mutating and "name" not in mutating["object"]["metadata"]
    assert validating["name"] == validating["object"]["metadata"]["name"] == name


def test_a_patch_that_does_not_apply(world: World) -> None:
    world.configure("Mutating", {})
    world.reply = lambda request: patched({"op": "remove", "path": "/data/absent"})
    assert world.create().code == 500


def test_dry_run_only_calls_webhooks_without_effects(world: World) -> None:
    world.configure("Validating", {"sideEffects": "NoneOnDryRun"})
    assert world.create(dryRun=("All",)).code == 201
    assert world.requests()[0]["dryRun"] is True


def test_a_match_condition_spares_the_call(world: World) -> None:
    condition = {"name": "only-b", "expression": "object.metadata.name == 'b'"}
    world.configure("Validating", {"matchConditions": [condition]})
    assert world.create("a").code == world.create("b").code == 201
    assert [request["name"] for request in world.requests()] == ["b"]


def test_a_match_condition_that_fails_refuses(world: World) -> None:
    world.configure("Validating", {"matchConditions": [{"name": "c", "expression": "object.spec.x == 1"}]})
    answer = world.create()
    told = "expression 'object.spec.x == 1' resulted in error: no such key: spec"
    assert (answer.code, answer.body["message"]) == (403, f'configmaps "a" is forbidden: {told}')


def test_selectors_scope_and_operations(world: World) -> None:
    world.configure(
        "Validating",
        {"objectSelector": {"matchLabels": {"x": "y"}}},
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "elsewhere"}}},
        {"rules": [{**CONFIG_MAPS, "scope": "Cluster"}]},
        {"rules": [{**CONFIG_MAPS, "operations": ["DELETE"]}]},
    )
    assert world.create().code == 201
    assert world.calls == []
    assert world.send("DELETE", "/api/v1/namespaces/default/configmaps/a").code == 200
    (request,) = world.requests()
    assert (request["operation"], request["object"]) == ("DELETE", None)
    assert request["oldObject"]["data"] == {"k": "v"}


def test_equivalent_versions_are_shown_as_the_rule_wants_them(world: World) -> None:
    rule = {"apiGroups": ["autoscaling"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["*"]}
    world.configure("Validating", {"rules": [rule]}, {"rules": [rule], "matchPolicy": "Exact"})
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "h"},
        "spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}},
    }
    made = world.send("POST", "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers", scaler)
    assert made.code == 201
    (request,) = world.requests()
    assert (request["kind"]["version"], request["requestKind"]["version"]) == ("v1", "v2")
    assert request["object"]["apiVersion"] == "autoscaling/v1"


def test_configurations_are_not_admitted_by_webhooks(world: World) -> None:
    world.configure("Validating", {"rules": [{**CONFIG_MAPS, "apiGroups": ["*"], "resources": ["*"]}]})
    world.reply = lambda request: {"allowed": False}
    gone = world.send("DELETE", "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/hooks")
    assert gone.code == 200


def test_a_service_leads_to_its_endpoints(world: World) -> None:
    config = {"service": {"namespace": "default", "name": "hook", "path": "/admit"}}
    world.configure("Validating", {"clientConfig": config})
    url = "https://hook.default.svc:443/admit?timeout=10s"
    message = f'failed calling webhook "hook0.example.com": failed to call webhook: Post "{url}": '
    assert world.create().body["message"] == f'Internal error occurred: {message}service "hook" not found'
    ports = [{"port": 443, "targetPort": 8443}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "hook"}, "spec": {"ports": ports}}
    address = world.send("POST", "/api/v1/namespaces/default/services", service).body["spec"]["clusterIP"]
    refused = f"dial tcp {address}:443: connect: connection refused"
    assert world.create().body["message"] == f"Internal error occurred: {message}{refused}"
    piece = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "hook-1", "labels": {"kubernetes.io/service-name": "hook"}},
        "addressType": "IPv4",
        "ports": [{"port": 8443, "name": ""}],
        "endpoints": [{"addresses": ["192.168.7.7"]}],
    }
    made = world.send("POST", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", piece)
    assert made.code == 201, made.body
    assert world.create().code == 201
    (call,) = world.calls
    assert (call.url, call.server_name, call.addresses) == (url, "hook.default.svc", ("192.168.7.7:8443",))


POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p"},
    "spec": {"containers": [{"name": "c", "image": "i"}]},
}


def test_evictions_and_bindings_are_asked_about(world: World) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    world.send("POST", "/api/v1/namespaces/default/serviceaccounts", account)
    assert world.send("POST", "/api/v1/namespaces/default/pods", POD).code == 201
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods/*"]}
    world.configure("Validating", {"rules": [rule]})
    world.reply = lambda request: {"allowed": False}
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "p"},
        "target": {"kind": "Node", "name": "n"},
    }
    assert world.send("POST", "/api/v1/namespaces/default/pods/p/binding", binding).code == 400
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
    assert world.send("POST", "/api/v1/namespaces/default/pods/p/eviction", eviction).code == 400
    first, second = world.requests()
    assert (first["kind"], first["subResource"]) == ({"group": "", "version": "v1", "kind": "Binding"}, "binding")
    assert second["kind"] == {"group": "policy", "version": "v1", "kind": "Eviction"}
    assert (second["resource"]["resource"], second["object"]["metadata"]["name"]) == ("pods", "p")
