"""Certificates of pods: a kubelet asks, whoever signs answers, and the volume holds what came of it."""

from __future__ import annotations

import datetime
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from seatrial.sim.apiserver.request import Request, User
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec, S
from seatrial.sim.kernel.clock import stamp_of
from seatrial.sim.kernel.stamps import datetime_of

SIGNER = "example.com/spiffe"
REQUESTS = "podcertificaterequests.certificates.k8s.io"
AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.59"
DAY = datetime.timedelta(days=1)
PLACE, ROOTS = "/run/tls/bundle.pem", "/run/tls/roots.pem"


class Authority:
    """A root and an issuer below it, both without names, and the certificates that they make."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.root_key, self.key = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
        self.root = self._made(self.root_key.public_key(), self.root_key, DAY * 365, (), True)
        self.issuer = self._made(self.key.public_key(), self.root_key, DAY * 365, (), True)

    def _made(self, key: Any, by: Any, life: datetime.timedelta, names: Any, is_authority: bool) -> x509.Certificate:
        begin = datetime_of(self.cluster.now).replace(microsecond=0)
        nobody = x509.Name([])
        built = x509.CertificateBuilder(nobody, nobody, key, 7, begin, begin + life)
        built = built.add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        if names:
            built = built.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return built.sign(by, None)

    def bundle(self) -> dict[str, Any]:
        text = self.root.public_bytes(Encoding.PEM).decode()
        spec = {"signerName": SIGNER, "trustBundle": text}
        metadata = {"name": "example.com:spiffe:root"}
        kind = {"apiVersion": "certificates.k8s.io/v1", "kind": "ClusterTrustBundle"}
        return {**kind, "metadata": metadata, "spec": spec}

    def open(self, *pods: str) -> list[Mapping[str, Any]]:
        """The requests for these pods that nobody has answered."""
        found = self.cluster.list(REQUESTS)
        return [each for each in found if not each.get("status") and each["spec"]["podName"] in pods]

    def sign(self, *pods: str) -> list[Mapping[str, Any]]:
        """Answers the open requests for these pods."""
        answered = self.open(*pods)
        for request in answered:
            spec, name = request["spec"], request["spec"]["podName"]
            key = x509.load_der_x509_csr(b64decode(spec["stubPKCS10Request"])).public_key()
            path = (spec.get("unverifiedUserAnnotations") or {}).get("example.com/path", f"/{name}")
            names = [x509.UniformResourceIdentifier(f"spiffe://cluster.local{path}"), x509.DNSName(SERVER)]
            seconds = spec["maxExpirationSeconds"]
            leaf = self._made(key, self.key, datetime.timedelta(seconds=seconds), names, False)
            chain = b"".join(each.public_bytes(Encoding.PEM) for each in (leaf, self.issuer)).decode()
            begins = self.cluster.now // S * S
            times = {"notBefore": 0, "beginRefreshAt": seconds - 1800, "notAfter": seconds}
            stamps = {key: stamp_of(begins + after * S) for key, after in times.items()}
            assert self.answer(request, "Issued", {"certificateChain": chain, **stamps}) == ""
        return answered

    def answer(
        self, request: Mapping[str, Any], decision: str, more: Mapping[str, Any], user: User | None = None
    ) -> str:
        """What the server says of a decision; nothing when it takes it."""
        stamp = stamp_of(self.cluster.now)
        condition = {"type": decision, "status": "True", "reason": "Policy", "message": "so it is"}
        status = {"conditions": [{**condition, "lastTransitionTime": stamp}], **more}
        about = request["metadata"]
        place = f"/apis/certificates.k8s.io/v1/namespaces/{about['namespace']}/podcertificaterequests"
        body = {**request, "status": status}
        answer = self.cluster.request(Request("PUT", f"{place}/{about['name']}/status", {}, body, user=user))
        return "" if answer.code == 200 else str(answer.body["message"])


SERVER = "server.default.svc.cluster.local"


def pod(name: str, args: list[str], command: list[str] | None = None, **certificate: Any) -> dict[str, Any]:
    sources = [
        {
            "podCertificate": {
                "signerName": SIGNER,
                "keyType": "ECDSAP256",
                "credentialBundlePath": "bundle.pem",
                **certificate,
            }
        },
        {"clusterTrustBundle": {"signerName": SIGNER, "labelSelector": {}, "path": "roots.pem"}},
    ]
    container = {
        "name": "c",
        "image": AGNHOST,
        "args": args,
        "volumeMounts": [{"name": "tls", "mountPath": "/run/tls"}],
    }
    if command:
        container["command"] = command
    spec = {"containers": [container], "volumes": [{"name": "tls", "projected": {"sources": sources}}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


def reading(name: str, **certificate: Any) -> dict[str, Any]:
    return pod(name, [], ["/bin/sh", "-c", f"cat {PLACE} && sleep infinity"], **certificate)


@pytest.fixture(scope="module")
def authority() -> Authority:
    cluster = Cluster(ClusterSpec(nodes=1), seed=3)
    cluster.settle()
    made = Authority(cluster)
    cluster.apply(made.bundle())
    return made


def logs(cluster: Cluster, name: str) -> str:
    body: bytes = cluster.request(Request("GET", f"/api/v1/namespaces/default/pods/{name}/log")).body
    return body.decode()


def events(cluster: Cluster, reason: str) -> list[str]:
    return [each["message"] for each in cluster.list("events", "default") if each["reason"] == reason]


def test_a_pod_starts_with_the_key_and_the_chain_that_was_issued_to_it(authority: Authority) -> None:
    cluster = authority.cluster
    cluster.apply(reading("reader", userAnnotations={"example.com/path": "/custom"}, maxExpirationSeconds=7200))
    cluster.advance("2s")
    (request,) = authority.sign("reader")
    about, spec = cluster.get("pods", "reader")["metadata"], request["spec"]
    assert (spec["podUID"], spec["nodeName"], spec["maxExpirationSeconds"]) == (about["uid"], "w1-k8s", 7200)
    assert request["metadata"]["ownerReferences"] == [
        {"apiVersion": "v1", "kind": "Pod", "name": "reader", "uid": about["uid"]}
    ]
    cluster.advance("10s")
    text = logs(cluster, "reader")
    assert text.startswith("-----BEGIN PRIVATE KEY-----")
    leaf, issuer = x509.load_pem_x509_certificates(text.encode())
    assert issuer == authority.issuer
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://cluster.local/custom"]


def test_a_refusal_is_told_and_the_pod_waits(authority: Authority) -> None:
    cluster = authority.cluster
    cluster.apply(reading("refused"))
    cluster.advance("2s")
    (request,) = authority.open("refused")
    assert request["spec"]["maxExpirationSeconds"] == 86400
    assert authority.answer(request, "Denied", {}) == ""
    cluster.advance("10s")
    assert cluster.get("pods", "refused")["status"]["phase"] == "Pending"
    assert len(events(cluster, "Denied")) == 1
    told = 'permanently denied: reason="Policy" message="so it is"'
    assert any(told in text for text in events(cluster, "FailedMount"))


def test_two_pods_know_each_other_by_their_certificates(authority: Authority) -> None:
    cluster = authority.cluster
    creds, trust = f"--server-creds={PLACE}", f"--spiffe-trust-bundle={ROOTS}"
    asks = [f"--fetch-url=https://{SERVER}/spiffe-echo", f"--server-trust-bundle={ROOTS}"]
    cluster.apply(
        [
            pod("server", ["mtlsserver", "--listen=0.0.0.0:8443", creds, trust]),
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "server"},
                "spec": {"selector": {"app": "server"}, "ports": [{"port": 443, "targetPort": 8443}]},
            },
            pod("client", ["mtlsclient", *asks, f"--client-cred-bundle={PLACE}"], keyType="ED25519"),
        ]
    )
    cluster.advance("2s")
    assert len(authority.sign("server", "client")) == 2
    cluster.advance("30s")
    assert "Got response body: Client Identity: spiffe://cluster.local/client" in logs(cluster, "client")


def test_only_who_may_sign_for_a_signer_answers_its_requests(authority: Authority) -> None:
    cluster = authority.cluster
    cluster.apply(reading("guarded"))
    cluster.advance("2s")
    (request,) = authority.open("guarded")
    resources = ["podcertificaterequests/status"]
    rules = [{"apiGroups": ["certificates.k8s.io"], "resources": resources, "verbs": ["update"]}]
    meta = {"metadata": {"name": "writers"}}
    group = "rbac.authorization.k8s.io"
    cluster.apply(
        [
            {"apiVersion": f"{group}/v1", "kind": "ClusterRole", **meta, "rules": rules},
            {
                "apiVersion": f"{group}/v1",
                "kind": "ClusterRoleBinding",
                **meta,
                "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "writers"},
                "subjects": [{"kind": "User", "name": "jane", "apiGroup": group}],
            },
        ]
    )
    cluster.advance("1s")
    told = authority.answer(request, "Denied", {}, User("jane", ("system:authenticated",)))
    assert f'User "jane" is not permitted to "sign" for signer "{SIGNER}"' in told


def test_a_certificate_for_another_key_is_refused(authority: Authority) -> None:
    cluster = authority.cluster
    cluster.apply([reading("one"), reading("two")])
    cluster.advance("2s")
    authority.sign("one")
    other = next(each for each in cluster.list(REQUESTS) if each["spec"]["podName"] == "one")["status"]
    (request,) = authority.open("two")
    told = authority.answer(request, "Issued", {key: text for key, text in other.items() if key != "conditions"})
    assert "leaf certificate was not issued to the requested public key" in told


def test_a_certificate_is_replaced_before_it_ends_and_old_requests_go(authority: Authority) -> None:
    cluster = authority.cluster
    show = f"while true; do head -2 {PLACE} | tail -1; sleep 900; done"
    cluster.apply(pod("renewed", [], ["/bin/sh", "-c", show], maxExpirationSeconds=3600))
    cluster.advance("2s")
    assert len(authority.sign("renewed")) == 1
    cluster.advance("29m")
    assert "renewed" not in [each["spec"]["podName"] for each in cluster.list(REQUESTS)]
    cluster.advance("7m")
    assert len(authority.sign("renewed")) == 1
    cluster.advance("15m")
    assert len(set(logs(cluster, "renewed").split())) == 2
    assert events(cluster, "CertificateOverdueForRefresh") == []
