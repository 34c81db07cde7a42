"""etcd's data on the control plane's disk: what its process finds in its data directory is what the cluster holds.

The directory in which etcd runs *is* the store, whose contents its file shows to whoever reads or copies it. etcd that
is started in another directory goes on with what lies there: a snapshot that was restored, a copy, or nothing, which is
an empty cluster. What it ran in before keeps what it held. Source: etcd 3.6, server/embed and etcdutl/snapshot. Not
modelled: keys and values, the write-ahead log; see ``apiserver.restoring`` for what the API server sees of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from seatrial.sim.apiserver.restoring import put_back
from seatrial.sim.apiserver.server import Apiserver
from seatrial.sim.workloads.filesystem import Dir, File, FileSystem
from seatrial.sim.workloads.process import Proc

MAGIC = b"seatrial etcd snapshot 1\n"
DIRECTORY, DEFAULT = "/var/lib/etcd", "default.etcd"
DATA, WAL = "member/snap/db", "member/wal"
PRIVATE, OWN = 0o700, 0o600


class Snapshot(NamedTuple):
    """Every object at one revision, by kind in the store."""

    revision: int
    objects: Mapping[str, list[Any]]


def read(raw: bytes) -> Snapshot:
    """Raises ValueError for what is no snapshot."""
    if not raw.startswith(MAGIC):
        raise ValueError("invalid database")
    return Snapshot(**orjson.loads(raw[len(MAGIC) :]))


def lay_out(fs: FileSystem, directory: str, file: File, cwd: str = "/") -> None:
    """A member's directory with its database."""
    for part in ("member/snap", WAL):
        fs.make_dir(f"{directory}/{part}", cwd, parents=True, mode=PRIVATE)
    fs.put(f"{directory}/{DATA}", file, cwd)


class Etcd:
    """The etcd of one cluster."""

    def __init__(self, server: Apiserver, authority: str) -> None:
        self._server, self._authority = server, authority
        self._live: File | None = None
        """The database that is in use."""

    def snapshot(self) -> bytes:
        """Everything that is stored now."""
        self._server.standing.look()
        store = self._server.store
        objects = {storage: store.list(storage) for storage in sorted(store.storages())}
        return MAGIC + orjson.dumps({"revision": store.revision, "objects": objects})

    def install(self, fs: FileSystem, at: int) -> None:
        """What ``kubeadm init`` left on the disk."""
        self._live = File(mode=OWN, mtime_us=at, source=self.snapshot)
        lay_out(fs, DIRECTORY, self._live)

    def resume(self, proc: Proc) -> str:
        """Its process starts again, in whatever directory it is told; returns why it cannot."""
        flags = dict(word.lstrip("-").partition("=")[::2] for word in proc.argv[1:])
        directory = flags.get("data-dir", DEFAULT).rstrip("/")
        found = _database(proc, directory)
        if found is not None and found is self._live:
            return ""
        try:
            objects = read(found.read()).objects if found is not None else {}
        except ValueError as problem:
            return f"panic: failed to open database {directory}/{DATA}: {problem}"
        if self._live is not None:
            self._live.data, self._live.source = self.snapshot(), None
        self._live = File(mode=OWN, mtime_us=proc.clock.now, source=self.snapshot)
        try:
            lay_out(proc.fs, directory, self._live, proc.cwd)
        except OSError as problem:
            return f"cannot access data directory: {directory}: {problem.strerror}"
        put_back(self._server, objects, ("etcd", directory, None), self._authority)
        return ""


def _database(proc: Proc, directory: str) -> File | None:
    try:
        found = proc.fs.walk(f"{directory}/{DATA}", proc.cwd, write=True)[0]
    except OSError:
        return None
    return found if isinstance(found, File) else None


def is_empty(fs: FileSystem, path: str, cwd: str) -> bool:
    """Whether a data directory may be made there."""
    try:
        node = fs.walk(path, cwd)[0]
        return node is None or (isinstance(node, Dir) and not fs.directory(path, cwd))
    except OSError:
        return True
