"""Backslash escapes and formats, as echo, printf and awk share them."""

from __future__ import annotations

import re

ESCAPES = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    '"': '"',
    "e": "\x1b",
}


SPEC = re.compile(r"%([-+ #0]*)(\*|\d+)?(?:\.(\*|\d+))?([diouxXeEfgGcsbq%])")


def unescape(text: str) -> tuple[str, bool]:
    """Backslash escapes of echo -e and printf; the second: ``\\c`` ends all output."""
    parts: list[str] = []
    at = 0
    while at < len(text):
        char = text[at]
        at += 1
        if char != "\\" or at >= len(text):
            parts.append(char)
            continue
        following = text[at]
        at += 1
        if following == "c":
            return "".join(parts), True
        if following == "x":
            match = re.match(r"[0-9a-fA-F]{1,2}", text[at:])
            digits = match.group(0) if match else ""
            at += len(digits)
            parts.append(_byte(int(digits, 16)) if digits else "\\x")
        elif following in "01234567":
            match = re.match(r"[0-7]{1,3}" if following != "0" else r"0?[0-7]{0,3}", text[at - 1 :])
            digits = match.group(0) if match else following
            at += len(digits) - 1
            parts.append(_byte(int(digits, 8) & 0xFF))
        else:
            parts.append(ESCAPES.get(following, "\\" + following))
    return "".join(parts), False


def _byte(value: int) -> str:
    """One byte of output, in the form in which texts carry what is not UTF-8."""
    return bytes([value]).decode(errors="surrogateescape")


def printf_text(form: str, arguments: list[str]) -> tuple[str, int, str]:
    """(text, status, complaint) of printf; the format is used again while arguments are left."""
    rest = list(arguments)
    parts: list[str] = []
    status, said = 0, ""
    pattern, stopped = unescape(form)
    while True:
        before = len(rest)

        def one(match: re.Match[str]) -> str:
            nonlocal status, said
            if match.group(4) == "%":
                return "%"
            text, problem = _converted(match, rest)
            if problem:
                status, said = 1, problem
            return text

        parts.append(SPEC.sub(one, pattern))
        if stopped or not rest or len(rest) == before:
            return "".join(parts), status, said


def _converted(match: re.Match[str], rest: list[str]) -> tuple[str, str]:
    flags, width, precision, kind = match.groups()
    if width == "*":
        width = rest.pop(0) if rest else "0"
    if precision == "*":
        precision = rest.pop(0) if rest else "0"
    spec = f"%{flags}{width or ''}{'.' + precision if precision is not None else ''}"
    value = rest.pop(0) if rest else None
    if kind in "sbq":
        text = unescape(value or "")[0] if kind == "b" else value or ""
        return (spec + "s") % text, ""
    if kind == "c":
        return (spec + "s") % (value or "")[:1], ""
    try:
        if kind in "eEfgG":
            return (spec + kind) % float(value or 0), ""
        number = ord(value[1]) if value and value[0] in "'\"" and len(value) > 1 else int(value or "0", 0)
    except ValueError:
        return (spec + "d") % 0, f"{value}: invalid number"
    return (spec + ("d" if kind in "iu" else kind)) % number, ""
