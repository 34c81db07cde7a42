"""Programs that stay: web servers, databases and whatever an image says that it does.

A *service* is a row of the catalogue: what it listens on, what it answers, how long it takes to start and to stop, what
it consumes. The kinds of answers are the table ``KINDS``. Not modelled: protocols other than HTTP beyond a banner.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from copy import copy
from http import HTTPStatus
from typing import Any

from seatrial.sim.kernel.clock import Signal, stamp_of
from seatrial.sim.workloads.agnhost import agnhost
from seatrial.sim.workloads.burning import CORE_NANO, burn
from seatrial.sim.workloads.commands.network import listen, unlisten
from seatrial.sim.workloads.commands.options import parsed, say
from seatrial.sim.workloads.cost import ANNOTATION, Cost, charged, mebibytes
from seatrial.sim.workloads.filesystem import Dir
from seatrial.sim.workloads.http import HttpConnection, normal
from seatrial.sim.workloads.mysql import client as mysql_client
from seatrial.sim.workloads.mysql import server as mysql
from seatrial.sim.workloads.net import HttpRequest, HttpResponse, ports_of
from seatrial.sim.workloads.nginx.configuration import Refused
from seatrial.sim.workloads.nginx.control import aside, is_daemon
from seatrial.sim.workloads.nginx.site import Site, plain_root
from seatrial.sim.workloads.process import SIGNALS, Exited, Proc
from seatrial.sim.workloads.redis import server as redis
from seatrial.sim.workloads.redis.cli import redis_cli
from seatrial.sim.workloads.resting import Trace
from seatrial.sim.workloads.undescribed import WORK_US, said

Steps = Generator[Any, Any, int]
Answer = Callable[[Proc, "Service", HttpRequest], HttpResponse]
MS = 1_000
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
TYPES = {
    "html": "text/html", "htm": "text/html", "txt": "text/plain", "json": "application/json", "css": "text/css",
    "js": "application/javascript", "png": "image/png", "svg": "image/svg+xml", "yaml": "application/yaml",
}  # fmt: skip


class Service:
    """What one service of the catalogue is like."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        self.kind: str = row.get("kind", "idle")
        self.ports: list[int] = list(row.get("ports") or [])
        self.root: str = row.get("root", "/www")
        self.name: str = row.get("name", "")
        self.body: str = row.get("body", "")
        self.banner: str = row.get("banner", "")
        self.start_ms: int = row.get("start_ms", 20)
        self.stop_ms: int = row.get("stop_ms", 10)
        self.on_term: int | None = row.get("on_term", 0)
        """Exit status after TERM; None: it asks for no signals."""
        self.log: list[str] = list(row.get("log") or [])
        self.access_log: bool = row.get("access_log", False)
        self.requires: list[list[str]] = list(row.get("requires") or [])
        """Groups of variables: one of each must be set, or the program ends."""
        self.complaint: str = row.get("complaint", "")
        self.exit_after_ms: int | None = row.get("exit_after_ms")
        self.exit_code: int = row.get("exit_code", 0)
        self.memory_mb: float | None = row.get("memory_mb")
        self.leak_mb_per_s: float = row.get("leak_mb_per_s", 0)
        self.cpu_m: float = row.get("cpu_m", 1)
        usual = Cost()
        self.cost = Cost(
            row.get("request_cpu_us", usual.cpu_us),
            row.get("request_memory_kb", usual.memory_kb),
            row.get("queue", usual.places),
        )

    def annotated(self, annotations: Mapping[str, str], container: str) -> Service:
        """The service as the pod's annotations have it: ``workload.seatrial.dev/exit-after: 30s``."""
        cost = self.cost.annotated(annotations, container)
        changes: dict[str, Any] = {} if cost is self.cost else {"cost": cost}
        for key, text in annotations.items():
            if not key.startswith(ANNOTATION):
                continue
            name, _, only = key[len(ANNOTATION) :].partition(".")
            if only and only != container:
                continue
            apply = ANNOTATIONS.get(name)
            if apply is not None:
                field, convert = apply
                changes[field] = convert(text)
        if not changes:
            return self
        made = Service({})
        made.__dict__.update(self.__dict__)
        made.__dict__.update(changes)
        return made


