"""The durable copy of a store: a SQLite file in WAL mode.

``Durable`` hears of every change and writes all that gathered since the last time in one transaction when it is told to
``flush``. Whoever acknowledges a write flushes first; writes that come together share one transaction. What was flushed
survives the death of the process; with ``fsync`` also that of the machine.

Kept are the objects and the revision, not the log: after a restart watches and lists of older revisions get 410 Gone,
as from an etcd that was compacted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from seatrial.sim.store.log import Change
from seatrial.sim.store.shelf import order_of, place_of
from seatrial.sim.store.store import Store

Object = Mapping[str, Any]
VERSION: Final = 1
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects (
    storage TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (storage, key)
) WITHOUT ROWID;
"""


class Damaged(Exception):
    """A state file that cannot be used: which, why, and what can be done."""

    def __init__(self, path: str, reason: str, mend: str) -> None:
        super().__init__(path, reason, mend)
        self.path, self.reason, self.mend = path, reason, mend

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}. {self.mend}"


MEND: Final = "Restore the file from a copy, or remove it to begin with an empty cluster"


class Durable:
    """A SQLite file that follows a store. May be used from one thread at a time.

    Raises Damaged when the file is not a state of Seatrial, is of a newer version, or is broken.
    """

    def __init__(self, path: str | Path, fsync: bool = False) -> None:
        self.path = str(path)
        self._gathered: dict[tuple[str, str], Object | None] = {}
        self._revision = 0
        self._facts: dict[str, str] = {}
        self._store: Store | None = None
        self._file = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            self._open(fsync)
        except sqlite3.DatabaseError as problem:
            self._file.close()
            raise self._damaged(problem) from None
        except Damaged:
            self._file.close()
            raise

    def _open(self, fsync: bool) -> None:
        run = self._file.execute
        run("PRAGMA busy_timeout = 5000")
        run("PRAGMA journal_mode = WAL")
        # Without a sync per transaction the operating system still holds what a killed process wrote.
        run(f"PRAGMA synchronous = {'FULL' if fsync else 'NORMAL'}")
        (verdict,) = run("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise Damaged(self.path, f"the database is malformed ({verdict})", MEND)
        self._file.executescript(SCHEMA)
        version = self.fact("version")
        if version is None:
            run("INSERT INTO facts VALUES ('version', ?)", (str(VERSION),))
        elif version != str(VERSION):
            mend = "Use the Seatrial that wrote it, or destroy the cluster"
            raise Damaged(self.path, f"its format is version {version}, this Seatrial knows {VERSION}", mend)

    def _damaged(self, problem: sqlite3.DatabaseError) -> Damaged:
        if "locked" in str(problem):
            return Damaged(self.path, "another process holds it", "Halt the cluster that uses it")
        return Damaged(self.path, str(problem), MEND)

    def fact(self, name: str) -> str | None:
        """A fact about the whole state: ``revision``, ``now`` (µs, of the last change) and what ``set_fact`` kept."""
        row = self._file.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def set_fact(self, name: str, value: str) -> None:
        """Keeps a fact with the next ``flush``."""
        self._facts[name] = value

    def load(self, store: Store) -> bool:
        """Fills an empty store with what was kept; returns whether there was anything. Raises Damaged."""
        try:
            revision = self.fact("revision")
            if revision is None:
                return False
            store.restore(int(revision), self._objects())
        except sqlite3.DatabaseError as problem:
            raise self._damaged(problem) from None
        except (ValueError, KeyError) as problem:
            raise Damaged(self.path, f"an object cannot be read ({problem})", MEND) from None
        return True

    def _objects(self) -> Iterator[tuple[str, Object]]:
        for storage, body in self._file.execute("SELECT storage, body FROM objects ORDER BY storage, key"):
            yield storage, orjson.loads(body)

    def follow(self, store: Store) -> None:
        """Gathers every change of the store from now on."""
        self._store = store
        self._revision = store.revision
        store.observe(self._gather)

    def _gather(self, change: Change) -> None:
        key = (change.storage, order_of(place_of(change.obj)))
        self._gathered[key] = change.obj if change.verb != "DELETED" else None
        self._revision = change.revision
        self._facts["now"] = str(change.at_us)

    def copy(self, store: Store) -> None:
        """Takes in all that a store holds, for the next flush of a file that is empty."""
        self._store, self._revision = store, store.revision
        for storage in store.storages():
            for obj in store.list(storage):
                self._gathered[storage, order_of(place_of(obj))] = obj

    @property
    def dirty(self) -> bool:
        """Whether there is something to flush."""
        return bool(self._gathered or self._facts)

    def flush(self) -> None:
        """Writes what gathered, as one transaction. Raises sqlite3.Error (a full disk); nothing is lost then, and the
        next flush tries again."""
        if not self.dirty:
            return
        store = self._store
        encoded = store.encoded if store is not None else orjson.dumps
        put, gone = [], []
        for (storage, key), obj in self._gathered.items():
            if obj is None:
                gone.append((storage, key))
            else:
                put.append((storage, key, encoded(obj)))
        facts = [*self._facts.items(), ("revision", str(self._revision))]
        file = self._file
        file.execute("BEGIN IMMEDIATE")
        try:
            file.executemany("DELETE FROM objects WHERE storage = ? AND key = ?", gone)
            file.executemany("INSERT OR REPLACE INTO objects VALUES (?, ?, ?)", put)
            file.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts)
            file.execute("COMMIT")
        except sqlite3.Error:
            if file.in_transaction:
                file.execute("ROLLBACK")
            raise
        self._gathered.clear()
        self._facts.clear()

    def close(self) -> None:
        """Flushes and gives the file up."""
        self.flush()
        self._file.close()
