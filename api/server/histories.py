"""Other histories of a live cluster: rewound to an earlier moment, or restored from a saved one.

A history is a journal: what the cluster held when its boot began, and everything that came from outside since. To
rewind is to replay its beginning, while the cluster that is there stands still; the replay is compared with what the
log says happened, and then takes its place. Time goes on from there; what had come after is kept as a snapshot, unless
it is to be dropped.

Clients are kept right as after a restore of etcd: their watches end with 410 Gone, and resourceVersions go on above all
that were ever given out, with those of the history that was given up treated as compacted. So none of them can take an
object, a list or a position of the one history for one of the other (``Store.skip``).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from seatrial.api.problem import Problem
from seatrial.api.server.assembly import Live, adopt, equip
from seatrial.api.server.driver import Driver, wall_us
from seatrial.api.server.pki import Pki
from seatrial.api.server.state import Home, Settings
from seatrial.scenarios.kubectl.onmachine import with_kubectl
from seatrial.scenarios.noted import holds_scenario, is_under_way
from seatrial.sim.cluster import SKIP, Cluster
from seatrial.sim.entrance import Moment
from seatrial.sim.kernel.clock import micro_stamp_of
from seatrial.sim.kernel.journal import Journal, JournalError
from seatrial.sim.store.store import Store

if TYPE_CHECKING:
    from seatrial.scenarios.runner import Followed, Run

SUFFIX = ".journal"
NAME = re.compile(r"[A-Za-z0-9][-._A-Za-z0-9]{0,79}")
LEAVE_S = 0.1
"""From the answer to whoever asked for it to the change of clusters."""
EXPIRED = "too old resource version: the cluster's history was rewound"


class Pace(NamedTuple):
    """How time passes; what a cluster takes over from the one whose place it takes."""

    speed: float = 1.0
    paused: bool = False
    lockstep_us: int | None = None

    def begin(self, driver: Driver, loop: asyncio.AbstractEventLoop, offset_us: int) -> None:
        """Starts a driver at this pace."""
        if self.paused:
            # Nothing has to be caught up with.
            driver.start(loop, wall_us() - driver.target)
            driver.pause()
        else:
            driver.start(loop, offset_us)
        driver.set_speed(self.speed)
        driver.set_lockstep(self.lockstep_us)


class Successor(NamedTuple):
    """The cluster that is to take the place of the one that is served."""

    cluster: Cluster
    pace: Pace
    practice: Run | None
    """The scenario that is under way on it."""


class Histories:
    """What can be done to the history of the cluster that is served. ``leave`` ends its server, for ``successor`` to be
    served instead; ``expire`` ends all watches."""

    def __init__(
        self,
        home: Home,
        live: Live,
        driver: Driver,
        keys: Pki,
        leave: Callable[[], None],
        expire: Callable[[str], None],
    ) -> None:
        self._home, self._live, self._driver, self._keys = home, live, driver, keys
        self._leave, self._expire = leave, expire
        self._busy = False
        self.share: float | None = None
        """How much of a replay is done, while one is going on."""
        self.successor: Successor | None = None

    def journal(self) -> Journal:
        """The history up to now. Raises Problem when it was given up."""
        return self._live.history()

    async def rewind(self, moment: Moment, keep: str) -> dict[str, Any]:
        """Goes back to a moment of this boot. ``keep`` names the snapshot of what was; empty: it is dropped. Raises
        Problem; then nothing has changed."""
        return await self._change(self._live.history(), moment, keep)

    async def restore(self, name: str, keep: str) -> dict[str, Any]:
        """Goes on from a snapshot. Raises Problem; then nothing has changed."""
        journal = read(snapshot_file(self._home, name), f"snapshot {name}")
        if journal.header["ca"] != self._live.cluster.journal.header["ca"]:
            why = "it is of a cluster with other certificates"
            raise Problem(f"snapshot {name}", why, "make a cluster of its own from it: seatrial replay FILE --as NAME")
        return await self._change(journal, None, keep)

    async def _change(self, journal: Journal, moment: Moment | None, keep: str) -> dict[str, Any]:
        if self._busy:
            raise Problem(f"cluster {self._home.name}", "its history is being changed already", "try again later")
        if keep:
            check_new(self._home, keep)
        self._busy = True
        driver, pace = self._driver, Pace(self._driver.speed, self._driver.paused, self._driver.lockstep_us)
        driver.pause()
        try:
            cluster, followed = await self._replayed(journal, moment)
            old = self._live.cluster
            check_same(old.server.store if moment is not None else None, cluster, journal)
            if keep:
                save(self._live.history(), snapshot_file(self._home, keep))
        except BaseException:
            self._busy, self.share = False, None
            if not pace.paused:
                driver.resume()
            raise
        detach(cluster, old.store.revision)
        equip(cluster, self._keys)
        self.successor = Successor(cluster, pace, followed.resume() if followed is not None else None)
        asyncio.get_running_loop().call_later(LEAVE_S, self._go)
        return {
            "at": micro_stamp_of(cluster.now),
            "revision": cluster.store.revision,
            "gaveUp": {"at": micro_stamp_of(old.now), "revision": old.store.revision},
            "kept": keep,
        }

    async def _replayed(self, journal: Journal, moment: Moment | None) -> tuple[Cluster, Followed | None]:
        self.share = 0.0
        try:
            cluster = with_kubectl(Cluster.begin(journal))
            followed = followed_on(cluster, journal)
            for share in cluster.following(journal, moment):
                self.share = share
                await asyncio.sleep(0)
        except ValueError as problem:
            raise unplayable(str(problem)) from None
        return cluster, followed

    def _go(self) -> None:
        self._expire(EXPIRED)
        self._driver.enter()
        asyncio.get_running_loop().call_later(LEAVE_S, self._leave)


def followed_on(cluster: Cluster, journal: Journal) -> Followed | None:
    """Whoever follows the journal's scenario while it is replayed on a cluster, if it has one."""
    if not holds_scenario(journal):
        return None
    from seatrial.scenarios.runner import Followed

    return Followed(cluster)


