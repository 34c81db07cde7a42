"""YAML that remembers where everything stands, so that a mistake is told with its line and column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import yaml

Path = tuple[str | int, ...]
"""Keys and indexes from the document's root on."""


class Mistake(NamedTuple):
    """One thing wrong with a file; line and column count from one on, 0 where there is none to name."""

    line: int
    column: int
    what: str
    meant: str = ""

    def told(self, file: str) -> str:
        """``FILE:LINE:COLUMN: WHAT (MEANT)``"""
        where = f"{file}:{self.line}:{self.column}" if self.line else file
        return f"{where}: {self.what}" + (f" ({self.meant})" if self.meant else "")


class Mistaken(ValueError):
    """A file that cannot be used: all that is wrong with it."""

    def __init__(self, file: str, mistakes: Sequence[Mistake]) -> None:
        super().__init__(file, mistakes)
        self.file = file
        self.mistakes = tuple(sorted(mistakes))

    def __str__(self) -> str:
        return "\n".join(each.told(self.file) for each in self.mistakes)


class Document(NamedTuple):
    """A YAML document: its value, and where each part of it stands."""

    value: Any
    root: Any
    text: str

    def place(self, path: Iterable[str | int], key: bool = False) -> tuple[int, int]:
        """Line and column of what is at a path, or of the nearest thing around it that is there; ``key`` asks for the
        key under which it stands."""
        node, mark = self.root, self.root.start_mark
        for step in path:
            found = _below(node, step)
            if found is None:
                break
            name, node = found
            mark = name.start_mark if key and name is not None else node.start_mark
        return mark.line + 1, mark.column + 1

    def within(self, path: Iterable[str | int], line: int, column: int) -> tuple[int, int]:
        """Where a place of a text (both from one on) stands in the file, if the text is written on one line or as a
        block."""
        node = self.root
        for step in path:
            found = _below(node, step)
            if found is None:
                return self.place(path)
            node = found[1]
        mark = node.start_mark
        if node.style in ("|", ">"):
            lines = self.text.split("\n")
            below = mark.line + line
            indent = len(lines[below]) - len(lines[below].lstrip()) if below < len(lines) else 0
            return below + 1, indent + column
        quoted = 1 if node.style in ("'", '"') else 0
        return mark.line + line, (mark.column + quoted if line == 1 else 0) + column


def _below(node: Any, step: str | int) -> tuple[Any, Any] | None:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == str(step):
                return name, value
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return None, node.value[step]
    return None


class _Loader(yaml.CSafeLoader):
    """Times stay text, as in a manifest; so do yes and no, which would be a trap for answers."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in found
        if tag not in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:bool") or first in "tTfF"
    ]
    for first, found in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def read(text: str, file: str) -> Document:
    """The document of a text. Raises Mistaken."""
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            raise Mistaken(file, [Mistake(1, 1, "the file is empty")])
        if twice := list(_duplicates(root)):
            raise Mistaken(file, twice)
        return Document(loader.construct_document(root), root, text)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        raise Mistaken(file, [Mistake(line, column, f"it is not YAML: {problem.problem}")]) from None


def _duplicates(node: Any) -> Iterator[Mistake]:
    if isinstance(node, yaml.MappingNode):
        seen: Mapping[str, int] = {}
        for name, value in node.value:
            if name.value in seen:
                mark, first = name.start_mark, seen[name.value]
                yield Mistake(mark.line + 1, mark.column + 1, f"{name.value!r} stands twice", f"first in line {first}")
            seen = {**seen, name.value: name.start_mark.line + 1}
            yield from _duplicates(value)
    elif isinstance(node, yaml.SequenceNode):
        for each in node.value:
            yield from _duplicates(each)
