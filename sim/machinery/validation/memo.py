"""Remembers what was said of a value by the value's identity.

Committed objects are never mutated, and pods of one template share its parts; what was found in a part once holds for
every object that shares it. A memo keeps the value itself, so that its identity is not used again, and forgets
everything when it is full: what is still in use comes back at once.
"""

from __future__ import annotations

from typing import Any

from seatrial.sim.machinery.validation.problems import Check, Errors

ENTRIES_MAX = 4096
"""Values that one memo keeps alive."""


def remembered(check: Check, entries_max: int = ENTRIES_MAX) -> Check:
    """The same check, which looks at each value once. ``entries_max`` 0: remembers nothing."""
    if not entries_max:
        return check
    kept: dict[int, tuple[Any, Errors]] = {}

    def look(value: Any) -> Errors:
        key = id(value)
        entry = kept.get(key)
        if entry is not None:
            return entry[1]
        found = check(value)
        if len(kept) >= entries_max:
            kept.clear()
        kept[key] = (value, found)
        return found

    return look
