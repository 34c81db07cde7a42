"""Long lists whose entries are made when somebody looks at them.

An answer of ten thousand rows need not be made in one go: whoever sends it takes a few at a time, and others get their
turn in between. The objects behind the entries are committed ones, so it does not matter when an entry is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, overload

LONG_MIN: Final = 101
"""Shorter lists are made at once."""


class Shown(Sequence[Any]):
    """The sequence of ``show(obj)`` for each object."""

    __slots__ = ("_objects", "_show")

    def __init__(self, objects: Sequence[Any], show: Callable[[Any], Any]) -> None:
        self._objects = objects
        self._show = show

    def __len__(self) -> int:
        return len(self._objects)

    @overload
    def __getitem__(self, at: int) -> Any: ...
    @overload
    def __getitem__(self, at: slice) -> list[Any]: ...
    def __getitem__(self, at: int | slice) -> Any:
        show = self._show
        if isinstance(at, slice):
            return [show(obj) for obj in self._objects[at]]
        return show(self._objects[at])

    def __iter__(self) -> Iterator[Any]:
        return map(self._show, self._objects)


def shown(objects: Sequence[Any], show: Callable[[Any], Any]) -> Sequence[Any]:
    """What ``show`` makes of each object: at once when they are few, otherwise when looked at."""
    return Shown(objects, show) if len(objects) >= LONG_MIN else [show(obj) for obj in objects]
