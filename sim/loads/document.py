"""The kinds of loads as a page for people: docs/loads.md.

``python -m seatrial.sim.loads.document`` prints it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from seatrial.sim.loads.load import KINDS, Load
from seatrial.sim.machinery.values import parameters

HEAD = """# Loads

A load asks a URL of the cluster again and again, and measures. It is a value, as in
`{"kind": "constant", "url": "http://web", "level": 100, "origin": "pod/default/client"}`; it may begin later and last
for a while, and each is known by its name.

```python
name = cluster.add_load({"kind": "ramp", "url": "http://web.shop", "end": 200, "over_s": 60}, lasts="5m")
cluster.advance("5m")
cluster.loads.show(name)["series"]
```

With a live cluster: `seatrial load add|list|show|remove`, or `/seatrial/v1/loads`.

The requests walk the very tables that every other connection of the cluster walks: name servers, kube-proxy's rules,
network policies, links, the ingress controller. Requests that are alike walk together and part where chance parts them,
so that a thousand requests per second cost as much as there are different ways for them to go.

What they do to the containers that answer follows from the image catalogue's cost per request, or from annotations of
the pod: `workload.seatrial.dev/cpu-per-request: 10ms`, `…/memory-per-request: 1Mi`, `…/queue: "511"`. A container works
at its CPU limit, or with all of its machine's cores; what comes faster waits, takes memory while it waits, and makes
latencies grow. So loads move `kubectl top`, the autoscaler, the OOM killer and the eviction of pods.

## The level

In an *open* loop the level is requests per second, whatever becomes of them (vegeta, `hey -q`). In a *closed* loop it
is users: each asks, waits for the answer or for `timeout_ms`, thinks for `think_ms` and asks again (wrk, a loop around
`wget`). An open loop beyond the capacity piles up; a closed one slows down.

## What is measured

`loads.show(name)` has a `total` and a `series`, a row per `interval_s` (the interval doubles when there would be more
than 2,000 rows): `sent`, `rate` (sent per second), `ok`, `failed`, `errors` by kind, `latencyMs` with p50, p90, p95,
p99, max and mean of what was answered. Requests count as sent when they leave and as answered when the answer is there.

| error | what its client saw |
|---|---|
| `dns` | the name does not exist, or no name server answered |
| `no-endpoints` | refused by the packet filter: the service has no ready endpoint |
| `refused` | nothing listens on the port |
| `timeout` | no answer in time: packets are lost, a machine is off, a policy drops, the queue is full or too long |
| `unreachable` | no route to the host: no pod has the address (any more) |
| `reset` | the container ended before it had answered |
| `5xx`, `4xx` | an answer with such a status |
| `no-origin` | who was to ask is not there: the pod does not run |

A change in the cluster is noticed at the load's next step, at most a second later. Not modelled: connections that are
kept for the next request, so that a load spreads over new endpoints at once; containers that compete for a machine's
cores; an access log's line for each single request.

## An example: the autoscaler

A load of 290m on an autoscaler with 50m per pod: from one pod to four, to six, and after the load has gone down to 60m
five minutes of waiting before it scales in (`seatrial.scenarios.autoscaling` plays and draws it).

![replicas and CPU over time](autoscaling.svg)

This page is made from the kinds of loads: `python -m seatrial.sim.loads.document > docs/loads.md`.
"""


def described(kind: type[Load]) -> dict[str, Any]:
    """A kind for people and programs: its shape, and its parameters."""
    about = " ".join((kind.__doc__ or "").split())
    return {"kind": kind.kind, "about": about, "parameters": parameters(kind)}


def markdown() -> str:
    """The page."""
    return "\n".join([HEAD, *_lines()])


def _lines() -> Iterator[str]:
    yield "## Parameters of all\n"
    yield "| parameter | meaning | default |"
    yield "|---|---|---|"
    common = Load.model_fields
    shared = described(KINDS["constant"])["parameters"]
    yield from (
        f"| `{name}` | {row['description']} | {_default(row)} |" for name, row in shared.items() if name in common
    )
    yield "\n## Shapes\n"
    yield "| load | how its level changes | parameters |"
    yield "|---|---|---|"
    for kind in KINDS.values():
        row = described(kind)
        own = [(name, each) for name, each in row["parameters"].items() if name not in common]
        parameters = "<br>".join(_parameter(name, each) for name, each in own)
        yield f"| `{row['kind']}` | {row['about']} | {parameters} |"
    yield ""


def _default(row: dict[str, Any]) -> str:
    default = row.get("default")
    return "" if default in (None, "", []) else str(default)


def _parameter(name: str, row: dict[str, Any]) -> str:
    default = _default(row)
    known = "" if not default or row["required"] else f" (default {default})"
    return f"`{name}`: {row.get('description', '')}{known}"


if __name__ == "__main__":
    print(markdown(), end="")
