"""Programs that change the file system."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from seatrial.sim.workloads.commands.options import each, parsed, say
from seatrial.sim.workloads.filesystem import Dir, File, Link, Node
from seatrial.sim.workloads.process import Proc

Steps = Generator[Any, Any, int]


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
    options, paths = parsed(proc, "rRfivd")
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


def _into(proc: Proc, target: str, source: str) -> str:
    if proc.fs.exists(target, proc.cwd) and isinstance(proc.fs.find(target, proc.cwd), Dir):
        return f"{target.rstrip('/')}/{source.rstrip('/').rpartition('/')[2]}"
    return target


def _duplicate(proc: Proc, node: Node) -> Node:
    if isinstance(node, Dir):
        made = Dir(node.mode, node.mtime_us)
        made.entries = {name: _duplicate(proc, below) for name, below in node.entries.items()}
        return made
    copied: Node = node.copy()  # type: ignore[attr-defined]
    copied.mtime_us = proc.clock.now
    if isinstance(copied, File) and copied.source is not None:
        copied.data, copied.source = copied.source(), None
    return copied


def cp(proc: Proc) -> int:
    options, paths = parsed(proc, "rRapfivLPHdTu")
    if len(paths) < 2:
        say(proc, "missing file operand")
        return 1
    target, deep = paths[-1], bool({"r", "R", "a"} & set(options))

    def one(source: str) -> None:
        node = proc.fs.find(source, proc.cwd, follow="a" not in options and "d" not in options)
        if isinstance(node, Dir) and not deep:
            raise OSError(0, "omitting directory", source)
        at = _into(proc, target, source)
        if isinstance(node, File) and not deep:
            proc.fs.write(at, node.read(), proc.cwd, node.mode)
        else:
            proc.fs.put(at, _duplicate(proc, node), proc.cwd)
        proc.container.touched()

    status = 0
    for source in paths[:-1]:
        try:
            one(source)
        except FileNotFoundError as error:
            if error.filename == source:
                say(proc, f"can't stat '{source}': {error.strerror}")
            else:
                say(proc, f"can't create '{_into(proc, target, source)}': {error.strerror}")
            status = 1
        except OSError as error:
            say(
                proc,
                f"{error.strerror} '{source}'" if not error.errno else f"can't create '{target}': {error.strerror}",
            )
            status = 1
    return status


def mv(proc: Proc) -> int:
    _, paths = parsed(proc, "finTv")
    target = paths[-1] if len(paths) > 1 else ""

    def one(source: str) -> None:
        node = proc.fs.find(source, proc.cwd, follow=False)
        at = _into(proc, target, source)
        proc.fs.put(at, _duplicate(proc, node), proc.cwd)
        proc.fs.remove(source, proc.cwd, recursive=True)
        proc.container.touched()

    return each(proc, paths[:-1], one, "can't rename '{path}': {why}")


def ln(proc: Proc) -> int:
    options, paths = parsed(proc, "sfnvT")
    if len(paths) < 2:
        paths.append(paths[0].rpartition("/")[2])
    target = paths[-1] if "n" in options or "T" in options else _into(proc, paths[-1], paths[0])

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
    options, operands = (
        parsed(proc, "RvcfrwxX") if not proc.argv[1:2] or proc.argv[1][:2] == "-R" else ({}, proc.argv[1:])
    )
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
    options, operands = parsed(proc, "RvhfcLHP")
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
