"""redis-cli: one command, or a conversation.

Source: redis.io/docs/latest/develop/tools/cli, redis-cli.c.
At a terminal replies are typed and quoted, elsewhere plain.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Generator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from seatrial.sim.workloads.commands.network import Failed, reach
from seatrial.sim.workloads.process import NULL, Exited, Pipe, Proc
from seatrial.sim.workloads.redis import server
from seatrial.sim.workloads.redis.resp import Problem, Reader, Reply, encoded, plain, shown

Steps = Generator[Any, Any, int]
WHY = {"refused": "Connection refused", "resolve": "Name or service not known", "timeout": "Connection timed out"}
VERSION = f"redis-cli {server.VERSION}\n"
FLAGS = ("-2", "-3", "-c", "-e", "-x", "--no-auth-warning", "--no-raw", "--raw", "--scan", "--tls", "--verbose")
VALUED = ("-a", "-h", "-i", "-n", "-p", "-r", "-t", "-u", "--pass", "--pattern", "--user")
UNSAFE = "Warning: Using a password with '-a' or '-u' option on the command line interface may not be safe.\n"


class Wanted(NamedTuple):
    """What a command line asks for."""

    given: Mapping[str, str]
    """Options by name; those that take no value have an empty one."""
    words: list[str]
    host: str
    port: int
    login: list[str]
    """User, if any, and password."""


def _wanted(proc: Proc) -> Wanted:
    """Raises Exited."""
    words, given = proc.argv[1:], dict[str, str]()
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word in ("-v", "--version"):
            proc.out(VERSION)
            raise Exited(0)
        if word in FLAGS:
            given[word] = ""
        elif word in VALUED and words:
            given[word] = words.pop(0)
        else:
            proc.err(f"Unrecognized option or bad number of args for: '{word}'\n")
            raise Exited(1)
    at = urlsplit(given.get("-u", ""))
    try:
        port = at.port or int(given.get("-p", "6379"))
        if not 0 < port < 65536:
            raise ValueError
    except ValueError:
        proc.err("Invalid server port.\n")
        raise Exited(1) from None
    password = given.get("-a") or given.get("--pass") or at.password
    if password and "--no-auth-warning" not in given:
        proc.err(UNSAFE)
    password = password or proc.env.get("REDISCLI_AUTH")
    user = given.get("--user") or at.username
    login = [*([user] if user else []), password] if password else []
    return Wanted(given, words, at.hostname or given.get("-h", "127.0.0.1"), port, login)


def redis_cli(proc: Proc) -> Steps:
    """redis-cli [-h host] [-p port] [-a password] [-r times] [-i seconds] [-x] [-e] [--scan] [command ...]

    Not modelled: ``-n``, as there is one database, TLS, clusters and statistics.
    """
    wanted = _wanted(proc)
    given, words = wanted.given, wanted.words
    typed = "--no-raw" in given or ("--raw" not in given and proc.fds.get(1, NULL).is_tty)
    client = Client(proc, wanted, shown if typed else plain)
    if "--scan" in given:
        return (yield from client.one(["KEYS", given.get("--pattern", "*")]))
    if "-x" in given and words:
        words = [*words, (yield from proc.read_all()).decode(errors="surrogateescape")]
    if not words:
        return (yield from _converse(proc, client))
    times, status = int(given.get("-r", "1")), 0
    while times:
        status = yield from client.one(words)
        times -= 1
        if times and (wait := float(given.get("-i", "0")) or times < 0):
            yield proc.clock.sleep(round(wait * 1_000_000), periodic=True)
    return status


def _converse(proc: Proc, client: Client) -> Steps:
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
            yield from client.one(words)


class Client:
    """A connection that is made when it is needed."""

    def __init__(self, proc: Proc, wanted: Wanted, form: Callable[[Reply], str]) -> None:
        self.proc, self.host, self.port = proc, wanted.host, wanted.port
        self.connected = False
        self._login, self._form = wanted.login, form
        self._strict = "-e" in wanted.given
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
        if self._login:
            reply = yield from self._ask([b"AUTH", *(word.encode(errors="surrogateescape") for word in self._login)])
            if isinstance(reply, Problem):
                self.proc.err(f"AUTH failed: {reply}\n")
        return True

    def _closed(self) -> None:
        if self.connected:
            self.connected = False
            self._answers.closed(True)

    def one(self, words: list[str]) -> Steps:
        """Says one command and prints the reply. An error is a reply like others, but with ``-e``."""
        if not self.connected and not (yield from self.connect()):
            return 1
        reply = yield from self._ask([word.encode(errors="surrogateescape") for word in words])
        if reply is GONE:
            self.proc.err("Error: Server closed the connection\n")
            return 1
        if isinstance(reply, Problem) and self._strict:
            self.proc.err(f"{reply}\n")
            return 1
        is_report = words[0].lower() == "info" and isinstance(reply, bytes)
        self.proc.out(f"{(plain if is_report else self._form)(reply)}\n")
        return 0

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
