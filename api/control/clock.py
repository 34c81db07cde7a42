"""Time over the control API: its pace, jumps forward, and what differs between two moments."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import Field

from seatrial.api.control import durations
from seatrial.api.control.bodies import Body
from seatrial.api.server.driver import SPEED_MAX, Driver, wall_us
from seatrial.scenarios import differences as differing
from seatrial.scenarios.moments import moment_of, revision_at
from seatrial.scenarios.waiting import Condition, condition_of
from seatrial.sim.causes import differences
from seatrial.sim.cluster import CLOCK, Cluster
from seatrial.sim.kernel.clock import micro_stamp_of
from seatrial.sim.machinery import selectors
from seatrial.sim.machinery.kinds import Resource
from seatrial.sim.store.log import Change

if TYPE_CHECKING:
    from fastapi import FastAPI, HTTPException

T = TypeVar("T")
BASE = "/seatrial/v1/clock"
NEXT_WITHIN = "1h"
MOMENTS = "see what can be named with: seatrial clock rewind --help"


class Speed(Body):
    """How fast time is to pass."""

    speed: float = Field(gt=0, le=SPEED_MAX, description="simulated seconds per second")


class Advance(Body):
    """How far time is to jump."""

    duration: str = Field(description="like 90s, 6m or 1h30m")


class Lockstep(Body):
    """Whether time waits for clients outside, and for how long after the last word with them."""

    grace: str = Field(default="50ms", description="of the wall clock; empty: time does not wait")


class Next(Body):
    """Which change to jump to."""

    kind: str = Field(default="", description="a kind as kubectl takes it; empty for all")
    within: str = Field(default=NEXT_WITHIN, description="how far to go when nothing changes")


class Until(Body):
    """What to wait for, and of which objects: those that are named, or those of a kind that a selector chooses."""

    objects: list[str] = Field(default_factory=list, description="KIND/NAME, as kubectl takes them")
    kind: str = ""
    selector: str = Field(default="", description="a label selector for objects of the kind; empty for all of them")
    namespace: str = "default"
    condition: str = Field(description="as of kubectl wait --for")
    timeout: str = Field(default="10m", description="of simulated time")


def clock_view(driver: Driver) -> dict[str, Any]:
    """What there is to say about time."""
    grace = driver.lockstep_us
    return {
        "now": micro_stamp_of(driver.enter()),
        "wall": micro_stamp_of(wall_us()),
        "offset": durations.show(driver.offset_us),
        "offsetMicroseconds": driver.offset_us,
        "speed": driver.speed,
        "paused": driver.paused,
        "lockstep": None if grace is None else durations.show(grace),
        "lagMicroseconds": driver.lag_us,
    }


class Awaited:
    """Objects of which a condition has to hold. Looked at when one of their kinds has changed."""

    def __init__(self, cluster: Cluster, asked: Until) -> None:
        """Raises ValueError for what cannot be meant."""
        self._cluster = cluster
        self._condition: Condition = condition_of(asked.condition)
        self._namespace = asked.namespace
        self._named = [self._place(text) for text in asked.objects]
        self._kind = cluster.resource(asked.kind) if asked.kind else None
        self._chosen = selectors.parse(asked.selector)
        if not self._named and self._kind is None:
            raise ValueError("say which objects: KIND/NAME, or a kind with a selector")
        self._storages = {each.storage for each, _ in self._named}
        if self._kind is not None:
            self._storages.add(self._kind.storage)
        self._seen = -1
        self._held = False
        self.problem: Exception | None = None

    def _place(self, text: str) -> tuple[Resource, str]:
        kind, slash, name = text.partition("/")
        if not (kind and slash and name):
            raise ValueError(f"{text!r} is not of the form KIND/NAME")
        return self._cluster.resource(kind), name

    def holds(self) -> bool:
        """Whether it holds now. An error of the condition ends the wait and is kept in ``problem``."""
        store = self._cluster.store
        if self._seen < 0 or any(
            change.storage in self._storages
            for revision in range(self._seen + 1, store.revision + 1)
            if (change := store.change(revision)) is not None
        ):
            try:
                self._held = self._holds_now()
            except Exception as problem:
                self.problem, self._held = problem, True
        self._seen = store.revision
        return self._held

    def _holds_now(self) -> bool:
        found = self.found()
        if not found:
            return self._condition.of_absence
        return all(met for _, met, _ in found)

    def found(self) -> list[tuple[str, bool, bool]]:
        """Each object's name, whether the condition holds of it, and whether it is there."""
        store, holds, namespace = self._cluster.store, self._condition.holds, self._namespace
        rows = []
        for resource, name in self._named:
            obj = store.get(resource.storage, namespace if resource.namespaced else "", name)
            rows.append((_title(resource, name), holds(obj), obj is not None))
        if self._kind is not None:
            for obj in store.list(self._kind.storage, namespace if self._kind.namespaced else None):
                labels = obj["metadata"].get("labels") or {}
                if all(requirement.matches(labels) for requirement in self._chosen):
                    rows.append((_title(self._kind, obj["metadata"]["name"]), holds(obj), True))
        return rows

    @property
    def text(self) -> str:
        return self._condition.text


