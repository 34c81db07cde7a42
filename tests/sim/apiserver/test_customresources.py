"""The life of a definition: names, establishment, service, several versions, deletion, restart."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from seatrial.sim.apiserver.bootstrap import bootstrap
from seatrial.sim.apiserver.customresource_strategy import CLEANUP
from seatrial.sim.apiserver.request import Request, Response, User
from seatrial.sim.apiserver.server import Apiserver
from seatrial.sim.config import ClusterSpec
from seatrial.sim.kernel.clock import Clock
from seatrial.sim.kernel.streams import Streams
from seatrial.sim.machinery.kinds import builtin
from seatrial.sim.store.store import Store

ADMIN = User("admin", ("system:masters", "system:authenticated"))
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
APISERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
BOATS = "/apis/k.example.com/v1/namespaces/default/boats"
SPEC = {"type": "object", "properties": {"sails": {"type": "integer", "default": 1}, "home": {"type": "string"}}}
SCHEMA = {"type": "object", "properties": {"spec": SPEC, "status": {"type": "object", "properties": {}}}}


class Server:
    """An API server, and whoever asks it."""

    def __init__(self, before: Server | None = None) -> None:
        spec = ClusterSpec()
        self.clock = Clock(spec.epoch_us) if before is None else before.clock
        self.store = Store(self.clock) if before is None else before.store
        self.api = Apiserver(spec, self.store, self.clock, Streams(1), builtin())
        bootstrap(self.api)

    def ask(self, method: str, path: str, body: Any = None, content_type: str = "", **query: str) -> Response:
        raw = None if body is None else orjson.dumps(body)
        given = {key: (value,) for key, value in query.items()}
        return self.api.handle(Request(method, path, given, raw, content_type or "application/json", user=ADMIN))

    def get(self, path: str) -> Any:
        return self.ask("GET", path).body

    def wait(self, us: int = 50_000) -> None:
        self.clock.run_until(self.clock.now + us)

    def define(self, **changes: Any) -> Response:
        answer = self.ask("POST", DEFINITIONS, definition(**changes))
        self.wait()
        return answer

    def condition(self, name: str, kind: str) -> tuple[str, str] | None:
        for each in self.get(f"{DEFINITIONS}/{name}")["status"]["conditions"] or ():
            if each["type"] == kind:
                return each["status"], each["reason"]
        return None


def version(name: str = "v1", schema: Any = SCHEMA, **rest: Any) -> dict[str, Any]:
    return {"name": name, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, **rest}


def definition(
    plural: str = "boats", kind: str = "Boat", versions: Any = None, annotations: Any = None, **spec: Any
) -> dict[str, Any]:
    group = spec.pop("group", "k.example.com")
    names = {"plural": plural, "kind": kind, **spec.pop("names", {})}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}", **({"annotations": annotations} if annotations else {})},
        "spec": {
            "group": group,
            "names": names,
            "scope": "Namespaced",
            "versions": versions or [version(subresources={"status": {}})],
            **spec,
        },
    }


def boat(name: str = "a", api_version: str = "k.example.com/v1", **rest: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": "Boat", "metadata": {"name": name}, "spec": {}, **rest}


@pytest.fixture
def server() -> Server:
    return Server()


def test_a_definition_is_answered_before_anybody_has_looked_at_it(server: Server) -> None:
    answer = server.ask("POST", DEFINITIONS, definition())
    assert answer.code == 201
    assert answer.body["status"] == {
        "conditions": None,
        "acceptedNames": {"plural": "", "kind": ""},
        "storedVersions": ["v1"],
    }
    assert server.ask("GET", BOATS).code == 404
    server.wait()
    assert server.condition("boats.k.example.com", "NamesAccepted") == ("True", "NoConflicts")
    assert server.condition("boats.k.example.com", "Established") == ("True", "InitialNamesAccepted")
    assert server.ask("GET", BOATS).code == 200


def test_an_established_kind_is_found_everywhere(server: Server) -> None:
    server.define(names={"shortNames": ["bt"], "categories": ["all"]})
    row = server.get("/apis/k.example.com/v1")["resources"][0]
    assert (row["name"], row["kind"], row["shortNames"], row["categories"]) == ("boats", "Boat", ["bt"], ["all"])
    assert server.get("/apis/k.example.com")["preferredVersion"]["version"] == "v1"
    service = server.get(f"{APISERVICES}/v1.k.example.com")
    assert service["metadata"]["labels"] == {"kube-aggregator.kubernetes.io/automanaged": "true"}
    assert service["status"]["conditions"][0]["reason"] == "Local"
    document = orjson.loads(server.get("/openapi/v3/apis/k.example.com/v1"))
    assert document["components"]["schemas"]["com.example.k.v1.Boat"]["properties"]["spec"] == SPEC
    operation = document["paths"]["/apis/k.example.com/v1/namespaces/{namespace}/boats"]["post"]
    gvk = {"group": "k.example.com", "version": "v1", "kind": "Boat"}
    assert (operation["x-kubernetes-action"], operation["x-kubernetes-group-version-kind"]) == ("post", gvk)
    both = orjson.loads(server.get("/openapi/v2"))
    assert "com.example.k.v1.BoatList" in both["definitions"]


def test_names_that_somebody_has_are_refused_until_they_are_free(server: Server) -> None:
    server.define()
    server.define(plural="ships", kind="Boat")
    assert server.condition("ships.k.example.com", "NamesAccepted") == ("False", "ListKindConflict")
    assert server.condition("ships.k.example.com", "Established") == ("False", "NotAccepted")
    assert server.ask("GET", "/apis/k.example.com/v1/ships").code == 404
    server.ask("DELETE", f"{DEFINITIONS}/boats.k.example.com")
    server.wait(1_000_000)
    assert server.condition("ships.k.example.com", "Established") == ("True", "InitialNamesAccepted")


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ("https://example.com/pull/1", ("True", "ApprovedAnnotation")),
        ("unapproved, an experiment", ("False", "UnapprovedAnnotation")),
    ],
)
def test_groups_of_the_community_need_an_approval(server: Server, told: str, wanted: tuple[str, str]) -> None:
    server.define(group="x.k8s.io", annotations={"api-approved.kubernetes.io": told})
    assert server.condition("boats.x.k8s.io", "KubernetesAPIApprovalPolicyConformant") == wanted


def test_every_version_prunes_and_defaults_by_its_own_schema(server: Server) -> None:
    newer = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"crew": {
        "type": "integer", "default": 4}, "home": {"type": "string"}}}}}  # fmt: skip
    server.define(versions=[version("v1", storage=False), version("v2", newer)])
    created = server.ask("POST", BOATS, boat(spec={"home": "Busan"}))
    assert created.body["spec"] == {"home": "Busan", "sails": 1}
    shown = server.get("/apis/k.example.com/v2/namespaces/default/boats/a")
    assert (shown["apiVersion"], shown["spec"]) == ("k.example.com/v2", {"home": "Busan", "crew": 4})
    assert server.get(BOATS)["items"][0]["apiVersion"] == "k.example.com/v1"
    stored = server.store.get("boats.k.example.com", "default", "a")
    assert stored is not None
    assert stored["apiVersion"] == "k.example.com/v2"


def test_what_was_stored_is_shown_by_the_schema_of_today(server: Server) -> None:
    server.define()
    server.ask("POST", BOATS, boat(spec={"home": "Busan"}))
    changed = server.get(f"{DEFINITIONS}/boats.k.example.com")
    spec = {"type": "object", "properties": {"sails": {"type": "integer"}, "crew": {"type": "integer", "default": 2}}}
    changed = {
        **changed,
        "spec": definition(versions=[version(schema={"type": "object", "properties": {"spec": spec}})])["spec"],
    }
    assert server.ask("PUT", f"{DEFINITIONS}/boats.k.example.com", changed).code == 200
    server.wait()
    assert server.get(f"{BOATS}/a")["spec"] == {"sails": 1, "crew": 2}


def test_the_status_changes_alone_and_does_not_count(server: Server) -> None:
    server.define()
    server.ask("POST", BOATS, boat(status={"x": 1}))
    body = {"metadata": {"labels": {"a": "b"}}, "spec": {"sails": 9}, "status": {}}
    answer = server.ask("PATCH", f"{BOATS}/a/status", body, "application/merge-patch+json").body
    assert (answer["spec"], answer["status"], answer["metadata"]["generation"]) == ({"sails": 1}, {}, 1)
    assert "labels" not in answer["metadata"]
    assert server.ask("PATCH", f"{BOATS}/a", {"spec": {"sails": 2}}, "application/merge-patch+json").body["metadata"][
        "generation"
    ] == 2  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "body", "content_type", "code", "text"),
    [
        ("PUT", f"{BOATS}/a", boat(), "", 422, "metadata.resourceVersion: Invalid value: 0: must be specified"),
        ("PATCH", f"{BOATS}/a", {}, "application/strategic-merge-patch+json", 415, "application/apply-patch+yaml"),
        ("POST", BOATS, boat("b", kind="Ship"), "", 422, 'kind: Invalid value: "Ship": must be Boat'),
        ("POST", BOATS, boat("b", "k.example.com/v7"), "", 400, "the API version in the data (k.example.com/v7)"),
        ("GET", f"{BOATS}/a/scale", None, "", 404, 'boats.k.example.com "a" not found'),
    ],
)
def test_refusals(server: Server, method: str, path: str, body: Any, content_type: str, code: int, text: str) -> None:
    server.define()
    server.ask("POST", BOATS, boat())
    answer = server.ask(method, path, body, content_type)
    assert answer.code == code
    assert text in answer.body["message"]


def test_the_scale_reads_and_writes_where_the_definition_says(server: Server) -> None:
    paths = {"specReplicasPath": ".spec.sails", "statusReplicasPath": ".status.sails"}
    server.define(versions=[version(subresources={"scale": paths})])
    server.ask("POST", BOATS, boat())
    assert server.get(f"{BOATS}/a/scale")["status"] == {"replicas": 0}
    answer = server.ask("PATCH", f"{BOATS}/a/scale", {"spec": {"replicas": 3}}, "application/merge-patch+json")
    assert answer.body["spec"] == {"replicas": 3}
    assert server.get(f"{BOATS}/a")["spec"] == {"sails": 3}
    negative = server.ask("POST", BOATS, boat("b", spec={"sails": -1})).body["details"]["causes"]
    assert [(each["field"], each["message"]) for each in negative] == [
        (".spec.sails", "Invalid value: -1: should be a non-negative integer")
    ]


def test_a_deleted_definition_takes_its_objects_along(server: Server) -> None:
    server.define()
    server.ask("POST", BOATS, boat())
    marked = server.ask("DELETE", f"{DEFINITIONS}/boats.k.example.com").body
    assert marked["metadata"]["finalizers"] == [CLEANUP]
    assert marked["status"]["conditions"][-1]["reason"] == "InstanceDeletionPending"
    server.wait(10_000)
    assert server.condition("boats.k.example.com", "Terminating") == ("True", "InstanceDeletionInProgress")
    refused = server.ask("POST", BOATS, boat("late"))
    assert refused.code == 405
    assert refused.body["message"] == "create not allowed while custom resource definition is terminating"
    server.wait(1_000_000)
    assert server.ask("GET", f"{DEFINITIONS}/boats.k.example.com").code == 404
    assert server.store.list("boats.k.example.com") == []
    assert server.ask("GET", BOATS).code == 404
    assert server.ask("GET", f"{APISERVICES}/v1.k.example.com").code == 404


def test_an_object_with_a_finalizer_holds_its_definition(server: Server) -> None:
    server.define()
    server.ask("POST", BOATS, boat(metadata={"name": "a", "finalizers": ["example.com/hold"]}))
    server.ask("DELETE", f"{DEFINITIONS}/boats.k.example.com")
    server.wait(8_000_000)
    assert "deletionTimestamp" in server.get(f"{BOATS}/a")["metadata"]
    server.ask("PATCH", f"{BOATS}/a", {"metadata": {"finalizers": None}}, "application/merge-patch+json")
    server.wait(6_000_000)
    assert server.ask("GET", f"{DEFINITIONS}/boats.k.example.com").code == 404


def test_a_restarted_server_serves_at_once_and_finishes_what_was_begun(server: Server) -> None:
    server.define()
    server.ask("POST", BOATS, boat())
    again = Server(server)
    assert again.get(f"{BOATS}/a")["metadata"]["name"] == "a"
    again.ask("DELETE", f"{DEFINITIONS}/boats.k.example.com")
    last = Server(again)
    last.wait(1_000_000)
    assert last.ask("GET", f"{DEFINITIONS}/boats.k.example.com").code == 404


def test_a_watch_sees_custom_resources_come_and_go(server: Server) -> None:
    server.define()
    stream = server.ask("GET", BOATS, watch="1", resourceVersion="0").body
    server.ask("POST", BOATS, boat())
    server.ask("DELETE", f"{BOATS}/a")
    assert [(frame.type, frame.object["kind"]) for frame in stream.read()] == [("ADDED", "Boat"), ("DELETED", "Boat")]


def test_rules_see_what_was_before(server: Server) -> None:
    rules = [{"rule": "self == oldSelf", "message": "the home stays"}]
    home = {"type": "string", "x-kubernetes-validations": rules}
    limit = [{"rule": "self.sails <= 5", "messageExpression": "'too many: ' + string(self.sails)"}]
    spec = {**SPEC, "properties": {**SPEC["properties"], "home": home}, "x-kubernetes-validations": limit}  # type: ignore[dict-item]
    server.define(versions=[version(schema={"type": "object", "properties": {"spec": spec}})])
    assert server.ask("POST", BOATS, boat(spec={"home": "Busan"})).code == 201
    moved = server.ask("PATCH", f"{BOATS}/a", {"spec": {"home": "Incheon"}}, "application/merge-patch+json")
    assert moved.body["details"]["causes"][0]["message"] == 'Invalid value: "Incheon": the home stays'
    big = server.ask("POST", BOATS, boat("b", spec={"sails": 6}))
    assert big.body["details"]["causes"] == [
        {"reason": "FieldValueInvalid", "message": "Invalid value: too many: 6", "field": "spec"}
    ]


def test_a_rule_that_does_not_compile_refuses_the_definition(server: Server) -> None:
    spec = {**SPEC, "x-kubernetes-validations": [{"rule": "self.nothing > 1"}]}
    answer = server.define(versions=[version(schema={"type": "object", "properties": {"spec": spec}})])
    cause = answer.body["details"]["causes"][0]
    assert answer.code == 422
    assert "undefined field 'nothing'" in cause["message"]
    assert cause["field"] == "spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule"
