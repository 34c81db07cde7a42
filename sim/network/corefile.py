"""CoreDNS' configuration: server blocks with their plug-ins.

Source: coredns/coremain and the plug-ins' own documentation. Not modelled: snippets and imports, ports other than 53;
plug-ins in ``WITHOUT_EFFECT`` are accepted and change no answer.
"""

from __future__ import annotations

import shlex
from typing import NamedTuple

WITHOUT_EFFECT = (
    "autopath", "bind", "bufsize", "cancel", "debug", "dnstap", "errors", "health", "log", "loop", "metadata",
    "prometheus", "ready", "reload", "trace", "whoami",
)  # fmt: skip
WITH_EFFECT = ("cache", "forward", "hosts", "kubernetes", "loadbalance", "rewrite")


class CorefileError(Exception):
    """A configuration that CoreDNS does not start with: ``args`` is what it says."""


class Directive(NamedTuple):
    """A plug-in with its arguments and the lines of its block."""

    args: tuple[str, ...] = ()
    lines: tuple[tuple[str, ...], ...] = ()


class Block(NamedTuple):
    """What is done with names of some zones."""

    zones: tuple[str, ...]
    """Without final dots; ``""`` is the root."""
    plugins: dict[str, Directive]

    def covers(self, name: str) -> int:
        """How many characters of a name a zone of the block matches; -1 for none."""
        return max(
            (len(zone) for zone in self.zones if not zone or name == zone or name.endswith(f".{zone}")), default=-1
        )


def parse(text: str) -> list[Block]:
    """Raises CorefileError."""
    blocks: list[Block] = []
    zones: list[str] | None = None
    plugins: dict[str, Directive] = {}
    name = ""
    lines: list[tuple[str, ...]] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = shlex.split(line, comments=True)
        if not words:
            continue
        if zones is None:
            if words[-1] != "{":
                raise CorefileError(f"Corefile:{number} - Error during parsing: Unexpected token '{words[-1]}'")
            zones, plugins = [_zone(word) for word in words[:-1]], {}
        elif name:
            if words == ["}"]:
                plugins[name] = Directive(plugins[name].args, tuple(lines))
                name, lines = "", []
            else:
                lines.append(tuple(words))
        elif words == ["}"]:
            blocks.append(Block(tuple(zones), plugins))
            zones = None
        else:
            opens = words[-1] == "{"
            if words[0] not in WITH_EFFECT and words[0] not in WITHOUT_EFFECT:
                raise CorefileError(f"Corefile:{number} - Error during parsing: Unknown directive '{words[0]}'")
            plugins[words[0]] = Directive(tuple(words[1:-1] if opens else words[1:]))
            name = words[0] if opens else ""
    if zones is not None:
        raise CorefileError("Corefile - Error during parsing: Unexpected EOF")
    return blocks


def _zone(word: str) -> str:
    zone = word.removeprefix("dns://")
    head, _, port = zone.rpartition(":")
    return (head if port.isdigit() and head else "" if port.isdigit() else zone).rstrip(".").lower()


def block_for(blocks: list[Block], name: str) -> Block | None:
    """The block with the longest zone that a name lies in."""
    best = max(blocks, key=lambda block: block.covers(name), default=None)
    return best if best is not None and best.covers(name) >= 0 else None
