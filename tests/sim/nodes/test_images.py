"""Image names as the distribution reference grammar has them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from seatrial.sim.nodes.images import ImageStore, InvalidName, normalise

NAMES = {
    "busybox": "docker.io/library/busybox:latest",
    "busybox:1": "docker.io/library/busybox:1",
    "team/app:v2": "docker.io/team/app:v2",
    "registry.k8s.io/pause:3.10": "registry.k8s.io/pause:3.10",
    "localhost:5000/x": "localhost:5000/x:latest",
    "quay.io/a/b/c@sha256:" + "a" * 64: "quay.io/a/b/c@sha256:" + "a" * 64,
}
INVALID = {
    "Not A Name!": "invalid reference format: repository name (library/Not A Name!) must be lowercase",
    "UPPER": "invalid reference format: repository name (library/UPPER) must be lowercase",
    "a:b:c": "invalid reference format",
    "a//b": "invalid reference format",
    "x:": "invalid reference format",
}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_name_is_completed(name: str) -> None:
    assert normalise(name) == NAMES[name]


@pytest.mark.parametrize("name", sorted(INVALID))
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(InvalidName) as refusal:
        normalise(name)
    assert str(refusal.value) == INVALID[name]


def image(reference: str, size: int, image_id: str = "") -> Any:
    return SimpleNamespace(reference=reference, image_id=image_id or reference, size_bytes=size, user="")


def test_a_node_lists_its_images_by_size_and_joins_names_of_one_image() -> None:
    store = ImageStore(1000, 0)
    for each in (image("a:1", 10, "x"), image("a:2", 10, "x"), image("b:1", 30)):
        store.add(each, 0)
    assert store.wire() == [{"names": ["b:1"], "sizeBytes": 30}, {"names": ["a:1", "a:2"], "sizeBytes": 10}]
    assert store.pull_us(image("c:1", 500)) == 500_000
