"""The file system of a container: an image's tree, shared until it is written to, with volumes mounted into it.

Everything lives in memory; paths never mean anything on the host. Errors are Python's own OSError classes, whose
``strerror`` is what a program prints. Not modelled: hard links (a link is a copy), device nodes other than the usual
few, quotas, access control: whoever runs in a container may read and write what is not mounted read-only.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

DIR_MODE, FILE_MODE, EXEC_MODE = 0o755, 0o644, 0o755
SET_GID = 0o2000
"""The bit of a directory's mode that hands on its group."""
LINKS_MAX = 40
BLOCK = 4096


class Node:
    """A file, directory or link."""

    __slots__ = ("frozen", "gid", "mode", "mtime_us", "uid")

    def __init__(self, mode: int, mtime_us: int = 0) -> None:
        self.mode = mode
        self.mtime_us = mtime_us
        self.uid = self.gid = 0
        self.frozen = False


class File(Node):
    """A regular file; ``source`` makes the contents of a generated one, ``program`` names what runs when executed."""

    __slots__ = ("_parts", "device", "program", "source")

    def __init__(
        self,
        data: bytes = b"",
        mode: int = FILE_MODE,
        mtime_us: int = 0,
        program: str = "",
        source: Callable[[], bytes] | None = None,
        device: str = "",
    ) -> None:
        super().__init__(mode, mtime_us)
        self._parts = [data] if data else []
        self.program = program
        self.source = source
        self.device = device

    @property
    def data(self) -> bytes:
        """The contents; what was appended is joined when somebody looks."""
        parts = self._parts
        if len(parts) > 1:
            parts[:] = [b"".join(parts)]
        return parts[0] if parts else b""

    @data.setter
    def data(self, data: bytes) -> None:
        self._parts = [data] if data else []

    @property
    def size(self) -> int:
        """Bytes that were written."""
        return sum(len(part) for part in self._parts)

    def append(self, data: bytes) -> None:
        self._parts.append(data)

    def read(self) -> bytes:
        return self.source() if self.source is not None else self.data

    def copy(self) -> File:
        made = File(self.data, self.mode, self.mtime_us, self.program, self.source, self.device)
        made.uid, made.gid = self.uid, self.gid
        return made


class Link(Node):
    """A symbolic link."""

    __slots__ = ("target",)

    def __init__(self, target: str, mtime_us: int = 0) -> None:
        super().__init__(0o777, mtime_us)
        self.target = target

    def copy(self) -> Link:
        return Link(self.target, self.mtime_us)


class Dir(Node):
    """A directory."""

    __slots__ = ("entries",)

    def __init__(self, mode: int = DIR_MODE, mtime_us: int = 0) -> None:
        super().__init__(mode, mtime_us)
        self.entries: dict[str, Node] = {}

    def copy(self) -> Dir:
        """A copy that shares its entries until they are written to."""
        made = Dir(self.mode, self.mtime_us)
        made.uid, made.gid = self.uid, self.gid
        made.entries = dict(self.entries)
        return made


def freeze(node: Node) -> None:
    """Marks a tree as shared: a file system that writes below it copies first."""
    node.frozen = True
    if isinstance(node, Dir):
        for entry in node.entries.values():
            freeze(entry)


