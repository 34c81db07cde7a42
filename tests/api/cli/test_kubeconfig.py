"""The user's kubeconfig: what is there stays, what is ours comes and goes."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from seatrial.api.cli import kubeconfig
from seatrial.api.cli.kubeconfig import Entry
from seatrial.api.problem import Problem

OURS = Entry("seatrial", "https://127.0.0.1:6443", b"authority", b"certificate", b"key")
OTHERS = """\
# my clusters
apiVersion: v1
kind: Config
preferences: {colors: true}
current-context: work
clusters:
- name: work
  cluster: {server: https://work.example:6443, insecure-skip-tls-verify: true}
contexts:
- name: work
  context: {cluster: work, user: me, namespace: on}
users:
- name: me
  user:
    token: 2026-01-01
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: get-token
      args: ["--since", 007, "yes"]
      interactiveMode: Never
"""


def text_only(path: Path) -> Any:
    """The file with every scalar as it is spelt."""
    return yaml.load(path.read_text(), Loader=yaml.BaseLoader)


def test_a_missing_file_is_created_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config"
    kubeconfig.merge(path, OURS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    written = text_only(path)
    assert written["current-context"] == "seatrial"
    assert written["clusters"][0]["cluster"]["server"] == OURS.server
    assert list(path.parent.iterdir()) == [path]


def test_what_is_there_keeps_its_spelling_and_the_mode(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(OTHERS)
    path.chmod(0o640)
    before = text_only(path)
    kubeconfig.merge(path, OURS)
    after = text_only(path)
    for section in ("clusters", "contexts", "users"):
        assert after[section][0] == before[section][0]
        assert after[section][1]["name"] == "seatrial"
    assert after["preferences"] == before["preferences"]
    assert after["current-context"] == "seatrial"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_removing_brings_the_former_content_back(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(OTHERS)
    before = text_only(path)
    kubeconfig.merge(path, OURS)
    assert kubeconfig.remove(path, "seatrial")
    after = text_only(path)
    assert after == {**before, "current-context": ""}
    assert not kubeconfig.remove(path, "seatrial")


def test_a_second_merge_replaces_the_first(tmp_path: Path) -> None:
    path = tmp_path / "config"
    kubeconfig.merge(path, OURS)
    kubeconfig.merge(path, Entry("seatrial", "https://127.0.0.1:7000", b"a", b"b", b"c"))
    written = text_only(path)
    assert [len(written[section]) for section in ("clusters", "contexts", "users")] == [1, 1, 1]
    assert written["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:7000"


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text(OTHERS)
    link.symlink_to(real)
    kubeconfig.merge(link, OURS)
    assert link.is_symlink()
    assert text_only(real)["current-context"] == "seatrial"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("clusters: [", "not valid YAML"),
        ("- a\n- b\n", "not a mapping"),
        ("clusters: {a: b}\n", "'clusters' is not a list"),
        ("\x00\x01", "not valid YAML"),
    ],
)
def test_what_is_no_kubeconfig_is_refused_and_left_alone(tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "config"
    path.write_text(content)
    with pytest.raises(Problem, match=reason):
        kubeconfig.check(path, "seatrial")
    with pytest.raises(Problem, match=reason):
        kubeconfig.merge(path, OURS)
    assert path.read_text() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", ["", "\n", "~\n", "null\n", "clusters: null\nusers:\n", "{}"])
def test_an_empty_file_is_as_good_as_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config"
    path.write_text(content)
    kubeconfig.check(path, "seatrial")
    kubeconfig.merge(path, OURS)
    assert text_only(path)["contexts"][0]["context"] == {"cluster": "seatrial", "user": "seatrial"}


def test_a_namesake_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(OTHERS.replace("name: work", "name: seatrial"))
    with pytest.raises(Problem, match="did not write"):
        kubeconfig.check(path, "seatrial")
    assert not kubeconfig.remove(path, "seatrial")


def test_a_held_lock_is_respected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubeconfig, "LOCK_WAIT_S", 0.0)
    path = tmp_path / "config"
    path.write_text(OTHERS)
    lock = tmp_path / "config.lock"
    lock.touch()
    with pytest.raises(Problem, match="lock file"):
        kubeconfig.merge(path, OURS)
    assert path.read_text() == OTHERS
    assert lock.exists()


def test_of_several_files_the_first_that_exists_is_written(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    environment = {"KUBECONFIG": f"{first}{os.pathsep}{second}"}
    assert kubeconfig.chosen(None, environment) == second
    second.touch()
    assert kubeconfig.chosen(None, environment) == second
    first.touch()
    assert kubeconfig.chosen(None, environment) == first
    assert kubeconfig.chosen(str(second), environment) == second


def test_kubectl_and_we_edit_one_file(tmp_path: Path, kubectl: str) -> None:
    path = tmp_path / "config"

    def config(*arguments: str) -> str:
        command = [kubectl, "--kubeconfig", str(path), "config", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    config("set-context", "work", "--cluster=work", "--user=me", "--namespace=on")
    kubeconfig.merge(path, OURS)
    config("set-context", "seatrial", "--namespace=web")
    assert config("get-contexts", "-o", "name").split() == ["seatrial", "work"]
    assert config("current-context") == "seatrial\n"
    assert kubeconfig.remove(path, "seatrial")
    assert config("get-contexts", "-o", "name").split() == ["work"]
