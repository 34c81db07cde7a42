"""Subresources that end at the kubelet: log, exec, attach and portforward.

What is asked is checked here and the kubelet found; the edge carries the bytes. Source:
k8s.io/kubernetes/pkg/registry/core/pod/{strategy.go,rest}.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from seatrial.sim.apiserver import admission, registry
from seatrial.sim.apiserver.context import Context, Steps
from seatrial.sim.apiserver.kubelets import KUBELET_PORT, Kubelet, LogOptions
from seatrial.sim.apiserver.options import first, flag, number
from seatrial.sim.apiserver.request import Object, Response
from seatrial.sim.kernel.clock import parse_stamp
from seatrial.sim.machinery import errors
from seatrial.sim.machinery.fields import FieldError

SECOND_US = 1_000_000


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
        return context.server.kubelets.dial(node, address_of(context, node))
    except OSError as problem:
        raise errors.unexplained(f"{what}: {problem}") from None


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
