"""Hashes in the names of ReplicaSets, DaemonSets' revisions and ControllerRevisions.

Source: k8s.io/kubernetes/pkg/controller/controller_utils.go (ComputeHash) and pkg/controller/history. A template's hash
is that of Go's dump of the struct, so names are upstream's to the letter.
"""

from __future__ import annotations

from typing import Any

from seatrial.sim.controllers.godump import dump
from seatrial.sim.kernel.streams import ALPHABET

FNV_OFFSET, FNV_PRIME = 0x811C9DC5, 0x01000193


def fnv32(data: bytes) -> int:
    """FNV-1."""
    value = FNV_OFFSET
    for byte in data:
        value = ((value * FNV_PRIME) & 0xFFFFFFFF) ^ byte
    return value


def fnv32a(data: bytes) -> int:
    """FNV-1a."""
    value = FNV_OFFSET
    for byte in data:
        value = ((value ^ byte) * FNV_PRIME) & 0xFFFFFFFF
    return value


def safe_encode(text: str) -> str:
    """Letters that spell no words, one for each character (rand.SafeEncodeString)."""
    return "".join(ALPHABET[ord(character) % len(ALPHABET)] for character in text)


def template_hash(template: Any, collisions: int | None = None) -> str:
    """Of a pod template; ``collisions`` is the owner's collisionCount."""
    data = dump(template).encode()
    if collisions is not None:
        data += collisions.to_bytes(8, "little")
    return safe_encode(str(fnv32a(data)))
