"""CustomResourceDefinitions at work: the controllers that run inside the API server and make custom kinds served.

They accept names, establish kinds, register them for discovery and OpenAPI, and empty a kind whose definition goes.
Every commit of a definition is noticed a moment later, and each step writes the status through the API as upstream's
controllers do.

Source: k8s.io/apiextensions-apiserver/pkg/controller/{status,establish,apiapproval,finalizer} and
pkg/apiserver/customresource_handler.go, k8s.io/kube-aggregator/pkg/controllers/autoregister.

Not modelled: the controllers' own queues and back-offs; what one of them does takes the same short time always. The
condition NonStructuralSchema never comes up, because definitions of apiextensions.k8s.io/v1 cannot be stored without
structural schemas.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from seatrial.sim.apiserver import loopback, registry
from seatrial.sim.apiserver.context import Context
from seatrial.sim.apiserver.customresource_names import accepted
from seatrial.sim.apiserver.customresource_strategy import CLEANUP, with_condition
from seatrial.sim.apiserver.options import DeleteOptions
from seatrial.sim.apiserver.request import Object, Request
from seatrial.sim.apiserver.routing import RequestInfo
from seatrial.sim.apiserver.strategy import strategy
from seatrial.sim.machinery.custom import definition as definitions
from seatrial.sim.machinery.custom.definition import condition, is_true
from seatrial.sim.machinery.custom.documents import GroupDocument
from seatrial.sim.machinery.kinds import Resource
from seatrial.sim.machinery.validation.crds import approval_state
from seatrial.sim.store.store import Store

if TYPE_CHECKING:
    from seatrial.sim.apiserver.server import Apiserver

STORAGE = "customresourcedefinitions.apiextensions.k8s.io"
PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
APISERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
AUTOMANAGED = {"kube-aggregator.kubernetes.io/automanaged": "true"}
GROUP_PRIORITY, VERSION_PRIORITY = 1000, 100
"""Of the APIServices of custom groups (crdRegistrationController)."""

NOTICE_US = 1_000
"""From a commit to the controllers' reaction: a watch inside the process."""
EMPTY_US = 100_000
"""Until the storage of a kind that is to be emptied has been listed for the first time."""
EMPTY_POLL_US = 5_000_000
"""Between two looks whether a kind is empty (deleteInstances)."""
EMPTY_POLLS_MAX = 12
"""After a minute the controller says so, and begins again."""
REASONS = {
    "missing": ("False", "MissingAnnotation"),
    "invalid": ("False", "InvalidAnnotation"),
    "bypassed": ("False", "UnapprovedAnnotation"),
    "approved": ("True", "ApprovedAnnotation"),
}


class Served(NamedTuple):
    """What of a definition is being served, and the rows that came of it."""

    uid: str
    spec: Object
    names: Any
    is_served: bool
    is_terminating: bool
    rows: tuple[Resource, ...]


