"""dd: copies blocks, as busybox and, on Debian, coreutils tell of it.

Source: pubs.opengroup.org, dd; busybox's coreutils/dd.c; GNU coreutils' manual. *Not modelled*: conversions of
characters, and what a random device gives beyond a mebibyte: zeros, which take no memory of the host.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from typing import Any

from seatrial.sim.workloads import burning
from seatrial.sim.workloads.commands.options import ENDLESS, say
from seatrial.sim.workloads.commands.streaming import poured
from seatrial.sim.workloads.commands.text import size_of
from seatrial.sim.workloads.filesystem import File, Node
from seatrial.sim.workloads.process import Exited, Opened, Proc, Stream

Steps = Generator[Any, Any, Any]
BYTES_PER_S = 500_000_000
PIECE_BYTES = 1024 * 1024
OPERANDS = ("if", "of", "bs", "ibs", "obs", "cbs", "count", "skip", "seek", "conv", "status", "iflag", "oflag")


def dd(proc: Proc) -> Steps:
    """dd [if=file] [of=file] [bs=n] [count=n] [skip=n] [seek=n] [conv=notrunc] [status=none|noxfer]"""
    given = _operands(proc)
    block = _number(proc, given.get("ibs", given.get("bs", "512"))) or 512
    count = _number(proc, given["count"]) if "count" in given else None
    began = proc.clock.now
    target = _target(proc, given, block)
    source = _opened(proc, given["if"]) if "if" in given else None
    if source is not None and source.device in ENDLESS and count is None:
        return (yield from _endlessly(proc, source, target, given.get("of", "")))
    data = yield from _read(proc, source, block, count, _number(proc, given.get("skip", "0")))
    yield proc.clock.sleep(len(data) * 1_000_000 // BYTES_PER_S)
    if target is not None:
        target.write(data)
    elif "of" not in given:
        for at in range(0, len(data), PIECE_BYTES):
            yield from proc.pour(data[at : at + PIECE_BYTES])
    _report(proc, given, len(data), block, proc.clock.now - began)
    return 0


def _operands(proc: Proc) -> dict[str, str]:
    given = dict(word.partition("=")[::2] for word in proc.argv[1:])
    for name in given:
        if name not in OPERANDS:
            say(proc, f"unrecognized operand '{name}'" if _is_gnu(proc) else f"invalid argument '{name}'")
            raise Exited(1)
    return given


def _number(proc: Proc, text: str) -> int:
    if re.fullmatch(r"\d{1,18}([bkKmMgG]B?)?", text) is None:
        say(proc, f"invalid number '{text}'")
        raise Exited(1)
    return size_of(text)


def _opened(proc: Proc, path: str) -> File:
    try:
        node: Node = proc.fs.find(path, proc.cwd)
        if not isinstance(node, File):
            raise IsADirectoryError(21, "Is a directory")
    except OSError as error:
        say(proc, f"{_cannot(proc)} '{path}': {error.strerror}")
        raise Exited(1) from None
    return node


def _target(proc: Proc, given: dict[str, str], block: int) -> Stream | None:
    """Where it is written to; None for standard output, and for what keeps nothing."""
    if "of" not in given:
        return None
    skipped = _number(proc, given.get("seek", "0")) * _number(proc, given.get("obs", given.get("bs", str(block))))
    appends = "append" in given.get("oflag", "").split(",")
    keep = appends or "notrunc" in given.get("conv", "").split(",")
    try:
        file = proc.fs.open_file(given["of"], proc.cwd, truncate=not keep and not skipped)
    except OSError as error:
        say(proc, f"{_cannot(proc)} '{given['of']}': {error.strerror}")
        raise Exited(1) from None
    if file.device:
        return None
    opened = Opened(file, proc.fs.now, appends or not file.size, proc.container.touched)
    opened.seek(skipped)
    return opened


def _read(proc: Proc, source: File | None, block: int, count: int | None, skip: int) -> Steps:
    wanted = None if count is None else block * count
    if source is None:
        return (yield from _piped(proc, wanted, skip * block))
    if source.device in ENDLESS:
        is_drawn = source.device == "random" and (wanted or 0) <= PIECE_BYTES
        return proc.container.rng.randbytes(wanted or 0) if is_drawn else bytes(wanted or 0)
    data = source.read()[skip * block :]
    return data if wanted is None else data[:wanted]


def _piped(proc: Proc, wanted: int | None, skipped: int) -> Steps:
    if wanted is None:
        return (yield from proc.read_all())[skipped:]
    parts, left = [], wanted + skipped
    while left > 0 and (data := (yield from proc.stdin.read(left))):
        parts.append(data)
        left -= len(data)
    return b"".join(parts)[skipped:]


def _endlessly(proc: Proc, source: File, target: Stream | None, path: str) -> Steps:
    """Until nobody reads any more, the disk is full, or it is killed."""
    stream = proc.container.device(source)
    if not path and stream is not None:
        return (yield from poured(proc, stream))
    if target is None:
        return (yield from burning.for_ever(proc))
    second = bytes(BYTES_PER_S)
    while not proc.fs.is_full():
        yield proc.clock.sleep(1_000_000)
        target.write(second)
    say(proc, f"error writing '{path}': No space left on device")
    return 1


def _report(proc: Proc, given: dict[str, str], size: int, block: int, took_us: int) -> None:
    status = given.get("status", "")
    if status == "none":
        return
    blocks = f"{size // block}+{int(size % block > 0)}"
    proc.err(f"{blocks} records in\n{blocks} records out\n")
    if status == "noxfer":
        return
    seconds = max(took_us, 1) / 1_000_000
    if _is_gnu(proc):
        amount = "" if size < 1000 else f" ({_scaled(size, 1000, GNU)}"
        amount += f", {_scaled(size, 1024, IEC)})" if size >= 1024 else ")" if amount else ""
        proc.err(f"{size} bytes{amount} copied, {seconds:g} s, {_scaled(size / seconds, 1000, GNU)}/s\n")
    else:
        rate = f"{_scaled(size / seconds, 1024, BUSYBOX)}B/s"
        proc.err(f"{size} bytes ({_scaled(size, 1024, BUSYBOX)}B) copied, {seconds:.6f} seconds, {rate}\n")


GNU = (" B", " kB", " MB", " GB", " TB")
IEC = (" B", " KiB", " MiB", " GiB", " TiB")
BUSYBOX = ("", "K", "M", "G", "T")


def _scaled(size: float, base: int, units: tuple[str, ...]) -> str:
    """With one decimal below ten where GNU's gives it, always where busybox's does."""
    at = 0
    while size >= base and at < len(units) - 1:
        size, at = size / base, at + 1
    exact = at == 0 or (size >= 10 and units is not BUSYBOX)
    return f"{size:.0f}{units[at]}" if exact else f"{size:.1f}{units[at]}"


def _is_gnu(proc: Proc) -> bool:
    return proc.fs.exists("/etc/debian_version")


def _cannot(proc: Proc) -> str:
    return "failed to open" if _is_gnu(proc) else "can't open"


COMMANDS: dict[str, Callable[[Proc], Any]] = {"dd": dd}
