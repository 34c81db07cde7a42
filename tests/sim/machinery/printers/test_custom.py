"""Printer columns of custom resources."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.sim.kernel.clock import parse_stamp
from seatrial.sim.machinery.printers import custom

NOW = parse_stamp("2026-01-01T01:00:00Z")
BOAT = {
    "metadata": {"name": "a", "annotations": {"k.io/home": "Busan"}},
    "spec": {
        "sails": 2,
        "length": 7.5,
        "sound": True,
        "built": "2025-12-31T01:00:00Z",
        "crew": [{"n": "x"}, {"n": "y"}],
    },
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Dry", "status": "False"}]},
}

FOUND = [
    (".spec.sails", [2]),
    ("{.spec.sails}", [2]),
    (".metadata.annotations.k\\.io/home", ["Busan"]),
    (".metadata.annotations['k.io/home']", ["Busan"]),
    (".spec.crew[0].n", ["x"]),
    (".spec.crew[-1].n", ["y"]),
    (".spec.crew[*].n", ["x", "y"]),
    (".spec.crew[0:1].n", ["x"]),
    ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
    (".status.conditions[?(@.type!='Ready')].type", ["Dry"]),
    (".spec.crew[5].n", []),
    (".spec.none.deeper", []),
    (".spec.sails.deeper", []),
    (".spec[", []),
]


@pytest.mark.parametrize(("path", "values"), FOUND, ids=[path for path, _ in FOUND])
def test_a_path_finds(path: str, values: list[Any]) -> None:
    assert custom.found(path, BOAT) == values


CELLS = [
    ("integer", ".spec.sails", 2),
    ("integer", ".spec.length", 7),
    ("number", ".spec.length", 7.5),
    ("boolean", ".spec.sound", True),
    ("string", ".spec.sound", "true"),
    ("string", ".spec.sails", "2"),
    ("string", ".spec.crew[0]", '{"n":"x"}'),
    ("date", ".spec.built", "24h"),
    ("date", ".metadata.name", "<invalid>"),
    ("integer", ".metadata.name", None),
    ("string", ".spec.none", None),
]


@pytest.mark.parametrize(("kind", "path", "cell"), CELLS)
def test_a_cell_has_its_columns_type(kind: str, path: str, cell: Any) -> None:
    assert custom.cells([{"type": kind, "jsonPath": path}], BOAT, NOW) == ["a", cell]
