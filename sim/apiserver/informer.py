"""Informers: a view kept current by a list and a watch, as client-go's Reflector does it.

Deliveries take the link's time, in order; what is committed in one instant arrives together. While the link is cut they
wait, and so does the view; when HTTP/2's pings would have noticed, the watch is broken and begun anew. While nothing
disturbs the way to the server, a watch's ends and bookmarks are not executed: when something is delivered, it is
computed whether that falls between two watches (``Life``).
Source: k8s.io/client-go/tools/cache/{reflector,shared_informer}.go.

Not modelled: streaming lists (the WatchListClient feature) and resyncs; a list is one request, whose objects are the
same.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, Final

from seatrial.sim.apiserver.client import (
    PING_TIMEOUT_US,
    RETRANSMIT_US,
    Client,
    Unreachable,
    error_of,
    prefix_of,
    selectors_query,
)
from seatrial.sim.apiserver.request import Object, Request
from seatrial.sim.apiserver.watching import Frame, WatchStream
from seatrial.sim.apiserver.wiring import Wiring
from seatrial.sim.kernel.clock import Clock, Signal, Timer
from seatrial.sim.kernel.streams import Seldom
from seatrial.sim.kernel.topology import Way
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.machinery.kinds import Resource
from seatrial.sim.store.view import KeysOf, View

Steps = Generator[Any, Any, Any]
Handler = Callable[[str, Object | None, Object | None], None]
"""(ADDED | MODIFIED | DELETED, new, old): no old of an addition, no new of a deletion."""

WATCH_TIMEOUT_MIN_S: Final = 300
"""minWatchTimeout of the reflector; each watch lasts between that and twice as long."""
READ_MAX: Final = 10_000


class Backoff:
    """The reflector's: exponential with jitter, forgotten after a while (wait.NewExponentialBackoffManager)."""

    BASE_US: Final = 800_000
    MAX_US: Final = 30_000_000
    RESET_US: Final = 120_000_000

    def __init__(self, clock: Clock, rng: Seldom) -> None:
        self._clock, self._rng = clock, rng
        self._next_us = self.BASE_US
        self._last = clock.now

    def next(self) -> int:
        """µs to wait before the next attempt."""
        now = self._clock.now
        if now - self._last > self.RESET_US:
            self._next_us = self.BASE_US
        self._last = now
        wait = self._next_us
        self._next_us = min(wait * 2, self.MAX_US)
        return wait + int(wait * self._rng.random())


class Life:
    """The watches of an informer one after the other, as they would have been while nothing disturbed them."""

    def __init__(self, began_us: int, timeout_us: int, draw: Callable[[], int], there_us: int, back_us: int) -> None:
        self._draw, self._there, self._back = draw, there_us, back_us
        self.began_us, self.ends_us = began_us, began_us + timeout_us
        self._again = False

    def at(self, now: int) -> int:
        """When what is written now is sent: at once, or with the answer to the next watch."""
        while self.ends_us <= now:
            self.began_us = self.ends_us + self._back + self._there
            self.ends_us = self.began_us + self._draw()
            self._again = True
        opened = self.began_us + self._back
        return opened if self._again and now < opened else now

    def goes(self, there: Way | None, back: Way | None) -> bool:
        """Whether the ways are what they were."""
        return there == Way(self._there, 1.0) and back == Way(self._back, 1.0)


