"""Requests gone wrong: mutations of requests that real clients sent, and what must hold whatever is asked.

A mutation changes one part of a request or several: the verb, the path, parameters, media types, the body as a value or
as bytes. All of them are drawn from one seed.
"""

from __future__ import annotations

import json
import random
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from seatrial.api.kubernetes.wire import Kubernetes, request_of
from seatrial.api.server.message import Incoming, Outgoing, Peer
from seatrial.sim.apiserver.request import Request, Response
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec

ADMIN = Peer("127.0.0.1", "kubernetes-admin", ("system:masters",))
WATCH_US = 200_000
UPSTREAM_FAILS: Sequence[bytes] = (
    b"invalid impersonation: requested user is empty",
    b"failed to create typed patch object",
    b"resourceVersion: Invalid value",
    b"Too large resource version",
    b"resource name may not be empty",
    b"expected a []interface {}, but received a",
    b"does not contain declared merge key",
    b"unknown patch type",
    b"merging lists cannot yet be specified",
    b"list element types are not identical",
    b"cannot merge lists without merge key",
    b"The order in patch list",
)
"""What a real server, too, says with a status of 500 or more."""


AFTERWARDS = b"you requested PartialObjectMetadataList, but"
"""How an answer begins that is refused only when the request is done, in a real server as well."""


class Sent(NamedTuple):
    """A request as it would come off a socket."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    def __str__(self) -> str:
        return f"{self.method} {self.target} {dict(self.headers)} {self.body!r}"


class Front:
    """An API server without a socket: requests pass the edge's own reading and writing."""

    def __init__(self) -> None:
        self.cluster = Cluster(ClusterSpec(nodes=0, controllers="none"))
        self._edge = Kubernetes(self.cluster.server, _StillDriver(), kinds=self.cluster.kinds)  # type: ignore[arg-type]

    def send(self, sent: Sent) -> tuple[int, bytes]:
        """Status and body; a watch is read once and then closed. Raises whatever the server raises."""
        incoming = Incoming(sent.method, sent.target, dict(sent.headers), sent.body, ADMIN)
        response = self.cluster.request(request_of(incoming))
        outgoing = self._edge.outgoing(incoming, response)
        if outgoing.stream is not None:
            self.cluster.run(WATCH_US)
            body = outgoing.stream.read()
            outgoing.stream.close()
            return outgoing.code, body
        return outgoing.code, whole(outgoing)

    def problem(self, sent: Sent) -> str:
        """What is wrong with the server's answer, empty when nothing is: an exception, a failure of the server's own,
        or something stored by a request that was refused."""
        before = self.cluster.store.revision
        try:
            code, body = self.send(sent)
        except Exception:
            return f"{sent}\n{traceback.format_exc(limit=-4)}"
        if code >= 500 and not any(text in body for text in UPSTREAM_FAILS):
            return f"{sent}\n{code} {body[:500]!r}"
        if code >= 400 and self.cluster.store.revision != before and AFTERWARDS not in body:
            return f"{sent}\n{code} {body[:500]!r}, and something was stored"
        return ""


