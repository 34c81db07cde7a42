"""Named random streams: one seed, and a stream per purpose, so that one more node reshuffles nobody else.

Source of the alphabet: k8s.io/apimachinery/pkg/util/rand.
"""

from __future__ import annotations

from random import Random
from typing import Final

ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
"""No vowels and no digits that look like one: generated names spell no words."""
LETTERS: Final = float(len(ALPHABET))


class Streams:
    """``streams("kubelet/w1")``: the stream of that name, always the same object.

    The seed of a stream is text, which Python hashes with SHA-512: the same under every PYTHONHASHSEED.
    """

    def __init__(self, seed: int | str) -> None:
        self.seed = seed
        self._streams: dict[str, Random] = {}

    def __call__(self, name: str) -> Random:
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = Random(f"{self.seed}/{name}")
        return stream


def suffix(rng: Random, n: int) -> str:
    """``n`` characters for the end of a generated name: ``rng.choices(ALPHABET, k=n)``, which is called often."""
    draw = rng.random
    return "".join([ALPHABET[int(draw() * LETTERS)] for _ in range(n)])


def uid_from(rng: Random) -> str:
    """A random UUID (RFC 9562, version 4)."""
    bits = rng.getrandbits(128) & ~(0xF << 76) & ~(0x3 << 62) | 0x4 << 76 | 0x2 << 62
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
