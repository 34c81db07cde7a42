"""The word that somebody meant: what is said when a name is not known."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, known: Iterable[str]) -> str:
    """``did you mean "ramp"? there are constant, ramp, step``."""
    names = list(known)
    close = get_close_matches(word.lower(), names, 1, 0.6)
    listed = f"there are {', '.join(names)}" if names else "there are none"
    return f"did you mean {close[0]!r}? {listed}" if close else listed