def _title(resource: Resource, name: str) -> str:
    return f"{resource.singular}{f'.{resource.group}' if resource.group else ''}/{name}"


class News:
    """The next change that says something: not a heartbeat, not a renewed lease."""

    def __init__(self, cluster: Cluster, kind: str) -> None:
        """Raises ValueError for a kind that there is not."""
        self._store = cluster.store
        self._storage = cluster.resource(kind).storage if kind else ""
        self._seen = cluster.store.revision
        self.change: Change | None = None

    def came(self) -> bool:
        """Whether there has been one since."""
        store = self._store
        while self.change is None and self._seen < store.revision:
            self._seen += 1
            change = store.change(self._seen)
            if change is not None and self._storage in ("", change.storage) and _says_something(change):
                self.change = change
        return self.change is not None


def _says_something(change: Change) -> bool:
    return change.verb != "MODIFIED" or bool(differences(change))


def add_to(cluster: Cluster, driver: Driver, app: FastAPI) -> None:
    """Adds the paths to the control API's application."""
    _add_pace(cluster, driver, app)
    _add_jumps(cluster, driver, app)
    _add_differences(cluster, driver, app)


def _span(text: str) -> int:
    return _meant(lambda: durations.parse(text))


def _meant(call: Callable[[], T], mend: str = "") -> T:
    """What ``call`` makes of what the user wrote; a ValueError becomes a refusal."""
    try:
        return call()
    except ValueError as problem:
        raise refused(str(problem), mend) from None


def refused(why: str, mend: str = "", what: str = "clock") -> HTTPException:
    """A refusal with its reason."""
    from fastapi import HTTPException

    return HTTPException(422, {"what": what, "why": why, "mend": mend} if mend else why)


def _add_pace(cluster: Cluster, driver: Driver, app: FastAPI) -> None:
    def note(**value: Any) -> dict[str, Any]:
        driver.enter()
        cluster.enter(CLOCK, value)
        return clock_view(driver)

    @app.get(BASE)
    async def show_clock() -> dict[str, Any]:
        """Simulated time and its pace."""
        return clock_view(driver)

    @app.post(f"{BASE}/pause")
    async def pause() -> dict[str, Any]:
        """Stops simulated time; requests are still answered."""
        driver.pause()
        return note(do="pause")

    @app.post(f"{BASE}/resume")
    async def resume() -> dict[str, Any]:
        """Lets simulated time go on."""
        driver.resume()
        return note(do="resume")

    @app.put(f"{BASE}/speed")
    async def set_speed(body: Speed) -> dict[str, Any]:
        """Changes the pace of simulated time."""
        driver.set_speed(body.speed)
        return note(do="speed", speed=body.speed)

    @app.put(f"{BASE}/lockstep")
    async def set_lockstep(body: Lockstep) -> dict[str, Any]:
        """Lets time wait for clients outside, or no longer."""
        driver.set_lockstep(_span(body.grace) if body.grace else None)
        return note(do="lockstep", grace=body.grace)


