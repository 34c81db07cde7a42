"""What a live cluster is made of: the simulation, its objects on disk, and the way from a socket to its API server."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.api.problem import Problem
from seatrial.api.server import kept
from seatrial.api.server.driver import wall_us
from seatrial.api.server.pki import Pki, sign
from seatrial.api.server.state import Home, Settings
from seatrial.scenarios.kubectl.onmachine import with_kubectl
from seatrial.sim.apiserver.replay import leaves_no_trace
from seatrial.sim.apiserver.request import Request, Response
from seatrial.sim.cluster import Cluster
from seatrial.sim.kernel.clock import Clock, micro_stamp_of
from seatrial.sim.kernel.journal import FULL, Journal
from seatrial.sim.store.sqlite import Damaged, Durable
from seatrial.sim.store.store import Store

if TYPE_CHECKING:
    from seatrial.scenarios.runner import Run

log = logging.getLogger("seatrial")

NOW, OFFSET = "now_us", "offset_us"
"""The facts that the database keeps of time."""
JOURNAL_ENTRIES_MAX = 100_000
"""Entries of one boot that are kept for a replay: some 200 MB of pods."""
Steps = Generator[Any, Any, Response]


@dataclass(frozen=True, slots=True)
class Live:
    """A cluster, ready to be pumped and served."""

    cluster: Cluster
    durable: Durable | None
    offset_us: int
    """How far the simulated calendar is behind the wall clock at the beginning of this boot."""
    practice: Run | None = None
    """The scenario that was under way in the history that the cluster goes on from."""

    def serve(self, request: Request) -> Steps:
        """The way of a request that has arrived at the API server's machine."""
        return self.cluster.endpoint.serve(request, self.cluster.wiring)

    def submit(self, request: Request, back: Callable[[Response | None], object]) -> bool:
        """Lets a request in that belongs to the history; False for one that leaves no trace, which ``serve`` is for."""
        if leaves_no_trace(self.cluster.endpoint, request):
            return False
        self.cluster.submit(request, back)
        return True

    def carry_on(self, waiting: Any, steps: Steps, back: Callable[[Response | None], None]) -> None:
        """Goes on with a request that waits, as a process on the simulation's clock."""
        self.cluster.clock.spawn(_carried(waiting, steps, back), "request")

    def history(self) -> Journal:
        """The journal up to this moment, to be saved or replayed: its header says who wrote it and what a replay has to
        come to. Raises Problem when it was given up."""
        cluster = self.cluster
        journal, now = cluster.journal, cluster.now
        if not journal.is_whole:
            why = f"the journal of this boot was given up at {micro_stamp_of(journal.header[FULL])}, because it had "
            why += f"grown to {JOURNAL_ENTRIES_MAX} entries"
            raise Problem("journal", why, "begin a new one by stopping and starting the cluster: seatrial reload")
        end = {"end": now, "endRevision": cluster.store.revision, "digest": cluster.digest()}
        return journal.until(now, {"seatrial": version("seatrial"), **end})

    def dirty(self) -> bool:
        """Whether something committed is not durable yet."""
        return self.durable is not None and self.durable.dirty

    def flush(self) -> None:
        """Makes durable what is committed."""
        if self.durable is not None and self.durable.dirty:
            self.durable.set_fact(NOW, str(self.cluster.now))
            self.durable.flush()

    def keep(self) -> None:
        """Writes down the faults and loads there are, for the next boot."""
        if self.durable is not None:
            kept.keep(self.cluster, self.durable)

    def facts(self) -> Mapping[str, Any]:
        """What ``status`` shows of it."""
        store = self.cluster.server.store
        return {"revision": store.revision, "objects": sum(store.count(storage) for storage in store.storages())}

    def close(self, offset_us: int) -> None:
        """Puts everything away, for the next boot to go on from."""
        self.keep()
        if self.durable is not None:
            self.cluster.server.standing.look()
            self.durable.set_fact(NOW, str(self.cluster.now))
            self.durable.set_fact(OFFSET, str(offset_us))
            self.durable.close()


def _carried(waiting: Any, steps: Steps, back: Callable[[Response | None], None]) -> Generator[Any, Any, None]:
    response: Response | None = None
    try:
        while True:
            try:
                value = yield waiting
            except Exception as problem:
                waiting = steps.throw(problem)
            else:
                waiting = steps.send(value)
    except StopIteration as done:
        response = done.value
    except Exception:
        log.exception("a request that had waited")
    back(response)


