"""The audit log, as a server writes it for requests of all kinds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from seatrial.api.kubernetes.audit import Audit, value_of
from seatrial.api.kubernetes.wire import Kubernetes
from seatrial.api.server.driver import Driver
from seatrial.api.server.message import Incoming, Outgoing, Peer
from seatrial.sim.apiserver.authentication import authenticate
from seatrial.sim.apiserver.request import Request, User
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec

MAPS = "/api/v1/namespaces/default/configmaps"
BODY = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
NOW_US = 1_767_225_600_000_042
Ask = Callable[..., list[dict[str, Any]]]


def nothing() -> None:
    """Time does not pass."""


def at_once(give: Callable[[], None]) -> None:
    """Nothing has to become durable first."""
    give()


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    return Cluster(ClusterSpec(nodes=0, controllers="none"))


@pytest.fixture
def ask(cluster: Cluster, tmp_path: Path) -> Ask:
    """Sends a request at a level of audit; what was written of it."""

    def identify(request: Request) -> User:
        return authenticate(request.credentials, cluster.server.tokens.review)

    def send(level: str, method: str, target: str, body: Any = None, **headers: str) -> list[dict[str, Any]]:
        driver = Driver(cluster.clock)
        for name, stand_in in (("look", nothing), ("enter", nothing), ("answer", at_once)):
            setattr(driver, name, stand_in)
        audit = Audit(tmp_path / "audit.log", level, identify, lambda: NOW_US)
        app = Kubernetes(cluster.server, driver, audit=audit)
        out: list[Outgoing] = []
        raw = b"" if body is None else orjson.dumps(body)
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        given = {"content-type": "application/json", "accept": "application/json", **named}
        app(
            Incoming(
                method, target, given, raw, Peer("127.0.0.1", common_name="ann", organizations=("system:masters",))
            ),
            out.append,
        )
        audit.close()
        events = [orjson.loads(line) for line in (tmp_path / "audit.log").read_bytes().splitlines()]
        assert {event["auditID"] for event in events} == {dict(out[0].headers)["Audit-Id"]}
        return events

    return send


def test_each_stage_of_a_request_is_a_line(ask: Ask) -> None:
    received, complete = ask("Metadata", "GET", f"{MAPS}?limit=5", user_agent="curl/8")
    stamp = "2026-01-01T00:00:00.000042Z"
    assert received == {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": received["auditID"],
        "stage": "RequestReceived",
        "requestURI": f"{MAPS}?limit=5",
        "verb": "list",
        "user": {"username": "ann", "groups": ["system:masters", "system:authenticated"]},
        "sourceIPs": ["127.0.0.1"],
        "userAgent": "curl/8",
        "objectRef": {"resource": "configmaps", "namespace": "default", "apiVersion": "v1"},
        "requestReceivedTimestamp": stamp,
        "stageTimestamp": stamp,
    }
    assert complete == {
        **received,
        "stage": "ResponseComplete",
        "responseStatus": {"metadata": {}, "code": 200},
        "annotations": {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""},
    }


@pytest.mark.parametrize(
    ("level", "has"),
    [("Metadata", set()), ("Request", {"requestObject"}), ("RequestResponse", {"requestObject", "responseObject"})],
)
def test_a_level_says_which_bodies_are_written(ask: Ask, level: str, has: set[str]) -> None:
    body = {**BODY, "metadata": {"name": level.lower()}}
    received, complete = ask(level, "POST", MAPS, body)
    assert not {"requestObject", "responseObject"} & set(received)
    assert {key for key in complete if key.endswith("Object")} == has
    if "responseObject" in has:
        assert complete["responseObject"]["metadata"]["uid"]


def test_a_refusal_is_written_with_its_reason(ask: Ask) -> None:
    _, complete = ask("Metadata", "GET", f"{MAPS}/absent")
    status = complete["responseStatus"]
    assert (status["code"], status["reason"], status["status"]) == (404, "NotFound", "Failure")


def test_who_somebody_claims_to_be_is_written_beside_who_it_is(ask: Ask) -> None:
    _, complete = ask("Metadata", "GET", MAPS, impersonate_user="bob")
    assert complete["user"]["username"] == "ann"
    assert complete["impersonatedUser"] == {"username": "bob"}
    assert complete["annotations"]["authorization.k8s.io/decision"] == "forbid"


def test_a_watch_has_started(ask: Ask) -> None:
    assert [event["stage"] for event in ask("Metadata", "GET", f"{MAPS}?watch=1")] == [
        "RequestReceived",
        "ResponseStarted",
    ]


def test_a_list_is_written_whole(ask: Ask) -> None:
    _, complete = ask("RequestResponse", "GET", "/api/v1/namespaces")
    assert "kube-system" in [item["metadata"]["name"] for item in complete["responseObject"]["items"]]


@pytest.mark.parametrize(
    ("raw", "media", "value"),
    [
        (b'{"a":1}', "application/json", {"a": 1}),
        (b"a: 1", "application/yaml", {"a": 1}),
        (b"{", "application/json", None),
        (b"k8s", "application/vnd.kubernetes.protobuf", None),
    ],
)
def test_a_body_is_written_as_a_value(raw: bytes, media: str, value: Any) -> None:
    assert value_of(raw, media) == value
