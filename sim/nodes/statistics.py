"""What a kubelet tells of its pods' consumption: /stats/summary, /metrics/resource, /pods; the table of its pages.

Source: k8s.io/kubelet/pkg/apis/stats/v1alpha1, k8s.io/kubernetes/pkg/kubelet/metrics/collectors/resource_metrics.go,
github.com/google/cadvisor. Figures are computed when somebody asks. Not modelled: file system and network counters of
the node beyond zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from seatrial.sim.kernel.clock import stamp_of
from seatrial.sim.machinery.metrics import TEXT
from seatrial.sim.nodes import metrics
from seatrial.sim.nodes.cri import RUNNING
from seatrial.sim.nodes.spec import cpu_shares

if TYPE_CHECKING:
    from seatrial.sim.nodes.kubelet import Kubelet

JSON = "application/json"
NODE_CPU_NANO, NODE_MEMORY = 60_000_000, 350 * 1024 * 1024
"""What a node's own processes take beside the pods."""
PAGE = 4096
"""Bytes; a cgroup counts whole pages."""


class Consumer(NamedTuple):
    namespace: str
    pod: str
    uid: str
    container: str
    container_id: str
    image: str
    started_us: int
    cpu_nano: int
    memory: int
    cpu_total_ns: int
    age_us: int
    ooms: int
    """How often a container of this name ended for want of memory."""
    cpu_limit_milli: int
    """0: none."""
    cpu_shares: int
    memory_limit: int
    """0: none."""


def consumers(kubelet: Kubelet) -> Iterator[Consumer]:
    """Every running container with what it uses now."""
    for uid, worker in kubelet.workers.items():
        metadata, records = worker.pod["metadata"], kubelet.runtime.record(uid).containers
        for record in reversed(records):
            live = kubelet.runtime.live.get(record.id)
            if record.state != RUNNING or live is None or live.process is None:
                continue
            cpu, memory = live.process.usage()
            memory = -(-memory // PAGE) * PAGE
            yield Consumer(
                metadata["namespace"],
                metadata["name"],
                uid,
                record.name,
                record.id,
                record.image,
                record.started_us,
                cpu,
                memory,
                live.process.cpu_total_ns(),
                kubelet.clock.now - record.started_us,
                sum(each.reason == "OOMKilled" and each.name == record.name for each in records),
                (live.config.cpu_limit or 0) // 1_000_000,
                cpu_shares(record.resources),
                live.config.memory_limit or 0,
            )


def _usage(now: int, cpu_nano: int, memory: int, total_ns: int) -> dict[str, Any]:
    stamp = stamp_of(now)
    return {
        "cpu": {"time": stamp, "usageNanoCores": cpu_nano, "usageCoreNanoSeconds": total_ns},
        "memory": {
            "time": stamp,
            "usageBytes": memory,
            "workingSetBytes": memory,
            "rssBytes": memory * 9 // 10,
            "pageFaults": 0,
            "majorPageFaults": 0,
        },
    }


def summary(kubelet: Kubelet) -> tuple[str, bytes]:
    """/stats/summary."""
    now = kubelet.clock.now
    pods: dict[str, dict[str, Any]] = {}
    sums: dict[str, list[int]] = {}
    for used in consumers(kubelet):
        pod = pods.setdefault(
            used.uid,
            {
                "podRef": {"name": used.pod, "namespace": used.namespace, "uid": used.uid},
                "startTime": stamp_of(used.started_us),
                "containers": [],
            },
        )
        usage = _usage(now, used.cpu_nano, used.memory, used.cpu_total_ns)
        pod["containers"].append({"name": used.container, "startTime": stamp_of(used.started_us), **usage})
        total = sums.setdefault(used.uid, [0, 0, 0])
        for index, value in enumerate((used.cpu_nano, used.memory, used.cpu_total_ns)):
            total[index] += value
    node = [NODE_CPU_NANO, NODE_MEMORY, NODE_CPU_NANO * max(now - kubelet.begun_us, 0) // 1_000_000]
    for uid, total in sums.items():
        pods[uid].update(_usage(now, *total))
        node = [a + b for a, b in zip(node, total, strict=True)]
    body = {
        "node": {
            "nodeName": kubelet.node_name,
            "systemContainers": [],
            "startTime": stamp_of(kubelet.begun_us),
            **_usage(now, *node),
        },
        "pods": list(pods.values()),
    }
    return JSON, orjson.dumps(body)


def _series(name: str, kind: str, about: str, rows: list[tuple[Mapping[str, str], Any]]) -> str:
    lines = [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]
    for labels, value in rows:
        inside = ",".join(f'{key}="{text}"' for key, text in labels.items())
        lines.append(f"{name}{{{inside}}} {value}" if inside else f"{name} {value}")
    return "\n".join(lines) + "\n"


def resource(kubelet: Kubelet) -> tuple[str, bytes]:
    """/metrics/resource, what the metrics server reads."""
    now_ms = kubelet.clock.now // 1000
    found = list(consumers(kubelet))
    node_ns = NODE_CPU_NANO * max(kubelet.clock.now - kubelet.begun_us, 0) // 1_000_000
    node_ns += sum(used.cpu_total_ns for used in found)
    node_memory = NODE_MEMORY + sum(used.memory for used in found)

    def rows(value: Callable[[Consumer], Any]) -> list[tuple[Mapping[str, str], Any]]:
        return [
            ({"container": used.container, "namespace": used.namespace, "pod": used.pod}, f"{value(used)} {now_ms}")
            for used in found
        ]

    text = _series(
        "container_cpu_usage_seconds_total",
        "counter",
        "[STABLE] Cumulative cpu time consumed by the container in core-seconds",
        rows(lambda used: used.cpu_total_ns / 1e9),
    )
    text += _series(
        "container_memory_working_set_bytes",
        "gauge",
        "[STABLE] Current working set of the container in bytes",
        rows(lambda used: used.memory),
    )
    text += _series(
        "container_start_time_seconds",
        "gauge",
        "[STABLE] Start time of the container since unix epoch in seconds",
        rows(lambda used: used.started_us / 1e6),
    )
    text += _series(
        "node_cpu_usage_seconds_total",
        "counter",
        "[STABLE] Cumulative cpu time consumed by the node in core-seconds",
        [({}, f"{node_ns / 1e9} {now_ms}")],
    )
    text += _series(
        "node_memory_working_set_bytes",
        "gauge",
        "[STABLE] Current working set of the node in bytes",
        [({}, f"{node_memory} {now_ms}")],
    )
    return TEXT, text.encode()


def cadvisor(kubelet: Kubelet) -> tuple[str, bytes]:
    """/metrics/cadvisor."""
    return TEXT, metrics.cadvisor(kubelet, consumers(kubelet))


def pods(kubelet: Kubelet) -> tuple[str, bytes]:
    """/pods: what the kubelet believes of its pods."""
    items = [{**worker.pod, "status": worker.status} for worker in kubelet.workers.values()]
    return JSON, orjson.dumps({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})


def healthy(kubelet: Kubelet) -> tuple[str, bytes]:
    return "text/plain; charset=utf-8", b"ok"


PAGES: Mapping[str, Callable[[Kubelet], tuple[str, bytes]]] = {
    "/stats/summary": summary,
    "/metrics": metrics.metrics,
    "/metrics/probes": metrics.probes,
    "/metrics/resource": resource,
    "/metrics/cadvisor": cadvisor,
    "/pods": pods,
    "/healthz": healthy,
}
