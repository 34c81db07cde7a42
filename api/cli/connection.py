"""A user's session with an API server over HTTPS: server and credentials from a kubeconfig, files from the disk.

Source: k8s.io/client-go/tools/clientcmd (loading, overrides) and k8s.io/client-go/rest. Not modelled: exec plug-ins and
identity providers for credentials, proxies.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote, urlencode, urlsplit

import yaml

from seatrial.api.cli import discovery_cache
from seatrial.scenarios.kubectl.commands import Flags
from seatrial.scenarios.kubectl.failures import Failure, error_of, refused, undiscovered
from seatrial.scenarios.kubectl.session import Files, Object, Streams
from seatrial.sim.apiserver.request import Request, Response

DEFAULT_SERVER = "http://localhost:8080"
TIMEOUT_S = 300.0
MICRO = 1_000_000
SECTIONS = ("clusters", "contexts", "users")


class DiskFiles:
    """Files relative to the working directory."""

    def read(self, path: str) -> bytes:
        return Path(path).read_bytes()

    def write(self, path: str, content: bytes) -> None:
        Path(path).write_bytes(content)

    def children(self, path: str) -> list[str] | None:
        found = Path(path)
        if not found.exists():
            raise FileNotFoundError(2, "no such file or directory", path)
        return sorted(each.name for each in found.iterdir()) if found.is_dir() else None


def config_paths(explicit: str, environment: Mapping[str, str]) -> list[Path]:
    """The files that make up the kubeconfig, the first one first."""
    if explicit:
        return [Path(explicit)]
    listed = [part for part in environment.get("KUBECONFIG", "").split(os.pathsep) if part]
    return [Path(part) for part in listed] or [Path.home() / ".kube" / "config"]


def loaded(paths: list[Path], explicit: bool) -> dict[str, Any]:
    """The files merged: of entries with one name the first counts. Raises Failure."""
    merged: dict[str, Any] = {"apiVersion": "v1", "kind": "Config"}
    for path in paths:
        try:
            value = yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}
        except FileNotFoundError:
            if explicit:
                raise Failure(f"stat {path}: no such file or directory") from None
            continue
        except (OSError, yaml.YAMLError) as problem:
            raise Failure(f'error loading config file "{path}": {problem}') from None
        if not isinstance(value, dict):
            raise Failure(f'error loading config file "{path}": it is no kubeconfig')
        for section in SECTIONS:
            held = {row["name"] for row in merged.get(section) or ()}
            rows = [row for row in value.get(section) or () if row.get("name") not in held]
            base = path.parent
            merged[section] = (merged.get(section) or []) + [_absolute(row, base) for row in rows]
        if value.get("current-context") and not merged.get("current-context"):
            merged["current-context"] = value["current-context"]
    return merged


FILE_FIELDS = ("certificate-authority", "client-certificate", "client-key")


def _absolute(row: dict[str, Any], base: Path) -> dict[str, Any]:
    """An entry whose paths no longer depend on the file that they are in."""
    out = dict(row)
    for part in ("cluster", "user"):
        if isinstance(row.get(part), dict):
            inner = dict(row[part])
            for name in FILE_FIELDS:
                if inner.get(name):
                    inner[name] = str((base / inner[name]).resolve())
            out[part] = inner
    return out


def named(config: Mapping[str, Any], section: str, name: str) -> dict[str, Any]:
    """The content of an entry; empty when there is none."""
    for row in config.get(section) or ():
        if row.get("name") == name:
            return dict(row.get(section.removesuffix("s")) or {})
    return {}


class HttpsSession:
    """A user at a terminal. Streams are the process's own unless others are given."""

    def __init__(
        self,
        environment: Mapping[str, str] | None = None,
        stdin: TextIO | None = None,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
    ) -> None:
        self.environment = os.environ if environment is None else environment
        self.stdin: TextIO = stdin or sys.stdin
        self.stdout: TextIO = stdout or sys.stdout
        self.stderr: TextIO = stderr or sys.stderr
        self.files: Files = DiskFiles()
        self.config: MutableMapping[str, Any] = {}
        self.path = Path()
        self._server = DEFAULT_SERVER
        self._headers: dict[str, str] = {}
        self._context: ssl.SSLContext | None = None
        self._timeout_s = TIMEOUT_S
        self._timeout_text = "32s"
        self.cache: dict[str, Any] = {}
        self._cached: Any = None
        self._cache_directory = Path()
        self._held: http.client.HTTPConnection | None = None

    # configuration

    def open(self, flags: Flags) -> None:
        explicit = flags.get("kubeconfig") or ""
        paths = config_paths(explicit, self.environment)
        self.path = next((path for path in paths if path.is_file()), paths[-1])
        self.config = loaded(paths, bool(explicit))
        self.choose(flags)

    def choose(self, flags: Flags) -> None:
        """Server and credentials of the configuration as it is."""
        from seatrial.scenarios.kubectl.commands import duration

        self._held = None
        chosen = flags.get("context") or self.config.get("current-context") or ""
        context = named(self.config, "contexts", chosen)
        if flags.get("context") and not any(row.get("name") == chosen for row in self.config.get("contexts") or ()):
            raise Failure(f'context "{chosen}" does not exist')
        cluster = named(self.config, "clusters", flags.get("cluster") or context.get("cluster") or "")
        user = named(self.config, "users", flags.get("user") or context.get("user") or "")
        self._server = (flags.get("server") or cluster.get("server") or DEFAULT_SERVER).rstrip("/")
        if "://" not in self._server:
            self._server = f"http://{self._server}"
        given = flags.get("request-timeout") or "0"
        if given != "0":
            try:
                self._timeout_s = float(given) if given.isdigit() else duration(given)
                self._timeout_text = f"{given}s" if given.isdigit() else given
            except ValueError:
                pass
        self._authenticate(flags, cluster, user)
        self._remember(flags)

    def _remember(self, flags: Flags) -> None:
        """Takes the server's resource types from the disk, where an earlier command left them."""
        explicit = flags["cache-dir"] if flags.changed("cache-dir") else ""
        self._cache_directory = discovery_cache.directory(self.environment, explicit)
        if self._server not in self.cache:
            found = discovery_cache.load(self._cache_directory, self._server)
            if found is not None:
                self.cache[self._server] = self._cached = found

    def keep(self) -> None:
        """Leaves the server's resource types for the next command."""
        held = self.cache.get(self._server)
        if held is not None and held is not self._cached:
            discovery_cache.save(self._cache_directory, self._server, held)
            self._cached = held

    def _authenticate(self, flags: Flags, cluster: dict[str, Any], user: dict[str, Any]) -> None:
        token = flags.get("token") or user.get("token") or ""
        if not token and user.get("tokenFile"):
            token = Path(user["tokenFile"]).read_text().strip()
        name = flags.get("username") or user.get("username")
        self._headers = {}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        elif name:
            password = flags.get("password") or user.get("password") or ""
            self._headers["Authorization"] = "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
        if not self._server.startswith("https:"):
            return
        if flags.get("insecure-skip-tls-verify") or cluster.get("insecure-skip-tls-verify"):
            self._context = ssl._create_unverified_context()
        else:
            self._context = ssl.create_default_context(
                cafile=flags.get("certificate-authority") or cluster.get("certificate-authority") or None,
                cadata=_decoded(cluster.get("certificate-authority-data")),
            )
        if not token:
            self._load_certificate(flags, user)

    def _load_certificate(self, flags: Flags, user: dict[str, Any]) -> None:
        certificate = _decoded(user.get("client-certificate-data"))
        key = _decoded(user.get("client-key-data"))
        path = flags.get("client-certificate") or user.get("client-certificate")
        assert self._context is not None
        try:
            if path:
                self._context.load_cert_chain(path, flags.get("client-key") or user.get("client-key"))
            elif certificate and key:
                with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
                    file.write(certificate + "\n" + key)
                    file.flush()
                    self._context.load_cert_chain(file.name)
        except (OSError, ssl.SSLError) as problem:
            raise Failure(f"unable to load the client's certificate: {problem}") from None

    def save(self) -> None:
        """Writes the kubeconfig's first file anew."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            yaml.dump(dict(self.config), file, Dumper=yaml.SafeDumper, allow_unicode=True, width=1 << 30)
        os.replace(draft, self.path)

    def address(self) -> str:
        return self._server

    # requests

    def request(self, request: Request) -> Response:
        connection = self._connection()
        try:
            response = self._sent(connection, request)
            raw = response.read()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            self._held = None
            connection = self._connection()
            try:
                response = self._sent(connection, request)
                raw = response.read()
            except (OSError, http.client.HTTPException) as problem:
                raise self._failed(request, problem) from None
        except (OSError, http.client.HTTPException) as problem:
            raise self._failed(request, problem) from None
        return _response(response, raw)

    def _connection(self, timeout_s: float | None = None) -> http.client.HTTPConnection:
        if self._held is not None and timeout_s is None:
            return self._held
        where = urlsplit(self._server)
        timeout = timeout_s or self._timeout_s
        host, port = where.hostname or "localhost", where.port
        connection: http.client.HTTPConnection
        if where.scheme == "https":
            connection = http.client.HTTPSConnection(host, port or 443, timeout=timeout, context=self._context)
        else:
            connection = http.client.HTTPConnection(host, port or 80, timeout=timeout)
        if timeout_s is None:
            self._held = connection
        return connection

    def target(self, request: Request) -> str:
        pairs = [(key, value) for key, values in request.query.items() for value in values]
        path = urlsplit(self._server).path + quote(request.path, safe="/:@!$&'()*+,;=~")
        return path + (f"?{urlencode(pairs)}" if pairs else "")

    def headers(self, request: Request) -> list[tuple[str, str]]:
        """Names and values; one that has several stands several times."""
        found = {"Accept": request.accept, "User-Agent": request.user_agent, **self._headers, **request.headers}
        if request.body is not None:
            found["Content-Type"] = request.content_type
        return [(name, value) for name, text in found.items() for value in text.split("\x00")]

    def _sent(self, connection: http.client.HTTPConnection, request: Request) -> http.client.HTTPResponse:
        connection.putrequest(request.method, self.target(request), skip_accept_encoding=True)
        for name, value in self.headers(request):
            connection.putheader(name, value)
        body = request.body or b""
        if body or request.method not in ("GET", "DELETE"):
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        return connection.getresponse()

    def _failed(self, request: Request, problem: Exception) -> Failure:
        """What kubectl says of a server that cannot be reached."""
        self._held = None
        where = urlsplit(self._server)
        url = f"{self._server}{request.path}"
        if isinstance(problem, ConnectionRefusedError):
            if request.path in ("/api", "/apis"):
                text = undiscovered(self._server, request.path, self._timeout_text, self.now(), os.getpid())
                self.stderr.write(text)
            return refused(self._server)
        if isinstance(problem, TimeoutError):
            return Failure(f'Unable to connect to the server: Get "{url}": net/http: request canceled', plain=True)
        return Failure(f"Unable to connect to the server: {_go_words(problem, where.hostname or '')}", plain=True)

    # what goes on for a while

    def watch(self, request: Request, until_us: int | None = None) -> Iterator[Object]:
        for line in self._pieces(request, until_us, lines=True):
            if line.strip():
                yield json.loads(line)

    def lines(self, request: Request) -> Iterator[bytes]:
        yield from self._pieces(request, None, lines=False)

    def _pieces(self, request: Request, until_us: int | None, lines: bool) -> Iterator[bytes]:
        remaining = None if until_us is None else max((until_us - self.now()) / MICRO, 0.001)
        connection = self._connection(remaining or 86_400.0)
        try:
            response = self._sent(connection, request)
            if response.status >= 400:
                raise _refusal(response)
            while until_us is None or self.now() < until_us:
                if until_us is not None and connection.sock is not None:
                    connection.sock.settimeout(max((until_us - self.now()) / MICRO, 0.001))
                piece = response.readline() if lines else response.read1(65536)
                if not piece:
                    return
                yield piece
        except TimeoutError:
            return
        except (OSError, http.client.HTTPException) as problem:
            raise self._failed(request, problem) from None
        finally:
            connection.close()

    def socket(self, request: Request) -> socket.socket:
        """A connection for an upgrade, TLS done."""
        where = urlsplit(self._server)
        try:
            plain = socket.create_connection((where.hostname or "localhost", where.port or 443), timeout=TIMEOUT_S)
            if self._context is None:
                return plain
            return self._context.wrap_socket(plain, server_hostname=where.hostname)
        except OSError as problem:
            raise self._failed(request, problem) from None

    def connect(self, request: Request, streams: Streams) -> Object:
        from seatrial.api.cli.upgraded import connect

        return connect(self, request, streams)

    def forward(self, request: Request, ports: list[tuple[str, int, int]], ready: Callable[[str], None]) -> None:
        from seatrial.api.cli.upgraded import forward

        forward(self, request, ports, ready)

    # the user

    def now(self) -> int:
        return time.time_ns() // 1000

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def edit(self, text: str, suffix: str) -> str:
        editor = self.environment.get("KUBE_EDITOR") or self.environment.get("EDITOR") or "vi"
        with tempfile.NamedTemporaryFile("w+", prefix="kubectl-edit-", suffix=suffix, delete=False) as file:
            file.write(text)
        try:
            done = subprocess.run(f'{editor} "{file.name}"', shell=True, env=dict(self.environment), check=False)
            if done.returncode:
                raise Failure(f'there was a problem with the editor "{editor}"')
            return Path(file.name).read_text()
        finally:
            Path(file.name).unlink(missing_ok=True)


def _decoded(text: str | None) -> str | None:
    return base64.b64decode(text).decode() if text else None


def _response(response: http.client.HTTPResponse, raw: bytes) -> Response:
    headers = dict(response.getheaders())
    warnings = tuple(_warning(value) for value in response.headers.get_all("Warning") or ())
    return Response(response.status, raw, headers.get("Content-Type", ""), warnings, headers)


def _warning(value: str) -> str:
    """The text of a Warning header: ``299 - "…"``."""
    start, end = value.find('"'), value.rfind('"')
    text = value[start + 1 : end].encode("latin-1", "replace").decode("utf-8", "replace")
    return text.replace('\\"', '"').replace("\\\\", "\\")


def _refusal(response: http.client.HTTPResponse) -> Exception:
    raw = response.read()
    try:
        body = json.loads(raw)
    except ValueError:
        body = {"message": raw.decode(errors="replace").strip()}
    return error_of(body, response.status)


def _go_words(problem: Exception, host: str) -> str:
    if isinstance(problem, ssl.SSLCertVerificationError):
        return "tls: failed to verify certificate: x509: certificate signed by unknown authority"
    if isinstance(problem, socket.gaierror):
        return f"dial tcp: lookup {host}: no such host"
    return str(problem)
