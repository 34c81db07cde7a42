"""What a URL asks for (k8s.io/apiserver/pkg/endpoints/request.RequestInfoFactory)."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple


class RequestInfo(NamedTuple):
    """A path taken apart. For a path that names no resource only ``path`` and ``verb`` say something."""

    is_resource: bool
    verb: str
    path: str
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    rest: str = ""
    """What follows the subresource, e.g. the path behind pods/web/proxy/."""


VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})


@lru_cache(maxsize=1 << 14)
def parse(method: str, path: str, watch: bool = False) -> RequestInfo:
    """The request behind a method and a path.

    ``watch`` is the query parameter. A list has no name, so GET without one is ``list`` and DELETE without one is
    ``deletecollection``.
    """
    parts = [part for part in path.split("/") if part]
    if len(parts) < 3 or parts[0] not in ("api", "apis"):
        return RequestInfo(False, method.lower(), path)
    if parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    else:
        if len(parts) < 4:
            return RequestInfo(False, method.lower(), path)
        group, version, rest = parts[1], parts[2], parts[3:]

    verb = VERBS.get(method, "")
    if rest[0] in ("watch", "proxy") and len(rest) > 1:
        verb, rest = rest[0], rest[1:]
        watch = verb == "watch"

    namespace = ""
    if rest[0] == "namespaces":
        if len(rest) > 1:
            namespace = rest[1]
            if len(rest) > 2 and rest[2] not in NAMESPACE_SUBRESOURCES:
                rest = rest[2:]

    resource, name = rest[0], rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    behind = "/".join(rest[3:])
    if not name:
        if watch and verb in ("get", "watch"):
            verb = "watch"
        elif verb == "get":
            verb = "list"
        elif verb == "delete":
            verb = "deletecollection"
    return RequestInfo(True, verb, path, group, version, namespace, resource, subresource, name, behind)


def selected_name(field_selector: str) -> str:
    """The one name that a list or watch is limited to, else empty: authorization takes it as the request's name."""
    for term in field_selector.split(","):
        field, equals, value = term.partition("=")
        if field == "metadata.name" and equals:
            name = value.removeprefix("=")
            return "" if name in (".", "..") or "/" in name or "%" in name else name
    return ""
