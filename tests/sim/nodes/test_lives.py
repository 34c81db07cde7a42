"""The lives of pods are those that a real kubelet gave them."""

from __future__ import annotations

from functools import lru_cache

import pytest

from tests.sim.nodes.lives import Change, Player, durations, events, lives, moments, names, recording

DRAWN = {
    "crash-completed": "how many restarts fit into the scenario depends on the jitter of each retry",
    "crash-loop": "as above",
    "image-errors": "as above",
    "out-of-memory": "as above",
    "kubelet-stop": "two nodes instead of one: the taint manager acts",
    "rolling-with-readiness": "which of several pods goes first",
}
"""Scenarios in which two real clusters differ too, and why."""


@lru_cache(maxsize=32)
def played(name: str) -> tuple[Change, ...]:
    return Player(name).play(recording(name)[1])


@pytest.mark.parametrize("name", [name for name in names() if name not in DRAWN])
def test_a_pod_passes_through_the_same_states(name: str) -> None:
    wanted, got = lives(recording(name)[0]), lives(played(name))
    assert {pod: [now for _, now in life] for pod, life in got.items()} == {
        pod: [now for _, now in life] for pod, life in wanted.items()
    }


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_a_pod_enters_no_state_that_the_real_one_did_not(name: str) -> None:
    wanted, got = lives(recording(name)[0]), lives(played(name))
    known = {transition for life in wanted.values() for transition, _ in durations(life)}
    mine = [transition for life in got.values() for transition, _ in durations(life)]
    new = [transition for transition in mine if transition not in known]
    assert len(new) <= 2, new


@pytest.mark.parametrize("name", [name for name in names() if name != "resize"])
def test_the_kubelet_says_the_same(name: str) -> None:
    wanted, got = events(recording(name)[0]), events(played(name))
    drawn = {event for event in wanted if "resulted in unknown state" in event.message}
    assert got - drawn == wanted - drawn


def close(transition: str, wanted: float, got: float) -> bool:
    """Within 0.6 s or a tenth, as two real clusters agree; a retry's delay is drawn up to half longer."""
    if "BackOff" in transition or "ErrImagePull" in transition:
        return wanted / 1.55 - 0.6 <= got <= wanted * 1.55 + 0.6
    return abs(got - wanted) <= max(0.6, wanted / 10)


def test_what_happens_takes_as_long() -> None:
    total, far = 0, []
    for name in names():
        wanted, got = lives(recording(name)[0]), lives(played(name))
        for pod in sorted(wanted.keys() & got.keys()):
            mine = dict(durations(got[pod]))
            for transition, seconds in durations(wanted[pod]):
                if transition in mine:
                    total += 1
                    if not close(transition, seconds, mine[transition]):
                        far.append((name, pod, transition, round(seconds, 2), round(mine[transition], 2)))
    assert total > 150
    # Two real clusters disagree about as many.
    assert len(far) / total <= 0.1, far


SOURCES = ("recorded", "played")


def changes_of(name: str, source: str) -> tuple[Change, ...]:
    return recording(name)[0] if source == "recorded" else played(name)


def in_rhythm(seconds: float, period: float = 2) -> bool:
    """Whether a time is a multiple of a probe's period, as far as a busy machine keeps it."""
    return abs((seconds + period / 2) % period - period / 2) < 0.2


@pytest.mark.parametrize("source", SOURCES)
def test_a_container_not_ready_when_it_starts_is_asked_again_with_the_next_relist(source: str) -> None:
    """Every one of them; and that begins the rhythm of its probes anew, of most of them for good."""
    changes = changes_of("rolling-with-readiness", source)
    asked, started = moments(changes, "Unhealthy"), moments(changes, "Started")
    at_once = [times for pod, times in asked.items() if times[0] - started[pod][0] < 0.3]
    assert len(at_once) >= 4
    assert all(second - first < 1.1 for first, second, *_ in at_once)
    assert sum(in_rhythm(later[0] - second) for _, second, *later in at_once if later) >= 3


@pytest.mark.parametrize("source", SOURCES)
def test_a_container_that_is_ready_when_it_starts_is_called_so_at_once(source: str) -> None:
    changes = changes_of("readiness-toggle", source)
    ((started,),) = moments(changes, "Started").values()
    assert next(at for at, now in lives(changes)["a"] if "ready" in now) - started < 0.3


@pytest.mark.parametrize("source", SOURCES)
def test_a_probe_out_of_turn_begins_the_rhythm_anew(source: str) -> None:
    """The container was asked when it started, and when it was found not to be ready any more."""
    changes = changes_of("readiness-toggle", source)
    ((started,),) = moments(changes, "Started").values()
    ((before, lost, again, *later),) = moments(changes, "Unhealthy").values()
    assert in_rhythm(before - started) and in_rhythm(lost - before)
    assert again - lost < 1.1
    assert later and all(in_rhythm(each - again) for each in later)
