"""The control API of a running cluster, asked with the administrator's certificate from its directory."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any

from seatrial.api.problem import Problem
from seatrial.api.server.state import Home

BASE = "/seatrial/v1"
TIMEOUT_S = 60.0
"""A server that has died refuses at once; this is for one that is busy, on a machine that is."""


def running(home: Home) -> dict[str, Any]:
    """What a cluster's server announced of itself (pid, port). Raises Problem when there is none."""
    process = home.process()
    if not process:
        why = "it is not running" if home.exists else "there is none of that name"
        raise Problem(f"cluster {home.name}", why, f"start it with: seatrial up {home.name}")
    return process


def context_of(home: Home) -> ssl.SSLContext:
    """TLS with the cluster's authority and the administrator's certificate."""
    context = ssl.create_default_context(cafile=str(home.pki / "ca.crt"))
    context.load_cert_chain(home.pki / "admin.crt", home.pki / "admin.key")
    return context


def ask(home: Home, method: str, path: str, body: Any = None, timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """The answer to a request below /seatrial/v1. Raises Problem when the cluster is down or refuses."""
    value = json.loads(fetch(home, method, path, body, timeout_s))
    return value if isinstance(value, dict) else {"value": value}


def fetch(home: Home, method: str, path: str, body: Any = None, timeout_s: float = TIMEOUT_S) -> bytes:
    """The same as it came: for answers that are not JSON. Raises Problem."""
    what = f"cluster {home.name}"
    process = running(home)
    context = context_of(home)
    connection = http.client.HTTPSConnection("127.0.0.1", process["port"], context=context, timeout=timeout_s)
    payload = json.dumps(body) if body is not None else None
    try:
        connection.request(method, BASE + path, payload, {"Content-Type": "application/json"} if payload else {})
        answer = connection.getresponse()
        raw = answer.read()
    except OSError as problem:
        why = f"its server (process {process['pid']}) does not answer: {problem}"
        raise Problem(what, why, f"see seatrial logs {home.name}; seatrial halt {home.name} stops it") from None
    finally:
        connection.close()
    if answer.status >= 300:
        try:
            value = json.loads(raw)
        except ValueError:
            value = {"detail": raw.decode(errors="replace").strip()}
        told = value.get("detail") if isinstance(value, dict) else None
        if isinstance(told, dict) and {"what", "why", "mend"} <= told.keys():
            raise Problem(told["what"], told["why"], told["mend"])
        raise Problem(what, refusal(value), "seatrial clock --help shows what can be asked")
    return raw


def refusal(value: Any) -> str:
    """The reason in an answer that is none."""
    detail = value.get("detail") or value.get("message") if isinstance(value, dict) else value
    if isinstance(detail, list) and detail:
        return "; ".join(str(item.get("msg", item)) for item in detail)
    return str(detail)
