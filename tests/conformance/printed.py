"""What kubectl printed in front of a real control plane, and when something else says the same."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[1] / "data" / "transcripts"
"""Nine sessions of commands with, for most of them, exit code and text."""
MASKS = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?[Z+\-][\d:]*)( UTC)?", "<time>"),
        (r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+\-]\d{4}", "<time>"),
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uid>"),
        (r"X509SHA256=[0-9a-f]+", "<credential>"),
        (r"eyJ[\w.\-]+", "<token>"),
        (r"(?<=-)[bcdfghjklmnpqrstvwxz2456789]{5}\b", "<generated>"),
        (r"(?<=-)[bcdf0-9]{8,10}\b", "<hash>"),
        (r"\.18[0-9a-f]{14}\b", ".<event>"),
        (r"127\.0\.0\.1:\d+|192\.168\.1\.10:6443", "<server>"),
        (r"\b(?:10\.\d+|172\.(?:1[6-9]|2\d|3[01]))\.\d+\.\d+\b", "<ip>"),
        (r"\bw[123](/[\d.]+)?\b", "<node>"),
        (r"\b192\.(168|0)\.\d+\.\d+\b", "<host>"),
        (r"(<invalid>|\b(\d+[ydhms])+\d*\b)( \(x\d+ over (\d+[ydhms])+\))?", "<age>"),
        (r'([rR]esource ?Version\\?"?: *\\?"?)\d+', r"\1<version>"),
        (r":3\d{4}/", ":<port>/"),
        (r'("?nodePort"?: )\d+', r"\1<port>"),
        (r"(NodePort: +\S+ +)\d+/TCP", r"\1<port>/TCP"),
        (r"(?m)^[EWI]\d{4} [\d:.]+ +\d+ ", "<log> "),
        (r"(?m)^Waiting for .*\n", ""),
        (r"-{3,}", "---"),
        (r"[ \t]+", " "),
    )
)
"""What no two clusters print alike; how often a roll-out reports is a matter of milliseconds."""


def masked(text: str) -> list[str]:
    for pattern, replacement in MASKS:
        text = pattern.sub(replacement, text)
    return [line.rstrip() for line in text.splitlines()]


def same(want: str, got: str) -> bool:
    """Equal after masking; lines about objects with generated names may come in another order."""
    ours, theirs = masked(got), masked(want)
    return ours == theirs or ("<generated>" in "".join(theirs) and sorted(ours) == sorted(theirs))


def read(session: str) -> list[dict[str, Any]]:
    with gzip.open(DATA / f"{session}.jsonl.gz", "rt") as lines:
        return [json.loads(line) for line in lines]
