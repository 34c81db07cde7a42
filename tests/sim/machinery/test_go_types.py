"""The hand-kept facts about Go's types name types and fields that there are, and say something of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from seatrial.sim.machinery import schema
from seatrial.sim.machinery.data.go_types import DISABLED, OMITTED, POINTERS, PRESENT, short
from seatrial.sim.machinery.default_rules import RULES
from seatrial.sim.machinery.schema import Field

TYPES = {short(name): schema.type_named(name) for name in schema.data("types")["types"]}
TABLES = {"pointers": POINTERS, "present": PRESENT, "omitted": OMITTED, "disabled": DISABLED}


def rows(table: str) -> Iterator[tuple[str, Field]]:
    for type_name, fields in TABLES[table].items():
        if type_name:
            for name in sorted(fields):
                yield f"{type_name} {name}", TYPES[type_name].fields[name]


@pytest.mark.parametrize("table", TABLES)
def test_every_row_names_a_field(table: str) -> None:
    assert list(rows(table))


def test_the_tables_reach_the_compiled_types() -> None:
    assert all(field.pointer for _, field in rows("pointers"))
    assert all(field.present for _, field in rows("present"))
    assert not any(field.present for _, field in rows("omitted"))
    assert all(field.disabled for _, field in rows("disabled"))


def test_every_default_belongs_to_a_field() -> None:
    for type_name, rules in RULES.items():
        for rule in rules:
            if not callable(rule):
                assert rule[0] in TYPES[type_name].fields, type_name
