"""redis-server: its configuration, connections and replicas.

Source: redis.io/docs/latest/operate/oss_and_stack/management/{config,replication}. A replica asks its primary for all
that there is and is told of every change; until then, and when the link is gone, it asks again once a second. Not
modelled: ACLs but for ``requirepass``, Sentinel, Cluster, persistence, and that unknown settings are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any

from seatrial.sim.kernel.clock import Signal, stamp_of
from seatrial.sim.workloads.commands.network import Failed, reach
from seatrial.sim.workloads.net import HttpRequest, HttpResponse
from seatrial.sim.workloads.process import Exited, Proc
from seatrial.sim.workloads.redis.commands import COMMANDS, OK, execute, named
from seatrial.sim.workloads.redis.resp import Problem, Reader, Reply, Status, encoded
from seatrial.sim.workloads.redis.store import Store, Words

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
PORTS = range(65536)
VERSION = "8.2.1"
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
    """The settings: a file's, then the command line's. Raises Exited(1) for a file that is not there, and nonsense."""
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
            name, *values = line.split(maxsplit=1) or [""]
            if name and not name.startswith("#"):
                given.append((name, "".join(values).strip().strip('"')))
    while words:
        name, values = words.pop(0).removeprefix("--"), []
        while words and not words[0].startswith("--"):
            values.append(words.pop(0))
        given.append((name, " ".join(values)))
    for name, value in given:
        name = OLD_NAMES.get(name.lower(), name.lower())
        if (problem := _wrong(name, value)) is not None:
            proc.err(f"\n*** FATAL CONFIG FILE ERROR (Redis {VERSION}) ***\nReading the configuration file\n")
            proc.err(f">>> '{name} {value}'\n{problem}\n")
            raise Exited(1)
        found[name] = bytes_of(value) if name in SIZES else value
    return found


def _wrong(name: str, value: str) -> str | None:
    """What is wrong with a setting that the server goes by."""
    words = value.split()
    if name == "port" and not _is_port(value):
        return "argument couldn't be parsed into an integer"
    if name == "replicaof" and value and len(words) != 2:
        return "wrong number of arguments"
    if name == "replicaof" and value and words != ["no", "one"] and not _is_port(words[1]):
        return "Invalid master port"
    return None


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 6 and int(text) in PORTS


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
        self._following = False
        self._primary: Any = None
        """A replica's connection."""
        self._left = Signal(proc.clock)
        """Fires when that connection is no more."""
        role = "S" if self.config["replicaof"] else "M"
        _say(proc, "*", "oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo", "C")
        if len(proc.argv) < 2:
            how = "In order to specify a config file use redis-server /path/to/redis.conf"
            _say(proc, "#", f"Warning: no config file specified, using the default config. {how}", "C")
        _say(proc, "*", f"Running mode=standalone, port={self.port}.", role)
        _say(proc, "*", "Server initialized", role)
        _say(proc, "*", "Ready to accept connections tcp", role)
        proc.on_exit.append(lambda _: self._leave())
        self.follow(self.config["replicaof"])

    def http(self, request: HttpRequest) -> HttpResponse:
        raise ConnectionResetError(104, "Connection reset by peer")

    def open(self, on_data: Callable[[bytes], None], on_close: Callable[[], None], client: str) -> Connection:
        return Connection(self, on_data, on_close, client)

    def execute(self, words: Words) -> Reply:
        """A command of a client that may give it."""
        name = words[0].decode(errors="replace").lower()
        own = OWN.get(name)
        if own is not None:
            return own(self, words[1:])
        command = COMMANDS.get(name)
        if command is None or not command.writes:
            return execute(self.store, words)
        if self.config["replicaof"]:
            return Problem("READONLY You can't write against a read only replica.")
        return self._changed(words)

    def _changed(self, words: Words) -> Reply:
        """What changes the data is told to those who have a copy."""
        reply = execute(self.store, words)
        if not isinstance(reply, Problem):
            for replica in list(self.replicas):
                replica.tell(words)
        return reply

    # A replica's part

    def follow(self, primary: str) -> None:
        """Copies from ``host port`` from now on, or from nobody."""
        self.config["replicaof"] = "" if primary.lower() == "no one" else primary
        self._leave()
        if self.config["replicaof"] and not self._following:
            self._following = True
            self.proc.clock.spawn(self._follow(), "redis")

    def _leave(self) -> None:
        primary, self._primary, self.linked = self._primary, None, False
        if primary is not None:
            primary.close()
            self._left.fire()

    def _follow(self) -> Generator[Any, Any, None]:
        proc = self.proc
        while proc.exit_status is None and self.config["replicaof"]:
            host, port = self.config["replicaof"].split()
            _say(proc, "*", f"Connecting to MASTER {host}:{port}", "S")
            try:
                _, listener = yield from reach(proc, host, int(port))
                yield from self._copy(listener)
            except Failed as failed:
                why = {"refused": "Connection refused", "resolve": "Name or service not known"}.get(failed.kind)
                _say(proc, "#", f"Unable to connect to MASTER: {why or 'Connection timed out'}", "S")
            except OSError as error:
                _say(proc, "#", f"Error condition on socket for SYNC: {error.strerror}", "S")
            yield proc.clock.sleep(RETRY_US, periodic=True)
        self._following = False

    def _copy(self, listener: Any) -> Generator[Any, Any, None]:
        """Takes over what the primary has and says, until the link is gone. Raises OSError."""
        reader = Reader()
        closed: list[str] = []

        def close(why: str = "Connection with master lost.") -> None:
            closed.append(why)
            self._left.fire()

        def take(data: bytes) -> None:
            try:
                for reply in reader.feed(data):
                    if isinstance(reply, Problem):
                        close(f"MASTER aborted replication with an error: {reply}")
                    elif isinstance(reply, list) and not closed:
                        self._changed(reply)
            except ValueError:
                close("Bad protocol from MASTER")

        connection = listener.open(take, close, self.proc.container.sandbox.ip)
        password = self.config.get("masterauth")
        connection.write(encoded([b"AUTH", password.encode()]) if password else b"")
        if not closed:
            self.store.clear()
            self._primary, self.linked = connection, True
            connection.write(encoded([b"SYNC"]))
        if not closed:
            _say(self.proc, "*", "MASTER <-> REPLICA sync: Finished with success", "S")
        while not closed and self._primary is connection:
            yield self._left.wait()
        if self._primary is connection:
            self._leave()
        _say(self.proc, "*", closed[0] if closed else "Connection with master lost.", "S")


