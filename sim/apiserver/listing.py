"""Lists and watches of one kind: selectors, pages, resource versions.

Source: k8s.io/apiserver/pkg/storage (continue.go, cacher/delegator.go) and …/registry/generic/registry.
"""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from seatrial.sim.apiserver.context import Context
from seatrial.sim.apiserver.customresource_conversion import require
from seatrial.sim.apiserver.indexes import index_of
from seatrial.sim.apiserver.options import ListOptions, revision
from seatrial.sim.apiserver.watching import INITIAL_EVENTS_END, WatchStream
from seatrial.sim.machinery import errors, field_selectors, selectors
from seatrial.sim.machinery.fields import quoted
from seatrial.sim.store.store import Compacted

Object = Mapping[str, Any]
Keep = Callable[[Object], bool]

CONTINUE_VERSION = "meta.k8s.io/v1"
LATEST = -1
"""The revision of a token that goes on with whatever is there (handleCompactedErrorForPaging)."""
EXPIRED = "The resourceVersion for the provided list is too old."
INCONSISTENT = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


def keeper(context: Context, options: ListOptions, name: str = "") -> Keep | None:
    """The selectors as one predicate over objects; None when everything is wanted. Raises ApiError 400."""
    parts: list[Keep] = []
    if options.label_selector:
        matches = selectors.labels(options.label_selector)
        parts.append(lambda obj: matches(obj["metadata"].get("labels") or {}))
    if options.field_selector:
        parts.append(selectors.fields(options.field_selector, context.resource))
    if name:
        parts.append(lambda obj: obj["metadata"]["name"] == name)
    if not parts:
        return None
    if len(parts) == 1:
        return parts[0]
    return lambda obj: all(part(obj) for part in parts)


class Pages:
    """Until when lists go on as they were begun: etcd forgets, at every tick, what was before the tick before.

    Only revisions that somebody was given a token for are looked at, and they leave nothing in the history. *Not
    modelled*: that exact lists of other revisions end as soon.
    """

    def __init__(self, began_us: int, period_us: int) -> None:
        self._began_us, self._period_us = began_us, period_us
        self._given: dict[int, int] = {}
        """When a list of each revision was last begun, in the order of both."""
        self._over = 0
        """Up to which revision nothing goes on."""

    def begin(self, revision: int, now: int) -> None:
        """A list of what is there now has further pages."""
        self._given.pop(revision, None)
        self._given[revision] = now

    def is_over(self, revision: int, now: int) -> bool:
        """Whether a list that was begun at a revision cannot go on."""
        ticks = (now - self._began_us) // self._period_us
        compacted_us = self._began_us + (ticks - 1) * self._period_us
        while self._given and (oldest := next(iter(self._given.items())))[1] < compacted_us:
            self._over = oldest[0]
            del self._given[oldest[0]]
        return revision <= self._over


class Page:
    """What a list found: the objects, and where the next page begins."""

    __slots__ = ("continue_", "items", "remaining", "revision")

    def __init__(self, items: Sequence[Object], at: int, continue_: str = "", remaining: int | None = None) -> None:
        self.items = items
        self.revision = at
        self.continue_ = continue_
        self.remaining = remaining

    def metadata(self) -> dict[str, Any]:
        """The ListMeta of the answer."""
        meta: dict[str, Any] = {"resourceVersion": str(self.revision)}
        if self.continue_:
            meta["continue"] = self.continue_
        if self.remaining:
            meta["remainingItemCount"] = self.remaining
        return meta


def find(context: Context, options: ListOptions) -> Page:
    """The objects that a list asks for.

    Raises ApiError: 400 for selectors, versions or tokens that cannot be read, 410 for a revision that is compacted,
    504 for one that is yet to come.
    """
    store, storage, namespace = context.server.store, context.resource.storage, context.namespace
    keep = keeper(context, options)
    try:
        asked = revision(options.resource_version)
    except ValueError as problem:
        raise errors.bad_request(f"invalid resource version: {problem}") from None
    if asked > store.revision:
        raise errors.too_large_resource_version(asked, store.revision)
    exact: int | None = asked if options.match == "Exact" else None
    after = ""
    if options.continue_:
        token_revision, after = read_continue(options.continue_)
        exact = token_revision if token_revision > 0 else None
        if exact is not None and context.server.pages.is_over(exact, context.server.clock.now):
            raise errors.PageExpired(INCONSISTENT, write_continue(LATEST, after))
        if token_revision == LATEST:
            # Whatever rests would have written by now.
            context.server.standing.look()
    limited = options.limit > 0 and not (options.resource_version == "0" and not options.match)
    if not limited and exact is None and not after:
        found = _found(context, options)
        _readable(context, options, found)
        return Page([obj for obj in found if keep(obj)] if keep is not None else found, store.revision)
    try:
        found = store.list_at(storage, namespace or None, exact)
    except Compacted:
        if after:
            raise errors.PageExpired(INCONSISTENT, write_continue(LATEST, after)) from None
        raise errors.expired(EXPIRED) from None
    at = exact or store.revision
    if after:
        found = found[bisect_left(found, after, key=lambda obj: key_of(obj, namespace)) :]
    _readable(context, options, found)
    if keep is not None:
        found = [obj for obj in found if keep(obj)]
    if not limited or len(found) <= options.limit:
        return Page(found, at)
    items = found[: options.limit]
    if exact is None:
        context.server.pages.begin(at, context.server.clock.now)
    token = write_continue(at, key_of(items[-1], namespace) + "\x00")
    return Page(items, at, token, None if keep is not None else len(found) - options.limit)


