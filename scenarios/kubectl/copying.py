"""``kubectl cp``: files to and from a container, by its tar.

Source: k8s.io/kubectl/pkg/cmd/cp.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from typing import Any

from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.chosen_pods import container_for
from seatrial.scenarios.kubectl.connecting import ended
from seatrial.scenarios.kubectl.failures import Failure
from seatrial.scenarios.kubectl.session import Streams

Object = Mapping[str, Any]


def _spec(text: str) -> tuple[str, str, str]:
    """(namespace, pod, path) of ``[namespace/]pod:path``; a local path has no pod."""
    before, colon, path = text.partition(":")
    if not colon or (before.startswith((".", "/")) and "/" in before[1:]):
        return "", "", text
    if not before or not path:
        raise Failure("filespec must match the canonical format: [[namespace/]pod:]file/path")
    namespace, _, pod = before.rpartition("/")
    return namespace, pod, path


def run(call: Call) -> int:
    if len(call.args) != 2:
        raise Failure("source and destination are required")
    source, target = _spec(call.args[0]), _spec(call.args[1])
    if source[1] and target[1]:
        raise Failure("one of src or dest must be a local file specification")
    if source[1]:
        return _fetch(call, source, target[2])
    if target[1]:
        return _bring(call, source[2], target)
    raise Failure("one of src or dest must be a remote file specification")


def _tar(call: Call, place: tuple[str, str, str], command: list[str], content: bytes = b"") -> bytes:
    namespace = place[0] or call.namespace
    pod = call.client.get(call.client.kind("pods").path(namespace, place[1]))
    container = container_for(call, pod)
    output, errors = bytearray(), bytearray()
    waiting = [content] if content else []
    read = (lambda: waiting.pop(0) if waiting else b"") if content else None
    query = {"container": container, "command": command, "stdin": bool(content), "stdout": True, "stderr": True}
    path = call.client.kind("pods").path(namespace, place[1], "exec")
    status = call.session.connect(
        call.client.request_of("GET", path, query), Streams(output.extend, errors.extend, read)
    )
    if errors:
        call.session.stderr.write(errors.decode(errors="replace"))
    ended(status)
    return bytes(output)


def _fetch(call: Call, place: tuple[str, str, str], local: str) -> int:
    path = place[2].rstrip("/") or "/"
    raw = _tar(call, place, ["tar", "cf", "-", path])
    base = path.lstrip("/")
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        for member in archive.getmembers():
            name = member.name.lstrip("./")
            rest = name.removeprefix(base).lstrip("/")
            if ".." in rest.split("/"):
                call.err(f"warning: skipping symlink or outside path: {name!r}")
                continue
            file = archive.extractfile(member)
            if file is not None:
                call.session.files.write(f"{local.rstrip('/')}/{rest}" if rest else local, file.read())
    return 0


def _bring(call: Call, local: str, place: tuple[str, str, str]) -> int:
    files = call.session.files
    try:
        children = files.children(local)
    except OSError:
        raise Failure(f"{local} doesn't exist in local filesystem") from None
    target = place[2].rstrip("/") or "/"
    directory, _, name = target.rpartition("/")
    if place[2].endswith("/"):
        directory, name = target, local.rstrip("/").rpartition("/")[2]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        _pack(archive, call, local, name, children)
    command = ["tar", "-xmf", "-"] + (["-C", directory or "/"] if directory or target.startswith("/") else [])
    _tar(call, place, command, buffer.getvalue())
    return 0


def _pack(archive: tarfile.TarFile, call: Call, path: str, name: str, children: list[str] | None) -> None:
    if children is None:
        content = call.session.files.read(path)
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(content), 0o644
        archive.addfile(member, io.BytesIO(content))
        return
    for child in children:
        inner = f"{path.rstrip('/')}/{child}"
        _pack(archive, call, inner, f"{name}/{child}", call.session.files.children(inner))