def _milliseconds(text: str) -> int:
    from seatrial.sim.workloads.commands.system import duration_us

    return (duration_us(text) or 0) // 1000


def _milli(text: str) -> float:
    return float(text.removesuffix("m"))


ANNOTATIONS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "start-after": ("start_ms", _milliseconds),
    "stop-after": ("stop_ms", _milliseconds),
    "exit-after": ("exit_after_ms", _milliseconds),
    "exit-code": ("exit_code", int),
    "memory": ("memory_mb", mebibytes),
    "leak-per-second": ("leak_mb_per_s", mebibytes),
    "cpu": ("cpu_m", _milli),
    "body": ("body", str),
    "log": ("log", lambda text: text.split("\n")),
    "ports": ("ports", lambda text: [int(part) for part in text.split(",")]),
}


class Server:
    """A running service as something that listens (net.Listener)."""

    def __init__(self, proc: Proc, service: Service, answer: Answer | None) -> None:
        self.proc = proc
        self.service = service
        self._answer = answer
        self.certificate: Callable[[str], tuple[str, str]] | None = None
        """(certificate, key) for a host, of one that speaks TLS."""

    def become(self, service: Service, answer: Answer) -> None:
        """Answers otherwise from now on."""
        self.service, self._answer = service, answer

    def http(self, request: HttpRequest) -> HttpResponse:
        if self._answer is None:
            raise ConnectionResetError(104, "Connection reset by peer")
        service = self.service
        response = self._answer(self.proc, service, request)
        if service.access_log:
            # One line for what a load sends alike in one moment.
            self.proc.out(_access_line(self.proc, request, response))
        return charged(self.proc, service.cost, request, response)

    def traces(self, request: HttpRequest) -> tuple[Trace | None] | None:
        """What is answered follows from files and from the work at hand; each request adds to that, and to the log."""
        proc, service, container = self.proc, self.service, self.proc.container
        cost_ns = service.cost.cpu_us * 1000
        if self._answer is None or not container.is_swift(cost_ns):
            return None
        if service.kind == "nginx" or (service.kind == "static" and not proc.fs.is_private(service.root)):
            return None
        if service.access_log and not container.logs(proc):
            return None
        response = self._answer(proc, service, request)
        before, _, after = _access_line(proc, request, response).partition(_access_time(proc.clock.now))

        def trace(at: int) -> None:
            if service.access_log:
                container.log_at(at, f"{before}{_access_time(at)}{after}".encode())
            container.work_at(at, cost_ns)

        return (trace,)

    def open(self, on_data: Callable[[bytes], None], on_close: Callable[[], None], client: str) -> Any:
        if self.service.banner:
            on_data(self.service.banner.encode())
        return HttpConnection(self, on_data, on_close, client, self.proc.clock)


def _access_line(proc: Proc, request: HttpRequest, response: HttpResponse) -> str:
    when = _access_time(proc.clock.now)
    agent = request.headers.get("User-Agent") or request.headers.get("user-agent") or "-"
    line = f'{request.client} - - [{when}] "{request.method} {request.path} HTTP/1.1"'
    return f'{line} {response.code} {len(response.body)} "-" "{agent}" "-"\n'


def _access_time(at: int) -> str:
    stamp = stamp_of(at)
    return f"{stamp[8:10]}/{MONTHS[int(stamp[5:7]) - 1]}/{stamp[:4]}:{stamp[11:19]} +0000"