def unplayable(why: str) -> Problem:
    """A history that does not come to what it should."""
    mend = "this is a defect of seatrial; please report it with the journal (seatrial journal save FILE)"
    return Problem("replay", f"the history cannot be replayed: {why}", mend)


def check_same(old: Store | None, cluster: Cluster, journal: Journal) -> None:
    """Compares a replay with the log of the cluster that lived it, or with what its journal says of its end. Raises
    Problem."""
    # As it is stored: heartbeats that were computed because somebody looks now are no part of what happened then.
    new = cluster.server.store
    if old is None:
        check_end(cluster, journal)
        return
    for revision in range(max(old.floor, new.floor) + 1, new.revision + 1):
        one, other = old.change(revision), new.change(revision)
        if one != other:
            raise unplayable(f"it differs from what happened at revision {revision}")


def check_end(cluster: Cluster, journal: Journal) -> None:
    """Compares a whole replay with what its journal says of its end. Raises Problem."""
    expected = journal.header.get("digest")
    if expected is not None and expected != cluster.digest():
        revision = f"revision {cluster.store.revision} instead of {journal.header.get('endRevision')}"
        raise unplayable(f"it came to another end than the one that was recorded ({revision})")


def detach(cluster: Cluster, above: int) -> None:
    """Makes a replayed cluster ready for clients that know another history of it, up to revision ``above``."""
    cluster.sessions.hang_up()
    if above >= cluster.store.revision:
        cluster.enter(SKIP, above + 1)
        cluster.store.skip(above + 1)


def begin_again(home: Home, settings: Settings, keys: Pki, progress: Callable[[float], None]) -> Live:
    """The cluster that goes on from the history that its directory says to begin with. Raises Problem."""
    journal = read(home.beginning, f"cluster {home.name}")
    try:
        cluster = with_kubectl(Cluster.begin(journal))
        followed = followed_on(cluster, journal)
        for share in cluster.following(journal):
            progress(share)
    except ValueError as problem:
        raise unplayable(str(problem)) from None
    check_end(cluster, journal)
    detach(cluster, int(journal.header.get("above") or 0))
    equip(cluster, keys)
    live = adopt(home, settings, cluster, followed.resume() if followed is not None else None)
    home.beginning.unlink()
    return live


def put_away(home: Home, live: Live) -> None:
    """Keeps an ephemeral cluster on which somebody practises as the history that its next start goes on from. Raises
    Problem."""
    journal = live.cluster.journal
    if live.durable is None and journal.is_whole and is_under_way(journal):
        save(live.history(), home.beginning)


# files


def snapshot_file(home: Home, name: str) -> Path:
    """Where a snapshot is, or would be. Raises Problem for a name that cannot be one."""
    if not NAME.fullmatch(name):
        why = "a name has letters, digits, '-', '.' and '_', and begins with a letter or digit"
        raise Problem(f"snapshot {name!r}", why, "for example: before-the-upgrade")
    return home.snapshots / f"{name}{SUFFIX}"


def check_new(home: Home, name: str) -> None:
    """Raises Problem when there is a snapshot of the name."""
    if snapshot_file(home, name).exists():
        mend = f"choose another name, or first: seatrial snapshot delete {name}"
        raise Problem(f"snapshot {name}", "there is one of that name already", mend)


def free_name(home: Home, stem: str) -> str:
    """A name that no snapshot has."""
    number = 1
    while snapshot_file(home, f"{stem}-{number}").exists():
        number += 1
    return f"{stem}-{number}"


def save(journal: Journal, path: Path) -> None:
    """Writes a journal in one step. Raises Problem."""
    draft = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with draft.open("wb") as file:
            file.writelines(journal.lines())
        draft.chmod(0o600)
        draft.replace(path)
    except OSError as problem:
        raise Problem(str(path), f"it cannot be written ({problem.strerror})", "choose another place") from None


def read(path: Path, what: str = "") -> Journal:
    """A journal that this Seatrial can replay. Raises Problem."""
    what = what or str(path)
    try:
        raw = path.read_bytes()
    except OSError as problem:
        mend = "seatrial journal save FILE writes one; seatrial snapshot list shows a cluster's"
        raise Problem(what, f"{path} cannot be read ({problem.strerror})", mend) from None
    return loaded(raw, what)


def loaded(raw: bytes, what: str) -> Journal:
    """A journal that this Seatrial can replay, from a file's content. Raises Problem."""
    try:
        journal = Journal.load(raw)
        writer, reader = journal.header.get("seatrial"), version("seatrial")
        if writer not in (None, reader):
            why = f"it was written by Seatrial {writer}; this is {reader}, in which the same may lead to something else"
            raise Problem(what, why, f"use Seatrial {writer}, or record it anew")
        missing = [key for key in ("spec", "seed", "boot", "now", "ca") if key not in journal.header]
        if missing:
            raise JournalError(1, f"the header has no {missing[0]!r}")
    except JournalError as problem:
        raise Problem(what, str(problem), "give a file that seatrial journal save has written") from None
    return journal
