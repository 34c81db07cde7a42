"""agnhost netexec: an HTTP and a UDP server by which tests ask a pod about itself, and have it dial others."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from seatrial.sim.kernel.clock import stamp_of
from seatrial.sim.workloads.agnhost.site import (
    Datagrams,
    Handler,
    Site,
    Steps,
    Values,
    ask,
    certificate_of,
    datagram,
    flags,
    log,
    said,
    serving,
)
from seatrial.sim.workloads.commands.system import duration_us
from seatrial.sim.workloads.net import HttpRequest, HttpResponse, dialled
from seatrial.sim.workloads.process import Proc

SECOND_US = 1_000_000
CLIENT_PORT = 40000
"""Clients' ports are not modelled; this is what a server sees."""
LOGGED = ("host", "protocol", "port", "request", "tries", "msg", "code", "key", "var", "timeout", "wait", "location")


def netexec(proc: Proc, words: list[str]) -> Steps:
    options = flags(words)
    port, udp = int(options.get("http-port", "8080")), int(options.get("udp-port", "8081"))
    server = _Netexec(proc, port, udp)
    routes = dict(server.routes)
    if override := options.get("http-override"):
        inner = Site(proc, routes)
        routes = {"": lambda request, _: inner.http(request._replace(method="GET", path=override))}
    listeners: dict[tuple[str, int], object] = {("TCP", port): Site(proc, routes, certificate_of(proc, options))}
    if udp != -1:
        listeners["UDP", udp] = Datagrams(server.datagram)
    log(proc, f"Started HTTP server on port {port}")
    if udp != -1:
        log(proc, f"Started UDP server on port  {udp}")
    return serving(proc, listeners, int(options.get("delay-shutdown", "0")) * SECOND_US, server.leave)


