"""Runs parsed scripts: one ``Shell`` per process, yielding whatever its commands wait for.

Source: POSIX.1-2017, Shell Command Language, with ash's habits: the last command of ``sh -c`` takes over the process,
traps run when the foreground command is over. Not modelled: job control, aliases, history.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Generator
from types import GeneratorType
from typing import Any

from seatrial.sim.kernel.clock import Signal
from seatrial.sim.workloads.process import Exited, Pipe, Proc, Sink, Stream
from seatrial.sim.workloads.shell import arrays, redirection
from seatrial.sim.workloads.shell.expansion import Expansion, ShellProblem
from seatrial.sim.workloads.shell.parser import parse
from seatrial.sim.workloads.shell.syntax import (
    AndOr,
    Function,
    Group,
    Pipeline,
    Sequence,
    Simple,
    SyntaxProblem,
)
from seatrial.sim.workloads.undescribed import started_by

Steps = Generator[Any, Any, int]
NOT_FOUND, NOT_EXECUTABLE, MISUSE = 127, 126, 2


class Loop(Exception):
    """``break`` or ``continue`` of so many loops."""

    def __init__(self, kind: str, count: int) -> None:
        super().__init__(kind, count)
        self.kind = kind
        self.count = count


class Return(Exception):
    """``return`` from a function or a sourced file."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Shell:
    """The state of one shell: variables, functions, traps, jobs."""

    def __init__(self, proc: Proc, name: str = "sh", arguments: list[str] | None = None) -> None:
        self.proc = proc
        self.pid = proc.pid
        self.name = name
        self.arguments: list[str] = arguments or []
        self.variables: dict[str, str] = dict(proc.env)
        self.arrays: dict[str, dict[int, str]] = {}
        self.exported: dict[str, None] = dict.fromkeys(proc.env)
        self.read_only: dict[str, None] = {}
        self.functions: dict[str, Any] = {}
        self.options: dict[str, bool] = {}
        self.traps: dict[str, str] = {}
        self.pending: list[str] = []
        self.status: int = 0
        self.background: int = 0
        self.jobs: list[Proc] = []
        self.locals: list[dict[str, tuple[str | None, dict[int, str] | None]]] = []
        """What variables and arrays were before functions made them their own."""
        self.woken = Signal(proc.clock)
        self.expansion = Expansion(self)
        self.guarded = 0
        self.begun_us: int = proc.clock.now
        level = self.variables.get("SHLVL", "")
        self.variables |= {"PWD": proc.cwd, "SHLVL": str(int(level) + 1 if level.isdigit() else 1)}
        self.exported |= {"PWD": None, "SHLVL": None}

    # Variables

    def get(self, name: str) -> str | None:
        return self.variables.get(name)

    def put(self, name: str, value: str) -> None:
        if name in self.read_only:
            raise ShellProblem(f"{name}: is read only")
        self.variables[name] = value
        if name in self.arrays:
            self.arrays[name][0] = value
        if self.options.get("a"):
            self.exported[name] = None

    def remember(self, name: str) -> None:
        """What a variable is now, for when the function ends that makes it its own."""
        if self.locals and name not in self.locals[-1]:
            self.locals[-1][name] = self.get(name), self.arrays.pop(name, None)

    def parameter(self, name: str) -> str | None:
        """The value of a variable or special parameter."""
        if name.isdigit():
            number = int(name)
            if number == 0:
                return self.name
            return self.arguments[number - 1] if number <= len(self.arguments) else None
        special = SPECIAL.get(name)
        return special(self) if special is not None else self.variables.get(name)

    def top_pid(self) -> int:
        """``$$``: the process of the shell that was not forked."""
        return self.pid

    def environment(self) -> dict[str, str]:
        return {name: self.variables[name] for name in self.exported if name in self.variables}

    # Running

    def main(self, text: str, tail: bool = False) -> Steps:
        """A whole script, with its exit trap. The status of a syntax error is 2."""
        try:
            try:
                status = yield from self.source(text, tail)
            except Exited as exited:
                status = exited.status
            except Return as returned:
                status = returned.status
            except ShellProblem as problem:
                self.complain(str(problem))
                status = MISUSE
            return (yield from self._farewell(status))
        except Exited as exited:
            return exited.status

    def _farewell(self, status: int) -> Steps:
        action = self.traps.pop("EXIT", "")
        if action:
            self.status = status
            try:
                yield from self.source(action)
            except Exited as exited:
                return exited.status
        return status

    def source(self, text: str, tail: bool = False) -> Steps:
        """Runs a text in this shell; returns its last status."""
        try:
            script = parse(text)
        except SyntaxProblem as problem:
            self.complain(str(problem))
            raise Exited(MISUSE) from None
        return (yield from self.sequence(script, tail))

    def complain(self, text: str) -> None:
        self.proc.err(f"{self.name}: {text}\n")

    def sequence(self, script: Sequence, tail: bool = False) -> Steps:
        last = len(script.items) - 1
        for index, (command, background) in enumerate(script.items):
            if background:
                self._start_background(command)
                self.status = 0
            else:
                self.status = yield from self._and_or(command, tail and index == last)
            if self.pending:
                yield from self._run_traps()
        return self.status

    def _run_traps(self) -> Generator[Any, Any, None]:
        while self.pending:
            action = self.traps.get(self.pending.pop(0))
            if action:
                before = self.status
                yield from self.source(action)
                self.status = before

    def _and_or(self, command: AndOr, tail: bool) -> Steps:
        rest = command.rest
        self.guarded += bool(rest)
        try:
            status = yield from self._pipeline(command.first, tail and not rest)
        finally:
            self.guarded -= bool(rest)
        for index, (operator, pipeline) in enumerate(rest):
            if (status == 0) != (operator == "&&"):
                continue
            self.status = status
            last = index == len(rest) - 1
            self.guarded += not last
            try:
                status = yield from self._pipeline(pipeline, tail and last)
            finally:
                self.guarded -= not last
        return status

    def _pipeline(self, pipeline: Pipeline, tail: bool) -> Steps:
        self.guarded += pipeline.negated
        try:
            if len(pipeline.commands) == 1:
                status = yield from self.command(pipeline.commands[0], tail and not pipeline.negated)
            else:
                status = yield from self._piped(pipeline.commands)
        finally:
            self.guarded -= pipeline.negated
        if pipeline.negated:
            return int(status == 0)
        if status and self.options.get("e") and not self.guarded:
            raise Exited(status)
        return status

    def _piped(self, commands: tuple[Any, ...]) -> Steps:
        clock = self.proc.clock
        children = []
        before: Stream | None = None
        for index, command in enumerate(commands):
            fds = dict(self.proc.fds)
            if before is not None:
                fds[0] = before
            if index < len(commands) - 1:
                before = fds[1] = Pipe(clock)
            children.append((self.fork(fds), command))
        for child, command in children:
            child.proc.run(steps(child.alone(command)))
        status = 0
        for child, _ in children:
            ended = yield from child.proc.wait()
            if ended or not self.options.get("pipefail"):
                status = ended
        return status

    def alone(self, command: Any) -> Steps:
        """One command as the whole life of a forked shell."""
        try:
            status = yield from self.command(command, True)
        except Exited as exited:
            status = exited.status
        except (Return, Loop):
            status = self.status
        except ShellProblem as problem:
            self.complain(str(problem))
            status = MISUSE
        return (yield from self._farewell(status))

    def fork(self, fds: dict[int, Stream] | None = None) -> Shell:
        """A copy of this shell in a child process."""
        proc = self._spawned(list(self.proc.argv), self.proc.env, fds if fds is not None else dict(self.proc.fds))
        made = Shell(proc, self.name, list(self.arguments))
        made.variables = dict(self.variables)
        made.arrays = {name: dict(values) for name, values in self.arrays.items()}
        made.pid = self.pid
        made.exported = dict(self.exported)
        made.read_only = dict(self.read_only)
        made.functions = dict(self.functions)
        made.options = dict(self.options)
        made.status = self.status
        made.guarded = self.guarded
        for name, action in self.traps.items():
            if not action and name != "EXIT":
                made.set_trap(name, "")
        return made

    def _spawned(self, argv: list[str], env: dict[str, str], fds: dict[int, Stream]) -> Proc:
        try:
            return self.proc.container.spawn(argv, env, self.proc.cwd, fds, self.proc)
        except OSError as error:
            raise ShellProblem(f"{error.filename}: {error.strerror}") from None

    def _start_background(self, command: AndOr) -> None:
        child = self.fork({**self.proc.fds, 0: NOTHING})
        pipeline = AndOr(command.first, command.rest)
        child.proc.run_later(steps(child.alone(Group(Sequence(((pipeline, False),))))))
        self.background = child.proc.pid
        self.jobs.append(child.proc)

    def captured(self, body: Sequence) -> Generator[Any, Any, bytes]:
        """The output of a command substitution; its status becomes ``$?``."""
        file = redirection.only_read(body)
        if file is not None:
            return (yield from redirection.contents(self, file))
        parts: list[bytes] = []
        child = self.fork({**self.proc.fds, 1: Sink(parts.append)})
        child.proc.run(steps(child.alone(Group(body))))
        self.status = yield from child.proc.wait()
        return b"".join(parts)

    # Commands

    def command(self, command: Any, tail: bool = False) -> Steps:
        """One command of any kind."""
        kind = type(command)
        if kind is Simple:
            return (yield from self._simple(command, tail))
        if kind is Function:
            self.functions[command.name] = command.body
            return 0
        if not command.redirections:
            return (yield from compound()[kind](self, command, tail))
        try:
            fds = yield from redirection.redirected(self, command.redirections)
        except OSError as error:
            redirection.complain(self, error)
            return 1
        saved = self._swap(fds)
        try:
            return (yield from compound()[kind](self, command, False))
        finally:
            self._restore(saved, fds)

    def _swap(self, fds: dict[int, Stream]) -> dict[int, Stream]:
        saved, self.proc.fds = self.proc.fds, fds
        for number, stream in fds.items():
            if saved.get(number) is not stream:
                stream.opened(number != 0)
        return saved

    def _restore(self, saved: dict[int, Stream], fds: dict[int, Stream]) -> None:
        if self.proc.exit_status is not None:
            return
        for number, stream in fds.items():
            if saved.get(number) is not stream:
                stream.closed(number != 0)
        self.proc.fds = saved

    def _simple(self, command: Simple, tail: bool) -> Steps:
        words = yield from self.expansion.words(command.words)
        values = []
        for given in command.assignments:
            if given.is_plain:
                values.append((given.name, (yield from self.expansion.text(given.value))))
                continue
            if words and words[0] in DECLARING:
                self.remember(given.name)
            yield from arrays.assign(self, given)
            if words:
                # The declaration is told the name, as if it stood alone.
                words.append(given.name)
        if self.options.get("x") and words:
            self.proc.err("+ " + " ".join(words) + "\n")
        if not words:
            return (yield from self._assigned(command, values))
        fds = self.proc.fds
        if command.redirections:
            try:
                fds = yield from redirection.redirected(self, command.redirections)
            except OSError as error:
                redirection.complain(self, error)
                return 1
        name = words[0]
        function = self.functions.get(name)
        if function is not None:
            return (yield from self._inside(fds, values, lambda: self._call(function, words[1:])))
        from seatrial.sim.workloads.shell.builtins import BUILTINS

        builtin = BUILTINS.get(name)
        if builtin is not None:
            if name == "exec" and len(words) == 1:
                self._swap(fds)
                return 0
            return (yield from self._inside(fds, values, lambda: builtin(self, words), lasting=name in ASSIGNING))
        return (yield from self._external(words, values, fds, tail))

    def _assigned(self, command: Simple, values: list[tuple[str, str]]) -> Steps:
        substituted = any(
            type(part).__name__ == "Substitution" for given in command.assignments for part in given.value
        )
        for name, value in values:
            self.put(name, value)
        if command.redirections:
            try:
                yield from redirection.redirected(self, command.redirections)
            except OSError as error:
                redirection.complain(self, error)
                return 1
        return self.status if substituted else 0

    def _inside(
        self, fds: dict[int, Stream], values: list[tuple[str, str]], run: Callable[[], Any], lasting: bool = False
    ) -> Steps:
        """Runs a function or builtin with redirections and assignments of its own."""
        before = {name: self.variables.get(name) for name, _ in values}
        for name, value in values:
            self.put(name, value)
        saved = self._swap(fds) if fds is not self.proc.fds else None
        try:
            steps = run()
            return (yield from steps) if isinstance(steps, GeneratorType) else int(steps)
        finally:
            if saved is not None:
                self._restore(saved, fds)
            if not lasting:
                for name, old in before.items():
                    _restore(self.variables, name, old)

    def _call(self, body: Any, arguments: list[str]) -> Steps:
        saved, self.arguments = self.arguments, arguments
        self.locals.append({})
        try:
            return (yield from self.command(body))
        except Return as returned:
            return returned.status
        finally:
            self.arguments = saved
            for name, (old, array) in self.locals.pop().items():
                _restore(self.variables, name, old)
                _restore(self.arrays, name, array)

    def _external(self, words: list[str], values: list[tuple[str, str]], fds: dict[int, Stream], tail: bool) -> Steps:
        proc = self.proc
        env = {**self.environment(), **dict(values)}
        try:
            program = started_by(proc, words[0], env.get("PATH"))
        except OSError as error:
            return self._not_run(words[0], error, fds)
        if tail and not self.traps and not self.jobs:
            return (yield from self.become(program, words, env, fds))
        child = self._spawned(words, env, dict(fds))
        child.run(program)
        return (yield from child.wait())

    def become(
        self, program: Callable[[Proc], Any], words: list[str], env: dict[str, str], fds: dict[int, Stream]
    ) -> Steps:
        """The program takes over this process, as ``exec`` has it."""
        proc = self.proc
        self._swap(fds)
        proc.argv, proc.env = words, env
        proc.caught = {name: None for name, handler in proc.caught.items() if handler is None}
        proc.children = []
        result = program(proc)
        status = (yield from result) if isinstance(result, GeneratorType) else result
        self.traps.clear()
        raise Exited(int(status))

    def _not_run(self, name: str, error: OSError, fds: dict[int, Stream]) -> int:
        stream = fds.get(2)
        missing = error.errno == errno.ENOENT
        text = "not found" if missing else os.strerror(error.errno or 0)
        if stream is not None:
            stream.write(f"{self.name}: {name}: {text}\n".encode())
        return NOT_FOUND if missing else NOT_EXECUTABLE

    # Traps

    def set_trap(self, name: str, action: str | None) -> None:
        """Sets (text), ignores (empty) or resets (None) what a signal does."""
        if name == "EXIT":
            self.traps.pop(name, None)
            if action:
                self.traps[name] = action
            return
        if action is None:
            self.traps.pop(name, None)
            self.proc.caught.pop(name, None)
            return
        self.traps[name] = action
        self.proc.caught[name] = self._signalled if action else None

    def _signalled(self, name: str) -> None:
        self.pending.append(name)
        self.woken.fire()


