"""grep, and POSIX patterns as Python has them."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from typing import Any

from seatrial.sim.workloads.commands.options import inputs, lines_of, parsed, program
from seatrial.sim.workloads.filesystem import File
from seatrial.sim.workloads.process import Proc

Steps = Generator[Any, Any, int]

TR_CLASSES = {
    "alpha": "a-zA-Z", "digit": "0-9", "alnum": "a-zA-Z0-9", "upper": "A-Z", "lower": "a-z", "space": " \t\n\r\v\f",
    "blank": " \t", "punct": "!-/:-@[-`{-~",
}  # fmt: skip


def grep(proc: Proc) -> Steps:
    options, operands = parsed(proc, "ivclLqsonEFPwxhHrRaz", "eABCmf", GREP_LONG)
    if program(proc) == "egrep":
        options["E"] = "1"
    if program(proc) == "fgrep":
        options["F"] = "1"
    pattern = options["e"] if "e" in options else operands.pop(0) if operands else ""
    regex = grep_pattern(pattern, options)
    recursive = "r" in options or "R" in options
    paths = _expanded(proc, operands or ["."]) if recursive else operands
    found, status = yield from inputs(proc, paths)
    matched = False
    for path, data in found:
        prefix = f"{path}:" if (len(paths) > 1 or recursive or "H" in options) and "h" not in options else ""
        hits = _grep_one(proc, lines_of(data), regex, options, prefix, path)
        matched = matched or hits
        if hits and "q" in options:
            return 0
    return 2 if status and not matched else int(not matched)


GREP_LONG = {
    "quiet": "q",
    "ignore-case": "i",
    "invert-match": "v",
    "count": "c",
    "only-matching": "o",
    "line-number": "n",
}


def _expanded(proc: Proc, paths: list[str]) -> list[str]:
    found = []
    for path in paths:
        if proc.fs.exists(path, proc.cwd):
            found += [at for at, node in proc.fs.tree(path, proc.cwd) if isinstance(node, File) and not node.device]
    return found


def grep_pattern(pattern: str, options: Mapping[str, str]) -> re.Pattern[str]:
    """A grep pattern as Python has it."""
    alternatives = pattern.split("\n")
    if "F" in options:
        made = "|".join(re.escape(part) for part in alternatives)
    elif "E" in options or "P" in options:
        made = "|".join(extended(part) for part in alternatives)
    else:
        made = "|".join(basic(part) for part in alternatives)
    if "w" in options:
        made = rf"\b(?:{made})\b"
    if "x" in options:
        made = rf"^(?:{made})$"
    try:
        return re.compile(made, re.IGNORECASE if "i" in options else 0)
    except re.error:
        return re.compile(re.escape(pattern))


def extended(pattern: str) -> str:
    """POSIX extended → Python: bracket classes are all that differs in practice."""
    for name, chars in {**TR_CLASSES, "space": r"\s", "punct": r"!-/:-@\[-`{-~"}.items():
        pattern = pattern.replace(f"[:{name}:]", chars)
    return pattern


def basic(pattern: str) -> str:
    """POSIX basic → Python: what is special there needs a backslash here, and the other way round."""
    made: list[str] = []
    at, in_bracket = 0, False
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if in_bracket:
            made.append(char)
            in_bracket = char != "]"
        elif char == "\\" and at < len(pattern):
            following = pattern[at]
            at += 1
            made.append(following if following in "(){}|+?" else "\\" + following)
        elif char in "(){}|+?":
            made.append("\\" + char)
        elif char == "*" and (not made or made[-1] in ("(", "|")):
            made.append("\\*")
        else:
            in_bracket = char == "["
            made.append(char)
    return extended("".join(made))


def _grep_one(
    proc: Proc, rows: list[bytes], regex: re.Pattern[str], options: Mapping[str, str], prefix: str, path: str
) -> bool:
    hits = []
    for index, line in enumerate(rows):
        text = line.rstrip(b"\n").decode(errors="surrogateescape")
        if bool(regex.search(text)) != ("v" in options):
            hits.append((index, text))
            if "m" in options and len(hits) >= int(options["m"]):
                break
    if "q" in options:
        return bool(hits)
    if "c" in options:
        proc.out(f"{prefix}{len(hits)}\n")
    elif "l" in options or "L" in options:
        if bool(hits) == ("l" in options):
            proc.out(f"{path}\n")
    elif "o" in options:
        for index, text in hits:
            for match in regex.finditer(text):
                if match.group(0):
                    proc.out(f"{prefix}{f'{index + 1}:' if 'n' in options else ''}{match.group(0)}\n")
    else:
        _grep_lines(proc, rows, dict(hits), options, prefix)
    return bool(hits)


def _grep_lines(proc: Proc, rows: list[bytes], hits: dict[int, str], options: Mapping[str, str], prefix: str) -> None:
    before = int(options.get("B") or options.get("C") or 0)
    after = int(options.get("A") or options.get("C") or 0)
    shown: dict[int, None] = {}
    for index in hits:
        for near in range(max(index - before, 0), min(index + after, len(rows) - 1) + 1):
            shown[near] = None
    for index in sorted(shown):
        text = rows[index].rstrip(b"\n").decode(errors="surrogateescape")
        mark = ":" if index in hits else "-"
        proc.out(f"{prefix}{f'{index + 1}{mark}' if 'n' in options else ''}{text}\n")


COMMANDS: dict[str, Callable[[Proc], Any]] = {"grep": grep, "egrep": grep, "fgrep": grep}
