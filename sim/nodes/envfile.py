"""Files of variables that a container's environment is taken from (fileKeyRef): ``NAME='value'``, line by line.

Source: k8s.io/kubernetes/pkg/kubelet/util/env. Values stand between single quotes, may go over several lines and mean
themselves; comments begin with a hash.
"""

from __future__ import annotations

BLANKS = " \t"
INVALID = "invalid environment variable format"


def value_in(text: str, key: str) -> str:
    """A key's value, empty when the file says nothing of it. Raises ValueError for a malformed line up to there."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        line, number = lines[at].lstrip(BLANKS), at + 1
        at += 1
        if not line or line.startswith("#"):
            continue
        name, equals, rest = line.partition("=")
        if not equals:
            raise ValueError(f"{INVALID} at line {number}: missing '='")
        if not name.rstrip(BLANKS):
            raise ValueError(f"{INVALID} at line {number}: empty variable name")
        if name != name.rstrip(BLANKS):
            raise ValueError(f"{INVALID} at line {number}: whitespace before '=' is not allowed")
        if rest[:1] in (" ", "\t"):
            # As a shell has it: the variable is empty.
            if name == key:
                return ""
            continue
        if not rest.startswith("'"):
            raise ValueError(f"{INVALID} at line {number}: value must be enclosed in single quotes")
        value, at = _quoted(lines, at, rest[1:], number)
        if name == key:
            return value
    return ""


def _quoted(lines: list[str], at: int, rest: str, number: int) -> tuple[str, int]:
    """(what stands before the closing quote, the line after it)."""
    value = ""
    while "'" not in rest:
        value += rest + "\n"
        if at >= len(lines):
            raise ValueError(f"{INVALID} starting at line {number}: unclosed single quote")
        rest, at = lines[at], at + 1
    inside, _, after = rest.partition("'")
    after = after.lstrip(BLANKS)
    if after and not after.startswith("#"):
        raise ValueError(f"{INVALID} at line {at}: unexpected content after closing quote")
    return value + inside, at
