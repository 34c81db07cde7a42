"""Which backend an Ingress sends a request to: hosts, paths, redirects, canaries, as ingress-nginx has them.

Pure functions over Ingress objects. Source: k8s.io/ingress-nginx (internal/ingress/controller, …/annotations). Not
modelled: annotations that change neither the backend nor the answer's status (buffers, time-outs, CORS, rate limits,
authentication), snippets, sticky sessions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Object = Mapping[str, Any]
PREFIX = "nginx.ingress.kubernetes.io/"
EXACT = "Exact"
WEIGHT_TOTAL = 100
ANYWHERE = ""
"""The host of rules without one."""


class Backend(NamedTuple):
    """A port of a service; ``port`` is its number or name."""

    namespace: str
    service: str
    port: int | str


class Canary(NamedTuple):
    """Another backend for some of the requests."""

    backend: Backend
    weight: int
    total: int
    header: str
    value: str
    cookie: str

    def takes(self, headers: Mapping[str, str], lucky: Callable[[float], bool]) -> bool:
        """By header, then by cookie, then by chance."""
        if self.header:
            said = headers.get(self.header.lower())
            if said is not None:
                if self.value:
                    if said == self.value:
                        return True
                elif said in ("always", "never"):
                    return said == "always"
        if self.cookie:
            cookies = dict(part.strip().partition("=")[::2] for part in headers.get("cookie", "").split(";"))
            if cookies.get(self.cookie) in ("always", "never"):
                return cookies[self.cookie] == "always"
        return bool(self.weight) and lucky(self.weight / max(self.total, 1))


@dataclass(slots=True)
class Location:
    """A path of a host."""

    path: str
    kind: str
    backend: Backend
    annotations: Mapping[str, str]
    pattern: re.Pattern[str] | None = None
    """Set when the path is a regular expression."""
    canaries: list[Canary] = field(default_factory=list)

    def matches(self, path: str) -> bool:
        if self.pattern is not None:
            return self.pattern.match(path) is not None
        if self.kind == EXACT:
            return path == self.path
        if self.kind == "Prefix":
            bare = self.path.rstrip("/")
            return path == bare or path.startswith(f"{bare}/") or (not bare)
        return path.startswith(self.path)

    def rewritten(self, path: str) -> str:
        """The path that the backend sees."""
        target = self.annotations.get(f"{PREFIX}rewrite-target", "")
        if not target:
            return path
        found = self.pattern.match(path) if self.pattern is not None else None
        groups = found.groups() if found is not None else ()
        made = re.sub(r"\$(\d)", lambda at: (groups[int(at[1]) - 1] or "") if int(at[1]) <= len(groups) else "", target)
        return made or "/"


@dataclass(slots=True)
class Site:
    """A host: its paths, the longest first, and whether it has a certificate."""

    locations: list[Location] = field(default_factory=list)
    secret: tuple[str, str] | None = None
    """Namespace and name of its certificate's Secret."""
    tls: bool = False


@dataclass(slots=True)
class Routes:
    """All hosts, and what takes what no host takes."""

    sites: dict[str, Site] = field(default_factory=dict)
    default: Backend | None = None

    def site(self, host: str) -> Site | None:
        """An exact host, then the wildcard that fits best, then the rules without host."""
        found = self.sites.get(host)
        labels = host.split(".")
        for at in range(1, len(labels)):
            if found is not None:
                break
            found = self.sites.get("*." + ".".join(labels[at:]))
        return found if found is not None else self.sites.get(ANYWHERE)

    def locate(self, host: str, path: str) -> tuple[Site | None, Location | None]:
        site = self.site(host)
        if site is not None:
            for location in site.locations:
                if location.matches(path):
                    return site, location
        return site, None


def flag(annotations: Mapping[str, str], name: str, default: bool = False) -> bool:
    text = annotations.get(PREFIX + name)
    return default if text is None else text.lower() == "true"


