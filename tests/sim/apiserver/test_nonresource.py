"""Paths that name no resource, against a real server's answers and the rules behind them."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qsl

import pytest
from conformance.creations import DATA, exchanges
from conformance.masks import differences, masked

from seatrial.sim.apiserver import nonresource, routing
from seatrial.sim.apiserver.request import Request, Response, User
from seatrial.sim.config import ClusterSpec
from seatrial.sim.machinery import kinds, schema
from seatrial.sim.machinery.errors import ApiError, PlainError

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
APISERVICES = schema.data("initial_objects")["/apis/apiregistration.k8s.io/v1/apiservices"]
RECORDED = [exchange for exchange in exchanges(DATA / "requests" / "discovery.jsonl.gz") if exchange["status"] == 200]


def get(path: str, accept: str = "application/json", **headers: str) -> Response:
    """The page of a bare server with the APIServices of a fresh cluster."""
    route, _, query = path.partition("?")
    pairs: dict[str, tuple[str, ...]] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        pairs[key] = (*pairs.get(key, ()), value)
    server = SimpleNamespace(
        kinds=kinds.builtin(),
        spec=ClusterSpec(),
        store=SimpleNamespace(list=lambda storage: APISERVICES),
        tokens=SimpleNamespace(jwks={"keys": [{"kid": "k", "alg": "ES256"}]}),
    )
    request = Request("GET", route, pairs, accept=accept, headers=headers)
    return nonresource.answer(cast(Any, server), request, routing.parse("GET", route), User("anyone"))


def value(response: Response) -> Any:
    if not isinstance(response.body, bytes):
        return response.body
    return json.loads(response.body) if "json" in response.content_type else response.body.decode()


@pytest.mark.parametrize("exchange", RECORDED, ids=lambda exchange: exchange["name"])
def test_pages_are_those_of_a_real_server(exchange: dict[str, Any]) -> None:
    answer = get(exchange["path"], exchange["accept"] or "application/json")
    ignored = tuple(exchange.get("ignore") or ())
    both = differences(masked(exchange["response"]), masked(value(answer)))
    assert [entry for entry in both if not any(name in entry[0] for name in ignored)] == []


@pytest.mark.parametrize(
    "path", ["/nothing", "/apis/nope", "/apis/apps/v9", "/api/v2", "/openapi", "/readyz/nope", "/openid"]
)
def test_other_paths_lead_nowhere(path: str) -> None:
    with pytest.raises(PlainError) as caught:
        get(path)
    assert (caught.value.code, caught.value.text) == (404, "404 page not found\n")


@pytest.mark.parametrize("name", ["healthz", "livez", "readyz"])
def test_health_in_one_word_or_check_by_check(name: str) -> None:
    assert get(f"/{name}").body == b"ok"
    assert get(f"/{name}/etcd").body == b"ok"
    lines = get(f"/{name}?verbose").body.decode().splitlines()
    assert lines[:3] == ["[+]ping ok", "[+]log ok", "[+]etcd ok"]
    assert lines[-1] == f"{name} check passed"


def test_checks_can_be_left_out() -> None:
    lines = get("/readyz?verbose&exclude=etcd&exclude=nope").body.decode().splitlines()
    assert "[+]etcd excluded: ok" in lines
    assert lines[-2] == 'warn: some health checks cannot be excluded: no matches for "nope"'


def test_the_version_follows_from_the_cluster() -> None:
    version = value(get("/version"))
    assert (version["major"], version["minor"], version["gitVersion"]) == ("1", "37", ClusterSpec().kubernetes_version)


def test_aggregated_discovery_is_kept_by_its_etag() -> None:
    first = get("/apis", f"{AGGREGATED},application/json")
    assert first.content_type == AGGREGATED
    assert get("/apis", AGGREGATED, **{"if-none-match": first.headers["ETag"]}).code == 304
    assert "groups" in value(
        get("/apis", "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,*/*")
    )


def test_an_openapi_document_is_found_by_its_hash() -> None:
    address = value(get("/openapi/v3"))["paths"]["apis/apps/v1"]["serverRelativeURL"]
    found = get(address)
    assert value(found)["info"]["title"] == "Kubernetes"
    assert found.headers["Cache-Control"] == "public, immutable"
    moved = get("/openapi/v3/apis/apps/v1?hash=OLD")
    assert (moved.code, moved.headers["Location"]) == (301, address)
    assert value(get("/openapi/v2"))["swagger"] == "2.0"


PROTOBUF_V2 = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"


def test_openapi_v2_is_there_in_protobuf_too() -> None:
    assert b"\n\x032.0" in get("/openapi/v2", PROTOBUF_V2).body


def test_openapi_v3_speaks_json_only() -> None:
    with pytest.raises((ApiError, PlainError)) as caught:
        get("/openapi/v3/apis/apps/v1", PROTOBUF_V2.replace("v2@", "v3@"))
    assert caught.value.code == 406


def test_token_verifiers_find_issuer_and_keys() -> None:
    found = value(get("/.well-known/openid-configuration"))
    assert found["id_token_signing_alg_values_supported"] == ["ES256"]
    assert found["jwks_uri"].endswith("/openid/v1/jwks")
    assert get("/openid/v1/jwks").content_type == "application/jwk-set+json"


def test_the_root_names_every_path() -> None:
    paths = value(get("/"))["paths"]
    assert paths == sorted(paths)
    assert {"/apis/apps/v1", "/readyz/etcd", "/version", "/metrics"} <= set(paths)
