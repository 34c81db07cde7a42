"""What crictl's commands have in common: their arguments, and finding things in the runtime."""

from __future__ import annotations

import re
from typing import NamedTuple

from seatrial.sim.nodes.cri import ContainerRecord, PodRecord
from seatrial.sim.nodes.images import InvalidName, normalise
from seatrial.sim.nodeshell.machine import Machine

SHORT = 13
"""Characters of an identifier that are shown."""
VALUED = (
    "o", "output", "name", "pod", "p", "state", "s", "namespace", "image", "tail", "since", "t", "timeout", "last", "n",
    "label", "r", "runtime-endpoint", "i", "image-endpoint", "creds",
)  # fmt: skip
BARE: dict[str, tuple[str, ...]] = {
    "logs": ("t", "p"), "exec": ("t", "i", "s"), "rm": ("t",), "images": ("p",), "pods": ("n",), "inspect": (),
}  # fmt: skip
"""Letters that take no value with a command, though they do with others."""


class Row(NamedTuple):
    """A container with its pod."""

    uid: str
    pod: PodRecord
    container: ContainerRecord


class Refused(Exception):
    """What the runtime says; crictl ends with 1."""


class Arguments(NamedTuple):
    flags: dict[str, str]
    words: list[str]

    def has(self, *names: str) -> bool:
        return any(name in self.flags for name in names)

    def get(self, *names: str) -> str:
        return next((self.flags[name] for name in names if name in self.flags), "")


def arguments(command: str, words: list[str]) -> Arguments:
    flags: dict[str, str] = {}
    operands: list[str] = []
    bare = BARE.get(command, ())
    if command == "pods":
        bare = ()
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if command == "exec" and operands:
            operands += words[at - 1 :]
            break
        if not word.startswith("-") or word == "-":
            operands.append(word)
            continue
        name, equals, value = word.lstrip("-").partition("=")
        if command == "exec" and re.fullmatch("[its]{2,}", name):
            flags.update(dict.fromkeys(name, "true"))
            continue
        if not equals and name in VALUED and name not in bare and at < len(words):
            value = words[at]
            at += 1
        flags[name] = value or "true"
    return Arguments(flags, operands)


def rows(machine: Machine) -> list[Row]:
    """All containers, the newest first."""
    found = [
        Row(uid, record, container)
        for uid, record in machine.node.runtime.pods.items()
        for container in record.containers
    ]
    return sorted(found, key=lambda row: -row.container.created_us)


def find(machine: Machine, identifier: str) -> Row:
    found = [row for row in rows(machine) if row.container.id.startswith(identifier)]
    if not found or not identifier:
        raise Refused(
            f'rpc error: code = NotFound desc = an error occurred when try to find container "{identifier}": not found'
        )
    return found[0]


def find_sandbox(machine: Machine, identifier: str) -> tuple[str, PodRecord]:
    for uid, record in machine.node.runtime.pods.items():
        if record.sandbox is not None and identifier and record.sandbox.id.startswith(identifier):
            return uid, record
    raise Refused(
        f'rpc error: code = NotFound desc = an error occurred when try to find sandbox "{identifier}": not found'
    )


def metadata(machine: Machine, uid: str) -> tuple[str, str]:
    """(name, namespace) of a pod."""
    sandbox = machine.node.runtime.sandboxes.get(uid)
    return (sandbox.name, sandbox.namespace) if sandbox is not None else ("", "")


def named(word: str) -> str:
    try:
        return normalise(word)
    except InvalidName:
        return word


def table(columns: list[str], lines: list[list[str]]) -> str:
    """As Go's tabwriter aligns it."""
    widths = [max(len(row[at]) for row in [columns, *lines]) for at in range(len(columns))]
    made = [
        "".join(cell.ljust(width + 3) for cell, width in zip(row, widths, strict=True)) for row in [columns, *lines]
    ]
    return "".join(f"{line.rstrip()}\n" for line in made)
