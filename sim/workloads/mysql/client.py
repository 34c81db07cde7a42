"""mysql and mysqladmin.

Source: dev.mysql.com/doc/refman/8.0/en/{mysql,mysqladmin}.html; client/mysqladmin.cc. At a terminal rows are drawn as a
table, elsewhere parted by tabs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator
from typing import Any

from seatrial.sim.workloads.commands.network import Failed, reach
from seatrial.sim.workloads.commands.options import say
from seatrial.sim.workloads.mysql.server import PORT, SOCKET, VERSION
from seatrial.sim.workloads.mysql.statements import split
from seatrial.sim.workloads.process import NULL, Exited, Pipe, Proc

Steps = Generator[Any, Any, Any]
VALUED = {"h": "host", "u": "user", "P": "port", "e": "execute", "D": "database", "S": "socket", "w": "wait"}
FLAGS = {"N": "skip-column-names", "B": "batch", "s": "silent", "t": "table", "f": "force", "v": "verbose",
         "r": "raw", "A": "no-auto-rehash"}  # fmt: skip
UNSAFE = "[Warning] Using a password on the command line interface can be insecure."
LOST = 2013
"""A connection that ended (errmsg.h)."""
OWN = range(2000, 3000)
"""Errors of the client itself: there is no server that could have refused anything."""
HINT = "Check that mysqld is running on {0} and that the port is {1}.\nYou can check this by doing 'telnet {0} {1}'\n"
SOCKET_HINT = f"Check that mysqld is running and that the socket: '{SOCKET}' exists!\n"
GREETING = (
    "Welcome to the MySQL monitor.  Commands end with ; or \\g.\nServer version: {0}\n\n"
    "Type 'help;' or '\\h' for help. Type '\\c' to clear the current input statement.\n\n"
)


class Problem(Exception):
    """``args``: number, SQLSTATE, message."""


def _parsed(proc: Proc) -> tuple[dict[str, str], list[str]]:
    """Options by their long names, and operands. Raises Exited."""
    options: dict[str, str] = {}
    operands: list[str] = []
    rest = list(proc.argv[1:])
    while rest:
        word = rest.pop(0)
        name, equals, value = word[2:].partition("=")
        if not word.startswith("-") or word == "-":
            operands.append(word)
        elif word.startswith("--"):
            if not equals and name in VALUED.values() and rest:
                value = rest.pop(0)
            options[name] = value
        elif word[1] == "p":
            options["password"] = word[2:]
        elif word[1] in VALUED and (word[2:] or rest):
            options[VALUED[word[1]]] = word[2:] or rest.pop(0)
        elif all(letter in FLAGS for letter in word[1:]):
            options |= {FLAGS[letter]: "" for letter in word[1:]}
        else:
            say(proc, f"[ERROR] unknown option '{word[:2]}'.")
            raise Exited(2)
    if not options.get("port", "1").isdigit():
        say(
            proc,
            f"[ERROR] Unknown suffix '{options['port'][:1]}' used for variable 'port' (value '{options['port']}').",
        )
        raise Exited(1)
    if options.get("password"):
        say(proc, UNSAFE)
    return options, operands


class Client:
    """A connection to a server."""

    def __init__(self, proc: Proc, options: dict[str, str]) -> None:
        self.proc = proc
        self.host = options.get("host", "localhost")
        self.port = int(options.get("port", PORT))
        self.user = options.get("user", "root")
        self.by_socket = self.host == "localhost" and options.get("protocol", "").lower() != "tcp"
        self._answers = Pipe(proc.clock, bounded=False)
        self._open = False
        self._connection: Any = None

    def connect(self, password: str, database: str = "") -> Steps:
        """Raises Problem."""
        if self.by_socket and not self.proc.fs.exists(SOCKET):
            self._missing(2)
        try:
            host = "127.0.0.1" if self.by_socket else self.host
            _, listener = yield from reach(self.proc, host, self.port)
        except Failed as failed:
            if failed.kind == "resolve":
                raise Problem(2005, "HY000", f"Unknown MySQL server host '{self.host}' (-2)") from None
            self._missing({"refused": 111, "timeout": 110}.get(failed.kind, 113))
        self._answers.opened(True)
        self._open = True
        self._connection = listener.open(self._answers.write, self._closed, self.proc.container.sandbox.ip)
        self.proc.on_exit.append(lambda _: self._connection.close())
        yield from self.ask({"user": self.user, "password": password, "database": database})

    def _missing(self, number: int) -> None:
        if self.by_socket:
            told = f"Can't connect to local MySQL server through socket '{SOCKET}' ({number})"
            raise Problem(2002, "HY000", told)
        raise Problem(2003, "HY000", f"Can't connect to MySQL server on '{self.host}:{self.port}' ({number})")

    def _closed(self) -> None:
        if self._open:
            self._open = False
            self._answers.closed(True)

    def ask(self, what: Any) -> Steps:
        """The reply. Raises Problem."""
        try:
            self._connection.write(json.dumps(what).encode() + b"\n")
            line = yield from self._answers.read_line()
            reply = json.loads(line)
        except (OSError, ValueError):
            raise Problem(LOST, "HY000", "Lost connection to MySQL server during query") from None
        if "error" in reply:
            raise Problem(*reply["error"])
        return reply


def _password(proc: Proc, options: dict[str, str]) -> Steps:
    given = options.get("password")
    if given == "":
        proc.err("Enter password: ")
        given = (yield from proc.stdin.read_line()).decode(errors="surrogateescape").rstrip("\r\n")
    return proc.env.get("MYSQL_PWD", "") if given is None else given


def mysql(proc: Proc) -> Steps:
    """mysql [-h host] [-P port] [-u user] [-p[password]] [-e statements] [-NBst] [database]"""
    options, operands = _parsed(proc)
    if "version" in options or "V" in options:
        proc.out(f"mysql  Ver {VERSION} for Linux on x86_64 (MySQL Community Server - GPL)\n")
        return 0
    client = Client(proc, options)
    try:
        password = yield from _password(proc, options)
        yield from client.connect(password, (operands or [options.get("database", "")])[0])
    except Problem as problem:
        proc.err("ERROR {} ({}): {}\n".format(*problem.args))
        return 1
    drawn = "table" in options or (proc.fds.get(1, NULL).is_tty and "batch" not in options and "silent" not in options)
    show = _drawn if drawn else _tabbed
    names = "skip-column-names" not in options and options.get("silent") is None
    if "execute" not in options and proc.stdin.is_tty:
        return (yield from _converse(proc, client, lambda reply: show(reply, names)))
    text = options.get("execute")
    if text is None:
        text = (yield from proc.read_all()).decode(errors="surrogateescape")
    statements, begun = split(text)
    for statement in [*statements, *([begun.strip()] if begun.strip() else [])]:
        try:
            proc.out(show((yield from client.ask(statement)), names))
        except Problem as problem:
            line = text.count("\n", 0, max(text.find(statement), 0)) + 1
            proc.err("ERROR {} ({}) at line {line}: {}\n".format(*problem.args, line=line))
            if "force" not in options:
                return 1
    return 0


def _converse(proc: Proc, client: Client, show: Callable[[Any], str]) -> Steps:
    proc.out(GREETING.format(VERSION))
    begun = ""
    while True:
        proc.out("    -> " if begun.strip() else "mysql> ")
        line = (yield from proc.stdin.read_line()).decode(errors="surrogateescape")
        if not line or (not begun.strip() and line.strip().rstrip(";").lower() in ("exit", "quit", "\\q")):
            proc.out("Bye\n")
            return 0
        statements, begun = split(begun + line)
        for statement in statements:
            try:
                reply = yield from client.ask(statement)
                proc.out(show(reply) + _summary(statement, reply))
            except Problem as problem:
                proc.err("ERROR {} ({}): {}\n".format(*problem.args))
                if problem.args[0] == LOST:
                    return 1


def _summary(statement: str, reply: Any) -> str:
    if re.match(r"use\s", statement, re.IGNORECASE):
        return "Database changed\n"
    count = len(reply["rows"]) if reply["columns"] else reply["changed"]
    rows = f"{count} row{'' if count == 1 else 's'}"
    if not reply["columns"]:
        return f"Query OK, {rows} affected (0.01 sec)\n\n"
    return f"{rows if count else 'Empty set'}{' in set' if count else ''} (0.00 sec)\n\n"


def _tabbed(reply: Any, names: bool) -> str:
    rows = ([reply["columns"]] if names else []) + reply["rows"] if reply["rows"] else []
    return "".join("\t".join("NULL" if value is None else _escaped(value) for value in row) + "\n" for row in rows)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")


def _drawn(reply: Any, names: bool) -> str:
    rows = [["NULL" if value is None else value for value in row] for row in reply["rows"]]
    if not rows:
        return ""
    heads = [reply["columns"]] if names else []
    widths = [max(len(row[at]) for row in [*heads, *rows]) for at in range(len(rows[0]))]
    rule = "+" + "".join("-" * (width + 2) + "+" for width in widths) + "\n"
    numeric = [all(re.fullmatch(r"-?[\d.]+|NULL", row[at]) for row in rows) for at in range(len(widths))]

    def line(row: list[str], head: bool) -> str:
        cells = (
            text.rjust(width) if right and not head else text.ljust(width)
            for text, width, right in zip(row, widths, numeric, strict=True)
        )
        return "".join(f"| {cell} " for cell in cells) + "|\n"

    return rule + "".join(line(row, True) + rule for row in heads) + "".join(line(row, False) for row in rows) + rule


def mysqladmin(proc: Proc) -> Steps:
    """mysqladmin [-h host] [-P port] [-u user] [-p[password]] ping | status | version | shutdown"""
    options, verbs = _parsed(proc)
    if not verbs:
        proc.out("Usage: mysqladmin [OPTIONS] command command....\n")
        return 1
    client = Client(proc, options)
    try:
        password = yield from _password(proc, options)
        yield from client.connect(password)
    except Problem as problem:
        say(proc, f"connect to server at '{client.host}' failed\nerror: '{problem.args[2]}'")
        if problem.args[0] not in OWN:
            # Whoever refuses an account is there, and that was the question.
            return int(any(verb != "ping" for verb in verbs))
        proc.err(SOCKET_HINT if client.by_socket else HINT.format(client.host, client.port))
        return 1
    for verb in verbs:
        if verb == "ping":
            proc.out("mysqld is alive\n")
        elif verb == "status":
            uptime = (proc.clock.now - proc.container.started_us) // 1_000_000
            proc.out(f"Uptime: {uptime}  Threads: 1  Questions: 1  Slow queries: 0  Opens: 0  Open tables: 0\n")
        elif verb == "version":
            proc.out(f"mysqladmin  Ver {VERSION} for Linux on x86_64\nServer version\t\t{VERSION}\n")
        elif verb == "shutdown":
            yield from client.ask("shutdown")
        else:
            say(proc, f"Unknown command: '{verb}'")
            return 1
    return 0


COMMANDS: dict[str, Callable[[Proc], Any]] = {"mysql": mysql, "mysqladmin": mysqladmin}
