"""The scheduling queue: order, back-off, gates and hints."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from seatrial.sim.scheduler.cache import Cache
from seatrial.sim.scheduler.framework import Plugin
from seatrial.sim.scheduler.podinfo import Intern, PodInfo
from seatrial.sim.scheduler.queue import PREEMPTION, SCHEDULING_GATES, SchedulingQueue
from tests.sim.scheduler.building import pod

S = 1_000_000


class Labels(Plugin):
    """Turns pods down until a label of a node changes."""

    name = "Labels"
    events = ("Node/UpdateLabel",)


class Room(Plugin):
    """Turns pods down until a pod leaves that is as big."""

    name = "Room"
    events = ("AssignedPod/Delete",)

    def hint(self, pod: PodInfo, event: str, old: Any, new: Any) -> bool:
        return old is not None and old.traits.requests == pod.traits.requests


class Waiting:
    """A queue with two plug-ins, and pods to put in."""

    def __init__(self) -> None:
        cache = Cache()
        self.gated: dict[str, str] = {}
        self.queue = SchedulingQueue([Labels({}, cache), Room({}, cache)], lambda info: self.gated.get(info.uid))
        self.intern = Intern()

    def info(self, name: str, **spec: Any) -> PodInfo:
        return self.intern.info(pod(name, **spec))

    def names(self, now: int) -> list[str]:
        """Everything that can be taken now, in order."""
        found = []
        while (taken := self.queue.pop(now)) is not None:
            found.append(taken.info.name)
        return found

    def fail(self, info: PodInfo, now: int, *plugins: str) -> None:
        self.queue.add(info, now)
        taken = self.queue.pop(now)
        assert taken is not None
        self.queue.fail(taken, plugins, now)


def test_higher_priority_first_then_whoever_waits_longer() -> None:
    waiting = Waiting()
    for name, priority, at in (("late", 0, 3), ("early", 0, 1), ("important", 5, 9), ("negative", -1, 0)):
        waiting.queue.add(waiting.info(name, priority=priority), at)
    assert waiting.names(10) == ["important", "early", "late", "negative"]


def test_only_events_of_the_plugins_that_objected_count() -> None:
    waiting = Waiting()
    waiting.fail(waiting.info("a"), 0, "Labels")
    waiting.queue.move(["AssignedPod/Delete"], waiting.info("gone"), None, 60 * S)
    assert waiting.names(60 * S) == []
    waiting.queue.move(["Node/UpdateLabel"], None, None, 60 * S)
    assert waiting.names(60 * S) == ["a"]


def test_a_hint_that_says_no_leaves_the_pod_where_it_is() -> None:
    waiting = Waiting()
    waiting.fail(waiting.info("big", cpu="2"), 0, "Room")
    waiting.queue.move(["AssignedPod/Delete"], waiting.info("small", cpu="1"), None, 60 * S)
    assert waiting.names(60 * S) == []
    waiting.queue.move(["AssignedPod/Delete"], waiting.info("same", cpu="2"), None, 60 * S)
    assert waiting.names(60 * S) == ["big"]


def test_a_pod_in_backoff_is_taken_early_only_when_nothing_else_waits() -> None:
    waiting = Waiting()
    waiting.fail(waiting.info("again"), 10 * S, "Labels")
    waiting.queue.move(["Node/UpdateLabel"], None, None, 10 * S)
    waiting.queue.add(waiting.info("new"), 10 * S)
    assert waiting.names(10 * S) == ["new", "again"]


def test_a_pod_that_failed_for_an_error_serves_its_backoff_and_it_doubles() -> None:
    waiting = Waiting()
    info = waiting.info("unlucky")
    waiting.queue.add(info, 0)
    now, waits = 0, []
    for _ in range(6):
        taken = waiting.queue.pop(now)
        assert taken is not None
        waiting.queue.fail(taken, (), now)
        assert waiting.names(now) == []
        ends = waiting.queue.next_flush()
        assert ends is not None
        waits.append((ends - now) // S)
        now = ends
        waiting.queue.flush_backoff(now)
    assert waits == [1, 2, 4, 8, 10, 10]


def test_after_five_minutes_without_an_event_a_pod_is_tried_anyway() -> None:
    waiting = Waiting()
    waiting.fail(waiting.info("a"), 0, "Labels")
    waiting.queue.flush_unschedulable(300 * S)
    assert waiting.names(300 * S) == []
    waiting.queue.flush_unschedulable(301 * S)
    assert waiting.names(301 * S) == ["a"]


def test_gated_pods_wait_for_their_gates_and_for_nothing_else() -> None:
    waiting = Waiting()
    info = waiting.info("gated")
    waiting.gated[info.uid] = SCHEDULING_GATES
    waiting.queue.add(info, 0)
    waiting.queue.move(["Node/UpdateLabel", "AssignedPod/Delete"], info, None, 60 * S)
    waiting.queue.flush_unschedulable(600 * S)
    assert waiting.names(600 * S) == []
    del waiting.gated[info.uid]
    waiting.queue.update(info, 601 * S, (), info)
    assert waiting.names(601 * S) == ["gated"]


def test_a_pod_whose_victims_are_leaving_waits_for_the_event_of_the_last() -> None:
    waiting = Waiting()
    info = waiting.info("preemptor", cpu="1")
    waiting.fail(info, 0, "Room")
    waiting.gated[info.uid] = PREEMPTION
    waiting.queue.move(["AssignedPod/Delete"], waiting.info("first", cpu="1"), None, 60 * S)
    assert waiting.names(60 * S) == []
    del waiting.gated[info.uid]
    waiting.queue.move(["AssignedPod/Delete"], waiting.info("last", cpu="1"), None, 61 * S)
    assert waiting.names(61 * S) == ["preemptor"]


class Life(RuleBasedStateMachine):
    """However pods come, fail, change and go: each is in exactly one place, and none is lost or handed out twice."""

    @initialize()
    def begin(self) -> None:
        self.waiting = Waiting()
        self.known: dict[str, PodInfo] = {}
        self.taken: dict[str, Any] = {}
        self.now = 0

    @rule(number=st.integers(0, 5), priority=st.integers(0, 2))
    def add(self, number: int, priority: int) -> None:
        info = self.waiting.info(f"p{number}", priority=priority)
        if info.uid not in self.taken:
            self.waiting.queue.add(info, self.now)
            self.known[info.uid] = info

    @rule()
    def pop(self) -> None:
        taken = self.waiting.queue.pop(self.now)
        assert (taken is not None) or not self.waiting.queue.ready()
        if taken is not None:
            assert taken.info.uid not in self.taken
            self.taken[taken.info.uid] = taken

    @rule(plugins=st.sampled_from(((), ("Labels",), ("Room",), ("Labels", "Room"))))
    def fail(self, plugins: tuple[str, ...]) -> None:
        if self.taken:
            _, taken = self.taken.popitem()
            self.waiting.queue.fail(taken, plugins, self.now)

    @rule(number=st.integers(0, 5))
    def delete(self, number: int) -> None:
        uid = f"default/p{number}"
        self.waiting.queue.delete(uid)
        self.known.pop(uid, None)
        self.taken.pop(uid, None)

    @rule(event=st.sampled_from(("Node/UpdateLabel", "AssignedPod/Delete")))
    def happens(self, event: str) -> None:
        self.waiting.queue.move([event], self.waiting.info("gone"), None, self.now)

    @rule(seconds=st.integers(1, 400))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds * S
        self.waiting.queue.flush_backoff(self.now)
        self.waiting.queue.flush_unschedulable(self.now)

    @invariant()
    def nobody_is_lost(self) -> None:
        queued = {each.info.uid for each in self.waiting.queue.pods()}
        assert queued | self.taken.keys() == self.known.keys()
        assert not queued & self.taken.keys()
        assert all(each.where for each in self.waiting.queue.pods())


TestLife = Life.TestCase
