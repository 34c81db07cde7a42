"""agnhost mounttest: what a path in a volume is, says and allows; writes files there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from seatrial.sim.workloads.agnhost.site import Steps, flags
from seatrial.sim.workloads.filesystem import Dir, Link
from seatrial.sim.workloads.process import Proc

CONTENT = b"mount-tester new file\n"
RETRY_US = 2_000_000
MAGIC = {"ext4": "61267", "overlay": "2035054128", "nfs": "26985"}
"""Kinds of file system as statfs(2) numbers them; tmpfs has its name."""
BITS = "rwxrwxrwx"


def mounttest(proc: Proc, words: list[str]) -> Steps:
    """Does what its flags say in a fixed order; exit code 1 when something went wrong."""
    options = flags(words)
    failed = False
    for told in _once(proc, options):
        text, wrong = told
        proc.out(text + "\n")
        failed = failed or wrong
    path = options.get("file_content_in_loop", "")
    if path:
        failed = (yield from _loop(proc, path, options)) or failed
    return int(failed)


def _once(proc: Proc, options: dict[str, str]) -> Iterator[tuple[str, bool]]:
    """(line, whether it tells of a failure)."""
    fs = proc.fs
    if path := options.get("fs_type"):
        kind = max(
            (at for at in fs.mounts if path == at or path.startswith(at.rstrip("/") + "/")), key=len, default=None
        )
        name = fs.mounts[kind].kind if kind is not None else "overlay"
        yield f"mount type of {_quoted(path)}: {name if name == 'tmpfs' else MAGIC.get(name, MAGIC['ext4'])}", False
    for name in ("new_file_0644", "new_file_0666", "new_file_0660", "new_file_0777"):
        if path := options.get(name):
            try:
                fs.write(path, CONTENT, mode=int(name[-4:], 8))
                yield _content(proc, path), False
            except OSError as error:
                yield f"error writing new file {_quoted(path)}: open {path}: {_reason(error)}", True
    for name in ("file_mode", "file_perm", "file_owner"):
        if path := options.get(name):
            try:
                yield from ((line, False) for line in _facts(name, path, fs.find(path)))
            except OSError as error:
                yield f"error from Stat({_quoted(path)}): stat {path}: {_reason(error)}", True
    if path := options.get("file_content"):
        try:
            yield _content(proc, path), False
        except OSError as error:
            yield f"error reading file content for {_quoted(path)}: open {path}: {_reason(error)}", True


def _facts(name: str, path: str, node: Any) -> Iterator[str]:
    if name == "file_owner":
        yield f"owner UID of {_quoted(path)}: {node.uid}"
        yield f"owner GID of {_quoted(path)}: {node.gid}"
        return
    bits = "".join(bit if node.mode >> (8 - at) & 1 else "-" for at, bit in enumerate(BITS))
    if name == "file_perm":
        yield f"perms of file {_quoted(path)}: -{bits}"
        return
    # As Go writes a FileMode: what is special stands before the permissions.
    kind = "d" if isinstance(node, Dir) else "L" if isinstance(node, Link) else ""
    special = kind + ("u" if node.mode & 0o4000 else "") + ("g" if node.mode & 0o2000 else "")
    special += "t" if node.mode & 0o1000 else ""
    yield f"mode of file {_quoted(path)}: {special or '-'}{bits}"


def _content(proc: Proc, path: str) -> str:
    """Raises OSError."""
    return f"content of file {_quoted(path)}: {proc.fs.read(path).decode(errors='replace')}"


def _loop(proc: Proc, path: str, options: dict[str, str]) -> Any:
    until = proc.clock.now + int(options.get("retry_time", "180")) * 1_000_000
    stops = options.get("break_on_expected_content", "true") == "true"
    failed = False
    while proc.clock.now < until:
        try:
            data = proc.fs.read(path)
        except OSError as error:
            failed = True
            proc.out(f"Error reading file {path}: open {path}: {_reason(error)}, retrying\n")
        else:
            failed = False
            proc.out(f"content of file {_quoted(path)}: {data.decode(errors='replace')}\n")
            if stops and data == CONTENT:
                return False
            if stops:
                proc.out(f"Unexpected content. Expected: {CONTENT.decode()}. Retrying\n")
        yield proc.clock.sleep(RETRY_US)
    return failed


def _quoted(path: str) -> str:
    return json.dumps(path)


def _reason(error: OSError) -> str:
    return str(error.strerror).lower()
