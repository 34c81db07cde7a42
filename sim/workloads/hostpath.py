"""A part of a machine's disk as a volume: what a pod writes there is what a shell on the machine sees.

The disk comes into being when somebody looks at it; until then a volume is only noted. Source:
k8s.io/kubernetes/pkg/volume/hostpath (types and their checks); containerd makes what is mounted and not there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from seatrial.sim.kernel.clock import Signal
from seatrial.sim.workloads.filesystem import Dir, File, FileSystem, Node


class Userland(Protocol):
    """What somebody finds on a machine."""

    fs: FileSystem

    def touched(self) -> None:
        """A file was written."""


class Machine(Protocol):
    """A machine with a disk."""

    @property
    def userland(self) -> Userland: ...

    def prepare(self, key: tuple[str, str], call: Callable[[], object]) -> None:
        """Calls once somebody looks at the disk, which may be now; one call per key."""


def _is_file(node: Node) -> bool:
    return isinstance(node, File) and not node.device


def _is_device(node: Node) -> bool:
    return isinstance(node, File) and bool(node.device)


KINDS: Final[Mapping[str, tuple[str, Callable[[Node], bool]]]] = {
    "DirectoryOrCreate": ("directory", lambda node: isinstance(node, Dir)),
    "Directory": ("directory", lambda node: isinstance(node, Dir)),
    "FileOrCreate": ("file", _is_file),
    "File": ("file", _is_file),
    # Sockets are plain files here.
    "Socket": ("socket file", _is_file),
    "CharDevice": ("character device", _is_device),
    "BlockDevice": ("block device", lambda _: False),
}
"""Type of a hostPath → what it is called, and whether something is one."""
MADE: Final = ("", "DirectoryOrCreate", "FileOrCreate")
"""Types of which the path is made when it is not there."""


class HostPath:
    """A directory or file of a machine (cri.Volume). Raises ValueError for one that is not of the type it has to be."""

    is_dir = None
    """Nobody can tell before somebody looks at the machine's disk."""

    def __init__(
        self, machine: Machine, path: str, kind: str = "", source: str = "/dev/vda1", type_: str = "ext4"
    ) -> None:
        self._machine, self._path, self._kind = machine, path, kind
        self.followers: list[Signal] = []
        """Not modelled: that another container writes to the machine's file is seen at the next change of one's own."""
        self.source, self.kind = source, type_
        if kind and kind not in MADE:
            self._check(self._found())
        else:
            machine.prepare((path, kind), self._prepare)

    def tree(self) -> Node:
        """The directory or file itself. Raises OSError."""
        if self._kind in MADE:
            self._make()
        node, _, _ = self._machine.userland.fs.walk(self._path, write=True)
        if node is None:
            raise FileNotFoundError(2, "No such file or directory", self._path)
        return node

    def below(self, path: str) -> Node:
        """What a subPath means: made as a directory when it is not there."""
        return HostPath(self._machine, f"{self._path.rstrip('/')}/{path}").tree()

    def changed(self) -> None:
        """Something was written to it."""
        self._machine.userland.touched()

    def publish(self, contents: Mapping[str, tuple[Any, int]], now: int) -> None:
        """The kubelet writes nothing here."""
        raise ValueError("the kubelet has no contents for this volume")

    def _found(self) -> Node | None:
        try:
            return self._machine.userland.fs.walk(self._path)[0]
        except OSError:
            return None

    def _check(self, node: Node | None) -> None:
        name, fits = KINDS[self._kind]
        if node is None or not fits(node):
            raise ValueError(f"hostPath type check failed: {self._path} is not a {name}")

    def _make(self) -> None:
        fs = self._machine.userland.fs
        if fs.exists(self._path):
            return
        if self._kind == "FileOrCreate":
            fs.open_file(self._path)
        else:
            fs.make_dir(self._path, parents=True)

    def _prepare(self) -> None:
        if self._kind:
            found = self._found()
            if found is not None:
                self._check(found)
        try:
            self._make()
        except OSError as error:
            raise ValueError(f"mkdir {self._path}: {(error.strerror or '').lower()}") from None
