"""Moments of a cluster's history as people name them: how long ago, at which revision, at what time of its calendar."""

from __future__ import annotations

from seatrial.sim.cluster import Cluster
from seatrial.sim.entrance import Moment
from seatrial.sim.kernel.clock import parse_stamp, stamp_of
from seatrial.sim.store.store import Store
from seatrial.sim.written import duration_us

FORMS = "how long ago (90s, 5m, 1h30m), a revision (1234), a time of the cluster (2026-01-01T10:00:00Z), start or now"


def moment_of(text: str, cluster: Cluster) -> Moment:
    """The moment that a text names. Raises ValueError with a sentence for the user."""
    now, began, store = cluster.now, int(cluster.journal.header["now"]), cluster.store
    text = text.strip().removesuffix(" ago")
    if text == "now":
        return Moment(now)
    if text == "start":
        return Moment(began)
    if text.isdigit():
        return _of_revision(int(text), store)
    at = _time(text, now)
    if at > now:
        raise ValueError(f"{text} is still to come: it is {stamp_of(now)}")
    if at < began:
        raise ValueError(f"{text} is before this boot, which began at {stamp_of(began)}")
    return Moment(at)


def _of_revision(revision: int, store: Store) -> Moment:
    change = store.change(revision)
    if change is None:
        known = f"from {store.floor + 1} to {store.revision}"
        raise ValueError(f"revision {revision} is not in the log, which has those {known}")
    return Moment(change.at_us, revision)


def _time(text: str, now: int) -> int:
    try:
        return now - duration_us(text)
    except ValueError:
        pass
    try:
        return parse_stamp(text)
    except ValueError:
        raise ValueError(f"{text!r} is no moment; give {FORMS}") from None


def revision_at(cluster: Cluster, moment: Moment) -> int:
    """The last revision up to a moment. Raises ValueError when the log no longer reaches back so far."""
    store = cluster.store
    if moment.revision is not None:
        return moment.revision
    for revision in range(store.revision, store.floor, -1):
        change = store.change(revision)
        if change is not None and change.at_us <= moment.at_us:
            return revision
    oldest = store.change(store.floor + 1)
    if oldest is not None and store.floor > int(cluster.journal.header.get("revision", 1)):
        raise ValueError(f"the log begins at {stamp_of(oldest.at_us)} only, since what was before is compacted")
    return store.floor
