"""ControllerRevisions: the history of a workload's pod template.

Source: k8s.io/kubernetes/pkg/controller/history/controller_history.go and the getPatch functions of the StatefulSet and
DaemonSet controllers. The names are those of a real cluster: the hash is over the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from seatrial.sim.apiserver.request import Object
from seatrial.sim.controllers.actions import Action, Create, Get, Turn, Update, delete_of, ignoring
from seatrial.sim.controllers.hashing import fnv32, safe_encode
from seatrial.sim.controllers.informers import controller_of
from seatrial.sim.controllers.ownership import Owner, claim
from seatrial.sim.machinery.errors import ApiError

REVISIONS = "controllerrevisions.apps"
HASH_LABEL = "controller.kubernetes.io/hash"
NAME_PREFIX_MAX = 223


def history(kind: Owner, turn: Turn, owner: Object) -> Generator[Action, Any, list[Object]]:
    """The owner's revisions, oldest first; orphans that match are adopted."""
    found = yield from claim(kind, owner, REVISIONS, turn.view(REVISIONS))
    return in_order(found)


def in_order(found: Sequence[Object]) -> list[Object]:
    def order(each: Object) -> tuple[int, str, str]:
        metadata = each["metadata"]
        return (each["revision"], metadata.get("creationTimestamp", ""), metadata["name"])

    return sorted(found, key=order)


def patch_of(template: Mapping[str, Any]) -> dict[str, Any]:
    """What a revision holds: a strategic merge patch that puts the template back. Clients compare its bytes."""
    patch: dict[str, Any] = _ordered({"spec": {"template": {**template, "$patch": "replace"}}})
    return patch


def _ordered(value: Any) -> Any:
    """With keys in their order, as Go's encoder of maps has them."""
    if isinstance(value, Mapping):
        return {key: _ordered(value[key]) for key in sorted(value)}
    return [_ordered(each) for each in value] if isinstance(value, list | tuple) else value


def data_hash(data: Mapping[str, Any], collisions: int) -> str:
    """HashControllerRevision."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for sign, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(sign, code)
    return safe_encode(str(fnv32(f"{text}{collisions}".encode())))


def new_revision(kind: Owner, owner: Object, number: int, collisions: int, labels: Mapping[str, str]) -> dict[str, Any]:
    data = patch_of(owner["spec"]["template"])
    digest = data_hash(data, collisions)
    metadata: dict[str, Any] = {
        "name": revision_name(owner["metadata"]["name"], digest),
        "namespace": owner["metadata"]["namespace"],
        "labels": {**labels, HASH_LABEL: digest},
        "ownerReferences": [kind.reference(owner)],
    }
    if owner["metadata"].get("annotations"):
        metadata["annotations"] = owner["metadata"]["annotations"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": metadata,
        "data": data,
        "revision": number,
    }


def revision_name(prefix: str, digest: str) -> str:
    return f"{prefix[:NAME_PREFIX_MAX]}-{digest}"


def same(a: Object, b: Object) -> bool:
    return bool(a.get("data") == b.get("data"))


def create(kind: Owner, owner: Object, collisions: int, number: int) -> Generator[Action, Any, tuple[Object, int]]:
    """The revision as stored, and the count of collisions, which rises when a name is taken by another template."""
    labels = (owner["spec"]["template"].get("metadata") or {}).get("labels") or {}
    while True:
        wanted = new_revision(kind, owner, number, collisions, labels)
        try:
            return (yield Create(REVISIONS, wanted)), collisions
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            there = yield Get(REVISIONS, wanted["metadata"]["namespace"], wanted["metadata"]["name"])
            owned = controller_of(there)
            if same(there, wanted) and owned is not None and owned["uid"] == owner["metadata"]["uid"]:
                return there, collisions
            collisions += 1


def renumber(revision: Object, number: int) -> Generator[Action, Any, Object]:
    """Makes an older revision the latest one."""
    if revision["revision"] == number:
        return revision
    renumbered: Object = yield Update(REVISIONS, {**revision, "revision": number})
    return renumbered


def truncate(revisions: Sequence[Object], live: Sequence[str], limit: int) -> Generator[Action, Any, None]:
    """Deletes the oldest revisions that no pod has, beyond ``limit``; ``live`` names those in use."""
    unused = [each for each in revisions if each["metadata"]["name"] not in live]
    for each in unused[: max(0, len(unused) - limit)]:
        yield from ignoring(delete_of(REVISIONS, each), 404)
