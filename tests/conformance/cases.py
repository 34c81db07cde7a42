"""Cases as they are written down, and which of their fields a test has looked at.

A case says what goes in and what comes out by the names of fields. A field that no test looks at would pass whatever it
says; ``judged`` fails for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from seatrial.sim.kernel.clock import parse_stamp

Object = Mapping[str, Any]
Runner = Callable[[Object, Object], None]
NOW = parse_stamp("2026-01-01T00:00:00Z")
"""When what is given and what is expected are."""
DATA = Path(__file__).parent.parent / "data"


class Fields(dict[str, Any]):
    """A mapping that remembers which of its fields were read."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        super().__init__({key: watched(value) for key, value in fields.items()})
        self._read: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self._read.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self._read.add(key)
        return super().get(key, default)

    def __iter__(self) -> Iterator[str]:
        self._read.update(self.keys())
        return super().__iter__()

    def __eq__(self, other: object) -> bool:
        self._read.update(self.keys())
        return super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]

    def values(self) -> Any:
        self._read.update(self.keys())
        return super().values()

    def items(self) -> Any:
        self._read.update(self.keys())
        return super().items()

    def unread(self, path: str) -> Iterator[str]:
        for key in self.keys():
            value, where = super().__getitem__(key), f"{path}.{key}"
            if key in self._read:
                yield from unread(value, where)
            else:
                yield where


def watched(value: Any) -> Any:
    if isinstance(value, Mapping):
        return Fields(value)
    return [watched(each) for each in value] if isinstance(value, list) else value


def unread(value: Any, path: str) -> Iterator[str]:
    """The paths of the fields that nobody read."""
    if isinstance(value, Fields):
        yield from value.unread(path)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from unread(each, f"{path}[{index}]")


def plain(value: Any) -> Any:
    """A value as it is handed on whole to what is tested; all of it counts as read."""
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value


def judged(run: Runner, case: Mapping[str, Any]) -> None:
    """Runs a case. Raises AssertionError also for fields that had no say in it."""
    given, expect = Fields(case["inputs"]), Fields(case["expect"])
    run(given, expect)
    nothing_idle([*given.unread("inputs"), *expect.unread("expect")])


def nothing_idle(idle: Sequence[str]) -> None:
    assert not idle, f"nothing here looks at {', '.join(idle)}"


def parametrize(metafunc: pytest.Metafunc, pattern: str, kind: str) -> None:
    """One test for each case of the files, and of those in the directory that ``--cases`` names."""
    other = metafunc.config.getoption("--cases", default=None)
    folders = [DATA, *([Path(other)] if other else [])]
    files = [file for folder in folders for file in sorted(folder.glob(pattern))]
    cases = [case for file in files for case in yaml.load(file.read_text(), Loader=yaml.CSafeLoader)["cases"]]
    metafunc.parametrize("case", cases, ids=[f"{case[kind]}: {case['name']}" for case in cases])
