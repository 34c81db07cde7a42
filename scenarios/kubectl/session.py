"""What a command acts through: an API server, a clock, streams, files and a configuration.

There are two: ``inside.ClusterSession`` over a ``Cluster`` in this process, in which waiting lets simulated time pass,
and the one of ``seatrial.api.cli`` over HTTPS with a kubeconfig.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Protocol, TextIO

from seatrial.scenarios.kubectl.commands import Flags
from seatrial.sim.apiserver.request import Request, Response

Object = Mapping[str, Any]


class Files(Protocol):
    """Where ``-f`` and the like read. Paths are as they were typed. Everything raises OSError."""

    def read(self, path: str) -> bytes: ...

    def write(self, path: str, content: bytes) -> None: ...

    def children(self, path: str) -> list[str] | None:
        """The names in a directory, sorted; None for what is a file."""


@dataclass(slots=True)
class Streams:
    """What exec and attach are connected to. ``read`` gives the next piece of input, empty at its end; None: none."""

    stdout: Callable[[bytes], None]
    stderr: Callable[[bytes], None]
    read: Callable[[], bytes] | None = None
    tty: bool = False


class Session(Protocol):
    """A user at a terminal with a cluster before them."""

    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    files: Files
    config: MutableMapping[str, Any]
    """The kubeconfig as it is in the file: clusters, contexts, users, current-context."""
    environment: Mapping[str, str]
    cache: dict[str, Any]
    """What commands remember from one to the next."""

    def open(self, flags: Flags) -> None:
        """Chooses server and credentials by the flags of the line."""

    def save(self) -> None:
        """Keeps the configuration."""

    def request(self, request: Request) -> Response:
        """The answer; its body is an object or bytes. Raises Failure when nobody answers."""

    def watch(self, request: Request, until_us: int | None = None) -> Iterator[Object]:
        """The events of a watch, until it ends or that time has come. Raises ApiError when it is refused."""

    def lines(self, request: Request) -> Iterator[bytes]:
        """A followed log, piece by piece. Raises ApiError."""

    def connect(self, request: Request, streams: Streams) -> Object:
        """exec and attach: carries the streams; the Status that the process ended with. Raises ApiError."""

    def forward(self, request: Request, ports: list[tuple[str, int, int]], ready: Callable[[str], None]) -> None:
        """port-forward: listens at each (address, local port, remote port) until it is interrupted."""

    def now(self) -> int:
        """µs since the Unix epoch, on the clock of the objects that the server shows."""

    def sleep(self, seconds: float) -> None: ...

    def edit(self, text: str, suffix: str) -> str:
        """What the user makes of a text in their editor. Raises Failure."""

    def address(self) -> str:
        """The server's URL."""


class MemoryFiles:
    """Files by path, in memory; directories follow from the paths."""

    def __init__(self, content: Mapping[str, str | bytes] | None = None) -> None:
        self._held = {
            self._key(path): value.encode() if isinstance(value, str) else value
            for path, value in (content or {}).items()
        }

    def _key(self, path: str) -> str:
        return str(PurePosixPath(path)).removeprefix("./")

    def read(self, path: str) -> bytes:
        try:
            return self._held[self._key(path)]
        except KeyError:
            raise FileNotFoundError(2, "no such file or directory", path) from None

    def write(self, path: str, content: bytes) -> None:
        self._held[self._key(path)] = content

    def children(self, path: str) -> list[str] | None:
        key = self._key(path)
        if key in self._held:
            return None
        prefix = "" if key == "." else f"{key}/"
        names = sorted({each[len(prefix) :].split("/")[0] for each in self._held if each.startswith(prefix)})
        if not names:
            raise FileNotFoundError(2, "no such file or directory", path)
        return names
