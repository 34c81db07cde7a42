"""Paths that name no resource: version, health, discovery, OpenAPI, the token issuer's documents.

Source: k8s.io/apiserver/pkg/server/{healthz,routes}, k8s.io/apiserver/pkg/endpoints/discovery,
k8s.io/kube-openapi/pkg/{handler,handler3} and k8s.io/kubernetes/pkg/routes/openidmetadata.go.

Not modelled: OpenAPI in protobuf (406 for clients that take nothing else), discovery in apidiscovery.k8s.io/v2beta1
(such clients get the legacy form), and health checks that fail: what they watch lives and dies with the server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from seatrial.sim.apiserver.metrics import page as metrics_page
from seatrial.sim.apiserver.options import first
from seatrial.sim.apiserver.representation import JSON, negotiate
from seatrial.sim.apiserver.request import Request, Response, User
from seatrial.sim.apiserver.routing import RequestInfo
from seatrial.sim.apiserver.tokens import ISSUER
from seatrial.sim.machinery import discovery, errors, openapi
from seatrial.sim.machinery.metrics import TEXT as METRICS

if TYPE_CHECKING:
    from seatrial.sim.apiserver.server import Apiserver

TEXT = "text/plain; charset=utf-8"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
APISERVICES = "apiservices.apiregistration.k8s.io"
SECURE_PORT = 6443
"""--secure-port: where the control plane node's address serves the API."""

HEADERS_OF_TEXT: Mapping[str, str] = {"X-Content-Type-Options": "nosniff"}
FOR_GOOD: Mapping[str, str] = {"Cache-Control": "public, immutable"}
"""A document whose address carries its hash never changes."""

NOT_FOUND = "404 page not found\n"

HOOKS = [
    "start-apiserver-admission-initializer",
    "generic-apiserver-start-informers",
    "priority-and-fairness-config-consumer",
    "priority-and-fairness-filter",
    "storage-object-count-tracker-hook",
    "start-apiextensions-informers",
    "start-apiextensions-controllers",
    "crd-informer-synced",
    "start-system-namespaces-controller",
    "peer-endpoint-reconciler-controller",
    "start-cluster-authentication-info-controller",
    "start-kube-apiserver-identity-lease-controller",
    "start-kube-apiserver-identity-lease-garbage-collector",
    "storage-readiness",
    "start-legacy-token-tracking-controller",
    "start-service-ip-repair-controllers",
    "rbac/bootstrap-roles",
    "scheduling/bootstrap-system-priority-classes",
    "priority-and-fairness-config-producer",
    "bootstrap-controller",
    "start-kubernetes-service-cidr-controller",
    "aggregator-reload-proxy-client-cert",
    "start-kube-aggregator-informers",
    "apiservice-status-local-available-controller",
    "apiservice-status-remote-available-controller",
    "apiservice-registration-controller",
    "apiservice-discovery-controller",
    "kube-apiserver-autoregistration",
]
LATE_HOOKS = ("apiservice-openapi-controller", "apiservice-openapiv3-controller")


def _checks(*own: str, last: tuple[str, ...] = ()) -> tuple[str, ...]:
    hooks = (f"poststarthook/{name}" for name in HOOKS)
    late = (f"poststarthook/{name}" for name in LATE_HOOKS)
    return ("ping", "log", "etcd", *own, *hooks, "autoregister-completion", *late, *last)


CHECKS: Mapping[str, tuple[str, ...]] = {
    "healthz": _checks(),
    "livez": _checks(),
    "readyz": _checks("etcd-readiness", "informer-sync", last=("shutdown",)),
}
"""The checks behind each health endpoint, in the server's order."""


class Asked(NamedTuple):
    """A request for a page, and the path's parts."""

    server: Apiserver
    request: Request
    parts: tuple[str, ...]


Page = Callable[[Asked], Response]


def answer(server: Apiserver, request: Request, info: RequestInfo, user: User) -> Response:
    """The page behind a path. Raises PlainError 404 for paths that lead nowhere, ApiError 406."""
    parts = tuple(part for part in info.path.split("/") if part)
    asked = Asked(server, request, parts)
    page = PAGES.get("/" + "/".join(parts)) or PAGES.get("/" + parts[0] if parts else "/")
    if page is None:
        raise errors.PlainError(404, NOT_FOUND)
    return page(asked)


