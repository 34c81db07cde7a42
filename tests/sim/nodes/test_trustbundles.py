"""Trust bundles in projected volumes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from seatrial.sim.apiserver.request import Request
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec, S
from seatrial.sim.nodes.trustbundles import NOTHING_MATCHED, NoAnchors, anchors


def authority() -> str:
    """A CA's certificate, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")])
    since = datetime(2026, 1, 1, tzinfo=UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(since).not_valid_after(since + timedelta(days=1000))
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


@pytest.mark.parametrize(
    ("name", "signer", "anchors", "told"),
    [
        ("plain", None, 1, ""),
        ("s.io:x:live", "s.io/x", 1, ""),
        ("a:b", None, 1, 'metadata.name: Invalid value: "a:b": ClusterTrustBundle without signer name must not have '
         '":" in its name'),
        ("a", "s.io/x", 1, 'metadata.name: Invalid value: "a": ClusterTrustBundle for signerName s.io/x must be named '
         "with prefix s.io:x:"),
        ("plain", None, 0, 'spec.trustBundle: Invalid value: "<value omitted>": at least one trust anchor must be '
         "provided"),
        ("plain", None, 2, 'spec.trustBundle: Invalid value: "<value omitted>": duplicate trust anchor (indices '
         "[0 1])"),
    ],
)  # fmt: skip
def test_what_a_bundle_must_be(name: str, signer: str | None, anchors: int, told: str) -> None:
    certificate = authority()
    spec = {"trustBundle": (certificate * anchors) or "none", **({"signerName": signer} if signer else {})}
    cluster = Cluster(ClusterSpec(nodes=0, controllers="none"))
    kind = {"apiVersion": "certificates.k8s.io/v1", "kind": "ClusterTrustBundle"}
    made = {**kind, "metadata": {"name": name}, "spec": spec}
    answer = cluster.request(Request("POST", "/apis/certificates.k8s.io/v1/clustertrustbundles", {}, made))
    message = "" if answer.code == 201 else answer.body["message"].partition(" is invalid: ")[2]
    assert message == told


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
    certificate = authority()
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
