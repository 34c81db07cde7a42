"""What a configured nginx answers: virtual servers, locations, files, redirections, other servers.

Source: nginx.org/en/docs/http. Not modelled: rewriting, caches, limits, authentication, gRPC and FastCGI; of several
servers of an upstream the next in turn is asked.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from seatrial.sim.workloads.filesystem import Dir
from seatrial.sim.workloads.http import normal
from seatrial.sim.workloads.net import HttpRequest, HttpResponse
from seatrial.sim.workloads.nginx.configuration import (
    Configuration,
    Directive,
    Location,
    Refused,
    Virtual,
    last,
    loaded,
)
from seatrial.sim.workloads.process import Proc

Block = tuple[Directive, ...]
Page = Callable[[int], HttpResponse]
VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
REDIRECTS = (301, 302, 303, 307, 308)
GOOD = (200, 201, 204, 206, 301, 302, 303, 304, 307, 308)
CLOSED = 444
"""nginx's own code for closing the connection."""
PORTS = {"http": 80, "https": 443}
REDIRECTIONS_MAX = 10
DEPTH_MAX = 16
"""How often a request may come back here by way of other servers; nginx goes on until it has no connections left."""
TEXT = "text/plain"


class Asked(NamedTuple):
    """A request, where it came in, and its query."""

    request: HttpRequest
    port: int
    server: Virtual
    query: str

    @property
    def scheme(self) -> str:
        return "https" if any(one.port == self.port and one.tls for one in self.server.listens) else "http"


