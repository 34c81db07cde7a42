"""mysqld: accounts of its environment, settings of its files, and connections.

Source: hub.docker.com/_/mysql (environment); dev.mysql.com/doc/refman/8.0/en/option-files.html. *Not modelled*: MySQL's
own protocol, instead of which client and server exchange lines of JSON, files, and copies by replicas: what is in
memory is gone with the process.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Any

from seatrial.sim.kernel.clock import stamp_of
from seatrial.sim.workloads.mysql.statements import Answer, Refused, Session, Table
from seatrial.sim.workloads.net import HttpRequest, HttpResponse
from seatrial.sim.workloads.process import Proc
from seatrial.sim.workloads.shell.patterns import files

VERSION = "8.4.6"
PORT = 3306
SOCKET = "/var/run/mysqld/mysqld.sock"
OPTION_FILES = "/etc/mysql/conf.d/*.cnf"
READ_ONLY = ("super-read-only", "read-only")


def _settings(proc: Proc) -> dict[str, str]:
    """What the files' ``[mysqld]`` says, and then the command line."""
    found: dict[str, str] = {}
    for path in files(proc.fs, "/", OPTION_FILES):
        group = ""
        for line in proc.fs.read(path).decode(errors="replace").splitlines():
            if line.startswith("["):
                group = line.strip("[] \t")
            elif group == "mysqld" and line.strip() and line[:1] not in "#;":
                _set(found, line)
    for word in proc.argv[1:]:
        if word.startswith("--"):
            _set(found, word[2:])
    return found


def _set(found: dict[str, str], text: str) -> None:
    name, equals, value = text.partition("=")
    found[name.strip().lower().replace("_", "-")] = value.strip() if equals else "ON"


class Server:
    """A running server (net.Listener)."""

    def __init__(self, proc: Proc) -> None:
        self.proc = proc
        self.settings = _settings(proc)
        port = self.settings.get("port", "")
        self.port = int(port) if re.fullmatch(r"\d{1,5}", port) else PORT
        env = proc.env
        root = env.get("MYSQL_ROOT_PASSWORD") or env.get("MARIADB_ROOT_PASSWORD") or ""
        if not root and env.get("MYSQL_RANDOM_ROOT_PASSWORD"):
            root = proc.container.rng.randbytes(12).hex()
            proc.out(f"[Note] [Entrypoint]: GENERATED ROOT PASSWORD: {root}\n")
        self.accounts = {"root": root}
        if env.get("MYSQL_USER"):
            self.accounts[env["MYSQL_USER"]] = env.get("MYSQL_PASSWORD", "")
        self.databases: dict[str, dict[str, Table]] = {}
        if env.get("MYSQL_DATABASE"):
            self.databases[env["MYSQL_DATABASE"]] = {}
        proc.fs.make_dir(posixpath.dirname(SOCKET), parents=True)
        proc.fs.write(SOCKET, b"")

    @property
    def read_only(self) -> str:
        return next((name for name in READ_ONLY if self.settings.get(name, "OFF").upper() in ("ON", "1")), "")

    def said(self, name: str) -> str | None:
        """A variable or a function without arguments."""
        moment = stamp_of(self.proc.clock.now)
        hostname = self.proc.container.hostname
        found: Mapping[str, str] = {
            "now()": f"{moment[:10]} {moment[11:19]}",
            "version()": VERSION,
            "@@version": VERSION,
            "@@hostname": hostname,
            "@@server_id": self.settings.get("server-id", "1"),
            "@@port": str(self.port),
            "@@read_only": str(int(bool(self.read_only))),
            "@@super_read_only": str(int(self.read_only == READ_ONLY[0])),
        }
        return found.get(name.replace("@@global.", "@@"))

    def http(self, request: HttpRequest) -> HttpResponse:
        raise ConnectionResetError(104, "Connection reset by peer")

    def open(self, on_data: Callable[[bytes], None], on_close: Callable[[], None], client: str) -> Connection:
        return Connection(self, on_data, on_close, client)


class Connection:
    """One client's: the first line says who it is, each further one a statement, and each gets a line in reply."""

    def __init__(
        self, server: Server, on_data: Callable[[bytes], None], on_close: Callable[[], None], client: str
    ) -> None:
        self._server, self._on_data, self._on_close = server, on_data, on_close
        self._client = "localhost" if client in ("127.0.0.1", server.proc.container.sandbox.ip) else client
        self._buffer = b""
        self._session: Session | None = None

    def write(self, data: bytes) -> None:
        self._buffer += data
        while b"\n" in self._buffer:
            line, _, self._buffer = self._buffer.partition(b"\n")
            try:
                asked = json.loads(line)
                reply = self._reply(asked)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                self._on_close()
                return
            self._on_data(json.dumps(reply).encode() + b"\n")

    def _reply(self, asked: Any) -> Any:
        try:
            if self._session is None:
                self._session = self._entered(asked["user"], asked["password"])
                if asked["database"]:
                    self._session.tables(asked["database"])
                    self._session.database = asked["database"]
                answer = Answer([], [])
            elif asked == "shutdown":
                self._server.proc.signal("TERM")
                answer = Answer([], [])
            else:
                answer = self._session.execute(asked)
        except Refused as refused:
            return {"error": refused.args}
        return answer._asdict()

    def _entered(self, user: str, password: str) -> Session:
        server = self._server
        if server.accounts.get(user) != password:
            using = "YES" if password else "NO"
            told = f"Access denied for user '{user}'@'{self._client}' (using password: {using})"
            raise Refused(1045, "28000", told)
        return Session(server.databases, server.said, server.read_only)

    def close_write(self) -> None:
        self._on_close()

    def close(self) -> None:
        """Nothing is kept."""
