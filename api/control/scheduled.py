"""Faults and loads over the control API: values that are added by name, looked at, and taken back.

Both have the same paths below /seatrial/v1/faults and /seatrial/v1/loads: what there is, the kinds with their
parameters, one by name. What is added is an entry of a schedule or a list of them, of which all are taken or none. It
enters the cluster at the moment of the request, goes into the journal, and is kept for the next boot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from seatrial.api.server.driver import Driver
from seatrial.sim.kernel.clock import micro_stamp_of, parse_stamp
from seatrial.sim.machinery.values import nearest
from seatrial.sim.written import Scheduled, scheduled

if TYPE_CHECKING:
    from fastapi import FastAPI, HTTPException

BASE = "/seatrial/v1"
Value = Mapping[str, Any]
ENTRIES_MAX = 1000


class Add(Protocol):
    def __call__(self, value: Any, name: str, after: int, lasts: int | None, /) -> str: ...


@dataclass(frozen=True, slots=True)
class Things:
    """Faults or loads, as the paths need them."""

    word: str
    """fault or load."""
    add: Add
    remove: Callable[[str], None]
    all: Callable[[], list[dict[str, Any]]]
    show: Callable[[str], Value]
    """One of them with all that is known of it. Raises KeyError."""
    check: Callable[[Value], Any]
    """Raises ValueError for a value that means nothing."""
    kinds: Callable[[], list[dict[str, Any]]]
    problems: Callable[[], Iterable[str]]
    """Those that could not begin when they were due, and why."""
    changed: Callable[[], None]
    """Called after every change."""


def shown(item: Value, offset_us: int) -> dict[str, Any]:
    """An item as it goes out: moments on the client's calendar."""

    def moment(value: Any) -> Any:
        return micro_stamp_of(value + offset_us) if isinstance(value, int) else value

    found = {key: moment(each) if key in ("since", "until") else each for key, each in item.items()}
    if isinstance(found.get("total"), Mapping):
        found["total"] = {**found["total"], "since": moment(found["total"]["since"])}
    if "series" in found:
        found["series"] = [{**row, "since": moment(row["since"])} for row in found["series"]]
    return found


def entries_of(things: Things, body: Any, now_us: int) -> list[Scheduled]:
    """What a request asks for: one entry, or several. Raises ValueError that says which of them is wrong."""
    if isinstance(body, Mapping) and "items" in body:
        body = body["items"]
    entries = body if isinstance(body, list) else [body]
    if not 0 < len(entries) <= ENTRIES_MAX:
        raise ValueError(f"{len(entries)} entries: there have to be 1 to {ENTRIES_MAX}")

    def moment(text: str) -> int:
        try:
            return parse_stamp(text) - now_us
        except ValueError:
            raise ValueError(f"at: {text!r} is no moment such as 2026-01-01T12:00:00Z") from None

    found = []
    for number, entry in enumerate(entries, 1):
        try:
            made = scheduled(entry, moment)
            things.check(made.value)
        except ValueError as problem:
            raise ValueError(f"entry {number}: {problem}" if len(entries) > 1 else str(problem)) from None
        found.append(made)
    return found


def add_to(things: Things, driver: Driver, app: FastAPI) -> None:
    """Adds the paths to the control API's application."""
    from fastapi import Body

    word, path = things.word, f"{BASE}/{things.word}s"

    def refused(problem: ValueError) -> HTTPException:
        what = f"{word} add"
        return told(422, what, str(problem), f"seatrial {word} describe KIND says what there is to be set")

    def unknown(name: str) -> HTTPException:
        names = [each["name"] for each in things.all()]
        return told(
            404, f"{word} {name}", f"there is none of that name: {nearest(name, names)}", f"seatrial {word} list"
        )

    @app.get(path, name=f"list {word}s")
    async def show_all() -> dict[str, Any]:
        driver.enter()
        items = [shown(each, driver.offset_us) for each in things.all()]
        return {"items": items, "problems": list(things.problems())}

    @app.get(f"{path}/kinds", name=f"kinds of {word}s")
    async def show_kinds() -> dict[str, Any]:
        return {"items": things.kinds()}

    @app.get(f"{path}/{{name}}", name=f"show a {word}")
    async def show_one(name: str) -> dict[str, Any]:
        driver.enter()
        try:
            return shown(things.show(name), driver.offset_us)
        except KeyError:
            raise unknown(name) from None

    @app.post(path, status_code=201, name=f"add {word}s")
    async def add(body: Any = Body()) -> dict[str, Any]:  # noqa: B008
        now = driver.enter()
        try:
            made = added(things, entries_of(things, body, now + driver.offset_us))
        except ValueError as problem:
            raise refused(problem) from None
        finally:
            driver.wake()
        things.changed()
        return {"names": made}

    @app.delete(f"{path}/{{name}}", name=f"remove a {word}")
    async def remove(name: str) -> dict[str, Any]:
        driver.enter()
        try:
            things.remove(name)
        except KeyError:
            raise unknown(name) from None
        things.changed()
        driver.wake()
        return {"removed": [name]}

    @app.delete(path, name=f"remove all {word}s")
    async def remove_all() -> dict[str, Any]:
        driver.enter()
        names = [each["name"] for each in things.all()][::-1]
        for name in names:
            things.remove(name)
        things.changed()
        driver.wake()
        return {"removed": names}


def added(things: Things, entries: list[Scheduled]) -> list[str]:
    """The names of what was added: all entries, or none. Raises ValueError."""
    names: list[str] = []
    try:
        for entry in entries:
            names.append(things.add(entry.value, entry.name, entry.after_us, entry.lasts_us))  # noqa: PERF401
    except ValueError:
        there = {each["name"] for each in things.all()}
        for name in names[::-1]:
            if name in there:
                things.remove(name)
        raise
    return names


def told(code: int, what: str, why: str, mend: str) -> HTTPException:
    """A refusal with the thing, the reason and the mend."""
    from fastapi import HTTPException

    return HTTPException(code, {"what": what, "why": why, "mend": mend})
