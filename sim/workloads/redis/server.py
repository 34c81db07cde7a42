"""redis-server: its configuration, connections and replicas.

Source: redis.io/docs/latest/operate/oss_and_stack/management/{config,replication}. A replica asks its primary for all
that there is and is told of every change; until then, and when the link is gone, it asks again once a second. Not
modelled: ACLs but for ``requirepass``, Sentinel, Cluster, persistence.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from seatrial.sim.kernel.clock import Signal, stamp_of
from seatrial.sim.workloads.commands.network import Failed, reach
from seatrial.sim.workloads.net import HttpRequest, HttpResponse
from seatrial.sim.workloads.process import Exited, Proc
from seatrial.sim.workloads.redis.resp import Problem, Reader, Reply, Status, encoded
from seatrial.sim.workloads.redis.store import COMMANDS, OK, Store, Words

RETRY_US = 1_000_000
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
DEFAULTS = {
    "appendonly": "no",
    "bind": "* -::*",
    "databases": "16",
    "dir": "/data",
    "maxclients": "10000",
    "maxmemory": "0",
    "maxmemory-policy": "noeviction",
    "port": "6379",
    "replicaof": "",
    "requirepass": "",
    "save": "3600 1 300 100 60 10000",
    "timeout": "0",
}
"""Of a server that is told nothing (redis.conf)."""
SIZES = ("maxmemory",)
UNITS = {"gb": 1 << 30, "mb": 1 << 20, "kb": 1 << 10, "g": 10**9, "m": 10**6, "k": 10**3, "b": 1}
OLD_NAMES = {"slaveof": "replicaof"}


def bytes_of(text: str) -> str:
    """``2mb`` as a number."""
    lower = text.lower()
    for unit, factor in UNITS.items():
        if lower.endswith(unit) and lower[: -len(unit)].isdigit():
            return str(int(lower[: -len(unit)]) * factor)
    return text


def configured(proc: Proc) -> dict[str, str]:
    """The settings: a file's, then the command line's. Raises Exited(1) for a file that is not there."""
    words, found = proc.argv[1:], dict(DEFAULTS)
    given: list[tuple[str, str]] = []
    if words and not words[0].startswith("--"):
        path = words.pop(0)
        try:
            text = proc.fs.read(path, proc.cwd).decode(errors="replace")
        except OSError as error:
            _say(proc, "#", f"Fatal error, can't open config file '{proc.path(path)}': {error.strerror}", "C")
            raise Exited(1) from None
        for line in text.splitlines():
            name, _, value = line.strip().partition(" ")
            if name and not name.startswith("#"):
                given.append((name, value.strip().strip('"')))
    while words:
        name, values = words.pop(0).removeprefix("--"), []
        while words and not words[0].startswith("--"):
            values.append(words.pop(0))
        given.append((name, " ".join(values)))
    for name, value in given:
        name = OLD_NAMES.get(name.lower(), name.lower())
        found[name] = bytes_of(value) if name in SIZES else value
    return found


def _say(proc: Proc, level: str, text: str, role: str = "M") -> None:
    stamp = stamp_of(proc.clock.now)
    when = f"{stamp[8:10]} {MONTHS[int(stamp[5:7]) - 1]} {stamp[:4]} {stamp[11:19]}.{proc.clock.now // 1000 % 1000:03d}"
    proc.out(f"{proc.pid}:{role} {when} {level} {text}\n")


class Server:
    """A running server (net.Listener)."""

    def __init__(self, proc: Proc) -> None:
        self.proc = proc
        self.config = configured(proc)
        self.port = int(self.config["port"])
        self.store = Store(lambda: proc.clock.now)
        self.replicas: list[Connection] = []
        self.linked = False
        """A replica has its primary's data."""
        self._changed = Signal(proc.clock)
        role = "S" if self.config["replicaof"] else "M"
        _say(proc, "*", "oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo", "C")
        if len(proc.argv) < 2:
            how = "In order to specify a config file use redis-server /path/to/redis.conf"
            _say(proc, "#", f"Warning: no config file specified, using the default config. {how}", "C")
        _say(proc, "*", f"Running mode=standalone, port={self.port}.", role)
        _say(proc, "*", "Server initialized", role)
        _say(proc, "*", "Ready to accept connections tcp", role)
        if self.config["replicaof"]:
            proc.clock.spawn(self._follow(), "redis")

    def http(self, request: HttpRequest) -> HttpResponse:
        raise ConnectionResetError(104, "Connection reset by peer")

    def open(self, on_data: Callable[[bytes], None], on_close: Callable[[], None], client: str) -> Connection:
        return Connection(self, on_data, on_close)

    def execute(self, words: Words) -> Reply:
        """A command of a client that may give it."""
        name = words[0].decode(errors="replace").lower()
        own = OWN.get(name)
        if own is not None:
            return own(self, words[1:])
        command = COMMANDS.get(name)
        if command is None or not command.writes:
            return self.store.execute(words)
        if self.config["replicaof"]:
            return Problem("READONLY You can't write against a read only replica.")
        reply = self.store.execute(words)
        if not isinstance(reply, Problem):
            for replica in list(self.replicas):
                replica.tell(words)
        return reply

    # A replica's part

    def _follow(self) -> Generator[Any, Any, None]:
        proc = self.proc
        while proc.exit_status is None:
            host, _, port = self.config["replicaof"].partition(" ")
            if host:
                _say(proc, "*", f"Connecting to MASTER {host}:{port}", "S")
                try:
                    _, listener = yield from reach(proc, host, int(port))
                    yield from self._copy(listener)
                except Failed as failed:
                    why = {"refused": "Connection refused", "resolve": "Name or service not known"}.get(failed.kind)
                    _say(proc, "#", f"Unable to connect to MASTER: {why or 'Connection timed out'}", "S")
            self.linked = False
            yield proc.clock.sleep(RETRY_US, periodic=True)

    def _copy(self, listener: Any) -> Generator[Any, Any, None]:
        """Takes over what the primary has and says, until the link is gone."""
        reader, ended = Reader(), Signal(self.proc.clock)
        closed: list[bool] = []
        self.store.clear()

        def take(data: bytes) -> None:
            for words in reader.feed(data):
                if isinstance(words, list):
                    self.store.execute(words)

        def close() -> None:
            closed.append(True)
            ended.fire()

        connection = listener.open(take, close, self.proc.container.sandbox.ip)
        self.proc.on_exit.append(lambda _: connection.close())
        password = self.config.get("masterauth")
        connection.write(encoded([b"AUTH", password.encode()]) if password else b"")
        connection.write(encoded([b"SYNC"]))
        self.linked = True
        _say(self.proc, "*", "MASTER <-> REPLICA sync: Finished with success", "S")
        while not closed:
            yield ended.wait()
        _say(self.proc, "*", "Connection with master lost.", "S")


