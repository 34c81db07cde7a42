"""What a container wrote to its standard streams."""

from __future__ import annotations

from collections.abc import Callable

from seatrial.sim.kernel.listeners import Listeners
from seatrial.sim.workloads.resting import Rest

LOG_BYTES_MAX, LOG_FILES_MAX = 10 * 1024 * 1024, 5
"""containerLogMaxSize and containerLogMaxFiles of the kubelet."""


class Log:
    """What a container wrote to its standard streams, line by line.

    A log that has grown too large is put aside, as the kubelet rotates it, and nobody reads it any more.
    """

    def __init__(self, now: Callable[[], int], rest: Rest) -> None:
        self._lines: list[tuple[int, str, bytes]] = []
        self._dropped = 0
        self._size = self._aside = 0
        self._now, self._rest = now, rest
        self._partial: dict[str, bytes] = {}
        self._listeners = Listeners()

    @property
    def lines(self) -> list[tuple[int, str, bytes]]:
        """(µs, stream, text)."""
        self._rest.settle()
        return self._lines

    @property
    def dropped(self) -> int:
        """Lines that were put aside."""
        self._rest.settle()
        return self._dropped

    @property
    def size(self) -> int:
        """Bytes on the disk, with the files that were put aside."""
        self._rest.settle()
        return self._size + self._aside

    @property
    def followed(self) -> bool:
        """Whether somebody hears of each line."""
        return bool(self._listeners)

    def write(self, stream: str, data: bytes) -> None:
        self._rest.settle()
        self.write_at(self._now(), stream, data)

    def write_at(self, now: int, stream: str, data: bytes) -> None:
        """What was written at a time, of which this is the first to be told."""
        whole = self._partial.pop(stream, b"") + data
        *lines, rest = whole.split(b"\n")
        if self._size > LOG_BYTES_MAX:
            self._dropped += len(self._lines)
            self._aside = min(self._aside + self._size, (LOG_FILES_MAX - 1) * LOG_BYTES_MAX)
            self._lines.clear()
            self._size = 0
        self._size += len(data)
        self._lines += [(now, stream, line + b"\n") for line in lines]
        if rest:
            self._partial[stream] = rest
        if lines:
            self._tell()

    def finish(self) -> None:
        """The container ended: what has no newline is a line too."""
        self._rest.settle()
        now = self._now()
        for stream, data in self._partial.items():
            self._lines.append((now, stream, data))
        self._partial.clear()
        self._tell()

    def on_append(self, call: Callable[[], None]) -> Callable[[], None]:
        self._rest.stir()
        return self._listeners.add(call)

    def _tell(self) -> None:
        self._listeners.tell()
