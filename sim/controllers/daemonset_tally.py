"""What a DaemonSet has on every node, kept current node by node.

A set of a large cluster hears of every change of its thousands of pods. Only nodes about which something has changed
since the last turn are judged again; the counts, and what is left to do, follow from the judgements.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from seatrial.sim.apiserver.request import Object
from seatrial.sim.controllers import daemonset_plan as plan
from seatrial.sim.controllers.controller import Seen
from seatrial.sim.controllers.informers import controller_of
from seatrial.sim.controllers.ownership import DAEMON_SET, labels_of, selector_of
from seatrial.sim.controllers.podstate import is_terminating
from seatrial.sim.store.view import View

Key = tuple[str, str]


class Judged(NamedTuple):
    """One node in the eyes of a set."""

    todo: plan.NodePlan
    counts: plan.Counts


NOTHING = Judged(plan.NodePlan(False, [], []), plan.NO_COUNTS)


class Tally:
    """One set's pods and nodes, for as long as the set asks for the same."""

    def __init__(self, owner: Object, digest: str, pods: Iterable[Object]) -> None:
        self.uid: str = owner["metadata"]["uid"]
        self._basis = _basis(owner, digest)
        self._selects = selector_of(owner)
        self._pods: dict[str, dict[str, Object]] = {}
        self._judged: dict[str, Judged] = {}
        self._unjudged: dict[str, None] = {}
        self._todo: dict[str, None] = {}
        self._begun = False
        self.strange = 0
        """How many of the pods do not match the selector."""
        self.counts = plan.NO_COUNTS
        for pod in pods:
            self._put(pod)

    def is_of(self, owner: Object, digest: str) -> bool:
        """Whether the judgements still hold; they do not where time alone changes them."""
        return not owner["spec"].get("minReadySeconds") and _basis(owner, digest) == self._basis

    def adopts(self, orphan: Object) -> bool:
        """Whether an orphan belongs to the set."""
        return not is_terminating(orphan) and self._selects(labels_of(orphan))

    def note_pod(self, old: Object | None, new: Object | None) -> None:
        """A pod of the set was ``old`` and is ``new``."""
        if old is not None:
            name, uid = plan.target_of(old), old["metadata"]["uid"]
            if self._pods.get(name, {}).pop(uid, None) is not None:
                self.strange -= not self._selects(labels_of(old))
            self._unjudged[name] = None
        if new is not None:
            self._put(new)

    def note_node(self, name: str) -> None:
        """A node is there or not, or other pods may be put there."""
        self._unjudged[name] = None

    def _put(self, pod: Object) -> None:
        name = plan.target_of(pod)
        self._pods.setdefault(name, {})[pod["metadata"]["uid"]] = pod
        self.strange += not self._selects(labels_of(pod))
        self._unjudged[name] = None

    def judge(self, owner: Object, digest: str, nodes: View, now: int) -> None:
        """Looks at all nodes the first time, later at those that were noted."""
        if not self._begun:
            self._begun = True
            self._unjudged.update(dict.fromkeys(node["metadata"]["name"] for node in nodes.list()))
        unjudged, self._unjudged = self._unjudged, {}
        for name in unjudged:
            before, node = self._judged.pop(name, NOTHING), nodes.get("", name)
            pods = self._pods.get(name)
            if pods is not None and not pods:
                del self._pods[name]
            here = plan.counted(pods.values()) if pods else []
            self._todo.pop(name, None)
            found = NOTHING
            if node is not None:
                todo = plan.on_node(owner, node, here, digest, now)
                found = Judged(todo, plan.counts_of(owner, node, here, digest, now))
            elif here:
                lost = [pod for pod in here if not pod["spec"].get("nodeName")]
                found = Judged(plan.NodePlan(False, lost, []), plan.counts_of(owner, None, here, digest, now))
            self.counts = self.counts.changed(before.counts, found.counts)
            if found is not NOTHING:
                self._judged[name] = found
            if any(found.todo):
                self._todo[name] = None

    def todo(self) -> list[tuple[str, plan.NodePlan]]:
        """What is to be done, node by node in the order of their names."""
        return [(name, self._judged[name].todo) for name in sorted(self._todo)]

    def by_node(self) -> dict[str, list[Object]]:
        """The pods that count."""
        found = {name: plan.counted(pods.values()) for name, pods in self._pods.items()}
        return {name: pods for name, pods in found.items() if pods}

    def pods(self) -> list[Object]:
        """All pods of the set."""
        return [pod for pods in self._pods.values() for pod in pods.values()]


def _basis(owner: Object, digest: str) -> tuple[Any, ...]:
    return owner["metadata"]["uid"], owner["metadata"].get("generation"), plan.generation_of(owner), digest


def tallies(memory: dict[Any, Any]) -> dict[Key, Tally]:
    """A controller's, by the sets' namespaces and names."""
    found: dict[Key, Tally] = memory.setdefault("tallies", {})
    return found


def note_pod(seen: Seen) -> None:
    """A pod has changed: whose it was, and whose it is."""
    known = tallies(seen.memory)
    was, now_is = (_tally(known, pod) for pod in (seen.old, seen.new))
    if was is not None:
        was.note_pod(seen.old, seen.new if now_is is was else None)
    if now_is is not None and now_is is not was:
        now_is.note_pod(None, seen.new)


def _tally(known: Mapping[Key, Tally], pod: Object | None) -> Tally | None:
    ref = controller_of(pod) if pod is not None else None
    if pod is None or ref is None or ref["kind"] != DAEMON_SET.kind:
        return None
    tally = known.get((pod["metadata"]["namespace"], ref["name"]))
    return tally if tally is not None and tally.uid == ref["uid"] else None


def note_node(seen: Seen) -> None:
    """A node has changed."""
    for tally in tallies(seen.memory).values():
        tally.note_node(seen.obj["metadata"]["name"])
