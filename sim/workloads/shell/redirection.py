"""Redirections: files, descriptors and here-documents in place of a command's streams."""

from __future__ import annotations

import errno
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from seatrial.sim.workloads.filesystem import Dir
from seatrial.sim.workloads.process import Opened, OpenedDirectory, Pipe, Proc, Stream
from seatrial.sim.workloads.shell.syntax import Redirection, Sequence, Simple

if TYPE_CHECKING:
    from seatrial.sim.workloads.shell.interpreter import Shell


def complain(shell: Shell, error: OSError) -> None:
    verb = "open" if error.errno in (errno.ENOENT, errno.EACCES) and error.filename2 is None else "create"
    text = {errno.ENOENT: "no such file", errno.EROFS: "Read-only file system"}.get(
        error.errno or 0, error.strerror or ""
    )
    if error.errno == errno.ENOENT and error.filename2:
        text = "nonexistent directory"
    shell.complain(f"can't {verb} {error.filename}: {text}")


def only_read(body: Sequence) -> Redirection | None:
    """The file, when commands are nothing but one that is read."""
    if len(body.items) != 1 or body.items[0][0].rest or len(body.items[0][0].first.commands) != 1:
        return None
    command = body.items[0][0].first.commands[0]
    if type(command) is not Simple or command.words or command.assignments or len(command.redirections) != 1:
        return None
    return command.redirections[0] if command.redirections[0].operator == "<" else None


def contents(shell: Shell, file: Redirection) -> Generator[Any, Any, bytes]:
    """``$(< file)``; its status becomes ``$?``."""
    shell.status = 1
    try:
        fds = yield from redirected(shell, (file,))
    except OSError as error:
        complain(shell, error)
        return b""
    try:
        found: bytes = yield from fds[file.fd].read()
    except OSError as error:
        shell.complain(f"{error.filename}: {error.strerror}")
        return b""
    shell.status = 0
    return found


def redirected(shell: Shell, redirections: tuple[Redirection, ...]) -> Generator[Any, Any, dict[int, Stream]]:
    """The files of a command. Raises OSError."""
    fds = dict(shell.proc.fds)
    for redirection in redirections:
        if redirection.operator == "<<":
            text = yield from shell.expansion.text(redirection.target)
            fds[redirection.fd] = here(shell.proc, text)
            continue
        fields = yield from shell.expansion.fields(redirection.target)
        redirect(shell, fds, redirection, " ".join(fields))
    return fds


def redirect(shell: Shell, fds: dict[int, Stream], redirection: Redirection, target: str) -> None:
    fd, operator = redirection.fd, redirection.operator
    if operator in (">&", "<&"):
        if target == "-":
            fds.pop(fd, None)
            return
        if target.isdigit():
            if int(target) not in fds:
                raise OSError(errno.EBADF, "Bad file descriptor", target)
            fds[fd] = fds[int(target)]
            return
    stream = opened(shell, target, operator)
    fds[fd] = stream
    if operator in ("&>", ">&"):
        fds[2] = stream


def opened(shell: Shell, path: str, operator: str) -> Stream:
    """Opens a file as a redirection does. Raises OSError."""
    proc = shell.proc
    if operator == "<":
        node = proc.fs.find(path, proc.cwd)
        if isinstance(node, Dir):
            return OpenedDirectory()
        special = proc.container.device(node)
        if special is not None:
            return special
        return Opened(node, proc.fs.now)  # type: ignore[arg-type]
    try:
        file = proc.fs.open_file(path, proc.cwd, truncate=operator not in (">>", "<>"))
    except FileNotFoundError as error:
        raise OSError(error.errno, error.strerror, error.filename, None, "directory") from None
    special = proc.container.device(file, proc)
    if special is not None:
        return special
    return Opened(file, proc.fs.now, append=operator == ">>", touched=proc.container.touched)


def here(proc: Proc, text: str) -> Stream:
    pipe = Pipe(proc.clock, bounded=False)
    pipe.write(text.encode(errors="surrogateescape"))
    return pipe
