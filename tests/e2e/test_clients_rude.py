"""Clients that do not speak HTTP, or speak it slowly, or not at all: each gets what Go's server would give, and nobody
else has to wait."""

from __future__ import annotations

import json
import socket
import ssl
from base64 import b64decode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
import yaml

from tests.e2e.conftest import DEADLINE_S, Machine, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("lab")]
ASK = b"GET /version HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
HUNG_UP = (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError)
"""How a connection ends that the other end is done with."""


class Wire:
    """Connections to a server, as raw as its TLS allows."""

    def __init__(self, machine: Machine) -> None:
        config = yaml.safe_load(machine.kubeconfig.read_text())
        users = [each["user"] for each in config["users"]]
        user = next(each for each in users if "client-key-data" in each)  # others' tests add users with files
        cluster = config["clusters"][0]["cluster"]
        folder = machine.root / "raw"
        folder.mkdir(exist_ok=True)
        for name in ("client-certificate", "client-key"):
            (folder / name).write_bytes(b64decode(user[f"{name}-data"]))
        authority = b64decode(cluster["certificate-authority-data"]).decode()
        self.context = ssl.create_default_context(cadata=authority)
        self.context.load_cert_chain(folder / "client-certificate", folder / "client-key")
        self.port = int(cluster["server"].rpartition(":")[2])

    @contextmanager
    def plain(self) -> Iterator[socket.socket]:
        """A TCP connection without TLS."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_S) as raw:
            yield raw

    @contextmanager
    def open(self) -> Iterator[ssl.SSLSocket]:
        with self.plain() as raw, self.context.wrap_socket(raw, server_hostname="127.0.0.1") as secured:
            yield secured

    def said(self, sent: bytes) -> bytes:
        """Everything that comes back until the server hangs up."""
        with self.open() as line:
            with suppress(*HUNG_UP):  # a server that has heard enough does not wait for the rest
                line.sendall(sent)
            return heard(line)

    def serves(self) -> None:
        """Somebody else is answered."""
        assert self.said(ASK + b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 200 OK")

    @contextmanager
    def dawdlers(self) -> Iterator[list[socket.socket]]:
        """Half a head, half a body, a watch that nobody reads, a handshake that does not go on: five of each."""
        begun = (
            ASK,
            POST + b"Content-Length: 1000\r\n\r\n{",
            POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
            b"GET /api/v1/events?watch=1&resourceVersion=0 HTTP/1.1\r\nHost: x\r\n\r\n",
        )
        with ExitStack() as open_:
            lines: list[socket.socket] = []
            for _ in range(5):
                lines.append(open_.enter_context(self.plain()))
                for sent in begun:
                    line = open_.enter_context(self.open())
                    line.sendall(sent)
                    lines.append(line)
            yield lines


def heard(line: socket.socket) -> bytes:
    parts = []
    with suppress(*HUNG_UP):
        while part := line.recv(65536):
            parts.append(part)
    return b"".join(parts)


def is_held(line: socket.socket) -> bool:
    """Whether the server still has patience with a connection."""
    line.setblocking(False)
    try:
        return line.recv(1) != b""
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False


@pytest.fixture(scope="module")
def wire(lab: Machine) -> Wire:
    return Wire(lab)


MALFORMED = {
    "no request at all": (b"nonsense\r\n\r\n", b"HTTP/1.1 400 Bad Request"),
    "no such method": (b"!!! / HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 400 Bad Request"),
    "a header without a colon": (ASK + b"nonsense\r\n\r\n", b"HTTP/1.1 400 Bad Request"),
    "a broken chunk": (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", b"HTTP/1.1 400 Bad Request"),
    "two lengths": (POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", b"HTTP/1.1 400 Bad Request"),
    "a negative length": (POST + b"Content-Length: -1\r\n\r\n", b"HTTP/1.1 400 Bad Request"),
    "a NUL in the head": (ASK + b"X: a\x00b\r\n\r\n", b"HTTP/1.1 400 Bad Request"),
    "a head without end": (ASK + b"X-Long: " + b"x" * (1 << 21), b"HTTP/1.1 431 Request Header Fields Too Large"),
    "a body over the limit": (
        POST + b"Connection: close\r\nContent-Length: 4000000\r\n\r\n" + b" " * 4_000_000,
        b"HTTP/1.1 413 Request Entity Too Large",
    ),
    "a body that is no JSON": (
        POST + b"Connection: close\r\nContent-Length: 4\r\n\r\n\xff\xfe\x00\x01",
        b"HTTP/1.1 400 Bad Request",
    ),
}


@pytest.mark.parametrize(("sent", "answer"), MALFORMED.values(), ids=MALFORMED)
def test_what_is_malformed_is_refused(wire: Wire, sent: bytes, answer: bytes) -> None:
    assert wire.said(sent).startswith(answer)
    wire.serves()


def test_what_is_no_tls_is_hung_up_on(wire: Wire) -> None:
    with wire.plain() as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" not in heard(raw)
    wire.serves()


def test_requests_in_a_row_are_answered_in_order(wire: Wire) -> None:
    pages = (b"/version", b"/healthz", b"/api/v1/nodes/none", b"/livez")
    rest = [
        b"GET %b HTTP/1.1\r\nHost: x\r\n%b\r\n" % (page, b"Connection: close\r\n" * (page == pages[-1]))
        for page in pages
    ]
    answers = wire.said(b"".join(rest)).split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answers] == [b"200", b"200", b"404", b"200"]


@pytest.mark.parametrize("sent", [ASK + b"\r\n", ASK, POST + b"Content-Length: 9\r\n\r\n{"])
def test_a_client_that_stops_speaking_is_let_go(wire: Wire, sent: bytes) -> None:
    """A half-closed connection ends, with or without an answer."""
    with wire.open() as line:
        line.sendall(sent)
        line.shutdown(socket.SHUT_WR)
        heard(line)
    wire.serves()


def test_nobody_waits_for_those_who_dawdle(wire: Wire, lab: Machine) -> None:
    """Others are answered while the server still has patience with every dawdler."""
    before = lab.kubectl("get", "configmaps", "-o", "name")

    def others_are_answered() -> bool:
        with wire.dawdlers() as lines:
            for _ in range(3):
                wire.serves()
            lab.kubectl("create", "configmap", "in-between")
            lab.kubectl("delete", "configmap", "in-between")
            return all(is_held(line) for line in lines)

    wait_for("answers while others dawdle", others_are_answered)
    wire.serves()
    assert lab.kubectl("get", "configmaps", "-o", "name") == before


def test_a_client_that_leaves_in_the_midst_of_a_list_harms_nobody(wire: Wire) -> None:
    for _ in range(10):
        with wire.open() as line:
            line.sendall(b"GET /openapi/v2 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert line.recv(1024).startswith(b"HTTP/1.1 200 OK")
    wire.serves()


def test_without_a_certificate_one_is_anonymous(wire: Wire) -> None:
    bare = ssl.create_default_context()
    bare.check_hostname, bare.verify_mode = False, ssl.CERT_NONE
    with wire.plain() as raw, bare.wrap_socket(raw) as line:
        line.sendall(b"GET /api/v1/nodes HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head, _, body = heard(line).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 403 Forbidden")
        assert 'User "system:anonymous" cannot list resource "nodes"' in json.loads(body)["message"]
