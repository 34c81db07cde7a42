"""The autoscaler in closed loop with a load: how replicas follow what is asked of them, as a curve.

``python -m seatrial.scenarios.autoscaling > docs/autoscaling.svg`` draws it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import orjson

from seatrial.sim.apiserver.request import Request
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec
from seatrial.sim.machinery.quantity import parse

MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: php-apache}
spec:
  selector: {matchLabels: {run: php-apache}}
  template:
    metadata: {labels: {run: php-apache}}
    spec:
      containers:
      - name: php-apache
        image: registry.k8s.io/hpa-example
        ports: [{containerPort: 80}]
        resources: {limits: {cpu: 500m}, requests: {cpu: 20m}}
---
apiVersion: v1
kind: Service
metadata: {name: php-apache}
spec: {type: NodePort, selector: {run: php-apache}, ports: [{port: 80, nodePort: 30080}]}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: php-apache}
spec:
  minReplicas: 1
  maxReplicas: 10
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: php-apache}
  metrics:
  - {type: Resource, resource: {name: cpu, target: {type: AverageValue, averageValue: 50m}}}
"""
URL = "http://192.168.1.101:30080/"
BUSY, CALM = 7.25, 1.5
"""Requests per second: 40 ms of CPU each make 290m and 60m."""
STEP_S, QUIET_S, BUSY_S, CALM_S = 5, 90, 240, 420


class Sample(NamedTuple):
    """One moment."""

    at_s: int
    replicas: int
    ready: int
    cpu_m: int
    """Of all pods together, as the metrics server says."""
    rate: float
    """Requests per second."""


def play(seed: int = 7) -> list[Sample]:
    """A minute and a half of quiet, four busy minutes, seven calm ones."""
    cluster = Cluster(ClusterSpec(nodes=1), seed=seed)
    cluster.settle()
    cluster.apply(MANIFEST)
    cluster.advance("30s")
    begun = cluster.now
    found: list[Sample] = []

    def watch(seconds: int, rate: float) -> None:
        for _ in range(seconds // STEP_S):
            cluster.advance(f"{STEP_S}s")
            found.append(sample(cluster, (cluster.now - begun) // 1_000_000, rate))

    watch(QUIET_S, 0)
    cluster.add_load({"kind": "constant", "url": URL, "level": BUSY}, name="busy", lasts=f"{BUSY_S}s")
    watch(BUSY_S, BUSY)
    cluster.add_load({"kind": "constant", "url": URL, "level": CALM}, name="calm", lasts=f"{CALM_S}s")
    watch(CALM_S, CALM)
    return found


def sample(cluster: Cluster, at_s: int, rate: float) -> Sample:
    """The state of the deployment now."""
    deployment = cluster.get("deployment", "php-apache")
    answer = cluster.request(Request("GET", "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods"))
    body: Any = answer.body if isinstance(answer.body, dict) else orjson.loads(answer.body or b"{}")
    usages = [
        parse(each["usage"]["cpu"]).milli_value() for item in body.get("items", ()) for each in item["containers"]
    ]
    ready = int(deployment["status"].get("readyReplicas", 0))
    return Sample(at_s, int(deployment["spec"]["replicas"]), ready, sum(usages), rate)


def sizes(samples: list[Sample]) -> list[tuple[int, int]]:
    """(when in seconds, replicas) of each change of size."""
    changes = [(samples[0].at_s, samples[0].replicas)]
    for each in samples:
        if each.replicas != changes[-1][1]:
            changes.append((each.at_s, each.replicas))
    return changes


# The drawing

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 900, 360, 56, 44, 40
TITLE = "HorizontalPodAutoscaler at 50m per pod, under a load of 290m, then 60m"
COLOURS = {"replicas": "#0072b2", "cpu": "#d55e00", "load": "#999999"}


def svg(samples: list[Sample]) -> str:
    """The curve of replicas over the CPU that is used and asked for."""
    return "\n".join(_lines(samples)) + "\n"


def _lines(samples: list[Sample]) -> Iterator[str]:
    last = samples[-1].at_s
    inner_width, inner_height = WIDTH - LEFT - 56, HEIGHT - BOTTOM - TOP
    top_cpu, top_replicas = 350, 7

    def x(at_s: float) -> float:
        return round(LEFT + inner_width * at_s / last, 1)

    def y(share: float) -> float:
        return round(HEIGHT - BOTTOM - inner_height * share, 1)

    def steps(value: Callable[[Sample], float], top: float) -> str:
        points, before = [], y(value(samples[0]) / top)
        for each in samples:
            now = y(value(each) / top)
            if now != before:
                points.append(f"{x(each.at_s)},{before}")
            points.append(f"{x(each.at_s)},{now}")
            before = now
        return " ".join(points)

    size = f'viewBox="0 0 {WIDTH} {HEIGHT}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    yield f'<text x="{LEFT}" y="20" font-size="14">{TITLE}</text>'
    for minute in range(0, last // 60 + 1, 2):
        at = x(minute * 60)
        yield f'<line x1="{at}" y1="{TOP}" x2="{at}" y2="{HEIGHT - BOTTOM}" stroke="#eeeeee"/>'
        yield f'<text x="{at}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{minute} min</text>'
    for count in range(top_replicas + 1):
        at = y(count / top_replicas)
        yield f'<line x1="{LEFT}" y1="{at}" x2="{LEFT + inner_width}" y2="{at}" stroke="#eeeeee"/>'
        yield f'<text x="{LEFT - 8}" y="{at + 4}" text-anchor="end" fill="{COLOURS["replicas"]}">{count}</text>'
        label = f"{count * top_cpu // top_replicas}m"
        yield f'<text x="{LEFT + inner_width + 8}" y="{at + 4}" fill="{COLOURS["cpu"]}">{label}</text>'
    for name, points in (
        ("load", steps(lambda each: each.rate * 40, top_cpu)),
        ("cpu", steps(lambda each: each.cpu_m, top_cpu)),
        ("replicas", steps(lambda each: each.replicas, top_replicas)),
    ):
        dash = ' stroke-dasharray="4 3"' if name == "load" else ""
        yield f'<polyline fill="none" stroke="{COLOURS[name]}" stroke-width="2"{dash} points="{points}"/>'
    legend = (
        ("replicas", "replicas (left)"),
        ("cpu", "CPU by kubectl top (right)"),
        ("load", "CPU of the load (right)"),
    )
    for index, (name, label) in enumerate(legend):
        at = LEFT + index * 220
        yield f'<rect x="{at}" y="{HEIGHT - 16}" width="14" height="4" fill="{COLOURS[name]}"/>'
        yield f'<text x="{at + 20}" y="{HEIGHT - 10}">{label}</text>'
    yield "</svg>"


if __name__ == "__main__":
    print(svg(play()), end="")
