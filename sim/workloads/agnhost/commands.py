"""agnhost's sub-commands."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from html import escape
from typing import Any
from urllib.parse import quote

from seatrial.sim.kernel.clock import stamp_of
from seatrial.sim.workloads.agnhost import mtls
from seatrial.sim.workloads.agnhost.guestbook import guestbook
from seatrial.sim.workloads.agnhost.mounttest import mounttest
from seatrial.sim.workloads.agnhost.netexec import netexec
from seatrial.sim.workloads.agnhost.nettest import nettest
from seatrial.sim.workloads.agnhost.openid import issuer_discovery
from seatrial.sim.workloads.agnhost.portforward import port_forward_tester
from seatrial.sim.workloads.agnhost.site import (
    HTML,
    JSON,
    Certificate,
    Datagrams,
    Greeter,
    Handler,
    Site,
    Steps,
    Values,
    certificate_of,
    flags,
    klog,
    log,
    said,
    serving,
)
from seatrial.sim.workloads.agnhost.webhooks import conversion_webhook, webhook
from seatrial.sim.workloads.commands.network import Failed, reach
from seatrial.sim.workloads.commands.system import duration_us
from seatrial.sim.workloads.filesystem import Dir, Node
from seatrial.sim.workloads.net import HttpRequest, HttpResponse
from seatrial.sim.workloads.process import Proc

Command = Callable[[Proc, list[str]], Any]
SECOND_US = 1_000_000
HEALTHY_US = 10 * SECOND_US
"""How long ``liveness`` is well."""
CONNECT_TIMEOUT_US = 1 * SECOND_US
POLL_S = 30
"""inclusterclient's --poll-interval."""


def agnhost(proc: Proc) -> Any:
    """The sub-commands of Kubernetes' own test image."""
    words = proc.argv[1:]
    if not words:
        proc.out("Usage:\n  app [command]\n")
        return 0
    return COMMANDS.get(words[0], unknown)(proc, words[1:])


def unknown(proc: Proc, words: list[str]) -> Steps:
    """What is not modelled answers with which pod it is."""
    options = flags(words)
    port = options.get("http-port") or options.get("port") or "8080"
    listeners = {("TCP", int(port)): Site(proc, {"": lambda request, values: said(proc.container.hostname)})}
    return serving(proc, listeners if port.isdigit() else {})


def pause(proc: Proc, words: list[str]) -> Steps:
    proc.out("Paused\n")
    return serving(proc, {})


def serve_hostname(proc: Proc, words: list[str]) -> Steps:
    options = flags(words, ("tcp", "udp", "http", "close"))
    port, name = int(options.get("port", "9376")), proc.container.hostname
    http = options.get("http", "true") == "true"
    tcp, udp = options.get("tcp") == "true", options.get("udp") == "true"
    if http and (tcp or udp):
        log(proc, "Can't server TCP/UDP mode and HTTP mode at the same time")
        return _failed()

    def hostname(request: HttpRequest, values: Values) -> HttpResponse:
        log(proc, f"HTTP request from {request.client}")
        return said(name)

    listeners: dict[tuple[str, int], Any] = {}
    if http:
        listeners["TCP", port] = Site(proc, {"": hostname})
    if tcp:
        listeners["TCP", port] = Greeter(name.encode())
    if udp:
        listeners["UDP", port] = Datagrams(lambda data, client: name.encode())
    log(proc, f"Serving on port {port}.")
    return serving(proc, listeners, 60 * SECOND_US)


def _failed() -> Steps:
    return 1
    yield


def porter(proc: Proc, words: list[str]) -> Steps:
    """Serves what SERVE_PORT_<n>, SERVE_TCP_PORT_<n>, SERVE_TLS_PORT_<n> and SERVE_UDP_PORT_<n> say."""
    as_json = flags(words, ("json-response",)).get("json-response") == "true"

    def answer(value: str, request: HttpRequest, values: Values) -> HttpResponse:
        if as_json:
            text = json.dumps({"Method": request.method, "Body": value}, separators=(",", ":"))
            return said(text, headers=JSON)
        return said(value, headers={"Content-Type": "text/html; charset=utf-8" if "<" in value else "text/plain"})

    listeners: dict[tuple[str, int], Any] = {}
    for name, value in proc.env.items():
        head, _, port = name.rpartition("_")
        if not port.isdigit():
            continue
        if head in ("SERVE_PORT", "SERVE_TCP_PORT"):
            listeners["TCP", int(port)] = Site(proc, {"": partial(answer, value)})
        elif head == "SERVE_TLS_PORT":
            site = listeners["TCP", int(port)] = Site(proc, {"": partial(answer, value)})
            site.certificate = _own(proc)
        elif head == "SERVE_UDP_PORT":
            listeners["UDP", int(port)] = Datagrams(lambda data, client, value=value: value.encode())  # type: ignore[misc]
    return serving(proc, listeners)


