"""Processes inside a container: programs as generators on the simulated clock, with files, pipes and signals.

A program yields what the clock's processes yield (sleeps, waits) and returns its exit status. Not modelled: CPU time
that a program takes, job control, process groups other than one per session.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Generator
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from seatrial.sim.kernel.clock import Clock, Signal
from seatrial.sim.kernel.clock import Process as Running
from seatrial.sim.workloads import burning
from seatrial.sim.workloads.filesystem import File, FileSystem

if TYPE_CHECKING:
    from seatrial.sim.workloads.container import Container

SIGNALS = {
    "HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "TRAP": 5, "ABRT": 6, "BUS": 7, "FPE": 8, "KILL": 9, "USR1": 10,
    "SEGV": 11, "USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15, "CHLD": 17, "CONT": 18, "STOP": 19, "TSTP": 20,
    "WINCH": 28,
}  # fmt: skip
ENDLESS_BYTES, ENDLESS_US = 64 * 1024, 1_000
"""How much an endless device gives at a time, and how long that takes."""
HELD_MAX = 512 * 1024 * 1024
"""Bytes of input that a program may hold."""
SET_UID = 0o4000
"""The bit of a file's mode that has a program run as its owner."""
HARMLESS = ("CHLD", "CONT", "WINCH")
PROVOKED = (ValueError, LookupError, ArithmeticError, re.error)
"""What a program meets that is given numbers, names or patterns that it cannot use."""
PIPE_BYTES = 65536

Program = Generator[Any, Any, int]


class BrokenPipe(Exception):
    """Nobody reads what is written: the writer gets SIGPIPE."""


class Exited(Exception):
    """Raised by ``exit``: ends the program with a status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Stream:
    """One end of something that can be read or written; ``opened`` and ``closed`` count users."""

    def write(self, data: bytes) -> None: ...

    def full(self) -> Signal | None:
        """A signal to wait for before more is written; None: write on."""
        return None

    def read(self, size: int | None = None) -> Generator[Any, Any, bytes]:
        """Up to ``size`` bytes, at least one unless it is the end."""
        return b""
        yield

    def read_line(self) -> Generator[Any, Any, bytes]:
        """Up to and with the next newline; shorter at the end."""
        return b""
        yield

    def opened(self, writing: bool) -> None: ...

    def closed(self, writing: bool) -> None: ...

    is_tty = False


class Null(Stream):
    """/dev/null."""


class Sink(Stream):
    """Hands on what is written."""

    def __init__(self, take: Callable[[bytes], None], is_tty: bool = False) -> None:
        self._take = take
        self.is_tty = is_tty

    def write(self, data: bytes) -> None:
        self._take(data)


class Pipe(Stream):
    """A pipe, or a client's input."""

    def __init__(self, clock: Any, is_tty: bool = False, bounded: bool = True) -> None:
        self._clock = clock
        self._buffer = bytearray()
        self._readers = self._writers = 0
        self._ever_read = False
        self._changed = Signal(clock)
        self._bounded = bounded
        self.is_tty = is_tty

    def opened(self, writing: bool) -> None:
        if writing:
            self._writers += 1
        else:
            self._readers += 1
            self._ever_read = True

    def closed(self, writing: bool) -> None:
        if writing:
            self._writers -= 1
        else:
            self._readers -= 1
        self._changed.fire()

    def write(self, data: bytes) -> None:
        if self._ever_read and self._readers <= 0:
            raise BrokenPipe
        self._buffer += data
        self._changed.fire()

    def full(self) -> Signal | None:
        return self._changed if self._bounded and len(self._buffer) >= PIPE_BYTES else None

    def read(self, size: int | None = None) -> Generator[Any, Any, bytes]:
        while not self._buffer and self._writers > 0:
            yield self._changed.wait()
        return self._take(len(self._buffer) if size is None else size)

    def read_line(self) -> Generator[Any, Any, bytes]:
        begin = 0
        while True:
            end = self._buffer.find(b"\n", begin)
            if end >= 0:
                return self._take(end + 1)
            if self._writers <= 0:
                return self._take(len(self._buffer))
            begin = len(self._buffer)
            yield self._changed.wait()

    def _take(self, size: int) -> bytes:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._changed.fire()
        return data