def _add_jumps(cluster: Cluster, driver: Driver, app: FastAPI) -> None:
    async def jump(what: str, how: Callable[[], Any]) -> tuple[Any, dict[str, Any]]:
        """Makes a jump and tells of it, in the journal too."""
        began = driver.enter()
        result = await how()
        cluster.enter(CLOCK, {"do": what, "from": began})
        return result, {**clock_view(driver), "skipped": durations.show(cluster.now - began)}

    @app.post(f"{BASE}/advance")
    async def advance(body: Advance) -> dict[str, Any]:
        """Jumps forward; answers when everything of the time between has happened."""
        span = _span(body.duration)
        return (await jump("advance", lambda: driver.advance(span)))[1]

    @app.post(f"{BASE}/next")
    async def jump_to_next(body: Next | None = None) -> dict[str, Any]:
        """Jumps to the next change that says something."""
        asked = body or Next()
        news = _meant(lambda: News(cluster, asked.kind), "see which kinds there are: kubectl api-resources")
        span = _span(asked.within)
        _, view = await jump("next", lambda: driver.until(news.came, span))
        return {**view, "change": None if news.change is None else told(news.change)}

    @app.post(f"{BASE}/until")
    async def jump_until(body: Until) -> dict[str, Any]:
        """Jumps to the instant at which a condition holds of objects."""
        awaited = _meant(lambda: Awaited(cluster, body), "see: seatrial clock until --help")
        span = _span(body.timeout)
        met, view = await jump("until", lambda: driver.until(awaited.holds, span))
        if awaited.problem is not None:
            raise refused(f"the condition cannot be evaluated: {awaited.problem}", "see: seatrial clock until --help")
        rows = [{"object": name, "met": holds, "exists": there} for name, holds, there in awaited.found()]
        return {**view, "met": met, "condition": awaited.text, "objects": rows}


def told(change: Change) -> dict[str, Any]:
    """A change in a few words."""
    metadata = change.obj["metadata"]
    return {
        "at": micro_stamp_of(change.at_us),
        "revision": change.revision,
        "verb": change.verb,
        "kind": change.obj.get("kind", change.storage),
        "namespace": metadata.get("namespace", ""),
        "name": metadata["name"],
        "what": ", ".join(differences(change)),
        "by": change.cause[0] if change.cause is not None else "user",
    }


def _add_differences(cluster: Cluster, driver: Driver, app: FastAPI) -> None:
    @app.get(f"{BASE}/diff")
    async def show_differences(a: str, b: str = "now", kind: str = "", every: bool = False) -> dict[str, Any]:
        """What differs between two moments: objects that came, went and changed, and the fields."""
        driver.enter()
        storage = _meant(lambda: cluster.resource(kind).storage if kind else "", "see: kubectl api-resources")
        ends = [_meant(partial(moment_of, text, cluster), MOMENTS) for text in (a, b)]
        since, until = (_meant(partial(revision_at, cluster, end), MOMENTS) for end in ends)
        found = differing.differences(cluster.store, since, until)
        kept = [each for each in found if each.storage == storage or (not storage and (every or _is_quiet(each)))]
        return {
            "from": {"at": micro_stamp_of(ends[0].at_us), "revision": since},
            "to": {"at": micro_stamp_of(ends[1].at_us), "revision": until},
            "objects": [_shown(each) for each in kept],
            "hidden": 0 if storage else len(found) - len(kept),
        }


def _is_quiet(difference: differing.Difference) -> bool:
    return difference.storage not in differing.LOUD


def _shown(difference: differing.Difference) -> dict[str, Any]:
    metadata = difference.shown["metadata"]
    rows = differing.fields(difference) if difference.verb == differing.CHANGED else []
    return {
        "verb": difference.verb,
        "kind": difference.shown.get("kind", difference.storage),
        "namespace": metadata.get("namespace", ""),
        "name": metadata["name"],
        "fields": [{"path": row.path, "before": row.before, "after": row.after} for row in rows],
        "diff": differing.unified(difference, ("before", "after")),
    }
