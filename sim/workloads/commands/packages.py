"""Package managers: ``apt-get`` and ``apk`` fetch what an image lacks, from their distribution's mirror.

Which package brings which programs is the catalogue's (``packages``). Source: apt-get(8), apk(8). *Not modelled*:
versions, dependencies and removal; a program of a package that the simulation has none of says so when it is run.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Generator, Mapping
from typing import Any, NamedTuple

from seatrial.sim.workloads.commands.network import Failed, reach
from seatrial.sim.workloads.filesystem import EXEC_MODE
from seatrial.sim.workloads.process import Proc

Steps = Generator[Any, Any, int]
MS = 1_000
MIRROR, SUITES = "deb.debian.org", (("trixie", "140 kB"), ("trixie-updates", "47.3 kB"), ("trixie-security", "43.4 kB"))
LISTS = "/var/lib/apt/lists/partial"
ALPINE, INDEX = "dl-cdn.alpinelinux.org", "/alpine/v3.22/{0}/x86_64/APKINDEX.tar.gz"
INDEX_MS, PACKAGE_MS = 900, 700
FAILED = 100
"""apt-get's status for any error."""
DENIED = "open (13: Permission denied)"
WHY = {
    "resolve": "Temporary failure resolving '{0}'",
    "refused": "Could not connect to {0}:80 ({1}:80). - connect (111)",
}
UNREACHED = "Could not connect to {0}:80 ({1}), connection timed out"


VALUED = ("-o", "-c", "-t", "--option", "--target-release", "-X", "--repository", "-p", "--root")
"""Options of either whose next word is theirs."""


class Wanted(NamedTuple):
    """What a command line asks for."""

    verb: str
    names: tuple[str, ...]
    options: frozenset[str]


def _wanted(proc: Proc) -> Wanted:
    words = []
    rest = iter(proc.argv[1:])
    for word in rest:
        if word in VALUED:
            next(rest, None)
        else:
            words.append(word)
    plain = [word for word in words if not word.startswith("-")]
    letters = {letter for word in words if word[:1] == "-" and word[1:2] != "-" for letter in word[1:]}
    long = {word for word in words if word.startswith("--")}
    # A version may be asked for: there is one of each.
    names = dict.fromkeys(re.split("[=<>~]", word)[0] for word in plain[1:])
    return Wanted(plain[0] if plain else "", tuple(names), frozenset(letters | long))


def apt_get(proc: Proc) -> Steps:
    """apt-get update, apt-get install [-y] package...; and the same as apt."""
    wanted = _wanted(proc)
    if wanted.verb == "update":
        return (yield from _update(proc))
    if wanted.verb in ("install", "reinstall"):
        return (yield from _install(proc, wanted))
    if wanted.verb in ("clean", "autoclean", "autoremove", "upgrade", "dist-upgrade", "remove", "purge"):
        proc.out("Reading package lists... Done\n0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n")
        return 0
    proc.err(f"E: Invalid operation {wanted.verb}\n")
    return FAILED


