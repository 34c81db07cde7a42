"""Recorded changes of objects: what was stored, what a client asked for, and what a real API server made of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from conformance.creations import BUILTIN, exchanges

from seatrial.sim.apiserver.routing import RequestInfo, parse
from seatrial.sim.machinery.kinds import Resource

PLAIN = (None, "application/json")
"""Accept headers that ask for the object itself."""


class Change(NamedTuple):
    """One request about one object, and its state before."""

    name: str
    method: str
    resource: Resource
    info: RequestInfo
    query: dict[str, str]
    content_type: str
    body: Any
    old: dict[str, Any] | None
    status: int
    response: dict[str, Any]

    @property
    def manager(self) -> str:
        return self.query.get("fieldManager", "Python-urllib")

    @property
    def accepted(self) -> bool:
        return self.response.get("kind") == self.resource.kind


def changes(path: Path) -> Iterator[Change]:
    """Every request of a group about a built-in kind, in order, with the object as the answers before showed it.

    Nothing is known of an object whose scale was changed until an answer shows it again.
    """
    stored: dict[tuple[str, str], dict[str, Any]] = {}
    for exchange in exchanges(path):
        url = urlsplit(exchange["path"].replace("{NS}", "x"))
        info = parse(exchange["method"], url.path)
        resource = BUILTIN.find(info.group, info.version, info.resource)
        response = exchange["response"]
        if resource is None or resource.virtual or not isinstance(response, dict):
            continue
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        body = exchange["body"] if exchange["raw"] is None else exchange["raw"]
        old = stored.get((resource.storage, info.name))
        kind = (exchange["ctype"] or "application/json").partition(";")[0]
        change = Change(
            exchange["name"], exchange["method"], resource, info, query, kind, body, old, exchange["status"], response
        )
        yield change
        if info.subresource == "scale" and exchange["method"] != "GET":
            stored.pop((resource.storage, info.name), None)
        elif change.accepted and "dryRun" not in query and exchange["accept"] in PLAIN:
            stored[resource.storage, response["metadata"].get("name", "")] = response
