"""Programs that change the file system."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Generator
from typing import Any

from seatrial.sim.workloads.commands.copying import cp, install, into
from seatrial.sim.workloads.commands.options import each, parsed
from seatrial.sim.workloads.filesystem import Dir, File, Link, Node
from seatrial.sim.workloads.process import Proc

Steps = Generator[Any, Any, int]
MV_LONG = {"force": "f", "no-clobber": "n", "verbose": "v", "target-directory": "t", "no-target-directory": "T"}
RM_LONG = {"recursive": "r", "force": "f", "verbose": "v", "dir": "d"}
LN_LONG = {"symbolic": "s", "force": "f", "no-dereference": "n", "verbose": "v", "no-target-directory": "T"}
OWNER_LONG = {"recursive": "R", "verbose": "v", "changes": "c", "silent": "f", "quiet": "f", "no-dereference": "h"}


def mkdir(proc: Proc) -> int:
    options, paths = parsed(proc, "pv", "m", {"parents": "p", "mode": "m"})
    mode = int(options["m"], 8) if options.get("m", "").isdigit() else 0o755
    return each(
        proc,
        paths,
        lambda path: proc.fs.make_dir(path, proc.cwd, "p" in options, mode),
        "can't create directory '{path}': {why}",
    )


def rmdir(proc: Proc) -> int:
    _, paths = parsed(proc, "p")

    def one(path: str) -> None:
        if not isinstance(proc.fs.find(path, proc.cwd), Dir):
            raise NotADirectoryError(20, "Not a directory", path)
        proc.fs.remove(path, proc.cwd)

    return each(proc, paths, one, "'{path}': {why}")


def rm(proc: Proc) -> int:
    options, paths = parsed(proc, "rRfivd", "", RM_LONG)
    recursive = "r" in options or "R" in options

    def one(path: str) -> None:
        node = proc.fs.walk(path, proc.cwd, follow=False)[0]
        if node is None and "f" in options:
            return
        if isinstance(node, Dir) and not recursive:
            raise IsADirectoryError(21, "Is a directory", path)
        proc.fs.remove(path, proc.cwd, recursive)

    if "f" in options:
        paths = [path for path in paths if proc.fs.exists(path, proc.cwd, follow=False)]
    return each(proc, paths, one, "can't remove '{path}': {why}")


def touch(proc: Proc) -> int:
    options, paths = parsed(proc, "camh", "dtr")

    def one(path: str) -> None:
        if proc.fs.exists(path, proc.cwd):
            proc.fs.change(path, proc.cwd).mtime_us = proc.clock.now
            proc.container.touched()
        elif "c" not in options:
            proc.fs.open_file(path, proc.cwd)
            proc.container.touched()

    return each(proc, paths, one, "{path}: {why}")


def _own(node: Node) -> Node:
    """A copy that shares nothing with the image."""
    made: Node = node.copy()  # type: ignore[attr-defined]
    if isinstance(made, Dir):
        made.entries = {name: _own(below) for name, below in made.entries.items()}
    elif isinstance(made, File) and made.source is not None:
        made.data, made.source = made.source(), None
    return made


def mv(proc: Proc) -> int:
    options, paths = parsed(proc, "finTv", "t", MV_LONG)
    if "t" in options:
        paths.append(options["t"])
    target = paths[-1] if len(paths) > 1 else ""

    def one(source: str) -> None:
        node = proc.fs.find(source, proc.cwd, follow=False)
        at = target if "T" in options else into(proc, target, source)
        if f"{proc.fs.real(at, proc.cwd)}/".startswith(f"{proc.fs.real(source, proc.cwd)}/") and isinstance(node, Dir):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), source)
        if "n" in options and proc.fs.exists(at, proc.cwd, follow=False):
            return
        proc.fs.put(at, _own(node), proc.cwd)
        proc.fs.remove(source, proc.cwd, recursive=True)
        proc.container.touched()

    return each(proc, paths[:-1], one, "can't rename '{path}': {why}")


def ln(proc: Proc) -> int:
    options, paths = parsed(proc, "sfnvT", "", LN_LONG)
    if len(paths) < 2:
        paths.append(paths[0].rpartition("/")[2])
    target = paths[-1] if "n" in options or "T" in options else into(proc, paths[-1], paths[0])

    def one(source: str) -> None:
        if "f" in options and proc.fs.exists(target, proc.cwd, follow=False):
            proc.fs.remove(target, proc.cwd)
        if "s" in options:
            proc.fs.link(source, target, proc.cwd)
        else:
            proc.fs.put(target, proc.fs.find(source, proc.cwd), proc.cwd)
        proc.container.touched()

    return each(proc, paths[:1], one, f"{target}: {{why}}")


def chmod(proc: Proc) -> int:
    # A mode may begin like an option: chmod -x file.
    flagged = proc.argv[1:2] == [] or proc.argv[1].startswith(("-R", "-v", "-c", "-f", "--"))
    options, operands = parsed(proc, "Rvcf", "", OWNER_LONG) if flagged else ({}, proc.argv[1:])
    mode, paths = operands[0], operands[1:]

    def one(path: str) -> None:
        targets = [at for at, _ in proc.fs.tree(path, proc.cwd)] if "R" in options else [path]
        for at in targets:
            node = proc.fs.change(at, proc.cwd)
            node.mode = _changed_mode(node.mode, mode)

    return each(proc, paths, one, "{path}: {why}")


def _changed_mode(before: int, text: str) -> int:
    if text.isdigit():
        return int(text, 8)
    for part in text.split(","):
        at = next((index for index, char in enumerate(part) if char in "+-="), len(part))
        who, operator, what = part[:at] or "a", part[at : at + 1], part[at + 1 :]
        bits = sum({"r": 4, "w": 2, "x": 1, "X": 1}.get(char, 0) for char in what)
        for shift, name in ((6, "u"), (3, "g"), (0, "o")):
            if name in who or "a" in who:
                if operator == "+":
                    before |= bits << shift
                elif operator == "-":
                    before &= ~(bits << shift)
                else:
                    before = before & ~(7 << shift) | bits << shift
    return before


def chown(proc: Proc) -> int:
    options, operands = parsed(proc, "RvhfcLHP", "", OWNER_LONG)
    user, _, group = operands[0].partition(":")
    by_name = {name: number for number, name in proc.container.users.items()}

    def number(text: str) -> int:
        return int(text) if text.isdigit() else by_name.get(text, 0)

    def one(path: str) -> None:
        targets = [at for at, _ in proc.fs.tree(path, proc.cwd)] if "R" in options else [path]
        for at in targets:
            node = proc.fs.change(at, proc.cwd)
            node.uid = number(user) if user else node.uid
            node.gid = number(group) if group else node.gid

    return each(proc, operands[1:], one, "{path}: {why}")


def readlink(proc: Proc) -> int:
    options, paths = parsed(proc, "fnem")
    for path in paths:
        if "f" in options or proc.argv[0].endswith("realpath"):
            proc.out(proc.fs.real(path, proc.cwd) + "\n")
            continue
        node = proc.fs.walk(path, proc.cwd, follow=False)[0]
        if not isinstance(node, Link):
            return 1
        proc.out(node.target + "\n")
    return 0


def basename(proc: Proc) -> int:
    name = proc.argv[1].rstrip("/").rpartition("/")[2] or "/"
    suffix = proc.argv[2] if len(proc.argv) > 2 else ""
    proc.out((name.removesuffix(suffix) or name) + "\n")
    return 0


def dirname(proc: Proc) -> int:
    head, slash, _ = proc.argv[1].rstrip("/").rpartition("/")
    proc.out((head or ("/" if slash else ".")) + "\n")
    return 0


MKTEMP_PLACEHOLDER = "X" * 6
"""What mktemp(1) puts letters in place of."""


def mktemp(proc: Proc) -> int:
    options, operands = parsed(proc, "dqut", "p")
    pattern = operands[0] if operands else f"tmp.{MKTEMP_PLACEHOLDER}"
    letters = "".join(proc.container.rng.choices("abcdefghijkmnopABCDEFGHIJKLMNOP", k=6))
    path = pattern.replace(MKTEMP_PLACEHOLDER, letters)
    if not operands or "p" in options:
        path = f"{options.get('p', '/tmp')}/{path}"
    if "d" in options:
        proc.fs.make_dir(path, proc.cwd, parents=True)
    else:
        proc.fs.write(path, b"", proc.cwd, 0o600)
    proc.out(path + "\n")
    return 0


COMMANDS: dict[str, Callable[[Proc], Any]] = {
    "mkdir": mkdir,
    "rmdir": rmdir,
    "rm": rm,
    "touch": touch,
    "cp": cp,
    "install": install,
    "mv": mv,
    "ln": ln,
    "chmod": chmod,
    "chown": chown,
    "chgrp": chown,
    "readlink": readlink,
    "realpath": readlink,
    "basename": basename,
    "dirname": dirname,
    "mktemp": mktemp,
}
