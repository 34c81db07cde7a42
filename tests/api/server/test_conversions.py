"""A conversion webhook on this machine, over real HTTPS, moves a field between the versions of a custom kind."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from seatrial.sim.apiserver.request import Request, Response
from tests.api.server.test_webhooks import ADMIN, Handler, Shop, Webhook, serving

GROUP = "shop.example.org"
FIELDS = {"v1": "size", "v2": "dimension"}
"""What the one field is called in each version; v2 is stored."""


class Converter(Handler):
    """Renames the field, unless it is told to fail."""

    def do_POST(self) -> None:
        self.asked.append(self.path)
        review = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = review.pop("request")
        wanted = request["desiredAPIVersion"]
        made = [self.renamed(obj, wanted) for obj in request["objects"]]
        result: dict[str, Any] = {"status": "Success"}
        if any(value == "impossible" for obj in request["objects"] for value in obj["spec"].values()):
            result = {"status": "Failure", "message": "there is no such size"}
        review["response"] = {"uid": request["uid"], "result": result, "convertedObjects": made}
        body = orjson.dumps(review)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @staticmethod
    def renamed(obj: dict[str, Any], wanted: str) -> dict[str, Any]:
        (value,) = obj["spec"].values()
        return {**obj, "apiVersion": wanted, "spec": {FIELDS[wanted.rpartition("/")[2]]: value}}


@pytest.fixture
def webhook(tmp_path: Path) -> Iterator[Webhook]:
    with serving(tmp_path, Converter) as webhook:
        yield webhook


def version(name: str, stored: bool) -> dict[str, Any]:
    spec = {"type": "object", "required": [FIELDS[name]], "properties": {FIELDS[name]: {"type": "string"}}}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    return {"name": name, "served": True, "storage": stored, "schema": schema}


class Boxes(Shop):
    """A cluster with a kind of two versions between which the webhook converts."""

    def __init__(self, webhook: Webhook) -> None:
        super().__init__(webhook.port)
        client = {
            "service": {"namespace": "shop", "name": "hook", "path": "/convert"},
            "caBundle": base64.b64encode(webhook.authority).decode(),
        }
        conversion = {
            "strategy": "Webhook",
            "webhook": {"clientConfig": client, "conversionReviewVersions": ["v1"]},
        }
        names = {"plural": "boxes", "singular": "box", "kind": "Box", "listKind": "BoxList"}
        versions = [version("v1", False), version("v2", True)]
        spec = {"group": GROUP, "scope": "Namespaced", "names": names, "versions": versions, "conversion": conversion}
        extensions = "apiextensions.k8s.io/v1"
        made = self.make(
            f"/apis/{extensions}/customresourcedefinitions",
            extensions,
            "CustomResourceDefinition",
            f"boxes.{GROUP}",
            spec=spec,
        )
        assert made.code == 201, made.body
        self.cluster.settle()

    @staticmethod
    def path(version: str, name: str = "") -> str:
        return f"/apis/{GROUP}/{version}/namespaces/default/boxes{'/' + name if name else ''}"

    def box(self, version: str, name: str, value: str) -> Response:
        return self.make(self.path(version), f"{GROUP}/{version}", "Box", name, spec={FIELDS[version]: value})

    def ask(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        answer = self.cluster.request(Request(method, path, body=body, content_type=content_type, user=ADMIN))
        assert answer.code == 200, answer.body
        return answer.body


def test_what_is_written_in_one_version_is_read_in_the_other(webhook: Webhook) -> None:
    boxes = Boxes(webhook)
    made = boxes.box("v1", "a", "small")
    assert (made.code, made.body["apiVersion"], made.body["spec"]) == (201, f"{GROUP}/v1", {"size": "small"})
    assert webhook.asked == ["/convert?timeout=30s"] * 2
    stored = boxes.ask("GET", boxes.path("v2", "a"))
    assert (stored["apiVersion"], stored["spec"]) == (f"{GROUP}/v2", {"dimension": "small"})
    assert len(webhook.asked) == 2
    assert boxes.ask("GET", boxes.path("v1", "a"))["spec"] == {"size": "small"}


def test_a_list_is_converted_as_a_whole_and_once(webhook: Webhook) -> None:
    boxes = Boxes(webhook)
    for name in ("a", "b", "c"):
        assert boxes.box("v2", name, name).code == 201
    assert webhook.asked == []
    for _ in range(2):
        listed = boxes.ask("GET", boxes.path("v1"))
        assert [item["spec"] for item in listed["items"]] == [{"size": "a"}, {"size": "b"}, {"size": "c"}]
    assert len(webhook.asked) == 1


def test_a_patch_speaks_of_the_version_that_it_names(webhook: Webhook) -> None:
    boxes = Boxes(webhook)
    boxes.box("v2", "a", "small")
    patch = {"spec": {"size": "large"}}
    changed = boxes.ask("PATCH", boxes.path("v1", "a"), patch, "application/merge-patch+json")
    assert changed["spec"] == {"size": "large"}
    assert boxes.ask("GET", boxes.path("v2", "a"))["spec"] == {"dimension": "large"}


def test_a_watch_shows_every_change_in_its_own_version(webhook: Webhook) -> None:
    boxes = Boxes(webhook)
    boxes.box("v2", "a", "small")
    request = Request("GET", boxes.path("v1"), query={"watch": ["true"]}, user=ADMIN)
    stream = boxes.cluster.request(request).body
    boxes.box("v2", "b", "large")
    seen = []
    for _ in range(5):
        seen += [(frame.type, frame.object["spec"]) for frame in stream.read()]
        boxes.cluster.run(100_000)
    assert seen == [("ADDED", {"size": "small"}), ("ADDED", {"size": "large"})]


def test_what_the_webhook_refuses_is_not_stored(webhook: Webhook) -> None:
    boxes = Boxes(webhook)
    refused = boxes.box("v1", "a", "impossible")
    told = f"conversion webhook for {GROUP}/v1, Kind=Box failed: there is no such size"
    assert (refused.code, refused.body["message"]) == (500, told)
    assert boxes.ask("GET", boxes.path("v2"))["items"] == []
