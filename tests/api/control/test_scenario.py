"""Which cluster a scenario can be on."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.api.control.scenario import misfit
from seatrial.sim.config import ClusterSpec


@pytest.mark.parametrize(
    ("wanted", "there", "said"),
    [
        ({"nodes": 2}, {"nodes": 3}, ""),
        ({"nodes": 2, "metrics_server": False}, {"nodes": 2}, ""),
        ({"nodes": 3}, {"nodes": 2}, "it needs 3 workers, and there are 2"),
        ({"nodes": 2}, {"nodes": 2, "metrics_server": False}, "it needs the metrics server"),
        ({"nodes": 2}, {"nodes": 2, "node_names": "node{n}"}, "the workers have other names"),
        ({"nodes": 2}, {"nodes": 2, "controllers": "none"}, "it needs the controllers"),
        ({"api_profile": "book"}, {}, "it needs the API profile book"),
        ({}, {"api_profile": "book"}, ""),
    ],
)
def test_a_cluster_fits_when_it_has_what_the_scenario_names(
    wanted: dict[str, Any], there: dict[str, Any], said: str
) -> None:
    assert misfit(ClusterSpec(**wanted), ClusterSpec(**there)) == said
