"""Subresources that end at the kubelet: log, exec, attach, portforward and proxy.

What is asked is checked here and the kubelet found; the edge carries the bytes. Source:
k8s.io/kubernetes/pkg/registry/core/pod/{strategy.go,rest}, …/core/service/proxy, …/core/node/rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from seatrial.sim.apiserver import admission, registry
from seatrial.sim.apiserver.context import Context, Steps
from seatrial.sim.apiserver.kubelets import Answer, Kubelet, LogOptions
from seatrial.sim.apiserver.options import first, flag, number
from seatrial.sim.apiserver.request import Object, Response
from seatrial.sim.kernel.clock import parse_stamp
from seatrial.sim.machinery import errors
from seatrial.sim.machinery.fields import FieldError

SECOND_US = 1_000_000
KUBELET_PORT = 10250
HOP_HEADERS = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "content-length", "host"})


@dataclass(frozen=True, slots=True)
class Connect:
    """A connection that the edge is to open: who serves it and what it is for."""

    kind: str
    """exec, attach or portforward."""
    kubelet: Kubelet
    namespace: str
    pod: str
    container: str = ""
    command: tuple[str, ...] = ()
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False
    ports: tuple[int, ...] = field(default=())


def _containers(pod: Object) -> dict[str, list[str]]:
    spec = pod["spec"]
    return {
        key: [one["name"] for one in spec.get(key) or ()]
        for key in ("containers", "initContainers", "ephemeralContainers")
    }


def container_of(pod: Object, asked: str) -> str:
    """The container that a request means. Raises ApiError 400 when it must say and does not, or says nonsense."""
    names, name = _containers(pod), pod["metadata"]["name"]
    if asked:
        if not any(asked in group for group in names.values()):
            raise errors.bad_request(f"container {asked} is not valid for pod {name}")
        return asked
    preferred = (pod["metadata"].get("annotations") or {}).get("kubectl.kubernetes.io/default-container")
    if len(names["containers"]) == 1:
        return names["containers"][0]
    if preferred in names["containers"]:
        return str(preferred)
    text = f"a container name must be specified for pod {name}, choose one of: [{' '.join(names['containers'])}]"
    if names["initContainers"]:
        text += f" or one of the init containers: [{' '.join(names['initContainers'])}]"
    if names["ephemeralContainers"]:
        text += f" or one of the ephemeral containers: [{' '.join(names['ephemeralContainers'])}]"
    raise errors.bad_request(text)


def _log_options(context: Context) -> tuple[LogOptions, str]:
    """The options and the container. Raises ApiError 400 and 422 (ValidatePodLogOptions)."""
    query = context.query
    seconds, lines, limit = (number(query, name) for name in ("sinceSeconds", "tailLines", "limitBytes"))
    since_time = first(query, "sinceTime")
    problems = []
    if lines is not None and lines < 0:
        text = f"Invalid value: {lines}: must be greater than or equal to 0"
        problems.append(FieldError("FieldValueInvalid", "tailLines", text))
    if limit is not None and limit < 1:
        problems.append(
            FieldError("FieldValueInvalid", "limitBytes", f"Invalid value: {limit}: must be greater than 0")
        )
    if seconds is not None and since_time:
        text = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
        problems.append(FieldError("FieldValueForbidden", "", text))
    elif seconds is not None and seconds < 1:
        text = f"Invalid value: {seconds}: must be greater than 0"
        problems.append(FieldError("FieldValueInvalid", "sinceSeconds", text))
    stream = first(query, "stream") or "All"
    if stream not in ("All", "Stdout", "Stderr"):
        text = f'Unsupported value: "{stream}": supported values: "All", "Stderr", "Stdout"'
        problems.append(FieldError("FieldValueNotSupported", "stream", text))
    elif stream != "All" and lines is not None:
        text = "Forbidden: `tailLines` and specific `stream` are mutually exclusive for now"
        problems.append(FieldError("FieldValueForbidden", "", text))
    if problems:
        raise errors.invalid("", "PodLogOptions", context.info.name, problems)
    since_us = None
    if seconds is not None:
        since_us = context.server.clock.now - seconds * SECOND_US
    elif since_time:
        since_us = parse_stamp(since_time)
    options = LogOptions(
        flag(query, "follow"), flag(query, "previous"), since_us, flag(query, "timestamps"), lines, limit, stream
    )
    return options, first(query, "container")


def _dial(context: Context, node: str, what: str) -> Kubelet:
    try:
        return context.server.kubelets.dial(node)
    except OSError as problem:
        raise errors.internal(f"{what}: {problem}") from None


def log(context: Context) -> Steps[Response]:
    pod = registry.get(context)
    options, asked = _log_options(context)
    container = container_of(pod, asked)
    node = pod["spec"].get("nodeName", "")
    if not node:
        return Response(200, b"", "text/plain")
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    url = f"https://{address_of(context, node)}:{KUBELET_PORT}/containerLogs/{namespace}/{name}/{container}"
    if context.query.get("follow"):
        url += "?" + urlencode({"follow": first(context.query, "follow")})
    stream = _dial(context, node, f'Get "{url}"').logs(namespace, name, container, options)
    if options.follow:
        return Response(200, stream, "text/plain", streaming=True)
    text = stream.read()
    stream.close()
    return Response(200, text, "text/plain")
    yield


def address_of(context: Context, node: str) -> str:
    """The address at which the API server reaches a node (--kubelet-preferred-address-types)."""
    found = context.server.store.get("nodes", "", node)
    addresses = ((found or {}).get("status") or {}).get("addresses") or ()
    for kind in ("InternalIP", "Hostname"):
        for address in addresses:
            if address["type"] == kind:
                return str(address["address"])
    return node


def stream(context: Context) -> Steps[Response]:
    """exec, attach and portforward: a connection for the edge to carry. Raises ApiError 400, 404 and 500."""
    pod = registry.get(context)
    kind, query, name = context.info.subresource, context.query, pod["metadata"]["name"]
    node = pod["spec"].get("nodeName", "")
    container = ""
    if kind != "portforward":
        container = container_of(pod, first(query, "container"))
    if not node:
        raise errors.bad_request(f"pod {name} does not have a host assigned")
    command = tuple(query.get("command") or ())
    yield from admission.admit(context, "CONNECT", _options(context, command))
    if kind == "exec" and not command:
        problem = FieldError("FieldValueRequired", "command", "Required value")
        raise errors.invalid("", "PodExecOptions", name, [problem])
    ports = tuple(int(text) for value in query.get("ports") or () for text in value.split(",") if text.isdigit())
    kubelet = _dial(context, node, "error dialing backend")
    sessions = context.server.kubelets.sessions
    if sessions is not None:
        kubelet = sessions.at(node, kubelet)
    body = Connect(
        kind,
        kubelet,
        pod["metadata"]["namespace"],
        name,
        container,
        command,
        flag(query, "stdin"),
        flag(query, "stdout"),
        flag(query, "stderr"),
        flag(query, "tty"),
        ports,
    )
    return Response(101, body, streaming=True)


def _options(context: Context, command: tuple[str, ...]) -> Object:
    """What is asked of a connection, as admission sees it: PodExecOptions and its like."""
    query, kind = context.query, context.resource.subresources[context.info.subresource].kind
    options: dict[str, Any] = {"kind": kind, "apiVersion": "v1"}
    for name in ("stdin", "stdout", "stderr", "tty"):
        if flag(query, name):
            options[name] = True
    if container := first(query, "container"):
        options["container"] = container
    if command:
        options["command"] = list(command)
    return options


def _target(name: str) -> tuple[str, str, str]:
    """(scheme, name, port) of ``name``, ``name:port`` or ``scheme:name:port`` (net.SplitSchemeNamePort)."""
    parts = name.split(":")
    if len(parts) == 1:
        return "", name, ""
    if len(parts) == 2:
        return "", parts[0], parts[1]
    return parts[0], parts[1], parts[2]


def proxy(context: Context) -> Steps[Response]:
    """A request to a pod's, service's or kubelet's own HTTP server."""
    _, name, port = _target(context.info.name)
    at = context.for_info(context.info._replace(name=name))
    obj = registry.get(at)
    storage = context.resource.storage
    try:
        if storage == "nodes":
            answer = context.server.kubelets.dial(name).get("/" + context.info.rest, context.request.query)
        else:
            node, address, number_ = _pod_target(obj, port) if storage == "pods" else _endpoint(at, obj, port)
            answer = _request(context, node, address, number_)
    except OSError as problem:
        raise errors.ApiError(503, "ServiceUnavailable", f"error trying to reach service: {problem}", {}) from None
    headers = {key: value for key, value in answer.headers.items() if key.lower() not in HOP_HEADERS}
    content_type = next((value for key, value in headers.items() if key.lower() == "content-type"), "text/plain")
    return Response(answer.code, answer.body, content_type, headers=headers)
    yield


