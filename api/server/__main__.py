"""The detached server: ``python -m seatrial.api.server DIRECTORY FD``; its one report goes to the file descriptor."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path

from seatrial.api.problem import Problem
from seatrial.api.server.state import Home


def main() -> None:
    """Serves until it is told to stop."""
    home, pipe = Home(Path(sys.argv[1])), os.fdopen(int(sys.argv[2]), "w")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)

    def tell(report: object) -> None:
        if not pipe.closed:
            pipe.write(json.dumps(report) + "\n")
            pipe.close()

    from seatrial.api.server import process

    try:
        process.serve(home, lambda port, keys: tell(process.report(port, keys)))
    except Problem as problem:
        logging.getLogger("seatrial").error("%s; mend: %s", problem, problem.mend)
        tell({"problem": [problem.what, problem.why, problem.mend]})
        sys.exit(1)


main()
