"""The durable copy: what was flushed is there again; what is broken is said."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from seatrial.sim.kernel.clock import Clock
from seatrial.sim.store.sqlite import Damaged, Durable
from seatrial.sim.store.store import Store

Object = Mapping[str, Any]


def thing(name: str, **fields: Any) -> Object:
    return {"kind": "Thing", "metadata": {"name": name, "namespace": "default"}, **fields}


def opened(path: Path) -> tuple[Store, Durable]:
    store, durable = Store(Clock()), Durable(path)
    durable.load(store)
    durable.follow(store)
    return store, durable


def test_what_was_flushed_is_there_again(tmp_path: Path) -> None:
    store, durable = opened(tmp_path / "state.db")
    kept = store.create("things", thing("kept"))
    store.create("things", thing("gone"))
    durable.flush()
    store.delete("things", "default", "gone")
    kept = store.update("things", {**kept, "spec": "ü"})
    durable.set_fact("clock", "123")
    durable.close()
    again, other = opened(tmp_path / "state.db")
    assert again.list("things") == [kept]
    assert again.revision == again.floor == store.revision
    assert other.fact("clock") == "123"
    other.close()


def test_new_file_holds_nothing(tmp_path: Path) -> None:
    durable = Durable(tmp_path / "state.db")
    assert not durable.load(Store(Clock()))
    assert not durable.dirty
    durable.close()


WRITER = """
import sys
from seatrial.sim.kernel.clock import Clock
from seatrial.sim.store.sqlite import Durable
from seatrial.sim.store.store import Store
store, durable = Store(Clock()), Durable(sys.argv[1])
durable.load(store)
durable.follow(store)
first = store.count("things")
for number in range(first, first + 100_000):
    store.create("things", {"metadata": {"name": f"t{number:06}", "namespace": "default"}})
    store.create("others", {"metadata": {"name": f"t{number:06}", "namespace": "default"}})
    durable.flush()
    print(number, flush=True)
"""


def test_acknowledged_writes_survive_kill_9(tmp_path: Path) -> None:
    path, acknowledged = tmp_path / "state.db", -1
    for rounds in range(1, 4):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        for _ in range(10 * rounds):
            acknowledged = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
        rest = writer.stdout.read().splitlines()
        writer.stdout.close()
        writer.wait()
        acknowledged = int(rest[-1]) if rest else acknowledged
        store, durable = opened(path)
        durable.close()
        assert store.count("things") >= acknowledged + 1
        assert store.count("things") == store.count("others")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.write_bytes(b"this is no database at all" * 100), "not a database"),
        (lambda path: _overwrite(path), "malformed"),
        (lambda path: _run(path, "UPDATE facts SET value = '99' WHERE name = 'version'"), "version 99"),
        (lambda path: _run(path, "UPDATE objects SET body = '{'"), "cannot be read"),
        (lambda path: _run(path, "UPDATE objects SET body = '{}'"), "cannot be read"),
    ],
)
def test_damaged_file_is_named_with_reason_and_mend(tmp_path: Path, damage: Any, reason: str) -> None:
    path = tmp_path / "state.db"
    store, durable = opened(path)
    for number in range(200):
        store.create("things", thing(f"a{number}", text="x" * 200))
    durable.close()
    damage(path)
    with pytest.raises(Damaged, match=reason) as caught:
        opened(path)
    assert str(caught.value).startswith(str(path))
    assert caught.value.mend


def _overwrite(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[6000:30000] = os.urandom(24000)
    path.write_bytes(bytes(raw))


def _run(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()
