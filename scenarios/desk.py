"""A user's desk: a shell in which kubectl, curl, ssh and clock commands act on a cluster.

The shell, its text commands and its files are the simulation's own (the container shell in a world of its own), so that
``kubectl get pods | grep web`` starts nothing on this machine. What reaches the cluster are *acts*, functions of a
line: the front gives those that go over HTTPS, ``desk_of`` those for a ``Cluster`` in this process, on virtual time.

Not modelled: a line with a pipe gets the whole output of an act at once, when the act is over; variables that are not
exported are forgotten after each line.
"""

from __future__ import annotations

import errno
import io
import shlex
from collections.abc import Callable, Generator, Mapping
from http.client import HTTPException, HTTPResponse
from itertools import dropwhile
from types import SimpleNamespace
from typing import Any, NamedTuple, Protocol, cast

from seatrial.sim.cluster import Cluster, duration_us
from seatrial.sim.config import EPOCH_US
from seatrial.sim.kernel.clock import Clock
from seatrial.sim.network.hosts import timed_out
from seatrial.sim.nodes.capabilities import DEFAULT
from seatrial.sim.workloads.container import Container
from seatrial.sim.workloads.filesystem import FileSystem
from seatrial.sim.workloads.net import HttpRequest, HttpResponse
from seatrial.sim.workloads.process import Proc
from seatrial.sim.workloads.shell.parser import parse
from seatrial.sim.workloads.shell.syntax import SyntaxProblem
from seatrial.sim.workloads.world import World

BASE = "tools"
"""The row of the image catalogue whose programs the desk has as well."""
REMEMBER = "__remember"
"""The program at the end of each line that keeps directory and exported variables for the next."""
TEXT_US = 3_600_000_000
"""How long a line may keep the desk's own clock busy: ``sleep`` is the longest that there is."""


class Streams(NamedTuple):
    """An act's input and where its output goes."""

    stdin: str
    out: Callable[[str], None]
    err: Callable[[str], None]


Act = Callable[[list[str], Streams], int]
"""Does a command with these arguments; its exit code."""


class Ask(Protocol):
    """The way from the desk into the cluster's network, for curl and its like."""

    def __call__(self, host: str, port: int, request: HttpRequest) -> HttpResponse:
        """Raises OSError as a connection fails."""


class _Web:
    """A listener that is somewhere else."""

    def __init__(self, ask: Ask, host: str, port: int) -> None:
        self._ask, self._host, self._port = ask, host, port

    def http(self, request: HttpRequest) -> HttpResponse:
        return self._ask(self._host, self._port, request)


class _Network:
    """The desk's network: every name and address is somewhere beyond ``ask``."""

    lookup_us = 0

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def resolve(self, sandbox: Any, host: str) -> list[str]:
        return [host]

    def records(self, sandbox: Any, name: str, kind: str) -> list[tuple[str, str, int, str]]:
        # A desk's own name server knows nothing of a cluster.
        raise OSError(errno.ENOENT, "Name or service not known", name)

    def connect(self, sandbox: Any, address: str, port: int, protocol: str = "TCP") -> _Web:
        return _Web(self._ask, address, port)


