"""Who controls what: owner references, adoption of orphans, release of what no longer matches, pods from templates.

Source: k8s.io/kubernetes/pkg/controller/controller_ref_manager.go and controller_utils.go (GetPodFromTemplate).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from seatrial.sim.apiserver.request import Object
from seatrial.sim.controllers.actions import Action, Batch, Get, Patch
from seatrial.sim.controllers.controller import Seen
from seatrial.sim.controllers.informers import controller_of
from seatrial.sim.machinery import selectors
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.store.view import View


class Owner(NamedTuple):
    """A kind that controls others."""

    storage: str
    api_version: str
    kind: str

    def reference(self, owner: Object, controller: bool = True) -> dict[str, Any]:
        """What its objects' children say (metav1.NewControllerRef)."""
        metadata = owner["metadata"]
        ref: dict[str, Any] = {
            "apiVersion": self.api_version,
            "kind": self.kind,
            "name": metadata["name"],
            "uid": metadata["uid"],
        }
        if controller:
            ref["controller"] = True
            ref["blockOwnerDeletion"] = True
        return ref

    def resolve(self, view: Callable[[str], View], namespace: str, ref: Mapping[str, Any] | None) -> Object | None:
        """The object that a controller reference names, if it is of this kind and still the same."""
        if ref is None or ref["kind"] != self.kind or not _same_group(ref["apiVersion"], self.api_version):
            return None
        owner = view(self.storage).get(namespace, ref["name"])
        return owner if owner is not None and owner["metadata"]["uid"] == ref["uid"] else None


def _same_group(a: str, b: str) -> bool:
    return a.rpartition("/")[0] == b.rpartition("/")[0]


NOBODY: Sequence[tuple[str, str]] = ()
DEPLOYMENT = Owner("deployments.apps", "apps/v1", "Deployment")
REPLICA_SET = Owner("replicasets.apps", "apps/v1", "ReplicaSet")
REPLICATION_CONTROLLER = Owner("replicationcontrollers", "v1", "ReplicationController")
STATEFUL_SET = Owner("statefulsets.apps", "apps/v1", "StatefulSet")
DAEMON_SET = Owner("daemonsets.apps", "apps/v1", "DaemonSet")
JOB = Owner("jobs.batch", "batch/v1", "Job")
CRON_JOB = Owner("cronjobs.batch", "batch/v1", "CronJob")


def selector_of(owner: Object) -> selectors.Matches:
    """The predicate over labels of a workload's selector; plain maps are ReplicationControllers'."""
    selector = (owner.get("spec") or {}).get("selector")
    if owner.get("kind") == "ReplicationController":
        return selectors.labels({"matchLabels": selector}) if selector else selectors.labels(None)
    return selectors.labels(selector)


def selects_all(owner: Object) -> bool:
    """Whether an owner's selector is empty: it would take every pod there is, and is left alone."""
    selector = owner["spec"].get("selector") or {}
    return not selector.get("matchLabels") and not selector.get("matchExpressions")


def labels_of(obj: Object) -> Mapping[str, str]:
    return obj["metadata"].get("labels") or {}


def children_keys(owner: Owner) -> Callable[[Seen], Iterable[Any]]:
    """From a changed child to the keys of the owners that it concerns: the old one, the new one, or, for an orphan,
    all whose selector it matches."""

    def keys(seen: Seen) -> Sequence[tuple[str, str]]:
        new, old = seen.new, seen.old
        refs = seen.obj["metadata"].get("ownerReferences")
        if refs and len(refs) == 1 and refs[0].get("controller") and refs[0]["kind"] != owner.kind:
            if new is None or old is None or old["metadata"].get("ownerReferences") == refs:
                return NOBODY  # it was and is another kind's, as most children are
        namespace = seen.obj["metadata"].get("namespace", "")
        found = []
        new_ref = controller_of(new) if new is not None else None
        old_ref = controller_of(old) if old is not None else None
        if old_ref is not None and (new_ref is None or old_ref["uid"] != new_ref["uid"]):
            former = owner.resolve(seen.view, namespace, old_ref)
            if former is not None:
                found.append((namespace, former["metadata"]["name"]))
        if new_ref is not None:
            present = owner.resolve(seen.view, namespace, new_ref)
            if present is not None:
                found.append((namespace, present["metadata"]["name"]))
        elif new is not None and seen.verb != "DELETED" and _orphan_matters(new, old, old_ref):
            labels = labels_of(new)
            candidates = seen.view(owner.storage).list(namespace) if labels else []
            matching = (each for each in candidates if selector_of(each)(labels))
            found.extend((namespace, each["metadata"]["name"]) for each in matching)
        return found

    return keys


