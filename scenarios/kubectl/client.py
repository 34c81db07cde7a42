"""The way to the API server: requests and answers, and the resource types that discovery tells of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import orjson

from seatrial.scenarios.kubectl.commands import Flags
from seatrial.scenarios.kubectl.failures import Failure, NoMatch, error_of
from seatrial.scenarios.kubectl.session import Session
from seatrial.sim.apiserver.request import Request, Response

Object = Mapping[str, Any]
JSON = "application/json"
TABLE = (
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
)
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
CACHE_US = 6 * 3600 * 1_000_000
"""How long resource types are remembered (cacheTTL of genericclioptions)."""
PATCH_TYPES = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


class Kind(NamedTuple):
    """A resource type of a group and version."""

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    namespaced: bool
    verbs: tuple[str, ...]
    short_names: tuple[str, ...]
    categories: tuple[str, ...]
    subresources: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """``deployments.apps``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def short(self) -> str:
        """How results are told: ``deployment.apps``."""
        return f"{self.kind.lower()}.{self.group}" if self.group else self.kind.lower()

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        place = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return (
            f"{root}{place}/{self.plural}" + (f"/{name}" if name else "") + (f"/{subresource}" if subresource else "")
        )


def kind_of(row: Mapping[str, Any], group: str, version: str) -> Kind:
    """A row of aggregated discovery."""
    response = row.get("responseKind") or {}
    return Kind(
        group,
        version,
        row["resource"],
        row.get("singularResource", ""),
        response.get("kind", ""),
        row.get("scope") == "Namespaced",
        tuple(row.get("verbs") or ()),
        tuple(row.get("shortNames") or ()),
        tuple(row.get("categories") or ()),
        tuple(each["subresource"] for each in row.get("subresources") or ()),
    )


