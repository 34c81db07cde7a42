"""Who wants to be called after a change."""

from __future__ import annotations

from collections.abc import Callable


class Listeners:
    """Calls without arguments, made in the order in which they were added."""

    __slots__ = ("_added", "_calls")

    def __init__(self) -> None:
        self._calls: dict[int, Callable[[], None]] = {}
        self._added = 0

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, call: Callable[[], None]) -> Callable[[], None]:
        """Calls from now on; returns what ends that, which may be called more than once."""
        self._added += 1
        number = self._added
        self._calls[number] = call

        def end() -> None:
            self._calls.pop(number, None)

        return end

    def tell(self) -> None:
        """Calls all; whoever is added or ended meanwhile counts from the next time."""
        for call in list(self._calls.values()):
            call()
