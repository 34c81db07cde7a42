"""Programs that ask for names: nslookup, host, dig, getent."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

from seatrial.sim.workloads.commands.network import REQUEST_US, Steps, is_address
from seatrial.sim.workloads.commands.options import program, say
from seatrial.sim.workloads.process import Proc


def nslookup(proc: Proc) -> Steps:
    operands = [word for word in proc.argv[1:] if not word.startswith("-")]
    asked = (word.partition("=")[2].upper() for word in proc.argv if word.startswith(("-type=", "-q=", "-query=")))
    name, kind = _question(operands[0], next(asked, "A"))
    servers = proc.container.sandbox.dns.get("servers") or ["127.0.0.1"]
    server = operands[1] if len(operands) > 1 else servers[0]
    yield proc.clock.sleep(REQUEST_US)
    try:
        records = proc.container.world.network.records(_asking(proc, operands[1:2]), name, kind)
    except TimeoutError:
        yield proc.clock.sleep(10_000_000)
        proc.out(";; connection timed out; no servers could be reached\n\n")
        return 1
    except OSError:
        proc.out(f"Server:\t\t{server}\nAddress:\t{server}:53\n\n** server can't find {name}: NXDOMAIN\n\n")
        return 1
    proc.out(f"Server:\t\t{server}\nAddress:\t{server}:53\n\n")
    for full, found, _, value in records:
        line = f"Name:\t{full}\nAddress: {value}\n\n" if found == "A" else f"{full}\t{SAID[found]} = {value}\n"
        proc.out(line if program(proc) == "nslookup" else f"{value}\n")
    return 0


def _asking(proc: Proc, servers: list[str]) -> Any:
    """The sandbox with other name servers than its own, where some are given."""
    sandbox = proc.container.sandbox
    if not servers:
        return sandbox
    made = copy(sandbox)
    made.dns = {**sandbox.dns, "servers": servers}
    return made


SAID = {"PTR": "name", "SRV": "service", "CNAME": "canonical name", "TXT": "text", "AAAA": "has AAAA address"}


NAMES = ("CNAME", "MX", "NS", "PTR", "SRV")
"""Records whose value ends with a name."""


def shown(kind: str, value: str) -> str:
    """A record's value as dig writes it: names are whole ones."""
    return value.rstrip(".") + "." if kind in NAMES else value


def _question(name: str, kind: str) -> tuple[str, str]:
    """An address is asked for its name."""
    if is_address(name) and ":" not in name:
        return ".".join(name.split(".")[::-1]) + ".in-addr.arpa.", "PTR"
    return name, kind


def dig(proc: Proc) -> Steps:
    words = [word for word in proc.argv[1:] if not word.startswith(("@", "+", "-"))]
    kinds = [word for word in words if word in ("A", "AAAA", *SAID)]
    names = [word for word in words if word not in kinds]
    name, kind = names[0] if names else ".", kinds[0] if kinds else "A"
    if "-x" in proc.argv:
        name, kind = _question(name, kind)
    yield proc.clock.sleep(REQUEST_US)
    # dig takes no search path unless it is told to.
    searched = name if "+search" in proc.argv else name.rstrip(".") + "."
    server = [word[1:] for word in proc.argv[1:] if word.startswith("@")]
    try:
        records = proc.container.world.network.records(_asking(proc, server), searched, kind)
    except OSError:
        records = []
    if "+short" in proc.argv:
        proc.out("".join(f"{shown(found, value)}\n" for _, found, _, value in records))
        return 0
    answer = "".join(f"{full}.\t{ttl}\tIN\t{found}\t{shown(found, value)}\n" for full, found, ttl, value in records)
    if "+noall" in proc.argv:
        proc.out(answer if "+answer" in proc.argv else "")
        return 0
    name = name.rstrip(".")
    state = "NOERROR" if records else "NXDOMAIN"
    proc.out(
        f"\n; <<>> DiG 9.18.41 <<>> {name}\n;; Got answer:\n;; ->>HEADER<<- opcode: QUERY, status: {state}, id: 1\n\n"
    )
    proc.out(f";; QUESTION SECTION:\n;{name}.\t\tIN\t{kind}\n\n")
    if records:
        proc.out(f";; ANSWER SECTION:\n{answer}\n")
    return 0


def getent(proc: Proc) -> Steps:
    """getent hosts|ahosts NAME and getent passwd|group [NAME]: exit code 2 for what is not found."""
    database, names = (proc.argv[1] if len(proc.argv) > 1 else ""), proc.argv[2:]
    if database in ("passwd", "group"):
        lines = proc.fs.read(f"/etc/{database}").decode().splitlines()
        found = [line for line in lines if not names or line.split(":")[0] in names or line.split(":")[2] in names]
        proc.out("".join(f"{line}\n" for line in found))
        return 0 if found else 2
    if database not in ("hosts", "ahosts", "ahostsv4"):
        say(proc, f"unknown database: {database}")
        return 1
    yield proc.clock.sleep(REQUEST_US)
    for name in names:
        try:
            address = proc.container.world.network.resolve(proc.container.sandbox, name)[0]
        except OSError:
            return 2
        proc.out(f"{address:<15} {name}\n" if database == "hosts" else f"{address:<15} STREAM {name}\n")
    return 0


COMMANDS: dict[str, Callable[[Proc], Any]] = {"nslookup": nslookup, "host": nslookup, "dig": dig, "getent": getent}
