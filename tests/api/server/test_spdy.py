"""SPDY/3.1 frames, spoken with by a client that the test plays."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.api.server import spdy
from seatrial.api.server.spdy import DICTIONARY, Malformed, Session


class Client:
    """The other end: makes frames, and takes apart what comes back."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=DICTIONARY)
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)

    def block(self, headers: Mapping[str, str]) -> bytes:
        raw = len(headers).to_bytes(4, "big")
        for pair in headers.items():
            raw += b"".join(len(text).to_bytes(4, "big") + text.encode() for text in pair)
        return self._deflate.compress(raw) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def control(self, kind: int, body: bytes, flags: int = 0) -> bytes:
        return b"\x80\x03" + kind.to_bytes(2, "big") + bytes([flags]) + len(body).to_bytes(3, "big") + body

    def open(self, stream: int, headers: Mapping[str, str], last: bool = False) -> bytes:
        body = stream.to_bytes(4, "big") + bytes(6) + self.block(headers)
        return self.control(spdy.SYN_STREAM, body, spdy.FIN if last else 0)

    def data(self, stream: int, content: bytes, last: bool = False) -> bytes:
        flags = spdy.FIN if last else 0
        return stream.to_bytes(4, "big") + bytes([flags]) + len(content).to_bytes(3, "big") + content

    def frames(self, raw: bytes) -> list[tuple[str, int, bytes, bool]]:
        """(data or the control frame's number, stream, content, whether it is the last)."""
        found = []
        while raw:
            size = int.from_bytes(raw[5:8], "big")
            head, body, raw = raw[:8], raw[8 : 8 + size], raw[8 + size :]
            last = bool(head[4] & spdy.FIN)
            if head[0] & 0x80:
                found.append((str(int.from_bytes(head[2:4], "big")), int.from_bytes(body[:4], "big"), body[4:], last))
            else:
                found.append(("data", int.from_bytes(head[:4], "big"), body, last))
        return found


class Heard:
    """Writes down what the client did."""

    def __init__(self) -> None:
        self.events: list[tuple[object, ...]] = []

    def opened(self, stream: int, headers: Mapping[str, str]) -> None:
        self.events.append(("opened", stream, dict(headers)))

    def data(self, stream: int, content: bytes) -> None:
        self.events.append(("data", stream, content))

    def ended(self, stream: int) -> None:
        self.events.append(("ended", stream))

    def reset(self, stream: int) -> None:
        self.events.append(("reset", stream))


def test_the_dictionary_is_that_of_the_protocol() -> None:
    assert (len(DICTIONARY), zlib.adler32(DICTIONARY)) == (1423, 0xE3C6A7C2)


@given(st.integers(1, 40))
def test_frames_are_understood_however_they_are_cut(step: int) -> None:
    client, heard, sent = Client(), Heard(), bytearray()
    session = Session(heard, sent.extend)
    raw = (
        client.open(1, {"streamType": "error", "port": "80"}, last=True)
        + client.control(spdy.SETTINGS, bytes(4))
        + client.open(3, {"streamType": "data", "port": "80"})
        + client.data(3, b"hello")
        + client.control(spdy.PING, b"\x00\x00\x00\x07")
        + client.data(3, b"", last=True)
        + client.control(spdy.RST_STREAM, (3).to_bytes(4, "big") + bytes(4))
    )
    for start in range(0, len(raw), step):
        session.feed(raw[start : start + step])
    assert heard.events == [
        ("opened", 1, {"streamtype": "error", "port": "80"}),
        ("ended", 1),
        ("opened", 3, {"streamtype": "data", "port": "80"}),
        ("data", 3, b"hello"),
        ("ended", 3),
        ("reset", 3),
    ]
    answered = [(kind, stream) for kind, stream, _, _ in client.frames(bytes(sent))]
    assert answered == [(str(spdy.SYN_REPLY), 1), (str(spdy.SYN_REPLY), 3), (str(spdy.PING), 7)]


@pytest.mark.parametrize(("size", "parts"), [(0, 1), (1, 1), (32 * 1024, 1), (32 * 1024 + 1, 2), (100_000, 4)])
def test_what_is_sent_comes_in_frames_and_only_the_last_ends_it(size: int, parts: int) -> None:
    client, sent = Client(), bytearray()
    Session(Heard(), sent.extend).write(5, b"x" * size, last=True)
    frames = client.frames(bytes(sent))
    assert len(frames) == parts
    assert b"".join(content for _, _, content, _ in frames) == b"x" * size
    assert [last for *_, last in frames] == [False] * (parts - 1) + [True]


@pytest.mark.parametrize(
    "raw",
    [
        b"\x80\x02\x00\x01\x00\x00\x00\x00",
        b"\x00\x00\x00\x01\x00\xff\xff\xff" + bytes(10),
        b"\x80\x03\x00\x01\x00\x00\x00\x0e" + bytes(10) + b"nozl",
    ],
    ids=["version", "size", "headers"],
)
def test_what_is_no_spdy_is_refused(raw: bytes) -> None:
    with pytest.raises(Malformed):
        Session(Heard(), bytearray().extend).feed(raw)
