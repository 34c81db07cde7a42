"""Named random streams: one seed, and a stream per purpose, so that one more node reshuffles nobody else.

Source of the alphabet: k8s.io/apimachinery/pkg/util/rand.
"""

from __future__ import annotations

from random import Random
from typing import Final

ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
"""No vowels and no digits that look like one: generated names spell no words."""
LETTERS: Final = float(len(ALPHABET))


class Seldom:
    """A stream for who draws a few times a day: kept as the number of its draws, because there are many such and a
    ``Random`` takes kilobytes. The draws are those of the stream of that name."""

    __slots__ = ("_drawn", "_made", "_seed")

    FEW: Final = 16
    """Who has drawn so often is no such, and gets a generator that stays."""

    def __init__(self, seed: str) -> None:
        self._seed, self._drawn = seed, 0
        self._made: Random | None = None

    def random(self) -> float:
        """The next draw."""
        if self._made is not None:
            return self._made.random()
        made = Random(self._seed)
        for _ in range(self._drawn):
            made.random()
        self._drawn += 1
        if self._drawn > self.FEW:
            self._made = made
        return made.random()


class Streams:
    """``streams("kubelet/w1")``: the stream of that name, always the same object.

    The seed of a stream is text, which Python hashes with SHA-512: the same under every PYTHONHASHSEED.
    """

    def __init__(self, seed: int | str) -> None:
        self.seed = seed
        self._streams: dict[str, Random] = {}
        self._seldom: dict[str, Seldom] = {}

    def __call__(self, name: str) -> Random:
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = Random(f"{self.seed}/{name}")
        return stream

    def seldom(self, name: str) -> Seldom:
        """The stream of that name, for who draws from it a few times a day."""
        stream = self._seldom.get(name)
        if stream is None:
            stream = self._seldom[name] = Seldom(f"{self.seed}/{name}")
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
