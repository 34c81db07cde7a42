"""Image names as the distribution reference grammar has them."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec
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
    digest = f"{reference.partition(':')[0]}@sha256:{image_id or reference}"
    known = {"image_id": image_id or reference, "repo_digest": digest}
    return SimpleNamespace(reference=reference, size_bytes=size, user="", **known)


def test_a_node_lists_its_images_by_size_and_joins_names_of_one_image() -> None:
    store = ImageStore(1000, 0)
    for each in (image("a:1", 10, "x"), image("a:2", 10, "x"), image("b:1", 30)):
        store.add(each, 0)
    assert store.wire() == [
        {"names": ["b@sha256:b:1", "b:1"], "sizeBytes": 30},
        {"names": ["a@sha256:x", "a:1", "a:2"], "sizeBytes": 10},
    ]
    assert store.pull_us(image("c:1", 500)) == 500_000


def test_an_image_has_its_registrys_digest_whatever_it_is_asked_by() -> None:
    """As containerd tells of what it has pulled: the image's own id is another one."""
    cluster = Cluster(ClusterSpec(nodes=1, metrics_server=False))
    cluster.settle()
    given = f"registry.k8s.io/e2e-test-images/agnhost@sha256:{'ab' * 32}"
    for name, asked in (("one", "busybox:1.36"), ("other", "docker.io/library/busybox:1.36"), ("given", given)):
        spec = {"containers": [{"name": "c", "image": asked, "command": ["sleep", "1000"]}]}
        cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
    cluster.advance("1m")
    one, other, exact = (
        cluster.get("pod", name)["status"]["containerStatuses"][0]["imageID"] for name in ("one", "other", "given")
    )
    assert one == other
    assert re.fullmatch(r"docker\.io/library/busybox@sha256:[0-9a-f]{64}", one)
    assert exact == given
    images = {each["names"][0]: each["names"] for each in cluster.get("node", "w1-k8s")["status"]["images"]}
    assert "docker.io/library/busybox:1.36" in images[one][1:]
    assert images[given] == [given]
    assert one in cluster.ssh("w1-k8s", "crictl inspecti busybox:1.36").stdout


def test_an_imported_image_is_known_by_its_id_until_it_is_pulled() -> None:
    """The recorded nodes had busybox imported: their pods and nodes show no digest."""
    cluster = Cluster(ClusterSpec(nodes=1, metrics_server=False))
    cluster.settle()

    def image_id(name: str, policy: str) -> str:
        container = {"name": "c", "image": "busybox:1", "command": ["sleep", "1000"], "imagePullPolicy": policy}
        cluster.apply(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container]}}
        )
        cluster.advance("20s")
        return str(cluster.get("pod", name)["status"]["containerStatuses"][0]["imageID"])

    def names() -> list[str]:
        images = cluster.get("node", "w1-k8s")["status"]["images"]
        return next(each["names"] for each in images if "docker.io/library/busybox:1" in each["names"])

    assert re.fullmatch(r"sha256:[0-9a-f]{64}", image_id("there", "IfNotPresent"))
    assert names() == ["docker.io/library/busybox:1", "docker.io/library/busybox:latest"]
    pulled = image_id("pulled", "Always")
    assert re.fullmatch(r"docker\.io/library/busybox@sha256:[0-9a-f]{64}", pulled)
    assert names()[0] == pulled
