"""A server on its own: a forked process in a session of its own, which reports once over a pipe; and its end.

Forked, not spawned: what the command has imported need not be imported again, which is a quarter of the start-up time.
The command has no threads, so that a fork is safe.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from contextlib import suppress

from seatrial.api.problem import Problem
from seatrial.api.server.state import Home

REASON_MAX = 200
STOP_TIMEOUT_S = 90.0
"""systemd's DefaultTimeoutStopSec: whoever is killed in the midst of putting things away loses them."""
ANNOUNCE_TIMEOUT_S = 60.0
"""How long a server may take from its lock to its announcement, on a busy machine."""
KILL_TIMEOUT_S = 5.0
FORMAT = "%(asctime)s %(levelname)s %(message)s"


def start(home: Home) -> tuple[int, int]:
    """Starts the server of a cluster; its process and the file descriptor on which its report will come."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    code = 1
    try:
        os.close(reading)
        leave_terminal(home)
        code = run(home, writing)
    finally:
        os._exit(code)


def leave_terminal(home: Home) -> None:
    """Output goes to the cluster's log from here on; the terminal's signals no longer come."""
    os.setsid()
    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(home.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)


def run(home: Home, writing: int) -> int:
    """Serves until it is told to stop; the exit code."""
    logging.basicConfig(level=logging.INFO, format=FORMAT, stream=sys.stderr, force=True)
    log = logging.getLogger("seatrial")
    pipe = os.fdopen(writing, "w")

    def progress(share: float) -> None:
        if not pipe.closed:
            pipe.write(json.dumps({"progress": share}) + "\n")
            pipe.flush()

    def tell(report: object) -> None:
        if not pipe.closed:
            pipe.write(json.dumps(report) + "\n")
            pipe.close()

    try:
        from seatrial.api.server import process

        process.serve(home, lambda port, keys: tell(process.report(port, keys)), progress)
    except Problem as problem:
        log.error("%s; mend: %s", problem, problem.mend)
        tell({"problem": [problem.what, problem.why, problem.mend]})
        return 1
    except Exception as defect:
        log.exception("the server broke")
        why = f"its server broke ({type(defect).__name__}: {str(defect)[:REASON_MAX]})"
        mend = f"this is a defect of seatrial; please report it with {home.log}"
        tell({"defect": [f"cluster {home.name}", why, mend]})
        return 1
    return 0


def stop(home: Home) -> None:
    """Ends a cluster's server: asks first, then insists. Raises Problem when it cannot be reached."""
    until = time.monotonic() + ANNOUNCE_TIMEOUT_S
    process = home.process()
    while not process and home.running:
        if time.monotonic() > until:
            mend = f"find it with: fuser {home.path / 'lock'}"
            raise Problem(f"cluster {home.name}", "a process holds its lock and does not say which it is", mend)
        time.sleep(0.05)
        process = home.process()
    for number, patience_s in ((signal.SIGTERM, STOP_TIMEOUT_S), (signal.SIGKILL, KILL_TIMEOUT_S)):
        until = time.monotonic() + patience_s
        if home.running:
            with suppress(ProcessLookupError):
                os.kill(int(process["pid"]), number)
        while home.running and time.monotonic() < until:
            time.sleep(0.02)
    if home.running:
        raise Problem(f"cluster {home.name}", f"process {process['pid']} does not end", "end it by hand")