def _own(proc: Proc) -> Callable[[str], tuple[str, str] | None]:
    """The certificate that CERT_FILE and KEY_FILE name; None: the image's own, which nobody trusts."""

    def read(host: str) -> tuple[str, str] | None:
        try:
            return (
                proc.fs.read(proc.env["CERT_FILE"], proc.cwd).decode("ascii", "replace"),
                proc.fs.read(proc.env["KEY_FILE"], proc.cwd).decode("ascii", "replace"),
            )
        except (KeyError, OSError):
            return None

    return read


def liveness(proc: Proc, words: list[str]) -> Steps:
    """/healthz is well for ten seconds, then fails."""
    started = proc.clock.now

    def healthz(request: HttpRequest, values: Values) -> HttpResponse:
        age = proc.clock.now - started
        return said(f"error: {age / SECOND_US}", 500) if age > HEALTHY_US else said("ok")

    routes: dict[str, Handler] = {
        "/healthz": healthz,
        "/started": lambda request, values: said(f"{(proc.clock.now - started) / SECOND_US}s"),
        "/redirect": lambda request, values: HttpResponse(302, {"Location": values.get("loc", "")}, b""),
    }
    return serving(proc, {("TCP", 8080): Site(proc, routes)})


def web_server(proc: Proc, words: list[str]) -> Steps:
    """The files of the container."""

    def page(request: HttpRequest, values: Values) -> HttpResponse:
        path = request.path.partition("?")[0]
        try:
            node = proc.fs.find(path)
            if not isinstance(node, Dir):
                return said(proc.fs.read(path))
            if not path.endswith("/"):
                return HttpResponse(301, {"Location": path.rpartition("/")[2] + "/"}, b"")
            if proc.fs.exists(f"{path}index.html"):
                return said(proc.fs.read(f"{path}index.html"), headers=HTML)
            return said(_listing(proc.fs.directory(path)), headers=HTML)
        except OSError:
            return said("404 page not found\n", 404)

    return serving(proc, {("TCP", int(flags(words).get("port", "80"))): Site(proc, {"": page})})


def _listing(entries: Mapping[str, Node]) -> str:
    """A directory, as Go's file server shows it."""
    names = [f"{name}/" if isinstance(node, Dir) else name for name, node in sorted(entries.items())]
    links = "".join(f'<a href="{quote(name)}">{escape(name)}</a>\n' for name in names)
    head = '<!doctype html>\n<meta name="viewport" content="width=device-width">\n'
    return f"{head}<pre>\n{links}</pre>\n"


class Health:
    """A gRPC server that knows nothing but the health protocol."""

    def __init__(self, status: Callable[[str], str], certificate: Certificate | None) -> None:
        self.health = status
        self.certificate = certificate

    def http(self, request: HttpRequest) -> HttpResponse:
        raise ConnectionResetError(104, "Connection reset by peer")

    def open(self, on_data: Callable[[bytes], None], on_close: Callable[[], None], client: str) -> Any:
        return Greeter(b"").open(on_data, on_close, client)


def grpc_health_checking(proc: Proc, words: list[str]) -> Steps:
    """A health endpoint on --port: SERVING, and NOT_SERVING after --delay-unhealthy-sec or when told over HTTP."""
    options = flags(words)
    started, delay_s = proc.clock.now, int(options.get("delay-unhealthy-sec", "-1"))
    forced: list[bool] = []
    try:
        own = certificate_of(proc, options)
    except OSError as error:
        log(proc, f"Failed to generate credentials open {error.filename}: {(error.strerror or '').lower()}")
        return _failed()

    def status(service: str) -> str:
        log(proc, f"Serving the Check request for health check, started at {stamp_of(started)}")
        if service != options.get("service", ""):
            raise LookupError("unknown service")
        late = delay_s >= 0 and proc.clock.now - started >= delay_s * SECOND_US
        return "NOT_SERVING" if (forced and forced[-1]) or late else "SERVING"

    def make(unhealthy: bool) -> Handler:
        def mark(request: HttpRequest, values: Values) -> HttpResponse:
            log(proc, f"Mark as {'unhealthy' if unhealthy else 'healthy'}")
            forced.append(unhealthy)
            return said(f"{(proc.clock.now - started) / SECOND_US}s")

        return mark

    port, http_port = int(options.get("port", "5000")), int(options.get("http-port", "8080"))
    log(proc, f"Http server starting to listen on :{http_port}")
    log(proc, f"gRPC server starting to listen on :{port}")
    site = Site(proc, {"/make-not-serving": make(True), "/make-serving": make(False)})
    listeners = {("TCP", http_port): site, ("TCP", port): Health(status, None if own is None else lambda host: own)}
    return serving(proc, listeners)


