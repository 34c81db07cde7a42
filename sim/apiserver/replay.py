"""Requests and answers from outside as they enter the journal, and back."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Generator, Mapping
from typing import Any, Final

from seatrial.sim.apiserver.client import Endpoint
from seatrial.sim.apiserver.context import Answered
from seatrial.sim.apiserver.request import Credentials, Request, Response, User
from seatrial.sim.apiserver.routing import parse

log = logging.getLogger("seatrial")

READS: Final = ("GET", "HEAD")
ENTERING: Final = frozenset({"exec", "attach", "portforward", "proxy"})
"""Subresources whose reads go on into a pod or kubelet."""
Steps = Generator[Any, Any, Any]
Back = Callable[[Response | None], object]
"""Is given the response to a request, or None when the server broke over it."""


def leaves_no_trace(endpoint: Endpoint, request: Request) -> bool:
    """Whether the history is the same without this request: a read that ends at the store."""
    if request.method not in READS or endpoint.judge is not None:
        return False
    info, server = parse(request.method, request.path), endpoint.server
    if info.subresource in ENTERING or info.verb == "proxy" or server.aggregation.target(info) is not None:
        return False
    resource = server.kinds.find(info.group, info.version, info.resource) if info.is_resource else None
    if resource is not None and server.standing.leaves_trace(info, resource, bool(request.query.get("watch"))):
        return False
    if request.query.get("continue") and server.standing.is_due():
        return False
    return resource is None or resource.custom is None or resource.custom.converter is None


def carried(steps: Steps, back: Back) -> Steps:
    """A request's way as a process, with the response handed back; an error of the server's own is its value."""
    try:
        response = yield from steps
    except Exception as problem:
        log.exception("the API server broke over a request")
        back(None)
        return problem
    back(response)
    return response


def _body_value(body: Any) -> Any:
    if isinstance(body, bytes | bytearray | memoryview):
        raw = bytes(body)
        try:
            return {"text": raw.decode()}
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(raw).decode()}
    return {"object": body}


def _body_of(value: Mapping[str, Any]) -> Any:
    if "text" in value:
        return value["text"].encode()
    if "base64" in value:
        return base64.b64decode(value["base64"])
    return value["object"]


def request_value(request: Request) -> dict[str, Any]:
    """A request as a JSON-shaped value."""
    value: dict[str, Any] = {"method": request.method, "path": request.path}
    if request.query:
        value["query"] = {key: list(values) for key, values in request.query.items()}
    if request.body is not None:
        value["body"] = _body_value(request.body)
    for name in ("content_type", "accept"):
        if getattr(request, name) != "application/json":
            value[name] = getattr(request, name)
    if request.user is not None:
        user = request.user
        extra = {key: list(values) for key, values in user.extra.items()}
        value["user"] = {"name": user.name, "groups": list(user.groups), "uid": user.uid, "extra": extra}
    if request.credentials is not None:
        shown = request.credentials
        value["credentials"] = {
            "certificate_common_name": shown.certificate_common_name,
            "certificate_organizations": list(shown.certificate_organizations),
            "certificate_uid": shown.certificate_uid,
            "bearer_token": shown.bearer_token,
        }
    if request.user_agent:
        value["user_agent"] = request.user_agent
    if request.headers:
        value["headers"] = dict(request.headers)
    return value


def request_of(value: Mapping[str, Any]) -> Request:
    """The request that ``request_value`` wrote down."""
    user, shown = value.get("user"), value.get("credentials")
    return Request(
        value["method"],
        value["path"],
        {key: tuple(values) for key, values in (value.get("query") or {}).items()},
        _body_of(value["body"]) if "body" in value else None,
        value.get("content_type", "application/json"),
        value.get("accept", "application/json"),
        None if user is None else _user_of(user),
        None if shown is None else _credentials_of(shown),
        value.get("user_agent", ""),
        value.get("headers") or {},
    )


def _user_of(value: Mapping[str, Any]) -> User:
    extra = {key: tuple(values) for key, values in value["extra"].items()}
    return User(value["name"], tuple(value["groups"]), value["uid"], extra)


def _credentials_of(value: Mapping[str, Any]) -> Credentials:
    organizations = tuple(value["certificate_organizations"])
    return Credentials(**{**value, "certificate_organizations": organizations})


def answer_value(answer: Answered) -> dict[str, Any]:
    """What a call out of the simulation brought back, as a JSON-shaped value."""
    if isinstance(answer, OSError):
        return {"error": str(answer)}
    status, body = answer
    return {"status": status, "answer": _body_value(body)}


def answer_of(value: Mapping[str, Any]) -> Answered:
    """The answer that ``answer_value`` wrote down; an error comes back as OSError."""
    return OSError(value["error"]) if "error" in value else (value["status"], _body_of(value["answer"]))
