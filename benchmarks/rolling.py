"""Controllers under load: a thousand Deployments that roll at once, and what one reconcile of each controller costs.

In process and virtual time, through the whole control plane; figures are processor time of one core.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from benchmarks.harness import Figure
from benchmarks.lives import RAISED, deployment
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec, NodeSpec
from seatrial.sim.controllers.shell import Shell
from seatrial.sim.kernel.garbage import spare_the_collector

DEPLOYMENTS, NODES = 1000, 20
SHOWN = 6
"""Controllers, the dearest ones, whose cost is told apart."""


class Reconciles:
    """Counts the reconciles of every controller, and the processor time of the controller's own steps."""

    def __init__(self) -> None:
        self.count: dict[str, int] = defaultdict(int)
        self.seconds: dict[str, float] = defaultdict(float)

    def watch(self, shell: Any) -> None:
        """Counts those of one controller from now on."""
        controller = shell.controller
        reconcile = controller.reconcile

        def counted(turn: Any) -> Iterator[Any]:
            self.count[controller.name] += 1
            steps, answer, error = reconcile(turn), None, None
            while True:
                began = time.process_time()
                try:
                    wanted = steps.send(answer) if error is None else steps.throw(error)
                except StopIteration as done:
                    return done.value
                finally:
                    self.seconds[controller.name] += time.process_time() - began
                try:
                    answer, error = (yield wanted), None
                except Exception as problem:
                    error = problem

        shell.controller = replace(controller, reconcile=counted)


def measure() -> Iterator[Figure]:
    cluster = Cluster(ClusterSpec(nodes=NODES, client=RAISED, node=NodeSpec(cpus=64, memory="256Gi", pods=500)))
    cluster.settle()
    spare_the_collector()
    note = "one replica each; client limits raised to 5,000/s"
    began = time.process_time()
    cluster.apply([deployment(f"web-{number}", 1) for number in range(DEPLOYMENTS)])
    cluster.settle()
    yield Figure(
        f"{DEPLOYMENTS} Deployments to available", time.process_time() - began, "s", less_is_better=True, note=note
    )
    reconciles = Reconciles()
    for shell in cluster.components:
        for each in getattr(shell, "shells", [shell] if isinstance(shell, Shell) else []):
            reconciles.watch(each)
    began, at = time.process_time(), cluster.now
    for number in range(DEPLOYMENTS):
        changed = deployment(f"web-{number}", 1)
        changed["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.k8s.io/pause:3.9"
        cluster.apply(changed)
    cluster.settle()
    took, simulated = time.process_time() - began, (cluster.now - at) / 1e6
    rolled = [d for d in cluster.store.list("deployments.apps", "default") if d["status"].get("updatedReplicas") == 1]
    assert len(rolled) == DEPLOYMENTS, f"{len(rolled)} of {DEPLOYMENTS} have rolled"
    yield Figure(
        f"{DEPLOYMENTS} Deployments rolled at once", took, "s", less_is_better=True,
        note=f"{simulated:.0f} simulated seconds; {note}",
    )  # fmt: skip
    total, seconds = sum(reconciles.count.values()), sum(reconciles.seconds.values())
    yield Figure("a reconcile, all controllers", 1e6 * seconds / total, "µs", note=f"{total:,} of them; own steps only")
    yield Figure("a reconcile with what it asks of the API", 1e6 * took / total, "µs", note="everything else included")
    for name in sorted(reconciles.seconds, key=lambda name: -reconciles.seconds[name])[:SHOWN]:
        cost = 1e6 * reconciles.seconds[name] / reconciles.count[name]
        yield Figure(f"a reconcile of {name}", cost, "µs", note=f"{reconciles.count[name]:,} of them")