def static(proc: Proc, service: Service, request: HttpRequest) -> HttpResponse:
    """Files below the service's root."""
    path = normal(request.path.partition("?")[0])
    if path is None:
        return HttpResponse(400, {"Server": service.name, "Content-Type": "text/html"}, _error_page(400, service.name))
    at = service.root.rstrip("/") + "/" + path.lstrip("/")
    base = {"Server": service.name} if service.name else {}
    try:
        if isinstance(proc.fs.find(at), Dir):
            at = f"{at.rstrip('/')}/index.html"
        data = proc.fs.read(at)
    except OSError:
        code = 403 if path.endswith("/") and proc.fs.exists(service.root.rstrip("/") + path) else 404
        return HttpResponse(code, {**base, "Content-Type": "text/html"}, _error_page(code, service.name))
    kind = TYPES.get(at.rpartition(".")[2], "application/octet-stream")
    return HttpResponse(200, {**base, "Content-Type": kind}, data)


PHRASES = {**{status.value: status.phrase for status in HTTPStatus}, 301: "Moved Permanently", 302: "Found"}


def _error_page(code: int, server: str) -> bytes:
    text = f"{code} {PHRASES.get(code, '')}".strip()
    foot = f"<hr><center>{server}</center>\r\n" if server else ""
    return (
        f"<html>\r\n<head><title>{text}</title></head>\r\n<body>\r\n<center><h1>{text}</h1></center>\r\n{foot}"
        "</body>\r\n</html>\r\n"
    ).encode()


def filled(proc: Proc, text: str) -> str:
    """A text in which ``{hostname}``, ``{ip}``, ``{node}``, ``{namespace}``, ``{time}``, ``{tag}`` and ``{env:NAME}``
    stand for what they say; the tag is the image's, without a leading v."""
    container = proc.container
    for name, value in {
        "{hostname}": container.hostname,
        "{ip}": container.sandbox.ip,
        "{node}": container.sandbox.host,
        "{namespace}": container.sandbox.namespace,
        "{time}": stamp_of(proc.clock.now),
        "{tag}": container.image.tag.removeprefix("v"),
    }.items():
        text = text.replace(name, value)
    while "{env:" in text:
        before, _, rest = text.partition("{env:")
        name, _, after = rest.partition("}")
        text = before + proc.env.get(name, "") + after
    return text


def templated(proc: Proc, service: Service, request: HttpRequest) -> HttpResponse:
    """A text in which ``{path}``, ``{client}``, ``{method}`` and ``{headers}`` stand for what they say, too."""
    text = service.body
    for name, value in {
        "{path}": request.path,
        "{client}": request.client,
        "{method}": request.method,
        "{headers}": "\n".join(f"{name.lower()}={value}" for name, value in sorted(request.headers.items())),
    }.items():
        text = text.replace(name, value)
    return HttpResponse(200, {"Content-Type": "text/plain"}, filled(proc, text).encode())


def generic(proc: Proc, service: Service, request: HttpRequest) -> HttpResponse:
    """What a program that nobody described answers: a review, a discovery, or which pod it is."""
    if service.body:
        return templated(proc, service, request)
    container = proc.container
    which = {"hostname": container.hostname, "path": request.path, "image": container.image.reference}
    body = said(request) or which
    return HttpResponse(200, {"Content-Type": "application/json"}, json.dumps(body).encode() + b"\n")


KINDS: Mapping[str, Answer | None] = {
    "static": static,
    "template": templated,
    "generic": generic,
    "tcp": None,
    "idle": None,
    "mysql": None,
    "redis": None,
    "nginx": None,
}


def sized(proc: Proc, row: Mapping[str, Any], program: Callable[[Proc], Any]) -> Any:
    """Runs a program that uses what a service's row says of memory and CPU."""
    _size(proc, Service(row))
    return program(proc)


def _size(proc: Proc, service: Service) -> None:
    if service.memory_mb is not None:
        proc.memory = round(service.memory_mb * 1024 * 1024)
    burn(proc, round(service.cpu_m * 1_000_000))


def _listeners(proc: Proc, service: Service) -> Mapping[int, Any]:
    """What listens, by port. Raises Exited for a program that does not come so far."""
    own = LISTENERS.get(service.kind)
    if own is not None:
        return own(proc, service)
    server = Server(proc, service, KINDS[service.kind])
    ports = service.ports
    if not ports and service.kind == "generic":
        ports = list(proc.container.config.ports) or [80, 8080]
    return dict.fromkeys(ports, server)


