"""What agnhost's servers have in common: flags, routes, Go's log lines, TLS, and datagrams."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from seatrial.sim.kernel.clock import Signal, stamp_of
from seatrial.sim.workloads.commands.network import listen
from seatrial.sim.workloads.cost import Cost, charged
from seatrial.sim.workloads.http import HttpConnection
from seatrial.sim.workloads.net import HttpRequest, HttpResponse, Work
from seatrial.sim.workloads.process import Proc

Steps = Generator[Any, Any, int]
Values = Mapping[str, str]
Handler = Callable[[HttpRequest, Values], HttpResponse]
"""Answers a request; its second argument is what the query says."""
Certificate = Callable[[str], tuple[str, str] | None]
"""Certificate and key (PEM) for a host; None: one that nobody trusts."""

TEXT = {"Content-Type": "text/plain; charset=utf-8"}
HTML = {"Content-Type": "text/html; charset=utf-8"}
JSON = {"Content-Type": "application/json"}
START_US = 50_000
"""How long a Go program takes until it listens."""


def flags(words: list[str], switches: tuple[str, ...] = ()) -> dict[str, str]:
    """Flags in any of pflag's forms: ``--name=value``, ``--name value``, ``--switch``."""
    found: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            continue
        name, equals, value = word.lstrip("-").partition("=")
        found[name] = value if equals else "true" if name in switches else next(rest, "")
    return found


def log(proc: Proc, text: str) -> None:
    """A line of Go's log package."""
    stamp = stamp_of(proc.clock.now)
    proc.err(f"{stamp[:10].replace('-', '/')} {stamp[11:19]} {text}\n")


def klog(proc: Proc, text: str, level: str = "I") -> None:
    """A line of the library klog, with where it comes from."""
    stamp = stamp_of(proc.clock.now)
    micros = proc.clock.now % 1_000_000
    proc.err(f"{level}{stamp[5:7]}{stamp[8:10]} {stamp[11:19]}.{micros:06d} {proc.pid:7d} {text}\n")


def said(text: str | bytes, code: int = 200, headers: Mapping[str, str] = TEXT) -> HttpResponse:
    return HttpResponse(code, headers, text if isinstance(text, bytes) else text.encode())


def later(response: HttpResponse, after_us: int) -> HttpResponse:
    """The answer, when some time has passed."""
    return response._replace(work=Work(((1, after_us),), 0, 0, lambda: None))


def never(response: HttpResponse) -> HttpResponse:
    """No answer at all: the client waits for one."""
    return response._replace(work=Work((), 1, 0, lambda: None))


class Site:
    """A Go HTTP server with routes; ``""`` is what answers everything else."""

    def __init__(self, proc: Proc, routes: Mapping[str, Handler], certificate: tuple[str, str] | None = None) -> None:
        self._proc, self._routes = proc, routes
        self._cost = Cost().annotated(proc.container.sandbox.annotations, proc.container.config.name)
        self.certificate: Certificate | None = None if certificate is None else lambda host: certificate
        """For whoever ends TLS, of a server that speaks it."""

    def http(self, request: HttpRequest) -> HttpResponse:
        path, _, query = request.path.partition("?")
        handler = self._routes.get(path) or self._routes.get("")
        if handler is None:
            return charged(self._proc, self._cost, request, said("404 page not found\n", 404))
        response = handler(request, dict(parse_qsl(query, keep_blank_values=True)))
        return charged(self._proc, self._cost, request, response)

    def open(self, on_data: Callable[[bytes], None], on_close: Callable[[], None], client: str) -> Any:
        return HttpConnection(self, on_data, on_close, client, self._proc.clock)


class Datagrams:
    """A UDP server: each datagram gets at most one answer."""

    def __init__(self, answer: Callable[[bytes, str], bytes | None]) -> None:
        self._answer = answer

    def http(self, request: HttpRequest) -> HttpResponse:
        raise ConnectionResetError(104, "Connection reset by peer")

    def open(self, on_data: Callable[[bytes], None], on_close: Callable[[], None], client: str) -> Any:
        return _Socket(lambda data: self._answer(data, client), on_data)


class Greeter:
    """A TCP server that says one thing and hangs up."""

    def __init__(self, text: bytes) -> None:
        self._text = text

    def http(self, request: HttpRequest) -> HttpResponse:
        raise ConnectionResetError(104, "Connection reset by peer")

    def open(self, on_data: Callable[[bytes], None], on_close: Callable[[], None], client: str) -> Any:
        on_data(self._text)
        on_close()
        return _Socket(lambda _: None, on_data)


class _Socket:
    def __init__(self, answer: Callable[[bytes], bytes | None], on_data: Callable[[bytes], None]) -> None:
        self._answer, self._on_data = answer, on_data

    def write(self, data: bytes) -> None:
        answered = self._answer(data)
        if answered is not None:
            self._on_data(answered)

    def close_write(self) -> None:
        """A datagram socket has no end of input."""

    def close(self) -> None:
        """Nothing is kept."""


def certificate_of(proc: Proc, options: Mapping[str, str]) -> tuple[str, str] | None:
    """What ``--tls-cert-file`` and ``--tls-private-key-file`` name. Raises OSError."""
    if not options.get("tls-cert-file"):
        return None
    files = (options["tls-cert-file"], options.get("tls-private-key-file", ""))
    certificate, key = (proc.fs.read(path, proc.cwd).decode("ascii", "replace") for path in files)
    return certificate, key


def serving(
    proc: Proc, listeners: Mapping[tuple[str, int], Any], grace_us: int = 0, on_term: Callable[[], None] | None = None
) -> Steps:
    """Listens until TERM, of which it tells, and ``grace_us`` longer."""

    def stop(_: str) -> None:
        if on_term is not None:
            on_term()
        proc.clock.after(grace_us, lambda: proc.kill(0))

    proc.caught.update({"TERM": stop, "INT": stop})
    yield proc.clock.sleep(START_US)
    for (protocol, port), listener in listeners.items():
        listen(proc, port, listener, protocol)
    yield Signal(proc.clock).wait()
    return 0


def ask(proc: Proc, host: str, port: int, path: str, headers: Mapping[str, str] | None = None) -> str:
    """The body of a GET from this container. Raises OSError."""
    network, sandbox = proc.container.world.network, proc.container.sandbox
    address = network.resolve(sandbox, host)[0]
    listener = network.connect(sandbox, address, port)
    request = HttpRequest("GET", path, {"Host": f"{host}:{port}", **(headers or {})}, b"", sandbox.ip)
    return listener.http(request).body.decode()


def datagram(proc: Proc, host: str, port: int, text: str) -> str:
    """The answer to a UDP datagram from this container. Raises OSError."""
    network, sandbox = proc.container.world.network, proc.container.sandbox
    listener = network.connect(sandbox, network.resolve(sandbox, host)[0], port, "UDP")
    got: list[bytes] = []
    socket = listener.open(got.append, lambda: None, sandbox.ip)
    socket.write(text.encode())
    socket.close()
    if not got:
        raise TimeoutError("i/o timeout")
    return got[0].decode()
