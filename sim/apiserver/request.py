"""What reaches the API server and what it answers: the same two values for a controller and for a socket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Object = Mapping[str, Any]
"""A Kubernetes object in wire form. Committed objects are never mutated: copy the path you change, share the rest."""


@dataclass(frozen=True, slots=True)
class User:
    """Who asks, as authentication found out (k8s.io/apiserver/pkg/authentication/user.Info)."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def info(self) -> dict[str, Any]:
        """The user as reviews show them (authentication.k8s.io/v1 UserInfo)."""
        info: dict[str, Any] = {"username": self.name}
        if self.uid:
            info["uid"] = self.uid
        if self.groups:
            info["groups"] = list(self.groups)
        if self.extra:
            info["extra"] = {key: list(values) for key, values in self.extra.items()}
        return info


@dataclass(slots=True)
class Request:
    """One request to the API server.

    Components inside the simulation fill in ``user`` themselves, as their client certificate or token would;
    for requests from a socket the edge leaves ``user`` empty and hands over ``credentials``.
    """

    method: str
    """GET, POST, PUT, PATCH or DELETE."""
    path: str
    """Without the query, e.g. /apis/apps/v1/namespaces/default/deployments/web/scale."""
    query: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    body: Any = None
    """A decoded object (inside the simulation) or the bytes as they came (from a socket)."""
    content_type: str = "application/json"
    accept: str = "application/json"
    user: User | None = None
    credentials: Credentials | None = None
    user_agent: str = ""
    """Its part before the first slash names the field manager when the request does not."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The remaining headers, names in lower case."""
    cause: Any = None
    """What made the component ask: (component, key, revision), for the chain of causes; None from outside."""
    heedless: bool = False
    """A list or watch of a built-in component that heartbeats do not concern (see ``standing``)."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a socket showed of its owner."""

    certificate_common_name: str = ""
    certificate_organizations: tuple[str, ...] = ()
    certificate_uid: str = ""
    bearer_token: str = ""


@dataclass(slots=True)
class Response:
    """The answer: ``body`` is an object, bytes already encoded, or a Watch when ``streaming``."""

    code: int
    body: Any = None
    content_type: str = "application/json"
    warnings: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    streaming: bool = False
