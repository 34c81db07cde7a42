"""Conversion webhooks: asking them, for requests and for watches.

Source: k8s.io/apiextensions-apiserver/pkg/apiserver/conversion/webhook_converter.go. A verb that meets an object whose
other form is not known is run again once the webhook has said it; that happens before anything is stored, or, where
the answer alone was missing, only the answer is made again. A mutating admission webhook that changes an object may
therefore be called twice.

Not modelled: a list is converted by one review of all its objects, upstream asks for each as it reads them; answers
are remembered by what an object says, so a webhook is not asked again for what it has answered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

from seatrial.sim.apiserver.admission import webhooks_client
from seatrial.sim.apiserver.context import Context, Steps
from seatrial.sim.apiserver.request import Response
from seatrial.sim.apiserver.watching import Frame, WatchStream
from seatrial.sim.kernel.streams import uid_from
from seatrial.sim.machinery import errors
from seatrial.sim.machinery.custom.converter import Unconverted
from seatrial.sim.machinery.fields import quoted
from seatrial.sim.store.store import Change

Object = Mapping[str, Any]

GROUP = "apiextensions.k8s.io"
SUPPORTED = ("v1", "v1beta1")
TIMEOUT_S = 30
SAME = (("name", "name"), ("namespace", "namespace"), ("uid", "UID"))
"""What a webhook must leave as it is, and what a refusal calls it."""


def converting(context: Context, run: Callable[[], Steps[Response]]) -> Steps[Response]:
    """A verb of a kind with a conversion webhook. Raises ApiError as the verb, and 500 for what the webhook does."""
    while True:
        try:
            return (yield from run())
        except Unconverted as missing:
            yield from ask(context, missing)
            if missing.resume is not None:
                run = _resumed(missing.resume)


def _resumed(answer: Callable[[], Response]) -> Callable[[], Steps[Response]]:
    def run() -> Steps[Response]:
        return answer()
        yield

    return run


def require(context: Context, objects: Sequence[Object]) -> None:
    """Raises Unconverted for all objects at once that the request's version has to be asked for."""
    custom = context.resource.custom
    if custom is None or custom.converter is None:
        return
    version = context.resource.api_version
    missing = custom.converter.missing(objects, version)
    if missing:
        raise Unconverted(custom.converter, missing, version)


def ask(context: Context, missing: Unconverted) -> Steps[None]:
    """Has objects converted and remembers the answers. Raises ApiError 500 in upstream's words."""
    objects, wanted = missing.objects, missing.api_version
    start = f"conversion webhook for {objects[0].get('apiVersion', '')}, Kind={objects[0].get('kind', '')}"
    uid = uid_from(context.server.streams("apiserver/conversion"))
    version = next((each for each in missing.converter.versions if each in SUPPORTED), SUPPORTED[0])
    review = {
        "kind": "ConversionReview",
        "apiVersion": f"{GROUP}/{version}",
        "request": {"uid": uid, "desiredAPIVersion": wanted, "objects": list(objects)},
    }
    try:
        answer = yield from webhooks_client.call(context, missing.converter.client, review, TIMEOUT_S)
        converted = _objects(answer, version, uid)
    except (webhooks_client.CallFailed, _Refused) as problem:
        raise errors.unexplained(f"{start} failed: {problem}") from None
    if len(converted) != len(objects):
        raise errors.unexplained(f"{start} returned {len(converted)} objects, expected {len(objects)}")
    for index, (obj, made) in enumerate(zip(objects, converted, strict=True)):
        wrong = _problem(obj, made, wanted, index)
        if wrong:
            raise errors.unexplained(f"{start} returned {wrong}")
        missing.converter.remember(obj, wanted, made)


class _Refused(Exception):
    """An answer that is none."""


