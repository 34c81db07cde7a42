"""Tallies of pods by selector: an anchored one, which most pods are not shown to, counts what a loose one counts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from seatrial.sim.machinery.selectors import labels
from seatrial.sim.scheduler.cache import Anchor, Cache
from seatrial.sim.scheduler.podinfo import Traits
from tests.sim.scheduler.building import World, node, pod

NODES = ("n1", "n2")
SELECTORS = ({"app": "a"}, {"app": "b"}, {"app": "a", "hash": "1"})
steps = st.lists(
    st.tuples(
        st.sampled_from(("place", "remove", "tally")),
        st.integers(0, 3),
        st.sampled_from(NODES),
        st.sampled_from(("default", "other")),
        st.dictionaries(st.sampled_from(("app", "hash")), st.sampled_from(("a", "b", "1"))),
    ),
    max_size=25,
)


def columns(cache: Cache, wanted: dict[str, str], anchored: bool) -> tuple[list[int], int]:
    """A tally's figures, by node and in all."""
    matches = labels({"matchLabels": wanted})

    def counts(traits: Traits, terminating: bool) -> int:
        return int(traits.namespace == "default" and matches(traits.labels))

    name, value = list(wanted.items())[-1]
    anchor: Anchor | None = ("default", name, value) if anchored else None
    tally = cache.tally((anchored, str(wanted)), counts, anchor)
    return tally.column.tolist(), tally.total


@given(steps)
def test_an_anchored_tally_counts_as_a_loose_one(history: list[tuple[str, int, str, str, dict[str, str]]]) -> None:
    world = World(*(node(name) for name in NODES))
    for what, number, where, namespace, worn in history:
        if what == "place":
            world.place(pod(f"p{number}", namespace, worn), where)
        elif what == "remove":
            world.cache.remove_pod(f"{namespace}/p{number}")
        else:
            columns(world.cache, SELECTORS[number % len(SELECTORS)], True)
    for wanted in SELECTORS:
        assert columns(world.cache, wanted, True) == columns(world.cache, wanted, False)