class Connection:
    """One client's, or a replica's."""

    def __init__(self, server: Server, on_data: Callable[[bytes], None], on_close: Callable[[], None]) -> None:
        self._server = server
        self._on_data, self._on_close = on_data, on_close
        self._reader = Reader()
        self._known = not server.config["requirepass"]

    def write(self, data: bytes) -> None:
        try:
            requests = self._reader.feed(data)
        except ValueError:
            self._on_data(encoded(Problem("ERR Protocol error")))
            self._on_close()
            return
        for words in requests:
            if not isinstance(words, list) or not words:
                continue
            name = bytes(words[0]).lower()
            if name == b"quit":
                self._on_data(encoded(OK))
                self._on_close()
                return
            if name == b"sync":
                self._replicate()
            elif name == b"auth":
                self._on_data(encoded(self._identify(words[-1])))
            elif not self._known:
                self._on_data(encoded(Problem("NOAUTH Authentication required.")))
            else:
                self._on_data(encoded(self._server.execute(words)))

    def _identify(self, password: bytes) -> Reply:
        wanted = self._server.config["requirepass"]
        if not wanted:
            return Problem(
                "ERR AUTH <password> called without any password configured for the default user. "
                "Are you sure your configuration is correct?"
            )
        if password.decode(errors="replace") != wanted:
            return Problem("WRONGPASS invalid username-password pair or user is disabled.")
        self._known = True
        return OK

    def _replicate(self) -> None:
        self._server.replicas.append(self)
        for words in self._server.store.as_commands():
            self.tell(words)

    def tell(self, words: Words) -> None:
        """A change, to a replica."""
        self._on_data(encoded(list(words)))

    def close_write(self) -> None:
        self.close()
        self._on_close()

    def close(self) -> None:
        if self in self._server.replicas:
            self._server.replicas.remove(self)


def _config(server: Server, words: Words) -> Reply:
    verb, *rest = [word.decode(errors="replace").lower() for word in words] or [""]
    if verb == "get" and rest:
        return [part.encode() for name in rest if name in server.config for part in (name, server.config[name])]
    if verb == "set" and len(rest) == 2:
        if rest[0] not in server.config:
            return Problem(f"ERR Unknown option or number of arguments for CONFIG SET - '{rest[0]}'")
        server.config[rest[0]] = bytes_of(rest[1]) if rest[0] in SIZES else rest[1]
        return OK
    return Problem("ERR unknown subcommand or wrong number of arguments. Try CONFIG HELP.")


def _info(server: Server, words: Words) -> Reply:
    host, _, port = server.config["replicaof"].partition(" ")
    if host:
        link = "up" if server.linked else "down"
        role = ["role:slave", f"master_host:{host}", f"master_port:{port}", f"master_link_status:{link}"]
    else:
        role = ["role:master", f"connected_slaves:{len(server.replicas)}"]
    memory = server.proc.memory
    sections = {
        "Server": ["redis_version:8.2.1", "redis_mode:standalone", f"tcp_port:{server.port}"],
        "Memory": [f"used_memory:{memory}", f"maxmemory:{server.config['maxmemory']}"],
        "Replication": role,
        "Keyspace": [f"db0:keys={len(server.store.names())},expires=0,avg_ttl=0"],
    }
    wanted = [word.decode(errors="replace").lower() for word in words]
    lines = []
    for name, rows in sections.items():
        if not wanted or name.lower() in wanted or wanted == ["all"]:
            lines += [f"# {name}", *rows, ""]
    return "\r\n".join(lines).encode()


def _replica_of(server: Server, words: Words) -> Reply:
    if len(words) != 2:
        return Problem("ERR wrong number of arguments for 'replicaof' command")
    host, port = (word.decode(errors="replace") for word in words)
    had = bool(server.config["replicaof"])
    server.config["replicaof"] = "" if (host.lower(), port.lower()) == ("no", "one") else f"{host} {port}"
    if server.config["replicaof"] and not had:
        server.proc.clock.spawn(server._follow(), "redis")
    return OK


OWN: dict[str, Callable[[Server, Words], Reply]] = {
    "config": _config,
    "info": _info,
    "replicaof": _replica_of,
    "slaveof": _replica_of,
    "command": lambda server, words: [],
    "client": lambda server, words: OK,
    "save": lambda server, words: OK,
    "bgsave": lambda server, words: Status("Background saving started"),
}
"""Commands about the server itself."""
