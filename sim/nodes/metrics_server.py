"""The metrics server: what pods and nodes use, as metrics.k8s.io/v1beta1 tells kubectl top and the autoscaler.

It asks every kubelet once per resolution and answers with the rate between the last two readings. While nobody asks
it, it does not ask either; the first answer after such a pause is made of what the kubelets say of the moment.

Source: sigs.k8s.io/metrics-server (pkg/scraper, pkg/storage, pkg/api). *Not modelled*: the time that a reading takes;
the machine it runs on (kubelets are reached from the control plane's); tables; label and field selectors beyond what
lists of pods know. After a pause, an average over the last window and the figure of the moment can differ.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote

import orjson

from seatrial.sim.apiserver.client import Client
from seatrial.sim.apiserver.informer import Informer
from seatrial.sim.apiserver.request import Object, User
from seatrial.sim.apiserver.wiring import Wiring
from seatrial.sim.config import S
from seatrial.sim.kernel.clock import Process, parse_stamp, stamp_of
from seatrial.sim.machinery import errors, field_selectors, selectors
from seatrial.sim.machinery.quantity import BINARY_SI, DECIMAL_SI, NANO, Quantity

GROUP, VERSION = "metrics.k8s.io", "v1beta1"
API_VERSION = f"{GROUP}/{VERSION}"
ROOT = f"/apis/{API_VERSION}"
RESOLUTION_US = 60 * S
"""--metric-resolution without the flag."""
FRESH_US = 10 * S
"""How long a container must have run before it is measured from its start on (freshContainerMinMetricsResolution)."""
PATIENCE_US = 120 * S
"""For so long after the last question the kubelets are asked on."""
Key = tuple[str, ...]
Answer = tuple[int, Mapping[str, Any]]


class Reading(NamedTuple):
    """What a kubelet said of a container, or of its machine."""

    at: int
    """µs."""
    cpu_ns: int
    """Since the start."""
    memory: int
    """Working set in bytes."""
    rate: int
    """Nanocores at that moment."""
    started: int = 0


class Sample(NamedTuple):
    at: int
    window_us: int
    nanocores: int
    memory: int


def resolution_of(argv: Iterable[str]) -> int:
    """--metric-resolution of a command line in µs."""
    for word in argv:
        name, _, value = word.lstrip("-").partition("=")
        if name == "metric-resolution" and value.endswith("s") and value[:-1].isdigit():
            return int(value[:-1]) * S
    return RESOLUTION_US


class MetricsServer:
    """One pod of it; starts and ends with its container."""

    def __init__(self, wiring: Wiring, instance: str, host: str, user: User, resolution_us: int) -> None:
        self._wiring, self._clock = wiring, wiring.clock
        self.name, self.host = f"metrics-server/{instance}", host
        self._resolution_us = resolution_us
        self._client = Client(wiring, host, user, "metrics-server/v0.8.0")
        self._processes: list[Process] = []
        self.running = False
        self._begun = 0
        self._forget()

    def _forget(self) -> None:
        self._last: dict[Key, Reading] = {}
        self._before: dict[Key, Reading] = {}
        self._read_at: int | None = None
        self._asked_at: int | None = None

    def start(self) -> None:
        if self.running:
            return
        self.running, self._begun = True, self._clock.now
        self._forget()
        kinds = self._wiring.kinds
        self._pods = Informer(self._wiring, self._client, kinds.resource("pods"), heedless=True)
        self._nodes = Informer(self._wiring, self._client, kinds.resource("nodes"), heedless=True)
        for name, steps in (("pods", self._pods.run()), ("nodes", self._nodes.run()), ("readings", self._rhythm())):
            self._processes.append(self._clock.spawn(steps, f"{self.name}/{name}"))

    def stop(self) -> None:
        if self.running:
            self.running = False
            for process in self._processes:
                process.kill()
            self._processes = []

    def busy(self) -> list[str]:
        return []

    @property
    def ready(self) -> bool:
        """Two readings have been possible (/readyz: metric-storage-ready, metadata-informer-sync)."""
        return self.running and self._measures and self._pods.synced and self._nodes.synced

    @property
    def _measures(self) -> bool:
        return self._clock.now >= self._begun + self._resolution_us

    # readings

    def _rhythm(self) -> Generator[Any, Any, None]:
        while True:
            yield self._clock.sleep(self._resolution_us, periodic=True)
            if self._asked_at is not None and self._clock.now - self._asked_at <= PATIENCE_US:
                self._before = self._last
                self._read()

    def _read(self) -> None:
        """Asks every kubelet; those that cannot be reached are left out."""
        self._last, self._read_at = {}, self._clock.now
        for node in self._nodes.view.list():
            name = node["metadata"]["name"]
            try:
                answer = self._wiring.kubelets.dial(name).get("/stats/summary", {})
            except OSError:
                continue
            self._last.update(readings(name, orjson.loads(answer.body), self._clock.now))

    def _catch_up(self) -> None:
        """After a pause: what the kubelets say now, as if it had been so for a whole window."""
        now, window = self._clock.now, self._resolution_us
        self._asked_at = now
        if not self._measures or (self._read_at is not None and now - self._read_at <= window):
            return
        self._read()
        self._before = {
            key: each._replace(at=now - window, cpu_ns=each.cpu_ns - each.rate * window // S)
            for key, each in self._last.items()
            if each.started <= now - window
        }

    def _sample(self, key: Key) -> Sample | None:
        last, before = self._last.get(key), self._before.get(key)
        if last is None:
            return None
        if before is None or before.cpu_ns > last.cpu_ns or before.started != last.started:
            if not last.started or last.at - last.started < FRESH_US:
                return None
            before = last._replace(at=last.started, cpu_ns=0)
        window = last.at - before.at
        if window <= 0:
            return None
        return Sample(last.at, window, (last.cpu_ns - before.cpu_ns) * S // window, last.memory)

    # answers

    def answer(self, method: str, target: str) -> Answer:
        """Status code and body for a path with its query. Raises PlainError 404."""
        path, _, query = target.partition("?")
        if path.rstrip("/") == ROOT:
            return 200, RESOURCES
        parts = [unquote(part) for part in path.removeprefix(ROOT).split("/") if part]
        if not path.startswith(ROOT + "/") or method != "GET":
            raise errors.PlainError(404, "404 page not found\n")
        self._catch_up()
        given = parse_qs(query)
        namespace, rest = (parts[1], parts[2:]) if parts[0] == "namespaces" and len(parts) > 2 else ("", parts)
        shape = SHAPES.get(rest[0])
        if shape is None or len(rest) > 2 or (namespace and rest[0] == "nodes"):
            raise errors.PlainError(404, "404 page not found\n")
        if len(rest) == 2:
            return self._one(shape, namespace, rest[1])
        matches = selectors.labels(given.get("labelSelector", [""])[0])
        resource = self._wiring.kinds.resource(rest[0])
        chosen = field_selectors.fields(given.get("fieldSelector", [""])[0], resource)
        view = self._nodes.view if rest[0] == "nodes" else self._pods.view
        found = (view.list(namespace) if namespace else view.list()) if rest[0] == "pods" else view.list()
        items = [
            measured
            for obj in found
            if matches(obj["metadata"].get("labels") or {}) and chosen(obj)
            if (measured := shape.measure(self, obj)) is not None
        ]
        items.sort(key=lambda each: (each["metadata"].get("namespace", ""), each["metadata"]["name"]))
        return 200, {"kind": f"{shape.kind}List", "apiVersion": API_VERSION, "metadata": {}, "items": items}

    def _one(self, shape: Shape, namespace: str, name: str) -> Answer:
        view = self._pods.view if namespace else self._nodes.view
        obj = view.get(namespace, name)
        measured = None if obj is None else shape.measure(self, obj)
        if measured is not None:
            return 200, {"kind": shape.kind, "apiVersion": API_VERSION, **measured}
        missing = errors.not_found(GROUP, shape.kind.lower(), f"{namespace}/{name}" if namespace else name)
        return 404, missing.status()

    def node(self, obj: Object) -> dict[str, Any] | None:
        """A node's metrics; None while there are none."""
        sample = self._sample((obj["metadata"]["name"],))
        if sample is None:
            return None
        return {**self._head(obj, sample), "usage": _usage(sample)}

    def pod(self, obj: Object) -> dict[str, Any] | None:
        """A pod's metrics; None while one of its running containers has none."""
        metadata = obj["metadata"]
        if (obj.get("status") or {}).get("phase") != "Running":
            return None
        containers, samples = [], []
        for container in _running(obj):
            sample = self._sample((metadata["namespace"], metadata["name"], container))
            if sample is None:
                return None
            samples.append(sample)
            containers.append({"name": container, "usage": _usage(sample)})
        if not samples:
            return None
        earliest = min(samples, key=lambda each: each.at)
        return {**self._head(obj, earliest), "containers": containers}

    def _head(self, obj: Object, sample: Sample) -> dict[str, Any]:
        source = obj["metadata"]
        metadata = {"name": source["name"]}
        if source.get("namespace"):
            metadata["namespace"] = source["namespace"]
        metadata["creationTimestamp"] = self._clock.stamp()
        if source.get("labels"):
            metadata["labels"] = source["labels"]
        return {"metadata": metadata, "timestamp": stamp_of(sample.at), "window": _duration(sample.window_us)}