class Site:
    """The configuration that holds, and who answers by it; ``page`` makes its own pages, ``types`` go by ending."""

    def __init__(self, proc: Proc, page: Page, types: Mapping[str, str]) -> None:
        self._proc, self._page, self._types = proc, page, types
        self._turn = self._depth = 0
        self.configuration: Configuration = loaded(proc)
        self._check()

    def reload(self) -> None:
        """Reads the files anew. Raises Refused, and goes on as before."""
        before = self.configuration
        try:
            self.configuration = loaded(self._proc)
            self._check()
            self.ports()
        except Refused:
            self.configuration = before
            raise

    def ports(self) -> dict[int, tuple[str, str] | None]:
        """Where it listens, with the certificate and key of those that speak TLS. Raises Refused."""
        found: dict[int, tuple[str, str] | None] = {}
        for server in self.configuration.servers:
            for listen in server.listens:
                found[listen.port] = self._credentials(server) if listen.tls else None
        return found

    def answer(self, port: int, request: HttpRequest) -> HttpResponse:
        """Raises ConnectionResetError where the connection is to be closed without an answer."""
        server = self._server(port, request)
        asked, _, query = request.path.partition("?")
        path = normal(asked)
        if path is None:
            return self._page(400)
        if self._depth > DEPTH_MAX:
            self._proc.err(f"{DEPTH_MAX} worker_connections are not enough while connecting to upstream\n")
            return self._page(500)
        self._depth += 1
        try:
            response = self._located(server, Asked(request, port, server, query), path, 0)
        finally:
            self._depth -= 1
        return response._replace(headers={"Server": self._page(200).headers["Server"], **response.headers})

    # Beginning

    def _check(self) -> None:
        """Servers that are named have to have an address. Raises Refused."""
        for server in self.configuration.servers:
            for block in (server.block, *(location.block for location in server.locations)):
                found = last(block, "proxy_pass")
                if found is None or not found.words or "$" in found.words[0]:
                    continue
                host = urlsplit(found.words[0]).netloc.partition(":")[0]
                for name in self.configuration.upstreams.get(host, (host,)):
                    self._resolve(name.partition(":")[0], found.at)

    def _resolve(self, host: str, at: str) -> None:
        container = self._proc.container
        try:
            container.world.network.resolve(container.sandbox, host)
        except OSError:
            raise Refused(f'host not found in upstream "{host}" in {at}') from None

    def _credentials(self, server: Virtual) -> tuple[str, str]:
        made = []
        for name in ("ssl_certificate", "ssl_certificate_key"):
            found = last(server.block, name)
            if found is None or not found.words:
                raise Refused(f'no "{name}" is defined for the "listen ... ssl" directive')
            try:
                made.append(self._proc.fs.read(found.words[0], "/etc/nginx").decode(errors="replace"))
            except OSError as error:
                what = "certificate" if name == "ssl_certificate" else "certificate key"
                raise Refused(f'cannot load {what} "{found.words[0]}": {error.strerror}') from None
        return made[0], made[1]

    # Answering

    def _server(self, port: int, request: HttpRequest) -> Virtual:
        host = _host(request)
        there = [each for each in self.configuration.servers if any(one.port == port for one in each.listens)]
        for server in there:
            if host in server.names:
                return server
        for server in there:
            if any(name.startswith("*.") and host.endswith(name[1:]) for name in server.names):
                return server
        return next((s for s in there if any(one.port == port and one.default for one in s.listens)), there[0])

    def _located(self, server: Virtual, asked: Asked, path: str, depth: int) -> HttpResponse:
        location = _location(server, path)
        block = location.block if location is not None else server.block
        if location is not None and last(server.block, "return") is not None:
            block = server.block
        values = self._values(asked, path)
        if (told := last(block, "return")) is not None:
            response = self._returned(told, block, asked, values)
        elif any(each.name == "deny" and each.words == ("all",) for each in block):
            response = self._page(403)
        elif last(block, "stub_status") is not None:
            response = HttpResponse(200, {"Content-Type": TEXT}, b"Active connections: 1 \n")
        elif (proxied := last(block, "proxy_pass")) is not None:
            response = self._proxied(proxied, block, location, asked, path, values)
        elif (tried := last(block, "try_files")) is not None:
            return self._tried(tried, server, block, location, asked, path, values, depth)
        else:
            response = self._file(block, location, asked, path)
        return _with_headers(response, block, values)

    def _values(self, asked: Asked, path: str) -> dict[str, str]:
        request, query = asked.request, asked.query
        headers = {f"http_{name.lower().replace('-', '_')}": value for name, value in request.headers.items()}
        host = _host(request)
        arguments = dict(pair.partition("=")[::2] for pair in reversed(query.split("&")))
        return {
            **{f"arg_{name}": value for name, value in arguments.items()},
            **headers,
            "host": host,
            "http_host": headers.get("http_host", ""),
            "hostname": self._proc.container.hostname,
            "uri": path,
            "document_uri": path,
            "request_uri": request.path,
            "args": query,
            "query_string": query,
            "is_args": "?" if query else "",
            "request_method": request.method,
            "remote_addr": request.client,
            "proxy_add_x_forwarded_for": ", ".join(filter(None, (headers.get("http_x_forwarded_for"), request.client))),
            "scheme": asked.scheme,
            "server_addr": self._proc.container.sandbox.ip,
            "server_name": (asked.server.names or ("",))[0],
            "server_port": str(asked.port),
        }

    def _returned(self, told: Directive, block: Block, asked: Asked, values: Mapping[str, str]) -> HttpResponse:
        first, *rest = told.words
        code, text = (int(first), " ".join(rest)) if first.isdigit() else (302, first)
        text = _filled(text, values)
        if code == CLOSED:
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        if code in REDIRECTS:
            return self._redirected(code, text, asked)
        if not text and code >= 400:
            return self._page(code)
        kind = last(block, "default_type")
        return HttpResponse(code, {"Content-Type": kind.words[0] if kind and kind.words else TEXT}, text.encode())

    def _redirected(self, code: int, target: str, asked: Asked) -> HttpResponse:
        """What is here has the server's own scheme and port put before it, as absolute_redirect has it."""
        if target.startswith("/"):
            port = "" if asked.port == PORTS[asked.scheme] else f":{asked.port}"
            target = f"{asked.scheme}://{_host(asked.request)}{port}{target}"
        page = self._page(code)
        return page._replace(headers={**page.headers, "Location": target})

    def _tried(
        self, tried: Directive, server: Virtual, block: Block, location: Location | None, asked: Asked, path: str,
        values: Mapping[str, str], depth: int,
    ) -> HttpResponse:  # fmt: skip
        *choices, end = (_filled(word, values) for word in tried.words)
        for choice in choices:
            at = self._place(block, location, choice)
            if self._proc.fs.exists(at) and (choice.endswith("/") == isinstance(self._proc.fs.find(at), Dir)):
                return _with_headers(self._file(block, location, asked, choice), block, values)
        if end.startswith("="):
            return _with_headers(self._page(int(end[1:])), block, values)
        if depth >= REDIRECTIONS_MAX:
            self._proc.err(f'rewrite or internal redirection cycle while internally redirecting to "{end}"\n')
            return self._page(500)
        return self._located(server, asked, end.partition("?")[0], depth + 1)

    def _place(self, block: Block, location: Location | None, path: str) -> str:
        alias = last(location.block, "alias") if location is not None else None
        if alias is not None and location is not None:
            return alias.words[0] + path.removeprefix(location.path)
        root = last(block, "root")
        return (root.words[0] if root is not None and root.words else "/etc/nginx/html").rstrip("/") + path

    def _file(self, block: Block, location: Location | None, asked: Asked, path: str) -> HttpResponse:
        if asked.request.method not in ("GET", "HEAD"):
            return self._page(405)
        fs, at = self._proc.fs, self._place(block, location, path)
        try:
            if isinstance(fs.find(at), Dir):
                if not path.endswith("/"):
                    return self._redirected(301, f"{path}/", asked)
                index = last(block, "index")
                names = index.words if index is not None else ("index.html",)
                at = next((f"{at.rstrip('/')}/{name}" for name in names if fs.exists(f"{at.rstrip('/')}/{name}")), "")
                if not at:
                    return self._page(403)
            data = fs.read(at)
        except OSError:
            return self._page(404)
        return HttpResponse(
            200, {"Content-Type": self._types.get(at.rpartition(".")[2], "application/octet-stream")}, data
        )

    def _proxied(
        self, told: Directive, block: Block, location: Location | None, asked: Asked, path: str,
        values: Mapping[str, str],
    ) -> HttpResponse:  # fmt: skip
        target, request = urlsplit(_filled(told.words[0], values)), asked.request
        wanted = request.path
        if target.path and location is not None and "$" not in told.words[0]:
            wanted = target.path + path.removeprefix(location.path) + (f"?{asked.query}" if asked.query else "")
        servers = self.configuration.upstreams.get(target.netloc) or (target.netloc,)
        self._turn += 1
        host, _, port = servers[self._turn % len(servers)].rpartition("@")[2].partition(":")
        headers = {**request.headers, "Host": target.netloc, "Connection": "close"}
        for each in block:
            if each.name == "proxy_set_header":
                headers[each.words[0]] = _filled(each.words[1], values)
        sandbox, network = self._proc.container.sandbox, self._proc.container.world.network
        try:
            address = network.resolve(sandbox, host)[0]
            listener = network.connect(sandbox, address, int(port) if port.isdigit() else PORTS.get(target.scheme, 80))
            return listener.http(request._replace(path=wanted, headers=headers, client=sandbox.ip))
        except TimeoutError:
            return self._page(504)
        except OSError as error:
            self._proc.err(f"connect() failed ({error.errno}: {error.strerror}) while connecting to upstream\n")
            return self._page(502)