class Opened(Stream):
    """An open regular file or device."""

    def __init__(
        self, file: File, now: Callable[[], int], append: bool = False, touched: Callable[[int], None] | None = None
    ) -> None:
        self.file = file
        self._now = now
        self._touched = touched
        self._append = append
        self._at = 0

    def seek(self, at: int) -> None:
        """What is read or written next is there."""
        self._at, self._append = at, self._append and not at

    def write(self, data: bytes) -> None:
        file = self.file
        if file.device:
            return
        if self._append:
            file.append(data)
        else:
            have, at = file.data, self._at
            file.data = have[:at].ljust(at, b"\0") + data + have[at + len(data) :]
            self._at = at + len(data)
        file.mtime_us = self._now()
        if self._touched is not None:
            self._touched(len(data))

    def read(self, size: int | None = None) -> Generator[Any, Any, bytes]:
        data = self.file.read()[self._at :]
        if size is not None:
            data = data[:size]
        self._at += len(data)
        return data
        yield

    def read_line(self) -> Generator[Any, Any, bytes]:
        data = self.file.read()
        end = data.find(b"\n", self._at)
        line = data[self._at :] if end < 0 else data[self._at : end + 1]
        self._at += len(line)
        return line
        yield


class Endless(Stream):
    """An open /dev/zero, /dev/random or /dev/urandom: as much as somebody reads."""

    def __init__(self, clock: Any, draw: Callable[[int], bytes]) -> None:
        self._clock, self._draw = clock, draw

    def read(self, size: int | None = None) -> Generator[Any, Any, bytes]:
        yield self._clock.sleep(ENDLESS_US)
        return self._draw(ENDLESS_BYTES if size is None else min(size, ENDLESS_BYTES))

    def read_line(self) -> Generator[Any, Any, bytes]:
        line = b""
        while b"\n" not in line and len(line) < HELD_MAX:
            line += yield from self.read()
        return line[: line.find(b"\n") + 1 or len(line)]


class OpenedDirectory(Stream):
    """A directory as a command's input: it can be opened, not read."""

    def read(self, size: int | None = None) -> Generator[Any, Any, bytes]:
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), "read error")
        yield

    read_line = read


