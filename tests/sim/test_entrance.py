"""What enters from outside enters at one place in the order of things, and a replay puts it there again."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec, S
from seatrial.sim.kernel.journal import Entry, Journal

BARE = ClusterSpec(nodes=0, controllers="none")


def noted(cluster: Cluster) -> list[tuple[int, str]]:
    """Writes down what happens when: a pulse each second, and whatever is said at the entrance."""
    seen: list[tuple[int, str]] = []

    def pulse() -> Any:
        while True:
            yield cluster.clock.sleep(S)
            seen.append((cluster.now - BARE.epoch_us, "pulse"))
            cluster.clock.at(cluster.now, lambda: seen.append((cluster.now - BARE.epoch_us, "echo")))

    cluster.clock.spawn(pulse(), "pulse")
    cluster.on_replay("said", lambda word: seen.append((cluster.now - BARE.epoch_us, word)))
    return seen


def test_what_enters_comes_after_all_that_is_due() -> None:
    cluster = Cluster(BARE)
    seen = noted(cluster)
    cluster.advance("1s")
    cluster.enter("said", "first")
    seen.append((S, "first"))
    again = Cluster(BARE)
    replayed = noted(again)
    again.follow(Journal.load(cluster.journal.dump()))
    assert replayed == seen == [(S, "pulse"), (S, "echo"), (S, "first")]
    assert again.journal.dump() == cluster.journal.dump()


def test_an_entry_that_nobody_takes_is_named() -> None:
    journal = Journal(Cluster(BARE).journal.header, [Entry(BARE.epoch_us, "spell", None)])
    with pytest.raises(ValueError, match="kind 'spell'"):
        Cluster.replay(journal)
