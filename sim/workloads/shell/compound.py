"""Compound commands: subshells, groups, conditions, loops, cases, tests."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from typing import Any

from seatrial.sim.workloads.burning import CORE_NANO, burn
from seatrial.sim.workloads.shell import arrays
from seatrial.sim.workloads.shell.conditions import TestProblem
from seatrial.sim.workloads.shell.conditions import evaluate as holds
from seatrial.sim.workloads.shell.interpreter import MISUSE, Loop, Shell, steps
from seatrial.sim.workloads.shell.patterns import matches
from seatrial.sim.workloads.shell.syntax import (
    Case,
    Evaluate,
    For,
    Group,
    If,
    Literal,
    Sequence,
    Subshell,
    Test,
    While,
)

Steps = Generator[Any, Any, int]
BUSY_TURNS, BUSY_US = 200, 1_000
"""How many turns of a loop that never waits take how long: about what a shell takes."""
CHANGELESS_TURNS = 10
"""Turns at a time of a loop that has changed nothing: each goes as the one before."""
PATIENT_TURNS = 100_000
"""A loop that has turned so often without waiting has no end of its own. *Not modelled*: that it may after all."""
PAUSE_MAX_US = 1_000_000


def subshell(shell: Shell, command: Subshell, tail: bool) -> Steps:
    child = shell.fork()
    child.proc.run(steps(child.alone(Group(command.body))))
    return (yield from child.proc.wait())


def group(shell: Shell, command: Group, tail: bool) -> Steps:
    return (yield from shell.sequence(command.body, tail))


def tried(shell: Shell, condition: Sequence) -> Steps:
    shell.guarded += 1
    try:
        return (yield from shell.sequence(condition))
    finally:
        shell.guarded -= 1


def if_(shell: Shell, command: If, tail: bool) -> Steps:
    for condition, body in command.branches:
        if (yield from tried(shell, condition)) == 0:
            return (yield from shell.sequence(body, tail))
    if command.otherwise is not None:
        return (yield from shell.sequence(command.otherwise, tail))
    return 0


class Spin:
    """A loop that may never wait: its turns take time, and a core is busy meanwhile.

    What goes on without end is looked at more and more rarely, lest it keep the host busy as well: a loop whose turns
    change no variable, or that has turned for very long, within a second of whatever it waits for.
    """

    def __init__(self, shell: Shell) -> None:
        self._shell, self._clock = shell, shell.proc.clock
        self._turns, self._left, self._pause_us = 0, BUSY_TURNS, BUSY_US
        self._began_us = self._clock.now
        self._before: dict[str, str] | None = None
        self._burnt: int | None = None
        """What the process burnt before the loop kept it busy."""

    def turn(self) -> Generator[Any, Any, None]:
        self._turns += 1
        self._left -= 1
        if self._left:
            return
        if self._clock.now != self._began_us:
            self.rest()
            self._left, self._pause_us, self._before = BUSY_TURNS, BUSY_US, None
        else:
            yield from self._go_on()
        self._began_us = self._clock.now

    def _go_on(self) -> Generator[Any, Any, None]:
        proc = self._shell.proc
        if self._burnt is None:
            self._burnt = proc.cpu_nano
            burn(proc, CORE_NANO)
        is_changeless = self._before == self._shell.variables
        self._before = dict(self._shell.variables)
        self._left = CHANGELESS_TURNS if is_changeless else BUSY_TURNS
        if is_changeless or self._turns > PATIENT_TURNS:
            self._pause_us = min(2 * self._pause_us, PAUSE_MAX_US)
        yield self._clock.sleep(self._pause_us)

    def rest(self) -> None:
        """The loop waits by itself, or is over."""
        if self._burnt is not None:
            burn(self._shell.proc, self._burnt)
            self._burnt = None


def while_(shell: Shell, command: While, tail: bool) -> Steps:
    status, spin = 0, Spin(shell)
    try:
        while ((yield from tried(shell, command.condition)) == 0) != command.until:
            try:
                status = yield from shell.sequence(command.body)
            except Loop as loop:
                if leaves(loop):
                    break
            yield from spin.turn()
    finally:
        spin.rest()
    return status


def leaves(loop: Loop) -> bool:
    """Whether a break or continue ends this loop; one for an outer loop goes on."""
    if loop.count > 1:
        loop.count -= 1
        raise loop
    return loop.kind == "break"


def for_(shell: Shell, command: For, tail: bool) -> Steps:
    if command.words is None:
        values = list(shell.arguments)
    else:
        values = yield from shell.expansion.words(command.words)
    status = 0
    for value in values:
        shell.put(command.name, value)
        try:
            status = yield from shell.sequence(command.body)
        except Loop as loop:
            if leaves(loop):
                break
    return status


def case_(shell: Shell, command: Case, tail: bool) -> Steps:
    text = yield from shell.expansion.text(command.word)
    for patterns, body in command.items:
        for pattern in patterns:
            if matches(text, (yield from shell.expansion.pattern(pattern))):
                return (yield from shell.sequence(body, tail)) if body.items else 0
    return 0


def test(shell: Shell, command: Test, tail: bool) -> Steps:
    words: list[str] = []
    for word in command.words:
        after_match = words and words[-1] in ("==", "=", "!=")
        if words and words[-1] == "=~":
            words.append((yield from shell.expansion.pattern(word, re.escape)))
        elif len(word) == 1 and type(word[0]) is Literal and not word[0].quoted:
            words.append(word[0].text)
        else:
            words.append((yield from (shell.expansion.pattern(word) if after_match else shell.expansion.text(word))))
    try:
        return 0 if holds(shell.proc, words, lambda found: arrays.keep(shell, arrays.MATCH, found)) else 1
    except TestProblem as problem:
        shell.complain(f"[[: {problem}")
        return MISUSE


def evaluate(shell: Shell, command: Evaluate, tail: bool) -> Steps:
    return int((yield from shell.expansion.arithmetic(command.expression)) == 0)


COMPOUND: dict[type, Callable[[Shell, Any, bool], Steps]] = {
    Subshell: subshell,
    Group: group,
    If: if_,
    While: while_,
    For: for_,
    Case: case_,
    Test: test,
    Evaluate: evaluate,
}
