"""The Redis serialization protocol, version 2: replies and requests as values, in bytes, and as redis-cli shows them.

Source: redis.io/docs/latest/develop/reference/protocol-spec. A status and an error are texts of their own kind, a bulk
string is ``bytes``, an array a list, and what is not there None.
"""

from __future__ import annotations

from typing import Any

CRLF = b"\r\n"
VALUES_MAX, BULK_BYTES_MAX, DEPTH_MAX = 1 << 20, 512 << 20, 7
"""Of an array, a bulk string, and arrays within each other."""
Reply = Any


class Status(str):
    """A simple string: OK, PONG."""


class Problem(str):
    """An error, its code first."""


def encoded(value: Reply) -> bytes:
    """A reply in bytes."""
    if isinstance(value, Status | Problem):
        # An error may repeat what a client said, which must not end it.
        line = value.replace("\r", " ").replace("\n", " ")
        return f"{'-' if isinstance(value, Problem) else '+'}{line}\r\n".encode()
    if isinstance(value, int):
        return f":{value}\r\n".encode()
    if value is None:
        return b"$-1\r\n"
    if isinstance(value, list):
        return f"*{len(value)}\r\n".encode() + b"".join(encoded(each) for each in value)
    data: bytes = value if isinstance(value, bytes) else str(value).encode()
    return f"${len(data)}\r\n".encode() + data + CRLF


class Reader:
    """Takes bytes as they come, gives whole values."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[Reply]:
        """The values that are complete now; a line of plain text is a request, too. Raises ValueError for no RESP."""
        self._buffer += data
        found = []
        while (step := self._value(0, 0)) is not None:
            value, end = step
            self._buffer = self._buffer[end:]
            found.append(value)
        return found

    def _value(self, at: int, depth: int) -> tuple[Reply, int] | None:
        end = self._buffer.find(b"\n", at)
        if end < 0:
            return None
        line, after = self._buffer[at:end].rstrip(b"\r"), end + 1
        kind, text = line[:1], line[1:]
        if kind == b"+":
            return Status(text.decode(errors="replace")), after
        if kind == b"-":
            return Problem(text.decode(errors="replace")), after
        if kind == b":":
            return _number(text, "invalid integer"), after
        if kind == b"$":
            return self._bulk(_number(text, "invalid bulk length", BULK_BYTES_MAX), after)
        if kind == b"*":
            if depth > DEPTH_MAX:
                raise ValueError("too many nested arrays")
            return self._array(_number(text, "invalid multibulk length", VALUES_MAX), after, depth)
        return line.split(), after

    def _bulk(self, size: int, at: int) -> tuple[Reply, int] | None:
        if size < 0:
            return None, at
        end = at + size
        return (self._buffer[at:end], end + len(CRLF)) if len(self._buffer) >= end + len(CRLF) else None

    def _array(self, count: int, at: int, depth: int) -> tuple[Reply, int] | None:
        values = []
        for _ in range(count):
            step = self._value(at, depth + 1)
            if step is None:
                return None
            value, at = step
            values.append(value)
        return values, at


def _number(text: bytes, problem: str, most: int | None = None) -> int:
    if not text.removeprefix(b"-").isdigit() or len(text) > 20 or (most is not None and int(text) > most):
        raise ValueError(problem)
    return int(text)


def quoted(data: bytes) -> str:
    """A bulk string as redis-cli shows it at a terminal."""
    made = ""
    for byte in data:
        char = chr(byte)
        made += {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\", "\a": "\\a", "\b": "\\b"}.get(
            char, char if 32 <= byte < 127 else f"\\x{byte:02x}"
        )
    return f'"{made}"'


def shown(value: Reply, indent: str = "") -> str:
    """A reply at a terminal, without its last newline."""
    if isinstance(value, Problem):
        return f"(error) {value}"
    if isinstance(value, Status):
        return str(value)
    if isinstance(value, int):
        return f"(integer) {value}"
    if value is None:
        return "(nil)"
    if isinstance(value, bytes):
        return quoted(value)
    if not value:
        return "(empty array)"
    width = len(str(len(value)))
    rows = [
        f"{indent if at > 1 else ''}{at:>{width}}) {shown(each, indent + ' ' * (width + 2))}"
        for at, each in enumerate(value, 1)
    ]
    return "\n".join(rows)


def plain(value: Reply) -> str:
    """A reply where no terminal is, without its last newline."""
    if isinstance(value, list):
        return "\n".join(plain(each) for each in value)
    return "" if value is None else value.decode(errors="replace") if isinstance(value, bytes) else str(value)