class CustomResources:
    """The controllers of one API server."""

    def __init__(self, server: Apiserver) -> None:
        self._server = server
        self._served: dict[str, Served] = {}
        self._due: dict[str, object] = {}
        self._emptying: dict[str, str] = {}
        """Definitions whose objects are being deleted: name to uid."""

    def restore(self) -> None:
        """Serves at once what a store that was filled before defines, and goes on where the controllers were."""
        for obj in self._server.store.list(STORAGE):
            self._serve(obj["metadata"]["name"], obj)
            self.notice(obj["metadata"]["name"])

    def notice(self, name: str, after_us: int = NOTICE_US) -> None:
        """A definition has changed: the controllers look at it in a moment."""
        if name not in self._due:
            self._due[name] = self._server.clock.after(after_us, lambda: self._sync(name))

    def _sync(self, name: str) -> None:
        """One look at a definition: the first step that is due is taken, and its write brings the next look."""
        self._due.pop(name, None)
        found = self._server.store.get(STORAGE, "", name)
        self._serve(name, found)
        if found is None:
            self._notice_group(name.partition(".")[2], name)
            return
        for step in (self._approve, self._accept_names, self._establish):
            changed = step(found)
            if changed is not None:
                self._write(changed)
                return
        if "deletionTimestamp" in found["metadata"] and CLEANUP in (found["metadata"].get("finalizers") or ()):
            self._clean_up(found)

    def _write(self, changed: Object) -> bool:
        """Updates the status; a conflict means that another look is coming anyway."""
        path = f"{PATH}/{changed['metadata']['name']}/status"
        return loopback.send(self._server, "PUT", path, changed).code == 200

    def _notice_group(self, group: str, but: str) -> None:
        """Names may have become free: the other definitions of the group are looked at."""
        for other in self._server.store.list(STORAGE):
            if other["spec"]["group"] == group and other["metadata"]["name"] != but:
                self.notice(other["metadata"]["name"])

    # conditions

    def _approve(self, obj: Object) -> Object | None:
        """Kubernetes' own groups need an approval (KubernetesAPIApprovalPolicyConformant)."""
        state, message = approval_state(obj)
        if not state:
            return None
        status, reason = REASONS[state]
        old = condition(obj, "KubernetesAPIApprovalPolicyConformant")
        if old is not None and (old["status"], old["reason"], old["message"]) == (status, reason, message):
            return None
        kind = "KubernetesAPIApprovalPolicyConformant"
        return with_condition(obj, kind, status, reason, message, self._server.clock.stamp())

    def _accept_names(self, obj: Object) -> Object | None:
        names = (obj.get("status") or {}).get("acceptedNames") or {}
        if names == obj["spec"]["names"]:
            return None
        new = accepted(obj, self._server.store.list(STORAGE), self._server.clock.stamp())
        if new is not None:
            self._notice_group(obj["spec"]["group"], obj["metadata"]["name"])
        return new

    def _establish(self, obj: Object) -> Object | None:
        if is_true(obj, "Established") or not is_true(obj, "NamesAccepted"):
            return None
        message = "the initial names have been accepted"
        return with_condition(obj, "Established", "True", "InitialNamesAccepted", message, self._server.clock.stamp())

    # serving

    def _serve(self, name: str, obj: Object | None) -> None:
        """Brings the table of kinds, the documents and the APIServices to what the definition says."""
        before = self._served.get(name)
        now = _served(obj) if obj is not None else None
        if before is not None and now is not None and before[:-1] == now[:-1]:
            return
        rows = () if obj is None or now is None else tuple(definitions.rows(obj))
        kinds = self._server.kinds
        old_rows = () if before is None else before.rows
        for row in old_rows:
            kinds.remove_custom(row)
        for row in rows:
            kinds.add_custom(row)
        if now is None:
            self._served.pop(name, None)
        else:
            self._served[name] = now._replace(rows=rows)
        for group, version in dict.fromkeys((row.group, row.version) for row in (*old_rows, *rows)):
            self._publish(group, version)

    def _publish(self, group: str, version: str) -> None:
        """The OpenAPI document and the APIService of a group version, or their end."""
        kinds, path = self._server.kinds, f"apis/{group}/{version}"
        rows = [row for row in kinds.within(group, version) if row.custom is not None]
        kinds.document(path, GroupDocument(group, version, rows) if rows else None)
        name = f"{version}.{group}"
        self._server.clock.after(NOTICE_US, lambda: self._register(name, group, version))

    def _register(self, name: str, group: str, version: str) -> None:
        wanted = any(row.custom is not None for row in self._server.kinds.within(group, version))
        found = self._server.store.get("apiservices.apiregistration.k8s.io", "", name)
        if wanted and found is None:
            self._register_new(name, group, version)
        elif (
            not wanted and found is not None and (found["metadata"].get("labels") or {}).items() >= AUTOMANAGED.items()
        ):
            loopback.send(self._server, "DELETE", f"{APISERVICES}/{name}")

    def _register_new(self, name: str, group: str, version: str) -> None:
        spec = {
            "group": group,
            "version": version,
            "groupPriorityMinimum": GROUP_PRIORITY,
            "versionPriority": VERSION_PRIORITY,
        }
        body = {
            "kind": "APIService",
            "apiVersion": "apiregistration.k8s.io/v1",
            "metadata": {"name": name, "labels": AUTOMANAGED},
            "spec": spec,
        }
        answer = loopback.send(self._server, "POST", APISERVICES, body)
        if answer.code != 201:
            return
        available = {
            "type": "Available",
            "status": "True",
            "lastTransitionTime": self._server.clock.stamp(),
            "reason": "Local",
            "message": "Local APIServices are always available",
        }
        created = {**answer.body, "status": {"conditions": [available]}}
        loopback.send(self._server, "PUT", f"{APISERVICES}/{name}/status", created)

    # deletion

    def _clean_up(self, obj: Object) -> None:
        """A definition that goes takes its objects with it."""
        name, uid = obj["metadata"]["name"], obj["metadata"]["uid"]
        if name in self._emptying:
            return
        message = "CustomResource deletion is in progress"
        if self._write(self._terminating(obj, "True", "InstanceDeletionInProgress", message)):
            self._emptying[name] = uid
            self._server.clock.after(EMPTY_US, lambda: self._empty(name, uid, 0))

    def _empty(self, name: str, uid: str, polls: int) -> None:
        """Deletes the objects, and looks again until the last one is gone."""
        obj = self._server.store.get(STORAGE, "", name)
        if obj is None or obj["metadata"]["uid"] != uid:
            self._emptying.pop(name, None)
            return
        established = is_true(obj, "Established")
        if established and polls == 0:
            self._delete_instances(obj)
        if not established:
            self._finish(obj, "NeverEstablished", "resource was never established")
        elif not self._server.store.list(definitions.storage_name(obj)):
            self._finish(obj, "InstanceDeletionCompleted", "removed all instances")
        elif polls < EMPTY_POLLS_MAX:
            self._server.clock.after(EMPTY_POLL_US, lambda: self._empty(name, uid, polls + 1), periodic=True)
        else:
            del self._emptying[name]
            message = "could not confirm zero CustomResources remaining: context deadline exceeded"
            self._write(self._terminating(obj, "True", "InstanceDeletionCheck", message))

    def _terminating(self, obj: Object, status: str, reason: str, message: str) -> Object:
        return with_condition(obj, "Terminating", status, reason, message, self._server.clock.stamp())

    def _finish(self, obj: Object, reason: str, message: str) -> None:
        """The last write: the finalizer goes, and with it the definition unless somebody else holds it."""
        self._emptying.pop(obj["metadata"]["name"], None)
        metadata = dict(obj["metadata"])
        metadata["finalizers"] = [each for each in metadata.get("finalizers") or () if each != CLEANUP]
        self._write({**self._terminating(obj, "False", reason, message), "metadata": metadata})

    def _delete_instances(self, obj: Object) -> None:
        """Straight at the storage: no admission, as upstream's."""
        server = self._server
        version = next(each for each in obj["spec"]["versions"] if each.get("storage"))
        row = definitions.row(obj, version)
        rules = strategy(row)
        for each in server.store.list(row.storage):
            metadata = each["metadata"]
            info = RequestInfo(True, "delete", "", row.group, row.version, metadata.get("namespace", ""), row.plural)
            request = Request("DELETE", "", user=loopback.API_SERVER, user_agent=loopback.USER_AGENT)
            context = Context(server, request, info, row, loopback.API_SERVER, {}, server.clock.stamp())
            marked = registry.mark_deleted(context, rules, each, DeleteOptions())
            if not marked["metadata"].get("finalizers"):
                registry.remove(context, rules, each)
            elif marked is not each:
                server.commit(row, partial(_replace, row.storage, marked))


def _replace(storage: str, obj: Object, store: Store) -> Object:
    return store.update(storage, obj)


def _served(obj: Object) -> Served:
    return Served(
        obj["metadata"]["uid"],
        obj["spec"],
        (obj.get("status") or {}).get("acceptedNames"),
        is_true(obj, "Established") or is_true(obj, "NamesAccepted"),
        is_true(obj, "Terminating"),
        (),
    )