def _objects(answer: Object, version: str, uid: str) -> Sequence[Any]:
    """The converted objects of a review. Raises _Refused."""
    expected = f"{GROUP}/{version}"
    if (answer.get("apiVersion"), answer.get("kind")) != (expected, "ConversionReview"):
        got = f"{answer.get('apiVersion', '')}, Kind={answer.get('kind', '')}"
        raise _Refused(f"expected webhook response of {expected}, Kind=ConversionReview, got {got}")
    response = answer.get("response")
    if not isinstance(response, dict):
        raise _Refused("no response provided")
    if version == "v1" and response.get("uid", "") != uid:
        raise _Refused(f"expected response.uid={quoted(uid)}, got {quoted(str(response.get('uid', '')))}")
    result = response.get("result") or {}
    if result.get("status") != "Success":
        raise _Refused(
            result.get("message") or f"response.result.status was '{result.get('status', '')}', not 'Success'"
        )
    return response.get("convertedObjects") or ()


def _problem(obj: Object, made: Any, wanted: str, index: int) -> str:
    """What is wrong with a converted object; empty when nothing is."""
    where = f"invalid object at index {index}: "
    if not isinstance(made, dict):
        return f"{where}unable to decode"
    if made.get("apiVersion") != wanted:
        return f"{where}invalid groupVersion (expected {wanted}, received {made.get('apiVersion', '')})"
    if made.get("kind") != obj.get("kind"):
        return f"{where}invalid kind (expected {obj.get('kind', '')}, received {made.get('kind', '')})"
    before, after = obj.get("metadata") or {}, made.get("metadata")
    if not isinstance(after, dict):
        return f"invalid metadata in object at index {index}: missing metadata in converted object"
    for key, name in SAME:
        if before.get(key, "") != after.get(key, ""):
            what = f"must have the same {name}: {before.get(key, '')} != {after.get(key, '')}"
            return f"invalid object: {what}"
    return ""


class ConvertedWatch(WatchStream):
    """A watch in a version that a webhook makes: changes and frames wait, in order, until their objects are converted.

    A change waits where a field selector reads what only the other version says.
    """

    def __init__(self, context: Context, cursor: Any, keep: Any, show: Any, *rest: Any, **more: Any) -> None:
        super().__init__(cursor, keep, None, *rest, **more)
        self._context = context
        self._render: Callable[[Object, bool], Object] = show
        self._held: deque[Frame] = deque()
        self._unseen: deque[Change] = deque()
        self._asking = False
        self._nothing_shown = True
        self._waiting: Callable[[], None] | None = None

    def read(self, limit: int = 500) -> list[Frame]:
        """As WatchStream's; what has to be converted first is not there yet."""
        self._look()
        if not self._held:
            self._held.extend(super().read(limit))
        out: list[Frame] = []
        while self._held and not self._asking and len(out) < limit:
            frame = self._held[0]
            if frame.type not in ("BOOKMARK", "ERROR"):
                try:
                    shown = self._render(frame.object, self._nothing_shown)
                except Unconverted as missing:
                    self._begin(missing)
                    break
                frame = Frame(frame.type, shown)
                self._nothing_shown = False
            self._held.popleft()
            out.append(frame)
        return out

    def _see(self, change: Change) -> None:
        self._unseen.append(change)
        self._look()

    def _look(self) -> None:
        """Takes the changes that wait through the selector, as far as it can read them."""
        while self._unseen and not self._asking:
            try:
                super()._see(self._unseen[0])
            except Unconverted as missing:
                self._begin(missing)
            else:
                self._unseen.popleft()

    def on_ready(self, call: Callable[[], None]) -> None:
        if self._asking:
            self._waiting = call
        elif self._held:
            call()
        else:
            super().on_ready(call)

    def _begin(self, missing: Unconverted) -> None:
        """Asks for all that waits at once."""
        self._asking = True
        held = [frame.object for frame in self._held if frame.type not in ("BOOKMARK", "ERROR")]
        held += [obj for change in self._unseen for obj in (change.obj, change.old) if obj is not None]
        missing.objects = missing.converter.missing(held, missing.api_version)
        self._context.server.clock.spawn(self._ask(missing), "conversion for a watch")

    def _ask(self, missing: Unconverted) -> Generator[Any, Any, None]:
        try:
            steps = ask(self._context, missing)
            call = next(steps, None)
            while call is not None:
                answered = yield from self._context.server.aggregation.perform(call)
                try:
                    call = steps.send(answered)
                except StopIteration:
                    call = None
        except errors.ApiError as error:
            self._held.clear()
            self._unseen.clear()
            self.fail(error)
        self._asking = False
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting()
