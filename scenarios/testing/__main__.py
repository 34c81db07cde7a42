"""``python -m seatrial.scenarios.testing JOURNAL``: a failure's history once more, without the test that made it."""

from __future__ import annotations

import sys
from pathlib import Path

from seatrial.sim import invariants
from seatrial.sim.causes import Step
from seatrial.sim.cluster import Cluster
from seatrial.sim.kernel.journal import Journal, JournalError


def main(arguments: list[str]) -> int:
    """Prints what breaks a rule and what led to it. Returns the exit code: 1 if something does."""
    if len(arguments) != 1:
        print("usage: python -m seatrial.scenarios.testing JOURNAL", file=sys.stderr)
        return 2
    try:
        cluster = Cluster.replay(Journal.load(Path(arguments[0]).read_bytes()))
    except (OSError, JournalError) as problem:
        print(f"{arguments[0]}: {problem}", file=sys.stderr)
        return 2
    wrong = invariants.violations(cluster.store)
    for each in wrong:
        print(each)
        change = cluster.store.change(each.revision)
        if change is not None:
            print(f"  {Step(change, str(change.cause and change.cause[0]), change.verb, None)}")
    missing = [] if wrong else invariants.unmet(cluster.store)
    for each in missing:
        print(each)
    print(f"{cluster.store.revision} revisions until {cluster.clock.stamp()}, digest {cluster.digest()}")
    return 1 if wrong or missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
