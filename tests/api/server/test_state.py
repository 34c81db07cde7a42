"""A cluster's directory: versions, damage, and whether its server lives."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from seatrial.api.problem import Problem
from seatrial.api.server import pki, state
from seatrial.api.server.state import Home, Settings
from seatrial.sim.config import ClusterSpec

SETTINGS = Settings(spec=ClusterSpec(name="lab"), seed=7, port=6443)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    home = Home(tmp_path / "lab")
    assert not home.exists
    home.save(SETTINGS)
    assert home.exists
    assert home.load() == SETTINGS
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "state.json is missing"),
        ("", "Expecting value"),
        ("{", "Expecting property name"),
        ("[]", "layout version None"),
        ('{"version": 99}', "layout version 99; this seatrial reads version 1"),
        ('{"version": 1}', "spec: Field required"),
        (SETTINGS.model_dump_json().replace('"seed":7', '"seed":"x"'), "seed: Input should be a valid integer"),
        (SETTINGS.model_dump_json()[:-1] + ',"more":1}', "more: Extra inputs are not permitted"),
    ],
)
def test_a_damaged_directory_is_refused_with_the_reason_and_the_mend(
    tmp_path: Path, content: str | None, reason: str
) -> None:
    home = Home(tmp_path / "lab")
    home.path.mkdir()
    if content is not None:
        home.settings_file.write_text(content)
    with pytest.raises(Problem) as caught:
        home.load()
    assert reason in caught.value.why
    assert "seatrial destroy lab" in caught.value.mend
    assert content is None or home.settings_file.read_text() == content


HOLDER = """
import sys, time
from pathlib import Path
from seatrial.api.server.state import Home
home = Home(Path(sys.argv[1]))
acquired = home.acquire()
home.announce({"pid": 1, "port": 2})
print(acquired, flush=True)
time.sleep(60)
"""


def test_a_server_that_was_killed_does_not_run(tmp_path: Path) -> None:
    home = Home(tmp_path / "lab")
    home.save(SETTINGS)
    assert not home.running
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(home.path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        assert home.running
        assert not home.acquire()
        os.kill(holder.pid, signal.SIGKILL)
    assert not home.running
    assert home.process() == {}
    assert home.process_file.exists()
    assert home.acquire()
    assert home.running
    home.release()


def test_a_server_that_starts_is_not_taken_for_the_one_before(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.announce({"pid": 1})
    assert home.acquire()
    assert Home(tmp_path).process() == {}
    home.announce({"pid": 2})
    assert Home(tmp_path).process() == {"pid": 2}
    home.release()


def test_who_asks_whether_a_cluster_runs_does_not_keep_it_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(asking, fcntl.LOCK_SH)
    monkeypatch.setattr(state.time, "sleep", lambda _: fcntl.flock(asking, fcntl.LOCK_UN))
    home = Home(tmp_path)
    assert home.acquire()
    home.release()
    os.close(asking)


def test_clusters_are_found_where_xdg_says(tmp_path: Path) -> None:
    environment = {"XDG_STATE_HOME": str(tmp_path / "state"), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    kept, passing = state.roots(environment)
    for name in ("b", "a"):
        Home(kept / name).save(SETTINGS)
    (passing / "gone").mkdir(parents=True)
    assert [home.name for home in state.every(environment)] == ["a", "b"]
    running = Home(passing / "c")
    running.save(SETTINGS)
    assert running.acquire()
    assert [home.name for home in state.every(environment)] == ["a", "b", "c"]
    assert state.find("c", environment).path == passing / "c"
    running.release()


def test_keys_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    made = pki.make()
    pki.save(made, tmp_path / "pki")
    assert pki.load(tmp_path / "pki") == made
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "pki").iterdir()}
    assert {name: mode for name, mode in modes.items() if name.endswith(".key")} == {
        "ca.key": 0o600,
        "apiserver.key": 0o600,
        "admin.key": 0o600,
    }
    (tmp_path / "pki" / "ca.crt").write_text("no certificate")
    with pytest.raises(ValueError, match=r"."):
        pki.load(tmp_path / "pki")


def test_the_version_is_the_first_thing_a_reader_meets() -> None:
    assert next(iter(json.loads(SETTINGS.model_dump_json()))) == "version"