def _with_headers(response: HttpResponse, block: Block, values: Mapping[str, str]) -> HttpResponse:
    """With those of ``add_header``, which errors get where it says ``always``."""
    added = {
        each.words[0]: _filled(each.words[1], values)
        for each in block
        if each.name == "add_header" and (response.code in GOOD or "always" in each.words[2:])
    }
    return response._replace(headers={**response.headers, **added}) if added else response


def _host(request: HttpRequest) -> str:
    found = next((value for name, value in request.headers.items() if name.lower() == "host"), "")
    return found.partition(":")[0].lower()


def _location(server: Virtual, path: str) -> Location | None:
    exact = next((each for each in server.locations if each.how == "=" and each.path == path), None)
    if exact is not None:
        return exact
    prefixes = [each for each in server.locations if each.how in ("", "^~") and path.startswith(each.path)]
    best = max(prefixes, key=lambda each: len(each.path), default=None)
    if best is not None and best.how == "^~":
        return best
    for each in server.locations:
        if each.regex is not None and each.regex.search(path):
            return each
    return best


def _filled(text: str, values: Mapping[str, str]) -> str:
    return VARIABLE.sub(lambda match: values.get(match[1] or match[2], ""), text)


def plain_root(configuration: Configuration) -> str | None:
    """The directory, when all there is to say is that its files are served at port 80."""
    if len(configuration.servers) != 1 or configuration.servers[0].locations:
        return None
    server = configuration.servers[0]
    only = {"listen", "root", "server_name", "index"}
    if any(each.name not in only for each in server.block) or any(each.port != 80 for each in server.listens):
        return None
    root, index = last(server.block, "root"), last(server.block, "index")
    if root is None or not root.words or (index is not None and index.words[:1] != ("index.html",)):
        return None
    return root.words[0]