def routes(ingresses: Iterable[Object]) -> Routes:
    """What a set of Ingresses means; of two that claim one path the older wins."""
    made = Routes()
    ordered = sorted(ingresses, key=lambda each: (each["metadata"].get("creationTimestamp", ""), _name(each)))
    canaries = [each for each in ordered if flag(each["metadata"].get("annotations") or {}, "canary")]
    for ingress in ordered:
        if ingress not in canaries:
            _add(made, ingress)
    for ingress in canaries:
        _add_canary(made, ingress)
    for site in made.sites.values():
        site.locations.sort(key=lambda each: (-len(each.path), each.kind != EXACT))
    return made


def _name(ingress: Object) -> str:
    return f"{ingress['metadata']['namespace']}/{ingress['metadata']['name']}"


def _add(made: Routes, ingress: Object) -> None:
    spec, namespace = ingress["spec"], ingress["metadata"]["namespace"]
    annotations = ingress["metadata"].get("annotations") or {}
    default = backend_of(namespace, spec.get("defaultBackend"))
    if default is not None and not spec.get("rules"):
        made.default = made.default or default
    for rule in spec.get("rules") or ():
        site = made.sites.setdefault(rule.get("host", ANYWHERE), Site())
        paths = (rule.get("http") or {}).get("paths") or ()
        for path in paths:
            backend = backend_of(namespace, path.get("backend"))
            if backend is not None:
                _put(site, path.get("path") or "/", path.get("pathType", "Prefix"), backend, annotations)
        if default is not None and not any((path.get("path") or "/") == "/" for path in paths):
            _put(site, "/", "Prefix", default, annotations)
    for entry in spec.get("tls") or ():
        for host in entry.get("hosts") or (rule.get("host", ANYWHERE) for rule in spec.get("rules") or ()):
            named = made.sites.get(host)
            if named is not None and not named.tls:
                named.tls = True
                named.secret = (namespace, entry["secretName"]) if entry.get("secretName") else None


def _put(site: Site, path: str, kind: str, backend: Backend, annotations: Mapping[str, str]) -> None:
    if any((each.path, each.kind) == (path, kind) for each in site.locations):
        return
    expression = flag(annotations, "use-regex") or annotations.get(f"{PREFIX}rewrite-target", "") not in ("", path)
    pattern = None
    if expression and kind != EXACT:
        try:
            pattern = re.compile(path, re.IGNORECASE)
        except re.error:
            return
    site.locations.append(Location(path, kind, backend, annotations, pattern))


def _add_canary(made: Routes, ingress: Object) -> None:
    """A canary joins the location of another Ingress with the same host and path."""
    namespace, annotations = ingress["metadata"]["namespace"], ingress["metadata"].get("annotations") or {}
    for rule in ingress["spec"].get("rules") or ():
        site = made.sites.get(rule.get("host", ANYWHERE))
        for path in (rule.get("http") or {}).get("paths") or ():
            backend = backend_of(namespace, path.get("backend"))
            for location in site.locations if site is not None else ():
                if backend is not None and location.path == (path.get("path") or "/"):
                    location.canaries.append(_canary(backend, annotations))


def _canary(backend: Backend, annotations: Mapping[str, str]) -> Canary:
    def number(name: str, default: int) -> int:
        text = annotations.get(PREFIX + name, "")
        return int(text) if text.isdigit() else default

    return Canary(
        backend,
        number("canary-weight", 0),
        number("canary-weight-total", WEIGHT_TOTAL),
        annotations.get(f"{PREFIX}canary-by-header", ""),
        annotations.get(f"{PREFIX}canary-by-header-value", ""),
        annotations.get(f"{PREFIX}canary-by-cookie", ""),
    )


def backend_of(namespace: str, backend: Object | None) -> Backend | None:
    service = (backend or {}).get("service")
    if not service:
        return None
    port = service.get("port") or {}
    return Backend(namespace, service["name"], port.get("number") or port.get("name", ""))
