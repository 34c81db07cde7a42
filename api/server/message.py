"""One HTTP request as it came off a socket, and the answer that goes back: values without any Kubernetes in them."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

Headers = list[tuple[str, str]]


@dataclass(slots=True)
class Incoming:
    """A whole request: it is handed on when its last byte has come."""

    method: str
    target: str
    """Path and query, percent-encoded as it came."""
    headers: dict[str, str]
    """Names in lower case; the values of a repeated header are joined by NUL."""
    body: bytes
    peer: Peer
    too_large: bool = False
    """The body passed the limit and was not kept."""
    upgrade: str = ""
    """The protocol that the client wants to go on with, in lower case: websocket, spdy/3.1."""

    def header(self, name: str) -> str:
        """The value of a header, several values joined by a comma; empty when it was not sent."""
        return self.headers.get(name, "").replace("\x00", ", ")


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection."""

    address: str = ""
    common_name: str = ""
    """CN of the verified client certificate; empty without one."""
    organizations: tuple[str, ...] = ()


@dataclass(slots=True)
class Outgoing:
    """An answer: bytes, or pieces that are made while they are sent."""

    code: int
    headers: Headers = field(default_factory=list)
    body: bytes = b""
    pieces: Iterator[bytes] | None = None
    """Instead of ``body``: sent with chunked encoding, a piece at a time, as fast as the client reads."""
    stream: Stream | None = None
    """Instead of ``body``: sent with chunked encoding whenever the stream has something."""
    upgrade: UpgradeFactory | None = None
    """Instead of ``body``: after the head (101) the connection belongs to the protocol that this makes."""
    hang_up: bool = False
    """Instead of any answer: the connection ends, as that of a process that is gone."""


class Stream(Protocol):
    """An answer without a foreseeable end, such as a watch."""

    def read(self) -> bytes:
        """What is there to be sent now; empty when nothing is."""

    @property
    def closed(self) -> bool:
        """Nothing will come any more, except what ``read`` still gives."""

    @property
    def broken(self) -> bool:
        """It has ended without an end, as what a process said that is gone: the connection ends with it."""

    def on_ready(self, call: Callable[[], None]) -> None:
        """Calls once when there is something to read or the stream has ended; never from within this call."""

    def close(self) -> None:
        """The client is gone."""


class Upgraded(asyncio.Protocol, ABC):
    """What takes a connection over from HTTP."""

    @abstractmethod
    def break_off(self) -> None:
        """Ends the connection in the middle of what was being said, as that of a process that is gone."""


class UpgradeFactory(Protocol):
    """Makes the protocol that takes a connection over, and tells how the client asked for it."""

    def __call__(self, incoming: Incoming, /) -> Upgraded: ...


Answer = Callable[[Outgoing], None]
App = Callable[[Incoming, Answer], None]
"""Handles a request and calls back with the answer, at once or later."""

REASONS: Mapping[int, str] = {
    101: "Switching Protocols", 200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 301: "Moved Permanently",
    302: "Found", 304: "Not Modified", 307: "Temporary Redirect", 400: "Bad Request", 401: "Unauthorized",
    403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable", 409: "Conflict", 410: "Gone",
    413: "Request Entity Too Large", 415: "Unsupported Media Type", 422: "Unprocessable Entity",
    429: "Too Many Requests", 431: "Request Header Fields Too Large", 500: "Internal Server Error",
    501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
}  # fmt: skip
