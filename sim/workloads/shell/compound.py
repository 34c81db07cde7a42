"""Compound commands: subshells, groups, conditions, loops, cases, tests."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from typing import Any

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
BUSY_TURNS = 200
BUSY_US = 1_000


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


def while_(shell: Shell, command: While, tail: bool) -> Steps:
    status, turns, begun = 0, 0, shell.proc.clock.now
    while ((yield from tried(shell, command.condition)) == 0) != command.until:
        try:
            status = yield from shell.sequence(command.body)
        except Loop as loop:
            if leaves(loop):
                break
        turns += 1
        if turns % BUSY_TURNS == 0:
            # A loop that never waits still takes time.
            if shell.proc.clock.now == begun:
                yield shell.proc.clock.sleep(BUSY_US)
            begun = shell.proc.clock.now
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
