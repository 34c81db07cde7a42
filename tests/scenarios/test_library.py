"""Every scenario of the library: who does nothing fails, each solution passes, each wrong fix fails where it says, and
what is seen on the way is what was reviewed (``--rewrite`` writes the traces anew)."""

from __future__ import annotations

import json

import pytest

from seatrial.scenarios import library, playing
from seatrial.scenarios.report import report_of
from seatrial.scenarios.schema import json_schema
from seatrial.scenarios.trace import differences, trace


def cases() -> list[tuple[str, str]]:
    return [(name, way) for name in library.files() for way in playing.ways(library.load(name)[0])]


@pytest.mark.parametrize(("name", "way"), cases(), ids=str)
def test_way(name: str, way: str, pytestconfig: pytest.Config) -> None:
    scenario, text = library.load(name)
    run = playing.run_of(scenario, text, way)
    assert playing.objection(scenario, way, run) == ""
    if way in scenario.wrong:
        return
    if way == playing.NOTHING:
        assert report_of(run).score == 0
    kept, page = library.path_of(name).with_suffix(f".{way}.trace"), trace(run)
    if pytestconfig.getoption("--rewrite"):
        kept.write_text(page)
    assert differences(kept.read_text(), page) == []


@pytest.mark.parametrize("name", library.files())
def test_file_is_named_by_its_id(name: str) -> None:
    assert library.load(name)[0].id.upper() == name


def test_no_trace_is_left_over() -> None:
    known = {f"{name.lower()}.{way}.trace" for name, way in cases()}
    assert {path.name for folder in library.FOLDERS for path in folder.glob("*.trace")} <= known


def test_published_schema_is_the_one_that_is_checked_by(pytestconfig: pytest.Config) -> None:
    path = pytestconfig.rootpath / "docs" / "scenario.schema.json"
    text = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    if pytestconfig.getoption("--rewrite"):
        path.write_text(text)
    assert path.read_text() == text