class Witness:
    """A cluster that remembers the last request it was sent."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.run = cluster.run
        self.last = Sent("GET", "/", {}, b"")

    def request(self, request: Request) -> Response:
        pairs = [(name, value) for name, values in request.query.items() for value in values]
        headers = {"content-type": request.content_type, "accept": request.accept, **request.headers}
        target = quote(request.path) + (f"?{urlencode(pairs)}" if pairs else "")
        self.last = Sent(request.method, target, headers, request.body)
        return self._cluster.request(request)


def whole(outgoing: Outgoing) -> bytes:
    """The body of an answer that has an end."""
    return outgoing.body if outgoing.pieces is None else b"".join(outgoing.pieces)


class _StillDriver:
    """Time that passes only when the test lets it."""

    offset_us = 0

    def stream(self, call: Callable[[], None]) -> None:
        """Nobody waits for streams here."""


# what to mutate with

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT")
MEDIA = (
    "", "application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "application/json-patch+json",
    "application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml",
    "application/apply-patch+cbor", "application/cbor", "text/plain", "application/json;charset=utf-8", ";;;",
    "a/b;q=x",
    "application/json;as=Table;g=meta.k8s.io;v=v1", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json", "*/*", "application/*;q=0",
    "application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch,application/json",
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
)  # fmt: skip
PARAMETERS: Mapping[str, Sequence[str]] = {
    "watch": ("1", "true", "0", "x", ""),
    "limit": ("1", "0", "-1", "99999999999999999999", "x", "１"),
    "continue": ("", "x", "e30", "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIvIn0", "%00"),
    "resourceVersion": ("0", "1", "", "-1", "x", "99999999999999999999", "99999"),
    "resourceVersionMatch": ("Exact", "NotOlderThan", "x", ""),
    "sendInitialEvents": ("true", "false", "x"),
    "allowWatchBookmarks": ("true", "x"),
    "timeoutSeconds": ("0", "1", "-1", "x", "99999999999999999999"),
    "labelSelector": (
        "a=b",
        "a in (b,c)",
        "!a",
        "a notin",
        "a=b=c",
        "(",
        "a in (",
        "x/y/z=1",
        ",",
        "é=1",
        "a>1",
        "a<x",
    ),
    "fieldSelector": (
        "metadata.name=x",
        "metadata.name!=x",
        "spec.nodeName=",
        "x=y",
        "=",
        "metadata.name",
        "a,b",
        "\\",
    ),
    "fieldManager": ("x", "", "x" * 129, "\x01", "é"),
    "fieldValidation": ("Strict", "Warn", "Ignore", "x", ""),
    "force": ("true", "false", "x"),
    "dryRun": ("All", "x", ""),
    "gracePeriodSeconds": ("0", "1", "-1", "x", "99999999999999999999"),
    "propagationPolicy": ("Orphan", "Foreground", "Background", "x"),
    "orphanDependents": ("true", "x"),
    "pretty": ("true", "1", "x"),
    "includeObject": ("None", "Object", "Metadata", "x"),
    "follow": ("true",),
    "container": ("x",),
    "tailLines": ("-1", "x", "0"),
    "verbose": ("",),
    "exclude": ("etcd", "x"),
    "hash": ("x",),
}
SEGMENTS = (
    "", "x", "default", "kube-system", "status", "scale", "log", "exec", "attach", "portforward", "proxy", "binding",
    "eviction", "token", "ephemeralcontainers", "resize", "finalize", "approval", "pods", "nodes", "namespaces",
    "services", "deployments", "watch", "api", "apis", "v1", "v2", "apps", "..", ".", "%00", "%2F", "é", "a" * 300,
    "openapi", "openid", "version", "healthz", "livez", "metrics", "*",
)  # fmt: skip
HEADERS: Mapping[str, Sequence[str]] = {
    "impersonate-user": ("jane", "", "system:serviceaccount:default:x", "system:node:x", "\xff"),
    "impersonate-group": ("a\x00b", "system:masters", ""),
    "impersonate-uid": ("x",),
    "impersonate-extra-a%2fb": ("x",),
    "if-none-match": ('"x"', "*"),
    "accept-encoding": ("gzip", "x"),
    "user-agent": ("", "curl/8", "a/b/c", "\xff"),
    "authorization": ("Bearer x", "Bearer", "Basic eDp4", "Bearer a.b.c", "Bearer abcdef.0123456789abcdef"),
    "upgrade": ("websocket", "SPDY/3.1"),
    "audit-id": ("x",),
}
VALUES: Sequence[Any] = (
    None, True, False, 0, 1, -1, 2**31, 2**63, -(2**63) - 1, 1.5, 1e300, "", "x", "true", "1", "0", "-1", "1Gi",
    "1e400",
    "10%", "é", "\x00", "\u2028", "x" * 300, "2026-01-01T00:00:00Z", "9999-99-99T00:00:00Z", "/", "a.b/c", "10.0.0.1",
    "::1", "10.96.0.0/12", "{}", "[]", [], {}, [None], [""], [{}], [[]], [1], {"": ""}, {"x": None}, {"x": {"y": []}},
    {"$patch": "delete"}, {"$patch": "replace"}, {"$patch": 1}, [{"$patch": "replace"}], {"$retainKeys": ["x"]},
    {"$setElementOrder/x": [1]}, {"$deleteFromPrimitiveList/x": []}, {"name": "x"}, {"matchLabels": {"a": "b"}},
    {"op": "replace"}, ["x", "x"], "==", "self.x", "cel", "${}", "a" * 64,
)  # fmt: skip
FIELDS = (
    "metadata", "spec", "status", "name", "namespace", "labels", "annotations", "finalizers", "ownerReferences",
    "managedFields", "resourceVersion", "uid", "generateName", "deletionTimestamp", "creationTimestamp", "generation",
    "kind", "apiVersion", "template", "containers", "selector", "replicas", "ports", "data", "stringData", "x", "",
    "$patch", "$retainKeys", "$setElementOrder/containers", "$deleteFromPrimitiveList/finalizers", "op", "path", "from",
    "value", "preconditions", "gracePeriodSeconds", "selfLink", "immutable", "rules", "subjects", "roleRef",
)  # fmt: skip
POINTERS = (
    "", "/", "/metadata", "/metadata/labels", "/metadata/labels/a~1b", "/metadata/name", "/spec", "/spec/-",
    "/spec/x/y",
    "/metadata/finalizers/-", "/metadata/finalizers/0", "/metadata/finalizers/-1", "/metadata/finalizers/01", "~", "x",
    "/metadata/annotations/~2", "/kind", "/status", "/spec/containers/0/image", "/spec/template/spec/containers/99",
)  # fmt: skip
OPERATIONS = ("add", "remove", "replace", "move", "copy", "test", "x", "", None, 1)


class Mutator:
    """Draws mutations; equal seeds draw equal ones."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    def mutated(self, sent: Sent) -> Sent:
        """The request with one to three things changed."""
        for _ in range(self._rng.choice((1, 1, 1, 2, 3))):
            sent = self._rng.choice(_CHANGES)(self, sent)
        return sent

    # one part of a request each

    def method(self, sent: Sent) -> Sent:
        return sent._replace(method=self._rng.choice(METHODS))

    def path(self, sent: Sent) -> Sent:
        path, mark, query = sent.target.partition("?")
        parts = path.split("/")
        at = self._rng.randrange(1, len(parts)) if len(parts) > 1 else 0
        new = self._rng.choice(SEGMENTS)
        change = self._rng.randrange(3)
        if change == 0:
            parts[at : at + 1] = [new]
        elif change == 1:
            parts.insert(at + 1, new)
        else:
            del parts[at]
        return sent._replace(target=("/".join(parts) or "/") + mark + query)

    def query(self, sent: Sent) -> Sent:
        name = self._rng.choice(tuple(PARAMETERS))
        value = quote(self._rng.choice(PARAMETERS[name]))
        joined = f"{sent.target}{'&' if '?' in sent.target else '?'}{name}={value}"
        return sent._replace(target=joined)

    def media(self, sent: Sent) -> Sent:
        name = self._rng.choice(("accept", "content-type"))
        return sent._replace(headers={**sent.headers, name: self._rng.choice(MEDIA)})

    def header(self, sent: Sent) -> Sent:
        name = self._rng.choice(tuple(HEADERS))
        return sent._replace(headers={**sent.headers, name: self._rng.choice(HEADERS[name])})

    def octets(self, sent: Sent) -> Sent:
        """The body as bytes: some of them flipped, cut off, doubled, or put in."""
        body = bytearray(sent.body)
        at = self._rng.randrange(len(body) + 1)
        change = self._rng.randrange(5)
        if change == 0 and body:
            body[at - 1] ^= 1 << self._rng.randrange(8)
        elif change == 1:
            del body[at:]
        elif change == 2:
            body[at:at] = self._rng.choice(
                (b"\xff", b"\x00", b'"', b"{", b"}", b",", b"\n---\n", b"null", b"\xef\xbb\xbf")
            )
        elif change == 3:
            body[at:at] = body[at : at + self._rng.randrange(1, 200)]
        else:
            body[:] = self._rng.choice(
                (b"", b"null", b"[]", b"1", b'"x"', b"{}", b"k8s\x00", b"[" * 20_000, b"{" * 500)
            )
        return sent._replace(body=bytes(body))

    def value(self, sent: Sent) -> Sent:
        """The body as a value: a field of it replaced, removed, renamed or added."""
        try:
            tree = json.loads(sent.body)
        except (ValueError, RecursionError):
            return self.octets(sent)
        if sent.headers.get("content-type", "").startswith("application/json-patch") and self._rng.random() < 0.6:
            tree = [self._operation() for _ in range(self._rng.randrange(1, 4))]
        else:
            for _ in range(self._rng.choice((1, 1, 2))):
                tree = self._bent(tree)
        return sent._replace(body=json.dumps(tree).encode())

    def _operation(self) -> Any:
        rng = self._rng
        made = {"op": rng.choice(OPERATIONS), "path": rng.choice(POINTERS)}
        if rng.random() < 0.7:
            made["value"] = rng.choice(VALUES)
        if rng.random() < 0.3:
            made["from"] = rng.choice(POINTERS)
        return made

    def _bent(self, tree: Any) -> Any:
        """A copy of a value with one place in it changed."""
        rng = self._rng
        if not isinstance(tree, dict | list) or not tree or rng.random() < 0.12:
            return self._grown(tree)
        if isinstance(tree, list):
            copy = list(tree)
            at = rng.randrange(len(copy))
            if rng.random() < 0.2:
                copy.insert(at, copy[at])
            else:
                copy[at] = self._bent(copy[at])
            return copy
        key = rng.choice(list(tree))
        chance = rng.random()
        if chance < 0.08:
            return {name: value for name, value in tree.items() if name != key}
        if chance < 0.14:
            return {(rng.choice(FIELDS) if name == key else name): value for name, value in tree.items()}
        return {**tree, key: self._bent(tree[key])}

    def _grown(self, tree: Any) -> Any:
        if isinstance(tree, dict) and self._rng.random() < 0.7:
            return {**tree, self._rng.choice(FIELDS): self._rng.choice(VALUES)}
        return self._rng.choice(VALUES)


_CHANGES: Sequence[Callable[[Mutator, Sent], Sent]] = (
    *(Mutator.value,) * 8,
    Mutator.octets,
    Mutator.octets,
    Mutator.query,
    Mutator.query,
    Mutator.media,
    Mutator.path,
    Mutator.method,
    Mutator.header,
)