def text(body: str, code: int = 200) -> Response:
    return Response(code, body.encode(), TEXT, headers=HEADERS_OF_TEXT)


def indented(value: Any) -> Response:
    """JSON as the handlers below the API machinery write it: always indented."""
    return Response(200, orjson.dumps(value, option=orjson.OPT_INDENT_2), JSON)


def version(asked: Asked) -> Response:
    """/version: the version that the cluster claims to be (k8s.io/apimachinery/pkg/version.Info)."""
    release = asked.server.spec.kubernetes_version
    major, minor = release.removeprefix("v").split(".")[:2]
    return indented(
        {
            "major": major,
            "minor": minor,
            "emulationMajor": major,
            "emulationMinor": minor,
            "minCompatibilityMajor": major,
            "minCompatibilityMinor": str(int(minor) - 1),
            "gitVersion": release,
            "gitCommit": "$Format:%H$",
            "gitTreeState": "clean",
            "buildDate": "1970-01-01T00:00:00Z",
            "goVersion": "go1.26.8",
            "compiler": "gc",
            "platform": "linux/amd64",
        }
    )


def health(asked: Asked) -> Response:
    """/healthz, /livez and /readyz, with ``verbose`` and ``exclude``, and each check below them."""
    name, *below = asked.parts
    checks = CHECKS[name]
    if below:
        if "/".join(below) not in checks:
            raise errors.PlainError(404, NOT_FOUND)
        return text("ok")
    query = asked.request.query
    excluded = query.get("exclude") or ()
    if "verbose" not in query:
        return text("ok")
    lines = [f"[+]{check} excluded: ok" if check in excluded else f"[+]{check} ok" for check in checks]
    unknown = [check for check in excluded if check not in checks]
    if unknown:
        quoted = ", ".join(f'"{check}"' for check in unknown)
        lines.append(f"warn: some health checks cannot be excluded: no matches for {quoted}")
    return text("\n".join([*lines, f"{name} check passed\n"]))


def priorities(server: Apiserver) -> dict[str, int]:
    """The priority of every group, as the APIServices say."""
    found: dict[str, int] = {}
    for service in server.store.list(APISERVICES):
        spec = service["spec"]
        group = spec.get("group", "")
        found[group] = max(found.get(group, 0), spec.get("groupPriorityMinimum", 0))
    return found


def address(asked: Asked) -> str:
    """Where the server says it is: the control plane node."""
    return f"{asked.server.spec.network.node_subnet}.10:{SECURE_PORT}"


def _listed(asked: Asked, legacy: Callable[[], Any], groups: Callable[[], list[str]]) -> Response:
    """A list of groups, aggregated for the clients that know how to read it."""
    accept = ",".join(part for part in asked.request.accept.split(",") if "v=v2beta1" not in part)
    wants = negotiate(accept or JSON, False)
    if wants.as_ != "APIGroupDiscoveryList":
        return Response(200, legacy(), wants.media_type)
    body = orjson.dumps(discovery.aggregated(asked.server.kinds, groups())) + b"\n"
    return cached(asked, body, AGGREGATED)


def cached(asked: Asked, body: bytes, media_type: str) -> Response:
    """A body with its hash as ETag, or 304 for a client that has it."""
    tag = f'"{openapi.digest(body)}"'
    headers = {"ETag": tag, "Vary": "Accept"}
    if asked.request.headers.get("if-none-match") == tag:
        return Response(304, b"", media_type, headers=headers)
    return Response(200, body, media_type, headers=headers)


def api(asked: Asked) -> Response:
    """/api and /api/v1."""
    kinds = asked.server.kinds
    if len(asked.parts) == 1:
        return _listed(asked, lambda: discovery.api_versions(address(asked)), lambda: [""])
    if len(asked.parts) > 2 or not kinds.serves("", asked.parts[1]):
        raise errors.PlainError(404, NOT_FOUND)
    return _resources(asked, "", asked.parts[1])


def apis(asked: Asked) -> Response:
    """/apis, /apis/GROUP and /apis/GROUP/VERSION."""
    kinds = asked.server.kinds
    if len(asked.parts) == 1:
        order = priorities(asked.server)
        return _listed(
            asked,
            lambda: discovery.group_list(kinds, order),
            lambda: discovery.ordered_groups(kinds, order),
        )
    if len(asked.parts) == 2:
        group = discovery.group(kinds, asked.parts[1])
        if group is None:
            raise errors.PlainError(404, NOT_FOUND)
        return Response(200, group, negotiate(asked.request.accept, False).media_type)
    if len(asked.parts) > 3 or not kinds.serves(*asked.parts[1:]):
        raise errors.PlainError(404, NOT_FOUND)
    return _resources(asked, *asked.parts[1:])