def _update(proc: Proc) -> Steps:
    if proc.uid != 0:
        proc.err(f"E: Could not open lock file /var/lib/apt/lists/lock - {DENIED}\n")
        proc.err("E: Unable to lock directory /var/lib/apt/lists/\n")
        return FAILED
    problem = yield from _reached(proc, MIRROR)
    for number, (suite, size) in enumerate(SUITES, 1):
        place = f"http://{MIRROR}/{'debian-security' if suite.endswith('security') else 'debian'} {suite}"
        line = f"{place} InRelease" + ("" if problem else f" [{size}]")
        proc.out(f"{'Err' if problem else 'Get'}:{number} {line}\n" + (f"  {problem}\n" if problem else ""))
        yield proc.clock.sleep(INDEX_MS * MS // len(SUITES))
    if problem:
        for suite, _ in SUITES:
            proc.err(f"W: Failed to fetch http://{MIRROR}/debian/dists/{suite}/InRelease  {problem}\n")
        proc.err("W: Some index files failed to download. They have been ignored, or old ones used instead.\n")
        proc.out("Reading package lists... Done\n")
        return 0
    try:
        proc.fs.make_dir(LISTS, parents=True)
    except OSError as error:
        proc.err(f"E: List directory {LISTS} is missing. - Acquire ({error.errno}: {error.strerror})\n")
        return FAILED
    proc.out("Fetched 9988 kB in 1s (11.1 MB/s)\nReading package lists... Done\n")
    return 0


def _install(proc: Proc, wanted: Wanted) -> Steps:
    if proc.uid != 0:
        proc.err(f"E: Could not open lock file /var/lib/dpkg/lock-frontend - {DENIED}\n")
        proc.err("E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), are you root?\n")
        return FAILED
    proc.out("Reading package lists... Done\nBuilding dependency tree... Done\nReading state information... Done\n")
    known = proc.container.world.catalogue.packages if proc.fs.exists(LISTS) else {}
    strange = [name for name in wanted.names if name not in known]
    if strange:
        proc.err("".join(f"E: Unable to locate package {name}\n" for name in strange))
        return FAILED
    new = [name for name in wanted.names if not _has(proc, known[name])]
    for name in wanted.names:
        if name not in new:
            proc.out(f"{name} is already the newest version.\n")
    if new:
        proc.out(f"The following NEW packages will be installed:\n  {' '.join(sorted(new))}\n")
    proc.out(f"0 upgraded, {len(new)} newly installed, 0 to remove and 0 not upgraded.\n")
    if new and not wanted.options & {"y", "--yes", "--assume-yes"}:
        proc.out("Do you want to continue? [Y/n] ")
        answer = (yield from proc.stdin.read_line()).decode(errors="replace")
        if not answer or answer.strip().lower() not in ("", "y", "yes"):
            proc.out("Abort.\n")
            return 1
    for number, name in enumerate(new, 1):
        problem = yield from _reached(proc, MIRROR)
        if problem:
            proc.err(f"E: Failed to fetch http://{MIRROR}/debian/pool/main/{name[0]}/{name}  {problem}\n")
            proc.err("E: Unable to fetch some archives, maybe run apt-get update or try with --fix-missing?\n")
            return FAILED
        yield proc.clock.sleep(PACKAGE_MS * MS)
        proc.out(f"Get:{number} http://{MIRROR}/debian trixie/main amd64 {name} amd64\n")
    for name in new:
        proc.out(f"Selecting previously unselected package {name}.\nUnpacking {name} ...\nSetting up {name} ...\n")
        if (text := _put(proc, known[name])) is not None:
            proc.err(f"dpkg: error processing archive {name} (--unpack):\n {text}\n")
            return FAILED
    return 0


def apk(proc: Proc) -> Steps:
    """apk update, apk add [--no-cache] package..."""
    wanted = _wanted(proc)
    if wanted.verb not in ("update", "add"):
        proc.err(f"ERROR: '{wanted.verb}' is not an apk command. See 'apk --help'.\n")
        return 1
    if proc.uid != 0:
        proc.err(
            "ERROR: Unable to lock database: Permission denied\nERROR: Failed to open apk database: Permission denied\n"
        )
        return 99
    places = [f"https://{ALPINE}{INDEX.format(part)}" for part in ("main", "community")]
    problem = yield from _reached(proc, ALPINE)
    for place in places:
        proc.out(f"fetch {place}\n")
        if problem:
            proc.err(f"WARNING: fetching {place.rpartition('/')[0]}: temporary error (try again later)\n")
    yield proc.clock.sleep(INDEX_MS * MS)
    known: Mapping[str, list[str]] = {} if problem else proc.container.world.catalogue.packages
    strange = [name for name in wanted.names if name not in known]
    if strange:
        proc.err("ERROR: unable to select packages:\n")
        proc.err("".join(f"  {name} (no such package):\n    required by: world[{name}]\n" for name in strange))
        return 1
    if wanted.verb == "update":
        proc.out(
            "OK: 26342 distinct packages available\n"
            if not problem
            else "4 unavailable, 0 stale; 0 distinct packages\n"
        )
        return 1 if problem else 0
    new = [name for name in wanted.names if not known[name] or not _has(proc, known[name])]
    for number, name in enumerate(new, 1):
        proc.out(f"({number}/{len(new)}) Installing {name}\n")
        yield proc.clock.sleep(PACKAGE_MS * MS)
        if (text := _put(proc, known[name])) is not None:
            proc.err(f"ERROR: {name}: {text}\n")
            return 1
    proc.out(f"OK: {8 + 4 * len(wanted.names)} MiB in {16 + len(wanted.names)} packages\n")
    return 0


def _reached(proc: Proc, host: str) -> Generator[Any, Any, str]:
    """What stands between here and a mirror; empty when nothing does."""
    try:
        yield from reach(proc, host, 80, 30_000 * MS)
    except Failed as failed:
        return WHY.get(failed.kind, UNREACHED).format(host, failed.host)
    return ""


def _has(proc: Proc, programs: list[str]) -> bool:
    return all(proc.container.which(name, None, "/") is not None for name in programs)


def _put(proc: Proc, programs: list[str]) -> str | None:
    """Puts programs where they belong; what the file system says against it, if it does."""
    try:
        for name in programs:
            file = proc.fs.write(f"/usr/bin/{name}", b"\x7fELF", mode=EXEC_MODE)
            file.program = name if proc.container.world.has_program(name) else UNMODELLED
    except OSError as error:
        return f"unable to create '/usr/bin': {os.strerror(error.errno or errno.EIO)}"
    return None


def unmodelled(proc: Proc) -> int:
    """Stands for a program that is installed and that the simulation has none of."""
    name = proc.argv[0].rpartition("/")[2]
    proc.err(f"{name}: is installed, but what it does is not simulated here\n")
    return 1


UNMODELLED = "unmodelled"
COMMANDS: dict[str, Callable[[Proc], Any]] = {"apt-get": apt_get, "apt": apt_get, "apk": apk, UNMODELLED: unmodelled}
