"""Calls that leave the simulation: the edge makes them over real HTTP while simulated time goes on.

A call runs in a thread of its own; its answer enters the simulation when it comes, at that moment's simulated time. The
answer is a status and a body, or an OSError that says why there is none. Source of the words: Go's net/http client, as
webhooks and aggregated APIs meet it. Not modelled: connections that are kept for the next call.
"""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
from collections.abc import Generator
from typing import Any
from urllib.parse import SplitResult, urlsplit

from seatrial.api.server.driver import Driver
from seatrial.sim.apiserver.context import Answered, ExternalCall
from seatrial.sim.kernel.clock import TIMEOUT, Clock, Signal

S = 1_000_000
EXCEEDED = "context deadline exceeded"
BODY_BYTES_MAX = 8 * 1024 * 1024
JSON = {"Content-Type": "application/json", "Accept": "application/json, */*"}
VERIFICATION = "tls: failed to verify certificate: x509: "
REASONS = {
    **dict.fromkeys((18, 19, 20, 21), "certificate signed by unknown authority"),
    **dict.fromkeys((9, 10), "certificate has expired or is not yet valid"),
}
"""Go's words for OpenSSL's verification errors."""


class Outside:
    """Makes the calls of one cluster; ``perform`` is what its composition root is connected with."""

    def __init__(self, clock: Clock, driver: Driver) -> None:
        self._clock = clock
        self._driver = driver

    def perform(self, call: ExternalCall) -> Generator[Any, Any, Answered]:
        """To be delegated to by a process of the simulation: returns status and body, or an OSError."""
        arrived = Signal(self._clock)
        made = asyncio.get_running_loop().run_in_executor(None, fetch, call)

        def enter(done: asyncio.Future[Answered]) -> None:
            if not done.cancelled():
                self._driver.enter()
                arrived.fire(done.result())
                self._driver.look()

        made.add_done_callback(enter)
        answer = yield arrived.wait(call.timeout_us)
        if answer is TIMEOUT:
            return OSError(failed(call, EXCEEDED))
        answered: Answered = answer
        return answered


def failed(call: ExternalCall, why: str) -> str:
    """A call that got no answer, in the words of Go's client."""
    return f'{call.method.capitalize()} "{call.url}": {why}'


def fetch(call: ExternalCall) -> Answered:
    """Sends the request and waits for the answer; blocks."""
    where = urlsplit(call.url)
    problem: OSError | None = None
    for host, port in targets(call, where):
        try:
            return answered_by(call, where, host, port)
        except TimeoutError:
            return OSError(failed(call, EXCEEDED))
        except OSError as error:
            problem = problem or OSError(failed(call, in_go(error, host, port)))
        except http.client.HTTPException as error:
            return OSError(failed(call, type(error).__name__))
    return problem or OSError(failed(call, "no address to connect to"))


def targets(call: ExternalCall, where: SplitResult) -> list[tuple[str, int]]:
    """Where to connect to, in the order of trying."""
    if not call.addresses:
        return [(where.hostname or "", where.port or (443 if where.scheme == "https" else 80))]
    found = []
    for address in call.addresses:
        host, _, port = address.rpartition(":")
        found.append((host.strip("[]"), int(port)))
    return found


def answered_by(call: ExternalCall, where: SplitResult, host: str, port: int) -> tuple[int, bytes]:
    """The answer of one address. Raises OSError and HTTPException."""
    timeout_s = call.timeout_us / S
    connection = http.client.HTTPConnection(where.hostname or host, where.port, timeout=timeout_s)
    channel: socket.socket = socket.create_connection((host, port), timeout=timeout_s)
    try:
        if where.scheme == "https":
            channel = trusting(call.ca_bundle, call.insecure).wrap_socket(
                channel, server_hostname=call.server_name or where.hostname or host
            )
        connection.sock = channel
        target = (where.path or "/") + (f"?{where.query}" if where.query else "")
        connection.putrequest(call.method, target)
        for name, value in headers_of(call):
            connection.putheader(name, value)
        connection.endheaders(call.body or None)
        answer = connection.getresponse()
        return answer.status, answer.read(BODY_BYTES_MAX)
    finally:
        connection.close()
        channel.close()


def headers_of(call: ExternalCall) -> list[tuple[str, str]]:
    """The call's headers, of which a name may come more than once, with those that every call has."""
    given = {name.lower() for name, _ in call.headers}
    sized = call.body or call.method in ("POST", "PUT", "PATCH")
    length = {"Content-Length": str(len(call.body))} if sized else {}
    return [each for each in {**JSON, **length}.items() if each[0].lower() not in given] + list(call.headers)


def trusting(ca_bundle: bytes, insecure: bool = False) -> ssl.SSLContext:
    """A client's side of TLS that accepts what Go's would: certificates need no key usage extensions."""
    if insecure:
        anybody = ssl.create_default_context()
        anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
        return anybody
    context = ssl.create_default_context(cadata=ca_bundle.decode("ascii", "replace") or None)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def in_go(problem: OSError, host: str, port: int) -> str:
    """A failure in the words of Go's dialler."""
    if isinstance(problem, ConnectionRefusedError):
        return f"dial tcp {host}:{port}: connect: connection refused"
    if isinstance(problem, ConnectionResetError):
        return "EOF"
    if isinstance(problem, socket.gaierror):
        return f"dial tcp: lookup {host}: no such host"
    if isinstance(problem, ssl.SSLCertVerificationError):
        return VERIFICATION + REASONS.get(problem.verify_code, problem.verify_message)
    if isinstance(problem, ssl.SSLError) and problem.reason == "WRONG_VERSION_NUMBER":
        return "http: server gave HTTP response to HTTPS client"
    return str(problem)
