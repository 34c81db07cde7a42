"""``kubectl describe``: objects with what belongs to them, for people.

Source: k8s.io/kubectl/pkg/cmd/describe, k8s.io/kubectl/pkg/describe. Kinds without a describer of their own are shown
field by field, as upstream does for kinds that it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.scenarios.kubectl.builder import Target, fetched, wanted
from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.describing import configuration, generic, network, nodes, scaling, storage, workloads
from seatrial.scenarios.kubectl.describing.workloads import Describe
from seatrial.scenarios.kubectl.describing.writer import Writer
from seatrial.scenarios.kubectl.draining import MIRROR
from seatrial.scenarios.kubectl.failures import Failure, finish
from seatrial.sim.machinery.errors import ApiError

Object = Mapping[str, Any]
KINDS: Mapping[str, Describe] = {
    **workloads.KINDS, **network.KINDS, **storage.KINDS, **configuration.KINDS, **scaling.KINDS, **nodes.KINDS,
}  # fmt: skip


class Described:
    """One object and the way to the server; see ``workloads.Found``."""

    def __init__(self, call: Call, target: Target) -> None:
        self._call = call
        self._target = target
        self.object: Object = target.object

    def events(self) -> list[Object] | None:
        if not self._call.flags["show-events"]:
            return None
        obj, kind = self.object, self._target.kind
        metadata = obj["metadata"]
        terms = [f"involvedObject.name={metadata['name']}"]
        if metadata.get("namespace"):
            terms.append(f"involvedObject.namespace={metadata['namespace']}")
        terms.append(f"involvedObject.kind={kind.kind}")
        uid = metadata["name"] if kind.resource == "nodes" else metadata.get("uid", "")
        # A static pod's events are about the pod of the file, which its mirror names.
        uid = (metadata.get("annotations") or {}).get(MIRROR, uid)
        found = self._events(metadata.get("namespace", ""), [*terms, f"involvedObject.uid={uid}"])
        if kind.resource == "nodes":
            found += self._events("", [*terms, f"involvedObject.uid={metadata.get('uid', '')}"])
        return found

    def _events(self, namespace: str, terms: list[str]) -> list[Object]:
        try:
            return list(self.items("events", namespace, {"fieldSelector": ",".join(terms)}))
        except ApiError:
            return []

    def items(self, word: str, namespace: str | None = None, query: Mapping[str, Any] | None = None) -> list[Object]:
        kind = self._call.client.kind(word)
        return list(self._call.client.items(kind, namespace or "", query))

    def get(self, word: str, namespace: str, name: str) -> Object:
        found: Object = self._call.client.get(self._call.client.kind(word).path(namespace, name))
        return found


def text_of(call: Call, target: Target) -> str:
    """What ``describe`` prints of one object. Raises ApiError."""
    w = Writer(call.now())
    KINDS.get(target.kind.resource, generic.describe)(w, Described(call, target))
    return w.text()


def run(call: Call) -> int:
    if not call.args and not call.flags["filename"] and not call.flags["kustomize"]:
        raise Failure(
            'You must specify the type of resource to describe. Use "kubectl api-resources" for a complete list of '
            "supported resources."
        )
    found = wanted(call, call.args, everything=True)
    problems = found.problems
    targets = list(fetched(call, found, problems))
    named = len(found.targets) == 1 and found.targets[0].name and problems and not targets
    if named and len(call.args) == 2:
        targets = _starting(call, found.targets[0])
        if targets:
            problems = []
    if len(targets) > 1:
        call.flags.values["show-events"] = False
    for position, target in enumerate(targets):
        try:
            text = text_of(call, target)
        except ApiError as problem:
            problems.append(problem)
            continue
        if position:
            call.write("\n\n")
        call.write(text)
    finish(problems)
    if not targets:
        everywhere = call.flags["all-namespaces"]
        call.err("No resources found" if everywhere else f"No resources found in {call.namespace} namespace.")
    return 0


def _starting(call: Call, wanted_: Target) -> list[Target]:
    """Objects whose names start with what was typed (DescribeMatchingResources)."""
    items = call.client.items(wanted_.kind, wanted_.namespace)
    return [
        Target(wanted_.kind, item["metadata"].get("namespace", ""), item["metadata"]["name"], item)
        for item in items
        if item["metadata"]["name"].startswith(wanted_.name)
    ]
