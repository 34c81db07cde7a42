"""Containers of one image share its files until they write to them."""

from __future__ import annotations

import pytest

from seatrial.sim.workloads.filesystem import Dir, File, FileSystem, Mounted, Node, freeze, tree_of
from tests.sim.workloads.running import Bench


def image() -> Dir:
    root = tree_of({"/etc/a": "1", "/etc/deep/b": "2", "/bin/": None})
    freeze(root)
    return root


def test_a_write_is_seen_by_the_writer_alone() -> None:
    shared = image()
    one, other = FileSystem(shared, lambda: 7), FileSystem(shared, lambda: 8)
    one.write("/etc/deep/b", b"changed")
    one.write("/etc/new", b"x")
    one.remove("/etc/a")
    assert one.read("/etc/deep/b") == b"changed"
    assert other.read("/etc/deep/b") == b"2"
    assert sorted(one.directory("/etc")) == ["deep", "new"]
    assert sorted(other.directory("/etc")) == ["a", "deep"]


def test_links_are_followed_and_loops_refused() -> None:
    fs = FileSystem(image(), lambda: 0)
    fs.link("etc", "/e")
    fs.link("../e/deep", "/etc/up")
    assert fs.read("/etc/up/b") == b"2"
    assert fs.real("/e/deep/../a") == "/etc/a"
    fs.link("y", "/x")
    fs.link("x", "/y")
    with pytest.raises(OSError, match="Too many levels"):
        fs.find("/x")


def test_a_volume_is_shared_and_outlives_a_container() -> None:
    volume = Dir()
    one, other = FileSystem(image(), lambda: 0), FileSystem(image(), lambda: 0)
    one.mount("/data", Mounted(volume))
    other.mount("/mnt/data", Mounted(volume, read_only=True))
    one.write("/data/f", b"kept")
    assert other.read("/mnt/data/f") == b"kept"
    with pytest.raises(OSError, match="Read-only"):
        other.write("/mnt/data/g", b"")


@pytest.mark.parametrize(
    ("path", "error"),
    [("/nope", FileNotFoundError), ("/etc/a/b", NotADirectoryError), ("/etc", IsADirectoryError)],
)
def test_what_cannot_be_read(path: str, error: type[OSError]) -> None:
    with pytest.raises(error):
        FileSystem(image(), lambda: 0).read(path)


def test_published_files_change_at_once_behind_one_link() -> None:
    bench = Bench()
    volume = bench.volume()
    fs = FileSystem(image(), lambda: 0)
    fs.mount("/c", Mounted(volume.tree, read_only=True))
    volume.publish({"k": (b"old", 0o644), "d/e": (b"deep", 0o600)}, bench.clock.now)
    assert (fs.read("/c/k"), fs.read("/c/d/e")) == (b"old", b"deep")
    first = fs.real("/c/k")
    bench.run(1)
    volume.publish({"k": (b"new", 0o644)}, bench.clock.now)
    assert fs.read("/c/k") == b"new"
    assert fs.real("/c/k") != first
    assert sorted(name for name in fs.directory("/c") if not name.startswith("..")) == ["k"]


def test_what_was_published_before_anybody_looked_is_there_as_if_written_at_once() -> None:
    seen, unseen = Bench(), Bench()
    volumes = seen.volume(), unseen.volume()
    volumes[0].tree()
    for contents in ({"k": (b"old", 0o644), "gone": (b"", 0o644)}, {"k": (b"new", 0o644)}):
        for bench, volume in zip((seen, unseen), volumes, strict=True):
            bench.run(1)
            volume.publish(contents, bench.clock.now)

    def shown(node: Node) -> object:
        below = {name: shown(each) for name, each in node.entries.items()} if isinstance(node, Dir) else None
        return node.mode, node.mtime_us, getattr(node, "target", getattr(node, "data", None)), below

    assert shown(volumes[1].tree()) == shown(volumes[0].tree())
    assert volumes[1].written() == volumes[0].written()


def test_a_generated_file_is_made_when_it_is_read() -> None:
    reads: list[int] = []

    def source() -> bytes:
        reads.append(1)
        return b"token"

    root = tree_of({"/t": File(source=source)})
    fs = FileSystem(root, lambda: 0)
    assert not reads
    assert fs.read("/t") == b"token"
