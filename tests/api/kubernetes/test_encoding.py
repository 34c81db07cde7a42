"""Objects as bytes: what Go's encoder would say, at once or in pieces."""

from __future__ import annotations

import gzip
import json
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from seatrial.api.kubernetes import encoding
from seatrial.sim.apiserver.representation import JSON, PROTOBUF, YAML

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def listed(count: int) -> dict[str, Any]:
    items = [{"metadata": {"name": f"a{n}", "labels": {}}, "data": {"k": ["<&>", n]}} for n in range(count)]
    return {"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {"resourceVersion": "7"}, "items": items}


@given(values)
def test_json_says_the_same_with_escapes_as_without(value: Any) -> None:
    for raw in (encoding.json_bytes(value), encoding.pretty_bytes(value)):
        assert json.loads(raw) == value
        assert not {b"<", b">", b"&"} & {raw[at : at + 1] for at in range(len(raw))}


@pytest.mark.parametrize(
    ("text", "raw"),
    [("<a>&", b'"\\u003ca\\u003e\\u0026"'), ("\u2028\u2029", b'"\\u2028\\u2029"'), ("ü\t", '"ü\\t"'.encode())],
)
def test_what_is_special_in_html_is_escaped(text: str, raw: bytes) -> None:
    assert encoding.json_bytes(text) == raw


@pytest.mark.parametrize("pretty", [False, True])
@pytest.mark.parametrize("count", [101, 200, 333])
def test_pieces_make_up_the_whole(count: int, pretty: bool) -> None:
    body = listed(count)
    assert encoding.long_field(body) == "items"
    parts = list(encoding.pieces(body, "items", JSON, pretty, None))
    assert len(parts) > 2
    assert b"".join(parts) == encoding.encode(body, JSON, pretty)


@pytest.mark.parametrize("body", [listed(0), listed(100), {"items": None}, {"kind": "Pod"}])
def test_what_is_short_is_sent_at_once(body: dict[str, Any]) -> None:
    assert encoding.long_field(body) == ""


def test_compressed_pieces_are_one_gzip_stream() -> None:
    body = listed(5000)
    raw = b"".join(encoding.compressed(encoding.pieces(body, "items", JSON, False, None)))
    assert orjson.loads(gzip.decompress(raw)) == body


@pytest.mark.parametrize(("count", "worth"), [(101, False), (5000, True)])
def test_only_long_answers_are_worth_compressing(count: int, worth: bool) -> None:
    assert encoding.worth_compressing(listed(count), "items") is worth


@given(st.lists(values, min_size=1, max_size=4))
def test_pieces_of_yaml_make_up_the_whole(items: list[Any]) -> None:
    body = {**listed(0), "items": items}
    raw = b"".join(encoding.pieces(body, "items", YAML, False, None))
    assert yaml.load(raw, Loader=yaml.CSafeLoader) == yaml.load(encoding.yaml_bytes(body), Loader=yaml.CSafeLoader)


def test_yaml_repeats_what_objects_share() -> None:
    shared = {"a": [1, 2]}
    assert encoding.yaml_bytes([shared, shared]) == b"- a:\n  - 1\n  - 2\n- a:\n  - 1\n  - 2\n"


def test_pieces_of_protobuf_are_those_of_the_whole() -> None:
    from seatrial.sim.machinery import protobuf

    items = [{"metadata": {"name": f"a{n}"}, "data": {"k": "v" * n}} for n in range(150)]
    body = {**listed(0), "items": items}
    parts = list(encoding.pieces(body, "items", PROTOBUF, False, None))
    assert parts[0] == b""
    assert b"".join(parts) == protobuf.encode(body)


def test_each_item_can_be_changed_on_its_way() -> None:
    parts = encoding.pieces(listed(150), "items", JSON, False, lambda item: item["metadata"]["name"])
    assert orjson.loads(b"".join(parts))["items"] == [f"a{n}" for n in range(150)]


def test_yaml_is_in_block_style_with_sorted_keys() -> None:
    raw = encoding.encode({"kind": "Pod", "apiVersion": "v1", "spec": {"list": [1, {"a": "yes"}]}}, YAML, False)
    assert raw == b"apiVersion: v1\nkind: Pod\nspec:\n  list:\n  - 1\n  - a: 'yes'\n"
    assert yaml.safe_load(raw)["spec"]["list"][1] == {"a": "yes"}
