"""``seatrial scenario list``: the scenarios, and apart from them the labs of the course, in the book's order."""

from __future__ import annotations

import json
from typing import Any

from click.testing import CliRunner

from seatrial.api.cli.scenario import scenario


def listed(*options: str) -> list[dict[str, Any]]:
    result = CliRunner().invoke(scenario, ["list", "-o", "json", *options])
    assert result.exit_code == 0, result.output
    rows: list[dict[str, Any]] = json.loads(result.output)
    return rows


def test_labs_are_listed_apart_in_the_books_order() -> None:
    labs = listed("--course")
    sections = [[int(part) for part in each["course"].split(".")] for each in labs]
    assert sections and sections == sorted(sections)
    assert not {each["id"] for each in labs} & {each["id"] for each in listed()}


def test_a_topic_that_no_lab_has() -> None:
    result = CliRunner().invoke(scenario, ["list", "--course", "--topic", "cooking"])
    assert "nothing is like that" in str(result.exception or result.output)


def test_the_table_has_the_sections() -> None:
    result = CliRunner().invoke(scenario, ["list", "--course", "--lang", "ko"])
    assert result.output.splitlines()[0].split() == ["SECTION", "ID", "LEVEL", "TITLE", "ABOUT"]
    assert "3.2.9" in result.output and "노드 비우기" in result.output
