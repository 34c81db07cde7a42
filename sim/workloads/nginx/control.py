"""What ``nginx`` does when it is not told to serve: signals to the one that does, tests, its version.

Source: nginx.org/en/docs/switches.
"""

from __future__ import annotations

from seatrial.sim.workloads.nginx.configuration import MAIN, Refused, directives, loaded
from seatrial.sim.workloads.process import Proc

SIGNALS = {"stop": "TERM", "quit": "QUIT", "reload": "HUP", "reopen": "USR1"}


def aside(proc: Proc, version: str) -> int | None:
    """The status of a call that serves nothing; None for one that is to serve."""
    words = proc.argv[1:]
    if "-v" in words or "-V" in words:
        proc.err(f"nginx version: {version}\n")
        return 0
    if "-t" in words or "-T" in words:
        return _test(proc)
    if "-s" in words:
        name = words[words.index("-s") + 1] if words[-1] != "-s" else ""
        return _signal(proc, name)
    return 1 if _refused(proc) else None


def is_daemon(proc: Proc) -> bool:
    """Whether it leaves whoever started it: unless ``daemon off`` is said."""
    return not any(each.name == "daemon" and each.words == ("off",) for each in directives(proc))


def _refused(proc: Proc) -> bool:
    """Whether the configuration cannot be read, which is said."""
    try:
        loaded(proc)
    except Refused as refusal:
        proc.err(f"nginx: [emerg] {refusal}\n")
        return True
    return False


def _test(proc: Proc) -> int:
    try:
        loaded(proc)
    except Refused as refusal:
        proc.err(f"nginx: [emerg] {refusal}\nnginx: configuration file {MAIN} test failed\n")
        return 1
    proc.err(f"nginx: the configuration file {MAIN} syntax is ok\n")
    proc.err(f"nginx: configuration file {MAIN} test is successful\n")
    return 0


def _signal(proc: Proc, name: str) -> int:
    if name not in SIGNALS:
        proc.err(f'nginx: invalid option: "-s {name}"\n')
        return 1
    if _refused(proc):
        return 1
    serving = [other for other in proc.container.processes.values() if other is not proc and _is_nginx(other)]
    if not serving:
        proc.err('nginx: [error] open() "/run/nginx.pid" failed (2: No such file or directory)\n')
        return 1
    serving[0].signal(SIGNALS[name])
    return 0


def _is_nginx(proc: Proc) -> bool:
    return bool(proc.argv) and proc.argv[0].rpartition("/")[2] == "nginx" and "-s" not in proc.argv
