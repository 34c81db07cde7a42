"""Revisions of deployments, daemon sets and stateful sets. Source: k8s.io/kubectl/pkg/polymorphichelpers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from seatrial.scenarios.kubectl.builder import Target
from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.client import PATCH_TYPES
from seatrial.scenarios.kubectl.describing.podspecs import template as describe_template
from seatrial.scenarios.kubectl.describing.writer import Writer
from seatrial.scenarios.kubectl.failures import Failure
from seatrial.scenarios.kubectl.tabwriter import align
from seatrial.sim.machinery import selectors
from seatrial.sim.machinery.schema import type_of_kind
from seatrial.sim.machinery.strategic import strategic_merge

Object = Mapping[str, Any]
REVISION = "deployment.kubernetes.io/revision"
CAUSE = "kubernetes.io/change-cause"
SKIPPED = frozenset(
    {"kubectl.kubernetes.io/last-applied-configuration", REVISION, "deployment.kubernetes.io/revision-history",
     "deployment.kubernetes.io/desired-replicas", "deployment.kubernetes.io/max-replicas",
     "deprecated.deployment.rollback.to"}
)  # fmt: skip
"""Annotations that a roll-back leaves as they are."""


class Revision(NamedTuple):
    """One revision: its number, the object that keeps it, and the template."""

    number: int
    object: Object
    template: Object

    @property
    def cause(self) -> str:
        return str((self.object["metadata"].get("annotations") or {}).get(CAUSE) or "<none>")


def revisions(call: Call, target: Target) -> dict[int, Revision]:
    """What is kept, by number. Raises Failure for a kind without revisions."""
    match target.kind.resource:
        case "deployments.apps":
            return _of_deployment(call, target)
        case "daemonsets.apps" | "statefulsets.apps":
            return _of_controller(call, target)
    raise Failure(f"no history viewer has been implemented for {target.kind.kind}")


def _mine(call: Call, target: Target, word: str) -> list[dict[str, Any]]:
    query = {"labelSelector": selectors.text_of(target.object["spec"].get("selector"))}
    uid = target.object["metadata"].get("uid")
    items = call.client.items(call.client.kind(word), target.namespace, query)
    return [
        item
        for item in items
        if any(
            each.get("controller") and each.get("uid") == uid for each in item["metadata"].get("ownerReferences") or ()
        )
    ]


def _of_deployment(call: Call, target: Target) -> dict[int, Revision]:
    found: dict[int, Revision] = {}
    for each in _mine(call, target, "replicasets.apps"):
        text = (each["metadata"].get("annotations") or {}).get(REVISION, "")
        if text.isdigit():
            number = int(text)
            found[number] = Revision(number, each, _with_cause(each))
    return found


def _with_cause(replica_set: Object) -> Object:
    """The template with the change's cause among its annotations, as history shows it."""
    template: Object = replica_set["spec"]["template"]
    cause = (replica_set["metadata"].get("annotations") or {}).get(CAUSE)
    if not cause:
        return template
    metadata = template.get("metadata") or {}
    return {**template, "metadata": {**metadata, "annotations": {**(metadata.get("annotations") or {}), CAUSE: cause}}}


def _of_controller(call: Call, target: Target) -> dict[int, Revision]:
    found: dict[int, Revision] = {}
    type_ = type_of_kind("apps", "v1", target.kind.kind)
    for each in _mine(call, target, "controllerrevisions.apps"):
        restored = strategic_merge(target.object, each.get("data") or {}, type_)
        found[each["revision"]] = Revision(each["revision"], each, restored["spec"]["template"])
    return found


def listed(found: Mapping[int, Revision]) -> str:
    """The table of all revisions."""
    if not found:
        return "No rollout history found."
    rows = "REVISION\tCHANGE-CAUSE\n" + "".join(f"{number}\t{found[number].cause}\n" for number in sorted(found))
    return align(rows)


def template_text(call: Call, template: Object) -> str:
    """A template as ``describe`` shows it; its tabs are tabs here."""
    w = Writer(call.now())
    describe_template(w, template)
    return w.raw()


def previous(found: Mapping[int, Revision], asked: int) -> Revision:
    """The revision to go back to; 0 means the last but one. Raises Failure."""
    if asked < 0:
        raise Failure(f"unable to find specified revision {asked} in history")
    if asked:
        if asked not in found:
            raise Failure(f"unable to find specified revision {asked} in history")
        return found[asked]
    numbers = sorted(found)
    if len(numbers) < 2:
        raise Failure("no rollout history found")
    return found[numbers[-2]]


def restored(obj: Object, chosen: Revision) -> Object:
    """The template that a roll-back brings."""
    template: Object = chosen.object["spec"]["template"] if obj["kind"] == "Deployment" else chosen.template
    return template


def is_current(obj: Object, chosen: Revision, found: Mapping[int, Revision]) -> bool:
    """Whether the template is already that of the revision."""

    def plain(template: Object) -> Object:
        metadata = template.get("metadata") or {}
        kept = {key: value for key, value in (metadata.get("labels") or {}).items() if key != "pod-template-hash"}
        return {**template, "metadata": {**metadata, "labels": kept, "creationTimestamp": None}}

    return plain(obj["spec"]["template"]) == plain(restored(obj, chosen))


def roll_back(call: Call, target: Target, chosen: Revision) -> None:
    """Makes the revision the object's template again."""
    asked = {"dryRun": "All"} if call.dry_run == "server" else {}
    if target.kind.resource != "deployments.apps":
        call.client.send("PATCH", target.path, asked, chosen.object["data"], PATCH_TYPES["strategic"])
        return
    template = chosen.object["spec"]["template"]
    labels = {
        key: value for key, value in (template["metadata"].get("labels") or {}).items() if key != "pod-template-hash"
    }
    held = target.object["metadata"].get("annotations") or {}
    kept = {key: value for key, value in held.items() if key in SKIPPED}
    old = {
        key: value for key, value in (chosen.object["metadata"].get("annotations") or {}).items() if key not in SKIPPED
    }
    patch = [
        {"op": "replace", "path": "/spec/template",
         "value": {**template, "metadata": {**template["metadata"], "labels": labels}}},
        {"op": "replace", "path": "/metadata/annotations", "value": {**kept, **old}},
    ]  # fmt: skip
    call.client.send("PATCH", target.path, asked, patch, PATCH_TYPES["json"])
