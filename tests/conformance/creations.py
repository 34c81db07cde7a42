"""Recorded creations: what a client sent, and what a real API server made of it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from seatrial.sim.apiserver.routing import parse
from seatrial.sim.machinery import kinds
from seatrial.sim.machinery.kinds import Resource

DATA = Path(__file__).resolve().parents[1] / "data" / "exchanges"
BUILTIN = kinds.builtin()


class Creation(NamedTuple):
    """One POST of a whole object of a built-in kind."""

    name: str
    resource: Resource
    raw: bytes
    content_type: str
    validation: str
    status: int
    response: dict[str, Any]
    warnings: list[str]


def files() -> list[Path]:
    return sorted(DATA.glob("*/*.jsonl.gz"))


def exchanges(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt") as lines:
        for line in lines:
            yield json.loads(line)


def creations(path: Path) -> Iterator[Creation]:
    for exchange in exchanges(path):
        info = parse("POST", exchange["path"].partition("?")[0].replace("{NS}", "x"))
        resource = BUILTIN.find(info.group, info.version, info.resource)
        if exchange["method"] != "POST" or resource is None or info.subresource or resource.virtual:
            continue
        body, raw = exchange["body"], exchange["raw"]
        text = raw if raw is not None else "" if body is None else json.dumps(body)
        text = text.replace("{NS}", f"x-{exchange['group']}")
        validation = exchange["path"].partition("fieldValidation=")[2].partition("&")[0] or "Warn"
        yield Creation(
            exchange["name"],
            resource,
            text.encode(),
            exchange["ctype"] or "application/json",
            validation,
            exchange["status"],
            exchange["response"],
            [text.split(" ", 2)[2][1:-1].replace('\\"', '"') for text in exchange["warnings"]],
        )
