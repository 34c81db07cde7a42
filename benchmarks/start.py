"""From ``seatrial up`` to the first answered request, and the memory of a cluster at rest."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import Figure, best_s
from benchmarks.server import Server, call, running

RUNS = 5


def measure() -> Iterator[Figure]:
    imports = "import seatrial.api.server.assembly, seatrial.sim.cluster"
    seconds = best_s(RUNS, lambda: subprocess.run([sys.executable, "-c", imports], check=True))
    yield Figure("start of Python and all imports of a server", seconds, "s")
    for options, name in (
        (("--nodes", "0", "--controllers", "none"), "a bare API server"),
        ((), "a cluster of four nodes"),
    ):
        starts = []
        for _ in range(RUNS):
            began = time.perf_counter()
            with running(*options) as server:
                call(server.connect(), "GET", "/api/v1/namespaces")
                starts.append(time.perf_counter() - began)
                memory = resident_mb(server)
        yield Figure(f"start to first answered request, {name}", min(starts), "s", 1.0, True)
        yield Figure(f"memory at rest, {name}", memory, "MB", 150.0, True)


def resident_mb(server: Server) -> float:
    """Resident memory of the server's process."""
    time.sleep(2)
    pid = json.loads(server.command("status", server.name, "-o", "json"))["pid"]
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    raise RuntimeError(f"process {pid} has no memory to look at")
