"""managedFields: what each write leaves in them, and every one that a real API server wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conformance.changes import Change, changes
from conformance.creations import BUILTIN, creations, files

from seatrial.sim.machinery import apply, conversion, decode, defaults, fieldsets, managers, patch, strategic

PODS = BUILTIN.resource("pods")
T1, T2 = "2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"


def pod(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}, "status": {}}


def stored(obj: Any) -> Any:
    return {**obj, "metadata": {**obj["metadata"], "uid": "u", "resourceVersion": "1"}}


def owners(obj: Any) -> dict[str, Any]:
    return {entry["manager"]: entry["fieldsV1"] for entry in obj["metadata"].get("managedFields") or ()}


def write(old: Any, new: Any, manager: str, subresource: str = "", at: str = T1) -> Any:
    return managers.update_managed_fields(old, new, manager, subresource, at, PODS)


def test_the_creator_owns_what_it_set() -> None:
    (entry,) = write(None, pod(), "kubectl")["metadata"]["managedFields"]
    assert list(entry) == ["manager", "operation", "apiVersion", "time", "fieldsType", "fieldsV1"]
    assert entry["fieldsV1"]["f:spec"]["f:containers"]['k:{"name":"c"}'] == {".": {}, "f:image": {}, "f:name": {}}
    assert "f:metadata" not in entry["fieldsV1"], "names and identities belong to nobody"


def test_equal_entries_are_one_object() -> None:
    one, other = (write(None, pod(), "kubectl")["metadata"]["managedFields"] for _ in range(2))
    assert one[0] is other[0]


def test_an_update_takes_over_what_it_changes() -> None:
    old = stored(write(None, pod(nodeName="a", priority=1), "creator"))
    new = write(old, {**old, "spec": {**old["spec"], "nodeName": "b"}}, "editor", at=T2)
    assert owners(new)["editor"] == {"f:spec": {"f:nodeName": {}}}
    assert "f:nodeName" not in owners(new)["creator"]["f:spec"]
    assert [entry["time"] for entry in new["metadata"]["managedFields"]] == [T1, T2]


def test_what_is_removed_belongs_to_nobody_and_leaves_the_time_alone() -> None:
    old = stored(write(None, pod(nodeName="a"), "creator"))
    new = write(old, {**old, "spec": {"containers": old["spec"]["containers"]}}, "creator", at=T2)
    (entry,) = new["metadata"]["managedFields"]
    assert "f:nodeName" not in entry["fieldsV1"]["f:spec"]
    assert entry["time"] == T1


def test_a_write_that_changes_nothing_keeps_the_very_list() -> None:
    old = stored(write(None, pod(), "creator"))
    again = write(old, json.loads(json.dumps(old)), "editor", at=T2)
    assert again["metadata"]["managedFields"] == old["metadata"]["managedFields"]
    assert write(old, old, "editor", at=T2) is old


def test_a_client_that_sends_no_managed_fields_does_not_delete_them() -> None:
    old = stored(write(None, pod(), "creator"))
    bare = {**old, "metadata": {key: value for key, value in old["metadata"].items() if key != "managedFields"}}
    assert write(old, bare, "editor")["metadata"]["managedFields"] == old["metadata"]["managedFields"]


def test_managed_fields_that_come_back_as_they_were_are_the_very_same() -> None:
    old = stored(write(None, pod(), "creator"))
    assert (
        write(old, json.loads(json.dumps(old)), "editor")["metadata"]["managedFields"]
        is old["metadata"]["managedFields"]
    )


def test_a_client_may_rewrite_the_entries_but_not_through_a_subresource() -> None:
    old = stored(write(None, pod(), "creator"))
    given = [{**old["metadata"]["managedFields"][0], "manager": "heir"}]
    new = {**old, "metadata": {**old["metadata"], "managedFields": given}}
    assert list(owners(write(old, new, "editor"))) == ["heir"]
    assert list(owners(write(old, new, "editor", "status"))) == ["creator"]


def test_one_empty_entry_asks_for_all_to_be_forgotten() -> None:
    old = stored(write(None, pod(), "creator"))
    reset = {**old, "metadata": {**old["metadata"], "managedFields": [{}]}}
    assert "managedFields" not in write(old, reset, "editor")["metadata"]


def test_an_object_without_managed_fields_stays_without() -> None:
    old = stored(pod())
    assert "managedFields" not in write(old, {**old, "spec": {**old["spec"], "nodeName": "b"}}, "editor")["metadata"]


def test_a_subresource_owns_apart_and_only_what_it_may_set() -> None:
    old = stored(write(None, pod(), "creator"))
    new = write(old, {**old, "status": {"phase": "Running"}, "spec": {"nodeName": "x"}}, "kubelet", "status", T2)
    entry = new["metadata"]["managedFields"][1]
    assert (entry["manager"], entry["subresource"]) == ("kubelet", "status")
    assert entry["fieldsV1"] == {"f:status": {"f:phase": {}}}
    assert owners(write(old, {**old, "status": {"phase": "Running"}}, "editor")) == owners(old)


def test_the_oldest_updates_are_merged_when_there_are_too_many() -> None:
    obj = stored(write(None, pod(), "creator"))
    for number in range(12):
        labels = {**obj["metadata"].get("labels", {}), f"l{number}": "x"}
        at = f"2026-01-01T00:01:{number:02}Z"
        obj = write(obj, {**obj, "metadata": {**obj["metadata"], "labels": labels}}, f"m{number:02}", at=at)
    entries = obj["metadata"]["managedFields"]
    assert len(entries) == managers.UPDATE_MANAGERS_MAX
    assert entries[0]["manager"] == managers.ANCIENT_CHANGES
    assert entries[0]["time"] == "2026-01-01T00:01:02Z"
    assert {f"f:l{number}" for number in range(3)} <= set(entries[0]["fieldsV1"]["f:metadata"]["f:labels"])
    assert [entry["manager"] for entry in entries[1:]] == [f"m{number:02}" for number in range(3, 12)]


def timeless(obj: Any) -> list[str]:
    """The entries without their times, in an order of their own."""
    entries = obj["metadata"].get("managedFields") or ()
    return sorted(json.dumps({**entry, "time": ""}, sort_keys=True) for entry in entries)


def patched(change: Change) -> Any:
    """What the client wants the object to be."""
    if change.method == "PUT":
        return change.body
    if "strategic" in change.content_type:
        return strategic.strategic_merge(change.old or {}, change.body, change.resource.type)
    if "merge" in change.content_type:
        return patch.merge_patch(change.old or {}, change.body)
    return patch.json_patch(change.old, change.body)


def typed(resource: Any, value: Any) -> Any:
    obj, _ = decode.decode_value(resource, value, "Ignore")
    return conversion.to_storage(defaults.default(resource, obj), resource)


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name.removesuffix(".jsonl.gz"))
def test_the_owners_of_created_objects(path: Path) -> None:
    wrong = []
    for creation in creations(path):
        if creation.status != 201:
            continue
        obj, _ = decode.decode(creation.resource, creation.raw, creation.content_type, "Ignore")
        new = conversion.to_storage(defaults.default(creation.resource, obj), creation.resource)
        owned = managers.update_managed_fields(None, new, "Python-urllib", "", T1, creation.resource)
        if timeless(owned) != timeless(creation.response):
            wrong.append(creation.name)
    assert not wrong


@pytest.mark.parametrize("path", files()[::4], ids=lambda path: path.name.removesuffix(".jsonl.gz"))
def test_what_is_remembered_of_creations_is_what_a_comparison_finds(path: Path) -> None:
    for creation in creations(path):
        resource = creation.resource
        if creation.status == 201:
            obj, _ = decode.decode(resource, creation.raw, creation.content_type, "Ignore")
            new = managers.update_managed_fields(None, obj, "m", "", T1, resource)
            whole, _ = fieldsets.compare(managers.shape_of(resource), managers.empty(resource), obj)
            ignored = managers.reset_fields(resource, "") or {"f:none": {}}
            left = fieldsets.excluding(fieldsets.difference(whole, managers.UNOWNED), ignored)
            assert (owners(new).get("m") or None) == left, creation.name


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name.removesuffix(".jsonl.gz"))
def test_the_owners_of_changed_objects(path: Path) -> None:
    for change in changes(path):
        if change.old is None or change.info.subresource == "scale" or change.body is None or not change.accepted:
            continue
        resource, where = change.resource, change.info.subresource
        if change.content_type == "application/apply-patch+yaml":
            force = change.query.get("force") == "true"
            new = apply.apply(change.old, change.body, change.manager, force, where, T1, resource)
        elif change.method in ("PUT", "PATCH"):
            old = conversion.to_storage(change.old, resource)
            new = managers.update_managed_fields(
                old, typed(resource, patched(change)), change.manager, where, T1, resource
            )
        else:
            continue
        assert timeless(new) == timeless(change.response), change.name
