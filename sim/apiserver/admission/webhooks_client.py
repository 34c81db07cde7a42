"""From a webhook's clientConfig to a call that leaves the simulation, and from its answer to a value.

Source: k8s.io/apiserver/pkg/util/webhook (client.go, serviceresolver.go) and k8s.io/client-go/rest (request.go), whose
words a caller sees when something goes wrong. *Not modelled*: authentication of the API server at the webhook
(kubeConfigFile of the admission configuration).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Generator, Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson

from seatrial.sim.apiserver.context import Answered, Context, ExternalCall
from seatrial.sim.machinery.fields import quoted

SERVICE_NAME = "kubernetes.io/service-name"
S = 1_000_000

MESSAGES: Mapping[int, str] = {
    400: "the server rejected our request for an unknown reason",
    401: "the server has asked for the client to provide credentials",
    404: "the server could not find the requested resource",
    405: "the server does not allow this method on the requested resource",
    406: "the server was unable to respond with a content type that the client supports",
    409: "the server reported a conflict",
    415: "the server was unable to respond with a content type that the client supports",
    422: "the server rejected our request due to an error in our request",
    429: "the server has received too many requests and has asked us to try again later",
    503: "the server is currently unable to handle the request",
    504: "the server was unable to return a response in the time allotted, but may still be processing the request",
}
"""What a client says of a status without a Status (apierrors.NewGenericServerResponse)."""


class CallFailed(Exception):
    """A webhook that could not be asked, or whose answer is none."""


def call(
    context: Context, config: Mapping[str, Any], review: Mapping[str, Any], timeout_s: int
) -> Generator[ExternalCall, Answered, Mapping[str, Any]]:
    """Posts a review to a webhook; returns the review that it answers with. Raises CallFailed."""
    request = _request(context, config, orjson.dumps(review), timeout_s)
    if isinstance(request, str):
        raise CallFailed(request)
    answered = yield request
    if isinstance(answered, OSError):
        text = str(answered)
        raise CallFailed(text if text.startswith("Post ") else f'Post "{request.url}": {text}')
    status, body = answered
    if not 200 <= status <= 206:
        raise CallFailed(_told(status, body))
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise CallFailed(f"couldn't get version/kind; json parse error: {_parse_error(body)}") from None
    if not isinstance(value, dict):
        raise CallFailed(f"couldn't get version/kind; json parse error: {_mismatch(value)}")
    return value


def _parse_error(body: bytes) -> str:
    text = body.decode(errors="replace").lstrip()
    if not text:
        return "unexpected end of JSON input"
    return f"invalid character {quoted(text[0])[1:-1].join(chr(39) * 2)} looking for beginning of value"


def _mismatch(value: Any) -> str:
    kind = {list: "array", str: "string", bool: "bool"}.get(type(value), "number")
    told = 'Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string'
    return f'json: cannot unmarshal {kind} into {told} "json:\\"kind,omitempty\\"" }}'


def _told(status: int, body: bytes) -> str:
    """An answer other than success, in the client's words: its own Status, if it is one."""
    text = body.decode(errors="replace").strip()
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = None
    if isinstance(value, dict) and value.get("kind") == "Status" and value.get("message"):
        return str(value["message"])
    if status in MESSAGES:
        return MESSAGES[status]
    if status == 403:
        return text or "unknown"
    if status >= 500:
        return f"an error on the server ({quoted(text or 'unknown')}) has prevented the request from succeeding"
    return f"the server responded with the status code {status} but did not return more information"


def _request(context: Context, config: Mapping[str, Any], body: bytes, timeout_s: int) -> ExternalCall | str:
    """The call, or why it cannot be made."""
    try:
        authority = base64.b64decode(config.get("caBundle") or "")
    except (binascii.Error, ValueError):
        return "unable to load root certificates: unable to parse bytes as PEM block"
    service = config.get("service")
    if service is None:
        where = urlsplit(config.get("url") or "")
        url = f"{where.scheme}://{where.netloc}{where.path or '/'}?timeout={timeout_s}s"
        return ExternalCall(url, body, timeout_s * S, authority)
    name, namespace, port = service["name"], service["namespace"], service.get("port", 443)
    server_name = f"{name}.{namespace}.svc"
    path = service.get("path") or "/"
    url = f"https://{server_name}:{port}{path if path.startswith('/') else '/' + path}?timeout={timeout_s}s"
    addresses = resolve(context, namespace, name, port)
    if isinstance(addresses, str):
        return f'Post "{url}": {addresses}'
    return ExternalCall(url, body, timeout_s * S, authority, server_name=server_name, addresses=addresses)


def resolve(context: Context, namespace: str, name: str, port: int) -> tuple[str, ...] | str:
    """Where a service's port leads: the ready endpoints behind it; or why it leads nowhere."""
    store = context.server.store
    service = store.get("services", namespace, name)
    if service is None:
        return f"service {quoted(name)} not found"
    spec = service.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return (f"{spec.get('externalName', '')}:{port}",)
    ports = [entry for entry in spec.get("ports") or () if entry.get("port") == port]
    if not ports:
        return f"no service port {port} found for service {quoted(name)}"
    wanted = ports[0].get("name", "")
    found: list[str] = []
    for piece in store.list("endpointslices.discovery.k8s.io", namespace):
        if (piece["metadata"].get("labels") or {}).get(SERVICE_NAME) != name:
            continue
        numbers = [entry["port"] for entry in piece.get("ports") or () if entry.get("name", "") == wanted]
        for endpoint in piece.get("endpoints") or ():
            if numbers and (endpoint.get("conditions") or {}).get("ready", True):
                found += [f"{_bracketed(address)}:{numbers[0]}" for address in endpoint.get("addresses") or ()]
    if not found:
        return f"dial tcp {_bracketed(spec.get('clusterIP', ''))}:{port}: connect: connection refused"
    return tuple(found)


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
