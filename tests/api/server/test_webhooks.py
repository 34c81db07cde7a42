"""A webhook on this machine, over real HTTPS with an authority of its own, admits what the API server asks it to."""

from __future__ import annotations

import base64
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from seatrial.api.server.outside import fetch
from seatrial.sim.apiserver.context import ExternalCall
from seatrial.sim.apiserver.request import Request, Response, User
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec

ADMIN = User("admin", ("system:masters",))
RULES = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}]


class Webhook(NamedTuple):
    """One that refuses what is called bad and labels the rest."""

    port: int
    authority: bytes
    """PEM."""
    asked: list[str]
    """Paths with queries."""


def issue(name: str, issuer: tuple[Any, Any] | None) -> tuple[Any, Any]:
    """A certificate for a DNS name, by an authority (certificate and key); without one, an authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer[0].subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return builder.sign(key if issuer is None else issuer[1], hashes.SHA256()), key


def pem(certificate: Any, key: Any = None) -> bytes:
    text = bytes(certificate.public_bytes(serialization.Encoding.PEM))
    if key is not None:
        text += key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    return text


class Handler(BaseHTTPRequestHandler):
    asked: list[str]

    def do_POST(self) -> None:
        self.asked.append(self.path)
        review = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = review["request"]
        response: dict[str, Any] = {"uid": request["uid"], "allowed": not request["name"].startswith("bad")}
        if not response["allowed"]:
            response["status"] = {"message": f"{request['name']} is bad", "code": 403}
        elif self.path.startswith("/mutate"):
            patch = orjson.dumps([{"op": "add", "path": "/metadata/labels", "value": {"by": "webhook"}}])
            response |= {"patchType": "JSONPatch", "patch": base64.b64encode(patch).decode()}
        review["response"] = response
        body = orjson.dumps(review)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""


@contextmanager
def serving(tmp_path: Path, handler: type[Handler]) -> Iterator[Webhook]:
    """A webhook on this machine, with a certificate of an authority of its own."""
    authority = issue("authority", None)
    file = tmp_path / "webhook.pem"
    file.write_bytes(pem(*issue("hook.shop.svc", authority)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Asked", (handler,), {"asked": asked}))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Webhook(server.server_port, pem(authority[0]), asked)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def webhook(tmp_path: Path) -> Iterator[Webhook]:
    with serving(tmp_path, Handler) as webhook:
        yield webhook


class Shop:
    """A cluster with a service that leads to the webhook on this machine."""

    def __init__(self, port: int) -> None:
        self.cluster = Cluster(ClusterSpec(nodes=0, controllers="none"))
        self.cluster.connect(self._perform)
        self._port = port
        self.make("/api/v1/namespaces", "v1", "Namespace", "shop")
        spec = {"ports": [{"port": 443, "targetPort": port}]}
        self.make("/api/v1/namespaces/shop/services", "v1", "Service", "hook", spec=spec)
        self.make(
            "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices",
            "discovery.k8s.io/v1",
            "EndpointSlice",
            "hook-1",
            {"kubernetes.io/service-name": "hook"},
            addressType="IPv4",
            ports=[{"name": "", "port": port}],
            endpoints=[{"addresses": ["192.168.1.1"]}],
        )

    def _perform(self, call: ExternalCall) -> Any:
        """The machine's own address stands in for the one in the endpoints."""
        yield self.cluster.clock.sleep(1000)
        return fetch(call._replace(addresses=tuple(a.replace("192.168.1.1", "127.0.0.1") for a in call.addresses)))

    def make(
        self, path: str, version: str, kind: str, name: str, labels: dict[str, str] | None = None, **fields: Any
    ) -> Response:
        metadata = {"name": name, **({"labels": labels} if labels else {})}
        body = {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}
        return self.cluster.request(Request("POST", path, body=body, user=ADMIN))

    def configure(self, kind: str, bundle: bytes, path: str) -> None:
        client = {
            "service": {"namespace": "shop", "name": "hook", "path": path},
            "caBundle": base64.b64encode(bundle).decode(),
        }
        hook = {
            "name": "hook.example.com",
            "clientConfig": client,
            "rules": RULES,
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 5,
        }
        group = "admissionregistration.k8s.io/v1"
        plural = f"{kind.lower()}webhookconfigurations"
        made = self.make(f"/apis/{group}/{plural}", group, f"{kind}WebhookConfiguration", "hooks", webhooks=[hook])
        assert made.code == 201, made.body

    def create(self, name: str) -> Response:
        return self.make("/api/v1/namespaces/shop/configmaps", "v1", "ConfigMap", name)


def test_a_real_webhook_refuses_and_changes(webhook: Webhook) -> None:
    shop = Shop(webhook.port)
    shop.configure("Mutating", webhook.authority, "/mutate")
    shop.configure("Validating", webhook.authority, "/validate")
    refused = shop.create("bad")
    told = 'admission webhook "hook.example.com" denied the request: bad is bad'
    assert (refused.code, refused.body["message"]) == (403, told)
    made = shop.create("good")
    assert (made.code, made.body["metadata"]["labels"]) == (201, {"by": "webhook"})
    assert webhook.asked == ["/mutate?timeout=5s", "/mutate?timeout=5s", "/validate?timeout=5s"]


def test_a_webhook_whose_authority_is_not_the_bundle_is_not_trusted(webhook: Webhook) -> None:
    shop = Shop(webhook.port)
    shop.configure("Validating", pem(issue("somebody else", None)[0]), "/validate")
    answer = shop.create("good")
    why = "tls: failed to verify certificate: x509: certificate signed by unknown authority"
    url = "https://hook.shop.svc:443/validate?timeout=5s"
    called = f'failed calling webhook "hook.example.com": failed to call webhook: Post "{url}": {why}'
    assert (answer.code, answer.body["message"]) == (500, f"Internal error occurred: {called}")
    assert webhook.asked == []
