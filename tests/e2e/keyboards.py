"""A person at a terminal: keys go in one after the other, and what comes onto the screen is read.

The terminal is a window of tmux, or a pseudo-terminal of Python's own, which there is everywhere.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import struct
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from tests.e2e.conftest import DEADLINE_S, Machine

PROMPT = "learner$ "
SHELL = ("bash", "--noprofile", "--norc", "-i")
COLUMNS, LINES = 200, 50
COLOURS = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
LOOK_S = 0.05
ENTER, INTERRUPT, TAB, BACKSPACE = "\r", "\x03", "\t", "\x7f"
NAMED = {ENTER: "Enter", INTERRUPT: "C-c", TAB: "Tab", BACKSPACE: "BSpace"}
"""Keys that are no characters, as tmux calls them."""


class Keyboard(Protocol):
    """Where a person types and reads."""

    def type(self, keys: str) -> None:
        """Presses these keys."""

    def until(self, text: str) -> str:
        """What has appeared since the last time, up to a text."""


def line(keys: Keyboard, text: str, prompt: str = PROMPT) -> str:
    """Types a line and waits for the next prompt; what was printed in between."""
    keys.type(text)
    keys.until(text)
    keys.type(ENTER)
    return keys.until("\n" + prompt)


class Terminal:
    """A session at a pseudo-terminal."""

    def __init__(self, pid: int, descriptor: int) -> None:
        self._pid, self._descriptor = pid, descriptor
        self._seen = ""

    def until(self, text: str) -> str:
        end = time.monotonic() + DEADLINE_S
        while text not in self._seen:
            assert time.monotonic() < end, f"{text!r} does not appear: {self._seen}"
            if select.select([self._descriptor], [], [], 1.0)[0]:
                self._seen += os.read(self._descriptor, 65536).decode(errors="replace")
                self._seen = COLOURS.sub("", self._seen).replace("\r\n", "\n")
        found, _, self._seen = self._seen.partition(text)
        return found + text

    def type(self, keys: str) -> None:
        os.write(self._descriptor, keys.encode())

    def code(self) -> int:
        """The exit code, at the end."""
        try:
            while os.read(self._descriptor, 65536):
                pass
        except OSError:
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])


@contextmanager
def terminal(machine: Machine, *command: str) -> Iterator[Terminal]:
    """A command at a pseudo-terminal."""
    pid, descriptor = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        os.chdir(machine.root)
        os.execvpe(command[0], command, {**machine.environment, "TERM": "xterm", "PS1": PROMPT})
    try:
        yield Terminal(pid, descriptor)
    finally:
        os.close(descriptor)


class Tmux:
    """A window of tmux."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._read = 0
        size = ("-x", str(COLUMNS), "-y", str(LINES))
        options = ("set", "-g", "history-limit", "50000", ";")
        self._tmux(*options, "new-session", "-d", *size, "-e", f"PS1={PROMPT}", *SHELL)

    def _tmux(self, *words: str) -> str:
        return self._machine.must("tmux", "-u", "-L", f"seatrial-{os.getpid()}", "-f", "/dev/null", *words)

    def type(self, keys: str) -> None:
        for part in re.findall(f"[{''.join(NAMED)}]|[^{''.join(NAMED)}]+", keys):
            self._tmux("send-keys", *([NAMED[part]] if part in NAMED else ["-l", part]))

    def _screen(self) -> str:
        """Everything that was ever to be seen, long lines in one piece."""
        rows = self._tmux("capture-pane", "-p", "-J", "-S", "-").rstrip("\n").split("\n")
        return "\n".join(row.rstrip() for row in rows)

    def until(self, text: str) -> str:
        # A screen has no blanks at the end of its lines.
        sought, end = text.rstrip(" "), time.monotonic() + DEADLINE_S
        while (at := (screen := self._screen()).find(sought, self._read)) < 0:
            assert time.monotonic() < end, f"{text!r} does not appear: {screen[self._read :]}"
            time.sleep(LOOK_S)
        found = screen[self._read : at + len(sought)]
        self._read = at + len(sought)
        return found

    def close(self) -> None:
        self._tmux("kill-server")


@contextmanager
def keyboard(machine: Machine) -> Iterator[Keyboard]:
    """A shell in tmux where there is one, else at a pseudo-terminal."""
    if shutil.which("tmux") is None:
        with terminal(machine, *SHELL) as plain:
            plain.until(PROMPT)
            yield plain
        return
    window = Tmux(machine)
    try:
        window.until(PROMPT)
        yield window
    finally:
        window.close()
