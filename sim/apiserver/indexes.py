"""The values by which the API server finds objects without looking at all of them, as upstream's watch cache does.

Source: k8s.io/kubernetes/pkg/registry/core/pod/strategy.go (NodeNameTriggerFunc, Indexers), and the same for nodes,
secrets and configmaps, which kubelets watch one by one, by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from seatrial.sim.store.store import Store

Object = Mapping[str, Any]


def node_name(pod: Object) -> str:
    """The node that a pod is bound to; empty before."""
    name: str = pod["spec"].get("nodeName", "")
    return name


def own_name(obj: Object) -> str:
    name: str = obj["metadata"]["name"]
    return name


INDEXES: Final = (
    ("pods", "spec.nodeName", node_name),
    ("nodes", "metadata.name", own_name),
    ("secrets", "metadata.name", own_name),
    ("configmaps", "metadata.name", own_name),
)
EQUALS: Final = re.compile(r"([\w.]+)==?([^,=!\\]+)")
"""A field selector of one term that wants equality."""


def register(store: Store) -> None:
    """Makes the store keep the indexes."""
    for storage, name, key_of in INDEXES:
        store.index(storage, name, key_of)


def index_of(store: Store, storage: str, field_selector: str) -> tuple[str, str] | None:
    """The index, and the key in it, that holds all that a field selector can match; None when there is none."""
    if not field_selector:
        return None
    term = EQUALS.fullmatch(field_selector)
    if term is None or not store.has_index(storage, term[1]):
        return None
    return term[1], term[2]
