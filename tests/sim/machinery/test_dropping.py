"""What a write loses on its way into the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conformance.creations import BUILTIN, exchanges, files

from seatrial.sim.machinery import decode
from seatrial.sim.machinery.dropping import drop


def stored(storage: str, obj: dict[str, Any]) -> Any:
    resource = BUILTIN.resource(storage)
    return drop(resource, decode.decode_value(resource, obj, "Strict")[0])


def test_fields_of_features_that_are_off_are_lost() -> None:
    container = {"name": "c", "lifecycle": {"stopSignal": "SIGTERM", "preStop": {"sleep": {"seconds": 1}}}}
    pod = stored("pods", {"spec": {"containers": [container]}})
    assert pod["spec"]["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": 1}}}
    template = {"template": {"spec": {"containers": [container]}}, "selector": {}}
    deployment = stored("deployments.apps", {"spec": template})
    assert deployment["spec"]["template"]["spec"]["containers"] == pod["spec"]["containers"]


def test_an_empty_list_comes_back_as_none_at_all() -> None:
    assert stored("clusterroles.rbac.authorization.k8s.io", {"rules": []})["rules"] is None
    assert stored("endpointslices.discovery.k8s.io", {"addressType": "IPv4", "endpoints": []})["endpoints"] is None


def test_objects_that_lose_nothing_are_shared() -> None:
    resource = BUILTIN.resource("pods")
    obj, _ = decode.decode_value(resource, {"spec": {"containers": [{"name": "c"}]}}, "Strict")
    assert drop(resource, obj) is obj


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name.removesuffix(".jsonl.gz"))
def test_what_was_stored_loses_nothing_more(path: Path) -> None:
    for exchange in exchanges(path):
        obj = exchange["response"]
        resource = BUILTIN.of(obj) if isinstance(obj, dict) and exchange["status"] in (200, 201) else None
        if resource is not None:
            assert drop(resource, obj) == obj, exchange["name"]
