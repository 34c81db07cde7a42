"""Resource types on the disk: what was kept comes back, what is no cache is nobody's trouble."""

from __future__ import annotations

from pathlib import Path

import pytest

from seatrial.api.cli import discovery_cache
from seatrial.scenarios.kubectl.client import Kind

POD = Kind("", "v1", "pods", "pod", "Pod", True, ("get", "list"), ("po",), ("all",), ("log",))
SERVER = "https://127.0.0.1:6443"


def test_what_was_kept_comes_back(tmp_path: Path) -> None:
    discovery_cache.save(tmp_path / "c", SERVER, (7, [POD]))
    assert discovery_cache.load(tmp_path / "c", SERVER) == (7, [POD])
    assert discovery_cache.load(tmp_path / "c", "https://127.0.0.1:6444") is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 0}', '{"version": 1, "at": 1, "kinds": [[1]]}'])
def test_a_file_that_is_no_cache_is_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "127.0.0.1_6443.json").write_text(content)
    assert discovery_cache.load(tmp_path, SERVER) is None


def test_a_disk_that_does_not_want_to_keep_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    discovery_cache.save(tmp_path / "file", SERVER, (7, [POD]))


def test_a_server_that_is_gone_is_forgotten_and_others_are_not(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "caches")}
    where, real = discovery_cache.directory(environment), tmp_path / ".kube" / "cache" / "discovery"
    other = "https://127.0.0.1:6444"
    for server in (SERVER, other):
        discovery_cache.save(where, server, (7, [POD]))
    for name in ("127.0.0.1_6443", "127.0.0.1_6444"):
        (real / name / "apps").mkdir(parents=True)
    discovery_cache.forget(environment, SERVER)
    assert discovery_cache.load(where, SERVER) is None
    assert discovery_cache.load(where, other) is not None
    assert [each.name for each in real.iterdir()] == ["127.0.0.1_6444"]
    discovery_cache.forget(environment, SERVER)
