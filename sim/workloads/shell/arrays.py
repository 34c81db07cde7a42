"""bash's indexed arrays: what is kept of them, and what ``${name[index]}`` stands for.

Source: bash(1), Arrays. Not modelled: associative arrays, and that ash and dash refuse them all.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING, Any

from seatrial.sim.workloads.shell.syntax import Assignment, Items, Literal, Parameter, Word

if TYPE_CHECKING:
    from seatrial.sim.workloads.shell.interpreter import Shell

Steps = Generator[Any, Any, Any]
ALL = ("@", "*")
MATCH = "BASH_REMATCH"
"""What a regular expression of ``[[`` matched, and each of its groups."""


def is_whole(index: Word | None) -> bool:
    """Whether an index stands for every element."""
    return index is not None and len(index) == 1 and type(index[0]) is Literal and index[0].text in ALL


def spreads(part: Any) -> bool:
    """Whether a quoted part gives a field for each of its values."""
    if type(part) is not Parameter or part.operator == "length":
        return False
    if part.at is None:
        return part.name == "@"
    return is_whole(part.at) and part.at[0].text == "@"


def elements(shell: Shell, name: str) -> dict[int, str]:
    """The elements by index, in their order; a plain variable is the first of one."""
    found = shell.arrays.get(name)
    if found is not None:
        return {index: found[index] for index in sorted(found)}
    value = shell.get(name)
    return {} if value is None else {0: value}


def get(shell: Shell, place: str) -> str | None:
    """A variable, or an element as ``name[index]``."""
    name, _, index = place.partition("[")
    return elements(shell, name).get(_index(shell, name, index)) if index else shell.get(name)


def put(shell: Shell, place: str, value: str) -> None:
    """Sets one."""
    name, _, index = place.partition("[")
    if not index:
        shell.put(name, value)
        return
    shell.arrays[name] = {**elements(shell, name), _index(shell, name, index): value}
    _show_first(shell, name)


def drop(shell: Shell, place: str) -> Steps:
    """Unsets ``name[index]``, the index an expression."""
    name, _, index = place.removesuffix("]").partition("[")
    if index in ALL:
        shell.arrays.pop(name, None)
        shell.variables.pop(name, None)
        return
    have = elements(shell, name)
    at = yield from shell.expansion.arithmetic((Literal(index, True),))
    have.pop(at if at >= 0 else max(have, default=-1) + 1 + at, None)
    shell.arrays[name] = have
    _show_first(shell, name)


def _index(shell: Shell, name: str, text: str) -> int:
    at = int(text.removesuffix("]"))
    return at if at >= 0 else max(elements(shell, name), default=-1) + 1 + at


def keep(shell: Shell, name: str, values: Iterable[str]) -> None:
    """Makes an array of values; its first element is what the bare name stands for."""
    shell.arrays[name] = dict(enumerate(values))
    _show_first(shell, name)


def assign(shell: Shell, given: Assignment) -> Steps:
    """``name=(...)``, ``name+=(...)``, ``name[index]=text``, ``name+=text``."""
    name, value = given.name, given.value
    have = elements(shell, name)
    if isinstance(value, Items):
        words = yield from shell.expansion.words(value.words)
        begin = max(have, default=-1) + 1 if given.appends else 0
        made = {**(have if given.appends else {}), **{begin + at: word for at, word in enumerate(words)}}
    else:
        at = 0 if given.at is None else (yield from shell.expansion.arithmetic(given.at))
        at = at if at >= 0 else max(have, default=-1) + 1 + at
        text = yield from shell.expansion.text(value)
        made = {**have, at: have.get(at, "") + text if given.appends else text}
        if given.at is None and name not in shell.arrays:
            shell.put(name, made[0])
            return
    shell.arrays[name] = made
    _show_first(shell, name)


def _show_first(shell: Shell, name: str) -> None:
    first = shell.arrays[name].get(0)
    if first is None:
        shell.variables.pop(name, None)
    else:
        shell.put(name, first)


def values_of(shell: Shell, part: Parameter) -> Steps:
    """What a parameter with an index is before its operator: a list for ``@`` and ``*``, else a text or None."""
    have = elements(shell, part.name)
    if is_whole(part.at):
        return list(map(str, have)) if part.operator == "keys" else list(have.values())
    at = yield from shell.expansion.arithmetic(part.at or ())
    return have.get(at if at >= 0 else max(have, default=-1) + 1 + at)
