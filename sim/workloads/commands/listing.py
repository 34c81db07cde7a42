"""Programs that show what files and file systems there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from seatrial.sim.kernel.clock import stamp_of
from seatrial.sim.workloads import procfs
from seatrial.sim.workloads.commands.options import each, parsed, say
from seatrial.sim.workloads.filesystem import SET_GID, Dir, File, Link, Node
from seatrial.sim.workloads.process import Proc

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


BITS = "rwxrwxrwx"


WITHOUT_BLOCKS = (
    "proc",
    "cgroup2",
)
"""File systems that df does not show."""
ROOT_BLOCKS = 51_290_592
"""1K blocks of a node's disk, as df shows it."""


def _names(proc: Proc, node: Node) -> tuple[str, str]:
    users = proc.container.users
    return users.get(node.uid, str(node.uid)), users.get(node.gid, str(node.gid))


def mode_text(node: Node) -> str:
    """``drwxr-xr-x``"""
    kind = "d" if isinstance(node, Dir) else "l" if isinstance(node, Link) else "-"
    if isinstance(node, File) and node.device:
        kind = "c"
    text = "".join(bit if node.mode >> (8 - at) & 1 else "-" for at, bit in enumerate(BITS))
    for bit, at, mark in ((0o4000, 2, "s"), (SET_GID, 5, "s"), (0o1000, 8, "t")):
        if node.mode & bit:
            text = text[:at] + (mark if text[at] == "x" else mark.upper()) + text[at + 1 :]
    return kind + text


def size(node: Node) -> int:
    if isinstance(node, File):
        return len(node.read()) if not node.device else 0
    return len(node.target) if isinstance(node, Link) else 4096


def _when(us: int) -> str:
    stamp = stamp_of(us)
    return f"{MONTHS[int(stamp[5:7]) - 1]} {int(stamp[8:10]):2d} {stamp[11:16]}"


def ls(proc: Proc) -> int:
    options, paths = parsed(proc, "laA1dhRrtSFiopnxCH", "w", {"all": "a", "color": "C"})
    status = 0
    files: list[tuple[str, Node]] = []
    directories: list[str] = []
    for path in paths or ["."]:
        try:
            node = proc.fs.find(path, proc.cwd, follow="l" not in options)
            if isinstance(node, Link) and "l" in options and path.endswith("/"):
                node = proc.fs.find(path, proc.cwd)
        except OSError as error:
            say(proc, f"{path}: {error.strerror}")
            status = 1
            continue
        if isinstance(node, Dir) and "d" not in options:
            directories.append(path)
        else:
            files.append((path, node))
    _listed(proc, sorted(files, key=lambda f: f[0]), options)
    several = len(paths) > 1 or "R" in options
    for index, path in enumerate(sorted(directories)):
        if several:
            proc.out(("\n" if files or index else "") + f"{path}:\n")
        _directory(proc, path, options)
    return status


def _directory(proc: Proc, path: str, options: Mapping[str, str]) -> None:
    entries = proc.fs.directory(path, proc.cwd)
    shown = [(name, node) for name, node in entries.items() if "a" in options or "A" in options or name[0] != "."]
    if "a" in options:
        shown += [(name, proc.fs.find(f"{path}/{name}", proc.cwd)) for name in (".", "..")]
    if "t" in options:
        shown.sort(key=lambda entry: (-entry[1].mtime_us, entry[0]))
    elif "S" in options:
        shown.sort(key=lambda entry: (-size(entry[1]), entry[0]))
    else:
        shown.sort(key=lambda entry: entry[0])
    if "r" in options:
        shown.reverse()
    if "l" in options:
        proc.out(f"total {sum(4 * -(-size(node) // 4096) for _, node in shown if isinstance(node, File))}\n")
    _listed(proc, shown, options)
    if "R" in options:
        for name, node in shown:
            if isinstance(node, Dir) and name not in (".", ".."):
                below = f"{path.rstrip('/')}/{name}"
                proc.out(f"\n{below}:\n")
                _directory(proc, below, options)


def _listed(proc: Proc, entries: list[tuple[str, Node]], options: Mapping[str, str]) -> None:
    if "l" not in options:
        for name, node in entries:
            proc.out(name + ("/" if "F" in options and isinstance(node, Dir) else "") + "\n")
        return
    for name, node in entries:
        user, group = (str(node.uid), str(node.gid)) if "n" in options else _names(proc, node)
        links = 2 + sum(isinstance(below, Dir) for below in node.entries.values()) if isinstance(node, Dir) else 1
        bytes_ = size(node)
        shown = _human(bytes_) if "h" in options else str(bytes_)
        arrow = f" -> {node.target}" if isinstance(node, Link) else ""
        proc.out(f"{mode_text(node)} {links:4d} {user:<8} {group:<8} {shown:>9} {_when(node.mtime_us)} {name}{arrow}\n")