def _resources(asked: Asked, group: str, version: str) -> Response:
    body = discovery.resource_list(asked.server.kinds, group, version)
    return Response(200, body, negotiate(asked.request.accept, False).media_type)


OPENAPI_PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"


def _takes_json(accept: str) -> bool:
    """Whether a client can read the documents as JSON."""
    medias = [clause.partition(";")[0].strip().lower() for clause in (accept or "*/*").split(",")]
    return any(media in (JSON, "application/*", "*/*") for media in medias)


def openapi_v2(asked: Asked) -> Response:
    """/openapi/v2."""
    documents = openapi.documents(asked.server.kinds)
    if OPENAPI_PROTOBUF in asked.request.accept:
        return cached(asked, documents.v2_protobuf(), OPENAPI_PROTOBUF.replace("@", "."))
    if not _takes_json(asked.request.accept):
        raise errors.PlainError(406, "")
    return cached(asked, documents.v2(), JSON)


def openapi_v3(asked: Asked) -> Response:
    """/openapi/v3 and the document of each group and version; an outdated hash leads to the present address."""
    documents = openapi.documents(asked.server.kinds)
    path = "/".join(asked.parts[2:])
    if not path:
        return Response(200, orjson.dumps(documents.index()), JSON)
    body = documents.v3(path)
    if body is None:
        raise errors.PlainError(404, NOT_FOUND)
    if not _takes_json(asked.request.accept):
        raise errors.PlainError(406, "")
    given = first(asked.request.query, "hash")
    if given and given != documents.hash(path):
        return Response(301, b"", JSON, headers={"Location": documents.address(path)})
    answered = cached(asked, body, JSON)
    if given:
        answered.headers = {**answered.headers, **FOR_GOOD}
    return answered


def openapi_page(asked: Asked) -> Response:
    if asked.parts[1:] == ("v2",):
        return openapi_v2(asked)
    if asked.parts[1:2] == ("v3",):
        return openapi_v3(asked)
    raise errors.PlainError(404, NOT_FOUND)


def openid_configuration(asked: Asked) -> Response:
    """What a verifier of service account tokens needs to know of their issuer."""
    return Response(
        200,
        orjson.dumps(
            {
                "issuer": ISSUER,
                "jwks_uri": f"https://{address(asked)}/openid/v1/jwks",
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": [key["alg"] for key in asked.server.tokens.jwks["keys"]],
            }
        ),
        JSON,
        headers={"Cache-Control": "public, max-age=3600"},
    )


def openid_keys(asked: Asked) -> Response:
    """The public keys of the token issuer (RFC 7517)."""
    body = orjson.dumps(asked.server.tokens.jwks)
    return Response(200, body, "application/jwk-set+json", headers={"Cache-Control": "public, max-age=3600"})


def root(asked: Asked) -> Response:
    """/: every path that is served."""
    if asked.parts:
        raise errors.PlainError(404, NOT_FOUND)
    kinds = asked.server.kinds
    paths = ["/.well-known/openid-configuration", "/api", "/api/v1", "/apis", "/apis/", "/openapi/v2", "/openapi/v3"]
    for group in kinds.groups():
        if group:
            paths += [f"/apis/{group}", *(f"/apis/{group}/{version}" for version in kinds.versions(group))]
    for name, checks in CHECKS.items():
        paths += [f"/{name}", *(f"/{name}/{check}" for check in checks)]
    paths += ["/metrics", "/openapi/v3/", "/openid/v1/jwks", "/version"]
    return indented({"paths": sorted(paths)})


def metrics(asked: Asked) -> Response:
    """/metrics: what the parts of the server count."""
    return Response(200, metrics_page(asked.server), METRICS)


PAGES: Mapping[str, Page] = {
    "/": root,
    "/.well-known/openid-configuration": openid_configuration,
    "/api": api,
    "/apis": apis,
    "/healthz": health,
    "/livez": health,
    "/metrics": metrics,
    "/openapi": openapi_page,
    "/openid/v1/jwks": openid_keys,
    "/readyz": health,
    "/version": version,
}
"""Pages by their whole path, or by its first part for those that have more below them."""
