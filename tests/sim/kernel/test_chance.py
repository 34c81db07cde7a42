"""Many requests that are decided upon as one come out as if each had been decided upon alone."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.sim.kernel.chance import Chance, binomial


@given(st.integers(0, 5000), st.floats(0, 1), st.integers())
def test_a_part_is_never_more_than_the_whole(count: int, share: float, seed: int) -> None:
    assert 0 <= binomial(Random(seed), count, share) <= count


@pytest.mark.parametrize("count", [1, 50, 5000])
def test_a_part_is_as_large_as_its_share(count: int) -> None:
    rng = Random(3)
    drawn = [binomial(rng, count, 0.3) for _ in range(20_000 // count)]
    assert sum(drawn) / count / len(drawn) == pytest.approx(0.3, abs=0.02)


def thirds(chance: Chance) -> int:
    """What kube-proxy's rules for three endpoints do."""
    own = Random(0)
    if chance.happens(own, 1 / 3):
        return 0
    return 1 if chance.happens(own, 1 / 2) else 2


@given(st.integers(1, 3000), st.integers())
def test_nobody_is_lost_where_the_ways_part(count: int, seed: int) -> None:
    chance = Chance()
    found = list(chance.ways(count, Random(seed), lambda: (thirds(chance), chance.count)))
    assert sum(part for part, _ in found) == count
    assert all(part == seen for part, (_, seen) in found)
    assert len({way for _, (way, _) in found}) == len(found)


def test_each_way_is_walked_once_and_gets_its_share() -> None:
    chance, walks = Chance(), []
    parts = dict.fromkeys(range(3), 0)
    for part, way in chance.ways(9000, Random(1), lambda: walks.append(0) or thirds(chance)):
        parts[way] += part
    assert len(walks) == 3
    assert all(2800 < part < 3200 for part in parts.values())


@given(st.integers(1, 1000), st.integers(1, 7), st.integers(0, 100))
def test_turns_are_taken_evenly(count: int, options: int, following: int) -> None:
    chance = Chance()
    parts = [0] * options
    for part, way in chance.ways(count, Random(1), lambda: chance.turn(options, following)):
        parts[way] += part
    assert max(parts) - min(parts) <= 1
    assert parts[following % options] == max(parts)


def test_one_request_alone_asks_its_own_stream() -> None:
    chance = Chance()
    assert [chance.happens(Random(5), 0.5) for _ in range(3)] == [Random(5).random() < 0.5] * 3
    assert chance.count == 1
    assert chance.turn(3, 4) == 1
