"""The catalogue as a page for people: docs/faults.md.

``python -m seatrial.sim.faults.document`` prints it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from seatrial.sim.faults.catalogue import CATALOGUE, described
from seatrial.sim.faults.containers import CONTAINERS
from seatrial.sim.faults.control import CONTROL
from seatrial.sim.faults.links import LINKS
from seatrial.sim.faults.machines import MACHINES
from seatrial.sim.faults.processes import PROCESSES
from seatrial.sim.faults.volumes import VOLUMES

GROUPS = (
    ("Machines", MACHINES),
    ("Control plane", CONTROL),
    ("Processes and what they see", PROCESSES),
    ("Network", LINKS),
    ("Containers and images", CONTAINERS),
    ("Volumes", VOLUMES),
)
HEAD = """# Faults

Everything that can break in a cluster, and what is seen of it. A fault is a value, as in
`{"kind": "node-crash", "node": "w1-k8s"}`; it may begin later and last for a while, and each is taken back by its name.

```python
name = cluster.add_fault({"kind": "node-crash", "node": "w1-k8s"}, lasts="10m")
cluster.remove_fault(name)
```

With a live cluster:

    seatrial fault kinds
    seatrial fault describe node-crash
    seatrial fault add node-crash --on w1-k8s --for 10m
    seatrial fault add api-fault --set verb=create --set resource=pods --set code=503 --set share=0.3
    seatrial fault add partition --on w1-k8s --set b=m-k8s --set one_way=true --after 30s --name cut
    seatrial fault list
    seatrial fault remove cut
    seatrial fault add -f plan.yaml

A plan is a list of values with `after` or `at` (a moment), `for` and `name`; all of its entries are taken or none:

```yaml
faults:
- {kind: node-crash, node: w1-k8s, after: 30s, for: 10m}
- {kind: dns-stop, after: 1m, for: 30s, name: no-names}
```

The same over HTTP: `GET`, `POST` and `DELETE` of `/seatrial/v1/faults`, `/seatrial/v1/faults/NAME` and
`/seatrial/v1/faults/kinds`.

A fault enters at the moment at which it is added, and goes into the journal, so that a replay has it too. It outlives
`seatrial halt`: what was broken is broken again after `seatrial up`, for as long as it would have lasted, and what was
to come still comes; what was over by itself is not done again. The same goes for loads.

Of several faults on one thing the last one to be removed heals it. Where a fault that is to begin later finds nothing
to break (a machine that there is not, a pod that does not run), `fault list` says so.

This page is made from the catalogue: `python -m seatrial.sim.faults.document > docs/faults.md`.
"""


def markdown() -> str:
    """The page."""
    return "\n".join([HEAD, *_lines()])


def _lines() -> Iterator[str]:
    for title, kinds in GROUPS:
        yield f"## {title}\n"
        yield "| fault | what happens | what is seen | taken back | parameters |"
        yield "|---|---|---|---|---|"
        for kind in kinds:
            row = described(CATALOGUE[kind.kind])
            opposite = row["opposite"] or "It is over by itself."
            parameters = "<br>".join(_parameter(name, each) for name, each in row["parameters"].items())
            yield f"| `{row['kind']}` | {row['about']} | {row['symptom']} | {opposite} | {parameters} |"
        yield ""


def _parameter(name: str, row: dict[str, Any]) -> str:
    default = row.get("default")
    known = "" if default in (None, "", []) else f" (default {default})"
    return f"`{name}`: {row.get('description', '')}{known}"


if __name__ == "__main__":
    print(markdown(), end="")
