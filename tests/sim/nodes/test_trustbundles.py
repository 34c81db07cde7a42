"""Trust bundles in projected volumes."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.sim.apiserver.request import Request
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec, S
from seatrial.sim.nodes.trustbundles import NOTHING_MATCHED, NoAnchors, anchors


def pem(text: str) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"


def bundle(name: str, *certificates: str, signer: str = "", **labels: str) -> dict[str, Any]:
    spec = {"trustBundle": "".join(map(pem, certificates)), **({"signerName": signer} if signer else {})}
    return {"metadata": {"name": name, "labels": labels}, "spec": spec}


BUNDLES = [
    bundle("plain", "QUFB", "QkJC"),
    bundle("s:1", "QUFB", signer="s", live="yes"),
    bundle("s:2", "Q0ND", "QUFB", signer="s"),
]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"name": "plain"}, ["QUFB", "QkJC"]),
        ({"name": "gone"}, 'clustertrustbundle.certificates.k8s.io "gone" not found'),
        ({"name": "gone", "optional": True}, []),
        ({"signerName": "s", "labelSelector": {}}, ["QUFB", "Q0ND"]),
        ({"signerName": "s", "labelSelector": {"matchLabels": {"live": "yes"}}}, ["QUFB"]),
        ({"signerName": "s"}, NOTHING_MATCHED),
        ({"signerName": "t", "labelSelector": {}}, NOTHING_MATCHED),
        ({"signerName": "t", "labelSelector": {}, "optional": True}, []),
    ],
)
def test_what_a_source_takes(source: dict[str, Any], expected: list[str] | str) -> None:
    if isinstance(expected, str):
        with pytest.raises(NoAnchors, match=expected.replace(".", r"\.")):
            anchors(BUNDLES, source)
    else:
        assert anchors(BUNDLES, source) == "".join(map(pem, expected)).encode()


def test_a_pod_waits_for_its_bundle() -> None:
    cluster = Cluster(ClusterSpec(nodes=1, addons=False))
    cluster.run(3 * S)
    source = {"clusterTrustBundle": {"name": "kept", "path": "ca.pem"}}
    container = {
        "name": "c",
        "image": "busybox:1",
        "command": ["sh", "-c", "cat /v/ca.pem; sleep 1000"],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
    }
    spec = {"containers": [container], "volumes": [{"name": "v", "projected": {"sources": [source]}}]}
    cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec})
    cluster.run(10 * S)
    told = [each["message"] for each in cluster.list("events", "default") if each["reason"] == "FailedMount"]
    missing = 'MountVolume.SetUp failed for volume "v" : clustertrustbundle.certificates.k8s.io "kept" not found'
    assert told == [missing]
    certificate = cluster.get("configmaps", "kube-root-ca.crt")["data"]["ca.crt"]
    kept = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "ClusterTrustBundle",
        "metadata": {"name": "kept"},
        "spec": {"trustBundle": certificate},
    }
    cluster.apply(kept)
    cluster.run(30 * S)
    answer = cluster.request(Request("GET", "/api/v1/namespaces/default/pods/p/log"))
    assert answer.body.decode().strip() == certificate.strip()
