"""A client at a process: exec and attach, with or without a terminal between them.

Source: the terminal line discipline (termios(3)): echo, line editing, Ctrl-C, Ctrl-D. Not modelled: programs that put
the terminal into raw mode.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from seatrial.sim.workloads.process import BrokenPipe, Pipe, Proc, Sink

if TYPE_CHECKING:
    from seatrial.sim.workloads.container import Container

INTERRUPT, END_OF_FILE, ERASE, BACKSPACE = 0x03, 0x04, 0x7F, 0x08


class Terminal:
    """A pseudo-terminal: what is typed is echoed, edited and handed on by lines."""

    def __init__(self, clock: Any, on_output: Callable[[str, bytes], None], echo: bool) -> None:
        self._on_output = on_output
        self._echo = echo
        self._line = bytearray()
        self.input = Pipe(clock, is_tty=True, bounded=False)
        self.stream = Sink(self._write, is_tty=True)
        self.interrupted: Callable[[], None] | None = None
        self._ended = False

    def _write(self, data: bytes) -> None:
        self._on_output("stdout", data.replace(b"\n", b"\r\n"))

    def typed(self, data: bytes) -> None:
        for byte in data:
            if byte == INTERRUPT:
                self._write(b"^C")
                self._line.clear()
                if self.interrupted is not None:
                    self.interrupted()
            elif byte == END_OF_FILE:
                if self._line:
                    self._hand_on()
                else:
                    self.close()
            elif byte in (ERASE, BACKSPACE):
                if self._line:
                    self._line.pop()
                    self._on_output("stdout", b"\b \b")
            elif byte in b"\r\n":
                self._line += b"\n"
                if self._echo:
                    self._write(b"\n")
                self._hand_on()
            else:
                self._line.append(byte)
                if self._echo:
                    self._on_output("stdout", bytes([byte]))

    def _hand_on(self) -> None:
        data = bytes(self._line)
        self._line.clear()
        self.input.write(data)

    def close(self) -> None:
        if not self._ended:
            self._ended = True
            self.input.closed(True)


def interrupt(proc: Proc) -> None:
    """Ctrl-C goes to the foreground: the children of the terminal's first process, and that process."""
    for other in list(proc.container.processes.values()):
        parent = other.parent
        while parent is not None:
            if parent is proc:
                other.signal("INT")
                break
            parent = parent.parent
    proc.signal("INT")


class Session:
    """An exec (cri.Session)."""

    def __init__(self, proc: Proc, source: Pipe | None, terminal: Terminal | None) -> None:
        self.proc = proc
        self._source = source
        self._terminal = terminal
        self._closed = False
        if terminal is not None:
            terminal.interrupted = partial(interrupt, proc)

    def write_stdin(self, data: bytes) -> None:
        # What comes when nobody reads any more is lost, as it is on its way to a process that has ended.
        with suppress(BrokenPipe):
            if self._terminal is not None:
                self._terminal.typed(data)
            elif self._source is not None:
                self._source.write(data)

    def close_stdin(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._terminal is not None:
            self._terminal.close()
        elif self._source is not None:
            self._source.closed(True)

    def resize(self, width: int, height: int) -> None:
        self.proc.env["COLUMNS"], self.proc.env["LINES"] = str(width), str(height)

    def kill(self) -> None:
        """The client hung up or lost patience."""
        if self._terminal is not None or self._source is None:
            self.proc.kill(137)
        self.close_stdin()


class Attachment:
    """A client at the main process."""

    def __init__(
        self, container: Container, on_output: Callable[[str, bytes], None], on_exit: Callable[[int], None]
    ) -> None:
        self._container = container
        self.output = on_output
        self.ended = on_exit
        self._open = True

    def write_stdin(self, data: bytes) -> None:
        if self._container.terminal is not None:
            self._container.terminal.typed(data)
        elif self._container.stdin is not None:
            self._container.stdin.write(data)

    def close_stdin(self) -> None:
        """The client's input ended; only a container that was asked to hears of it (stdinOnce)."""
        if not self._open or not self._container.config.stdin_once:
            return
        self._open = False
        if self._container.terminal is not None:
            self._container.terminal.close()
        elif self._container.stdin is not None:
            self._container.stdin.closed(True)

    def resize(self, width: int, height: int) -> None: ...

    def kill(self) -> None:
        self._container.detach(self)