def _request(context: Context, node: str, address: str, port: int) -> Answer:
    request, info = context.request, context.info
    body = request.body if isinstance(request.body, bytes | bytearray) else b""
    path = "/" + info.rest
    query = urlencode([(key, value) for key, values in context.query.items() for value in values])
    if query:
        path += "?" + query
    kubelet = context.server.kubelets.dial(node)
    return kubelet.pod_request(address, port, request.method, path, request.headers, bytes(body))


def _pod_target(pod: Object, port: str) -> tuple[str, str, int]:
    spec, address = pod["spec"], (pod.get("status") or {}).get("podIP", "")
    if not spec.get("nodeName") or not address:
        raise errors.bad_request("address not allowed")
    if port:
        return spec["nodeName"], address, _number(port, spec)
    for container in spec.get("containers") or ():
        for one in container.get("ports") or ():
            return spec["nodeName"], address, one["containerPort"]
    return spec["nodeName"], address, 80


def _number(port: str, spec: Mapping[str, Any]) -> int:
    if port.isdigit():
        return int(port)
    for container in spec.get("containers") or ():
        for one in container.get("ports") or ():
            if one.get("name") == port:
                return int(one["containerPort"])
    raise errors.bad_request(f"no port named {port}")


def _endpoint(context: Context, service: Object, port: str) -> tuple[str, str, int]:
    """A ready endpoint of a service's port. Raises ApiError 503 when there is none."""
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
    ports = service["spec"].get("ports") or ()
    chosen = next((one for one in ports if port in ("", one.get("name"), str(one["port"]))), None)
    if chosen is None:
        raise errors.ApiError(503, "ServiceUnavailable", f'no service port "{port}" found for service "{name}"')
    for piece in context.server.store.list("endpointslices.discovery.k8s.io", namespace):
        if (piece["metadata"].get("labels") or {}).get("kubernetes.io/service-name") != name:
            continue
        number_ = next(
            (one["port"] for one in piece.get("ports") or () if one.get("name", "") == chosen.get("name", "")), None
        )
        for endpoint in piece.get("endpoints") or ():
            if number_ is not None and (endpoint.get("conditions") or {}).get("ready", True):
                return endpoint.get("nodeName", ""), endpoint["addresses"][0], number_
    raise errors.ApiError(503, "ServiceUnavailable", f'no endpoints available for service "{name}"')


PROXY: Mapping[str, Callable[[Context], Steps[Response]]] = dict.fromkeys(
    ("get", "create", "update", "patch", "delete"), proxy
)
