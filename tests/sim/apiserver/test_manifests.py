"""Manifests of other people: big definitions are established, and what their schemas and rules say is held to."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from seatrial.sim.apiserver.request import Request
from seatrial.sim.cluster import Cluster, objects_of
from seatrial.sim.config import ClusterSpec
from seatrial.sim.machinery.errors import ApiError

DATA = Path(__file__).parents[2] / "data" / "manifests"
GATEWAY = "gateway.networking.k8s.io"


def manifest(name: str) -> list[Mapping[str, Any]]:
    return objects_of(gzip.decompress((DATA / f"{name}.yaml.gz").read_bytes()))


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    made = Cluster(ClusterSpec(nodes=0, controllers="none"))
    made.apply(manifest("gateway-crds"))
    made.advance("5s")
    return made


def title(obj: Mapping[str, Any]) -> str:
    return f"{obj['kind']} {obj['metadata']['name']}"


def test_the_definitions_are_established(cluster: Cluster) -> None:
    definitions = cluster.list("customresourcedefinitions")
    assert len(definitions) == 4
    for each in definitions:
        conditions = {found["type"]: found["status"] for found in each["status"]["conditions"]}
        assert (conditions["NamesAccepted"], conditions["Established"]) == ("True", "True")


def test_what_is_valid_is_taken(cluster: Cluster) -> None:
    for obj in manifest("gateway-valid"):
        stored = cluster.apply(obj)[0]
        if obj["kind"] == "Namespace":
            continue
        again = cluster.apply(obj)[0]
        assert stored["metadata"]["resourceVersion"] == again["metadata"]["resourceVersion"], title(obj)


@pytest.mark.parametrize("obj", manifest("gateway-invalid"), ids=title)
def test_what_is_invalid_is_refused(cluster: Cluster, obj: Mapping[str, Any]) -> None:
    before = cluster.store.revision
    resource = cluster.resource(obj["kind"])
    space = "namespaces/default/" if resource.namespaced else ""
    path = f"/apis/{obj['apiVersion']}/{space}{resource.plural}"
    answer = cluster.request(Request("POST", path, body=orjson.dumps(obj)))
    assert answer.code == 422
    assert answer.body["message"].startswith(f'{obj["kind"]}.{GATEWAY} "{obj["metadata"]["name"]}" is invalid: ')
    assert cluster.store.revision == before


def test_an_empty_default_is_a_default(cluster: Cluster) -> None:
    route = {
        "apiVersion": f"{GATEWAY}/v1beta1", "kind": "HTTPRoute", "metadata": {"name": "short"},
        "spec": {"rules": [{"backendRefs": [{"name": "a", "port": 80}]}]},
    }  # fmt: skip
    stored = cluster.apply(route)[0]
    assert stored["spec"]["rules"][0]["backendRefs"] == [
        {"group": "", "kind": "Service", "name": "a", "port": 80, "weight": 1}
    ]
    refused = {**route, "spec": {"rules": [{"backendRefs": [{"name": "a"}]}]}}
    with pytest.raises(ApiError, match="Must have port for Service reference"):
        cluster.apply(refused)