def logs_generator(proc: Proc, words: list[str]) -> Steps:
    """Lines like an API server's, spread evenly over a time."""
    options = flags([{"-t": "--log-lines-total", "-d": "--run-duration"}.get(word, word) for word in words])
    total, span = int(options.get("log-lines-total", "0")), duration_us(options.get("run-duration", "0s")) or 0
    if total <= 0 or span <= 0:
        what = f"total number of lines: {total}" if total <= 0 else "duration: 0s"
        klog(proc, f"logs_generator.go:69] Invalid {what}", "F")
        return 255
    rng = proc.container.rng
    letters = "bcdfghjklmnpqrstvwxz2456789"
    for line in range(total):
        name = "".join(rng.choice(letters) for _ in range(rng.randrange(3, 5)))
        space, method = rng.choice(("kube-system", "default", "ns")), rng.choice(("GET", "POST", "PUT"))
        url = f"/api/v1/namespaces/{space}/pods/{name}"
        klog(proc, f"logs_generator.go:76] {line} {method} {url} {rng.randrange(200, 600)}")
        yield proc.clock.sleep(span // total)
    return 0


def entrypoint_tester(proc: Proc, words: list[str]) -> int:
    proc.out(f"[{' '.join(proc.argv)}]\n")
    return 0


def dns_suffix(proc: Proc, words: list[str]) -> int:
    proc.out(",".join(proc.container.sandbox.dns.get("searches", ())) + "\n")
    return 0


def dns_servers(proc: Proc, words: list[str]) -> int:
    proc.out(",".join(proc.container.sandbox.dns.get("servers", ())) + "\n")
    return 0


def etc_hosts(proc: Proc, words: list[str]) -> int:
    proc.out(proc.fs.read("/etc/hosts") + b"\n")
    return 0


def effective_uid(proc: Proc, words: list[str]) -> int:
    proc.out(f"Effective uid: {proc.uid}\n")
    return 0


def connect(proc: Proc, words: list[str]) -> Steps:
    """``connect host:port [--timeout d]``: silence when it listens, else TIMEOUT, REFUSED or DNS and exit code 1."""
    options = flags(words)
    target = next((word for word in words if not word.startswith("-") and ":" in word), "")
    host, _, port = target.rpartition(":")
    timeout = duration_us(options.get("timeout", "")) or CONNECT_TIMEOUT_US
    try:
        yield from reach(proc, host, int(port or 0), timeout)
    except Failed as problem:
        known = {"resolve": "DNS", "timeout": "TIMEOUT", "refused": "REFUSED"}
        proc.err(known.get(problem.kind, "OTHER") + "\n")
        return 1
    return 0


def in_cluster_client(proc: Proc, words: list[str]) -> Steps:
    """Asks the API server for its health again and again, with the account's token of the moment."""
    import base64
    import hashlib

    period_s = int(flags(words).get("poll-interval") or POLL_S)
    klog(proc, "main.go:48] started")
    while True:
        yield proc.clock.sleep(period_s * SECOND_US)
        klog(proc, "main.go:71] calling /healthz")
        try:
            token = proc.fs.read("/var/run/secrets/kubernetes.io/serviceaccount/token").decode()
        except OSError:
            klog(proc, "main.go:90] authz_header=<empty>", "E")
            continue
        digest = hashlib.sha256(f"salt|Bearer {token}".encode()).digest()
        seen = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        klog(proc, f"main.go:88] authz_header={seen}")


def environment(proc: Proc, words: list[str]) -> int:
    proc.out("".join(f"{key}={value}\n" for key, value in proc.env.items()))
    return 0


COMMANDS: Mapping[str, Command] = {
    "connect": connect,
    "crd-conversion-webhook": conversion_webhook,
    "dns-server-list": dns_servers,
    "dns-suffix": dns_suffix,
    "entrypoint-tester": entrypoint_tester,
    "env": environment,
    "etc-hosts": etc_hosts,
    "grpc-health-checking": grpc_health_checking,
    "guestbook": guestbook,
    "inclusterclient": in_cluster_client,
    "liveness": liveness,
    "logs-generator": logs_generator,
    "mounttest": mounttest,
    "mtlsclient": mtls.client,
    "mtlsserver": mtls.server,
    "netexec": netexec,
    "nettest": nettest,
    "nonewprivs": effective_uid,
    "pause": pause,
    "port-forward-tester": port_forward_tester,
    "porter": porter,
    "serve-hostname": serve_hostname,
    "test-service-account-issuer-discovery": issuer_discovery,
    "test-webserver": web_server,
    "webhook": webhook,
}
