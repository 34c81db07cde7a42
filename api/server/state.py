"""What a cluster keeps on disk, and how to know whether it runs.

One directory per cluster under the XDG state directory (``$XDG_STATE_HOME/seatrial/NAME``):

    state.json     what the cluster is: specification, seed, port; with the version of this layout
    cluster.db     its objects (SQLite)
    begin.journal  a history to go on from at the next start, of a fork or a restored snapshot
    snapshots/     histories that were saved, by name
    pki/           its authority, server and administrator certificates; keys for the owner alone
    lock           held by the server as long as it lives
    process.json   the server's process, for those who find the lock held
    server.log     what the server said

Whether a cluster runs is asked of the lock alone: the kernel lets go of it whatever way a process ends, so neither
``kill -9`` nor a power cut nor a reused process number leaves a cluster that seems to run. An ephemeral cluster has its
directory, without a database, in the runtime directory, and it goes when the server ends; only one on which somebody
practises leaves its history there, with which it goes on.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seatrial.api.problem import Problem
from seatrial.sim.config import ClusterSpec

VERSION = 1
"""Of the directory's layout. A server reads the versions it knows and refuses the others."""
GLANCE_S = 1.0
"""How long to wait for the lock: who asks whether a cluster runs holds it for an instant."""


class Settings(BaseModel):
    """The content of state.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = VERSION
    spec: ClusterSpec
    seed: int
    port: int = Field(ge=0, le=65535)
    """0 until the first start has found a free one."""
    fsync: bool = False
    ephemeral: bool = False
    audit_log: str = ""
    """The file that every request is written to; empty for none."""
    audit_level: Literal["Metadata", "Request", "RequestResponse"] = "Metadata"
    addresses: bool = True
    """Whether the cluster's addresses have twins on this machine, and a forward proxy."""
    file: str = ""
    """The Seatrial.yaml that it was made from."""
    kubeconfig: str = ""
    """The file that the context was last written to."""
    boots: int = 0
    """How often the cluster was started before; each boot draws from random streams of its own."""


def roots(environment: Mapping[str, str]) -> tuple[Path, Path]:
    """Where clusters are kept, and where ephemeral ones are."""
    state = environment.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    runtime = environment.get("XDG_RUNTIME_DIR") or f"{tempfile.gettempdir()}/runtime-{os.getuid()}"
    return Path(state) / "seatrial", Path(runtime) / "seatrial"


class Home:
    """One cluster's directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self._lock: int | None = None

    @property
    def settings_file(self) -> Path:
        return self.path / "state.json"

    @property
    def database(self) -> Path:
        return self.path / "cluster.db"

    @property
    def beginning(self) -> Path:
        """The journal of a history that the next start is to go on from, if there is one."""
        return self.path / "begin.journal"

    @property
    def snapshots(self) -> Path:
        return self.path / "snapshots"

    @property
    def pki(self) -> Path:
        return self.path / "pki"

    @property
    def log(self) -> Path:
        return self.path / "server.log"

    @property
    def process_file(self) -> Path:
        return self.path / "process.json"

    @property
    def exists(self) -> bool:
        return self.path.is_dir() and any(self.path.iterdir())

    # settings

    def load(self) -> Settings:
        """What the cluster is. Raises Problem for a directory that is damaged or of another version."""
        mend = f"restore {self.path} from a backup, or give the cluster up: seatrial destroy {self.name}"
        what = f"cluster {self.name}"
        try:
            raw = json.loads(self.settings_file.read_bytes())
        except FileNotFoundError:
            raise Problem(what, f"its state directory is damaged: {self.settings_file} is missing", mend) from None
        except (OSError, ValueError) as problem:
            raise Problem(what, f"its state directory is damaged: {self.settings_file}: {problem}", mend) from None
        version = raw.get("version") if isinstance(raw, dict) else None
        if version != VERSION:
            why = f"its state directory has layout version {version!r}; this seatrial reads version {VERSION}"
            raise Problem(what, why, f"use the seatrial that wrote it, or: seatrial destroy {self.name}")
        try:
            return Settings.model_validate(raw)
        except ValidationError as problem:
            first = problem.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            why = f"its state directory is damaged: {self.settings_file}: {where}: {first['msg']}"
            raise Problem(what, why, mend) from None

    def save(self, settings: Settings) -> None:
        """Writes state.json in one step. Raises Problem when the disk does not let it."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _replace(self.settings_file, settings.model_dump_json(indent=1).encode())
        except OSError as problem:
            why = f"{self.path} cannot be written ({problem.strerror})"
            raise Problem(f"cluster {self.name}", why, "set XDG_STATE_HOME to a directory that you can write") from None

    # the server's life

    def acquire(self) -> bool:
        """Becomes the cluster's one server; False when it has one."""
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        until = time.monotonic() + GLANCE_S
        while not _locked(descriptor, fcntl.LOCK_EX):
            if time.monotonic() > until:
                os.close(descriptor)
                return False
            time.sleep(GLANCE_S / 100)
        self._lock = descriptor
        self.process_file.unlink(missing_ok=True)
        return True

    def release(self) -> None:
        """No longer the server."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def running(self) -> bool:
        """Whether a server holds the lock at this moment."""
        try:
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            return not _locked(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)

    def announce(self, process: Mapping[str, Any]) -> None:
        """Tells others of the server's process."""
        _replace(self.process_file, json.dumps(process).encode())

    def process(self) -> dict[str, Any]:
        """What the running server announced; empty when it has not yet, or when none runs."""
        if not self.running:
            return {}
        try:
            found = json.loads(self.process_file.read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def remove(self) -> None:
        """Deletes everything. Raises Problem when the disk does not let it."""
        try:
            shutil.rmtree(self.path)
        except FileNotFoundError:
            return
        except OSError as problem:
            why = f"{problem.filename} cannot be deleted ({problem.strerror})"
            raise Problem(f"cluster {self.name}", why, f"delete {self.path} by hand") from None


def _locked(descriptor: int, how: int) -> bool:
    """Locks a file unless somebody else has locked it."""
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _replace(path: Path, content: bytes) -> None:
    """Readers see the old content or the new one, also after a crash."""
    draft = path.with_name(path.name + ".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def find(name: str, environment: Mapping[str, str]) -> Home:
    """The directory of a cluster, whether it exists or not; an ephemeral one counts while it runs, or has a history to
    go on from."""
    kept, passing = (root / name for root in roots(environment))
    ephemeral = Home(passing)
    return ephemeral if ephemeral.running or ephemeral.beginning.exists() else Home(kept)


def every(environment: Mapping[str, str]) -> Iterator[Home]:
    """All clusters by name: those on disk, and ephemeral ones that run."""
    kept, passing = roots(environment)
    names = {path.name for root in (kept, passing) if root.is_dir() for path in root.iterdir() if path.is_dir()}
    for name in sorted(names):
        home = find(name, environment)
        if home.exists:
            yield home
