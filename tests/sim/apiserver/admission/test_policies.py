"""Admission policies: what their expressions refuse, warn of and change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from seatrial.sim.apiserver.request import Request, Response, User
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec

ADMIN = User("admin", ("system:masters", "system:authenticated"))
GROUP = "/apis/admissionregistration.k8s.io/v1"
CONFIG_MAPS = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"]}]


class Place:
    """A cluster in which policies are made and config maps tried on them."""

    def __init__(self) -> None:
        self.cluster = Cluster(ClusterSpec(nodes=0, controllers="none"))

    def send(self, method: str, path: str, body: Any = None, user: User = ADMIN) -> Response:
        return self.cluster.request(Request(method, path, {}, body, user=user))

    def policy(self, spec: Mapping[str, Any], kind: str = "Validating", **binding: Any) -> Response:
        """The answer to a policy; binds it when it is accepted."""
        body = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": f"{kind}AdmissionPolicy",
            "metadata": {"name": "p"},
            "spec": {"matchConstraints": {"resourceRules": CONFIG_MAPS}, **spec},
        }
        made = self.send("POST", f"{GROUP}/{kind.lower()}admissionpolicies", body)
        if made.code == 201:
            actions = {"validationActions": ["Deny"]} if kind == "Validating" else {}
            bound = {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": f"{kind}AdmissionPolicyBinding",
                "metadata": {"name": "b"},
                "spec": {"policyName": "p", **actions, **binding},
            }
            answer = self.send("POST", f"{GROUP}/{kind.lower()}admissionpolicybindings", bound)
            assert answer.code == 201, answer.body
        return made

    def create(self, name: str = "a", user: User = ADMIN, **metadata: Any) -> Response:
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, **metadata},
            "data": {"k": "v", "n": "3"},
        }
        return self.send("POST", "/api/v1/namespaces/default/configmaps", body, user)


@pytest.fixture
def place() -> Place:
    return Place()


DENIED = "configmaps \"a\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: "


@pytest.mark.parametrize(
    ("validation", "code", "message"),
    [
        ({"expression": "object.data.k == 'w'"}, 422, "failed expression: object.data.k == 'w'"),
        ({"expression": "false", "message": " no. "}, 422, "no."),
        ({"expression": "false", "messageExpression": "'k is ' + object.data.k"}, 422, "k is v"),
        ({"expression": "false", "messageExpression": "object.data.absent + ''", "message": "m"}, 422, "m"),
        ({"expression": "false", "reason": "Forbidden"}, 403, "failed expression: false"),
        ({"expression": "false", "reason": "RequestEntityTooLarge"}, 413, "failed expression: false"),
        (
            {"expression": "object.spec.x == 1"},
            422,
            "expression 'object.spec.x == 1' resulted in error: no such key: spec",
        ),
        ({"expression": "request.operation == 'UPDATE'"}, 422, "failed expression: request.operation == 'UPDATE'"),
        (
            {"expression": "namespaceObject.metadata.name == 'x' && request.namespace == 'default'"},
            422,
            "failed expression: namespaceObject.metadata.name == 'x' && request.namespace == 'default'",
        ),
        (
            {"expression": "!authorizer.group('').resource('pods').namespace('x').check('create').allowed()"},
            422,
            "failed expression: !authorizer.group('').resource('pods').namespace('x').check('create').allowed()",
        ),
        (
            {"expression": "!authorizer.requestResource.check('create').allowed()"},
            422,
            "failed expression: !authorizer.requestResource.check('create').allowed()",
        ),
    ],
)
def test_a_refusal(place: Place, validation: Any, code: int, message: str) -> None:
    assert place.policy({"validations": [validation]}).code == 201
    answer = place.create()
    assert (answer.code, answer.body["message"]) == (code, DENIED + message)
    assert answer.body["details"]["causes"] == [{"message": (DENIED + message).partition("forbidden: ")[2]}]


def test_errors_are_ignored_when_the_policy_says_so(place: Place) -> None:
    place.policy({"failurePolicy": "Ignore", "validations": [{"expression": "object.spec.x == 1"}]})
    assert place.create().code == 201


def test_a_policy_without_a_binding_does_nothing(place: Place) -> None:
    place.policy({"validations": [{"expression": "false"}]}, policyName="another")
    assert place.create().code == 201


def test_variables_are_evaluated_once_and_name_earlier_ones(place: Place) -> None:
    variables = [
        {"name": "n", "expression": "int(object.data.n)"},
        {"name": "twice", "expression": "variables.n * 2"},
    ]
    place.policy({"variables": variables, "validations": [{"expression": "variables.twice + variables.n == 9"}]})
    assert place.create().code == 201


def test_a_variable_that_fails(place: Place) -> None:
    variables = [{"name": "n", "expression": "int(object.data.k)"}]
    place.policy({"variables": variables, "validations": [{"expression": "variables.n == 9"}]})
    why = "type conversion error from 'string' to 'int'"
    told = f"expression 'variables.n == 9' resulted in error: composited variable \"n\" fails to evaluate: {why}"
    assert place.create().body["message"] == DENIED + told


def test_every_parameter_that_is_selected_counts(place: Place) -> None:
    for name, value in (("one", "5"), ("two", "2")):
        params = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "labels": {"limit": "yes"}},
            "data": {"max": value},
        }
        assert place.send("POST", "/api/v1/namespaces/default/configmaps", params).code == 201
    reference = {"selector": {"matchLabels": {"limit": "yes"}}, "parameterNotFoundAction": "Deny"}
    validation = {
        "expression": "int(object.data.n) <= int(params.data.max)",
        "messageExpression": "'over ' + params.metadata.name",
    }
    place.policy(
        {"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}, "validations": [validation]}, paramRef=reference
    )
    assert place.create().body["message"] == DENIED + "over two"


def test_a_parameter_kind_that_nobody_serves(place: Place) -> None:
    kind = {"apiVersion": "x.example.com/v1", "kind": "Limit"}
    reference = {"name": "l", "parameterNotFoundAction": "Allow"}
    place.policy({"paramKind": kind, "validations": [{"expression": "true"}]}, paramRef=reference)
    told = "failed to find resource referenced by paramKind: 'x.example.com/v1, Kind=Limit'"
    message = f"ValidatingAdmissionPolicy 'p' denied request: failed to configure policy: {told}"
    assert place.create().body["message"] == f'configmaps "a" is forbidden: {message}'


def test_excluded_rules_and_match_conditions_spare_a_request(place: Place) -> None:
    excluded = [{**CONFIG_MAPS[0], "resourceNames": ["a"]}]
    constraints = {"resourceRules": CONFIG_MAPS, "excludeResourceRules": excluded}
    conditions = [{"name": "c", "expression": "object.metadata.name != 'b'"}]
    place.policy(
        {"matchConstraints": constraints, "matchConditions": conditions, "validations": [{"expression": "false"}]}
    )
    assert [place.create(name).code for name in ("a", "b", "c")] == [201, 201, 422]


def test_deletions_show_the_old_object(place: Place) -> None:
    place.create()
    place.policy({"validations": [{"expression": "object != null || oldObject.data.k != 'v'", "message": "keep it"}]})
    answer = place.send("DELETE", "/api/v1/namespaces/default/configmaps/a")
    assert answer.body["message"] == DENIED + "keep it"


def test_an_expensive_expression_is_cut_off(place: Place) -> None:
    numbers = "[" + ",".join("1" * 1 for _ in range(100)) + "]"
    nested = f"{numbers}.all(a, {numbers}.all(b, {numbers}.all(c, a + b + c > 0)))"
    place.policy({"validations": [{"expression": nested}]})
    assert "resulted in error: operation cancelled: actual cost limit exceeded" in place.create().body["message"]


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        (
            {"validations": [{"expression": "object.x"}]},
            "spec.validations[0].expression",
            'Invalid value: "object.x": must evaluate to bool',
        ),
        (
            {"validations": [{"expression": "foo"}]},
            "spec.validations[0].expression",
            "Invalid value: \"foo\": compilation failed: ERROR: <input>:1:1: undeclared reference to 'foo' "
            "(in container '')\n | foo\n | ^",
        ),
        (
            {"validations": [{"expression": "params.x == 1"}]},
            "spec.validations[0].expression",
            'Invalid value: "params.x == 1": compilation failed: ERROR: <input>:1:1: undeclared reference to '
            "'params' (in container '')\n | params.x == 1\n | ^",
        ),
        (
            {"validations": [{"expression": "request.foo == 1"}]},
            "spec.validations[0].expression",
            "Invalid value: \"request.foo == 1\": compilation failed: ERROR: <input>:1:8: undefined field 'foo'\n"
            " | request.foo == 1\n | .......^",
        ),
        (
            {"validations": [{"expression": "true", "messageExpression": "1"}]},
            "spec.validations[0].messageExpression",
            'Invalid value: "1": must evaluate to string',
        ),
        (
            {"auditAnnotations": [{"key": "k", "valueExpression": "1"}]},
            "spec.auditAnnotations[0].valueExpression",
            'Invalid value: "1": must evaluate to one of [string null_type]',
        ),
        (
            {
                "variables": [{"name": "a", "expression": "variables.b"}, {"name": "b", "expression": "1"}],
                "validations": [{"expression": "true"}],
            },
            "spec.variables[0].expression",
            "Invalid value: \"variables.b\": compilation failed: ERROR: <input>:1:10: undefined field 'b'\n"
            " | variables.b\n | .........^",
        ),
    ],
)
def test_expressions_are_compiled_when_a_policy_is_written(place: Place, spec: Any, field: str, message: str) -> None:
    answer = place.policy(spec)
    assert answer.code == 422
    assert [(cause["field"], cause["message"]) for cause in answer.body["details"]["causes"]] == [(field, message)]


# mutating


def mutation(text: str, kind: str = "applyConfiguration") -> dict[str, Any]:
    return {"patchType": kind[0].upper() + kind[1:] if kind != "jsonPatch" else "JSONPatch", kind: {"expression": text}}


def mutating(*mutations: Mapping[str, Any], **spec: Any) -> dict[str, Any]:
    return {"reinvocationPolicy": "Never", "mutations": list(mutations), **spec}


def test_an_applied_configuration_is_merged(place: Place) -> None:
    text = "Object{metadata: Object.metadata{labels: Object.metadata.labels{app: object.data.k}}, data: {'m': 'x'}}"
    made = place.policy(mutating(mutation(text)), "Mutating")
    assert made.code == 201, made.body
    answer = place.create(labels={"old": "1"})
    assert answer.code == 201, answer.body
    assert answer.body["metadata"]["labels"] == {"old": "1", "app": "v"}
    assert answer.body["data"] == {"k": "v", "n": "3", "m": "x"}


def test_a_json_patch(place: Place) -> None:
    text = (
        "[JSONPatch{op: 'test', path: '/data/k', value: 'v'}, "
        "JSONPatch{op: 'add', path: '/metadata/annotations', value: {}}, "
        "JSONPatch{op: 'add', path: '/metadata/annotations/' + jsonpatch.escapeKey('a.b/c'), value: 'x'}]"
    )
    assert place.policy(mutating(mutation(text, "jsonPatch")), "Mutating").code == 201
    assert place.create().body["metadata"]["annotations"] == {"a.b/c": "x"}


def test_a_test_that_fails_leaves_the_object(place: Place) -> None:
    text = "[JSONPatch{op: 'test', path: '/data/k', value: 'w'}, JSONPatch{op: 'remove', path: '/data/k'}]"
    place.policy(mutating(mutation(text, "jsonPatch")), "Mutating")
    assert place.create().body["data"]["k"] == "v"


def test_atomic_lists_cannot_be_merged(place: Place) -> None:
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]
    text = "Object{spec: Object.spec{containers: [Object.spec.containers{name: 'c', command: ['sh']}]}}"
    made = place.policy(mutating(mutation(text), matchConstraints={"resourceRules": rules}), "Mutating")
    assert made.code == 201, made.body
    place.send("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a"},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    answer = place.send("POST", "/api/v1/namespaces/default/pods", pod)
    why = "invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.containers[0].command"
    message = f"policy 'p' with binding 'b' denied request: error applying patch: {why}"
    assert (answer.code, answer.body["reason"], answer.body["message"]) == (403, "Invalid", message)


def test_a_type_in_the_wrong_place(place: Place) -> None:
    text = "Object{metadata: Object.spec{labels: {'a': 'b'}}}"
    place.policy(mutating(mutation(text)), "Mutating")
    answer = place.create()
    assert answer.code == 403 and 'unexpected type name "Object.spec"' in answer.body["message"]


def test_what_a_policy_changed_is_seen_by_validating_ones(place: Place) -> None:
    place.policy(mutating(mutation("Object{data: {'k': 'w'}}")), "Mutating")
    place.policy({"validations": [{"expression": "object.data.k == 'v'"}]})
    assert place.create().code == 422
