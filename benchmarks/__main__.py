"""``python -m benchmarks [NAME …]``: runs the benchmarks, or those named, and writes docs/benchmarks.md."""

from __future__ import annotations

import importlib
import sys

from benchmarks import harness

NAMES = ("start", "pipeline", "wire", "lives", "rolling", "fleet", "scheduler", "idle", "scale")
ON_REQUEST = ("huge",)
"""What takes too long to be measured every time."""


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in (*NAMES, *ON_REQUEST)]
    if unknown:
        print(f"no benchmark called {unknown[0]}; there are {', '.join((*NAMES, *ON_REQUEST))}", file=sys.stderr)
        return 1
    steps = harness.calibration()
    for name in names or NAMES:
        print(f"# {name}", flush=True)
        figures = []
        for figure in importlib.import_module(f"benchmarks.{name}").measure():
            aim = f"  aim {harness.shown(figure.aim)}: {figure.reached}" if figure.aim is not None else ""
            print(f"{figure.name}: {harness.shown(figure.value)} {figure.unit}{aim}", flush=True)
            figures.append(figure)
        harness.write({name: figures}, steps)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