def _mysql(proc: Proc, service: Service) -> Mapping[int, Any]:
    server = mysql.Server(proc)
    return {server.port: server}


def _redis(proc: Proc, service: Service) -> Mapping[int, Any]:
    server = redis.Server(proc)
    return {server.port: server}


def _nginx(proc: Proc, service: Service) -> Mapping[int, Any]:
    """By its configuration; where that says nothing but which files to serve, as any server of files."""
    made: dict[int, Server] = {}
    held: dict[int, tuple[str, str] | None] = {}

    def page(code: int) -> HttpResponse:
        headers = {"Server": service.name, "Content-Type": "text/html"}
        return HttpResponse(code, headers, _error_page(code, service.name))

    def server(port: int, root: str | None) -> Server:
        server = made.get(port) or Server(proc, service, static)
        # A certificate that was read anew counts for the next handshake.
        server.certificate = None if held[port] is None else lambda host: held[port]  # type: ignore[assignment,return-value]
        if root is None:
            server.become(service, lambda _, __, request: site.answer(port, request))
        else:
            plain = copy(service)
            plain.kind, plain.root = "static", root
            server.become(plain, static)
        return server

    def settle() -> Mapping[int, Server]:
        root = plain_root(site.configuration)
        ports = dict.fromkeys(service.ports) if root is not None else site.ports()
        for port in [port for port in made if port not in ports or (ports[port] is None) != (held[port] is None)]:
            unlisten(proc, port, made.pop(port))
        held.update(ports)
        made.update({port: server(port, root) for port in ports})
        return made

    def reload(_: str) -> None:
        before = dict(made)
        try:
            site.reload()
        except Refused as refusal:
            proc.err(f"nginx: [emerg] {refusal}\n")
            return
        for port, listener in settle().items():
            if before.get(port) is not listener:
                listen(proc, port, listener)
        ports_of(proc.container.sandbox).rest.stir()

    try:
        site = Site(proc, page, TYPES)
        proc.caught["HUP"] = reload
        return settle()
    except Refused as refusal:
        proc.err(f"nginx: [emerg] {refusal}\n")
        raise Exited(1) from None


LISTENERS: Mapping[str, Callable[[Proc, Service], Mapping[int, Any]]] = {
    "mysql": _mysql,
    "redis": _redis,
    "nginx": _nginx,
}
"""Kinds that say themselves where they listen."""
ASIDE: Mapping[str, Callable[[Proc, str], int | None]] = {"nginx": aside}
"""What a kind's program does instead, as its arguments have it."""


DAEMONS: Mapping[str, Callable[[Proc], bool]] = {"nginx": is_daemon}
"""Kinds that may go into the background, where whoever started them goes on."""


def serve(proc: Proc, service: Service) -> Steps:
    """Runs a service until it is told to stop."""
    container = proc.container
    if service.kind in ASIDE and (status := ASIDE[service.kind](proc, service.name)) is not None:
        return status
    if service.kind in DAEMONS and DAEMONS[service.kind](proc):
        child = container.spawn(proc.argv, proc.env, proc.cwd, dict(proc.fds), proc)
        child.run(lambda daemon: _served(daemon, service))
        return 0
    return (yield from _served(proc, service))


def _served(proc: Proc, service: Service) -> Steps:
    container = proc.container
    if container.sandbox.annotations:
        service = service.annotated(container.sandbox.annotations, container.config.name)
    for group in service.requires:
        if not any(proc.env.get(name) for name in group):
            proc.err(service.complaint + "\n")
            return 1
    _size(proc, service)
    if service.on_term is not None:
        _heed(proc, service)
    yield proc.clock.sleep(service.start_ms * MS)
    for line in service.log:
        proc.out(filled(proc, line) + "\n")
    for port, listener in _listeners(proc, service).items():
        listen(proc, port, listener)
    container.world.memory_changed(container)
    limit = container.config.memory_limit
    if limit is not None and proc.memory > limit:
        yield from container.exhaust(proc)
    if not container.image.known and container.config.ends and service.exit_after_ms is None:
        yield proc.clock.sleep(WORK_US)
        return 0
    if service.leak_mb_per_s:
        return (yield from _leak(proc, service))
    if service.exit_after_ms is not None:
        yield proc.clock.sleep(service.exit_after_ms * MS)
        return service.exit_code
    yield Signal(proc.clock).wait()
    return 0


