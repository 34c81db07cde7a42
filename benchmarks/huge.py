"""150,000 pods on 5,000 nodes to Running: the largest cluster that Kubernetes supports. Takes long: only when asked."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.harness import Figure
from benchmarks.scale import filled


def measure() -> Iterator[Figure]:
    return filled(5000, 150_000, 180, 2560)