def _restore(values: dict[str, Any], name: str, old: Any) -> None:
    if old is None:
        values.pop(name, None)
    else:
        values[name] = old


DECLARING = ("local", "declare", "typeset")
ASSIGNING = ("export", "readonly", "local", "declare", "typeset", "eval", ".", "source", ":", "set", "exec", "unset")
SPECIAL: dict[str, Callable[[Shell], str | None]] = {
    "?": lambda shell: str(shell.status),
    "#": lambda shell: str(len(shell.arguments)),
    "$": lambda shell: str(shell.top_pid()),
    "!": lambda shell: str(shell.background) if shell.background else None,
    "-": lambda shell: "".join(name for name, on in shell.options.items() if on and len(name) == 1),
    "@": lambda shell: " ".join(shell.arguments),
    "*": lambda shell: " ".join(shell.arguments),
    "RANDOM": lambda shell: str(shell.proc.container.rng.randrange(32768)),
    "SECONDS": lambda shell: str((shell.proc.clock.now - shell.begun_us) // 1_000_000),
    "PPID": lambda shell: str(shell.proc.parent.pid if shell.proc.parent is not None else 0),
    "HOSTNAME": lambda shell: shell.get("HOSTNAME") or shell.proc.container.hostname,
}


def compound() -> dict[type, Callable[[Shell, Any, bool], Steps]]:
    """What runs compound commands, by kind; builtins and compound commands need the shell's own class first."""
    from seatrial.sim.workloads.shell.compound import COMPOUND

    return COMPOUND


def steps(made: Steps) -> Callable[[Proc], Any]:
    """A generator that is there already, as the program of a process."""
    return lambda _: made


NOTHING = Stream()
