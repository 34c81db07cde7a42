"""Programs that hand on what they read, piece by piece, for as long as there is any."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from typing import Any

from seatrial.sim.workloads import burning
from seatrial.sim.workloads.commands.grep import TR_CLASSES
from seatrial.sim.workloads.commands.options import inputs, parsed
from seatrial.sim.workloads.commands.printf import unescape
from seatrial.sim.workloads.process import NULL, Endless, Opened, Proc, Stream

Steps = Generator[Any, Any, int]
NEWLINE = ord("\n")


def endless_at(proc: Proc, path: str) -> Endless | None:
    """An endless device, opened; None for anything else."""
    node = proc.fs.find(path, proc.cwd) if proc.fs.exists(path, proc.cwd) else None
    found = proc.container.device(node) if node is not None else None
    return found if isinstance(found, Endless) else None


def poured(proc: Proc, source: Stream, change: Callable[[bytes], bytes] = lambda data: data) -> Steps:
    """Copies what comes, as long as it comes; who takes an endless device to /dev/null is only busy."""
    if isinstance(source, Endless) and proc.fds.get(1, NULL) is NULL:
        yield from burning.for_ever(proc)
    while data := (yield from source.read()):
        yield from proc.pour(change(data))
    return 0


def tr(proc: Proc) -> Steps:
    options, sets = parsed(proc, "dscC")
    first = _tr_set(sets[0]) if sets else ""
    second = _tr_set(sets[1]) if len(sets) > 1 else ""
    if "c" in options or "C" in options:
        first = "".join(chr(code) for code in range(256) if chr(code) not in first)
    table: dict[int, Any]
    if "d" in options:
        table = str.maketrans("", "", first)
    else:
        table = str.maketrans(first, (second + second[-1] * len(first))[: len(first)]) if second else {}
    squeezed = set(second or first) if "s" in options else set()
    last = ""

    def change(data: bytes) -> bytes:
        nonlocal last
        made = []
        for char in data.decode("latin-1").translate(table):
            if char != last or char not in squeezed:
                made.append(char)
            last = char
        return "".join(made).encode("latin-1")

    return (yield from poured(proc, proc.stdin, change))


def _tr_set(text: str) -> str:
    for name, chars in TR_CLASSES.items():
        text = text.replace(f"[:{name}:]", chars)
    text = unescape(text)[0]
    return re.sub(r"(.)-(.)", lambda m: "".join(chr(c) for c in range(ord(m.group(1)), ord(m.group(2)) + 1)), text)


def fold(proc: Proc) -> Steps:
    """fold [-w width]"""
    options, paths = parsed(proc, "bs", "w")
    width = max(int(options["w"]) if options.get("w", "").isdigit() else 80, 1)
    column = 0

    def change(data: bytes) -> bytes:
        nonlocal column
        made = bytearray()
        for byte in data:
            if byte != NEWLINE and column == width:
                made.append(NEWLINE)
                column = 0
            made.append(byte)
            column = 0 if byte == NEWLINE else column + 1
        return bytes(made)

    if not paths:
        return (yield from poured(proc, proc.stdin, change))
    found, status = yield from inputs(proc, paths)
    for _, data in found:
        yield from proc.pour(change(data))
    return status


def tee(proc: Proc) -> Steps:
    options, paths = parsed(proc, "ai")
    files = []
    for path in paths:
        file = proc.fs.open_file(path, proc.cwd, truncate="a" not in options)
        files.append(Opened(file, proc.fs.now, append=True, touched=proc.container.touched))
    while data := (yield from proc.stdin.read()):
        proc.out(data)
        for file_ in files:
            file_.write(data)
    return 0


def yes(proc: Proc) -> Steps:
    line = (" ".join(proc.argv[1:]) or "y").encode() + b"\n"
    if proc.fds.get(1, NULL) is NULL:
        yield from burning.for_ever(proc)
    while True:
        yield from proc.pour(line * 512)
        yield proc.clock.sleep(1_000)


COMMANDS: dict[str, Callable[[Proc], Any]] = {"tr": tr, "fold": fold, "tee": tee, "yes": yes}
