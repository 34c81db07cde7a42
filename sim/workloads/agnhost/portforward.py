"""agnhost port-forward-tester: serves one connection, as its environment says, and ends.

Source: k8s.io/kubernetes/test/images/agnhost/port-forward-tester.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seatrial.sim.kernel.clock import Clock, Signal
from seatrial.sim.machinery.fields import quoted
from seatrial.sim.workloads.agnhost.site import START_US, Steps
from seatrial.sim.workloads.commands.network import listen
from seatrial.sim.workloads.process import Proc

LINGER_US = 500_000
"""From the end of what is sent until the connection is closed."""


class _Visit:
    """A connection; what the client sends is kept until somebody reads it."""

    def __init__(self, clock: Clock, on_data: Callable[[bytes], None], on_close: Callable[[], None]) -> None:
        self.send, self._on_close = on_data, on_close
        self.received = b""
        self.over = False
        """The client sends nothing more."""
        self._closed = False
        self.news = Signal(clock)

    def write(self, data: bytes) -> None:
        self.received += data
        self.news.fire()

    def close_write(self) -> None:
        self.over = True
        self.news.fire()

    def close(self) -> None:
        self._closed = True
        self.close_write()

    def hang_up(self) -> None:
        """The server's side ends."""
        if not self._closed:
            self._closed = True
            self._on_close()


class _Door:
    """Lets visitors in."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.visits: list[_Visit] = []
        self.news = Signal(clock)

    def http(self, request: Any) -> Any:
        raise ConnectionResetError(104, "Connection reset by peer")

    def open(self, on_data: Callable[[bytes], None], on_close: Callable[[], None], client: str) -> _Visit:
        self.visits.append(_Visit(self._clock, on_data, on_close))
        self.news.fire()
        return self.visits[-1]


def port_forward_tester(proc: Proc, words: list[str]) -> Steps:
    """Reads EXPECTED_CLIENT_DATA, sends CHUNKS pieces of CHUNK_SIZE bytes, CHUNK_INTERVAL ms apart, and hangs up."""
    door = _Door(proc.clock)
    yield proc.clock.sleep(START_US)
    listen(proc, int(proc.env.get("BIND_PORT", "80")), door)
    while not door.visits:
        yield door.news.wait()
    visit = door.visits[0]
    proc.on_exit.append(lambda _: visit.hang_up())
    proc.out("Accepted client connection\n")
    expected = proc.env.get("EXPECTED_CLIENT_DATA", "").encode()
    if expected:
        while len(visit.received) < len(expected) and not visit.over:
            yield visit.news.wait()
        got = visit.received[: len(expected)]
        if len(got) < len(expected):
            problem = "<nil>" if got else "EOF"
            told = f"Expected to read {len(expected)} bytes from client, but got {len(got)} instead. err={problem}"
            proc.out(told + "\n")
            return 2
        if got != expected:
            shown = quoted(got.decode("utf-8", "replace"))
            proc.out(f"Expect to read {quoted(expected.decode())}, but got {shown}. err=<nil>\n")
            return 3
        proc.out("Received expected client data\n")
    numbers: list[int] = []
    for name in ("CHUNKS", "CHUNK_SIZE", "CHUNK_INTERVAL"):
        text = proc.env.get(name, "")
        if not text.isdigit():
            said = f"strconv.Atoi: parsing {quoted(text)}: invalid syntax"
            proc.out(f"Error parsing {name} {quoted(text)}: {said}\n")
            return 1
        numbers.append(int(text))
    chunks, size, interval_ms = numbers
    for chunk in range(chunks):
        visit.send(b"x" * size)
        if chunk + 1 < chunks:
            yield proc.clock.sleep(interval_ms * 1000)
    proc.out("Shutting down connection\n")
    visit.hang_up()
    yield proc.clock.sleep(LINGER_US)
    proc.out("Done\n")
    return 0
