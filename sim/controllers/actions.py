"""What a controller may ask for: its reconcile yields these, the shell performs them and sends the API's answers back.

Source of the vocabulary: the client interfaces that k8s.io/kubernetes/pkg/controller hands its controllers
(controller_utils.go PodControlInterface, record.EventRecorder). *Not modelled*: contexts and deadlines per request; a
request either gets its answer or the link says that there is no way through.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from seatrial.sim.apiserver.request import Object
from seatrial.sim.kernel.clock import micro_stamp_of, stamp_of
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.store.view import View

Key = Any
"""What a work queue holds: (namespace, name) of an object, or a controller's own hashable key."""

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


class Create(NamedTuple):
    """Answer: the object as stored."""

    resource: Any
    """Storage name (``pods``, ``deployments.apps``) or a Resource."""
    obj: Object
    subresource: str = ""


class Update(NamedTuple):
    """Answer: the object as stored; refused with a conflict when ``obj`` is not of the latest revision."""

    resource: Any
    obj: Object
    subresource: str = ""


class Patch(NamedTuple):
    """Answer: the object as stored."""

    resource: Any
    namespace: str
    name: str
    patch: Any
    content_type: str = STRATEGIC_PATCH
    subresource: str = ""
    field_manager: str = ""
    """Who applies; a controller takes over by force what others own."""


class Delete(NamedTuple):
    """Answer: the object or a Status."""

    resource: Any
    namespace: str
    name: str
    uid: str = ""
    """Precondition, and what the shell looks for in the view before the key's next turn."""
    options: Mapping[str, Any] | None = None


class Evict(NamedTuple):
    """Answer: a Status; refused with 429 while a disruption budget does not allow it."""

    namespace: str
    name: str
    options: Mapping[str, Any] | None = None


class Get(NamedTuple):
    """An uncached read. Answer: the object."""

    resource: Any
    namespace: str
    name: str
    subresource: str = ""


class ListAll(NamedTuple):
    """An uncached list. Answer: its items."""

    resource: Any
    namespace: str = ""
    label_selector: str = ""
    field_selector: str = ""


class Call(NamedTuple):
    """A request that no typed client has: discovery, collections' deletion, aggregated APIs. Answer: the body."""

    method: str
    path: str
    query: Mapping[str, tuple[str, ...]] = {}
    body: Any = None


class Record(NamedTuple):
    """An event about an object; sent in the background, so there is no answer."""

    about: Object
    """The object, or an ObjectReference-shaped mapping under the key ``ref``."""
    type: str
    reason: str
    message: str


class Batch(NamedTuple):
    """Several at once. Answer: a list with an answer or an exception for each, in order."""

    actions: tuple[Any, ...]


Action = Create | Update | Patch | Delete | Evict | Get | ListAll | Call | Record | Batch


class After(NamedTuple):
    """A key that becomes due later."""

    key: Key
    delay_us: int
    periodic: bool = False


class Outcome(NamedTuple):
    """What a reconcile says when it is through."""

    again_in_us: int | None = None
    """Run again after this long, whatever happens."""
    periodic: bool = False
    """The next run is a rhythm of its own and does not keep a cluster from being settled."""
    retry: bool = False
    """Run again after the key's back-off, as after a rejected request."""
    also: tuple[Any, ...] = ()
    """Other keys that have become due, now or ``After`` a while."""


Steps = Generator[Action, Any, Outcome | None]
"""A reconcile under way."""


@dataclass(slots=True)
class Turn:
    """What one reconcile may look at."""

    view: Callable[[str], View]
    """A kind's cached objects by storage name, possibly stale."""
    key: Key
    now: int
    """µs"""
    memory: dict[Any, Any]
    """The controller's own notes; lost when it is killed."""
    clock_now: Callable[[], int]
    """The time at this moment, later than ``now`` once requests have been made."""
    settings: Any = None
    """ControllerManagerSpec of the cluster."""
    rng: Any = None
    """The controller's own stream of randomness."""
    shared: Mapping[str, Any] = field(default_factory=dict)
    """What the command line hands all controllers (certificate authority, address pools)."""
    is_parked: Callable[[str, str, str], bool] = lambda storage, namespace, name: False
    """Whether an object is as fresh as can be, whatever the view shows (``apiserver.standing``)."""
    seen_us: Callable[[str, Object], int | None] = lambda storage, obj: None
    """When a version that was computed late would have come; None of one that came when it was written."""
    count: Callable[[str, tuple[str, ...]], None] = lambda family, labels: None
    """Adds one to a counter of the process' metrics."""

    @property
    def stamp(self) -> str:
        """The present in RFC 3339 seconds."""
        return stamp_of(self.clock_now())

    @property
    def micro_stamp(self) -> str:
        return micro_stamp_of(self.clock_now())


def update_status(resource: Any, obj: Object, status: Mapping[str, Any]) -> Update:
    """The write of ``status`` to the status subresource."""
    return Update(resource, {**obj, "status": status}, "status")


def delete_of(resource: Any, obj: Object, options: Mapping[str, Any] | None = None) -> Delete:
    """The deletion of exactly this object."""
    metadata = obj["metadata"]
    return Delete(resource, metadata.get("namespace", ""), metadata["name"], metadata["uid"], options)


class Slow(NamedTuple):
    """How a slow-start batch went."""

    answers: list[Any]
    """Of the requests made, in order."""
    skipped: int
    """Requests not made because an earlier batch failed."""

    @property
    def error(self) -> Exception | None:
        return next((answer for answer in self.answers if isinstance(answer, Exception)), None)


def slow_start(actions: Iterable[Action], initial: int = 1) -> Generator[Action, Any, Slow]:
    """Requests in parallel batches of 1, 2, 4, … which end with the batch in which one fails (slowStartBatch)."""
    todo, answers, size = list(actions), [], initial
    done = 0
    while done < len(todo):
        batch = todo[done : done + size]
        got = yield Batch(tuple(batch))
        answers.extend(got)
        done += len(batch)
        if any(isinstance(answer, Exception) for answer in got):
            break
        size *= 2
    return Slow(answers, len(todo) - done)


def in_parallel(actions: Iterable[Action]) -> Generator[Action, Any, list[Any]]:
    """All requests at once; raises the first failure after all have been answered."""
    todo = tuple(actions)
    if not todo:
        return []
    answers: list[Any] = yield Batch(todo)
    failed = next((answer for answer in answers if isinstance(answer, Exception)), None)
    if failed is not None:
        raise failed
    return answers


def ignoring(action: Action, *codes: int) -> Generator[Action, Any, Any]:
    """The action's answer, or None when it is refused with one of ``codes``."""
    try:
        return (yield action)
    except ApiError as error:
        if error.code in codes:
            return None
        raise
