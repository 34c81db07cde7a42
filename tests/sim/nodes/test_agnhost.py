"""Kubernetes' own test image in pods, as conformance tests use it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from seatrial.sim.apiserver.request import Request, Response
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec, S
from seatrial.sim.machinery.errors import ApiError

IMAGE = "registry.k8s.io/e2e-test-images/agnhost:2.56"


def pod(name: str, *args: str, env: Mapping[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    variables = [{"name": key, "value": value} for key, value in (env or {}).items()]
    container = {"name": "c", "image": IMAGE, "args": list(args), "env": variables, **spec.pop("container", {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [container], **spec},
    }


def service(name: str, port: int, target: int, app: str = "") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": app or name}, "ports": [{"port": port, "targetPort": target}]},
    }


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    cluster = Cluster(ClusterSpec(nodes=2))
    cluster.run(3 * S)
    cluster.settle()
    return cluster


def get(cluster: Cluster, name: str, path: str) -> Response:
    return cluster.request(Request("GET", f"/api/v1/namespaces/default/pods/{name}/proxy{path}"))


def logs(cluster: Cluster, name: str) -> str:
    answer = cluster.request(Request("GET", f"/api/v1/namespaces/default/pods/{name}/log"))
    assert answer.code == 200, answer.body
    body: bytes = answer.body
    return body.decode()


@pytest.fixture(scope="module")
def executors(cluster: Cluster) -> Cluster:
    """Two netexec pods and a service of the second."""
    cluster.apply([pod("a", "netexec", env={"X": "y"}), pod("b", "netexec"), service("peers", 80, 8080, "b")])
    cluster.run(10 * S)
    cluster.settle()
    return cluster


@pytest.mark.parametrize(
    ("path", "code", "body"),
    [
        (":8080/hostname", 200, "a"),
        (":8080/echo?msg=hi+there&code=201", 201, "hi there"),
        (":8080/healthz", 200, ""),
        (":8080/readyz", 200, "ok"),
        (":8080/envvar?var=X", 200, "y"),
        (":8080/envvar?var=Z", 500, 'env var "Z" is not set\n'),
        (":8080/serverport", 200, "8080"),
        (":8080/dial?host={b}&port=8080&request=hostname&tries=2", 200, '{"responses":["b","b"]}'),
        (":8080/dial?host={b}&port=8081&protocol=udp&request=hostname", 200, '{"responses":["b"]}'),
        (":8080/dial?host=peers&port=80&request=hostName", 200, '{"responses":["b"]}'),
        (":8080/dial?host={b}&port=1&request=x", 200, '{"errors":["dial tcp {b}:1: connect: connection refused"]}'),
        (":8080/dial?host={b}&port=1", 400, "request parameter not specified. <nil>\n"),
    ],
)
def test_netexec(executors: Cluster, path: str, code: int, body: str) -> None:
    address = executors.get("pods", "b")["status"]["podIP"]
    answer = executors.request(
        Request(
            "GET",
            f"/api/v1/namespaces/default/pods/a{path.partition('/')[0]}/proxy/{path.partition('/')[2].partition('?')[0]}",
            query_of(path.replace("{b}", address)),
        )
    )
    assert (answer.code, answer.body.decode()) == (code, body.replace("{b}", address))


def query_of(path: str) -> dict[str, tuple[str, ...]]:
    text = path.partition("?")[2].replace("+", " ")
    return {name: (value,) for name, _, value in (part.partition("=") for part in text.split("&") if part)}


def test_netexec_ends_with_the_asked_code(cluster: Cluster) -> None:
    cluster.apply(pod("ending", "netexec", restartPolicy="Never"))
    cluster.run(10 * S)
    cluster.request(Request("GET", "/api/v1/namespaces/default/pods/ending:8080/proxy/exit", {"code": ("3",)}))
    cluster.run(5 * S)
    status = cluster.get("pods", "ending")["status"]
    assert (status["phase"], status["containerStatuses"][0]["state"]["terminated"]["exitCode"]) == ("Failed", 3)


def test_a_terminating_server_is_not_ready_but_answers(cluster: Cluster) -> None:
    probe = {"readinessProbe": {"httpGet": {"path": "/readyz", "port": 8080}, "periodSeconds": 1}}
    cluster.apply(pod("leaving", "netexec", "--delay-shutdown=20", container=probe, terminationGracePeriodSeconds=30))
    cluster.run(10 * S)
    cluster.delete("pods", "leaving")
    cluster.run(6 * S)
    assert get(cluster, "leaving:8080", "/readyz").code == 503
    assert get(cluster, "leaving:8080", "/hostname").body == b"leaving"
    cluster.run(20 * S)
    assert cluster.list("pods", "default", "app=leaving") == []


ONE_SHOT = [
    (("entrypoint-tester", "a", "b"), "[/agnhost entrypoint-tester a b]\n"),
    (("nonewprivs",), "Effective uid: 0\n"),
    (("dns-suffix",), "default.svc.cluster.local,svc.cluster.local,cluster.local\n"),
    (("connect", "kubernetes:443", "--timeout=1s"), ""),
    (("connect", "nobody:443"), "DNS\n"),
    (("mounttest", "--fs_type=/v", "--new_file_0666=/v/f", "--file_perm=/v/f"),
     'mount type of "/v": tmpfs\ncontent of file "/v/f": mount-tester new file\n\nperms of file "/v/f": -rw-rw-rw-\n'),
    (("mounttest", "--file_mode=/v", "--file_owner=/v"),
     'mode of file "/v": drwxrwxrwx\nowner UID of "/v": 0\nowner GID of "/v": 0\n'),
    (("mounttest", "--file_content=/none"),
     'error reading file content for "/none": open /none: no such file or directory\n'),
]  # fmt: skip


def test_what_runs_once_says_what_upstream_says(cluster: Cluster) -> None:
    mount = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    volumes = [{"name": "v", "emptyDir": {"medium": "Memory"}}]
    for index, (args, _) in enumerate(ONE_SHOT):
        cluster.apply(pod(f"once-{index}", *args, container=mount, volumes=volumes, restartPolicy="Never"))
    cluster.run(20 * S)
    assert [(args, logs(cluster, f"once-{index}")) for index, (args, _) in enumerate(ONE_SHOT)] == ONE_SHOT


def test_generated_logs_come_evenly(cluster: Cluster) -> None:
    cluster.apply(pod("logging", "logs-generator", "--log-lines-total", "100", "--run-duration", "20s"))
    cluster.run(13 * S)
    before = len(logs(cluster, "logging").splitlines())
    cluster.run(5 * S)
    lines = logs(cluster, "logging").splitlines()
    assert len(lines) - before == 25
    assert all("/api/v1/namespaces/" in line for line in lines)


def test_the_guestbook_spreads_what_is_written(cluster: Cluster) -> None:
    backends = [
        pod("agnhost-primary", "guestbook", "--http-port", "6379"),
        service("agnhost-primary", 6379, 6379),
        pod("agnhost-replica", "guestbook", "--replicaof", "agnhost-primary", "--http-port", "6379"),
        service("agnhost-replica", 6379, 6379),
        pod("front", "guestbook", "--backend-port", "6379"),
    ]
    cluster.apply(backends)
    cluster.run(20 * S)
    path = "/api/v1/namespaces/default/pods/front/proxy/guestbook"
    wrote = cluster.request(Request("GET", path, {"cmd": ("set",), "key": ("m",), "value": ("hi",)}))
    assert wrote.body == b'{"message":"Updated"}'
    assert cluster.request(Request("GET", path, {"cmd": ("get",), "key": ("m",)})).body == b'{"data":"hi"}'


def hook(name: str, path: str, kind: str, timeout_s: int = 10, failure: str = "Fail") -> dict[str, Any]:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "DELETE"], "resources": ["configmaps"]}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": f"{kind}WebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [
            {
                "name": f"{name}.example.com",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": failure,
                "timeoutSeconds": timeout_s,
                "rules": [rule],
                "clientConfig": {"service": {"name": "hook", "namespace": "default", "port": 8443, "path": path}},
            }
        ],
    }


@pytest.fixture(scope="module")
def reviewers(cluster: Cluster) -> Cluster:
    cluster.apply([pod("hook", "webhook", "--port=8444"), service("hook", 8443, 8444)])
    cluster.run(10 * S)
    cluster.settle()
    return cluster


@pytest.mark.parametrize(
    ("kind", "path", "data", "outcome"),
    [
        ("Validating", "/configmaps", {"webhook-e2e-test": "webhook-disallow"},
         'admission webhook "t.example.com" denied the request: the configmap contains unwanted key and value'),
        ("Validating", "/configmaps", {"a": "b"}, {"a": "b"}),
        ("Validating", "/always-deny", {}, 'admission webhook "t.example.com" denied the request: '
         "this webhook denies all requests"),
        ("Mutating", "/mutating-configmaps", {"mutation-start": "yes"},
         {"mutation-start": "yes", "mutation-stage-1": "yes"}),
        ("Mutating", "/add-label", {"a": "b"}, {"a": "b"}),
    ],
)  # fmt: skip
def test_reviews(reviewers: Cluster, kind: str, path: str, data: dict[str, str], outcome: Any) -> None:
    reviewers.apply(hook("t", path, kind))
    reviewers.run(1 * S)
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": data}
    try:
        made = reviewers.apply(config)[0]
        assert made["data"] == outcome
        assert ("added-label" in made["metadata"].get("labels", {})) == (path == "/add-label")
    except ApiError as refused:
        assert refused.message == outcome
    finally:
        reviewers.delete(f"{kind.lower()}webhookconfigurations", "t", "")
        reviewers.request(Request("DELETE", "/api/v1/namespaces/default/configmaps/m"))


def test_a_slow_reviewer_takes_its_time_or_too_much_of_it(reviewers: Cluster) -> None:
    reviewers.apply(hook("slow", "/always-allow-delay-5s", "Validating", timeout_s=1))
    reviewers.run(1 * S)
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s"}}
    with pytest.raises(ApiError, match="context deadline exceeded"):
        reviewers.apply(config)
    reviewers.delete("validatingwebhookconfigurations", "slow", "")
    reviewers.apply(hook("slow", "/always-allow-delay-5s", "Validating", timeout_s=10))
    reviewers.run(1 * S)
    before = reviewers.now
    reviewers.apply(config)
    assert 5 * S <= reviewers.now - before < 6 * S
    reviewers.delete("validatingwebhookconfigurations", "slow", "")


def test_objects_are_converted(reviewers: Cluster) -> None:
    reviewers.apply([pod("convert", "crd-conversion-webhook", "--port=9444"), service("convert", 9443, 9444)])
    reviewers.run(10 * S)
    versions = [
        {
            "name": name,
            "served": True,
            "storage": name == "v1",
            "schema": {
                "openAPIV3Schema": {"type": "object", "properties": {field: {"type": "string"} for field in fields}}
            },
            "selectableFields": [{"jsonPath": f".{field}"} for field in fields],
        }
        for name, fields in (("v1", ["hostPort"]), ("v2", ["host", "port"]))
    ]
    client = {"service": {"name": "convert", "namespace": "default", "port": 9443, "path": "/crdconvert"}}
    webhook = {"clientConfig": client, "conversionReviewVersions": ["v1", "v1beta1"]}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "tests.stable.example.com"},
        "spec": {
            "group": "stable.example.com",
            "scope": "Namespaced",
            "names": {"plural": "tests", "singular": "test", "kind": "Test", "listKind": "TestList"},
            "versions": versions,
            "conversion": {"strategy": "Webhook", "webhook": webhook},
        },
    }
    reviewers.apply(definition)
    reviewers.run(5 * S)
    made = {
        "apiVersion": "stable.example.com/v1",
        "kind": "Test",
        "metadata": {"name": "t"},
        "hostPort": "localhost:8080",
    }
    path = "/apis/stable.example.com/{}/namespaces/default/tests"
    on_host = {"fieldSelector": ("host=localhost",)}
    stream = reviewers.request(Request("GET", path.format("v2"), {**on_host, "watch": ("true",)})).body

    def told() -> list[tuple[str, str]]:
        frames: list[Any] = []
        for _ in range(3):
            frames += stream.read()
            reviewers.run(1 * S)
        return [(frame.type, frame.object["port"]) for frame in frames]

    def found(version: str, selector: str) -> list[str]:
        listed = reviewers.request(Request("GET", path.format(version), {"fieldSelector": (selector,)})).body
        return [each["metadata"]["name"] for each in listed["items"]]

    assert reviewers.request(Request("POST", path.format("v1"), {}, made)).code == 201
    seen = reviewers.request(Request("GET", path.format("v2") + "/t")).body
    assert (seen["host"], seen["port"]) == ("localhost", "8080")

    assert found("v2", "host=localhost,port=8080") == found("v1", "hostPort=localhost:8080") == ["t"]
    assert found("v2", "host=elsewhere") == []
    assert told() == [("ADDED", "8080")]
    patch, headers = {"host": "elsewhere", "port": "81"}, "application/merge-patch+json"
    reviewers.request(Request("PATCH", path.format("v2") + "/t", {}, patch, content_type=headers))
    assert told() == [("DELETED", "8080")]
    gone = reviewers.request(Request("DELETE", path.format("v2"), {"fieldSelector": ("host=elsewhere",)})).body
    assert [each["port"] for each in gone["items"]] == ["81"]
    assert found("v1", "metadata.name=t") == []


def test_porter_over_tls_and_json(cluster: Cluster) -> None:
    cluster.apply(pod("porter", "porter", "--json-response", env={"SERVE_PORT_80": "foo", "SERVE_TLS_PORT_443": "x"}))
    cluster.run(5 * S)
    assert json.loads(get(cluster, "porter", "/").body) == {"Method": "GET", "Body": "foo"}


@pytest.mark.parametrize(("audience", "phase"), [("oidc-discovery-test", "Succeeded"), ("nobody", "Failed")])
def test_a_token_is_what_the_issuer_says(cluster: Cluster, audience: str, phase: str) -> None:
    token = {"serviceAccountToken": {"path": "token", "audience": "oidc-discovery-test", "expirationSeconds": 7200}}
    name = f"oidc-{phase.lower()}"
    cluster.apply(
        pod(
            name,
            "test-service-account-issuer-discovery",
            "--token-path",
            "/v/token",
            "--audience",
            audience,
            container={"volumeMounts": [{"name": "v", "mountPath": "/v"}]},
            volumes=[{"name": "v", "projected": {"sources": [token]}}],
            restartPolicy="Never",
        )
    )
    cluster.run(10 * S)
    assert cluster.get("pods", name)["status"]["phase"] == phase, logs(cluster, name)


def probing(**probe: Any) -> dict[str, Any]:
    return {"livenessProbe": {"failureThreshold": 1, "periodSeconds": 5, **probe}}


GRPC = {"port": 5000}
CHECKED = {
    # arguments, probe, what the kubelet says of it
    "well": ((), {"grpc": GRPC}, ""),
    "late": (("--delay-unhealthy-sec=12",), {"grpc": GRPC}, 'service unhealthy (responded with "NOT_SERVING")'),
    "stranger": (
        ("--service=one",),
        {"grpc": {"port": 5000, "service": "other"}},
        "error: health rpc probe failed: rpc error: code = NotFound desc = unknown service",
    ),
    "deaf": (
        (),
        {"grpc": {"port": 5001}, "timeoutSeconds": 3},
        'timeout: failed to connect service "{ip}:5001" within 3s: context deadline exceeded',
    ),
}


def test_a_grpc_probe_asks_for_health(cluster: Cluster) -> None:
    for name, (args, probe, _) in CHECKED.items():
        container = probing(initialDelaySeconds=5, **probe)
        cluster.apply(pod(f"grpc-{name}", "grpc-health-checking", *args, container=container))
    cluster.run(30 * S)
    for name, (_, _, said) in CHECKED.items():
        address = cluster.get("pods", f"grpc-{name}")["status"]["podIP"]
        events = cluster.list("events", "default")
        found = [e["message"] for e in events if e["involvedObject"]["name"] == f"grpc-{name}"]
        failed = [message for message in found if message.startswith("Liveness probe failed: ")]
        assert failed == ([f"Liveness probe failed: {said.format(ip=address)}"] if said else []), name


def test_a_grpc_server_that_is_told_to_be_unwell(cluster: Cluster) -> None:
    container = {"readinessProbe": {"grpc": GRPC, "periodSeconds": 2}}
    cluster.apply(pod("moody", "grpc-health-checking", container=container))

    def ready() -> bool:
        cluster.run(10 * S)
        return bool(cluster.get("pods", "moody")["status"]["containerStatuses"][0]["ready"])

    assert ready()
    get(cluster, "moody:8080", "/make-not-serving")
    assert not ready()
    get(cluster, "moody:8080", "/make-serving")
    assert ready()


def test_a_web_server_shows_directories_and_files(cluster: Cluster) -> None:
    cluster.apply(pod("files", "test-webserver", container=probing(httpGet={"path": "/", "port": 80})))
    cluster.run(30 * S)
    assert cluster.get("pods", "files")["status"]["containerStatuses"][0]["restartCount"] == 0
    listing = get(cluster, "files:80", "/").body.decode()
    assert '<a href="etc/">etc/</a>\n' in listing
    assert get(cluster, "files:80", "/etc").code == 301
    assert get(cluster, "files:80", "/etc/hostname").body == b"files\n"
    assert get(cluster, "files:80", "/nope").code == 404


def test_a_pre_stop_hook_writes_to_another_pod(cluster: Cluster) -> None:
    cluster.apply(pod("noter", "nettest"))
    cluster.run(10 * S)
    address = cluster.get("pods", "noter")["status"]["podIP"]
    command = ["wget", "-O-", '--post-data={"Source": "prestop"}', f"http://{address}:8080/write"]
    leaving = pod("leaver", container={"lifecycle": {"preStop": {"exec": {"command": command}}}})
    leaving["spec"]["containers"][0] |= {"image": "busybox:1", "command": ["sleep", "600"]}
    cluster.apply(leaving)
    cluster.run(10 * S)
    cluster.delete("pods", "leaver")
    cluster.run(5 * S)
    assert json.loads(get(cluster, "noter:8080", "/read").body)["Received"] == {"prestop": 1}
    assert get(cluster, "noter:8080", "/status").body == b"running"


@pytest.mark.parametrize(
    ("sent", "code", "got", "said"),
    [
        (b"abc", 0, b"x" * 6, ["Accepted client connection", "Received expected client data", "Done"]),
        (b"", 2, b"", ["Expected to read 3 bytes from client, but got 0 instead. err=EOF"]),
        (b"abd", 3, b"", ['Expect to read "abc", but got "abd". err=<nil>']),
    ],
)
def test_port_forward_tester_serves_one_connection(
    cluster: Cluster, sent: bytes, code: int, got: bytes, said: list[str]
) -> None:
    name = f"forwarded-{code}"
    values = {"EXPECTED_CLIENT_DATA": "abc", "CHUNKS": "3", "CHUNK_SIZE": "2", "CHUNK_INTERVAL": "100"}
    cluster.apply(pod(name, "port-forward-tester", env={"BIND_PORT": "80", **values}, restartPolicy="Never"))
    cluster.run(5 * S)
    assert cluster.networking is not None
    plane, world = cluster.networking.plane, cluster.networking.world
    heard: list[bytes] = []
    socket = world.open(plane.sandboxes.sandbox_named("default", name), "127.0.0.1", 80, heard.append, lambda: None)
    if sent:
        socket.write(sent)
    socket.close_write()
    cluster.run(3 * S)
    (status,) = cluster.get("pods", name)["status"]["containerStatuses"]
    assert (b"".join(heard), status["state"]["terminated"]["exitCode"]) == (got, code)
    assert all(text in logs(cluster, name) for text in said)