class Client:
    """Requests of one command. Refusals are raised as ApiError, warnings are told."""

    def __init__(self, session: Session, flags: Flags, warn: Callable[[str], None]) -> None:
        self._session = session
        self._flags = flags
        self._warn = warn
        self._fresh = session.address() not in session.cache

    # requests

    def request_of(
        self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None,
        content_type: str = JSON, accept: str = JSON,
    ) -> Request:  # fmt: skip
        plain = {key: _texts(value) for key, value in (query or {}).items() if value not in (None, "", False)}
        raw = body if body is None or isinstance(body, bytes) else orjson.dumps(body)
        headers = impersonation(self._flags)
        return Request(method, path, plain, raw, content_type, accept, user_agent="kubectl/v1.37.2", headers=headers)

    def ask(
        self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None,
        content_type: str = JSON, accept: str = JSON,
    ) -> Response:  # fmt: skip
        """The server's answer, whatever it is."""
        response = self._session.request(self.request_of(method, path, query, body, content_type, accept))
        for text in response.warnings:
            self._warn(text)
        return response

    def send(
        self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None,
        content_type: str = JSON, accept: str = JSON,
    ) -> Any:  # fmt: skip
        """The object in the answer. Raises ApiError."""
        response = self.ask(method, path, query, body, content_type, accept)
        return answer_of(response, method, path)

    def get(self, path: str, query: Mapping[str, Any] | None = None, accept: str = JSON) -> Any:
        return self.send("GET", path, query, accept=accept)

    def items(self, kind: Kind, namespace: str = "", query: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """The objects of a kind, with their kind and version put in."""
        answer = self.get(kind.path(namespace), query)
        return [
            {"apiVersion": kind.api_version, "kind": kind.kind, **item} if "kind" not in item else item
            for item in answer.get("items") or ()
        ]

    def watch(
        self, path: str, query: Mapping[str, Any] | None = None, until_us: int | None = None, accept: str = JSON
    ) -> Iterator[Object]:
        """The events of a watch."""
        request = self.request_of("GET", path, {**(query or {}), "watch": "true"}, accept=accept)
        return self._session.watch(request, until_us)

    # resource types

    @property
    def discovered(self) -> list[Kind]:
        """Every resource type, groups in the server's order, preferred versions first; remembered by the session, and
        asked anew after six hours or when a type is missing, as kubectl does with its cache on disk."""
        cache, server = self._session.cache, self._session.address()
        held = cache.get(server)
        if held is None or self._session.now() - held[0] > CACHE_US:
            held = cache[server] = (self._session.now(), discovered(self))
        found: list[Kind] = held[1]
        return found

    def forget(self) -> bool:
        """Forgets the resource types unless they were asked for a moment ago; whether there was something to forget."""
        held = self._session.cache.get(self._session.address())
        if held is None or self._fresh:
            return False
        self._session.cache.clear()
        self._fresh = True
        for name in ("_by_word", "_shorts"):
            self.__dict__.pop(name, None)
        return True

    @cached_property
    def _by_word(self) -> dict[str, list[Kind]]:
        found: dict[str, list[Kind]] = {}
        for kind in self.discovered:
            for word in dict.fromkeys((kind.plural, kind.singular or kind.kind.lower(), kind.kind.lower())):
                found.setdefault(word, []).append(kind)
        return found

    @cached_property
    def _shorts(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for kind in self.discovered:
            for word in kind.short_names:
                found.setdefault(word, kind.resource)
        return found

    def kind(self, word: str) -> Kind:
        """The resource type that a word means. Raises NoMatch."""
        found = self.find(word)
        if found is None:
            raise NoMatch(f'the server doesn\'t have a resource type "{word}"')
        return found

    def find(self, word: str) -> Kind | None:
        """``deploy``, ``deployments``, ``deployments.apps``, ``deployments.v1.apps``."""
        found = self._find(word)
        return found if found is not None or not self.forget() else self._find(word)

    def _find(self, word: str) -> Kind | None:
        first, _, rest = word.lower().partition(".")
        version, _, group = rest.partition(".")
        if not rest and first in self._shorts and first not in self._by_word:
            return self._find(self._shorts[first])
        candidates = list(self._by_word.get(first, ()))
        if not candidates and rest and first in self._shorts:
            candidates = list(self._by_word.get(self._shorts[first].partition(".")[0], ()))
        if not rest:
            return candidates[0] if candidates else None
        for kind in candidates:
            if (kind.version, kind.group) == (version, group):
                return kind
        matching = [kind for kind in candidates if kind.group == rest]
        if not matching:
            matching = [kind for kind in candidates if kind.group.startswith(rest)]
        return matching[0] if matching else None

    def kind_for(self, api_version: str, kind: str) -> Kind | None:
        """The resource type of an object."""
        for each in self.discovered:
            if each.kind == kind and each.api_version == api_version:
                return each
        return self.kind_for(api_version, kind) if self.forget() else None

    def category(self, word: str) -> list[Kind]:
        """The resource types of a category, such as ``all``, each once."""
        found: dict[str, Kind] = {}
        for kind in self.discovered:
            if word in kind.categories:
                found.setdefault(kind.resource, kind)
        legacy = {name: found.pop(name) for name in ALL if name in found}
        return [*legacy.values(), *found.values()]


ALL = (
    "pods", "replicationcontrollers", "services", "daemonsets.apps", "deployments.apps", "replicasets.apps",
    "statefulsets.apps", "horizontalpodautoscalers.autoscaling", "cronjobs.batch", "jobs.batch",
)  # fmt: skip
"""The order in which ``get all`` shows what it shows (restmapper.SimpleCategoryExpander gives discovery's order)."""


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, list | tuple):
        return tuple(str(each) for each in value)
    return ("true",) if value is True else (str(value),)


def impersonation(flags: Flags) -> dict[str, str]:
    """The headers of ``--as`` and its like."""
    headers: dict[str, str] = {}
    if user := flags.get("as"):
        headers["impersonate-user"] = user
    if groups := flags.get("as-group"):
        headers["impersonate-group"] = "\x00".join(groups)
    if uid := flags.get("as-uid"):
        headers["impersonate-uid"] = uid
    for each in flags.get("as-user-extra") or ():
        key, _, value = each.partition("=")
        name = f"impersonate-extra-{key.lower()}"
        headers[name] = f"{headers[name]}\x00{value}" if name in headers else value
    return headers


def answer_of(response: Response, method: str, path: str) -> Any:
    """The object in an answer. Raises ApiError for a refusal."""
    body = response.body
    if isinstance(body, bytes | bytearray | memoryview):
        raw = bytes(body)
        try:
            body = orjson.loads(raw) if raw else {}
        except orjson.JSONDecodeError:
            body = raw.decode(errors="replace")
    if response.code >= 400:
        if isinstance(body, dict) and body.get("kind") == "Status":
            raise error_of(body, response.code)
        raise error_of(_unexplained(response.code, str(body)))
    return body


def _unexplained(code: int, text: str) -> dict[str, Any]:
    """What client-go makes of an answer that is no Status."""
    reasons = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 405: "MethodNotAllowed", 409: "Conflict",
               500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout"}  # fmt: skip
    messages = {
        401: "the server has asked for the client to provide credentials",
        404: "the server could not find the requested resource",
        405: "the server does not allow this method on the requested resource",
        503: "the server is currently unable to handle the request",
    }
    message = messages.get(code, text.strip() or "unknown")
    return {"code": code, "reason": reasons.get(code, ""), "message": message, "details": {}}


def discovered(client: Client) -> list[Kind]:
    """What the server serves, from aggregated discovery."""
    kinds: list[Kind] = []
    rest: list[Kind] = []
    for root in ("/api", "/apis"):
        response = client.ask("GET", root, accept=DISCOVERY)
        body = answer_of(response, "GET", root)
        if not isinstance(body, dict) or body.get("kind") != "APIGroupDiscoveryList":
            raise Failure("the server does not answer aggregated discovery; kubectl 1.27 and later need it")
        for group in body.get("items") or ():
            name = (group.get("metadata") or {}).get("name", "")
            for position, version in enumerate(group.get("versions") or ()):
                rows = [kind_of(row, name, version["version"]) for row in version.get("resources") or ()]
                (rest if position else kinds).extend(rows)
    return kinds + rest
