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

GROUPS = (
    ("Machines", MACHINES),
    ("Control plane", CONTROL),
    ("Processes and what they see", PROCESSES),
    ("Network", LINKS),
    ("Containers and images", CONTAINERS),
)
HEAD = """# Faults

Everything that can break in a cluster, and what is seen of it. A fault is a value, as in
`{"kind": "node-crash", "node": "w1-k8s"}`; it may begin later and last for a while, and each is taken back by its name.

```python
name = cluster.add_fault({"kind": "node-crash", "node": "w1-k8s"}, lasts="10m")
cluster.remove_fault(name)
```

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