class Desk:
    """A shell at a user's desk. ``out`` and ``err`` get what is printed.

    Lines are run one after the other; directory and exported variables outlive a line, files too.
    """

    def __init__(
        self, acts: Mapping[str, Act], ask: Ask, out: Callable[[str], None], err: Callable[[str], None]
    ) -> None:
        self.acts = acts
        self._out, self._err = out, err
        self.clock = Clock(EPOCH_US)
        self._env: dict[str, str] = {}
        self._cwd = "/root"
        self._kept: list[int] = []
        self.exited = False
        world = World(SimpleNamespace(clock=self.clock, streams=SimpleNamespace(seed=0)))  # type: ignore[arg-type]
        world.network = cast(Any, _Network(ask))
        world.programs.update({name: self._program(name) for name in acts}, **{REMEMBER: self._remember})
        names = [*acts, REMEMBER]
        row = {"working_dir": "/root", "programs": {f"/usr/bin/{name}": name for name in names}}
        sandbox = SimpleNamespace(
            name="desk", namespace="", uid="desk", host="desk", ip="192.168.1.1", host_network=False, hostname="desk",
            domain="", dns={"servers": [], "searches": [], "options": []}, hosts="127.0.0.1\tlocalhost\n",
            annotations={}, share_processes=False, shared=None,
        )  # fmt: skip
        image = world.catalogue.built("seatrial.local/desk", row, BASE)
        config = SimpleNamespace(
            name="desk", image=image, argv=None, args=None, env={}, working_dir="/root", mounts=[],
            sandbox=sandbox, user="", stdin=False, stdin_once=False, tty=False, memory_limit=None, cpu_limit=None,
            machine_cpu=4_000_000_000, read_only_root=False, termination_message_path="/dev/termination-log", ports=(),
            target="", privileged=False, fallback_to_logs=False, no_new_privs=False, groups=(),
            capabilities=DEFAULT,
        )  # fmt: skip
        self._container = Container(world, cast(Any, config), lambda _: None)

    @property
    def cwd(self) -> str:
        return self._cwd

    @property
    def files(self) -> FileSystem:
        """What ``>`` writes to and ``cat`` reads."""
        return self._container.fs

    def words(self, line: str) -> list[str] | None:
        """The words of a line that is one act and nothing else; None for what needs a shell."""
        if any(mark in line for mark in "|&;<>$`(){}*?~\n\\"):
            return None
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            return None
        return words if words and words[0] in self.acts else None

    def run(self, line: str, stdin: str = "") -> int:
        """Runs a line, or a script of many; its exit code. ``exited`` tells whether it was ``exit``."""
        ended: list[int] = []
        kept: list[int] = []
        self._kept = kept
        exports = "".join(f"export {key}={shlex.quote(value)}\n" for key, value in self._env.items())
        script = f"cd {shlex.quote(self._cwd)}\n{exports}{line}\n{REMEMBER} $?\n"
        session = self._container.exec(["sh", "-c", script], self._print, ended.append, stdin=True)
        if stdin:
            session.write_stdin(stdin.encode())
        session.close_stdin()
        until = self.clock.now + TEXT_US
        while not ended:
            due = self.clock.next_due
            if due is None or due > until:
                session.close_stdin()
                return 1
            self.clock.run_until(due)
        self.exited = not kept and _is_script(line)
        return kept[0] if kept else ended[0]

    def _print(self, stream: str, data: bytes) -> None:
        (self._out if stream == "stdout" else self._err)(data.decode(errors="replace"))

    def _remember(self, proc: Proc) -> int:
        self._cwd = proc.cwd
        self._env = {
            key: value for key, value in proc.env.items() if key not in ("PATH", "HOME", "HOSTNAME", "PWD", "_")
        }
        status = int(proc.argv[1]) if len(proc.argv) > 1 else 0
        self._kept.append(status)
        return status

    def _program(self, name: str) -> Callable[[Proc], Generator[Any, Any, int]]:
        def program(proc: Proc) -> Generator[Any, Any, int]:
            stdin = yield from proc.read_all()
            streams = Streams(stdin.decode(errors="replace"), proc.out, proc.err)
            return self.acts[name](proc.argv[1:], streams)

        return program


def _is_script(line: str) -> bool:
    """Whether a line can be read at all."""
    try:
        parse(line + "\n")
    except SyntaxProblem:
        return False
    return True


# before a cluster in this process


class _Caller:
    """One request over a connection from outside; see ``connections.Caller``."""

    def __init__(self) -> None:
        self.stands = self.over = False
        self.content = bytearray()
        self.problem: OSError | None = None

    def connected(self, listener: Any) -> None:
        self.stands = True

    def data(self, data: bytes) -> None:
        self.content += data

    def ended(self) -> None:
        self.over = True

    def failed(self, problem: OSError) -> None:
        self.problem, self.over = problem, True