class _Netexec:
    def __init__(self, proc: Proc, port: int, udp: int) -> None:
        self._proc, self._port, self._udp = proc, port, udp
        self._leaving = False
        self.routes: Mapping[str, Handler] = {
            "": self._root,
            "/clientip": lambda request, _: said(f"{request.client}:{CLIENT_PORT}"),
            "/serverport": lambda request, _: said(str(port)),
            "/header": self._header,
            "/dial": self._dial,
            "/echo": self._echo,
            "/exit": self._exit,
            "/healthz": lambda request, _: said(""),
            "/readyz": self._readyz,
            "/hostname": self._hostname,
            "/hostName": self._hostname,
            "/envvar": self._variable,
            "/redirect": self._redirect,
            "/shutdown": lambda request, _: self._leave(0, 0),
            "/upload": self._upload,
        }

    def leave(self) -> None:
        """From TERM on the server is not ready, though it still answers."""
        self._leaving = True

    def datagram(self, data: bytes, client: str) -> bytes | None:
        text = data.decode(errors="replace").strip()
        command, _, rest = text.partition(" ")
        answers: Mapping[str, Callable[[], str]] = {
            "hostname": lambda: self._proc.container.hostname,
            "envvar": lambda: self._proc.env.get(rest.strip(), ""),
            "echo": lambda: rest.lower(),
            "clientip": lambda: f"{client}:{CLIENT_PORT}",
            "serverport": lambda: str(self._udp),
        }
        found = answers.get(command.lower())
        if found is None:
            log(self._proc, f"Unknown UDP command received from {client}: {text.lower()}")
            return None
        return found().encode()

    def _log(self, path: str, values: Values) -> None:
        asked = "&".join(f"{name}={values[name]}" for name in LOGGED if name in values)
        log(self._proc, f"GET {path}" + (f"?{asked}" if asked else ""))

    def _root(self, request: HttpRequest, values: Values) -> HttpResponse:
        self._log("/", {})
        stamp = stamp_of(self._proc.clock.now)
        return said(f"NOW: {stamp[:10]} {stamp[11:19]} +0000 UTC")

    def _hostname(self, request: HttpRequest, values: Values) -> HttpResponse:
        self._log(request.path, {})
        return said(self._proc.container.hostname)

    def _header(self, request: HttpRequest, values: Values) -> HttpResponse:
        self._log("/header", values)
        key = values.get("key")
        if not key:
            return said(json.dumps({name.title(): [value] for name, value in sorted(request.headers.items())}))
        found = [value for name, value in request.headers.items() if name.lower() == key.lower()]
        return said(found[0] if found else "")

    def _echo(self, request: HttpRequest, values: Values) -> HttpResponse:
        self._log("/echo", values)
        code = values.get("code") or "200"
        if not code.isdigit():
            return said(f"argument 'code' must be an integer or empty, got \"{code}\"\n")
        return said(values.get("msg", ""), int(code))

    def _readyz(self, request: HttpRequest, values: Values) -> HttpResponse:
        self._log("/readyz", {})
        return said("shutting down", 503) if self._leaving else said("ok")

    def _variable(self, request: HttpRequest, values: Values) -> HttpResponse:
        name = values.get("var", "")
        if not name:
            return said("'var' query parameter is required\n", 400)
        self._log("/envvar", values)
        if name not in self._proc.env:
            return said(f'env var "{name}" is not set\n', 500)
        return said(self._proc.env[name])

    def _redirect(self, request: HttpRequest, values: Values) -> HttpResponse:
        self._log("/redirect", values)
        code = values.get("code") or "302"
        if not code.isdigit():
            return said(f"argument 'code' must be an integer or empty, got \"{code}\"\n")
        return HttpResponse(int(code), {"Location": values.get("location", "")}, b"")

    def _exit(self, request: HttpRequest, values: Values) -> HttpResponse:
        self._log("/exit", values)
        code = values.get("code") or "0"
        if not code.isdigit():
            return said(f"argument 'code' must be an integer [0-127] or empty, got \"{code}\"\n")
        wait = duration_us(values.get("wait") or "0s")
        timeout = duration_us(values.get("timeout") or "0s")
        if wait is None or timeout is None:
            name = "wait" if wait is None else "timeout"
            return said(f"argument '{name}' must be a valid golang duration or empty, got \"{values[name]}\"\n")
        return self._leave(int(code), wait)

    def _leave(self, code: int, after_us: int) -> HttpResponse:
        # An answer is on its way before the process ends.
        self._proc.clock.after(after_us + 1_000, lambda: self._proc.kill(code))
        return said("")

    def _upload(self, request: HttpRequest, values: Values) -> HttpResponse:
        self._log("/upload", {})
        _, found, rest = request.body.partition(b"\r\n\r\n")
        if not found:
            return said(json.dumps({"error": "Unable to upload file."}))
        path = f"/uploads/upload{self._proc.clock.now}"
        try:
            self._proc.fs.write(path, rest.rpartition(b"\r\n--")[0].rpartition(b"\r\n--")[0] or rest, mode=0o700)
        except OSError:
            return said(json.dumps({"error": "Unable to open file for write"}))
        return said(json.dumps({"output": path}), 201)

    def _dial(self, request: HttpRequest, values: Values) -> HttpResponse:
        self._log("/dial", values)
        host, port, asked = (values.get(name, "") for name in ("host", "port", "request"))
        protocol, tries = values.get("protocol", "").lower() or "http", values.get("tries") or "1"
        if not tries.isdigit():
            return said(f"tries parameter is invalid. {tries}\n", 400)
        if not asked:
            return said("request parameter not specified. <nil>\n", 400)
        if protocol not in ("http", "udp"):
            return said(f"unsupported protocol. {protocol}\n", 400)
        if not port.isdigit():
            return said(f"host and/or port param are invalid. {port}\n", 400)
        responses, errors = [], []
        for _ in range(int(tries)):
            try:
                if protocol == "http":
                    responses.append(ask(self._proc, host, int(port), f"/{asked}"))
                else:
                    responses.append(datagram(self._proc, host, int(port), asked))
            except OSError as problem:
                errors.append(str(dialled(host, int(port), problem)))
        output = {name: value for name, value in (("responses", responses), ("errors", errors)) if value}
        return said(json.dumps(output, separators=(",", ":")))
