"""Writes that repeat themselves and say nothing new: not executed, but computed when somebody looks.

A healthy kubelet renews its lease every ten seconds and reports its status every five minutes; whoever leads renews its
lease every two seconds. Such a writer *rests*: it hands over a ``Beat``, which says what the object would be at any
moment, and goes on only when it is woken. A read makes the object what it would be. A writer is woken by whatever could
make its next write go otherwise or be missed: a watch on the kind (except those of built-in components, which pay
no heed to heartbeats), somebody else's write, a change on its way to the API server, a fault in the server. The history
is the same as if every write had been made, up to the numbering of revisions.

*Not modelled*: what is on its way to the server at the moment of a disturbance (a millisecond in ten seconds) is sent
then; changes between the list and the watch of an outside client are one change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from seatrial.sim.apiserver.request import Object, Request
from seatrial.sim.apiserver.routing import RequestInfo
from seatrial.sim.kernel.clock import Process, Timer, micro_stamp_of, stamp_of
from seatrial.sim.kernel.topology import Topology
from seatrial.sim.machinery.kinds import Resource
from seatrial.sim.machinery.managers import in_order

if TYPE_CHECKING:
    from seatrial.sim.apiserver.server import Apiserver
    from seatrial.sim.apiserver.wiring import Wiring

Place = tuple[str, str]
Write = Callable[[Object, int, int], Object]
"""From the stored object, and when the write was sent and arrived, to what it makes of it."""
RBAC = "rbac.authorization.k8s.io"
ADMISSION = "admissionregistration.k8s.io"
READS = ("get", "list", "watch")
LOOK, FOLLOW = "look", "follow"
"""The journal's entries of readers inside this process: one looked, one more or less follows (a kind, ±1)."""


class Pace(NamedTuple):
    """When writes were and will be made: the last one was sent at ``sent_us``, the next ``period_us`` later."""

    sent_us: int
    period_us: int
    way_us: int
    """How long a write takes to the server."""
    answered_us: int
    """How long until the answer is back."""


class Beat:
    """One object that is written again and again by one component.

    A process that yields it rests until it is woken; ``stored`` and ``pace`` are then those of the last write.
    """

    def __init__(
        self,
        wiring: Wiring,
        host: str,
        resource: Resource,
        stored: Object,
        pace: Pace,
        write: Write,
        heeds_writes: bool,
    ) -> None:
        self.host, self.resource, self.stored, self.pace = host, resource, stored, pace
        metadata = stored["metadata"]
        self.place: Place = (metadata.get("namespace", ""), metadata["name"])
        self.heeds_writes = heeds_writes
        """Whether any write of somebody else concerns the writer, or only one of the status or a deletion."""
        self._write = write
        self._standing = wiring.endpoint.server.standing
        self._clock = wiring.clock
        self._process: Process | None = None
        self._timer: Timer | None = None

    def arm(self, process: Process) -> None:
        """The process rests from now on."""
        self._process = process
        self._standing.park(self)

    def disarm(self) -> None:
        """The process was killed: it was the last write that was."""
        self._process = None
        if self._timer is not None:
            self._timer.cancel()
        self._standing.leave(self)

    def wake(self) -> None:
        """The process goes on at this instant, after what is already due."""
        process, self._process = self._process, None
        if process is not None:
            self._timer = self._clock.at(self._clock.now, process.wake)

    def answered_us(self) -> int:
        """When the last write was answered."""
        return self.pace.sent_us + self.pace.answered_us

    def left_us(self) -> int:
        """How long until the next write, which is sent at once when its time has passed."""
        return max(self.pace.sent_us + self.pace.period_us - self._standing.now, 0)

    def count(self, now: int) -> int:
        """How many writes have arrived since the last one."""
        pace = self.pace
        return (now - pace.way_us - pace.sent_us) // pace.period_us

    def latest(self, stored: Object, now: int) -> tuple[int, int, Object] | None:
        """When the newest write that has arrived by now was sent and arrived, and the object after it."""
        pace = self.pace
        count = self.count(now)
        if count <= 0:
            return None
        sent = pace.sent_us + count * pace.period_us
        return sent, sent + pace.way_us, self._write(stored, sent, sent + pace.way_us)


class Reachable(Protocol):
    """What beats need to know of the way to the server (client.Endpoint)."""

    host: str

    @property
    def quiet(self) -> bool:
        """Whether the server runs and no fault looks at its requests."""

    def on_change(self, call: Callable[[], None]) -> Callable[[], None]: ...


