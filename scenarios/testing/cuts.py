"""Every place in which a process can die, one after the other: the search that finds the errors of half-done work.

A scenario is run once undisturbed, which gives the writes of a component and the state at the end. Then it is run once
for each write, with a death right after it, before its author hears of it. What is then different at the end is what
the author did not think of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from seatrial.scenarios.testing.controls import Faults, judge
from seatrial.scenarios.testing.temporal import Broken
from seatrial.sim.cluster import Cluster
from seatrial.sim.history import History

Scenario = Callable[[Cluster], None]
"""What happens to a cluster; it gives the component time to come back and finish (a minute, say)."""
State = Callable[[Cluster], Any]
"""What of the end is to be the same, whatever happened."""


class Cut(NamedTuple):
    """A death and what came of it."""

    after_writes: int
    state: Any


def writes_of(cluster: Cluster, component: str) -> int:
    """How many changes a component has made."""
    changes = History(cluster.store).changes()
    return sum(change.cause is not None and change.cause[0] == component for change in changes)


def cuts(
    make: Callable[[], Cluster], scenario: Scenario, state: State, process: str, writer: str = ""
) -> Iterator[Cut]:
    """The end of the undisturbed run, as cut 0, and those of a run for each of its writes.

    ``process`` is what dies; ``writer`` the component whose writes count, if that is one of several in the process.
    """
    cluster = make()
    before = writes_of(cluster, writer or process)
    scenario(cluster)
    yield Cut(0, state(cluster))
    user = f"system:serviceaccount:kube-system:{writer}" if writer else ""
    for number in range(1, writes_of(cluster, writer or process) - before + 1):
        other = make()
        Faults(other).crash(process, after_writes=number, user=user)
        scenario(other)
        judge(other)
        yield Cut(number, state(other))


def survives_every_cut(
    make: Callable[[], Cluster], scenario: Scenario, state: State, process: str, writer: str = ""
) -> int:
    """Raises Broken at the first death that changes the end; returns how many there were to survive."""
    found = cuts(make, scenario, state, process, writer)
    wanted, count = next(found).state, 0
    for cut in found:
        count += 1
        if cut.state != wanted:
            raise Broken(f"{process} died after its write {cut.after_writes}: the end is {cut.state}, without {wanted}")
    return count


def shape(cluster: Cluster, *kinds: str) -> Mapping[str, list[Any]]:
    """Specs by kind, without the names that are drawn: a state for most operators."""
    return {
        kind: sorted((repr((obj.get("spec"), obj.get("data"))) for obj in cluster.list(kind)), key=str)
        for kind in kinds
    }