class Shape(NamedTuple):
    """What a resource of the group looks like."""

    kind: str
    measure: Callable[[MetricsServer, Object], dict[str, Any] | None]


SHAPES = {"nodes": Shape("NodeMetrics", MetricsServer.node), "pods": Shape("PodMetrics", MetricsServer.pod)}
RESOURCES: Mapping[str, Any] = {
    "kind": "APIResourceList",
    "apiVersion": "v1",
    "groupVersion": API_VERSION,
    "resources": [
        {
            "name": name,
            "singularName": "",
            "namespaced": name == "pods",
            "kind": shape.kind,
            "verbs": ["get", "list"],
        }
        for name, shape in SHAPES.items()
    ],
}


def readings(node: str, summary: Mapping[str, Any], now: int) -> dict[Key, Reading]:
    """What a kubelet's summary says: by node, and by namespace, pod and container."""
    found: dict[Key, Reading] = {(node,): _reading(summary["node"], now)}
    for pod in summary["pods"]:
        about = pod["podRef"]
        for container in pod["containers"]:
            found[about["namespace"], about["name"], container["name"]] = _reading(container, now)
    return found


def _reading(stats: Mapping[str, Any], now: int) -> Reading:
    cpu = stats["cpu"]
    total, rate, memory = cpu["usageCoreNanoSeconds"], cpu["usageNanoCores"], stats["memory"]["workingSetBytes"]
    return Reading(now, total, memory, rate, parse_stamp(stats["startTime"]))


def _running(pod: Object) -> list[str]:
    """Containers that run, sidecars among them."""
    status = pod["status"]
    fields = ("containerStatuses", "initContainerStatuses")
    return [each["name"] for key in fields for each in status.get(key) or () if "running" in (each.get("state") or {})]


def _usage(sample: Sample) -> dict[str, str]:
    return {
        "cpu": str(Quantity(sample.nanocores, DECIMAL_SI)),
        "memory": str(Quantity(sample.memory * NANO, BINARY_SI)),
    }


def _duration(us: int) -> str:
    """A Go duration: 15s, 1m0s, 14.523s."""
    minutes, rest = divmod(us, 60 * S)
    milliseconds = rest // 1000
    seconds = f"{milliseconds / 1000:.3f}".rstrip("0").rstrip(".")
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