class Proc:
    """One process: identity, files, environment and what signals do to it."""

    __slots__ = (
        "_pending", "_running", "argv", "caught", "children", "clock", "container", "cpu_nano", "cwd", "ended", "env",
        "exit_status", "fds", "fs", "gid", "memory", "on_exit", "on_stop", "parent", "pid", "stopped", "uid", "user",
    )  # fmt: skip

    def __init__(
        self,
        container: Container,
        pid: int,
        parent: Proc | None,
        argv: list[str],
        env: dict[str, str],
        cwd: str,
        fds: dict[int, Stream],
    ) -> None:
        self.container = container
        self.clock: Clock = container.clock
        self.fs: FileSystem = container.fs
        self.pid: int = pid
        self.parent: Proc | None = parent
        self.argv = argv
        self.env = env
        self.cwd = cwd
        self.fds: dict[int, Stream] = fds
        self.uid: int = parent.uid if parent is not None else container.uid
        self.gid: int = parent.gid if parent is not None else container.gid
        self.user: str = parent.user if parent is not None else container.user
        self.caught: dict[str, Callable[[str], None] | None] = {}
        """Signal → what it calls; None: ignored. Others do what they do by default."""
        self.exit_status: int | None = None
        self.ended = Signal(self.clock)
        self.on_exit: list[Callable[[int], None]] = []
        self.on_stop: list[Callable[[bool], None]] = []
        """Called with True when the process is stopped (SIGSTOP), with False when it goes on."""
        self.stopped = False
        self._pending: list[str] = []
        self.children: list[Proc] = []
        self.memory = container.behaviour_memory if parent is None else 512 * 1024
        self.cpu_nano = 0
        """What the process burns now; ``burning.burn`` changes it."""
        self._running: Running | None = None
        for number, stream in fds.items():
            stream.opened(number != 0)

    # What programs use

    @property
    def stdin(self) -> Stream:
        return self.fds.get(0, NULL)

    def out(self, text: str | bytes) -> None:
        """Writes to standard output. Raises BrokenPipe."""
        self.fds.get(1, NULL).write(text.encode(errors="surrogateescape") if isinstance(text, str) else text)

    def err(self, text: str) -> None:
        self.fds.get(2, NULL).write(text.encode(errors="surrogateescape"))

    def pour(self, data: bytes) -> Generator[Any, Any, None]:
        """Writes to standard output and waits while a pipe is full."""
        stream = self.fds.get(1, NULL)
        stream.write(data)
        while (full := stream.full()) is not None:
            yield full.wait()

    def read_all(self) -> Generator[Any, Any, bytes]:
        """Standard input to its end; who is given more than can be held runs out of memory, or reckons for ever."""
        parts: list[bytes] = []
        held = 0
        while True:
            data = yield from self.stdin.read()
            if not data:
                return b"".join(parts)
            parts.append(data)
            held += len(data)
            if held > HELD_MAX or isinstance(self.stdin, Endless):
                parts.clear()
                yield from burning.swamped(self)

    def path(self, path: str) -> str:
        return path if path.startswith("/") else f"{self.cwd.rstrip('/')}/{path}"

    # Life

    def run(self, program: Callable[[Proc], Any]) -> None:
        """Starts a program: a function that does its work at once, or one that makes a generator."""
        try:
            result = program(self)
        except Exception as error:
            self._end(self._failed(error))
            return
        if isinstance(result, GeneratorType):
            self._running = self.clock.spawn(self._guarded(result), f"{self.container.name}/{self.pid}")
        else:
            self._end(int(result))

    def run_later(self, program: Callable[[Proc], Any]) -> None:
        """As ``run``, but nothing happens before whoever starts it goes on."""

        def steps() -> Program:
            result = program(self)
            return (yield from result) if isinstance(result, GeneratorType) else int(result)

        self._running = self.clock.spawn(self._guarded(steps()), f"{self.container.name}/{self.pid}")

    def _guarded(self, program: Program) -> Generator[Any, Any, None]:
        try:
            status = yield from program
        except Exception as error:
            status = self._failed(error)
        self._end(status)

    def _failed(self, error: Exception) -> int:
        """The status of a program that an exception ended. What a script may provoke is no defect of the simulation:
        it is said on standard error, as a program does that was used wrongly."""
        if isinstance(error, Exited):
            return error.status
        if isinstance(error, BrokenPipe):
            return 128 + SIGNALS["PIPE"]
        name = self.argv[0] if self.argv else "?"
        if isinstance(error, OSError):
            self.err(f"{name}: {error.filename or ''}: {error.strerror or error}\n")
            return 1
        if isinstance(error, PROVOKED):
            self.err(f"{name}: invalid argument\n")
            return 1
        if isinstance(error, MemoryError):
            self.err(f"{name}: out of memory\n")
            return 1
        if isinstance(error, RecursionError):
            # Calls without end use up the stack.
            return 128 + SIGNALS["SEGV"]
        raise error

    def signal(self, name: str) -> None:
        """Delivers a signal (its name without SIG)."""
        if self.exit_status is not None:
            return
        if name in ("STOP", "CONT"):
            self._stop(name == "STOP")
        if self.stopped and name not in ("KILL", "STOP"):
            self._pending.append(name)
            return
        if name not in ("KILL", "STOP") and name in self.caught:
            handler = self.caught[name]
            if handler is not None:
                handler(name)
            return
        if name in HARMLESS or name in ("STOP", "TSTP"):
            return
        if self.pid == 1 and name != "KILL":
            # The first process of a PID namespace gets no signal that it does not ask for.
            return
        self.kill(128 + SIGNALS.get(name, 15))

    def _stop(self, stopped: bool) -> None:
        """Signals but KILL wait for a stopped process to go on. Not modelled: its timers do not stand still."""
        if stopped == self.stopped:
            return
        self.stopped = stopped
        for call in self.on_stop:
            call(stopped)
        pending, self._pending = self._pending, []
        for name in pending:
            self.signal(name)

    def kill(self, status: int) -> None:
        """Ends the process where it stands."""
        if self.exit_status is not None:
            return
        running, self._running = self._running, None
        if running is not None:
            running.kill()
        self._end(status)

    def _end(self, status: int) -> None:
        if self.exit_status is not None:
            return
        self.exit_status = status & 0xFF
        self._running = None
        for number, stream in self.fds.items():
            stream.closed(number != 0)
        self.fds = {}
        self.container.reap(self)
        for call in self.on_exit:
            call(self.exit_status)
        self.ended.fire()
        if self.parent is not None:
            self.parent.child_ended(self)

    def child_ended(self, child: Proc) -> None:
        """A child ended; shells look at it when they wait."""
        handler = self.caught.get("CHLD")
        if handler is not None:
            handler("CHLD")

    def wait(self) -> Generator[Any, Any, int]:
        """The exit status, once there is one."""
        while self.exit_status is None:
            yield self.ended.wait()
        return self.exit_status


def deliver(target: Any, name: str) -> None:
    """A signal from a process that sees the target: not even KILL and STOP reach the first of its namespace so."""
    if target.pid != 1 or name not in ("KILL", "STOP"):
        target.signal(name)


def running_as(uid: int, program: Callable[[Proc], Any]) -> Callable[[Proc], Any]:
    """A set-uid program: it runs as its owner."""

    def run(proc: Proc) -> Any:
        proc.uid = uid
        return program(proc)

    return run


NULL: Stream = Null()
