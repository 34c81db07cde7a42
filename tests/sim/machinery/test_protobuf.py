"""Protobuf says what JSON says, for whole objects, lists and frames of watches."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from conformance.creations import BUILTIN, exchanges, files
from hypothesis import given
from hypothesis import strategies as st
from properties.objects import objects

from seatrial.sim.machinery import protobuf
from seatrial.sim.machinery.decode import PROTOBUF, decode, read_as
from seatrial.sim.machinery.kinds import Resource

KINDS = [resource for resource in BUILTIN if protobuf.message_of_kind(resource.api_version, resource.kind)]


def test_every_builtin_kind_has_a_message() -> None:
    assert [resource.kind for resource in BUILTIN if resource not in KINDS] == []


@given(st.data())
def test_any_object_survives_the_journey(data: st.DataObject) -> None:
    resource: Resource = data.draw(st.sampled_from(KINDS))
    assert resource.type is not None
    drawn = data.draw(objects(resource.type))
    obj = {"kind": resource.kind, "apiVersion": resource.api_version, **read_as(resource.type, drawn)[0]}
    back = protobuf.decode(protobuf.encode(obj))
    assert read_as(resource.type, back)[0] == read_as(resource.type, obj)[0]


def without_template_kinds(obj: Any) -> Any:
    """Claim templates lose their kind and apiVersion, for which their message has no place."""
    claims = obj.get("spec", {}).get("volumeClaimTemplates")
    if not claims:
        return obj
    bare = [{key: value for key, value in claim.items() if key not in ("kind", "apiVersion")} for claim in claims]
    return {**obj, "spec": {**obj["spec"], "volumeClaimTemplates": bare}}


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name.removesuffix(".jsonl.gz"))
def test_real_objects_survive_the_journey(path: Path) -> None:
    for exchange in exchanges(path):
        obj = exchange["response"]
        resource = BUILTIN.of(obj) if isinstance(obj, dict) and exchange["status"] in (200, 201) else None
        if resource is not None:
            back, _ = decode(resource, protobuf.encode(obj), PROTOBUF, "Strict")
            assert back == without_template_kinds(obj), exchange["name"]


def test_bytes_are_those_of_the_generated_code() -> None:
    obj = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}, "data": {"z": "1", "k": "2"}}
    metadata = b"\n\x01a" + b"\x12\x00" + b"\x1a\x00" + b'"\x00' + b"*\x00" + b"2\x00" + b"8\x00"
    body = b"\n" + bytes([len(metadata)]) + metadata + b"\x12\x06\n\x01k\x12\x012" + b"\x12\x06\n\x01z\x12\x011"
    envelope = b"k8s\x00\n\x0f\n\x02v1\x12\tConfigMap" + b"\x12" + bytes([len(body)]) + body + b"\x1a\x00" + b'"\x00'
    assert protobuf.encode(obj) == envelope


def test_lists_and_statuses() -> None:
    item = {"metadata": {"name": "a"}, "data": {"k": "v"}}
    listed = {"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {"resourceVersion": "7"}, "items": [item]}
    back = protobuf.decode(protobuf.encode(listed))
    assert back["metadata"]["resourceVersion"] == "7"
    assert back["items"][0]["data"] == {"k": "v"}
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 404}
    assert protobuf.decode(protobuf.encode(status))["code"] == 404


def test_a_frame_holds_the_object_in_its_envelope() -> None:
    obj = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}}
    event = protobuf.message("k8s.io.apimachinery.pkg.apis.meta.v1.WatchEvent").decode(
        protobuf.encode_watch_event("ADDED", obj)
    )
    assert event["type"] == "ADDED"
    assert event["object"]["metadata"]["name"] == "a"


@pytest.mark.parametrize(
    "raw",
    [b"", b"{}", b"k8s\x00", b"k8s\x00\n\x06\n\x02v1\x12\x00", b"k8s\x00\n\xff", b"k8s\x00\x0b", b"k8s\x00\x08\x01"],
)
def test_what_is_no_envelope_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        protobuf.decode(raw)


@given(st.binary(max_size=60))
def test_any_bytes_give_an_object_or_a_refusal(raw: bytes) -> None:
    envelope = b"k8s\x00\n\x0d\n\x02v1\x12\x07Service\x12" + bytes([len(raw)]) + raw
    with contextlib.suppress(ValueError):
        protobuf.decode(envelope)
