"""Programs that read and write text."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Generator, Mapping
from typing import Any

from seatrial.sim.workloads.commands.options import inputs, lines_of, parsed, program, say
from seatrial.sim.workloads.commands.printf import printf_text, unescape
from seatrial.sim.workloads.commands.streaming import endless_at, poured
from seatrial.sim.workloads.process import Proc, Stream

Steps = Generator[Any, Any, int]
ROW_BYTES = 16
"""What hexdump shows in a line."""


def echo(proc: Proc) -> int:
    words = proc.argv[1:]
    if words and words[0] == "-n":
        proc.out(" ".join(words[1:]))
    elif words and words[0] == "-e":
        proc.out(unescape(" ".join(words[1:]))[0] + "\n")
    else:
        proc.out(" ".join(words) + "\n")
    return 0


def printf(proc: Proc) -> int:
    text, status, said = printf_text(proc.argv[1] if len(proc.argv) > 1 else "", proc.argv[2:])
    proc.out(text)
    if said:
        say(proc, said)
    return status


def cat(proc: Proc) -> Steps:
    options, paths = parsed(proc, "benstuvAET")
    if not paths:
        return (yield from poured(proc, proc.stdin))
    endless = next((stream for path in paths if (stream := endless_at(proc, path)) is not None), None)
    if endless is not None:
        return (yield from poured(proc, endless))
    found, status = yield from inputs(proc, paths, "can't open '{path}': {why}")
    number = 1
    for _, data in found:
        if "n" in options:
            for line in lines_of(data):
                proc.out(f"{number:6}\t".encode() + line)
                number += 1
        else:
            yield from proc.pour(data)
    return status


def hexdump(proc: Proc) -> Steps:
    """hexdump [-C] [-v] [-n length] [-s skip] [file]: two-byte words, or with -C bytes and what they say."""
    options, paths = parsed(proc, "Cv", "ns")
    found, status = yield from inputs(proc, paths, "{path}: {why}")
    data = b"".join(each for _, each in found)
    begin = int(options.get("s", "0"), 0)
    end = begin + int(options["n"], 0) if "n" in options else len(data)
    before, folded = b"", False
    for at in range(begin, min(end, len(data)), ROW_BYTES):
        row = data[at : min(at + ROW_BYTES, end)]
        if row == before and len(row) == ROW_BYTES and "v" not in options:
            if not folded:
                proc.out("*\n")
            folded = True
            continue
        before, folded = row, False
        proc.out(_canonical(at, row) if "C" in options else _words(at, row))
    if data:
        proc.out(f"{min(end, len(data)):0{8 if 'C' in options else 7}x}\n")
    return status


def _canonical(at: int, row: bytes) -> str:
    halves = (" ".join(f"{byte:02x}" for byte in half) for half in (row[:8], row[8:]))
    text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
    return f"{at:08x}  {'  '.join(halves):<48}  |{text}|\n"


def _words(at: int, row: bytes) -> str:
    words = (row[i : i + 2].ljust(2, b"\0") for i in range(0, len(row), 2))
    return f"{at:07x}" + "".join(f" {word[1]:02x}{word[0]:02x}" for word in words) + "\n"


def head(proc: Proc) -> Steps:
    _legacy(proc)
    options, paths = parsed(proc, "qv", "nc")
    if "c" not in options and not paths:
        return (yield from _head_stream(proc, int(options.get("n", "10"))))
    if "c" in options and len(paths) < 2 and (size := _size(options["c"])) >= 0:
        source = endless_at(proc, paths[0]) if paths else proc.stdin
        if source is not None:
            return (yield from _head_bytes(proc, source, size))
    found, status = yield from inputs(proc, paths)
    for index, (path, data) in enumerate(found):
        if len(found) > 1 and "q" not in options:
            proc.out(("\n" if index else "") + f"==> {path} <==\n")
        if "c" in options:
            proc.out(data[: _size(options["c"])])
            continue
        count = int(options.get("n", "10"))
        rows = lines_of(data)
        yield from proc.pour(b"".join(rows[:count] if count >= 0 else rows[: len(rows) + count]))
    return status


def _head_bytes(proc: Proc, source: Stream, left: int) -> Steps:
    while left > 0 and (data := (yield from source.read(left))):
        yield from proc.pour(data)
        left -= len(data)
    return 0


def _head_stream(proc: Proc, count: int) -> Steps:
    for _ in range(count):
        line = yield from proc.stdin.read_line()
        if not line:
            break
        proc.out(line)
    return 0


def _legacy(proc: Proc) -> None:
    """``-5`` means ``-n 5``."""
    proc.argv = [f"-n{word[1:]}" if re.fullmatch(r"-\d+", word) else word for word in proc.argv]


SIZES = {"b": 512, "k": 1024, "K": 1024, "m": 1024**2, "M": 1024**2, "g": 1024**3, "G": 1024**3}


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+)([a-zA-Z]?)B?", text)
    return int(match.group(1)) * SIZES.get(match.group(2), 1) if match else 0


size_of = _size


def tail(proc: Proc) -> Steps:
    _legacy(proc)
    options, paths = parsed(proc, "fFqv", "ncs")
    found, status = yield from inputs(proc, paths, "can't open '{path}': {why}")
    for index, (path, data) in enumerate(found):
        if len(found) > 1 and "q" not in options:
            proc.out(("\n" if index else "") + f"==> {path} <==\n")
        yield from proc.pour(_tail_of(data, options))
    if "F" in options and paths:
        return (yield from _follow(proc, paths, True))
    if "f" in options and paths and found:
        return (yield from _follow(proc, [path for path, _ in found], False))
    return status


def _tail_of(data: bytes, options: Mapping[str, str]) -> bytes:
    if "c" in options:
        text = options["c"]
        return data[_size(text[1:]) - 1 :] if text.startswith("+") else data[-_size(text.lstrip("-")) :]
    text = options.get("n", "10")
    rows = lines_of(data)
    if text.startswith("+"):
        return b"".join(rows[max(int(text[1:]) - 1, 0) :])
    count = int(text.lstrip("-"))
    return b"".join(rows[-count:]) if count else b""


def _follow(proc: Proc, paths: list[str], by_name: bool) -> Steps:
    """Waits for more, looking once a second as busybox does, whenever the file system changed; what is not there may
    come."""
    open_files = {path: proc.fs.find(path, proc.cwd) for path in paths if proc.fs.exists(path, proc.cwd)}
    sizes = {path: len(proc.fs.read(path, proc.cwd)) for path in open_files}
    while True:
        for path in paths:
            before = open_files.get(path)
            if not proc.fs.exists(path, proc.cwd):
                if open_files.pop(path, None) is not None:
                    say(proc, f"{path} has become inaccessible: No such file or directory")
                continue
            node = open_files[path] = proc.fs.find(path, proc.cwd)
            # A file of the image becomes another when it is first written to, and stays the same to who reads it.
            if before is None or (by_name and node is not before and not before.frozen):
                how = "appeared" if before is None else "been replaced"
                say(proc, f"{path} has {how}; following end of new file")
                sizes[path] = 0
            data = proc.fs.read(path, proc.cwd)
            if len(data) < sizes[path]:
                sizes[path] = 0
            if len(data) > sizes[path]:
                proc.out(data[sizes[path] :])
                sizes[path] = len(data)
        yield proc.container.changed.wait()
        yield proc.clock.sleep(1_000_000)


def wc(proc: Proc) -> Steps:
    options, paths = parsed(proc, "lwcmL")
    found, status = yield from inputs(proc, paths)
    wanted = [letter for letter in "lwc" if letter in options] or ["l", "w", "c"]
    totals = [0] * len(wanted)
    counts: dict[str, Callable[[bytes], int]] = {
        "l": lambda data: data.count(b"\n"),
        "w": lambda data: len(data.split()),
        "c": len,
    }
    for path, data in found:
        row = [counts[letter](data) for letter in wanted]
        totals = [a + b for a, b in zip(totals, row, strict=True)]
        proc.out(_counted(row, path if paths else ""))
    if len(found) > 1:
        proc.out(_counted(totals, "total"))
    return status


def _counted(row: list[int], name: str) -> str:
    if len(row) == 1:
        text = str(row[0])
    else:
        text = " ".join(f"{count:9d}" for count in row)
    return f"{text} {name}\n" if name else f"{text}\n"


def sort(proc: Proc) -> Steps:
    options, paths = parsed(proc, "nruhbfVscM", "kto")
    found, status = yield from inputs(proc, paths)
    rows = [line.rstrip(b"\n").decode(errors="surrogateescape") for _, data in found for line in lines_of(data)]
    key = _sort_key(options)
    rows.sort()
    rows.sort(key=key, reverse="r" in options)
    if "u" in options:
        seen: dict[Any, str] = {}
        for row in rows:
            seen.setdefault(key(row), row)
        rows = list(seen.values())
    text = "".join(row + "\n" for row in rows)
    if "o" in options:
        proc.fs.write(options["o"], text.encode(errors="surrogateescape"), proc.cwd)
    else:
        yield from proc.pour(text.encode(errors="surrogateescape"))
    return status


def _sort_key(options: Mapping[str, str]) -> Callable[[str], Any]:
    spec = options.get("k", "")
    match = re.match(r"(\d+)(?:\.\d+)?([a-z]*)(?:,(\d+)(?:\.\d+)?([a-z]*))?", spec)
    separator = options.get("t")
    kinds = set(options) | set(match.group(2) or "") | set(match.group(4) or "") if match else set(options)

    def key(row: str) -> Any:
        text = row
        if match:
            fields = row.split(separator)
            last = int(match.group(3)) if match.group(3) else len(fields)
            text = (separator or " ").join(fields[int(match.group(1)) - 1 : last])
        if "n" in kinds or "h" in kinds:
            number = re.match(r"\s*(-?\d+(?:\.\d+)?)([KMGT]?)", text)
            scale = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
            return float(number.group(1)) * (scale.get(number.group(2), 1) if "h" in kinds else 1) if number else 0.0
        if "V" in kinds:
            return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", text)]
        return text.lower() if "f" in kinds else text

    return key


def uniq(proc: Proc) -> Steps:
    options, paths = parsed(proc, "cdui")
    found, status = yield from inputs(proc, paths[:1])
    groups: list[tuple[bytes, int]] = []
    for line in lines_of(found[0][1]) if found else []:
        row = line.rstrip(b"\n")
        if groups and groups[-1][0] == row:
            groups[-1] = (row, groups[-1][1] + 1)
        else:
            groups.append((row, 1))
    for row, count in groups:
        if ("d" in options and count == 1) or ("u" in options and count > 1):
            continue
        proc.out((f"{count:7d} ".encode() if "c" in options else b"") + row + b"\n")
    return status


def cut(proc: Proc) -> Steps:
    options, paths = parsed(proc, "sn", "dfcb", {"delimiter": "d", "fields": "f"})
    found, status = yield from inputs(proc, paths)
    wanted = _ranges(options.get("f") or options.get("c") or options.get("b") or "1-")
    separator = options.get("d", "\t")
    for _, data in found:
        for line in lines_of(data):
            row = line.rstrip(b"\n").decode(errors="surrogateescape")
            if "f" not in options:
                proc.out("".join(char for at, char in enumerate(row, 1) if _inside(at, wanted)) + "\n")
                continue
            if separator not in row:
                if "s" not in options:
                    proc.out(row + "\n")
                continue
            fields = row.split(separator)
            proc.out(separator.join(field for at, field in enumerate(fields, 1) if _inside(at, wanted)) + "\n")
    return status


def _ranges(text: str) -> list[tuple[int, int]]:
    found = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        begin = int(first or 1)
        found.append((begin, int(last) if last else (1 << 30 if dash else begin)))
    return found


def _inside(at: int, ranges: list[tuple[int, int]]) -> bool:
    return any(first <= at <= last for first, last in ranges)


def seq(proc: Proc) -> Steps:
    _, operands = parsed(_numbers(proc), "w", "sf")
    first, step, last = 1.0, 1.0, float(operands[-1])
    if len(operands) > 1:
        first = float(operands[0])
    if len(operands) > 2:
        step = float(operands[1])
    places = max((len(text.partition(".")[2]) for text in operands), default=0)
    separator = "\n"
    count, parts = 0, []
    while (first + count * step <= last + 1e-9) if step > 0 else (first + count * step >= last - 1e-9):
        parts.append(f"{first + count * step:.{places}f}")
        count += 1
    if parts:
        yield from proc.pour((separator.join(parts) + "\n").encode())
    return 0


def _numbers(proc: Proc) -> Proc:
    """Negative numbers are operands, not options."""
    if any(re.fullmatch(r"-\d+(\.\d+)?", word) for word in proc.argv[1:]):
        proc.argv = [proc.argv[0], "--", *proc.argv[1:]]
    return proc


def rev(proc: Proc) -> Steps:
    found, status = yield from inputs(proc, proc.argv[1:])
    for _, data in found:
        for line in lines_of(data):
            proc.out(line.rstrip(b"\n").decode()[::-1] + "\n")
    return status


def base64_(proc: Proc) -> Steps:
    options, paths = parsed(proc, "di", "w", {"decode": "d", "wrap": "w"})
    found, status = yield from inputs(proc, paths)
    for _, data in found:
        if "d" in options:
            proc.out(base64.b64decode(data))
            continue
        text = base64.b64encode(data).decode()
        width = int(options.get("w", "76"))
        rows = [text[at : at + width] for at in range(0, len(text), width)] if width else [text]
        proc.out("\n".join(rows) + ("\n" if width else ""))
    return status


def digest(proc: Proc) -> Steps:
    """md5sum, sha1sum, sha256sum, sha512sum"""
    _, paths = parsed(proc, "bcst")
    found, status = yield from inputs(proc, paths, "can't open '{path}': {why}")
    for path, data in found:
        made = hashlib.new(program(proc).removesuffix("sum"), data, usedforsecurity=False).hexdigest()
        proc.out(f"{made}  {path}\n")
    return status


def nl(proc: Proc) -> Steps:
    _, paths = parsed(proc, "", "bws")
    found, status = yield from inputs(proc, paths)
    number = 1
    for _, data in found:
        for line in lines_of(data):
            proc.out(f"{number:6}\t".encode() + line)
            number += 1
    return status


def xargs(proc: Proc) -> Steps:
    options, at = {}, 1
    while at < len(proc.argv) and proc.argv[at].startswith("-"):
        word = proc.argv[at]
        at += 1
        if word[1] in "nIPLs":
            value = word[2:]
            if not value:
                value = proc.argv[at]
                at += 1
            options[word[1]] = value
        else:
            options[word[1]] = "1"
    command = proc.argv[at:] or ["echo"]
    data = (yield from proc.read_all()).decode(errors="surrogateescape")
    words = data.split("\0") if "0" in options else data.split("\n") if "I" in options else data.split()
    words = [word for word in words if word]
    if not words and "r" in options:
        return 0
    if "I" in options:
        mark = options["I"]
        batches = [[part.replace(mark, word) for part in command] for word in words]
    else:
        size = int(options.get("n", len(words) or 1))
        batches = [command + words[begin : begin + size] for begin in range(0, len(words) or 1, size)]
    status = 0
    for batch in batches:
        ended = yield from proc.container.run_child(proc, batch)
        if ended:
            status = 127 if ended == 127 else 123
    return status


COMMANDS: dict[str, Callable[[Proc], Any]] = {
    "echo": echo, "printf": printf, "cat": cat, "head": head, "tail": tail, "wc": wc, "sort": sort, "uniq": uniq,
    "cut": cut, "seq": seq, "rev": rev, "hexdump": hexdump,
    "base64": base64_, "md5sum": digest, "sha1sum": digest, "sha256sum": digest, "sha512sum": digest, "nl": nl,
    "xargs": xargs,
}  # fmt: skip
