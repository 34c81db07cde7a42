"""The official Python client: lists, a watch, every patch type, the dynamic client, exec, port-forward, an election."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

from kubernetes import client, config, dynamic, watch
from kubernetes.client.rest import ApiException
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock
from kubernetes.stream import portforward, stream

NAMESPACE = "official"
POD = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "d"},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}},
    },
}


def until(what: str, holds: Callable[[], Any], deadline_s: float = 240) -> None:
    end = time.monotonic() + deadline_s
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def watched(v1: client.CoreV1Api) -> None:
    """A watch sees what three patches and a deletion do, in order."""
    v1.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "w", "labels": {"a": "b"}}, "data": {"v": "1"}})
    version = v1.list_namespaced_config_map(NAMESPACE).metadata.resource_version
    seen = []

    def follow() -> None:
        watching = watch.Watch()
        stream = watching.stream(
            v1.list_namespaced_config_map,
            NAMESPACE,
            label_selector="a=b",
            resource_version=version,
            timeout_seconds=240,
        )
        for event in stream:
            seen.append((event["type"], (event["object"].data or {}).get("v")))
            if event["type"] == "DELETED":
                watching.stop()

    follower = threading.Thread(target=follow)
    follower.start()
    for body in (
        {"data": {"v": "2"}},
        [{"op": "test", "path": "/data/v", "value": "2"}, {"op": "replace", "path": "/data/v", "value": "3"}],
    ):
        v1.patch_namespaced_config_map("w", NAMESPACE, body)
    v1.delete_namespaced_config_map("w", NAMESPACE)
    follower.join(240)
    assert seen == [("MODIFIED", "2"), ("MODIFIED", "3"), ("DELETED", "3")], seen
    try:
        v1.read_namespaced_config_map("w", NAMESPACE)
    except ApiException as refusal:
        assert (refusal.status, refusal.reason) == (404, "Not Found")
    else:
        raise AssertionError("a deleted object was read")


def paged(v1: client.CoreV1Api) -> None:
    for number in range(5):
        v1.create_namespaced_secret(NAMESPACE, {"metadata": {"name": f"s{number}"}, "stringData": {"a": "b"}})
    names, token = [], None
    while token != "":
        page = v1.list_namespaced_secret(NAMESPACE, limit=2, _continue=token or "")
        names += [item.metadata.name for item in page.items]
        token = page.metadata._continue or ""
    assert names == [f"s{number}" for number in range(5)], names
    v1.delete_collection_namespaced_secret(NAMESPACE)
    assert v1.list_namespaced_secret(NAMESPACE).items == []


def dynamically(api: client.ApiClient) -> None:
    deployments = dynamic.DynamicClient(api).resources.get(api_version="apps/v1", kind="Deployment")
    assert deployments.create(body=DEPLOYMENT, namespace=NAMESPACE).spec.replicas == 1
    applied = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"replicas": 2}}
    done = deployments.server_side_apply(
        body=applied, name="d", namespace=NAMESPACE, field_manager="me", force_conflicts=True
    )
    assert done.spec.replicas == 2
    container = {"name": "c", "env": [{"name": "X", "value": "y"}]}
    patched = deployments.patch(
        body={"spec": {"template": {"spec": {"containers": [container]}}}},
        name="d",
        namespace=NAMESPACE,
        content_type="application/strategic-merge-patch+json",
    )
    assert patched.spec.template.spec.containers[0].image == "nginx"
    for event in deployments.watch(namespace=NAMESPACE, timeout=240):
        ready = (event["object"].status or {}).get("readyReplicas")
        if ready == 2:
            break
    else:
        raise AssertionError("the watch ended before two pods were ready")
    deployments.delete(name="d", namespace=NAMESPACE)


def inside(v1: client.CoreV1Api) -> None:
    """exec, logs and port-forward."""
    v1.create_namespaced_pod(NAMESPACE, POD)
    until("a running pod", lambda: v1.read_namespaced_pod("p", NAMESPACE).status.phase == "Running")
    exec_ = v1.connect_get_namespaced_pod_exec
    said = stream(exec_, "p", NAMESPACE, command=["echo", "hi"], stdout=True, stderr=True, stdin=False, tty=False)
    assert said == "hi\n", said
    until("the server's line", lambda: "Configuration complete" in v1.read_namespaced_pod_log("p", NAMESPACE))
    forwarded = portforward(v1.connect_get_namespaced_pod_portforward, "p", NAMESPACE, ports="80")
    socket = forwarded.socket(80)
    socket.settimeout(240)
    socket.sendall(b"GET / HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n")
    assert socket.recv(1024).startswith(b"HTTP/1.1 200 OK")
    assert forwarded.error(80) is None
    v1.delete_namespaced_pod("p", NAMESPACE, grace_period_seconds=0)


def elected() -> None:
    led = threading.Event()
    setting = electionconfig.Config(
        LeaseLock("election", NAMESPACE, "me"),
        lease_duration=60,
        renew_deadline=40,
        retry_period=1,
        onstarted_leading=led.set,
        onstopped_leading=lambda: None,
    )
    threading.Thread(target=leaderelection.LeaderElection(setting).run, daemon=True).start()
    assert led.wait(240), "nobody leads"
    lease = client.CoordinationV1Api().read_namespaced_lease("election", NAMESPACE)
    assert lease.spec.holder_identity == "me"


def main() -> None:
    warnings.simplefilter("ignore", ResourceWarning)
    config.load_kube_config()
    v1 = client.CoreV1Api()
    assert {node.metadata.name for node in v1.list_node().items} >= {"m-k8s", "w1-k8s"}
    assert client.VersionApi().get_code().git_version == "v1.37.2"
    v1.create_namespace({"metadata": {"name": NAMESPACE}})
    watched(v1)
    paged(v1)
    dynamically(client.ApiClient())
    inside(v1)
    elected()
    v1.delete_namespace(NAMESPACE)


main()
