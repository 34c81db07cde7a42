"""Shell patterns: matching text, trimming values, finding files."""

from __future__ import annotations

import re
from functools import lru_cache

from seatrial.sim.workloads.filesystem import FileSystem

SPECIAL = "*?["
CLASSES = {
    "alpha": "a-zA-Z", "digit": "0-9", "alnum": "a-zA-Z0-9", "upper": "A-Z", "lower": "a-z", "space": r"\s",
    "blank": r" \t", "punct": r"!-/:-@\[-`{-~", "xdigit": "0-9a-fA-F", "print": " -~", "cntrl": r"\x00-\x1f",
}  # fmt: skip


def escape(text: str) -> str:
    """Text that matches itself alone."""
    return "".join(f"\\{char}" if char in "*?[]\\" else char for char in text)


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern as a regular expression for the whole of a text."""
    parts: list[str] = []
    at, begin = 0, None
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*":
            if begin is not None:
                # What stands between two stars is looked for once: where it comes first, it leaves most to the rest.
                parts[begin:] = ["(?>.*?", *parts[begin + 1 :], ")"]
            begin = len(parts)
            parts.append(".*")
        elif char == "?":
            parts.append(".")
        elif char == "\\" and at < len(pattern):
            parts.append(re.escape(pattern[at]))
            at += 1
        elif char == "[":
            made, at = _bracket(pattern, at)
            parts.append(made)
        else:
            parts.append(re.escape(char))
    try:
        return re.compile("".join(parts), re.DOTALL)
    except re.error:
        # A range that ends before it begins stands for itself.
        return re.compile(re.escape(pattern))


def _bracket(pattern: str, at: int) -> tuple[str, int]:
    end = pattern.find("]", at + (2 if pattern[at : at + 1] in ("!", "^") else 1))
    while end > 0 and pattern.rfind("[:", at, end) >= 0 and pattern[end - 1] == ":":
        end = pattern.find("]", end + 1)
    if end < 0:
        return re.escape("["), at
    inside = pattern[at:end]
    negated = inside[:1] in ("!", "^")
    if negated:
        inside = inside[1:]
    for name, chars in CLASSES.items():
        inside = inside.replace(f"[:{name}:]", chars)
    inside = inside.replace("\\", "\\\\").replace("[", "\\[") if "\\" not in inside else inside
    return f"[{'^' if negated else ''}{inside}]", end + 1


def matches(text: str, pattern: str) -> bool:
    return compiled(pattern).fullmatch(text) is not None


def trimmed(value: str, pattern: str, operator: str) -> str:
    """``${value#pattern}`` and its three relatives."""
    sizes = range(len(value) + 1)
    longest = operator in ("##", "%%")
    match = compiled(pattern).fullmatch
    if operator.startswith("#"):
        for size in reversed(sizes) if longest else sizes:
            if match(value[:size]):
                return value[size:]
    else:
        for size in reversed(sizes) if longest else sizes:
            if match(value[len(value) - size :]):
                return value[: len(value) - size]
    return value


def files(fs: FileSystem, cwd: str, pattern: str) -> list[str]:
    """The paths that a pattern finds, in order; none: the pattern finds nothing."""
    absolute = pattern.startswith("/")
    found = ["/" if absolute else ""]
    for part in (part for part in pattern.split("/") if part):
        following: list[str] = []
        for base in found:
            following += _below(fs, cwd, base, part)
        found = following
    return sorted(found)


def _below(fs: FileSystem, cwd: str, base: str, part: str) -> list[str]:
    prefix = base if not base or base.endswith("/") else base + "/"
    if not any(char in part for char in SPECIAL):
        plain = prefix + re.sub(r"\\(.)", r"\1", part)
        return [plain] if fs.exists(plain, cwd, follow=False) else []
    try:
        names = fs.directory(base or ".", cwd)
    except OSError:
        return []
    hidden = part.startswith(".")
    match = compiled(part).fullmatch
    return [prefix + name for name in names if (hidden or not name.startswith(".")) and match(name)]
