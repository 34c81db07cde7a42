"""Eviction signals and their thresholds: what a kubelet counts as running short, and of what.

Source: k8s.io/kubernetes/pkg/kubelet/eviction (helpers.go, api/types.go). Not modelled: allocatableMemory.available,
which is never below memory.available where nothing is reserved for the system, and containerfs.*, which on machines
with one disk are nodefs.*.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from seatrial.sim.machinery.quantity import parse

MEMORY, DISK, INODES, PIDS = "memory", "ephemeral-storage", "inodes", "pids"
RESOURCES: Mapping[str, str] = {
    "memory.available": MEMORY,
    "nodefs.available": DISK,
    "nodefs.inodesFree": INODES,
    "imagefs.available": DISK,
    "imagefs.inodesFree": INODES,
    "pid.available": PIDS,
}
"""Signal → what is short (signalToResource)."""
CONDITIONS: Mapping[str, str] = {
    MEMORY: "MemoryPressure", DISK: "DiskPressure", INODES: "DiskPressure", PIDS: "PIDPressure"
}  # fmt: skip
DEFAULT_HARD: Mapping[str, str] = {
    "memory.available": "100Mi",
    "nodefs.available": "10%",
    "nodefs.inodesFree": "5%",
    "imagefs.available": "15%",
    "imagefs.inodesFree": "5%",
}
"""DefaultEvictionHard."""


class Amount(NamedTuple):
    """So many units, or a share of what there is."""

    units: int
    share: float | None = None

    def of(self, capacity: int) -> int:
        return self.units if self.share is None else int(capacity * self.share)


class Threshold(NamedTuple):
    """A signal below which something is done; hard when there is no grace."""

    signal: str
    amount: Amount
    grace_us: int = 0
    reclaim: Amount | None = None
    """evictionMinimumReclaim: how far above the threshold the signal has to come again."""

    @property
    def resource(self) -> str:
        return RESOURCES[self.signal]


class Observation(NamedTuple):
    available: int
    capacity: int


def amount_of(text: str) -> Amount:
    """``100Mi`` or ``5%``. Raises ValueError."""
    if text.endswith("%"):
        # Upstream keeps a share as a float32.
        (share,) = struct.unpack("f", struct.pack("f", float(text[:-1]) / 100))
        return Amount(0, share)
    return Amount(parse(text).value())


def thresholds_of(
    hard: Mapping[str, str], soft: Mapping[str, str], grace_us: Mapping[str, int], reclaim: Mapping[str, str]
) -> tuple[Threshold, ...]:
    """What a configuration asks for (ParseThresholdConfig), in the order of ``RESOURCES``. Raises ValueError with
    upstream's message."""
    for signal in (*hard, *soft, *grace_us, *reclaim):
        if signal not in RESOURCES:
            raise ValueError(f"unsupported eviction signal {signal}")
    least = {signal: amount_of(text) for signal, text in reclaim.items()}
    found = []
    for given, is_soft in ((hard, False), (soft, True)):
        for signal in RESOURCES:
            if signal not in given or given[signal] in ("0%", "100%"):
                continue
            amount = amount_of(given[signal])
            if amount.share is None and amount.units <= 0:
                raise ValueError(f"eviction threshold {signal} must be positive: {given[signal]}")
            if amount.share is not None and amount.share < 0:
                raise ValueError(f"eviction percentage threshold {signal} must be >= 0%: {given[signal]}")
            if amount.share is not None and amount.share > 1:
                raise ValueError(f"eviction percentage threshold {signal} must be <= 100%: {given[signal]}")
            if is_soft and signal not in grace_us:
                raise ValueError(f"grace period must be specified for the soft eviction threshold {signal}")
            found.append(Threshold(signal, amount, grace_us[signal] if is_soft else 0, least.get(signal)))
    return tuple(found)


def met(
    thresholds: Iterable[Threshold], seen: Mapping[str, Observation], reclaim: bool = False
) -> tuple[Threshold, ...]:
    """Those whose signal is too low; with ``reclaim`` also those that have not come far enough above."""
    found = []
    for threshold in thresholds:
        observed = seen[threshold.signal]
        wanted = threshold.amount.of(observed.capacity)
        if reclaim and threshold.reclaim is not None:
            wanted += threshold.reclaim.of(observed.capacity)
        if observed.available < wanted:
            found.append(threshold)
    return tuple(found)


def first_of(thresholds: Sequence[Threshold]) -> Threshold:
    """What is reclaimed first: memory before all else (byEvictionPriority)."""
    return min(thresholds, key=lambda threshold: threshold.resource != MEMORY)
