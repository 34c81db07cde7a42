"""Server-side apply: merging, giving up, conflicts; and every configuration that a real API server was sent."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from conformance.changes import changes
from conformance.creations import BUILTIN, files
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.sim.machinery import apply as server
from seatrial.sim.machinery import configuration, conversion, decode, defaults, fieldsets, managers
from seatrial.sim.machinery.custom.kind import Custom
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.machinery.kinds import Resource
from seatrial.sim.machinery.schema import Field, Type

DEPLOYMENTS = BUILTIN.resource("deployments.apps")
CONFIG_MAPS = BUILTIN.resource("configmaps")
T1, T2 = "2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"


def deployment(*containers: Any, **spec: Any) -> dict[str, Any]:
    pod = {"template": {"spec": {"containers": list(containers)}}} if containers else {}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {**spec, **pod}}


def config_map(data: Any, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", **metadata}, "data": data}


def apply(old: Any, config: Any, manager: str, force: bool = False, at: str = T1, resource: Any = DEPLOYMENTS) -> Any:
    new = server.apply(old, config, manager, force, "", at, resource)
    return {**new, "metadata": {**new["metadata"], "uid": "u"}}


def containers(obj: Any) -> list[str]:
    return [each["name"] for each in obj["spec"]["template"]["spec"]["containers"]]


def owned(obj: Any, manager: str) -> Any:
    return next((e["fieldsV1"] for e in obj["metadata"]["managedFields"] if e["manager"] == manager), None)


def test_appliers_share_what_they_agree_on() -> None:
    one = apply(None, deployment(replicas=3), "alice")
    both = apply(one, deployment(replicas=3, paused=True), "bob")
    assert owned(both, "alice") == {"f:spec": {"f:replicas": {}}}
    assert owned(both, "bob") == {"f:spec": {"f:paused": {}, "f:replicas": {}}}


def test_another_managers_field_is_a_conflict_until_it_is_forced() -> None:
    one = apply(None, deployment(replicas=3), "alice")
    with pytest.raises(ApiError) as refusal:
        apply(one, deployment(replicas=5), "bob")
    assert refusal.value.message == 'Apply failed with 1 conflict: conflict with "alice": .spec.replicas'
    forced = apply(one, deployment(replicas=5), "bob", force=True)
    assert (forced["spec"]["replicas"], owned(forced, "alice")) == (5, None)


def test_many_conflicts_are_listed_by_manager() -> None:
    one = apply(None, deployment({"name": "a", "image": "x"}, replicas=3), "alice")
    new = {**one, "spec": {**one["spec"], "paused": True}}
    new = managers.update_managed_fields(one, new, "kubectl", "", T2, DEPLOYMENTS)
    with pytest.raises(ApiError) as refusal:
        apply(new, deployment({"name": "a", "image": "y"}, replicas=5, paused=False), "bob")
    assert refusal.value.message == (
        "Apply failed with 3 conflicts: "
        'conflicts with "alice":\n- .spec.replicas\n- .spec.template.spec.containers[name="a"].image\n'
        'conflicts with "kubectl" using apps/v1:\n- .spec.paused'
    )
    assert [cause["field"] for cause in (refusal.value.details or {})["causes"]] == [
        ".spec.replicas",
        '.spec.template.spec.containers[name="a"].image',
        ".spec.paused",
    ]


def test_what_is_no_longer_applied_and_nobody_elses_goes() -> None:
    one = apply(None, deployment({"name": "a"}, {"name": "b"}, replicas=3), "alice")
    two = apply(one, deployment({"name": "b"}, replicas=3), "bob")
    three = apply(two, deployment({"name": "a"}), "alice")
    assert containers(three) == ["a", "b"], "bob still wants b"
    assert three["spec"]["replicas"] == 3, "and the replicas"
    assert containers(apply(three, deployment(replicas=3), "bob")) == ["a"]


def test_what_nobody_owned_stays() -> None:
    one = apply(None, deployment(replicas=3), "alice")
    defaulted = {**one, "spec": {**one["spec"], "strategy": {"type": "Recreate"}}}
    assert apply(defaulted, deployment(), "alice")["spec"]["strategy"] == {"type": "Recreate"}


def test_items_are_merged_by_key_in_the_configurations_order() -> None:
    one = apply(None, deployment({"name": "a"}, {"name": "b"}, {"name": "c"}), "alice")
    assert containers(apply(one, deployment({"name": "c"}, {"name": "new"}, {"name": "a"}), "bob")) == [
        "b",
        "c",
        "new",
        "a",
    ]


def test_an_apply_that_changes_nothing_keeps_its_time() -> None:
    one = apply(None, deployment(replicas=3), "alice")
    again = apply(one, deployment(replicas=3), "alice", at=T2)
    assert again["metadata"]["managedFields"] == one["metadata"]["managedFields"]


def test_what_was_there_before_the_first_apply_has_an_owner() -> None:
    old = {**config_map({"a": "1"}), "metadata": {"name": "c", "uid": "u"}}
    with pytest.raises(ApiError, match=r'conflict with "before-first-apply" using v1: \.data\.a'):
        apply(old, config_map({"a": "2"}), "alice", resource=CONFIG_MAPS)
    found = apply(old, config_map({"b": "2"}), "alice", resource=CONFIG_MAPS)
    assert found["data"] == {"a": "1", "b": "2"}
    assert owned(found, "before-first-apply") == {"f:data": {".": {}, "f:a": {}}}


def test_kubectl_may_change_what_it_applied_from_the_clients_side() -> None:
    last = json.dumps(config_map({"a": "1"}))
    old = config_map({"a": "1", "b": "1"}, uid="u", annotations={server.LAST_APPLIED: last})
    old = managers.update_managed_fields(None, old, "kubectl-client-side-apply", "", T1, CONFIG_MAPS)
    new = apply(old, config_map({"a": "2"}), "kubectl", resource=CONFIG_MAPS)
    assert new["data"] == {"a": "2", "b": "1"}
    assert orjson.loads(new["metadata"]["annotations"][server.LAST_APPLIED])["data"] == {"a": "2"}
    with pytest.raises(ApiError, match=r"conflict with .* \.data\.b"):
        apply(old, config_map({"a": "2", "b": "2"}), "kubectl", resource=CONFIG_MAPS)


REFUSED = [
    ({**deployment(), "kind": "Pod"}, 400, "invalid object type: apps/v1, Kind=Pod"),
    ({"metadata": {"name": "d"}}, 400, "invalid object type: /, Kind="),
    (
        {**deployment(), "metadata": {"name": "d", "managedFields": [{"manager": "x"}]}},
        400,
        "metadata.managedFields must be nil",
    ),
    (deployment(nonsense=1), 500, ".spec.nonsense: field not declared in schema"),
    (
        deployment({"name": "a"}, {"name": "a"}),
        500,
        '.spec.template.spec.containers: duplicate entries for key [name="a"]',
    ),
    (deployment(replicas="3"), 500, ".spec.replicas: expected numeric (int or float), got string"),
    (deployment(paused=1), 500, ".spec.paused: expected boolean, got &{1}"),
    (deployment(selector=[1]), 500, ".spec.selector: expected map, got &{[1]}"),
]


@pytest.mark.parametrize(("config", "code", "why"), REFUSED, ids=[row[2][:60] for row in REFUSED])
def test_a_configuration_that_does_not_fit_is_refused(config: Any, code: int, why: str) -> None:
    with pytest.raises(ApiError) as refusal:
        apply(None, config, "alice")
    prefix = "failed to create typed patch object (/d; apps/v1, Kind=Deployment): " if code == 500 else ""
    assert (refusal.value.code, refusal.value.message) == (code, prefix + why)


def test_items_need_their_keys() -> None:
    config = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "d"}, "secrets": [{"namespace": "x"}]}
    with pytest.raises(ApiError) as refusal:
        apply(None, config, "alice", resource=BUILTIN.resource("serviceaccounts"))
    assert refusal.value.message == (
        "failed to create typed patch object (/d; /v1, Kind=ServiceAccount): .secrets: element 0: associative list "
        'with keys has an element that omits key field "name" (and doesn\'t have default value)'
    )


def test_several_faults_are_listed() -> None:
    with pytest.raises(ApiError) as refusal:
        apply(None, deployment(nonsense=1, replicas="3"), "alice")
    assert refusal.value.message.partition("): ")[2] == (
        "errors:\n  .spec.nonsense: field not declared in schema\n"
        "  .spec.replicas: expected numeric (int or float), got string"
    )


def _container(name: str, image: str | None, env: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name}
    if image is not None:
        found["image"] = image
    if env:
        found["env"] = [{"name": each, "value": image or "v"} for each in env]
    return found


images = st.none() | st.sampled_from(["x:1", "x:2"])
variables = st.lists(st.sampled_from(["A", "B", "C"]), unique=True, max_size=3)
pods = st.lists(
    st.builds(_container, st.sampled_from(["a", "b", "c"]), images, variables),
    max_size=3,
    unique_by=lambda each: each["name"],
)
numbers = st.dictionaries(st.sampled_from(["replicas", "minReadySeconds"]), st.integers(1, 2))
configurations = st.builds(lambda found, spec: deployment(*found, **spec), pods, numbers)
histories = st.lists(st.tuples(st.sampled_from(["alice", "bob", "carol"]), configurations), min_size=1, max_size=6)


def held(obj: Any) -> Any:
    """An object as decoding leaves it: without nulls, and with the structs that are always there."""
    template = (obj.get("spec") or {}).get("template") or {}
    spec = {**(obj.get("spec") or {}), "template": {"spec": template.get("spec") or {}}}
    return {**obj, "spec": _without_nulls(spec)}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value


@settings(max_examples=60)
@given(histories)
def test_whatever_was_applied_before(history: list[tuple[str, dict[str, Any]]]) -> None:
    shape = managers.shape_of(DEPLOYMENTS)
    obj: Any = None
    for manager, config in history:
        obj = held(apply(obj, config, manager, force=True))
        assert held(configuration.merge(shape, obj, config)) == obj, "it says what was applied"
        again = apply(obj, config, manager, at=T2)
        assert held(again) == obj, "and applying again changes nothing and conflicts with nobody"
        there = fieldsets.with_named(shape, fieldsets.applied(shape, obj))
        for entry in obj["metadata"].get("managedFields", ()):
            assert fieldsets.difference(entry["fieldsV1"], there) is None, "nobody owns what is not there"
    for manager in ("alice", "bob", "carol"):
        obj = held(apply(obj, deployment(), manager, force=True))
    assert obj["spec"] == {"template": {"spec": {}}}, "when everybody gives up, nothing is left"


PORT = Type("Port", {"port": Field("port", "int64"), "proto": Field("proto", "string", default="TCP")})
SPEC = Type(
    "Spec",
    {
        "ports": Field("ports", "list", element=Field("", "struct", type=PORT), list_type="map", list_keys=("port",)),
        "size": Field("size", "string"),
        "any": Field("any", "any"),
    },
)
WIDGETS = Resource(
    "k.io", "v1", "widgets", "widget", "Widget", True, (),
    custom=Custom(given_type=Type("Widget", {"spec": Field("spec", "struct", type=SPEC)})),
)  # fmt: skip


def widget(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "k.io/v1", "kind": "Widget", "metadata": {"name": "w", "labels": {"a": "b"}}, "spec": spec}


def test_a_custom_resource_follows_its_own_schema() -> None:
    created = widget(ports=[{"port": 80, "proto": "TCP"}], any={"x": {"y": 1}})
    old = managers.update_managed_fields(None, created, "creator", "", T1, WIDGETS)
    assert owned(old, "creator") == {
        "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
        "f:spec": {
            ".": {},
            "f:any": {".": {}, "f:x": {".": {}, "f:y": {}}},
            "f:ports": {".": {}, 'k:{"port":80}': {".": {}, "f:port": {}, "f:proto": {}}},
        },
    }
    new = apply(old, widget(ports=[{"port": 81}], size="M"), "z", resource=WIDGETS)
    assert [each["port"] for each in new["spec"]["ports"]] == [80, 81]
    assert owned(new, "z") == {
        "f:metadata": {"f:labels": {"f:a": {}}},
        "f:spec": {"f:ports": {'k:{"port":81}': {".": {}, "f:port": {}}}, "f:size": {}},
    }
    with pytest.raises(ApiError, match=r"\.spec\.junk: field not declared in schema"):
        apply(old, widget(junk=1), "z", resource=WIDGETS)
    with pytest.raises(ApiError, match=r"\.metadata\.junk: field not declared in schema"):
        apply(old, {**widget(), "metadata": {"name": "w", "junk": 1}}, "z", resource=WIDGETS)


def test_a_custom_resource_without_a_schema_has_lists_that_go_as_one() -> None:
    free = replace(WIDGETS, custom=Custom())
    one = apply(None, widget(ports=[1], map={"x": 1}), "alice", resource=free)
    two = apply(one, widget(ports=[2], map={"y": 1}), "bob", force=True, resource=free)
    assert two["spec"] == {"ports": [2], "map": {"x": 1, "y": 1}}


LATER = ("PatchOptions", "Operation cannot be fulfilled", " is invalid: ")
"""How refusals begin or go on that other parts of the server give."""


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name.removesuffix(".jsonl.gz"))
def test_what_the_server_made_of_each_configuration(path: Path) -> None:
    for change in changes(path):
        if change.content_type != "application/apply-patch+yaml" or not isinstance(change.body, dict):
            continue
        force = change.query.get("force") == "true"
        where, resource = change.info.subresource, change.resource
        try:
            new = server.apply(change.old, change.body, change.manager, force, where, T1, resource)
        except ApiError as error:
            want = change.response
            assert (error.code, error.message) == (want.get("code"), want.get("message")), change.name
            assert (error.details or {}).get("causes") == want.get("details", {}).get("causes"), change.name
            continue
        if not change.accepted:
            assert any(text in change.response["message"] for text in LATER), change.name
        elif change.old is not None and not where:
            obj, _ = decode.decode_value(resource, new, "Ignore")
            found = conversion.convert(conversion.to_storage(defaults.default(resource, obj), resource), resource)
            for part in ("spec", "data"):
                assert found.get(part) == change.response.get(part), change.name
