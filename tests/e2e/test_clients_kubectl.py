"""kubectl's own tools against a cluster with nodes: access, certificates, differences, waiting, and ways into pods."""

from __future__ import annotations

import base64
import json

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.e2e.conftest import DEADLINE_S, Machine, beside, heard, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("lab")]
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: "%s"}
spec: {containers: [{name: web, image: nginx, ports: [{containerPort: 80}]}]}
"""
REQUEST = """\
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: jane}
spec: {request: %s, signerName: kubernetes.io/kube-apiserver-client, usages: [client auth]}
"""
CONFIG = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: compared}
data: {a: "%s"}
"""


@pytest.fixture(scope="module")
def toolbox(lab: Machine) -> str:
    """A pod to look into, whose server listens."""
    lab.kubectl("apply", "-f", "-", stdin=POD % "toolbox")
    lab.kubectl("wait", "--for=condition=Ready", "pod/toolbox", "--timeout=240s")
    wait_for("its server", lambda: "ready for start up" in lab.kubectl("logs", "toolbox"))
    return "toolbox"


def test_what_a_cluster_says_of_itself(lab: Machine) -> None:
    assert "Kubernetes control plane is running at https://127.0.0.1:" in lab.kubectl("cluster-info")
    versions = lab.kubectl("api-versions").split()
    assert {"v1", "apps/v1", "rbac.authorization.k8s.io/v1"} <= set(versions)
    assert json.loads(lab.kubectl("get", "--raw", "/version"))["gitVersion"] == "v1.37.2"
    assert "[+]etcd ok" in lab.kubectl("get", "--raw", "/readyz?verbose")
    assert "FIELD: replicas <integer>" in lab.kubectl("explain", "deployment.spec.replicas")


def test_who_one_is_and_what_one_may(lab: Machine) -> None:
    assert "kubernetes-admin" in lab.kubectl("auth", "whoami")
    assert "*.*" in lab.kubectl("auth", "can-i", "--list")
    assert lab.type("kubectl", "auth", "can-i", "get", "pods", "--as", "jane").stdout == "no\n"
    lab.kubectl("create", "rolebinding", "jane", "--clusterrole=view", "--user=jane")
    assert lab.kubectl("auth", "can-i", "get", "pods", "--as", "jane") == "yes\n"
    assert lab.type("kubectl", "auth", "can-i", "get", "secrets", "--as", "jane").stdout == "no\n"
    assert "pods" in lab.kubectl("auth", "can-i", "--list", "--as", "jane")
    said = lab.kubectl("auth", "reconcile", "-f", "-", stdin=lab.kubectl("get", "clusterrole", "view", "-o", "yaml"))
    assert "clusterrole.rbac.authorization.k8s.io/view reconciled" in said


def test_a_service_account_gets_a_token(lab: Machine) -> None:
    lab.kubectl("create", "serviceaccount", "robot")
    token = lab.kubectl(
        "create", "token", "robot", "--duration=1h", "--audience=https://kubernetes.default.svc.cluster.local"
    )
    body = token.strip().split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    assert claims["sub"] == "system:serviceaccount:default:robot"
    assert claims["exp"] - claims["iat"] == 3600
    server = lab.kubectl("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}")
    with httpx.Client(base_url=server, verify=False, timeout=DEADLINE_S) as robot:
        answer = robot.get("/api/v1/pods", headers={"Authorization": f"Bearer {token.strip()}"}).json()
        assert 'User "system:serviceaccount:default:robot" cannot list resource "pods"' in answer["message"]
        assert robot.get("/api/v1/pods", headers={"Authorization": "Bearer no.such.token"}).status_code == 401


def test_a_certificate_is_signed(lab: Machine) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.NameAttribute(NameOID.COMMON_NAME, "jane"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "devs")]
    asked = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names)).sign(key, hashes.SHA256())
    pem = base64.b64encode(asked.public_bytes(serialization.Encoding.PEM)).decode()
    lab.kubectl("apply", "-f", "-", stdin=REQUEST % pem)
    assert "approved" in lab.kubectl("certificate", "approve", "jane")
    wait_for("the certificate", lambda: "Approved,Issued" in lab.kubectl("get", "csr", "jane"))
    issued = base64.b64decode(lab.read("csr", "jane")["status"]["certificate"])
    (lab.root / "jane.crt").write_bytes(issued)
    (lab.root / "jane.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    lab.kubectl("config", "set-credentials", "jane", "--client-certificate=jane.crt", "--client-key=jane.key")
    assert "jane" in lab.kubectl("--user", "jane", "auth", "whoami")


def test_differences_are_shown_before_they_are_made(lab: Machine) -> None:
    lab.kubectl("apply", "--server-side", "-f", "-", stdin=CONFIG % 1)
    done = lab.type("kubectl", "diff", "--server-side", "-f", "-", stdin=CONFIG % 2)
    assert done.returncode == 1
    assert '-  a: "1"\n+  a: "2"' in done.stdout
    lab.kubectl("diff", "--server-side", "-f", "-", stdin=CONFIG % 1)


def test_ways_into_a_pod(lab: Machine, toolbox: str) -> None:
    assert lab.kubectl("exec", toolbox, "--", "echo", "hello") == "hello\n"
    assert lab.kubectl("exec", "-i", toolbox, "--", "cat", stdin="through stdin") == "through stdin"
    (lab.root / "note").write_text("a note\n")
    lab.kubectl("cp", "note", f"{toolbox}:/tmp/note")
    assert lab.kubectl("exec", toolbox, "--", "cat", "/tmp/note") == "a note\n"
    lab.kubectl("cp", f"{toolbox}:/tmp/note", "back")
    assert (lab.root / "back").read_text() == "a note\n"
    lab.kubectl("debug", toolbox, "--image=busybox", "--container=look", "--target=web", "--", "true")
    wait_for("the debugger", lambda: '"terminated"' in json.dumps(lab.read("pod", toolbox)["status"]))


def test_a_port_is_forwarded_and_logs_are_followed(lab: Machine, toolbox: str) -> None:
    logs, forward = ("kubectl", "logs", "-f", toolbox), ("kubectl", "port-forward", toolbox, ":80")
    with beside(lab, *logs) as following, beside(lab, *forward) as forwarding:
        address = heard(forwarding, "Forwarding from 127.0.0.1").split()[2]
        assert httpx.get(f"http://{address}/from-outside", timeout=DEADLINE_S).status_code == 404
        assert "Welcome to nginx!" in httpx.get(f"http://{address}/", timeout=DEADLINE_S).text
        heard(following, "/from-outside")


def test_waiting_ends_with_what_is_waited_for(lab: Machine) -> None:
    lab.kubectl("apply", "-f", "-", stdin=POD % "brief")
    lab.kubectl("wait", "--for=jsonpath={.status.phase}=Running", "pod/brief", "--timeout=240s")
    lab.kubectl("delete", "pod", "brief", "--wait=false")
    lab.kubectl("wait", "--for=delete", "pod/brief", "--timeout=240s")
    assert "NotFound" in lab.type("kubectl", "get", "pod", "brief").stderr
