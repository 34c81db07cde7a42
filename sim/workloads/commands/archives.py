"""tar and truncate."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Generator
from typing import Any

from seatrial.sim.workloads.commands.options import parsed, say
from seatrial.sim.workloads.commands.text import size_of
from seatrial.sim.workloads.filesystem import Dir, File, Link
from seatrial.sim.workloads.process import Proc

Steps = Generator[Any, Any, int]


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
    try:
        _unpack(proc, data, base, "t" in options)
    except tarfile.TarError:
        say(proc, "invalid tar magic")
        return 1
    proc.container.touched()
    return 0


def _unpack(proc: Proc, data: bytes, base: str, listed: bool) -> None:
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        for member in opened.getmembers():
            if listed:
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


COMMANDS: dict[str, Callable[[Proc], Any]] = {"tar": tar, "truncate": truncate}
