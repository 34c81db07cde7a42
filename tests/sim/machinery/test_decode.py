"""Request bodies against what a real API server accepted and refused, and rules that hold for any body."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conformance.creations import BUILTIN, creations, files
from conformance.masks import masked

from seatrial.sim.machinery import decode, protobuf
from seatrial.sim.machinery.errors import ApiError

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p"},
    "spec": {"containers": [{"name": "c", "image": "i"}]},
}


def pods() -> Any:
    return BUILTIN.resource("pods")


def refused(raw: bytes, validation: str = "Warn", content_type: str = "application/json") -> str:
    with pytest.raises(ApiError) as caught:
        decode.decode(pods(), raw, content_type, validation)
    return caught.value.message


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name.removesuffix(".jsonl.gz"))
def test_bodies_are_refused_in_the_servers_words(path: Path) -> None:
    for creation in creations(path):
        if creation.status == 400:
            with pytest.raises(ApiError) as caught:
                decode.decode(creation.resource, creation.raw, creation.content_type, creation.validation)
            assert masked(caught.value.status()) == masked(creation.response), creation.name


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name.removesuffix(".jsonl.gz"))
def test_the_server_warns_of_the_same_fields(path: Path) -> None:
    for creation in creations(path):
        if creation.status == 201:
            _, warnings = decode.decode(creation.resource, creation.raw, creation.content_type, creation.validation)
            about_fields = [text for text in creation.warnings if text.startswith(("unknown field", "duplicate field"))]
            assert warnings == about_fields, creation.name


STRICT = 'Pod in version "v1" cannot be handled as a Pod: strict decoding error: '
WRONG = 'Pod in version "v1" cannot be handled as a Pod: '


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"spec":{"x":1}}', f'{STRICT}unknown field "spec.x"'),
        ('{"spec":{"containers":[{"name":"a"},{"y":{"z":1}}]}}', f'{STRICT}unknown field "spec.containers[1].y"'),
        ('{"spec":{"Containers":[]}}', f'{STRICT}unknown field "spec.Containers"'),
        ('{"spec":{"nodeName":"a","nodeName":"b"}}', f'{STRICT}duplicate field "spec.nodeName"'),
        ('{"a":1,"kind":"Pod","b":2}', f'{STRICT}unknown field "a", unknown field "b"'),
        (
            '{"spec":{"containers":[{"ports":[{"containerPort":"x"}]}]}}',
            f"{WRONG}json: cannot unmarshal string into Go struct field "
            "ContainerPort.spec.containers.ports.containerPort of type int32",
        ),
        (
            '{"spec":{"activeDeadlineSeconds":1.5}}',
            f"{WRONG}json: cannot unmarshal number 1.5 into Go struct field "
            "PodSpec.spec.activeDeadlineSeconds of type int64",
        ),
        (
            '{"spec":{"priority":2147483648}}',
            f"{WRONG}json: cannot unmarshal number 2147483648 into Go struct field PodSpec.spec.priority of type int32",
        ),
        ('{"metadata":{"labels":{"a":1}}}', f"{WRONG}json: cannot unmarshal number into Go struct field "
         "ObjectMeta.metadata.labels of type string"),
        ('{"spec":[]}', f"{WRONG}json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec"),
        ('{"status":{"startTime":"2020"}}', f'{WRONG}parsing time "2020" as "2006-01-02T15:04:05Z07:00": '
         'cannot parse "" as "-"'),
        ('{"kind":"Gadget"}', 'Gadget in version "v1" cannot be handled as a Pod: no kind "Gadget" is registered for '
         'version "v1" in scheme "pkg/runtime/scheme.go:111"'),
    ],
)  # fmt: skip
def test_strict_reading_names_the_field(text: str, message: str) -> None:
    assert refused(text.encode(), "Strict") == message


def test_a_wrong_type_outranks_unknown_fields() -> None:
    assert "cannot unmarshal" in refused(b'{"x":1,"spec":7}', "Strict")


def test_kind_and_version_may_be_left_out() -> None:
    obj, warnings = decode.decode(pods(), b'{"metadata":{"name":"p"}}', "", "Strict")
    assert (obj["kind"], obj["apiVersion"], warnings) == ("Pod", "v1", [])


def test_unknown_fields_are_dropped_in_silence_or_with_a_warning() -> None:
    raw = b'{"metadata":{"name":"p"},"spec":{"containers":[],"surprise":{"a":1}}}'
    quiet, none = decode.decode(pods(), raw, "application/json", "Ignore")
    loud, warnings = decode.decode(pods(), raw, "application/json", "Warn")
    assert quiet == loud
    assert "surprise" not in loud["spec"]
    assert (none, warnings) == ([], ['unknown field "spec.surprise"'])


def test_yaml_and_protobuf_bodies_mean_the_same_as_json() -> None:
    wanted, _ = decode.decode(pods(), json.dumps(POD).encode(), "application/json", "Strict")
    text = b"kind: Pod\napiVersion: v1\nmetadata: {name: p}\nspec:\n  containers:\n  - {name: c, image: i}\n"
    assert decode.decode(pods(), text, "application/yaml", "Strict")[0] == wanted
    raw = protobuf.encode(wanted)
    assert decode.decode(pods(), raw, "application/vnd.kubernetes.protobuf", "Strict")[0] == wanted


def test_yaml_keys_that_stand_twice() -> None:
    raw = b"kind: Pod\nspec:\n  nodeName: a\n  nodeName: b\n"
    assert refused(raw, "Strict", "application/yaml").endswith('line 4: key "nodeName" already set in map')


def test_other_media_types_are_not_spoken() -> None:
    with pytest.raises(ApiError) as caught:
        decode.decode(pods(), b"", "application/xml", "Warn")
    assert caught.value.code == 415


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"replicas": 0}, {"replicas": 0}),
        ({"paused": False, "minReadySeconds": 0}, {}),
        ({"replicas": None}, {}),
        ({"strategy": {"rollingUpdate": {}}}, {"strategy": {"rollingUpdate": {}}}),
        ({"template": {"spec": {"nodeSelector": {}, "hostname": ""}}}, {}),
    ],
)
def test_zeros_stay_where_go_keeps_a_pointer(given: dict[str, Any], kept: dict[str, Any]) -> None:
    deployments = BUILTIN.resource("deployments.apps")
    empty, _ = decode.decode_value(deployments, {"spec": {"selector": {}}}, "Strict")
    obj, _ = decode.decode_value(deployments, {"spec": {"selector": {}, **given}}, "Strict")
    assert obj["spec"] == {**empty["spec"], **kept}


def test_values_take_their_canonical_form() -> None:
    spec = {"containers": [{"name": "c", "resources": {"limits": {"cpu": "0.5", "memory": 1024}}}]}
    obj, _ = decode.decode_value(
        pods(), {"spec": spec, "status": {"startTime": "2026-01-01T02:00:00.9+02:00"}}, "Strict"
    )
    assert obj["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "500m", "memory": "1024"}
    assert obj["status"]["startTime"] == "2026-01-01T00:00:00Z"


def test_fields_come_out_in_the_order_of_the_type() -> None:
    obj, _ = decode.decode(pods(), json.dumps(POD, sort_keys=True).encode(), "application/json", "Strict")
    assert list(obj) == ["kind", "apiVersion", "metadata", "spec", "status"]
    assert list(obj["spec"]["containers"][0]) == ["name", "image", "resources"]


def test_options_of_a_deletion() -> None:
    body = b'{"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":0,"preconditions":{"uid":"u"},"other":1}'
    options = decode.decode_options(body, "application/json")
    assert options["gracePeriodSeconds"] == 0
    assert options["preconditions"] == {"uid": "u"}
    assert (
        decode.decode_options(protobuf.encode(options), "application/vnd.kubernetes.protobuf")["gracePeriodSeconds"]
        == 0
    )
    with pytest.raises(ApiError):
        decode.decode_options(b'{"gracePeriodSeconds":"x"}', "application/json")


def test_a_patch_that_gives_a_field_a_wrong_type_is_invalid() -> None:
    obj = {"spec": {"activeDeadlineSeconds": "x"}}
    with pytest.raises(ApiError) as caught:
        decode.decode_patched(pods(), obj, "Warn", {"spec": {"activeDeadlineSeconds": "x", "a": [1, None]}})
    assert caught.value.code == 422
    assert caught.value.message == (
        ' "" is invalid: patch: Invalid value: "map[spec:map[a:[1 <nil>] activeDeadlineSeconds:x]]": '
        "unrecognized type: int64"
    )
    with pytest.raises(ApiError, match=r"json: cannot unmarshal string into Go struct field PodSpec"):
        decode.decode_patched(pods(), obj, "Warn")


def test_bodies_without_end_are_refused() -> None:
    depth = 450
    schemas = '{"not":' * depth + "{}" + "}" * depth
    crd = f'{{"spec":{{"versions":[{{"schema":{{"openAPIV3Schema":{schemas}}}}}]}}}}'
    definitions = BUILTIN.resource("customresourcedefinitions.apiextensions.k8s.io")
    with pytest.raises(ApiError, match="exceeded max depth"):
        decode.decode(definitions, crd.encode(), "application/json", "Warn")
    assert "exceeded max depth" in refused(b"[" * 100_000)


def test_what_says_the_same_as_what_is_known_is_the_known_itself() -> None:
    pods = BUILTIN.resource("pods")
    conditions = [{"type": "Ready", "status": "True", "lastProbeTime": None}, {"type": "Initialized", "status": "True"}]
    before, _ = decode.decode_value(pods, {"metadata": {"name": "a"}, "status": {"conditions": conditions}}, "Strict")
    ready, initialized = before["status"]["conditions"]
    value = {**before, "status": {"conditions": [{**ready, "lastProbeTime": None}, dict(initialized)]}}
    after, _ = decode.decode_patched(pods, value, "Strict", None, before)
    assert after["status"] is before["status"]
    value["status"] = {"conditions": [{**ready, "status": "False"}, dict(initialized)]}
    changed = decode.decode_patched(pods, value, "Strict", None, before)[0]["status"]["conditions"]
    assert changed == [{**ready, "status": "False"}, initialized]
    assert changed[1] is initialized