class Connection:
    """One client's, or a replica's."""

    def __init__(
        self, server: Server, on_data: Callable[[bytes], None], on_close: Callable[[], None], client: str
    ) -> None:
        self._server = server
        self.client = client
        self._on_data, self._on_close = on_data, on_close
        self._reader = Reader()
        self._known = not server.config["requirepass"]

    def write(self, data: bytes) -> None:
        try:
            requests = self._reader.feed(data)
        except ValueError as problem:
            self._end(Problem(f"ERR Protocol error: {problem}"))
            return
        for words in requests:
            if not isinstance(words, list) or not all(isinstance(word, bytes) for word in words):
                self._end(Problem("ERR Protocol error: expected '$'"))
                return
            if words and not self._take(words):
                return

    def _take(self, words: Words) -> bool:
        """Whether there is more to be said after a request."""
        name = words[0].lower()
        if name == b"quit":
            self._end(OK)
            return False
        if name == b"auth":
            self._on_data(encoded(self._identify(words[1:])))
        elif not self._known:
            self._on_data(encoded(Problem("NOAUTH Authentication required.")))
        elif name == b"sync":
            self._replicate()
        elif name == b"shutdown":
            self._on_close()
            self._server.proc.kill(0)
            return False
        else:
            self._on_data(encoded(self._server.execute(words)))
        return True

    def _end(self, reply: Reply) -> None:
        self._on_data(encoded(reply))
        self.close()
        self._on_close()

    def _identify(self, words: Words) -> Reply:
        if not 0 < len(words) < 3:
            return Problem("ERR wrong number of arguments for 'auth' command")
        wanted, *user = self._server.config["requirepass"], *words[:-1]
        if not wanted and not user:
            return Problem(
                "ERR AUTH <password> called without any password configured for the default user. "
                "Are you sure your configuration is correct?"
            )
        if user not in ([], [b"default"]) or (wanted and words[-1].decode(errors="replace") != wanted):
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
    verb, *rest = [word.decode(errors="replace") for word in words]
    verb = verb.lower()
    if verb == "get" and rest:
        patterns = [named(name.lower().encode()) for name in rest]
        return [
            part.encode()
            for name, value in server.config.items()
            if any(pattern.match(name) for pattern in patterns)
            for part in (name, value)
        ]
    if verb == "set" and rest and len(rest) % 2 == 0:
        return _set(server, dict(zip((name.lower() for name in rest[::2]), rest[1::2], strict=True)))
    if verb == "resetstat" and not rest:
        return OK
    if verb == "rewrite" and not rest:
        return Problem("ERR The server is running without a config file")
    return Problem(f"ERR unknown subcommand or wrong number of arguments for '{verb}'. Try CONFIG HELP.")


