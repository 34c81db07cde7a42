"""exec and attach over SPDY, as clients older than WebSocket ask for it: a stream for each channel.

The client opens the error stream and those that its request names, each with its ``streamType``; with the last of them
the process starts. Source: k8s.io/kubelet/pkg/cri/streaming/remotecommand/httpstream.go. Not modelled: protocols before
v4.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import cast

from seatrial.api.kubernetes.channels import OUTCOME, RESIZE, STDERR, STDIN, STDOUT, Attached, begin
from seatrial.api.server.driver import Driver
from seatrial.api.server.message import Upgraded
from seatrial.api.server.spdy import Malformed, Session
from seatrial.sim.apiserver.connecting import Connect

CHANNELS: Mapping[str, int] = {
    "stdin": STDIN, "stdout": STDOUT, "stderr": STDERR, "error": OUTCOME, "resize": RESIZE
}  # fmt: skip


class SpdyChannels(Upgraded):
    """One session; it is both the connection's protocol and the user of its streams (``spdy.Streams``)."""

    def __init__(self, connect: Connect, driver: Driver) -> None:
        self._attached = Attached(partial(begin, connect), driver, self._write, self._end)
        self._expected = 1 + connect.stdin + connect.stdout + (connect.stderr and not connect.tty) + connect.tty
        self._channel: dict[int, int] = {}
        self._stream: dict[int, int] = {}
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._session = Session(self, lambda data: self._transport.write(data))

    # the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._session.feed(data)
        except Malformed:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._attached.hang_up()

    def break_off(self) -> None:
        self._attached.hang_up()
        self._transport.close()

    # the streams

    def opened(self, stream: int, headers: Mapping[str, str]) -> None:
        channel = CHANNELS.get(headers.get("streamtype", ""))
        if channel is None or channel in self._stream:
            self._transport.close()
            return
        self._channel[stream], self._stream[channel] = channel, stream
        if len(self._stream) == self._expected:
            self._attached.start()

    def data(self, stream: int, content: bytes) -> None:
        channel = self._channel.get(stream, OUTCOME)
        for part in content.splitlines() if channel == RESIZE else (content,):
            self._attached.receive(channel, part)

    def ended(self, stream: int) -> None:
        if self._channel.get(stream) == STDIN:
            self._attached.end_input()

    def reset(self, stream: int) -> None:
        self.ended(stream)

    def _write(self, channel: int, content: bytes) -> None:
        if channel in self._stream and not self._transport.is_closing():
            self._session.write(self._stream[channel], content)

    def _end(self) -> None:
        if not self._transport.is_closing():
            for channel in (STDOUT, STDERR, OUTCOME):
                if channel in self._stream:
                    self._session.write(self._stream[channel], b"", last=True)
            self._transport.close()
