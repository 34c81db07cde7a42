"""What a controller is: the changes that concern it, and what it does about a key. The shell (``shell``) runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from seatrial.sim.apiserver.request import Object, User
from seatrial.sim.controllers.actions import Key, Steps, Turn
from seatrial.sim.controllers.informers import MANAGER_USER
from seatrial.sim.controllers.workqueue import BACKOFF_BASE_US, BACKOFF_MAX_US
from seatrial.sim.store.view import View

ACCOUNT_GROUPS = ("system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated")
"""Of every service account in kube-system."""


@dataclass(slots=True)
class Seen:
    """A change of a watched kind, and what the controller may look at to find the keys it concerns."""

    verb: str
    """ADDED, MODIFIED or DELETED."""
    new: Object | None
    old: Object | None
    view: Callable[[str], View]
    memory: dict[Any, Any]
    now: int
    settings: Any = None

    @property
    def obj(self) -> Object:
        """The newest state known."""
        obj = self.old if self.new is None else self.new
        assert obj is not None, "a change has a new or an old object"
        return obj


Keys = Callable[[Seen], Iterable[Any]]


class Tick(NamedTuple):
    """A rhythm: ``key`` becomes due every ``period_us``; only once, at the start, if that is 0."""

    period_us: int
    key: Key
    first_us: int = 0
    stirred_by: tuple[str, ...] = ()
    """Once its turn has left ``memory["calm"]``, the tick is skipped until one of these kinds changes, or a writer of
    theirs does not rest any more."""
    catch_up: Callable[[Turn, str, str, int], None] | None = None
    """Notes what ticks up to the turn's time have seen of an object (storage, name) whose writer rested, and how often
    that would have written (µs)."""


@dataclass(frozen=True)
class Controller:
    """One controller of the manager: which changes concern it, and what it does about a key."""

    name: str
    """As on the command line, e.g. ``deployment-controller``."""
    reconcile: Callable[[Turn], Steps]
    watches: tuple[tuple[str, Keys], ...]
    reads: tuple[str, ...] = ()
    """Kinds that it only looks up."""
    account: str = ""
    """Its service account in kube-system; the name if empty."""
    component: str = ""
    """Who its events come from; the account if empty."""
    workers: int = 5
    retries_max: int | None = None
    """Rejections after which a key is dropped until something changes."""
    backoff_base_us: int = BACKOFF_BASE_US
    backoff_max_us: int = BACKOFF_MAX_US
    ticks: tuple[Tick, ...] = ()
    addon: bool = False
    """Not part of the control plane proper."""
    every_kind: Callable[[str], Keys] | None = None
    """For the garbage collector: told of the changes of all kinds, by storage name."""
    qps_factor: int = 1
    """Multiplies --kube-api-qps for a controller that makes several requests for each object."""
    burst_factor: int = 1

    groups: tuple[str, ...] = ACCOUNT_GROUPS
    """Of its account."""
    root: bool = False
    """Asks as the manager itself, because it makes what accounts need to ask at all."""

    @property
    def user(self) -> User:
        if self.root:
            return User(MANAGER_USER, ("system:authenticated",))
        return User(f"system:serviceaccount:kube-system:{self.account or self.name}", self.groups)


def object_key(seen: Seen) -> tuple[tuple[str, str]]:
    """The changed object's own key."""
    metadata = seen.obj["metadata"]
    return ((metadata.get("namespace", ""), metadata["name"]),)
