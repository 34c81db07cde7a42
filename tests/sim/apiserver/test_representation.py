"""Which of the forms a client accepts the server answers in."""

from __future__ import annotations

import pytest

from seatrial.sim.apiserver.representation import JSON, PROTOBUF, YAML, media_of_refusal, negotiate
from seatrial.sim.apiserver.request import Request
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec
from seatrial.sim.machinery.errors import ApiError

TABLE = ";as=Table;v=v1;g=meta.k8s.io"


@pytest.mark.parametrize(
    ("accept", "media", "as_"),
    [
        ("", JSON, ""),
        ("*/*", JSON, ""),
        ("application/*", JSON, ""),
        ("text/html, application/yaml", YAML, ""),
        ("application/yaml;q=0.5, application/json", JSON, ""),
        (f"{PROTOBUF},application/json", PROTOBUF, ""),
        (f"application/json{TABLE},application/json", JSON, "Table"),
        ("application/json;as=Table;v=v9;g=meta.k8s.io,application/yaml", YAML, ""),
        ("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", JSON, "PartialObjectMetadata"),
    ],
)
def test_the_first_clause_that_can_be_served(accept: str, media: str, as_: str) -> None:
    found = negotiate(accept)
    assert (found.media_type, found.as_) == (media, as_)


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", f"{PROTOBUF}{TABLE}"])
def test_what_cannot_be_served(accept: str) -> None:
    with pytest.raises(ApiError) as caught:
        negotiate(accept)
    assert caught.value.code == 406


def test_custom_kinds_have_no_protobuf() -> None:
    assert negotiate(f"{PROTOBUF},application/json", protobuf=False).media_type == JSON


def test_refusals_come_in_the_clients_form_and_else_in_json() -> None:
    assert media_of_refusal(PROTOBUF) == PROTOBUF
    assert media_of_refusal("text/html") == JSON


def test_what_is_never_stored_has_no_table() -> None:
    cluster = Cluster(ClusterSpec(nodes=0, controllers="none"))
    kind = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    body = {**kind, "spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}}}
    path, table = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", f"{JSON};as=Table;g=meta.k8s.io;v=v1"
    assert cluster.request(Request("POST", path, {}, body, accept=table)).code == 406
    assert cluster.request(Request("POST", path, {}, body, accept=f"{table},{JSON}")).code == 201
