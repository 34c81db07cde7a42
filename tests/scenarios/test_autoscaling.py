"""The autoscaler and a load in closed loop: requests cost CPU, CPU makes replicas, replicas share the requests."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from seatrial.scenarios.autoscaling import BUSY_S, QUIET_S, Sample, play, sizes, svg

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "autoscaling.svg"


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return play()


def test_it_goes_from_one_to_four_to_six(samples: list[Sample]) -> None:
    """At once to four, which is twice the size and at least four more than none; then to what 290m at 50m ask for."""
    busy = [each for each in sizes(samples) if each[0] <= QUIET_S + BUSY_S]
    assert [replicas for _, replicas in busy] == [1, 4, 6]
    (_, _), (first, _), (second, _) = busy
    assert QUIET_S < first <= QUIET_S + 45
    assert 10 <= second - first <= 35


def test_the_load_is_what_the_pods_use(samples: list[Sample]) -> None:
    settled = [each.cpu_m for each in samples if QUIET_S + 120 < each.at_s <= QUIET_S + BUSY_S]
    assert sum(settled) / len(settled) == pytest.approx(296, abs=8)


def test_it_waits_for_the_window_before_it_scales_in(samples: list[Sample]) -> None:
    """The last time that six were wanted is some fifteen to thirty seconds after the load went down."""
    down = QUIET_S + BUSY_S
    later = [each for each in sizes(samples) if each[0] > down]
    assert down + 300 <= later[0][0] <= down + 345
    assert later[-1][1] == 2


def test_the_picture_shows_three_curves(samples: list[Sample]) -> None:
    for text in (svg(samples), PICTURE.read_text()):
        drawn = ElementTree.fromstring(text)
        assert [each.tag.rpartition("}")[2] for each in drawn].count("polyline") == 3