class Connection:
    """One watch on its way over the network: what the server writes, and when it arrives.

    ``ended`` fires once: with the ERROR frame's status, or None when the stream was closed or the connection lost.
    """

    def __init__(
        self,
        wiring: Wiring,
        host: str,
        stream: WatchStream,
        deliver: Callable[[list[Frame]], None],
        lag: Callable[[], int] = lambda: 0,
        deaf: Callable[[], bool] = lambda: False,
        draw: Callable[[], int] | None = None,
    ) -> None:
        self._lag, self._deaf = lag, deaf
        self._clock, self._topology = wiring.clock, wiring.topology
        self._near, self._far = host, wiring.endpoint.host
        self._endpoint = wiring.endpoint
        self._stream = stream
        self._deliver = deliver
        self._held: list[Frame] = []
        self._broken_at: int | None = None
        self._arriving: dict[Timer, None] = {}
        self._last_arrival = 0
        self._pings: Timer | None = None
        self.position = 0
        """The revision that a watch at rest had reached when it was disturbed or ended."""
        self._draw = draw
        self._life = self._at_rest()
        self.ended = Signal(wiring.clock)
        self.end: tuple[Mapping[str, Any] | None] | None = None
        self._forget = self._endpoint.on_change(self._moved)
        self._moved()
        if self.end is None:
            stream.on_ready(self._ready)

    @property
    def behind(self) -> bool:
        """Whether something is written that has not arrived."""
        return bool(self._held or self._arriving)

    @property
    def _has_heard(self) -> bool:
        """Whether what was written some time ago has arrived."""
        return not self.behind and self._broken_at is None and not self._deaf()

    def _ready(self) -> None:
        # Not at once: what else is committed in this instant goes along.
        if self.end is not None:
            return
        now = self._clock.now
        if self._endpoint.server.standing.computing and self._has_heard:
            self._deliver(self._stream.read(READ_MAX))
            self._stream.on_ready(self._ready)
        else:
            self._clock.at(now if self._life is None else self._life.at(now), self._collect)

    def _at_rest(self) -> Life | None:
        """The further life of a stream whose end nobody has to execute."""
        stream = self._stream
        if self._draw is None or stream.life is None or not stream.at_rest:
            return None
        began, timeout, _ = stream.life
        there, back = self._topology.way(self._near, self._far), self._topology.way(self._far, self._near)
        if self._endpoint.quiet and there is not None and back is not None and there.passes == back.passes == 1.0:
            return Life(began, timeout, self._draw, there.latency_us, back.latency_us)
        stream.stir(self._clock, began + timeout)
        return None

    def _stir(self) -> None:
        """Something disturbs the watch: from now on it has an end and bookmarks."""
        life, self._life = self._life, None
        if life is not None:
            life.at(self._clock.now)
            if not self.behind:
                self.position = self._stream.position
            self._stream.stir(self._clock, life.ends_us, life.began_us)

    def _collect(self) -> None:
        if self.end is not None:
            return
        frames = self._stream.read(READ_MAX)
        if frames or self._stream.closed:
            self._held += frames
            self._send()
        if not self._stream.closed:
            self._stream.on_ready(self._ready)

    def _send(self) -> None:
        latency = self._topology.latency(self._far, self._near)
        if latency is None or self._deaf():
            return
        frames, self._held = self._held, []
        lag = self._lag()
        when = max(self._clock.now + self._retransmission() + latency + lag, self._last_arrival)
        if lag:
            self._endpoint.late_until = max(self._endpoint.late_until, when)
        self._last_arrival = when
        last = self._stream.closed
        timer = self._clock.at(when, lambda: self._arrive(timer, frames, last))
        self._arriving[timer] = None

    def resume(self) -> None:
        """What was held back because nobody listened is sent."""
        if self.end is None and (self._held or self._stream.closed):
            self._send()

    def _retransmission(self) -> int:
        """How long after the link was mended TCP tries again; 0 when it was not broken."""
        if self._broken_at is None:
            return 0
        out, wait = self._clock.now - self._broken_at, RETRANSMIT_US
        while wait <= out:
            wait *= 2
        return wait - out

    def _arrive(self, timer: Timer, frames: list[Frame], last: bool) -> None:
        del self._arriving[timer]
        if frames:
            self._deliver(frames)
        if frames and frames[-1].type == "ERROR":
            self.close(frames[-1].object)
        elif last and not self.behind:
            self.close()

    def _moved(self) -> None:
        """The network or the server changed."""
        if self.end is not None:
            return
        if self._life is not None and not self._same_way():
            self._stir()
        whole = (
            self._topology.latency(self._near, self._far) is not None
            and self._topology.latency(self._far, self._near) is not None
        )
        if whole and not self._endpoint.up:
            self.close()
        elif not whole and self._pings is None:
            self._broken_at = self._clock.now
            self._pings = self._clock.after(PING_TIMEOUT_US, self.close)
        elif whole and self._pings is not None:
            self._pings.cancel()
            self._pings = None
            self.resume()
            self._broken_at = None

    def _same_way(self) -> bool:
        there, back = self._topology.way(self._near, self._far), self._topology.way(self._far, self._near)
        return self._endpoint.quiet and self._life is not None and self._life.goes(there, back)

    def close(self, error: Mapping[str, Any] | None = None) -> None:
        """Ends it; what is still on its way is lost. May be called more than once."""
        if self.end is not None:
            return
        self.end = (error,)
        if self._life is not None:
            self._life.at(self._clock.now)
            if not self.behind:
                self.position = self._stream.position
        self._forget()
        if self._pings is not None:
            self._pings.cancel()
        for timer in self._arriving:
            timer.cancel()
        self._arriving.clear()
        self._held.clear()
        self._stream.close()
        self.ended.fire()


