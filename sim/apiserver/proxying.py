"""The proxy subresource: an HTTP request to a pod's, a service's or a kubelet's own port, by way of the API server.

Pods are dialled from the API server's machine like from any other: no kubelet has a part in it. Source:
k8s.io/kubernetes/pkg/registry/core/{pod,service,node} (ResourceLocation), k8s.io/apimachinery/pkg/util/proxy. Not
modelled: upgraded connections, and the choice among several endpoints of a service (the first ready one is taken).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit, urlunsplit

from seatrial.sim.apiserver import registry
from seatrial.sim.apiserver.context import Context, Steps
from seatrial.sim.apiserver.kubelets import KUBELET_PORT, Answer
from seatrial.sim.apiserver.request import Object, Response
from seatrial.sim.machinery import errors

HOP_HEADERS = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "content-length", "host"})
HTTP_PORT = 80
TAG = re.compile(rb"<[a-zA-Z][^<>]*>")
LINK = re.compile(
    rb"""(\s(?:action|background|cite|codebase|data|formaction|href|icon|longdesc|manifest|poster|"""
    rb"""profile|src|usemap)\s*=\s*)("[^"]*"|'[^']*'|[^\s"'>]+)""",
    re.IGNORECASE,
)
"""An attribute that holds a URL (atomsToAttrs)."""


class Target(NamedTuple):
    """Where a request is sent on to."""

    host: str
    port: int


def proxy(context: Context) -> Steps[Response]:
    """Raises ApiError 400 for what cannot be a target, 503 when it does not answer."""
    _, name, port = split(context.info.name)
    at = context.for_info(context.info._replace(name=name))
    obj = registry.get(at)
    rest = _rest(context)
    if not rest and context.request.method in ("GET", "HEAD"):
        query = _query(context)
        return Response(301, b"", "", headers={"Location": f"{context.request.path}/{query}"})
    try:
        answer = _answer(context, obj, name, port, rest)
    except OSError as problem:
        raise errors.ApiError(503, "ServiceUnavailable", f"error trying to reach service: {problem}", {}) from None
    headers = {key: value for key, value in answer.headers.items() if key.lower() not in HOP_HEADERS}
    content_type = next((value for key, value in headers.items() if key.lower() == "content-type"), "text/plain")
    before = context.request.path.removesuffix(rest)
    host = next((value for key, value in context.request.headers.items() if key.lower() == "host"), "")
    for key in [key for key in headers if key.lower() == "location"]:
        headers[key] = rewritten(headers[key], before, host)
    html = content_type.partition(";")[0].strip() == "text/html"
    body = with_links(answer.body, before, host) if html else answer.body
    return Response(answer.code, body, content_type, headers=headers)
    yield


def _answer(context: Context, obj: Object, name: str, port: str, rest: str) -> Answer:
    """Raises OSError in the dialler's words."""
    storage, kubelets, request = context.resource.storage, context.server.kubelets, context.request
    rest = rest or "/"
    if storage == "nodes" and port in ("", str(KUBELET_PORT)):
        return kubelets.dial(name).get(rest, request.query)
    if storage == "nodes":
        addresses = (obj.get("status") or {}).get("addresses") or ()
        host = next((str(each["address"]) for each in addresses if each["type"] == "InternalIP"), name)
        target = Target(host, _number(port, {}))
    else:
        target = _pod(obj, port) if storage == "pods" else _service(context, obj, port)
    if kubelets.pods is None:
        raise OSError(f"dial tcp {target.host}:{target.port}: connect: no route to host")
    body = request.body if isinstance(request.body, bytes | bytearray) else b""
    headers = {**request.headers, "X-Forwarded-Uri": request.path}
    return kubelets.pods.request(*target, request.method, rest + _query(context), headers, bytes(body))


def split(name: str) -> tuple[str, str, str]:
    """(scheme, name, port) of ``name``, ``name:port`` or ``scheme:name:port`` (net.SplitSchemeNamePort)."""
    parts = name.split(":")
    if len(parts) == 1:
        return "", name, ""
    if len(parts) == 2:
        return "", parts[0], parts[1]
    return parts[0], parts[1], parts[2]


def _rest(context: Context) -> str:
    """The path for the target; empty when not even a slash was asked for."""
    return context.request.path.partition(f"/{context.info.name}/proxy")[2]


def _query(context: Context) -> str:
    query = urlencode([(key, value) for key, values in context.query.items() for value in values])
    return f"?{query}" if query else ""


def _pod(pod: Object, port: str) -> Target:
    spec, address = pod["spec"], (pod.get("status") or {}).get("podIP", "")
    if not spec.get("nodeName") or not address:
        raise errors.bad_request("address not allowed")
    if port:
        return Target(address, _number(port, spec))
    for container in spec.get("containers") or ():
        for one in container.get("ports") or ():
            return Target(address, one["containerPort"])
    return Target(address, HTTP_PORT)


def _number(port: str, spec: Mapping[str, object]) -> int:
    if port.isdigit():
        return int(port)
    containers = spec.get("containers")
    for container in containers if isinstance(containers, list) else ():
        for one in container.get("ports") or ():
            if one.get("name") == port:
                return int(one["containerPort"])
    raise errors.bad_request(f"no port named {port}")


def _service(context: Context, service: Object, port: str) -> Target:
    """A ready endpoint of a service's port. Raises ApiError 503 when there is none."""
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
    ports = service["spec"].get("ports") or ()
    chosen = next((one for one in ports if port in ("", one.get("name"), str(one["port"]))), None)
    if chosen is None:
        raise errors.ApiError(503, "ServiceUnavailable", f'no service port "{port}" found for service "{name}"')
    for piece in context.server.store.list("endpointslices.discovery.k8s.io", namespace):
        if (piece["metadata"].get("labels") or {}).get("kubernetes.io/service-name") != name:
            continue
        number = next(
            (one["port"] for one in piece.get("ports") or () if one.get("name", "") == chosen.get("name", "")), None
        )
        for endpoint in piece.get("endpoints") or ():
            if number is not None and (endpoint.get("conditions") or {}).get("ready", True):
                return Target(endpoint["addresses"][0], number)
    raise errors.ApiError(503, "ServiceUnavailable", f'no endpoints available for service "{name}"')


def rewritten(url: str, before: str, host: str) -> str:
    """A link of a page as one follows it through the proxy whose path is ``before``; ``host`` is what the client
    called the server. Links that are relative, or lead elsewhere, stay."""
    parts = urlsplit(url)
    if not parts.path.startswith("/") or (parts.netloc and parts.netloc != host):
        return url
    path = parts.path if parts.path.startswith(before) else before + parts.path
    return urlunsplit(("", "", path, parts.query, parts.fragment))


def with_links(page: bytes, before: str, host: str) -> bytes:
    """An HTML page whose links lead through the proxy again."""

    def link(found: re.Match[bytes]) -> bytes:
        name, value = found.groups()
        quote = value[:1] if value[:1] in b"\"'" else b""
        url = value.strip(quote).decode("utf-8", "replace") if quote else value.decode("utf-8", "replace")
        return bytes(name) + (quote or b'"') + rewritten(url, before, host).encode() + (quote or b'"')

    return TAG.sub(lambda tag: LINK.sub(link, tag.group()), page)


PROXY: Mapping[str, Callable[[Context], Steps[Response]]] = dict.fromkeys(
    ("get", "create", "update", "patch", "delete", ""), proxy
)
"""By verb; OPTIONS has none."""
