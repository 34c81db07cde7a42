"""Clients of an API server in process, each with credentials of its own."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from seatrial.api.kubernetes.encoding import json_bytes
from seatrial.sim.apiserver.request import Credentials, Request
from seatrial.sim.cluster import Cluster


class Answer(NamedTuple):
    code: int
    body: Any

    @property
    def message(self) -> str:
        return str(self.body["message"])


class Caller:
    """A client of an API server in process."""

    def __init__(self, cluster: Cluster, credentials: Credentials | None, **headers: str) -> None:
        self.cluster = cluster
        self.credentials = credentials
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def __call__(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Answer:
        path, _, query = path.partition("?")
        pairs = {key: (value,) for key, _, value in (pair.partition("=") for pair in query.split("&") if pair)}
        raw = b"" if body is None else json.dumps(body).encode()
        request = Request(method, path, pairs, raw, kind, credentials=self.credentials, headers=self.headers)
        # Anonymous requests have neither user nor credentials, and the cluster would take them for its owner's.
        response = self.cluster.server.handle(request) if self.credentials is None else self.cluster.request(request)
        if response.streaming:
            response.body.close()
            return Answer(response.code, None)
        if isinstance(response.body, bytes):
            return Answer(response.code, response.body.decode())
        return Answer(response.code, json.loads(json_bytes(response.body)))

    def must(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        answer = self(method, path, body, kind)
        assert answer.code < 300, answer
        return answer.body

    def may(self, verb: str, resource: str, namespace: str = "default", name: str = "") -> bool:
        """What a SelfSubjectAccessReview says; ``resource`` is plural[.group][/subresource]."""
        plural, _, subresource = resource.partition("/")
        plural, _, group = plural.partition(".")
        attributes = {"verb": verb, "group": group, "resource": plural, "namespace": namespace}
        attributes |= {"subresource": subresource, "name": name}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
        body = {**review, "spec": {"resourceAttributes": attributes}}
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        return bool(self.must("POST", path, body)["status"]["allowed"])
