"""The rules of ARCHITECTURE.md and CONTRIBUTING.md that a program can check."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("sim", "api", "scenarios")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MODULE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
WALL_CLOCK = re.compile(
    r"\b(time\.(time|monotonic|sleep|perf_counter)|datetime\.(now|utcnow|today)|random\.(random|randint|choice|shuffle|sample)"
    r"|uuid\.?uuid[14]|os\.urandom|secrets\.\w+)\("
)
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture(params=SOURCES, ids=named)
def source(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_a_module_says_what_it_is_for(source: Path) -> None:
    if source.name != "__init__.py":
        assert ast.get_docstring(ast.parse(source.read_text())), f"{named(source)} has no docstring"


def test_modules_and_functions_are_short(source: Path) -> None:
    assert len(source.read_text().splitlines()) <= MODULE_LINES_MAX
    long = [f"{node.name}: {node.end_lineno - node.lineno + 1}" for node in functions(source) if node.end_lineno]
    assert not [entry for entry in long if int(entry.rsplit(" ", 1)[1]) > FUNCTION_LINES_MAX]


def test_nothing_is_left_unfinished(source: Path) -> None:
    assert not UNFINISHED.search(source.read_text())


def test_the_simulation_reads_no_wall_clock_and_no_unseeded_randomness(source: Path) -> None:
    if source.is_relative_to(ROOT / "sim"):
        assert not WALL_CLOCK.search(source.read_text())


def test_every_package_is_installed() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    present = sorted(
        "seatrial." + str(path.parent.relative_to(ROOT)).replace("/", ".")
        for package in PACKAGES
        for path in (ROOT / package).rglob("__init__.py")
    )
    assert sorted(listed) == present
