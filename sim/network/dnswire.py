"""Questions and answers of name servers as they are on the wire, for clients that are real.

Source: RFC 1035, RFC 2782 (SRV), RFC 6891 (EDNS: the size of an answer and nothing else). Not modelled: compressed
names in answers, several questions in a message, the SOA record of a negative answer.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from seatrial.sim.network.names import Answer, Question, Record

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "TXT": 16, "AAAA": 28, "SRV": 33}
NAMES = {number: name for name, number in TYPES.items()}
CODES = {"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMP": 4, "REFUSED": 5}
IS_ANSWER, IS_OURS, IS_CUT, IS_RECURSIVE = 0x8000, 0x0400, 0x0200, 0x0080
KEPT = 0x7900
"""Of the question's flags: its opcode, and whether recursion is desired."""
OPT, INTERNET = 41, 1
SIZE, SIZE_MAX = 512, 1232
"""Bytes of a datagram: without EDNS, and the most that is sent with it."""
HEAD = struct.Struct("!6H")


def answered(ask: Callable[[Question], Answer], data: bytes, stream: bool = False) -> bytes | None:
    """The message that answers another one; ``stream``: it may be of any length. None: there is no answer."""
    try:
        number, flags, questions, _, _, more = HEAD.unpack_from(data)
        name, at = _read_name(data, HEAD.size)
        kind, _ = struct.unpack_from("!2H", data, at)
    except (struct.error, IndexError, UnicodeDecodeError):
        return None
    asked, size = data[HEAD.size : at + 4], _size(data, at + 4) if more else 0
    extra = b"" if not size else b"\0" + struct.pack("!2HIH", OPT, SIZE_MAX, 0, 0)
    back = IS_ANSWER | (flags & KEPT)

    def message(code: str, records: tuple[Record, ...], more_flags: int) -> bytes:
        head = HEAD.pack(number, back | more_flags | CODES[code], 1, len(records), 0, 1 if extra else 0)
        return head + asked + b"".join(_record(each) for each in records) + extra

    if flags & (IS_ANSWER | 0x7800) or questions != 1:
        return message("NOTIMP", (), 0)
    try:
        answer = ask(Question(name, NAMES.get(kind, f"TYPE{kind}")))
    except OSError:
        return None
    meaning = IS_OURS if answer.ours else IS_RECURSIVE
    records = tuple(each for each in answer.records if each.type in TYPES)
    whole = message(answer.code, records, meaning)
    if stream or len(whole) <= max(SIZE, min(size, SIZE_MAX)):
        return whole
    return message(answer.code, (), meaning | IS_CUT)


class OverTcp:
    """A connection that brings messages, each behind its length (RFC 1035, 4.2.2)."""

    def __init__(
        self, ask: Callable[[Question], Answer], on_data: Callable[[bytes], None], on_close: Callable[[], None]
    ) -> None:
        self._ask, self._on_data, self._on_close = ask, on_data, on_close
        self._came = b""

    def write(self, data: bytes) -> None:
        self._came += data
        while len(self._came) >= 2 and len(self._came) >= 2 + (length := int.from_bytes(self._came[:2], "big")):
            message, self._came = self._came[2 : 2 + length], self._came[2 + length :]
            said = answered(self._ask, message, stream=True)
            if said is not None:
                self._on_data(len(said).to_bytes(2, "big") + said)

    def close_write(self) -> None:
        self._on_close()

    def close(self) -> None:
        """Nothing is kept."""


class OverUdp:
    """A socket that brings a message in each datagram."""

    def __init__(self, ask: Callable[[Question], Answer], on_data: Callable[[bytes], None]) -> None:
        self._ask, self._on_data = ask, on_data

    def write(self, data: bytes) -> None:
        said = answered(self._ask, data)
        if said is not None:
            self._on_data(said)

    def close_write(self) -> None:
        """A datagram socket has no end of input."""

    def close(self) -> None:
        """Nothing is kept."""


def _read_name(data: bytes, at: int) -> tuple[str, int]:
    """A name in lower case and where it ends; questions are not compressed."""
    labels = []
    while length := data[at]:
        labels.append(data[at + 1 : at + 1 + length].decode("ascii").lower())
        at += 1 + length
    return ".".join(labels), at + 1


def _size(data: bytes, at: int) -> int:
    """How long an answer the client takes, by its OPT record; 0 without one."""
    try:
        kind, size = struct.unpack_from("!2H", data, at + 1)
    except struct.error:
        return 0
    return size if kind == OPT else 0


def _name(name: str) -> bytes:
    parts = [part.encode("ascii", "replace") for part in name.rstrip(".").split(".") if part]
    return b"".join(bytes((len(part),)) + part for part in parts) + b"\0"


def _record(record: Record) -> bytes:
    value = _value(record)
    return _name(record.name) + struct.pack("!2HIH", TYPES[record.type], INTERNET, record.ttl_s, len(value)) + value


def _value(record: Record) -> bytes:
    if record.type == "A":
        return bytes(int(part) for part in record.value.split("."))
    if record.type == "SRV":
        priority, weight, port, target = record.value.split()
        return struct.pack("!3H", int(priority), int(weight), int(port)) + _name(target)
    if record.type == "TXT":
        text = record.value.strip('"').encode()
        return bytes((len(text),)) + text
    if record.type in ("CNAME", "NS", "PTR"):
        return _name(record.value)
    return record.value.encode()
