"""Python's collector of cycles, as a cluster wants it."""

from __future__ import annotations

import gc
from typing import Final

THRESHOLDS: Final = (50_000, 20, 100)
"""Objects made, and younger collections, before each generation is looked through."""


def spare_the_collector() -> None:
    """Tells Python's collector of cycles that what is there now stays, and to look less often.

    Nearly all that a cluster allocates afterwards are its objects, which make no cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
