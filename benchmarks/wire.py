"""Requests over HTTPS, measured as one would measure any API server: one client process, kept-alive connections.

The aims are what a real control plane (etcd, kube-apiserver v1.37.2) did on two cores with the same client.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.harness import Figure, best_s
from benchmarks.server import Server, call, running
from benchmarks.start import resident_mb

PODS, WATCHERS, CHANGES = 10_000, 100, 500
MAPS = "/api/v1/namespaces/default/configmaps"
POD_PATH = "/api/v1/namespaces/default/pods"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
Connection = http.client.HTTPSConnection


def config_map(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "v" * 100}}


def pod(name: str) -> dict[str, Any]:
    container = {
        "name": "c",
        "image": "nginx:1",
        "ports": [{"containerPort": 80}],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
    }
    metadata = {"name": name, "labels": {"app": "bench", "i": name}}
    spec = {"containers": [container], "automountServiceAccountToken": False}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def spread(server: Server, count: int, workers: int, work: Callable[[Connection, int], Any]) -> float:
    """Requests per second of several connections that share ``count`` requests."""
    numbers, lock, broken = iter(range(count)), threading.Lock(), []

    def run() -> None:
        connection = server.connect()
        while True:
            with lock:
                index = next(numbers, None)
            if index is None:
                return
            try:
                work(connection, index)
            except RuntimeError as problem:
                broken.append(problem)
                return

    threads = [threading.Thread(target=run) for _ in range(workers)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if broken:
        raise broken[0]
    return count / (time.perf_counter() - began)


def measure() -> Iterator[Figure]:
    with running("--nodes", "0", "--controllers", "none") as server:
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        call(server.connect(), "POST", "/api/v1/namespaces/default/serviceaccounts", account)
        yield from _single(server)
        yield from _lists(server)
        yield Figure("deliveries to 100 watchers", _deliveries(server), "/s", 13_500)
        yield Figure("memory with 10,000 pods", resident_mb(server), "MB", 400, True)


def _single(server: Server) -> Iterator[Figure]:
    patch = {"status": {"phase": "Running", "podIP": "10.1.2.3", "conditions": [{"type": "Ready", "status": "True"}]}}
    strategic = "application/strategic-merge-patch+json"
    rows: tuple[tuple[str, int, int, float, Callable[[Connection, int], Any]], ...] = (
        ("create configmap, 1 connection", 1000, 1, 558, lambda c, i: call(c, "POST", MAPS, config_map(f"a{i}"))),
        ("get configmap, 1 connection", 1000, 1, 967, lambda c, i: call(c, "GET", f"{MAPS}/a{i}")),
        ("get configmap, 8 connections", 3000, 8, 2743, lambda c, i: call(c, "GET", f"{MAPS}/a{i % 1000}")),
        ("create pods, 8 connections", PODS, 8, 852, lambda c, i: call(c, "POST", POD_PATH, pod(f"p{i:06d}"))),
        (
            "patch pod status, 8 connections",
            2000,
            8,
            670,
            lambda c, i: call(c, "PATCH", f"{POD_PATH}/p{i:06d}/status", patch, content_type=strategic),
        ),
    )
    for name, count, workers, aim, work in rows:
        yield Figure(name, spread(server, count, workers, work), "/s", aim)


def _lists(server: Server) -> Iterator[Figure]:
    connection = server.connect()
    for name, aim, path, accept in (
        ("list 10,000 pods", 0.21, POD_PATH, "application/json"),
        ("list 10,000 pods as a table", 0.15, POD_PATH, TABLE),
        ("list 1 of 10,000 by label", None, f"{POD_PATH}?labelSelector=i%3Dp000007", "application/json"),
    ):
        seconds = best_s(3, lambda path=path, accept=accept: call(connection, "GET", path, accept=accept))  # type: ignore[misc]
        yield Figure(name, seconds, "s", aim, True)
    yield Figure("list 10,000 pods in pages of 500", best_s(1, lambda: _pages(connection)), "s", 0.66, True)


def _pages(connection: Connection) -> None:
    token = ""
    while True:
        page = json.loads(call(connection, "GET", f"{POD_PATH}?limit=500&continue={token}"))
        token = page["metadata"].get("continue", "")
        if not token:
            return


def _deliveries(server: Server) -> float:
    connection = server.connect()
    version = json.loads(call(connection, "GET", f"{MAPS}?limit=1"))["metadata"]["resourceVersion"]
    got = [0] * WATCHERS

    def watch(index: int) -> None:
        own = server.connect()
        own.request("GET", f"{MAPS}?watch=1&resourceVersion={version}&timeoutSeconds=300")
        response = own.getresponse()
        while got[index] < CHANGES and response.readline():
            got[index] += 1

    threads = [threading.Thread(target=watch, args=(index,), daemon=True) for index in range(WATCHERS)]
    for thread in threads:
        thread.start()
    time.sleep(2)
    began = time.perf_counter()
    merge = "application/merge-patch+json"
    for index in range(CHANGES):
        call(connection, "PATCH", f"{MAPS}/a{index}", {"data": {"n": str(index)}}, content_type=merge)
    for thread in threads:
        thread.join(120)
    return sum(got) / (time.perf_counter() - began)