def _orphan_matters(new: Object, old: Object | None, old_ref: Any) -> bool:
    """An orphan that was just added, has lost its owner or changed its labels may be adopted."""
    if "deletionTimestamp" in new["metadata"]:
        return False
    return old is None or old_ref is not None or labels_of(new) != labels_of(old)


def children(view: View, owner: Object) -> list[Object]:
    """What the owner controls."""
    return view.indexed("controller", owner["metadata"]["uid"])


def claim(
    kind: Owner, owner: Object, storage: str, view: View, match: Callable[[Object], bool] | None = None
) -> Generator[Action, Any, list[Object]]:
    """The children of ``owner`` after adopting matching orphans and releasing what no longer matches.

    Raises the ApiError of an adoption that was refused for another reason than that the child or the owner is gone.
    """
    selects = selector_of(owner)
    matches = match if match is not None else lambda child: selects(labels_of(child))
    metadata = owner["metadata"]
    owned = children(view, owner)
    kept = [child for child in owned if matches(child)]
    dying = "deletionTimestamp" in metadata
    if len(kept) != len(owned) and not dying:
        yield from _release(metadata["uid"], storage, [child for child in owned if not matches(child)])
    if dying:
        return kept
    strays = [
        child
        for child in view.indexed("orphan", metadata["namespace"])
        if "deletionTimestamp" not in child["metadata"] and matches(child)
    ]
    if strays:
        kept = kept + (yield from _adopt(kind, owner, storage, strays))
    return kept


def _release(uid: str, storage: str, released: list[Object]) -> Generator[Action, Any, None]:
    patches = []
    for child in released:
        metadata = child["metadata"]
        patch = {"metadata": {"ownerReferences": [{"$patch": "delete", "uid": uid}], "uid": metadata["uid"]}}
        patches.append(Patch(storage, metadata["namespace"], metadata["name"], patch))
    for answer in (yield Batch(tuple(patches))):
        if isinstance(answer, Exception) and not (isinstance(answer, ApiError) and answer.code in (404, 422)):
            raise answer


def _adopt(kind: Owner, owner: Object, storage: str, strays: list[Object]) -> Generator[Action, Any, list[Object]]:
    metadata = owner["metadata"]
    fresh = yield Get(kind.storage, metadata["namespace"], metadata["name"])
    if fresh["metadata"]["uid"] != metadata["uid"] or "deletionTimestamp" in fresh["metadata"]:
        return []
    patches = []
    for child in strays:
        found = child["metadata"]
        patch = {"metadata": {"ownerReferences": [kind.reference(owner)], "uid": found["uid"]}}
        patches.append(Patch(storage, found["namespace"], found["name"], patch))
    adopted: list[Object] = []
    for answer in (yield Batch(tuple(patches))):
        if not isinstance(answer, Exception):
            adopted.append(answer)
        elif not (isinstance(answer, ApiError) and answer.code == 404):
            raise answer
    return adopted


def pod_from_template(kind: Owner, owner: Object, template: Mapping[str, Any]) -> dict[str, Any]:
    """A new pod; its spec is the template's own."""
    source = template.get("metadata") or {}
    owner_metadata = owner["metadata"]
    metadata: dict[str, Any] = {
        "generateName": owner_metadata["name"] + "-",
        "namespace": owner_metadata["namespace"],
        "ownerReferences": [kind.reference(owner)],
    }
    for key in ("labels", "annotations", "finalizers"):
        if source.get(key):
            metadata[key] = source[key]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