class Standing:
    """All beats of a cluster."""

    def __init__(self, server: Apiserver) -> None:
        self.lazy = True
        """Off: every write is made."""
        self._server, self._clock = server, server.clock
        self.computing = False
        """Whether the write that is being made is one of the past, which watches at rest have brought long since."""
        self.parked: dict[str, dict[Place, Beat]] = {}
        """By kind in the store."""
        self.written: dict[tuple[str, Place], tuple[str, int]] = {}
        """The resourceVersion of what was computed last, and when it would have been written."""
        self.enter: Callable[[str, Any], None] = _unheard
        """Writes down what readers do on which the numbering of revisions depends and no request tells of."""
        self._watched: dict[str, int] = {}
        self._replaying = False
        self._endpoint: Reachable | None = None
        self._topology: Topology | None = None
        self._woken: dict[Callable[[Beat], None], None] = {}
        server.store.on_watch = self._watch

    def attach(self, endpoint: Reachable, topology: Topology) -> None:
        """The way on which the writes come."""
        self._endpoint, self._topology = endpoint, topology
        endpoint.on_change(self._moved)

    def on_leave(self, call: Callable[[Beat], None]) -> Callable[[], None]:
        """Calls whenever a writer does not rest any more, its last write computed; returns what ends that."""
        self._woken[call] = None
        return lambda: self._woken.pop(call, None)

    @property
    def now(self) -> int:
        return self._clock.now

    # writers

    def pace(self, host: str, storage: str, sent_us: int, period_us: int) -> Pace | None:
        """The pace of a writer that was answered just now; None when it has to go on itself.

        ``period_us`` is from an answer to the next write.
        """
        if not self.lazy or storage in self._watched or not self._calm():
            return None
        way = self._way(host)
        if way is None or self._clock.now - sent_us != way[0] + way[1]:
            return None
        return Pace(sent_us, period_us + way[0] + way[1], way[0], way[0] + way[1])

    def _calm(self) -> bool:
        endpoint = self._endpoint
        return endpoint is not None and endpoint.quiet

    def _way(self, host: str) -> tuple[int, int] | None:
        """The latencies there and back of a way on which nothing is lost."""
        assert self._endpoint is not None and self._topology is not None
        there = self._topology.way(host, self._endpoint.host)
        back = self._topology.way(self._endpoint.host, host)
        if there is None or back is None or there.passes < 1.0 or back.passes < 1.0:
            return None
        return there.latency_us, back.latency_us

    def park(self, beat: Beat) -> None:
        self.parked.setdefault(beat.resource.storage, {})[beat.place] = beat

    def leave(self, beat: Beat) -> None:
        """The writer goes on itself, or ends."""
        storage = beat.resource.storage
        if self.parked.get(storage, {}).get(beat.place) is beat:
            self._compute(beat)
            del self.parked[storage][beat.place]
            if not self.parked[storage]:
                del self.parked[storage]
            for call in list(self._woken):
                call(beat)

    def is_parked(self, storage: str, namespace: str, name: str) -> bool:
        """Whether the object's writer rests, so that the object is as fresh as can be whatever a view shows."""
        return (namespace, name) in self.parked.get(storage, ())

    def written_us(self, storage: str, obj: Object) -> int | None:
        """When a version that was computed would have been written; None of one that was written when it was."""
        metadata = obj["metadata"]
        known = self.written.get((storage, (metadata.get("namespace", ""), metadata["name"])))
        return known[1] if known is not None and known[0] == metadata["resourceVersion"] else None

    # whoever looks

    def look(self, storage: str = "", namespace: str = "", name: str = "") -> bool:
        """Makes objects, by default all, what they would be by now; returns whether there was anything to do."""
        due = [(beat, found) for beat in self._chosen(storage, namespace, name) if (found := self._due(beat))]
        due.sort(key=lambda each: each[1][1])
        for beat, found in due:
            self._store(beat, found)
        return bool(due)

    def wake(self, storage: str = "", namespace: str = "", name: str = "") -> bool:
        """Lets writers, by default all, go on themselves; returns whether there were any."""
        chosen = self._chosen(storage, namespace, name)
        self.look(storage, namespace, name)
        for beat in chosen:
            self._wake(beat)
        return bool(chosen)

    def is_due(self, storage: str = "", namespace: str = "", name: str = "") -> bool:
        """Whether ``look`` would do anything."""
        now = self._clock.now
        return any(beat.count(now) > 0 for beat in self._chosen(storage, namespace, name))

    def leaves_trace(self, info: RequestInfo, resource: Resource, watch: bool) -> bool:
        """Whether a read makes something be written, or writers go on themselves."""
        storage = resource.storage
        return storage in self.parked and (watch or self.is_due(storage, info.namespace, info.name))

    def asked(self, request: Request, info: RequestInfo, resource: Resource) -> None:
        """A request for a kind of which some are parked, before it is answered."""
        if request.heedless:
            return
        storage, namespace, name = resource.storage, info.namespace, info.name
        parked = self.parked[storage]
        some = next(iter(parked.values()))
        if info.verb in READS:
            self.look(storage, namespace, name)
        elif some.heeds_writes or info.verb in ("delete", "deletecollection") or info.subresource == "status":
            self.wake(storage, namespace, name)
        else:
            self.look(storage, namespace, name)

    def changed(self, resource: Resource) -> None:
        """A write to a kind that decides how requests are judged."""
        if self.parked and resource.group in (RBAC, ADMISSION):
            self.wake()

    def _watch(self, storage: str) -> Callable[[], None]:
        """Somebody reads the store's own log as it grows."""
        if self._replaying:
            return _nothing  # the journal tells of it
        self.enter(FOLLOW, [storage, 1])
        return self.watched(storage)

    def watched(self, storage: str) -> Callable[[], None]:
        """Somebody follows a kind change by change: its writers go on themselves until the returned call."""
        self.follow(storage, 1)
        ended = self._replaying  # the journal tells of the end

        def end() -> None:
            nonlocal ended
            if not ended:
                ended = True
                self.enter(FOLLOW, [storage, -1])
                self.follow(storage, -1)

        return end

    def follow(self, storage: str, more: int) -> None:
        """One more, or one less, follows a kind."""
        left = max(self._watched.get(storage, 0) + more, 0)
        self._watched[storage] = left
        if not left:
            del self._watched[storage]
        elif more > 0:
            self.wake(storage)

    @contextmanager
    def replaying(self) -> Iterator[None]:
        """What outside readers do comes from the journal meanwhile."""
        self._replaying = True
        try:
            yield
        finally:
            self._replaying = False
            self._watched.clear()

    # beats

    def _chosen(self, storage: str, namespace: str, name: str) -> list[Beat]:
        if not storage:
            return [beat for parked in self.parked.values() for beat in parked.values()]
        parked = self.parked.get(storage)
        if not parked:
            return []
        if name:
            beat = parked.get((namespace, name))
            return [] if beat is None else [beat]
        return [beat for beat in parked.values() if not namespace or beat.place[0] == namespace]

    def _wake(self, beat: Beat) -> None:
        self.leave(beat)
        beat.wake()

    def _compute(self, beat: Beat) -> None:
        found = self._due(beat)
        if found is not None:
            self._store(beat, found)

    def _due(self, beat: Beat) -> tuple[int, int, Object] | None:
        stored = self._server.store.get(beat.resource.storage, *beat.place)
        return None if stored is None else beat.latest(stored, self._clock.now)

    def _store(self, beat: Beat, found: tuple[int, int, Object]) -> None:
        sent, arrived, obj = found
        storage = beat.resource.storage
        cause = (f"{beat.host}/beat", beat.place, None)
        self.computing = True
        try:
            stored = self._server.commit(beat.resource, lambda store: store.update(storage, obj, cause=cause))
        finally:
            self.computing = False
        beat.pace, beat.stored = beat.pace._replace(sent_us=sent), stored
        self.written[storage, beat.place] = (stored["metadata"]["resourceVersion"], arrived)

    def _moved(self) -> None:
        """The network, the server or what faults do to it changed."""
        calm = self._calm()
        ways: dict[str, tuple[int, int] | None] = {}
        for parked in list(self.parked.values()):
            for beat in list(parked.values()):
                if calm and beat.host not in ways:
                    ways[beat.host] = self._way(beat.host)
                way = ways.get(beat.host)
                pace = beat.pace
                if way is None or way != (pace.way_us, pace.answered_us - pace.way_us):
                    self._wake(beat)