def _human(count: float) -> str:
    for unit in ("", "K", "M", "G", "T"):
        if count < 1024:
            return f"{count:.1f}{unit}" if unit and count < 10 else f"{count:.0f}{unit}"
        count /= 1024
    return f"{count:.0f}P"


def _kind(node: Node) -> str:
    return "directory" if isinstance(node, Dir) else "symbolic link" if isinstance(node, Link) else "regular file"


def stat(proc: Proc) -> int:
    options, paths = parsed(proc, "Ltf", "c")

    def one(path: str) -> None:
        node = proc.fs.find(path, proc.cwd, follow="L" in options)
        user, group = _names(proc, node)
        values = {
            "n": path, "s": str(size(node)), "a": f"{node.mode & 0o7777:o}", "A": mode_text(node), "U": user,
            "G": group, "u": str(node.uid), "g": str(node.gid), "Y": str(node.mtime_us // 1_000_000),
            "F": _kind(node),
        }  # fmt: skip
        if "c" in options:
            text = options["c"]
            for letter, value in values.items():
                text = text.replace(f"%{letter}", value)
            proc.out(text + "\n")
            return
        when = stamp_of(node.mtime_us).replace("T", " ").removesuffix("Z") + ".000000000 +0000"
        proc.out(
            f"  File: {path}\n  Size: {values['s']:<10}\tBlocks: 8          IO Block: 4096   {values['F']}\n"
            f"Device: 30h/48d\tInode: 1           Links: 1\n"
            f"Access: ({node.mode & 0o7777:04o}/{values['A']})  Uid: ({node.uid:5d}/{user:>8})   "
            f"Gid: ({node.gid:5d}/{group:>8})\nAccess: {when}\nModify: {when}\nChange: {when}\n"
        )

    return each(proc, paths, one, "can't stat '{path}': {why}")


def df(proc: Proc) -> int:
    options, paths = parsed(proc, "hkmPTai")
    human = "h" in options
    proc.out(f"{'Filesystem':<20} {'Size' if human else '1K-blocks':>9} {'Used':>9} Available Use% Mounted on\n")
    disks = [(mounted.source, at) for at, mounted in proc.fs.mounts.items() if mounted.kind not in WITHOUT_BLOCKS]
    rows = [("overlay", "/"), *disks]
    if paths:
        real = [proc.fs.real(path, proc.cwd) for path in paths if proc.fs.exists(path, proc.cwd)]
        wanted = [max((at for _, at in rows if _under(path, at)), key=len) for path in real]
        rows = [row for row in rows if row[1] in wanted]
    used = ROOT_BLOCKS // 5
    for source, at in rows:
        figures = [ROOT_BLOCKS, used, ROOT_BLOCKS - used]
        cells = [_human(figure * 1024) if human else str(figure) for figure in figures]
        proc.out(f"{source:<20} {cells[0]:>9} {cells[1]:>9} {cells[2]:>9}  20% {at}\n")
    return 0


def _under(path: str, mount: str) -> bool:
    return mount == "/" or path == mount or path.startswith(mount + "/")


def du(proc: Proc) -> int:
    options, paths = parsed(proc, "shkmac", "d")
    for path in paths or ["."]:
        total = sum(-(-size(node) // 1024) for _, node in proc.fs.tree(path, proc.cwd))
        proc.out(f"{_human(total * 1024) if 'h' in options else total}\t{path}\n")
    return 0


def mount(proc: Proc) -> int:
    """mount [-t type]: shows what is mounted."""
    options, operands = parsed(proc, "alnrvw", "tO")
    if operands:
        proc.err("mount: permission denied (are you root?)\n")
        return 1
    rows = [
        ("overlay", "/", "overlay", "rw,relatime"),
        ("proc", "/proc", "proc", "rw,nosuid,nodev,noexec,relatime"),
    ]
    for at, mounted in proc.fs.mounts.items():
        if at == procfs.PLACE:
            continue
        rows.append((mounted.source, at, mounted.kind, f"{'ro' if mounted.read_only else 'rw'},relatime"))
    kinds = options["t"].split(",") if "t" in options else [kind for _, _, kind, _ in rows]
    proc.out("".join(f"{source} on {at} type {kind} ({how})\n" for source, at, kind, how in rows if kind in kinds))
    return 0


COMMANDS: dict[str, Callable[[Proc], Any]] = {"ls": ls, "stat": stat, "df": df, "du": du, "mount": mount}