def space_of(node: Node) -> tuple[int, int]:
    """Bytes, in whole blocks, and inodes of what is below a node and not shared with others."""
    if node.frozen:
        return 0, 0
    if isinstance(node, Dir):
        size, inodes = BLOCK, 1
        for entry in node.entries.values():
            more = space_of(entry)
            size, inodes = size + more[0], inodes + more[1]
        return size, inodes
    return (-(-node.size // BLOCK) * BLOCK if isinstance(node, File) else 0), 1


New = TypeVar("New", bound=Node)


def failure(number: int, path: str) -> OSError:
    """The OSError of an errno; Python picks the class."""
    return OSError(number, os.strerror(number), path)


class Mounted:
    """A mount: a tree or a file, at a path, writable or not. What is given as a function is made at the first look."""

    __slots__ = ("_is_dir", "_node", "changed", "kind", "read_only", "source")

    def __init__(
        self,
        node: Node | Callable[[], Node],
        read_only: bool = False,
        source: str = "overlay",
        kind: str = "ext4",
        changed: Callable[[], None] | None = None,
        is_dir: bool | None = None,
    ) -> None:
        self._node = node
        self._is_dir = is_dir
        self.read_only = read_only
        self.source = source
        self.kind = kind
        self.changed = changed
        """Called when something was written here, for whoever else has the tree."""

    @property
    def node(self) -> Node:
        if not isinstance(self._node, Node):
            self._node = self._node()
        return self._node

    @property
    def looked_at(self) -> bool:
        return isinstance(self._node, Node)

    @property
    def is_dir(self) -> bool | None:
        """Whether it is a directory; None while nobody can tell without a look."""
        return isinstance(self._node, Dir) if self.looked_at else self._is_dir


def _has_room() -> bool:
    return False


class FileSystem:
    """One container's tree. Paths given to methods are absolute or relative to ``cwd``."""

    def __init__(self, image: Dir, now: Callable[[], int]) -> None:
        self.root: Dir = image
        self.now = now
        self.mounts: dict[str, Mounted] = {}
        self.owner = (0, 0)
        """User and group of what is made here; in a directory that hands on its group, that one."""
        self.read_only = False
        """Nothing outside the mounts may be written."""
        self.is_full: Callable[[], bool] = _has_room
        """Whether the machine's disk takes no more."""
        self.changes = 0
        self.on_written: Callable[[], None] = _unheard
        """Told that something is about to change."""
        """Counts writes: whoever remembers an answer can tell whether it still holds."""

    # Finding

    def walk(
        self, path: str, cwd: str = "/", follow: bool = True, write: bool = False
    ) -> tuple[Node | None, str, bool]:
        """(node or None, real path, read-only) of a path whose parent exists. Raises OSError.

        With ``write`` every shared directory on the way is copied, so that the node may be changed.
        """
        parts = _split(path, cwd)
        links = 0
        done: list[str] = []
        node: Node = self._own_root(write)
        read_only = self.read_only
        while parts:
            part = parts.pop(0)
            if part == "..":
                if done:
                    done.pop()
                node, read_only = self._descend(done, write)
                continue
            if not isinstance(node, Dir):
                raise failure(errno.ENOTDIR, path)
            found, read_only = self._entry(node, done, part, write, read_only)
            if found is None:
                if parts:
                    raise failure(errno.ENOENT, path)
                return None, "/" + "/".join([*done, part]), read_only
            if isinstance(found, Link) and (parts or follow):
                links += 1
                if links > LINKS_MAX:
                    raise failure(errno.ELOOP, path)
                parts = [*_split(found.target, "/" + "/".join(done)), *parts]
                done = []
                node, read_only = self._own_root(write), self.read_only
                continue
            done.append(part)
            node = found
        return node, "/" + "/".join(done), read_only

    def _own_root(self, write: bool) -> Dir:
        if write and self.root.frozen:
            self.root = self.root.copy()
        return self.root

    def _descend(self, done: list[str], write: bool) -> tuple[Node, bool]:
        current: Node = self._own_root(write)
        read_only = self.read_only
        for index, part in enumerate(done):
            assert isinstance(current, Dir)
            found, read_only = self._entry(current, done[:index], part, write, read_only)
            assert found is not None
            current = found
        return current, read_only

    def _entry(self, node: Dir, done: list[str], part: str, write: bool, read_only: bool) -> tuple[Node | None, bool]:
        if self.mounts:
            mounted = self.mounts.get("/" + "/".join([*done, part]))
            if mounted is not None:
                return mounted.node, mounted.read_only
        found = node.entries.get(part)
        if found is not None and write and found.frozen and not read_only:
            found = found.copy()  # type: ignore[attr-defined]
            node.entries[part] = found
        return found, read_only

    def find(self, path: str, cwd: str = "/", follow: bool = True) -> Node:
        """Raises FileNotFoundError and its like."""
        node, _, _ = self.walk(path, cwd, follow)
        if node is None:
            raise failure(errno.ENOENT, path)
        return node

    def exists(self, path: str, cwd: str = "/", follow: bool = True) -> bool:
        try:
            return self.walk(path, cwd, follow)[0] is not None
        except OSError:
            return False

    def real(self, path: str, cwd: str = "/") -> str:
        return self.walk(path, cwd)[1]

    def directory(self, path: str, cwd: str = "/") -> dict[str, Node]:
        """The entries of a directory, mounts included, by name. Raises OSError."""
        node, real, _ = self.walk(path, cwd)
        if node is None:
            raise failure(errno.ENOENT, path)
        if not isinstance(node, Dir):
            raise failure(errno.ENOTDIR, path)
        entries = dict(node.entries)
        prefix = real.rstrip("/") + "/"
        for at, mounted in self.mounts.items():
            if at.startswith(prefix) and "/" not in at[len(prefix) :]:
                entries[at[len(prefix) :]] = mounted.node
        return entries

    def tree(self, path: str, cwd: str = "/") -> Iterator[tuple[str, Node]]:
        """A path and everything below it, parents first, links not followed."""
        node = self.find(path, cwd, follow=False)
        yield path, node
        if isinstance(node, Dir):
            for name in sorted(self.directory(path, cwd)):
                yield from self.tree(f"{path.rstrip('/')}/{name}", cwd)

    # Reading and writing

    def read(self, path: str, cwd: str = "/") -> bytes:
        node = self.find(path, cwd)
        if isinstance(node, Dir):
            raise failure(errno.EISDIR, path)
        assert isinstance(node, File)
        return node.read()

    def _target(self, path: str, cwd: str, follow: bool = True) -> tuple[Node | None, Dir, str]:
        """(node or None, its directory, its name), ready to be changed. Raises OSError."""
        node, real, read_only = self.walk(path, cwd, follow, write=True)
        if read_only:
            raise failure(errno.EROFS, path)
        at, _, name = real.rpartition("/")
        parent, _, _ = self.walk(at or "/", "/", write=True)
        if not isinstance(parent, Dir):
            raise failure(errno.ENOTDIR, path)
        self.written()
        return node, parent, name

    def written(self) -> None:
        """Something changed, maybe in a mounted tree that others have too."""
        self.changes += 1
        self.on_written()
        for mounted in self.mounts.values():
            if mounted.changed is not None and mounted.looked_at:
                mounted.changed()

    def open_file(self, path: str, cwd: str = "/", truncate: bool = False, create: bool = True) -> File:
        """A file to be written to. Raises OSError."""
        node, parent, name = self._target(path, cwd)
        if isinstance(node, Dir):
            raise failure(errno.EISDIR, path)
        if self.is_full() and not (isinstance(node, File) and node.device):
            raise failure(errno.ENOSPC, path)
        if node is None:
            if not create:
                raise failure(errno.ENOENT, path)
            node = self._made(parent, name, File(b"", FILE_MODE, self.now()))
        assert isinstance(node, File)
        if truncate and not node.device:
            node.data = b""
            node.mtime_us = self.now()
        return node

    def write(self, path: str, data: bytes, cwd: str = "/", mode: int | None = None) -> File:
        """Replaces or creates a file."""
        made = self.open_file(path, cwd, truncate=True)
        made.data, made.mtime_us = data, self.now()
        if mode is not None:
            made.mode = mode
        return made

    def make_dir(self, path: str, cwd: str = "/", parents: bool = False, mode: int = DIR_MODE) -> None:
        if parents:
            done = "" if path.startswith("/") else cwd.rstrip("/")
            for part in [part for part in path.split("/") if part]:
                done = f"{done}/{part}"
                if not self.exists(done):
                    self.make_dir(done, mode=mode)
            node = self.find(path, cwd)
            if not isinstance(node, Dir):
                raise failure(errno.EEXIST, path)
            return
        there, parent, name = self._target(path, cwd)
        if there is not None:
            raise failure(errno.EEXIST, path)
        self._made(parent, name, Dir(mode, self.now()))

    def _made(self, parent: Dir, name: str, node: New) -> New:
        node.uid, node.gid = self.owner
        if parent.mode & SET_GID:
            node.gid = parent.gid
            node.mode |= SET_GID * isinstance(node, Dir)
        parent.entries[name] = node
        parent.mtime_us = self.now()
        return node

    def link(self, target: str, path: str, cwd: str = "/") -> None:
        """A symbolic link at ``path``."""
        node, parent, name = self._target(path, cwd, follow=False)
        if node is not None:
            raise failure(errno.EEXIST, path)
        self._made(parent, name, Link(target, self.now()))

    def put(self, path: str, node: Node, cwd: str = "/") -> None:
        """Places a node, replacing what is there."""
        _, parent, name = self._target(path, cwd, follow=False)
        parent.entries[name] = node
        parent.mtime_us = self.now()

    def remove(self, path: str, cwd: str = "/", recursive: bool = False) -> None:
        node, parent, name = self._target(path, cwd, follow=False)
        if node is None:
            raise failure(errno.ENOENT, path)
        if isinstance(node, Dir) and node.entries and not recursive:
            raise failure(errno.ENOTEMPTY, path)
        if name not in parent.entries or self._is_mount(path, cwd):
            raise failure(errno.EBUSY, path)
        del parent.entries[name]
        parent.mtime_us = self.now()

    def _is_mount(self, path: str, cwd: str) -> bool:
        return "/" + "/".join(_split(path, cwd)) in self.mounts

    def change(self, path: str, cwd: str = "/") -> Node:
        """A node whose mode, owner or time is about to be changed. Raises OSError."""
        node, _, _ = self._target(path, cwd)
        if node is None:
            raise failure(errno.ENOENT, path)
        return node

    def is_private(self, path: str) -> bool:
        """Whether nobody outside the pod, but its kubelet, writes at or below a path."""
        at = "/" + "/".join(_split(path, "/")) + "/"
        return all(
            mounted.source == "tmpfs" or not (f"{each}/".startswith(at) or at.startswith(f"{each}/"))
            for each, mounted in self.mounts.items()
        )

    def mount(self, path: str, mounted: Mounted) -> None:
        """Mounts a tree or file; the mount point is made when it is not there. Raises OSError, with the path of what is
        in the way: a file where a directory is needed or the other way round, or a read-only mount.
        """
        at = "/" + "/".join(_split(path, "/"))
        parent = at.rpartition("/")[0]
        if parent and not self.exists(parent):
            self.make_dir(parent, parents=True)
        if parent and not isinstance(self.find(parent), Dir):
            raise failure(errno.ENOTDIR, parent)
        if mounted.is_dir is not None and self.exists(at) and isinstance(self.find(at), Dir) != mounted.is_dir:
            raise failure(errno.ENOTDIR, at)
        self.mounts[at] = mounted
        self.changes += 1


def _unheard() -> None:
    return None


def _split(path: str, cwd: str) -> list[str]:
    whole = path if path.startswith("/") else f"{cwd}/{path}"
    return [part for part in whole.split("/") if part and part != "."]


def tree_of(files: Mapping[str, Any], now_us: int = 0) -> Dir:
    """A directory from path → text, bytes or Node."""
    root = Dir(DIR_MODE, now_us)
    for path, content in files.items():
        parts = [part for part in path.split("/") if part]
        at = root
        for part in parts[:-1]:
            below = at.entries.get(part)
            if not isinstance(below, Dir):
                below = at.entries[part] = Dir(DIR_MODE, now_us)
            at = below
        if path.endswith("/"):
            at.entries.setdefault(parts[-1], Dir(DIR_MODE, now_us))
        elif isinstance(content, Node):
            at.entries[parts[-1]] = content
        else:
            data = content if isinstance(content, bytes) else str(content).encode()
            at.entries[parts[-1]] = File(data, FILE_MODE, now_us)
    return root
