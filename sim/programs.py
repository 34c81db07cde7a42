"""Programs whose work is a component of the cluster: what runs in the containers of kube-system.

A container that starts such a program starts the component; when the process ends, however it does, the component ends
too. ``kubectl delete pod``, a crash and ``crictl stop`` are thereby the same to it. kube-apiserver and etcd are there
from the beginning, and fail while their containers do not run.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import orjson

from seatrial.sim.apiserver.extension import ExtensionServer
from seatrial.sim.apiserver.request import Credentials, Request
from seatrial.sim.apiserver.server import Apiserver
from seatrial.sim.kernel.clock import Clock, Signal
from seatrial.sim.machinery.errors import PlainError
from seatrial.sim.machinery.metrics import OPEN_METRICS, TEXT
from seatrial.sim.network.coredns import CoreDNS
from seatrial.sim.network.corefile import CorefileError
from seatrial.sim.network.dnswire import OverTcp, OverUdp
from seatrial.sim.network.ingress import IngressController
from seatrial.sim.network.statemetrics import StateMetrics
from seatrial.sim.nodes.metrics_server import MetricsServer
from seatrial.sim.workloads.agnhost.site import certificate_of
from seatrial.sim.workloads.commands.network import listen
from seatrial.sim.workloads.http import HttpConnection
from seatrial.sim.workloads.net import HttpRequest, HttpResponse
from seatrial.sim.workloads.process import Proc

Steps = Generator[Any, Any, int]
Program = Callable[[Proc], Steps]
LAMEDUCK_US = 5_000_000
"""How long CoreDNS goes on answering after TERM (the health plug-in's lameduck)."""
HEALTH = ("/livez", "/readyz", "/healthz")
PLAIN = {"Content-Type": "text/plain; charset=utf-8"}
_READY = HttpResponse(200, PLAIN, b"OK")
_NOT_READY = HttpResponse(503, PLAIN, b"kubernetes")
"""Of CoreDNS' ready plug-in: the plug-ins that are not."""


Certificate = Callable[[str], tuple[str, str] | None]
"""Certificate and key (PEM) for a host; None: one that the server made itself, which nobody trusts."""


def own_certificate(host: str) -> tuple[str, str] | None:
    """Of a server that was given none."""
    return None


class Component(Protocol):
    @property
    def running(self) -> bool: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...


@runtime_checkable
class Retiring(Protocol):
    """A component that has something to do yet when it is asked to end."""

    def retire(self) -> Generator[Any, Any, None]: ...


def heed(proc: Proc, after_us: int = 0) -> None:
    """TERM and INT end the process, ``after_us`` later."""

    def stop(_: str) -> None:
        proc.clock.after(after_us, lambda: proc.kill(0))

    proc.caught.update({"TERM": stop, "INT": stop})


def heed_as(proc: Proc, component: Component) -> None:
    """TERM and INT end the process as its component ends."""
    if not isinstance(component, Retiring):
        heed(proc)
        return

    def end(retiring: Retiring) -> Generator[Any, Any, None]:
        yield from retiring.retire()
        proc.kill(0)

    def stop(_: str) -> None:
        proc.clock.spawn(end(component), f"{proc.argv[0]}/end")

    proc.caught.update({"TERM": stop, "INT": stop})


def of_component(find: Callable[[Proc], Component | None]) -> Program:
    """A program that is a component for as long as it runs."""

    def program(proc: Proc) -> Steps:
        component = find(proc)
        heed(proc)
        if component is not None:
            component.start()
            proc.on_exit.append(lambda _: component.stop())
        yield Signal(proc.clock).wait()
        return 0

    return program


Served = tuple[Component, Callable[[HttpRequest], HttpResponse] | None]
"""A component, and what answers on its port unless that is the machine's."""


def served(make: Callable[[Proc], Served], port: int) -> Program:
    """A program that is a component with health and metrics over TLS. Where ``make`` raises OSError or ValueError, for
    flags or files that are wrong, the process ends with the reason in klog's form."""

    def program(proc: Proc) -> Steps:
        try:
            component, answer = make(proc)
        except (OSError, ValueError) as problem:
            text = f"open {problem.filename}: {problem.strerror}" if isinstance(problem, OSError) else str(problem)
            at = proc.clock.micro_stamp()
            when = f"{at[5:7]}{at[8:10]} {at[11:26]}"
            proc.err(f'E{when}       1 run.go:72] "command failed" err={orjson.dumps(text).decode()}\n')
            return 1
        heed_as(proc, component)
        component.start()
        proc.on_exit.append(lambda _: component.stop())
        if answer is not None:
            listen(proc, int(flags_of(proc.argv).get("secure-port", port)), Page(answer, own_certificate))
        yield Signal(proc.clock).wait()
        return 0

    return program


def flags_of(argv: Sequence[str]) -> dict[str, str]:
    """The flags of a Go program: ``--name=value``, ``--name value``, or ``--name`` alone, which means true."""
    found: dict[str, str] = {}
    words = list(argv[1:])
    for word, following in zip(words, [*words[1:], "-"], strict=True):
        if word.startswith("-"):
            name, given, value = word.lstrip("-").partition("=")
            found[name] = value if given else "true" if following.startswith("-") else following
    return found


def needed(
    host: str, fail: Callable[[], Callable[[], None]], resume: Callable[[Proc], str] = lambda proc: ""
) -> Program:
    """A program that is missed while it does not run on a machine: when its last process there ends, ``fail`` breaks
    what needs it and returns the opposite, for when it runs again. Before its first start all is well: whoever
    installed the cluster saw to that. ``resume`` is called at each later start, and says why there can be none."""
    running: list[Proc] = []
    heals: list[Callable[[], None]] = []
    started = False

    def ended(proc: Proc) -> None:
        running.remove(proc)
        if not running:
            heals.append(fail())

    def program(proc: Proc) -> Steps:
        nonlocal started
        heed(proc)
        if proc.container.sandbox.host == host:
            problem = resume(proc) if started else ""
            started = True
            if problem:
                proc.err(f"{problem}\n")
                return 1
            running.append(proc)
            while heals:
                heals.pop()()
            proc.on_exit.append(lambda _: ended(proc))
        yield Signal(proc.clock).wait()
        return 0

    return program


class Page:
    """An HTTP server that answers every path with what a function says."""

    def __init__(
        self,
        answer: Callable[[HttpRequest], HttpResponse],
        certificate: Certificate | None = None,
        clock: Clock | None = None,
        lasting: tuple[str, ...] = (),
    ) -> None:
        """``lasting``: paths at which what is well stays well until the process ends, and nobody is told of."""
        self.http = answer
        self._lasting = lasting
        self._clock = clock
        self.certificate = certificate
        """For whoever ends TLS, of a server that speaks it."""

    def traces(self, request: HttpRequest) -> tuple[None] | None:
        return (None,) if request.path.startswith(self._lasting or ("\n",)) else None

    def open(self, on_data: Callable[[bytes], None], on_close: Callable[[], None], client: str) -> Any:
        return HttpConnection(self, on_data, on_close, client, self._clock)


def coredns(make: Callable[[Proc, Callable[[], str]], CoreDNS]) -> Program:
    """CoreDNS: answers on port 53 by what its Corefile says."""

    def program(proc: Proc) -> Steps:
        words = dict(zip(proc.argv, proc.argv[1:], strict=False))
        path = words.get("-conf", "Corefile")

        def corefile() -> str:
            try:
                return proc.fs.read(path, proc.cwd).decode()
            except OSError:
                return ".:53 {\n    whoami\n}\n"

        server = make(proc, corefile)
        try:
            server.start()
        except CorefileError as problem:
            proc.err(f"{path}:{str(problem).partition(':')[2] or problem}\n")
            return 1
        proc.on_exit.append(lambda _: server.stop())
        heed(proc, LAMEDUCK_US)
        proc.out(".:53\nCoreDNS-1.13.1\nlinux/amd64\n")
        for protocol in ("UDP", "TCP"):
            listen(proc, 53, NameServer(server, protocol), protocol)
        listen(proc, 8080, Page(lambda _: HttpResponse(200, PLAIN, b"OK"), lasting=("/",)))
        listen(proc, 8181, Page(lambda _: _READY if server.ready else _NOT_READY, lasting=("/",)))
        yield Signal(proc.clock).wait()
        return 0

    return program


def ingress_controller(make: Callable[[Proc], IngressController]) -> Program:
    """ingress-nginx: ports 80 and 443, health, and the webhook that lets every Ingress pass."""

    def program(proc: Proc) -> Steps:
        controller = make(proc)
        controller.start()
        proc.on_exit.append(lambda _: controller.stop())
        heed(proc)
        proc.out(f"NGINX Ingress controller\n  Release:       {controller.client.user_agent.partition('/')[2]}\n")
        listen(proc, 80, Page(lambda request: controller.serve(request, False), clock=proc.clock))
        listen(proc, 443, Page(lambda request: controller.serve(request, True), controller.certificate, proc.clock))
        listen(proc, 8443, Page(_admitted, own_certificate))
        listen(
            proc, 10254, Page(lambda _: HttpResponse(200 if controller.ready else 500, PLAIN, b"ok"), lasting=("/",))
        )
        yield Signal(proc.clock).wait()
        return 0

    return program


def extension_server(make: Callable[[Proc], ExtensionServer]) -> Program:
    """An API server of somebody else's: its API over TLS, with the certificate that its flags name."""

    def program(proc: Proc) -> Steps:
        flags = dict(word.lstrip("-").partition("=")[::2] for word in proc.argv[1:])
        try:
            pair = certificate_of(proc, flags)
        except OSError as problem:
            proc.err(f"Error: {problem}\n")
            return 1
        server = make(proc)
        server.start()
        proc.on_exit.append(lambda _: server.stop())
        heed(proc)

        def answer(request: HttpRequest) -> HttpResponse:
            if request.path.startswith(("/livez", "/readyz", "/healthz")):
                well = server.ready or not request.path.startswith("/readyz")
                return HttpResponse(200 if well else 500, PLAIN, b"ok" if well else b"informer-sync failed")
            code, media_type, body = server.answer(request.method, request.path, request.headers, request.body)
            return HttpResponse(code, {"Content-Type": media_type}, body)

        listen(proc, int(flags.get("secure-port", "443")), Page(answer, lambda host: pair))
        yield Signal(proc.clock).wait()
        return 0

    return program


def metrics_server(make: Callable[[Proc], MetricsServer]) -> Program:
    """The metrics server: its API, and whether it has something to say."""

    def program(proc: Proc) -> Steps:
        server = make(proc)
        server.start()
        proc.on_exit.append(lambda _: server.stop())
        heed(proc)
        flags = dict(word.lstrip("-").partition("=")[::2] for word in proc.argv[1:])

        def answer(request: HttpRequest) -> HttpResponse:
            if request.path.startswith(HEALTH):
                well = server.ready or not request.path.startswith("/readyz")
                return HttpResponse(200 if well else 500, PLAIN, b"ok" if well else b"metric-storage-ready failed")
            try:
                code, body = server.answer(request.method, request.path)
            except PlainError as error:
                return HttpResponse(error.code, PLAIN, error.text.encode())
            return HttpResponse(code, {"Content-Type": "application/json"}, orjson.dumps(body))

        listen(proc, int(flags.get("secure-port", "443")), Page(answer, own_certificate, lasting=HEALTH))
        yield Signal(proc.clock).wait()
        return 0

    return program


def state_metrics(make: Callable[[Proc], StateMetrics]) -> Program:
    """kube-state-metrics: objects as metrics, and its own."""

    def program(proc: Proc) -> Steps:
        exporter = make(proc)
        exporter.start()
        proc.on_exit.append(lambda _: exporter.stop())
        heed(proc)
        flags = dict(word.lstrip("-").partition("=")[::2] for word in proc.argv[1:])

        def objects(request: HttpRequest) -> HttpResponse:
            if not request.path.startswith("/metrics"):
                return HttpResponse(200, PLAIN, b"OK")
            accepted = {name.lower(): value for name, value in request.headers.items()}.get("accept", "")
            wants_open = "application/openmetrics-text" in accepted
            headers = {"Content-Type": OPEN_METRICS if wants_open else TEXT}
            return HttpResponse(200, headers, exporter.metrics(wants_open))

        listen(proc, int(flags.get("port", "8080")), Page(objects))
        own = Page(lambda _: HttpResponse(200, {"Content-Type": TEXT}, exporter.telemetry()))
        listen(proc, int(flags.get("telemetry-port", "8081")), own)
        yield Signal(proc.clock).wait()
        return 0

    return program


def node_exporter(page_of: Callable[[Proc], bytes]) -> Program:
    """node_exporter: the figures of the machine on which it runs."""

    def program(proc: Proc) -> Steps:
        heed(proc)
        flags = dict(word.lstrip("-").partition("=")[::2] for word in proc.argv[1:])
        port = flags.get("web.listen-address", ":9100").rpartition(":")[2]
        listen(proc, int(port), Page(lambda _: HttpResponse(200, {"Content-Type": TEXT}, page_of(proc))))
        yield Signal(proc.clock).wait()
        return 0

    return program


def _admitted(request: HttpRequest) -> HttpResponse:
    review = orjson.loads(request.body or b"{}")
    uid = (review.get("request") or {}).get("uid", "")
    body = {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": {"uid": uid, "allowed": True}}
    return HttpResponse(200, {"Content-Type": "application/json"}, orjson.dumps(body))


class NameServer:
    """Port 53: takes questions as they are, and from who is outside as they are on the wire."""

    def __init__(self, server: CoreDNS, protocol: str) -> None:
        self.ask, self._protocol = server.ask, protocol

    def http(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse(400, PLAIN, b"")

    def open(self, on_data: Callable[[bytes], None], on_close: Callable[[], None], client: str) -> Any:
        return OverUdp(self.ask, on_data) if self._protocol == "UDP" else OverTcp(self.ask, on_data, on_close)


def api_server(server: Apiserver) -> Page:
    """The API server as containers reach it, with the token that they show. Watches are not carried."""

    def answer(asked: HttpRequest) -> HttpResponse:
        path, _, query = asked.path.partition("?")
        values: dict[str, tuple[str, ...]] = {}
        for part in query.split("&") if query else ():
            name, _, value = part.partition("=")
            values[name] = (*values.get(name, ()), value)
        headers = {name.lower(): value for name, value in asked.headers.items()}
        token = headers.get("authorization", "").removeprefix("Bearer ").strip()
        response = server.handle(
            Request(
                asked.method,
                path,
                {name: value for name, value in values.items() if name not in ("watch", "follow")},
                asked.body or None,
                headers.get("content-type", "application/json"),
                credentials=Credentials(bearer_token=token) if token else None,
                user_agent=headers.get("user-agent", ""),
                headers=headers,
            )
        )
        body = response.body
        if not isinstance(body, bytes | bytearray):
            body = orjson.dumps(body, option=orjson.OPT_INDENT_2)
        return HttpResponse(response.code, {"Content-Type": response.content_type, **response.headers}, bytes(body))

    return Page(answer)


def table(programs: Mapping[str, Callable[[Proc], Component | None]]) -> dict[str, Program]:
    """Programs by name, of those that are nothing but a component."""
    return {name: of_component(find) for name, find in programs.items()}
