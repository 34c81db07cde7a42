"""The pytest plugin: fixtures ``cluster``, ``clock``, ``faults``, ``history``, and the line that replays a failure.

    @pytest.mark.seatrial(nodes=1, seed=7)
    def test_it(cluster, clock, faults, history): ...

The mark takes the fields of a ClusterSpec, and ``seed``. With ``judged=False`` the invariants are left out, which are
otherwise judged when the test has passed. The simulation is imported when a test first asks for a cluster, so that the
plugin costs other tests nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from seatrial.scenarios.testing.controls import Clock, Faults
    from seatrial.sim.cluster import Cluster
    from seatrial.sim.history import History

FAILURES = Path(".seatrial") / "failures"
"""Where journals of failures are kept, below the directory in which pytest was started."""
MARK = "seatrial(seed=0, judged=True, **spec): the cluster that the fixture `cluster` makes"
KEPT: pytest.StashKey[Any] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("seatrial")
    group.addoption("--seatrial-seed", type=int, default=None, help="the seed of all simulated clusters")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARK)


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Generator[Cluster, None, None]:
    """A cluster that has come up: two workers without add-ons unless the mark says otherwise."""
    from seatrial.scenarios.testing.controls import booted, judge

    mark = request.node.get_closest_marker("seatrial")
    wanted = dict(mark.kwargs) if mark is not None else {}
    judged, seed = wanted.pop("judged", True), wanted.pop("seed", 0)
    chosen = request.config.getoption("--seatrial-seed")
    made = booted(wanted, seed if chosen is None else chosen)
    request.node.stash[KEPT] = made
    yield made
    if judged:
        judge(made)


@pytest.fixture
def clock(cluster: Cluster) -> Clock:
    """The cluster's time: ``now``, ``advance``, ``settle``, ``until``."""
    from seatrial.scenarios.testing.controls import Clock

    return Clock(cluster)


@pytest.fixture
def faults(cluster: Cluster) -> Faults:
    """What can break: ``crash``, ``stale``, ``errors``, ``add``, ``heal``."""
    from seatrial.scenarios.testing.controls import Faults

    return Faults(cluster)


@pytest.fixture
def history(cluster: Cluster) -> History:
    """What happened, for the temporal checks."""
    from seatrial.sim.history import History

    return History(cluster.store)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    made = item.stash.get(KEPT, None)
    if made is not None and report.failed:
        report.sections.append(("seatrial", replay_lines(made, item.nodeid)))
    return report


def replay_lines(cluster: Cluster, nodeid: str) -> str:
    """How to have the same failure again, and the same history without the test."""
    digest = hashlib.sha256(nodeid.encode()).hexdigest()[:12]
    line = f"replay: pytest '{nodeid}' --seatrial-seed={cluster.seed}"
    try:
        FAILURES.mkdir(parents=True, exist_ok=True)
        path = FAILURES / f"{digest}.journal"
        path.write_bytes(cluster.journal.dump())
    except OSError:
        return line
    return f"{line}\nhistory: python -m seatrial.scenarios.testing {path}"
