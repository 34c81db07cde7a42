"""The published OpenAPI documents."""

from __future__ import annotations

import json

from seatrial.sim.machinery import kinds, openapi
from seatrial.sim.machinery.kinds import Document

PATH = "apis/example.com/v1"


def test_there_is_a_document_for_every_group_and_version() -> None:
    table = kinds.builtin()
    paths = openapi.documents(table).paths()
    for group in table.groups():
        for version in table.versions(group):
            assert (f"apis/{group}/{version}" if group else f"api/{version}") in paths
    assert "version" in paths


def test_a_document_is_what_its_hash_says() -> None:
    documents = openapi.documents(kinds.builtin())
    for path in ("api/v1", "apis/apps/v1", "version"):
        text = documents.v3(path)
        assert text is not None
        assert openapi.digest(text) == documents.hash(path)
        assert json.loads(text)["openapi"].startswith("3.")
    assert documents.v3("apis/example.com/v1") is None
    assert documents.hash("apis/example.com/v1") is None


def test_custom_groups_add_theirs() -> None:
    table = kinds.builtin()
    plain = openapi.documents(table).v2()
    table.document(PATH, Document({"openapi": "3.0.0"}, {"/apis/example.com/v1/": {}}, {"com.example.v1.Widget": {}}))
    documents = openapi.documents(table)
    assert json.loads(documents.v3(PATH) or b"") == {"openapi": "3.0.0"}
    assert documents.index()["paths"][PATH]["serverRelativeURL"].startswith(f"/openapi/v3/{PATH}?hash=")
    merged = json.loads(documents.v2())
    assert "/apis/example.com/v1/" in merged["paths"]
    assert "com.example.v1.Widget" in merged["definitions"]
    table.document(PATH, None)
    assert openapi.documents(table).v2() == plain
