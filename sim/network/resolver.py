"""What a program's resolver makes of a name: hosts file, search path, one name server after the other.

Source: glibc's resolv.conf(5). Not modelled: the time a lookup takes beyond its time-outs; musl's differences (it asks
all servers at once).
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from seatrial.sim.network.names import NOERROR, NXDOMAIN, Answer, NameServer, Question, Record

CHAIN_MAX = 8
"""How many aliases are followed."""
Dial = Callable[[str], NameServer]
"""The server at an address. Raises OSError."""
Note = Callable[[str], None]


def is_address(text: str) -> bool:
    parts = text.split(".")
    return len(parts) == 4 and all(part.isdigit() and int(part) < 256 for part in parts)


def hosts_entry(hosts: str, name: str) -> str | None:
    """What /etc/hosts says of a name."""
    for line in hosts.splitlines():
        words = line.partition("#")[0].split()
        if name in words[1:]:
            return words[0]
    return None


def candidates(name: str, searches: list[str], options: list[str]) -> Iterator[str]:
    """The names that are asked for, in their order."""
    if name.endswith("."):
        yield name[:-1]
        return
    dots = 1
    for option in options:
        key, _, value = option.partition(":")
        if key == "ndots" and value.isdigit():
            dots = int(value)
    absolute_first = name.count(".") >= dots
    if absolute_first:
        yield name
    for search in searches:
        yield f"{name}.{search}".rstrip(".")
    if not absolute_first:
        yield name


def ask(servers: list[str], dial: Dial, question: Question, note: Note) -> Answer:
    """The first server that answers at all. Raises TimeoutError when none does."""
    for server in servers:
        try:
            answer = dial(server).ask(question)
        except OSError as problem:
            note(f"name server {server}: {problem.strerror or problem}")
            continue
        note(f"name server {server}: {question.name} {question.type} {answer.code}")
        return answer
    raise TimeoutError(errno.ETIMEDOUT, "Temporary failure in name resolution")


def resolve(
    name: str, config: Mapping[str, list[str]], dial: Dial, note: Note = lambda _: None, kind: str = "A"
) -> list[Record]:
    """The records of a name. Raises OSError(ENOENT) when it does not exist or has none of the kind, TimeoutError when
    nobody answers, OSError(EAGAIN) when a server fails."""
    servers, failed = list(config.get("servers") or ()), False
    for candidate in candidates(name.lower(), list(config.get("searches") or ()), list(config.get("options") or ())):
        answer = ask(servers, dial, Question(candidate, kind), note)
        records = [record for record in answer.records if record.type == kind]
        if answer.code == NOERROR and records:
            return records
        failed = failed or answer.code not in (NOERROR, NXDOMAIN)
    if failed:
        raise OSError(errno.EAGAIN, "Temporary failure in name resolution", name)
    raise OSError(errno.ENOENT, "Name or service not known", name)


def chased(answer: Answer, kind: str, ask_on: Callable[[Question], Any]) -> Answer:
    """An answer whose aliases are followed, as a recursive server does."""
    records, seen = list(answer.records), 0
    while records and records[-1].type == "CNAME" and kind != "CNAME" and seen < CHAIN_MAX:
        seen += 1
        further: Answer = ask_on(Question(records[-1].value, kind))
        if further.code != NOERROR:
            return Answer(further.code, tuple(records))
        if not further.records:
            break
        records += further.records
    return Answer(answer.code, tuple(records), answer.ours)
