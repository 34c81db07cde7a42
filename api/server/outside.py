"""Calls that leave the simulation: the edge makes them over real HTTP while simulated time goes on.

A call runs in a thread of its own; its answer enters the simulation when it comes, at that moment's simulated time. The
answer is the body of a 200, or an OSError that says why there is none. Source of the words: Go's net/http client, as
webhooks and aggregated APIs meet it. Not modelled: connections that are kept for the next call.
"""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
from collections.abc import Generator
from typing import Any
from urllib.parse import urlsplit

import orjson

from seatrial.api.server.driver import Driver
from seatrial.sim.apiserver.context import ExternalCall
from seatrial.sim.kernel.clock import TIMEOUT, Clock, Signal

S = 1_000_000
EXCEEDED = "context deadline exceeded"
BODY_BYTES_MAX = 8 * 1024 * 1024


class Outside:
    """Makes the calls of one cluster; ``perform`` is what its composition root is connected with."""

    def __init__(self, clock: Clock, driver: Driver) -> None:
        self._clock = clock
        self._driver = driver

    def perform(self, call: ExternalCall) -> Generator[Any, Any, Any]:
        """To be delegated to by a process of the simulation: returns the body, or an OSError."""
        arrived = Signal(self._clock)
        made = asyncio.get_running_loop().run_in_executor(None, fetch, call)

        def enter(done: asyncio.Future[bytes | OSError]) -> None:
            if not done.cancelled():
                self._driver.enter()
                arrived.fire(done.result())
                self._driver.look()

        made.add_done_callback(enter)
        answer = yield arrived.wait(call.timeout_us)
        return OSError(f'Post "{call.url}": {EXCEEDED}') if answer is TIMEOUT else answer


def fetch(call: ExternalCall) -> bytes | OSError:
    """Posts the body and waits for the answer; blocks."""
    where = urlsplit(call.url)
    host, timeout_s = where.hostname or "", call.timeout_us / S
    connection: http.client.HTTPConnection
    if where.scheme == "https":
        context = ssl.create_default_context(cadata=call.ca_bundle.decode() or None)
        connection = http.client.HTTPSConnection(host, where.port, timeout=timeout_s, context=context)
    else:
        connection = http.client.HTTPConnection(host, where.port, timeout=timeout_s)
    body = call.body if isinstance(call.body, bytes) else orjson.dumps(call.body)
    target = (where.path or "/") + (f"?{where.query}" if where.query else "")
    try:
        connection.request("POST", target, body, {"Content-Type": "application/json", "Accept": "application/json"})
        answer = connection.getresponse()
        content = answer.read(BODY_BYTES_MAX)
    except TimeoutError:
        return OSError(f'Post "{call.url}": {EXCEEDED}')
    except OSError as problem:
        return OSError(f'Post "{call.url}": {in_go(problem, host, where.port)}')
    except http.client.HTTPException as problem:
        return OSError(f'Post "{call.url}": {type(problem).__name__}')
    finally:
        connection.close()
    if answer.status != http.client.OK:
        return OSError(f"the server responded with the status code {answer.status}")
    return content


def in_go(problem: OSError, host: str, port: int | None) -> str:
    """A failure in the words of Go's dialler."""
    if isinstance(problem, ConnectionRefusedError):
        return f"dial tcp {host}:{port}: connect: connection refused"
    if isinstance(problem, socket.gaierror):
        return f"dial tcp: lookup {host}: no such host"
    if isinstance(problem, ssl.SSLCertVerificationError):
        return f"tls: failed to verify certificate: x509: {problem.verify_message}"
    return str(problem)