def _found(context: Context, options: ListOptions) -> Sequence[Object]:
    """What is there now, by an index where one helps; the selectors are still to be applied."""
    store, storage, namespace = context.server.store, context.resource.storage, context.namespace
    index = index_of(store, storage, options.field_selector)
    if index is None:
        return store.list(storage, namespace or None)
    found = store.indexed(storage, *index)
    return [obj for obj in found if obj["metadata"]["namespace"] == namespace] if namespace else found


def _readable(context: Context, options: ListOptions, found: Sequence[Object]) -> None:
    """Raises Unconverted for all objects at once whose fields the selector cannot read yet."""
    if options.field_selector and field_selectors.reads_version(options.field_selector, context.resource):
        require(context, found)


def key_of(obj: Object, namespace: str) -> str:
    """Where an object stands in the list, relative to the namespace that is listed."""
    metadata = obj["metadata"]
    name = str(metadata["name"])
    own = metadata.get("namespace")
    return f"{own}/{name}" if own and not namespace else name


def write_continue(at: int, start: str) -> str:
    raw = orjson.dumps({"v": CONTINUE_VERSION, "rv": at, "start": f"/{start}"}).replace(b"\x00", b"\\u0000")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def read_continue(token: str) -> tuple[int, str]:
    """(revision, first key). Raises ApiError 400."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise errors.bad_request("invalid continue token: continue key is not valid: illegal base64 data") from None
    try:
        value = orjson.loads(raw)
        if value["v"] != CONTINUE_VERSION or not value["start"].startswith("/"):
            raise KeyError
        return int(value["rv"]), value["start"].removeprefix("/")
    except orjson.JSONDecodeError:
        character = raw[:1].decode("latin-1")
        why = f"invalid character '{character}' looking for beginning of value"
        raise errors.bad_request(f"invalid continue token: continue key is not valid: {why}") from None
    except (KeyError, TypeError, ValueError):
        raise errors.bad_request(f"invalid continue token: continue key is not valid: {quoted(token)}") from None


def watch(
    context: Context,
    options: ListOptions,
    show: Callable[[Object, bool], Object] | None,
    bookmark: Callable[[int], Object],
    make: Callable[..., WatchStream] = WatchStream,
) -> WatchStream:
    """A stream from the asked revision on; without one, or with 0, it begins with what is there.

    Raises ApiError as ``find``; a revision below the log's floor ends the stream with an ERROR frame, as upstream.
    """
    store, storage, namespace = context.server.store, context.resource.storage, context.namespace or None
    keep = keeper(context, options, context.info.name)
    try:
        since = revision(options.resource_version)
    except ValueError as problem:
        raise errors.unexplained(str(problem)) from None
    from_state = since == 0 if options.initial_events is None else options.initial_events
    initial: Sequence[Object] = ()
    ending = None
    if from_state:
        found = _found(context, options)
        _readable(context, options, found)
        initial = [obj for obj in found if keep(obj)] if keep is not None else found
        since = store.revision
        if options.initial_events and options.bookmarks:
            end = dict(bookmark(since))
            end["metadata"] = {**end["metadata"], "annotations": {INITIAL_EVENTS_END: "true"}}
            ending = end
    try:
        index = index_of(store, storage, options.field_selector)
        cursor = store.watch(storage, since, namespace, index, heedless=True)
    except Compacted as gone:
        text = f"too old resource version: {since} ({gone.floor})"
        cursor = store.watch(storage, store.revision, namespace, heedless=True)
        stream = make(cursor, keep, show, bookmark)
        stream.fail(errors.expired(text))
        return stream
    stream = make(cursor, keep, show, bookmark, initial, ending, after=since)
    limits = context.server.spec.apiserver
    timeout_s = options.timeout_s
    if timeout_s is None:
        rng = context.server.streams("apiserver/watch-timeouts")
        timeout_s = int(limits.watch_timeout_min_s * (1 + rng.random()))
    bookmark_us = limits.bookmark_period_us if options.bookmarks else None
    at_rest = context.server.standing.lazy and context.request.heedless
    stream.live(context.server.clock, timeout_s * 1_000_000, bookmark_us, at_rest)
    if not context.request.heedless:
        stream.on_close = context.server.standing.watched(storage)
    return stream