def _set(server: Server, settings: Mapping[str, str]) -> Reply:
    for name, value in settings.items():
        if name not in server.config:
            return Problem(f"ERR Unknown option or number of arguments for CONFIG SET - '{name}'")
        if name in ("replicaof", "databases"):
            return Problem(
                f"ERR CONFIG SET failed (possibly related to argument '{name}') - can't set immutable config"
            )
        if name in SIZES and not bytes_of(value).isdigit():
            return Problem(
                f"ERR CONFIG SET failed (possibly related to argument '{name}') - argument must be a memory value"
            )
    server.config |= {name: bytes_of(value) if name in SIZES else value for name, value in settings.items()}
    return OK


def _info(server: Server, words: Words) -> Reply:
    host, _, port = server.config["replicaof"].partition(" ")
    copies = [
        f"slave{at}:ip={replica.client},port={server.port},state=online,offset=0,lag=0"
        for at, replica in enumerate(server.replicas)
    ]
    if host:
        link = "up" if server.linked else "down"
        role = ["role:slave", f"master_host:{host}", f"master_port:{port}", f"master_link_status:{link}"]
    else:
        role = ["role:master"]
    memory, keys = server.proc.memory, server.store.names()
    ending = sum(server.store.ends(key) is not None for key in keys)
    sections = {
        "Server": [f"redis_version:{VERSION}", "redis_mode:standalone", f"tcp_port:{server.port}"],
        "Memory": [f"used_memory:{memory}", f"maxmemory:{server.config['maxmemory']}"],
        "Replication": [*role, f"connected_slaves:{len(server.replicas)}", *copies],
        "Keyspace": [f"db0:keys={len(keys)},expires={ending},avg_ttl=0"] if keys else [],
    }
    wanted = {word.decode(errors="replace").lower(): None for word in words}
    whole = not wanted or not wanted.keys().isdisjoint(("all", "default", "everything"))
    lines = []
    for name, rows in sections.items():
        if whole or name.lower() in wanted:
            lines += [f"# {name}", *rows, ""]
    return "\r\n".join(lines).encode()


def _role(server: Server, words: Words) -> Reply:
    host, _, port = server.config["replicaof"].partition(" ")
    if host:
        return [b"slave", host.encode(), int(port), b"connected" if server.linked else b"connect", 0]
    return [b"master", 0, [[replica.client.encode(), str(server.port).encode(), b"0"] for replica in server.replicas]]


def _replica_of(server: Server, words: Words) -> Reply:
    if len(words) != 2:
        return Problem("ERR wrong number of arguments for 'replicaof' command")
    primary = " ".join(word.decode(errors="replace") for word in words)
    if _wrong("replicaof", primary.lower()) is not None:
        return Problem("ERR Invalid master port")
    server.follow(primary)
    return OK


OWN: dict[str, Callable[[Server, Words], Reply]] = {
    "config": _config,
    "info": _info,
    "role": _role,
    "replicaof": _replica_of,
    "slaveof": _replica_of,
    "command": lambda server, words: [],
    "client": lambda server, words: OK,
    "save": lambda server, words: OK,
    "bgsave": lambda server, words: Status("Background saving started"),
}
"""Commands about the server itself."""
