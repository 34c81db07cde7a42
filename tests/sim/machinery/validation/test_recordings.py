"""Refusals against those of a real API server: the same status, the same causes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from conformance.creations import DATA
from conformance.exchanges import Answer, bare_cluster, read, replay
from conformance.masks import masked

from seatrial.sim.cluster import Cluster

FILES = [*sorted(DATA.glob("fields/*.jsonl.gz")), *sorted(DATA.glob("requests/kind-*.jsonl.gz"))]
ELSEWHERE: Mapping[str, frozenset[str]] = {
    "fields-vwc": frozenset({'webhooks.0.matchConditions.0.expression = "Bad Value!"'}),
    "kind-vap": frozenset({"create: bad cel"}),
    "kind-pv": frozenset({"create: no capacity"}),
    "kind-service": frozenset({"no name"}),
}
"""Requests whose answer strategies, decoding or CEL decide, by file."""


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    return bare_cluster()


@pytest.fixture(scope="module")
def shares() -> Iterator[list[tuple[int, int]]]:
    """(equal, all) of every file."""
    counted: list[tuple[int, int]] = []
    yield counted
    equal, together = (sum(column) for column in zip(*counted, strict=True))
    print(f"\nrefusals equal to a real server's: {equal} of {together}")


def causes(status: int, body: Any) -> list[Any]:
    """What was wrong, in no particular order."""
    listed = (body.get("details") or {}).get("causes") or () if status == 422 else ()
    return sorted(
        masked([[cause.get("reason"), cause.get("field"), cause.get("message")] for cause in listed]), key=str
    )


def refusal(want: Mapping[str, Any], got: Answer) -> tuple[Any, Any]:
    return (
        (want["status"], causes(want["status"], want["response"])),
        (got.status, causes(got.status, got.body)),
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name.removesuffix(".jsonl.gz"))
def test_what_is_refused_is_refused_for_the_same_reasons(
    cluster: Cluster, shares: list[tuple[int, int]], path: Path
) -> None:
    group = path.name.removesuffix(".jsonl.gz")
    unlike: dict[str, tuple[Any, Any]] = {}
    refused = 0
    for want, got in replay(cluster, read(path)):
        if want.get("unstable") or 422 not in (want["status"], got.status):
            continue
        refused += 1
        wanted, found = refusal(want, got)
        if wanted != found:
            unlike[want["name"]] = (wanted, found)
    shares.append((refused - len(unlike), refused))
    assert not {name: both for name, both in unlike.items() if name not in ELSEWHERE.get(group, ())}
