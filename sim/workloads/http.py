"""HTTP/1.1 in bytes, for clients that bring a plain connection.

A request is answered when its last byte has come and the listener's work is done. Not modelled: trailers, upgrades,
pipelining beyond answering in order.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from seatrial.sim.kernel.clock import Clock, Signal
from seatrial.sim.workloads.net import HttpRequest, HttpResponse, Listener

HEAD_BYTES_MAX = 64 * 1024
REASONS = {status.value: status.phrase for status in HTTPStatus}
WITHOUT_BODY = (204, 304)


def normal(path: str) -> str | None:
    """A path as servers look for it: decoded, without ``.``, ``..`` and empty parts; None for one that leads out."""
    if "%" in path:
        path = unquote(path, errors="surrogateescape")
    if "//" not in path and "/." not in path:
        return path
    made: list[str] = []
    parts = path.split("/")[1:]
    for part in parts:
        if part == "..":
            if not made:
                return None
            made.pop()
        elif part not in ("", "."):
            made.append(part)
    return "/" + "/".join(made) + ("/" if made and parts[-1] in ("", ".", "..") else "")


class Malformed(ValueError):
    """Bytes that are no request."""


class HttpConnection:
    """Bytes of HTTP/1.1 to a listener and back; ``clock`` is for listeners whose work takes time."""

    def __init__(
        self,
        listener: Listener,
        on_data: Callable[[bytes], None],
        on_close: Callable[[], None],
        client: str,
        clock: Clock | None = None,
    ) -> None:
        self._listener = listener
        self._on_data = on_data
        self._on_close = on_close
        self._client = client
        self._clock = clock
        self._buffer = b""
        self._continued = False
        self._open = True
        self._busy = False
        """A request is being worked on."""
        self._last = False
        """The client sends nothing more."""

    def write(self, data: bytes) -> None:
        """Bytes from the client. Raises OSError when the listener hangs up on them."""
        self._buffer += data
        self._pump()

    def _pump(self) -> None:
        while self._open and not self._busy:
            try:
                found = self._next()
            except ValueError:
                self._finish(HttpResponse(400, {"Content-Type": "text/plain"}, b"400 Bad Request"))
                return
            if found is None:
                if self._last:
                    self._end()
                return
            request, ends = found
            response = self._listener.http(request)
            if response.later is not None and self._clock is not None:
                self._busy = True
                self._clock.spawn(self._wait(response.later, ends, request.method == "HEAD"), "answer")
                return
            send, work = partial(self._send, response, ends, request.method == "HEAD"), response.work
            if work is None or self._clock is None:
                send()
                continue
            self._busy = True
            if work.waits:
                self._clock.after(work.waits[0][1], partial(self._done, send))

    def _wait(self, later: Signal, ends: bool, head_only: bool) -> Generator[Any, Any, None]:
        response = yield later.wait()
        self._done(partial(self._send, response, ends, head_only))

    def _done(self, send: Callable[[], None]) -> None:
        """The work for a request is done."""
        self._busy = False
        if not self._open:
            return
        send()
        try:
            self._pump()
        except OSError:
            self._end()

    def _send(self, response: HttpResponse, ends: bool, head_only: bool) -> None:
        self._on_data(wire_bytes(response, ends, head_only))
        if ends:
            self._end()

    def _next(self) -> tuple[HttpRequest, bool] | None:
        """The next whole request, and whether it is the last; None while it is not all there. Raises ValueError."""
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            begun, line_end, _ = head.decode("latin-1").partition("\n")
            if line_end and not _is_request_line(begun.rstrip("\r")):
                raise Malformed(begun)
            if len(head) > HEAD_BYTES_MAX:
                raise Malformed("the head is too long")
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        if not _is_request_line(first):
            raise Malformed(first)
        words = first.split(" ")
        headers = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon:
                raise Malformed(line)
            headers[name.strip().lower()] = value.strip()
        found = _body(headers, rest)
        if found is None:
            if not self._continued and headers.get("expect", "").lower() == "100-continue":
                self._continued = True
                self._on_data(b"HTTP/1.1 100 Continue\r\n\r\n")
            return None
        body, self._buffer = found
        self._continued = False
        keeps = headers.get("connection", "").lower()
        ends = keeps == "close" or (words[2] == "HTTP/1.0" and keeps != "keep-alive")
        return HttpRequest(words[0], words[1], headers, body, self._client), ends

    def _finish(self, response: HttpResponse) -> None:
        self._on_data(wire_bytes(response, True))
        self._end()

    def _end(self) -> None:
        self.close()
        self._on_close()

    def close_write(self) -> None:
        """The client sends nothing more; what it sent is still answered."""
        self._last = True
        if self._open and not self._busy:
            self._end()

    def close(self) -> None:
        self._open = False


def _is_request_line(line: str) -> bool:
    words = line.split(" ")
    return len(words) == 3 and words[2].startswith("HTTP/1.")


def _body(headers: dict[str, str], rest: bytes) -> tuple[bytes, bytes] | None:
    """(body, what follows it); None while it is not all there. Raises ValueError."""
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return _dechunked(rest)
    size = int(headers.get("content-length") or 0)
    if size < 0:
        raise Malformed("a negative length")
    return None if len(rest) < size else (rest[:size], rest[size:])


def _dechunked(rest: bytes) -> tuple[bytes, bytes] | None:
    body = b""
    while True:
        line, end, after = rest.partition(b"\r\n")
        if not end:
            return None
        size = int(line.partition(b";")[0], 16)
        if size == 0:
            if len(after) < 2:
                return None
            if after[:2] != b"\r\n":
                raise Malformed("trailers")
            return body, after[2:]
        if len(after) < size + 2:
            return None
        body, rest = body + after[:size], after[size + 2 :]


def wire_bytes(response: HttpResponse, ends: bool = False, head_only: bool = False) -> bytes:
    """An HTTP/1.1 response as it goes over the wire."""
    headers = dict(response.headers)
    if response.code not in WITHOUT_BODY:
        headers["Content-Length"] = str(len(response.body))
    if ends:
        headers["Connection"] = "close"
    head = f"HTTP/1.1 {response.code} {REASONS.get(response.code, '')}\r\n"
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return (head + lines + "\r\n").encode("latin-1", "replace") + (b"" if head_only else response.body)
