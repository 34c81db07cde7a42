"""Regular expressions as Go reads them: the patterns of schemas and of CEL.

RE2 and Go's regexp share syntax and limits; the words of an error differ. Source: regexp/syntax/parse.go (ErrorCode).
*Not modelled*: ``\\C``, which RE2 accepts.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import re2

CODES = {
    "missing ]": "missing closing ]",
    "missing )": "missing closing )",
    "trailing \\": "trailing backslash at end of expression",
    "no argument for repetition operator": "missing argument to repetition operator",
    "invalid repetition size": "invalid repeat count",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
}
"""RE2's word for a mistake -> Go's, where they differ."""
LOOKS_BEHIND = re.compile(r"\(\?<[=!][^>]*>?", re.DOTALL)
"""Go takes it for the beginning of a group's name."""


@cache
def compiled(pattern: str) -> Any:
    """A pattern, to search with. Raises ValueError in Go's words."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        said = error.args[0]
        raise ValueError(_told(said.decode() if isinstance(said, bytes) else said, pattern)) from None


def _told(said: str, pattern: str) -> str:
    code, _, where = said.partition(": ")
    told = CODES.get(code, code)
    if where in ("(?<=", "(?<!"):
        told, where = "invalid named capture", LOOKS_BEHIND.findall(pattern)[0]
        where = where if where.endswith(">") else pattern[pattern.index(where) :]
    return f"error parsing regexp: {told}: `{where}`"
