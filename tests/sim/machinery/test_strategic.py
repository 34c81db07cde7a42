"""Strategic merge patch: the directives, and every such patch that a real API server was sent."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from conformance.changes import changes
from conformance.creations import BUILTIN, files

from seatrial.sim.machinery import conversion, decode, defaults, strategic
from seatrial.sim.machinery.errors import ApiError

DEPLOYMENT = BUILTIN.resource("deployments.apps")
OBJECT = {
    "metadata": {"finalizers": ["a", "b"], "labels": {"x": "1"}},
    "spec": {
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
        "template": {
            "spec": {
                "containers": [{"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}]}, {"name": "b"}],
                "tolerations": [{"key": "t"}],
                "volumes": [{"name": "v", "emptyDir": {}}],
            }
        },
    },
}


def pod(patch: Any) -> Any:
    return {"spec": {"template": {"spec": patch}}}


def names(items: list[Any]) -> list[str]:
    return [item["name"] for item in items]


def merged(patch: Any) -> Any:
    before = copy.deepcopy(OBJECT)
    found = strategic.strategic_merge(OBJECT, patch, DEPLOYMENT.type)
    assert before == OBJECT, "the object itself is left alone"
    return found


def merged_pod(patch: Any) -> Any:
    return merged(pod(patch))["spec"]["template"]["spec"]


def test_elements_are_merged_by_key() -> None:
    found = merged_pod({"containers": [{"name": "a", "image": "a:2", "env": [{"name": "Y", "value": "2"}]}]})
    assert found["containers"][0]["image"] == "a:2"
    assert names(found["containers"]) == ["a", "b"]
    assert names(found["containers"][0]["env"]) == ["Y", "X"]


def test_new_elements_come_first() -> None:
    assert names(merged_pod({"containers": [{"name": "c"}]})["containers"]) == ["c", "a", "b"]


def test_elements_are_deleted() -> None:
    assert names(merged_pod({"containers": [{"$patch": "delete", "name": "a"}]})["containers"]) == ["b"]


def test_a_list_is_replaced() -> None:
    found = merged_pod({"volumes": [{"$patch": "replace"}, {"name": "w"}]})
    assert found["volumes"] == [{"name": "w"}]


def test_a_list_without_merge_key_is_replaced_anyway() -> None:
    assert merged_pod({"tolerations": [{"key": "u"}]})["tolerations"] == [{"key": "u"}]


def test_a_map_is_replaced_or_emptied() -> None:
    assert merged({"spec": {"strategy": {"$patch": "replace", "type": "Recreate"}}})["spec"]["strategy"] == {
        "type": "Recreate"
    }
    assert merged({"metadata": {"labels": {"$patch": "delete"}}})["metadata"]["labels"] == {}


def test_keys_that_are_not_retained_go() -> None:
    found = merged({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}})
    assert found["spec"]["strategy"] == {"type": "Recreate"}


def test_order_is_what_the_directive_says() -> None:
    patch = {
        "$setElementOrder/containers": [{"name": "b"}, {"name": "c"}, {"name": "a"}],
        "containers": [{"name": "c"}],
    }
    assert names(merged_pod(patch)["containers"]) == ["b", "c", "a"]
    assert names(merged_pod({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]})["containers"]) == [
        "b",
        "a",
    ]


def test_primitive_lists_are_united_and_thinned_out() -> None:
    assert merged({"metadata": {"finalizers": ["c"]}})["metadata"]["finalizers"] == ["c", "a", "b"]
    assert merged({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}})["metadata"]["finalizers"] == ["b"]


def test_null_removes() -> None:
    assert "labels" not in merged({"metadata": {"labels": None}})["metadata"]


def test_what_comes_in_whole_brings_no_directives() -> None:
    assert merged({"spec": {"selector": {"a": {"b": None, "$retainKeys": ["c"], "c": 1}}}})["spec"]["selector"] == {
        "a": {"c": 1}
    }


REFUSED = [
    ([], 400, "invalid JSON document"),
    ({"spec": {"$patch": "merge"}}, 500, "unknown patch type: merge in map: map[$patch:merge]"),
    ({"spec": {"strategy": {"$retainKeys": ["a"], "type": "b"}}}, 400, "invalid patch format of retainKeys"),
    (
        pod({"containers": [{"image": "x"}]}),
        500,
        "map: map[image:x] does not contain declared merge key: name",
    ),
    (pod({"containers": [{"$patch": "merge"}]}), 500, "merging lists cannot yet be specified in the patch"),
    (
        pod({"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "b"}]}),
        500,
        "The order in patch list:\n[map[name:b]]\n doesn't match $setElementOrder list:\n[map[name:a]]\n",
    ),
]


@pytest.mark.parametrize(("patch", "code", "why"), REFUSED)
def test_a_malformed_patch_is_refused(patch: Any, code: int, why: str) -> None:
    with pytest.raises(ApiError) as refusal:
        merged(patch)
    assert (refusal.value.code, refusal.value.message) == (code, why)


IN_STEP = ("kind", "apiVersion", "metadata", "status")
"""What a patch of the object itself does not decide."""


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name.removesuffix(".jsonl.gz"))
def test_the_servers_own_merges(path: Path) -> None:
    for change in changes(path):
        if change.content_type != "application/strategic-merge-patch+json" or change.old is None or not change.accepted:
            continue
        if change.info.subresource or ("tolerations" in str(change.body) and change.resource.storage == "pods"):
            continue
        patched = strategic.strategic_merge(change.old, change.body, change.resource.type)
        obj, _ = decode.decode_value(change.resource, patched, "Ignore")
        found = conversion.to_storage(defaults.default(change.resource, obj), change.resource)
        shown = conversion.convert(found, change.resource)
        want = {key: value for key, value in change.response.items() if key not in IN_STEP}
        assert {key: value for key, value in shown.items() if key not in IN_STEP} == want, change.name
