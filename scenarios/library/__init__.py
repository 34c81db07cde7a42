"""The scenarios that come with Seatrial, one YAML file each, and beside each the reviewed traces of its runs; among
them the labs of the course, in a folder of their own."""

from __future__ import annotations

import difflib
from functools import lru_cache
from pathlib import Path

from seatrial.scenarios import course
from seatrial.scenarios.schema import Scenario, read

FOLDER = Path(__file__).parent
FOLDERS = (FOLDER, course.FOLDER)


class Unknown(LookupError):
    """A scenario that there is not; ``near`` are the ids that may have been meant."""

    def __init__(self, name: str, near: tuple[str, ...]) -> None:
        super().__init__(name, near)
        self.name, self.near = name, near


def files() -> dict[str, Path]:
    """The library's files by their ids, then the course's."""
    return {path.stem.upper(): path for folder in FOLDERS for path in sorted(folder.glob("*.yaml"))}


def path_of(name: str) -> Path:
    """The file of a scenario: by id, in any letter case, or a path. Raises Unknown."""
    known = files()
    if name.upper() in known:
        return known[name.upper()]
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return path
    raise Unknown(name, tuple(difflib.get_close_matches(name.upper(), known, 3)))


def load(name: str) -> tuple[Scenario, str]:
    """A scenario and its text. Raises Unknown, OSError, Mistaken."""
    path = path_of(name)
    text = path.read_text()
    return _read(text, str(path)), text


@lru_cache(maxsize=256)
def _read(text: str, file: str) -> Scenario:
    return read(text, file)
