"""cp and install, with the options of both BusyBox and GNU."""

from __future__ import annotations

from collections.abc import Mapping

from seatrial.sim.workloads.commands.options import parsed, say
from seatrial.sim.workloads.filesystem import Dir, File, Node
from seatrial.sim.workloads.process import Proc
from seatrial.sim.workloads.undescribed import has_unknown_names, shipped

CP_LONG = {
    "archive": "a", "dereference": "L", "force": "f", "interactive": "i", "no-clobber": "n", "no-dereference": "P",
    "no-target-directory": "T", "preserve": "p", "recursive": "r", "target-directory": "t",
    "update": "u", "update=none": "n", "update=none-fail": "n", "verbose": "v",
}  # fmt: skip
INSTALL_LONG = {"directory": "d", "group": "g", "mode": "m", "owner": "o", "target-directory": "t", "verbose": "v"}


def into(proc: Proc, target: str, source: str) -> str:
    """Where a source comes to be: in the target where that is a directory."""
    if proc.fs.exists(target, proc.cwd) and isinstance(proc.fs.find(target, proc.cwd), Dir):
        return f"{target.rstrip('/')}/{source.rstrip('/').rpartition('/')[2]}"
    return target


def cp(proc: Proc) -> int:
    options, paths = parsed(proc, "rRapfinuvLPHdTx", "t", CP_LONG)
    if "t" in options:
        paths.append(options["t"])
    if len(paths) < 2:
        say(proc, "missing file operand")
        return 1
    target, status = paths[-1], 0
    for source in paths[:-1]:
        at = target if "T" in options else into(proc, target, source)
        if has_unknown_names(proc, source):
            continue
        try:
            _copy(proc, source, at, options)
        except OSError as error:
            if error.filename == source and not isinstance(error, FileExistsError):
                why = f"can't stat '{source}': {error.strerror}" if error.errno else f"{error.strerror} '{source}'"
            else:
                why = f"can't create '{at}': {error.strerror}"
            say(proc, why)
            status = 1
    return status


def _copy(proc: Proc, source: str, at: str, options: Mapping[str, str]) -> None:
    """A file replaces what is there; the entries of a directory come to those that are there. Raises OSError."""
    follow = "L" in options or not {"a", "d", "P"} & set(options)
    deep = bool({"r", "R", "a"} & set(options))
    node = _source(proc, source, follow, deep)
    if not isinstance(node, Dir):
        _place(proc, node, at, options)
        proc.container.touched()
        return
    if not deep:
        raise OSError(0, "omitting directory", source)
    # In a tree that is copied, links stay links unless -L was given.
    below = {"P": "1", **options}
    names = sorted(proc.fs.directory(source, proc.cwd)) if proc.fs.exists(source, proc.cwd) else []
    if not proc.fs.exists(at, proc.cwd):
        proc.fs.make_dir(at, proc.cwd, mode=node.mode)
    for name in names:
        _copy(proc, f"{source.rstrip('/')}/{name}", f"{at.rstrip('/')}/{name}", below)
    proc.container.touched()


def _source(proc: Proc, path: str, follow: bool, deep: bool) -> Node:
    try:
        return proc.fs.find(path, proc.cwd, follow)
    except FileNotFoundError:
        there = shipped(proc, path, deep)
        if there is None:
            raise
        return there


def _place(proc: Proc, node: Node, at: str, options: Mapping[str, str]) -> None:
    there = proc.fs.exists(at, proc.cwd, follow=False)
    if there and "n" in options:
        return
    if not isinstance(node, File):
        proc.fs.put(at, node.copy(), proc.cwd)  # type: ignore[attr-defined]
        return
    made = proc.fs.write(at, node.read(), proc.cwd, None if there and not {"p", "a"} & set(options) else node.mode)
    made.program = node.program


def install(proc: Proc) -> int:
    options, paths = parsed(proc, "Dcdsv", "mogt", INSTALL_LONG)
    mode = int(options["m"], 8) if options.get("m", "").isdigit() else 0o755
    if "d" in options:
        for path in paths:
            proc.fs.make_dir(path, proc.cwd, parents=True, mode=mode)
        return 0
    if "t" in options:
        paths.append(options["t"])
    if len(paths) < 2:
        say(proc, "missing file operand")
        return 1
    status = 0
    for source in paths[:-1]:
        at = into(proc, paths[-1], source)
        try:
            if "D" in options:
                proc.fs.make_dir(at.rpartition("/")[0] or "/", proc.cwd, parents=True)
            _copy(proc, source, at, {})
            proc.fs.change(at, proc.cwd).mode = mode
        except OSError as error:
            say(proc, f"can't stat '{source}': {error.strerror}")
            status = 1
    return status