class Informer:
    """One component's view of one kind, or of the part that the selectors choose.

    Spawn ``run``; killing that process ends the watch. The view is advanced by deliveries alone.
    """

    def __init__(
        self,
        wiring: Wiring,
        client: Client,
        resource: Resource,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        indexers: Mapping[str, KeysOf] | None = None,
        heedless: bool = False,
    ) -> None:
        """``heedless``: heartbeats of nodes and renewals of leases need not be seen when they are made."""
        self._wiring = wiring
        self._heedless = heedless
        self._client = client
        self._clock = wiring.clock
        self.resource = resource
        self._path = prefix_of(resource).path(namespace)
        self._query = selectors_query(label_selector, field_selector)
        self.view = View(indexers)
        self.synced = False
        """Whether the first list has arrived."""
        self.changed = Signal(wiring.clock)
        """Fires after every batch of deliveries."""
        self.problem = ""
        """Why the last attempt to list or watch failed, as the reflector would log it."""
        self._handlers: list[Handler] = []
        self._connection: Connection | None = None
        self._unavailable = False

    def __repr__(self) -> str:
        return f"Informer({self.resource.storage}, {self._client.user_agent})"

    @property
    def host(self) -> str:
        """The machine on which the component runs."""
        return self._client.host

    def disconnect(self) -> None:
        """The watch's connection breaks; what is on its way is lost."""
        if self._connection is not None:
            self._connection.close()

    def resume(self) -> None:
        """What the watch held back is sent."""
        if self._connection is not None:
            self._connection.resume()

    def on_change(self, handler: Handler) -> None:
        """Calls with every change of the view, after it; also with what a list finds."""
        self._handlers.append(handler)

    def busy(self) -> str:
        """What the view still waits for; empty when it is as current as it can be."""
        if not self.synced:
            return f"first list of {self.resource.storage} {self.problem}".rstrip()
        connection = self._connection
        if connection is None or connection.end is not None:
            return f"new watch of {self.resource.storage}"
        return f"deliveries of {self.resource.storage}" if connection.behind else ""

    def run(self) -> Steps:
        """The reflector: lists and watches until it is killed."""
        whose = f"{self._client.host}/{self._client.user.name}"
        rng = self._wiring.streams.seldom(f"informer/{whose}/{self.resource.storage}")
        backoff = Backoff(self._clock, rng)
        self._wiring.informers[self] = None
        try:
            while True:
                try:
                    yield from self._list()
                    yield from self._watch(backoff, rng)
                    self.problem = ""
                except (ApiError, Unreachable) as error:
                    self.problem = str(error)
                yield self._clock.sleep(backoff.next())
        finally:
            self._wiring.informers.pop(self, None)
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _list(self) -> Steps:
        version = "0" if not self.view.revision else str(self.view.revision)
        query = dict(self._query)
        if not self._unavailable:
            # After a 410 the list comes from the store itself (relistResourceVersion).
            query["resourceVersion"] = (version,)
        response = yield from self._client.call(Request("GET", self._path, query, heedless=self._heedless))
        if response.code >= 400:
            error = error_of(response)
            self._unavailable = self._unavailable or _is_expired(error)
            raise error
        self._unavailable = False
        body = response.body
        differences = self.view.replace(body["items"], int(body["metadata"]["resourceVersion"]))
        self.synced = True
        for verb, obj, old in differences:
            self._tell(verb, obj, old)
        self.changed.fire()

    def _watch(self, backoff: Backoff, rng: Seldom) -> Steps:
        """Watches until a new list is needed."""
        while True:
            timeout_s = _timeout_s(rng)
            query = {
                **self._query,
                "watch": ("1",),
                "allowWatchBookmarks": ("true",),
                "resourceVersion": (str(self.view.revision),),
                "timeoutSeconds": (str(timeout_s),),
            }
            try:
                response = yield from self._client.call(Request("GET", self._path, query, heedless=self._heedless))
            except Unreachable as problem:
                if not problem.refused:
                    raise
                yield self._clock.sleep(backoff.next())
                continue
            if response.code >= 400:
                error = error_of(response)
                if error.code in (429, 500):
                    yield self._clock.sleep(backoff.next())
                    continue
                self._unavailable = _is_expired(error)
                return
            if not (yield from self._follow(response.body, rng)):
                return

    def _follow(self, stream: WatchStream, rng: Seldom) -> Steps:
        """Takes in a stream to its end; returns whether to go on from where it ended."""
        began, before = self._clock.now, self.view.revision

        def draw() -> int:
            return _timeout_s(rng) * 1_000_000

        connection = Connection(self._wiring, self._client.host, stream, self._take, self._lag, self._is_deaf, draw)
        self._connection = connection
        while connection.end is None:
            yield connection.ended.wait()
        self.view.revision = max(self.view.revision, connection.position)
        (error,) = connection.end
        if error is not None:
            self._unavailable = error.get("code") == 410
            return False
        # A watch that ends at once without anything in it is no watch (errVeryShortWatch).
        return self._clock.now - began >= 1_000_000 or self.view.revision != before

    def _lag(self) -> int:
        lag = self._wiring.lag
        return 0 if lag is None else lag(self._client.user_agent, self.resource.storage)

    def _is_deaf(self) -> bool:
        deaf = self._wiring.deaf
        return deaf is not None and deaf(self._client.host, self._client.user_agent, self.resource.storage)

    def _take(self, frames: list[Frame]) -> None:
        view, tell, twice = self.view, self._tell, self._wiring.twice
        if twice is not None and twice(self._client.user_agent, self.resource.storage):
            frames = [frame for frame in frames for _ in range(2)]
        for frame in frames:
            verb, obj = frame.type, frame.object
            if verb == "BOOKMARK":
                view.revision = max(view.revision, int(obj["metadata"]["resourceVersion"]))
            elif verb != "ERROR":
                tell(verb, obj, view.apply(verb, obj))
        self.changed.fire()

    def _tell(self, verb: str, obj: Object, old: Object | None) -> None:
        if verb == "DELETED":
            if old is None:
                return
            new, old = None, obj
        else:
            verb, new = ("ADDED" if old is None else "MODIFIED"), obj
        for handler in self._handlers:
            handler(verb, new, old)


def _timeout_s(rng: Seldom) -> int:
    return int(WATCH_TIMEOUT_MIN_S * (1 + rng.random()))


def _is_expired(error: ApiError) -> bool:
    """A version that the server has no more, or not yet."""
    return error.code == 410 or (error.reason == "Timeout" and error.code == 504)