class Freshness:
    """What a component on ``host`` may know of writers that rest: what it would see if they did not."""

    def __init__(self, standing: Standing, topology: Topology, server: str, host: str) -> None:
        self._standing, self._topology, self._server, self._host = standing, topology, server, host
        self.is_parked = standing.is_parked

    def seen_us(self, storage: str, obj: Object) -> int | None:
        """When a version that was computed late would have come; None of one that came when it was written."""
        written = self._standing.written_us(storage, obj)
        return None if written is None else written + (self._topology.latency(self._server, self._host) or 0)


def _nothing() -> None:
    return None


def _unheard(kind: str, value: Any) -> None:
    return None


def renewed(manager: str) -> Write:
    """What a renewal makes of a Lease."""

    def write(lease: Object, sent_us: int, arrived_us: int) -> Object:
        spec = {**lease["spec"], "renewTime": micro_stamp_of(sent_us)}
        return {**lease, "spec": spec, "metadata": retimed(lease["metadata"], manager, "", arrived_us)}

    return write


def retimed(metadata: Object, manager: str, subresource: str, at_us: int) -> Object:
    """Metadata after the same write by the same manager as before."""
    stamp = stamp_of(at_us)
    entries = [
        {**entry, "time": stamp}
        if entry.get("manager") == manager
        and entry.get("operation") == "Update"
        and entry.get("subresource", "") == subresource
        else entry
        for entry in metadata.get("managedFields") or ()
    ]
    return {**metadata, "managedFields": in_order(entries)}
