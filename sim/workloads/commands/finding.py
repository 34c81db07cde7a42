"""find: tests and actions over a tree. Not modelled: -o and parentheses."""

from __future__ import annotations

from collections.abc import Callable, Generator
from fnmatch import fnmatchcase
from typing import Any

from seatrial.sim.workloads.commands.listing import size
from seatrial.sim.workloads.commands.options import say
from seatrial.sim.workloads.commands.text import size_of
from seatrial.sim.workloads.filesystem import Dir, File, Link, Node
from seatrial.sim.workloads.process import Exited, Proc

Steps = Generator[Any, Any, int]


def find(proc: Proc) -> Steps:
    words = proc.argv[1:]
    at = 0
    while at < len(words) and not words[at].startswith(("-", "(", "!")):
        at += 1
    status = 0
    for path in words[:at] or ["."]:
        try:
            found = list(proc.fs.tree(path, proc.cwd))
        except OSError as error:
            say(proc, f"{path}: {error.strerror}")
            status = 1
            continue
        for name, node in found:
            depth = name[len(path.rstrip("/")) :].count("/")
            yield from _judged(proc, name, node, depth, words[at:])
    return status


def _judged(proc: Proc, path: str, node: Node, depth: int, tests: list[str]) -> Generator[Any, Any, None]:
    """Tests one file and does what the expression says; everything is and-ed, ``!`` negates the next."""
    at, negate, acted = 0, False, False
    while at < len(tests):
        test = tests[at]
        value = tests[at + 1] if at + 1 < len(tests) else ""
        if test in ("!", "-not"):
            negate, at = True, at + 1
            continue
        if test in ("-print", "-print0", "-delete", "-exec"):
            acted = True
            if test == "-exec":
                end = next((i for i in range(at, len(tests)) if tests[i] in (";", "+")), None)
                if end is None:
                    say(proc, "-exec requires an argument")
                    raise Exited(1)
                command = [path if word == "{}" else word for word in tests[at + 1 : end]]
                ended = yield from proc.container.run_child(proc, command)
                at = end + 1
                if ended:
                    return
                continue
            if test == "-delete":
                proc.fs.remove(path, proc.cwd, recursive=False)
            else:
                proc.out(path + ("\0" if test == "-print0" else "\n"))
            at += 1
            continue
        holds = _holds(proc, path, node, depth, test, value)
        at += 1 if test in ("-empty", "-depth", "-xdev") else 2
        if holds == negate:
            return
        negate = False
    if not acted:
        proc.out(path + "\n")


def _holds(proc: Proc, path: str, node: Node, depth: int, test: str, value: str) -> bool:
    if test == "-name":
        return fnmatchcase(path.rstrip("/").rpartition("/")[2], value)
    if test == "-iname":
        return fnmatchcase(path.rpartition("/")[2].lower(), value.lower())
    if test == "-path":
        return fnmatchcase(path, value)
    if test == "-type":
        return isinstance(node, {"f": File, "d": Dir, "l": Link}.get(value, Node))
    if test == "-maxdepth":
        return depth <= int(value)
    if test == "-mindepth":
        return depth >= int(value)
    if test == "-empty":
        return not node.entries if isinstance(node, Dir) else size(node) == 0
    if test == "-size":
        number = size_of(value.lstrip("+-").replace("c", ""))
        return (
            size(node) > number if value[0] == "+" else size(node) < number if value[0] == "-" else size(node) == number
        )
    if test in ("-mmin", "-mtime"):
        unit = 60_000_000 if test == "-mmin" else 86_400_000_000
        age = (proc.clock.now - node.mtime_us) // unit
        number = int(value.lstrip("+-"))
        return age > number if value[0] == "+" else age < number if value[0] == "-" else age == number
    return True


COMMANDS: dict[str, Callable[[Proc], Any]] = {"find": find}
