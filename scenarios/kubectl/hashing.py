"""``--append-hash``: names that change with the content. Source: k8s.io/kubectl/pkg/util/hash/hash.go."""

from __future__ import annotations

import hashlib
from typing import Any

from seatrial.scenarios.kubectl.values import compact


def encoded(digest: str) -> str:
    """The first ten digits, those that look like words replaced."""
    return digest[:10].translate(str.maketrans("013ae", "ghkmt"))


def named_by_content(obj: dict[str, Any]) -> dict[str, Any]:
    """A ConfigMap or Secret with the hash of its content in its name."""
    if obj["kind"] == "ConfigMap":
        content: dict[str, Any] = {"data": obj.get("data") or "", "kind": "ConfigMap", "name": obj["metadata"]["name"]}
        if obj.get("binaryData"):
            content["binaryData"] = obj["binaryData"]
    else:
        content = {"data": obj.get("data") or "", "kind": "Secret", "name": obj["metadata"]["name"],
                   "type": obj.get("type", "")}  # fmt: skip
    if obj.get("immutable") is not None:
        content["immutable"] = obj["immutable"]
    digest = hashlib.sha256(compact(content).encode()).hexdigest()
    return {**obj, "metadata": {**obj["metadata"], "name": f"{obj['metadata']['name']}-{encoded(digest)}"}}
