"""Programs that look at and change the file system."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Generator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from seatrial.sim.kernel.clock import stamp_of
from seatrial.sim.workloads.commands.options import parsed, say
from seatrial.sim.workloads.commands.text import size_of
from seatrial.sim.workloads.filesystem import Dir, File, Link, Node
from seatrial.sim.workloads.process import Proc

Steps = Generator[Any, Any, int]
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
BITS = "rwxrwxrwx"
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
    return kind + (text[:-1] + "t" if node.mode & 0o1000 else text)


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
        own = proc.fs.find(path, proc.cwd)
        shown += [(".", own), ("..", own)]
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


def _each(proc: Proc, paths: list[str], do: Callable[[str], None], style: str) -> int:
    status = 0
    for path in paths:
        try:
            do(path)
        except OSError as error:
            say(proc, style.format(path=path, why=error.strerror))
            status = 1
    return status


def mkdir(proc: Proc) -> int:
    options, paths = parsed(proc, "pv", "m", {"parents": "p", "mode": "m"})
    mode = int(options["m"], 8) if options.get("m", "").isdigit() else 0o755
    return _each(
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

    return _each(proc, paths, one, "'{path}': {why}")


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
    return _each(proc, paths, one, "can't remove '{path}': {why}")


def touch(proc: Proc) -> int:
    options, paths = parsed(proc, "camh", "dtr")

    def one(path: str) -> None:
        if proc.fs.exists(path, proc.cwd):
            proc.fs.change(path, proc.cwd).mtime_us = proc.clock.now
            proc.container.touched()
        elif "c" not in options:
            proc.fs.open_file(path, proc.cwd)
            proc.container.touched()

    return _each(proc, paths, one, "{path}: {why}")


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

    return _each(proc, paths[:-1], one, "can't rename '{path}': {why}")


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

    return _each(proc, paths[:1], one, f"{target}: {{why}}")


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

    return _each(proc, paths, one, "{path}: {why}")


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

    return _each(proc, operands[1:], one, "{path}: {why}")


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

    return _each(proc, paths, one, "can't stat '{path}': {why}")


def df(proc: Proc) -> int:
    options, paths = parsed(proc, "hkmPTai")
    human = "h" in options
    proc.out(f"{'Filesystem':<20} {'Size' if human else '1K-blocks':>9} {'Used':>9} Available Use% Mounted on\n")
    rows = [("overlay", "/")] + [(mounted.source, at) for at, mounted in proc.fs.mounts.items()]
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
    proc.out("overlay on / type overlay (rw,relatime)\n")
    proc.out("proc on /proc type proc (rw,nosuid,nodev,noexec,relatime)\n")
    for at, mounted in proc.fs.mounts.items():
        mode = "ro" if mounted.read_only else "rw"
        proc.out(f"{mounted.source} on {at} type {mounted.kind} ({mode},relatime)\n")
    return 0


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
                end = next(i for i in range(at, len(tests)) if tests[i] in (";", "+"))
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


def mktemp(proc: Proc) -> int:
    options, operands = parsed(proc, "dqut", "p")
    pattern = operands[0] if operands else "tmp.XXXXXX"
    letters = "".join(proc.container.rng.choices("abcdefghijkmnopABCDEFGHIJKLMNOP", k=6))
    path = pattern.replace("XXXXXX", letters)
    if not operands or "p" in options:
        path = f"{options.get('p', '/tmp')}/{path}"
    if "d" in options:
        proc.fs.make_dir(path, proc.cwd, parents=True)
    else:
        proc.fs.write(path, b"", proc.cwd, 0o600)
    proc.out(path + "\n")
    return 0


def dd(proc: Proc) -> Steps:
    words = dict(word.partition("=")[::2] for word in proc.argv[1:])
    block = size_of(words.get("bs", "512"))
    count = int(words["count"]) if "count" in words else None
    source = proc.fs.find(words["if"], proc.cwd) if "if" in words else None
    if isinstance(source, File) and source.device in ("zero", "random"):
        if count is None:
            yield from proc.container.exhaust(proc)
        data = bytes(block * (count or 0))
    elif isinstance(source, File):
        data = source.read()
    else:
        data = yield from proc.read_all()
    if count is not None:
        data = data[: block * count]
    yield proc.clock.sleep(len(data) * 1_000_000 // 500_000_000)
    if "of" in words:
        target = proc.fs.open_file(words["of"], proc.cwd, truncate=True)
        if not target.device:
            target.data = data
            proc.container.touched()
    else:
        proc.out(data)
    whole = -(-len(data) // block)
    proc.err(f"{whole}+0 records in\n{whole}+0 records out\n{len(data)} bytes copied\n")
    return 0


def tar(proc: Proc) -> Steps:
    """tar -c, -x and -t with -f, -C, -z: what kubectl cp needs, and scripts."""
    words = proc.argv[1:]
    if words and not words[0].startswith("-"):
        words[0] = "-" + words[0]
    proc.argv = [proc.argv[0], *words]
    options, paths = parsed(
        proc, "cxtvzjJmopkhO", "fC", {"no-same-owner": "o", "no-same-permissions": "p", "warning": "v"}
    )
    archive, base = options.get("f", "-"), options.get("C", proc.cwd)
    base = base if base.startswith("/") else f"{proc.cwd.rstrip('/')}/{base}"
    if "c" in options:
        return _pack(proc, archive, base, paths)
    data = (yield from proc.read_all()) if archive == "-" else proc.fs.read(archive, proc.cwd)
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        for member in opened.getmembers():
            if "t" in options:
                proc.out(member.name + "\n")
                continue
            at = f"{base.rstrip('/')}/{member.name.lstrip('/')}"
            if member.isdir():
                proc.fs.make_dir(at, parents=True)
                continue
            proc.fs.make_dir(at.rpartition("/")[0] or "/", parents=True)
            if member.issym():
                proc.fs.put(at, Link(member.linkname, proc.clock.now))
            else:
                content = opened.extractfile(member)
                proc.fs.write(at, content.read() if content is not None else b"", mode=member.mode)
    proc.container.touched()
    return 0


def _pack(proc: Proc, archive: str, base: str, paths: list[str]) -> int:
    made, status = io.BytesIO(), 0
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as opened:
        for path in paths:
            try:
                found = list(proc.fs.tree(path, base))
            except OSError as error:
                say(proc, f"{path}: {error.strerror}")
                status = 1
                continue
            if path.startswith("/"):
                proc.err("tar: removing leading '/' from member names\n")
            for name, node in found:
                member = tarfile.TarInfo(name.lstrip("/"))
                member.mode, member.mtime, member.uid, member.gid = (
                    node.mode,
                    node.mtime_us // 1_000_000,
                    node.uid,
                    node.gid,
                )
                if isinstance(node, Dir):
                    member.type = tarfile.DIRTYPE
                    opened.addfile(member)
                elif isinstance(node, Link):
                    member.type, member.linkname = tarfile.SYMTYPE, node.target
                    opened.addfile(member)
                elif isinstance(node, File):
                    data = node.read()
                    member.size = len(data)
                    opened.addfile(member, io.BytesIO(data))
    if archive == "-":
        proc.out(made.getvalue())
    else:
        proc.fs.write(archive, made.getvalue(), proc.cwd)
    return status


def truncate(proc: Proc) -> int:
    options, paths = parsed(proc, "c", "s")
    for path in paths:
        file = proc.fs.open_file(path, proc.cwd)
        wanted = size_of(options.get("s", "0"))
        file.data = file.data[:wanted] + bytes(max(wanted - len(file.data), 0))
    return 0


COMMANDS: dict[str, Callable[[Proc], Any]] = {
    "ls": ls, "mkdir": mkdir, "rmdir": rmdir, "rm": rm, "touch": touch, "cp": cp, "mv": mv, "ln": ln, "chmod": chmod,
    "chown": chown, "chgrp": chown, "stat": stat, "df": df, "du": du, "mount": mount, "find": find,
    "readlink": readlink, "realpath": readlink, "basename": basename, "dirname": dirname, "mktemp": mktemp, "dd": dd,
    "tar": tar, "truncate": truncate,
}  # fmt: skip