def _leak(proc: Proc, service: Service) -> Steps:
    limit = proc.container.config.memory_limit or 4 * 1024**3
    step = round(service.leak_mb_per_s * 1024 * 1024)
    while proc.memory + step < limit:
        yield proc.clock.sleep(1000 * MS, periodic=True)
        proc.memory += step
        proc.container.world.memory_changed(proc.container)
    yield proc.clock.sleep(1000 * MS, periodic=True)
    yield from proc.container.exhaust(proc)
    return 0


def _heed(proc: Proc, service: Service) -> None:
    stopping: list[str] = []

    def stop(name: str) -> None:
        if stopping:
            return
        stopping.append(name)
        status = service.on_term if service.on_term is not None else 128 + SIGNALS[name]
        proc.clock.after(service.stop_ms * MS, lambda: proc.kill(status))

    for name in ("TERM", "INT", "QUIT"):
        proc.caught[name] = stop


def httpd(proc: Proc) -> Steps | int:
    """busybox httpd -f -p port -h directory"""
    options, _ = parsed(proc, "fivm", "pheucrd")
    port = int((options.get("p") or "80").rpartition(":")[2])
    root = options.get("h", ".")
    at = root if root.startswith("/") else f"{proc.cwd.rstrip('/')}/{root}"
    if not proc.fs.exists(at):
        say(proc, f"can't change directory to '{root}': No such file or directory")
        return 1
    service = Service({"kind": "static", "ports": [port], "root": at, "start_ms": 0, "on_term": None, "cpu_m": 0})
    if "f" in options:
        return serve(proc, service)
    child = proc.container.spawn(proc.argv, proc.env, proc.cwd, {}, proc)
    child.run(lambda daemon: serve(daemon, service))
    return 0


def stress(proc: Proc) -> Steps:
    """stress and stress-ng: --cpu n, --vm n --vm-bytes size, --timeout t; vish/stress: -cpus n, -mem-total size"""
    from seatrial.sim.workloads.commands.system import duration_us
    from seatrial.sim.workloads.commands.text import size_of

    words = " ".join(proc.argv[1:]).replace("=", " ").split()
    values = dict(zip(words, [*words[1:], ""], strict=True))
    workers = int(values.get("--cpu") or values.get("-c") or values.get("-cpus") or 0)
    vms = int(values.get("--vm") or values.get("-m") or "-mem-total" in values)
    size = size_of(values.get("--vm-bytes") or values.get("-mem-total", "256M").removesuffix("i")) if vms else 0
    limit_us = duration_us(values.get("--timeout") or values.get("-t") or "")
    proc.out(f"stress: info: [{proc.pid}] dispatching hogs: {workers} cpu, 0 io, {vms} vm, 0 hdd\n")
    # Who allocates once, and holds it, works no more.
    resting = "-mem-total" in values or "--vm-hang" in values
    burn(proc, (workers + (0 if resting else vms)) * CORE_NANO)
    proc.memory += vms * size
    proc.container.world.memory_changed(proc.container)
    limit = proc.container.config.memory_limit
    if limit is not None and proc.memory > limit:
        yield from proc.container.exhaust(proc)
    if limit_us is None:
        yield Signal(proc.clock).wait()
    else:
        yield proc.clock.sleep(limit_us)
    proc.out(f"stress: info: [{proc.pid}] successful run completed\n")
    return 0


COMMANDS: dict[str, Callable[[Proc], Any]] = {
    "httpd": httpd,
    "stress": stress,
    "stress-ng": stress,
    "agnhost": agnhost,
    "redis-cli": redis_cli,
    **mysql_client.COMMANDS,
}
