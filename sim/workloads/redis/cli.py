"""redis-cli: one command, or a conversation.

Source: redis.io/docs/latest/develop/tools/cli. At a terminal replies are typed and quoted, elsewhere plain.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Generator
from typing import Any

from seatrial.sim.workloads.commands.network import Failed, reach
from seatrial.sim.workloads.process import NULL, Pipe, Proc
from seatrial.sim.workloads.redis.resp import Problem, Reader, Reply, encoded, plain, shown

Steps = Generator[Any, Any, int]
WHY = {"refused": "Connection refused", "resolve": "Name or service not known", "timeout": "Connection timed out"}
LONG = {"--raw": "", "--no-raw": "", "--no-auth-warning": ""}


def redis_cli(proc: Proc) -> Steps:
    """redis-cli [-h host] [-p port] [-a password] [-n database] [command ...]"""
    host, port, password, words = "127.0.0.1", 6379, proc.env.get("REDISCLI_AUTH", ""), proc.argv[1:]
    typed = proc.fds.get(1, NULL).is_tty
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word in LONG:
            typed = word == "--no-raw" or (typed and word != "--raw")
        elif word in ("-h", "-p", "-a", "-n", "-u", "--pass") and words:
            value = words.pop(0)
            host = value if word == "-h" else host
            port = int(value) if word == "-p" else port
            password = value if word in ("-a", "--pass") else password
        else:
            proc.err(f"Unrecognized option or bad number of args for: '{word}'\n")
            return 1
    client = Client(proc, host, port, password)
    if words:
        return (yield from client.one(words, shown if typed else plain))
    return (yield from _converse(proc, client, shown if typed else plain))


def _converse(proc: Proc, client: Client, form: Callable[[Reply], str]) -> Steps:
    at_terminal = proc.stdin.is_tty
    if at_terminal:
        yield from client.connect()
    while True:
        if at_terminal:
            proc.out(f"{client.host}:{client.port}> " if client.connected else "not connected> ")
        line = (yield from proc.stdin.read_line()).decode(errors="surrogateescape")
        if not line:
            return 0
        try:
            words = shlex.split(line)
        except ValueError:
            proc.out("Invalid argument(s)\n")
            continue
        if words and words[0].lower() in ("exit", "quit"):
            return 0
        if words:
            yield from client.one(words, form)


class Client:
    """A connection that is made when it is needed."""

    def __init__(self, proc: Proc, host: str, port: int, password: str) -> None:
        self.proc, self.host, self.port = proc, host, port
        self.connected = False
        self._password = password
        self._connection: Any = None
        self._answers = Pipe(proc.clock, bounded=False)

    def connect(self) -> Generator[Any, Any, bool]:
        """Whether there is a connection now; why not is said."""
        try:
            _, listener = yield from reach(self.proc, self.host, self.port)
        except Failed as failed:
            why = WHY.get(failed.kind, "No route to host")
            self.proc.err(f"Could not connect to Redis at {self.host}:{self.port}: {why}\n")
            return False
        self._answers = Pipe(self.proc.clock, bounded=False)
        self._answers.opened(True)
        self._connection = listener.open(self._answers.write, self._closed, self.proc.container.sandbox.ip)
        self.proc.on_exit.append(lambda _: self._connection.close())
        self.connected = True
        if self._password:
            reply = yield from self._ask([b"AUTH", self._password.encode()])
            if isinstance(reply, Problem):
                self.proc.err(f"AUTH failed: {reply}\n")
        return True

    def _closed(self) -> None:
        if self.connected:
            self.connected = False
            self._answers.closed(True)

    def one(self, words: list[str], form: Callable[[Reply], str]) -> Steps:
        """Says one command and prints the reply."""
        if not self.connected and not (yield from self.connect()):
            return 1
        reply = yield from self._ask([word.encode(errors="surrogateescape") for word in words])
        if reply is GONE:
            self.proc.err("Error: Server closed the connection\n")
            return 1
        text = (
            reply.decode(errors="replace") if words[0].lower() == "info" and isinstance(reply, bytes) else form(reply)
        )
        self.proc.out(f"{text}\n")
        return int(isinstance(reply, Problem))

    def _ask(self, words: list[bytes]) -> Generator[Any, Any, Reply]:
        reader = Reader()
        found: list[Reply] = []
        try:
            self._connection.write(encoded(list(words)))
        except OSError:
            return GONE
        while not found:
            data = yield from self._answers.read()
            if not data:
                return GONE
            found = reader.feed(data)
        return found[0]


GONE = object()
"""No reply: the connection ended."""
