"""The audit log: a line of JSON for every stage of every request, in a file.

Source: k8s.io/apiserver/pkg/audit (request.go), …/endpoints/filters/audit.go and …/plugin/buffered. One level holds
for all requests, as a policy with a single rule would have it.

Not modelled: policy files and webhook back ends; ResponseComplete of watches and connections, of which RequestReceived
and ResponseStarted are written; the reason of an
authorization among the annotations; times inside objects are the simulation's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson
import yaml

from seatrial.api.kubernetes.inflight import watches
from seatrial.sim.apiserver.request import Request, Response, User
from seatrial.sim.apiserver.routing import RequestInfo, parse
from seatrial.sim.machinery import errors, protobuf

LEVELS: Final = ("Metadata", "Request", "RequestResponse")
"""What is written, each with all that the one before has."""
FORBIDDEN: Final = 403


class Audit:
    """The log of one server.

    ``identify`` says who a request is from and raises ApiError for whom it does not know; ``now_us`` is the wall clock
    in µs since the Unix epoch.
    """

    def __init__(self, path: Path, level: str, identify: Callable[[Request], User], now_us: Callable[[], int]) -> None:
        """Raises OSError for a file that cannot be written."""
        self._file = path.open("ab", buffering=0)
        self._level = LEVELS.index(level)
        self._identify = identify
        self._now_us = now_us

    def received(self, request: Request, audit_id: str, uri: str, address: str) -> dict[str, Any]:
        """Writes that a request has arrived; the event, for ``answered``."""
        stamp = stamp_of(self._now_us())
        info = parse(request.method, request.path, watches(request))
        event = {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": LEVELS[self._level],
            "auditID": audit_id,
            "stage": "RequestReceived",
            "requestURI": uri,
            "verb": info.verb,
            "user": self._user(request),
            **impersonation(request),
            "sourceIPs": [address],
            **({"userAgent": request.user_agent} if request.user_agent else {}),
            **({"objectRef": reference(info)} if info.is_resource else {}),
            "requestReceivedTimestamp": stamp,
            "stageTimestamp": stamp,
        }
        self._write(event)
        if self._level >= LEVELS.index("Request") and info.is_resource and request.body:
            event["requestObject"] = value_of(request.body, request.content_type)
        return event

    def answered(self, event: dict[str, Any], response: Response) -> None:
        """Writes how a request was answered."""
        body = response.body
        is_object = isinstance(body, Mapping)
        event["stage"] = "ResponseStarted" if response.streaming else "ResponseComplete"
        event["responseStatus"] = status_of(response)
        if self._level >= LEVELS.index("RequestResponse") and is_object and "objectRef" in event:
            event["responseObject"] = body
        event["stageTimestamp"] = stamp_of(self._now_us())
        if event["user"]:
            decision = "forbid" if response.code == FORBIDDEN else "allow"
            event["annotations"] = {"authorization.k8s.io/decision": decision, "authorization.k8s.io/reason": ""}
        self._write(event)

    def _user(self, request: Request) -> dict[str, Any]:
        try:
            user = self._identify(request)
        except errors.ApiError:
            return {}
        return {"username": user.name, "groups": list(user.groups)}

    def _write(self, event: Mapping[str, Any]) -> None:
        self._file.write(orjson.dumps(event, default=list) + b"\n")

    def close(self) -> None:
        self._file.close()


def impersonation(request: Request) -> dict[str, Any]:
    """Whom a request says to be instead."""
    name = request.headers.get("impersonate-user", "")
    if not name:
        return {}
    groups = request.headers.get("impersonate-group", "")
    return {"impersonatedUser": {"username": name, **({"groups": groups.split("\0")} if groups else {})}}


def reference(info: RequestInfo) -> dict[str, str]:
    """What a request is about."""
    found = {
        "resource": info.resource,
        "namespace": info.namespace,
        "name": info.name,
        "apiGroup": info.group,
        "apiVersion": info.version,
        "subresource": info.subresource,
    }
    return {key: value for key, value in found.items() if value}


def status_of(response: Response) -> dict[str, Any]:
    """The code of an answer, and what a Status among them says."""
    body = response.body
    if isinstance(body, Mapping) and body.get("kind") == "Status":
        said = {key: body[key] for key in ("status", "message", "reason", "details") if body.get(key)}
        return {"metadata": {}, **said, "code": response.code}
    return {"metadata": {}, "code": response.code}


def value_of(body: Any, content_type: str) -> Any:
    """A body as a value; None when it cannot be read."""
    if not isinstance(body, bytes | bytearray | memoryview):
        return body
    try:
        if "protobuf" in content_type:
            return protobuf.decode(bytes(body))
        return yaml.safe_load(bytes(body)) if "yaml" in content_type else orjson.loads(body)
    except (ValueError, yaml.YAMLError):
        return None


def stamp_of(us: int) -> str:
    """A MicroTime."""
    return datetime.fromtimestamp(us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{us % 1_000_000:06d}Z"