class _Received:
    """Bytes that came, as ``HTTPResponse`` reads them."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._content)


def wire_request(request: HttpRequest, host: str) -> bytes:
    """A request as its bytes; the connection ends with the answer."""
    headers = {"Host": host, **request.headers, "Connection": "close"}
    if request.body:
        headers["Content-Length"] = str(len(request.body))
    head = f"{request.method} {request.path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items())
    return head.encode() + b"\r\n" + request.body


def wire_response(content: bytes, method: str) -> HttpResponse:
    """An answer from its bytes. Raises OSError for what is none."""
    response = HTTPResponse(cast(Any, _Received(content)), method=method)
    try:
        response.begin()
        body = response.read()
    except (HTTPException, ValueError) as problem:
        raise ConnectionResetError(104, f"the answer is no HTTP ({type(problem).__name__})") from None
    return HttpResponse(response.status, dict(response.getheaders()), body)


def ask_of(cluster: Cluster, timeout_us: int = 120_000_000) -> Ask:
    """Requests that enter a cluster from outside its network; time passes meanwhile."""

    def ask(host: str, port: int, request: HttpRequest) -> HttpResponse:
        if cluster.networking is None:
            raise ConnectionRefusedError(111, "Connection refused")
        caller = _Caller()
        connection = cluster.networking.connections.open(host, port, caller)
        until = cluster.now + timeout_us
        sent = False
        while not caller.over and cluster.now < until:
            if caller.stands and not sent:
                connection.write(wire_request(request, host))
                sent = True
            due = cluster.clock.next_due
            cluster.run_until(min(due if due is not None else until, until))
        connection.close()
        if caller.problem is not None and not caller.content:
            raise caller.problem
        if not caller.over and not caller.content:
            raise timed_out()
        return wire_response(bytes(caller.content), request.method)

    return ask


def clock_act(cluster: Cluster) -> Act:
    """``clock show | advance DURATION | settle | next`` on a cluster's own time."""

    def act(words: list[str], streams: Streams) -> int:
        match words:
            case [] | ["show"]:
                pass
            case ["advance", duration]:
                try:
                    duration_us(duration)
                except ValueError as problem:
                    streams.err(f"clock: {problem}\n")
                    return 1
                cluster.advance(duration)
            case ["settle"]:
                cluster.settle()
            case ["next"]:
                cluster.run_until(cluster.clock.next_due or cluster.now)
            case _:
                streams.err("clock: say show, advance DURATION, settle or next\n")
                return 1
        streams.out(f"now:    {cluster.clock.stamp()} in the cluster\n")
        return 0

    return act


def ssh_act(cluster: Cluster) -> Act:
    """``ssh NODE COMMAND``."""

    def act(words: list[str], streams: Streams) -> int:
        node, *command = list(dropwhile(lambda word: word.startswith("-"), words)) or [""]
        if not node:
            streams.err("usage: ssh NODE [COMMAND]\n")
            return 255
        try:
            ran = cluster.ssh(node.rpartition("@")[2], " ".join(command[command[:1] == ["--"] :]), streams.stdin)
        except LookupError as problem:
            streams.err(f"ssh: {problem.args[0]}\n")
            return 255
        streams.out(ran.stdout)
        streams.err(ran.stderr)
        return ran.code

    return act


def kubectl_act(session: Any) -> Act:
    """kubectl through a session whose streams are the act's."""
    from seatrial.scenarios.kubectl import run

    class Out(io.TextIOBase):
        def __init__(self, write: Callable[[str], None]) -> None:
            self._write = write

        def write(self, text: str) -> int:
            self._write(text)
            return len(text)

    def act(words: list[str], streams: Streams) -> int:
        before = session.stdin, session.stdout, session.stderr
        session.stdin, session.stdout, session.stderr = io.StringIO(streams.stdin), Out(streams.out), Out(streams.err)
        try:
            return run(words, session)
        finally:
            session.stdin, session.stdout, session.stderr = before

    return act


class DeskFiles:
    """Files of the desk first, then those of another place; written where they were found, else at the desk."""

    def __init__(self, desk: Callable[[], Desk], beyond: Any) -> None:
        self._desk, self._beyond = desk, beyond

    def _path(self, path: str) -> str:
        desk = self._desk()
        return path if path.startswith("/") else f"{desk.cwd.rstrip('/')}/{path}"

    def read(self, path: str) -> bytes:
        try:
            return bytes(self._desk().files.read(self._path(path)))
        except OSError:
            return bytes(self._beyond.read(path))

    def write(self, path: str, content: bytes) -> None:
        self._beyond.write(path, content)

    def children(self, path: str) -> list[str] | None:
        try:
            self._desk().files.read(self._path(path))
        except OSError:
            found: list[str] | None = self._beyond.children(path)
            return found
        return None


def desk_of(
    cluster: Cluster,
    files: Mapping[str, str | bytes] | None = None,
    out: Callable[[str], None] = lambda _: None,
    err: Callable[[str], None] = lambda _: None,
) -> Desk:
    """A desk before a cluster in this process: every command takes virtual time only."""
    from seatrial.scenarios.kubectl.inside import ClusterSession

    session = ClusterSession(cluster, files)
    acts = {"kubectl": kubectl_act(session), "clock": clock_act(cluster), "ssh": ssh_act(cluster)}
    desk = Desk(acts, ask_of(cluster), out, err)
    session.files = DeskFiles(lambda: desk, session.files)
    return desk