def assemble(home: Home, settings: Settings, keys: Pki) -> Live:
    """Builds a cluster and puts back what it held when it last ran. Raises Problem for objects that cannot be read."""
    durable = None if settings.ephemeral else open_database(home, settings)
    wall = wall_us()
    now = wall if durable is None else begin_us(durable, wall)
    authority = keys.authority.certificate.decode()
    try:
        cluster = Cluster(
            settings.spec, settings.seed, boot=settings.boots - 1, now=now, state=durable, ca_certificate=authority
        )
    except Damaged as damaged:
        raise damaged_database(home, damaged) from None
    except ValueError as impossible:
        mend = f"give it another size: seatrial destroy {home.name}, then seatrial up {home.name} --nodes N"
        raise Problem(f"cluster {home.name}", str(impossible), mend) from None
    equip(with_kubectl(cluster), keys)
    if durable is not None:
        kept.restore(cluster, durable)
    return Live(cluster, durable, wall - now)


def equip(cluster: Cluster, keys: Pki) -> None:
    """Gives a cluster what it needs of the world to be live."""
    cluster.signatures.connect(partial(sign, keys.authority))
    cluster.journal.entries_max = JOURNAL_ENTRIES_MAX


def adopt(home: Home, settings: Settings, cluster: Cluster, practice: Run | None) -> Live:
    """Goes on with a cluster that was replayed: what it holds takes the place of what is on disk, in one step. Raises
    Problem when the disk does not let it; nothing has changed there then."""
    if settings.ephemeral:
        return Live(cluster, None, wall_us() - cluster.now, practice)
    draft = home.database.with_name(home.database.name + ".new")
    try:
        for path in beside(draft):
            path.unlink(missing_ok=True)
        copy = Durable(draft, settings.fsync)
        copy.copy(cluster.store)
        copy.set_fact(NOW, str(cluster.now))
        copy.set_fact(OFFSET, str(wall_us() - cluster.now))
        copy.close()
        for path in beside(home.database)[1:]:
            path.unlink(missing_ok=True)
        draft.replace(home.database)
    except (OSError, sqlite3.Error) as problem:
        why = f"what it is to go on from cannot be written ({problem})"
        raise Problem(
            f"cluster {home.name}", why, "make room on the disk; what was there before is untouched"
        ) from None
    durable = open_database(home, settings)
    durable.follow(cluster.store)
    cluster.state = durable
    live = Live(cluster, durable, wall_us() - cluster.now, practice)
    live.keep()
    return live


def kept_journal(home: Home, settings: Settings) -> Journal:
    """The history that a halted cluster would begin at its next start: what it holds. Raises Problem."""
    durable = open_database(home, settings)
    try:
        now = int(durable.fact(NOW) or settings.spec.epoch_us) + 1
        store = Store(Clock(now))
        durable.load(store)
    except Damaged as damaged:
        raise damaged_database(home, damaged) from None
    finally:
        durable.close()
    spec = settings.spec.model_dump(mode="json")
    authority = (home.pki / "ca.crt").read_text()
    header = {"seed": settings.seed, "boot": settings.boots, "now": now, "spec": spec, "ca": authority}
    objects = [(name, obj) for name in store.storages() for obj in store.list(name)]
    return Journal({**header, "revision": store.revision, "seatrial": version("seatrial")}, kept=objects)


def beside(database: Path) -> list[Path]:
    """A database's file and those that SQLite keeps next to it."""
    return [database, *(database.with_name(database.name + end) for end in ("-wal", "-shm"))]


def open_database(home: Home, settings: Settings) -> Durable:
    """The cluster's objects on disk. Raises Problem."""
    try:
        return Durable(home.database, settings.fsync)
    except Damaged as damaged:
        raise damaged_database(home, damaged) from None
    except (OSError, sqlite3.Error) as problem:
        raise damaged_database(home, problem) from None


def damaged_database(home: Home, problem: Exception) -> Problem:
    """What is said of a database that cannot be used."""
    reason = problem.reason if isinstance(problem, Damaged) else str(problem)
    mend = f"restore {home.database} from a backup, or give the cluster up: seatrial destroy {home.name}"
    return Problem(f"cluster {home.name}", f"its state directory is damaged: {home.database}: {reason}", mend)


def begin_us(durable: Durable, wall: int) -> int:
    """Where the simulated calendar goes on: at the wall clock less the last offset, and never before its own past."""
    offset, last = durable.fact(OFFSET), durable.fact(NOW)
    return max(wall - int(offset or 0), int(last or 0) + 1)
