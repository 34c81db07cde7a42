"""A controller driven by hand: views that always are current, and the simplest server that can answer it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from seatrial.sim.config import ClusterSpec, S
from seatrial.sim.controllers.actions import Batch, Call, Create, Delete, Get, ListAll, Patch, Record, Turn, Update
from seatrial.sim.controllers.informers import INDEXERS, OWNED
from seatrial.sim.kernel.clock import stamp_of
from seatrial.sim.kernel.streams import suffix
from seatrial.sim.machinery.errors import ApiError, not_found
from seatrial.sim.store.view import View

Object = dict[str, Any]


class World:
    """``settle`` runs reconcile until it changes nothing; ``log`` has every action it made."""

    def __init__(self, reconcile: Callable[[Turn], Any], now: int = 1_767_225_600 * S, **shared: Any) -> None:
        self.reconcile = reconcile
        self.now = now
        self.shared = shared
        self.views: dict[str, View] = {}
        self.memory: dict[Any, Any] = {}
        self.log: list[Any] = []
        self.judge: Callable[[Any], Any] = lambda action: None
        """May answer in the server's place, or raise ApiError."""
        self._revision = 0
        self._rng = Random(7)

    def view(self, storage: str) -> View:
        if storage not in self.views:
            self.views[storage] = View(INDEXERS.get(storage, OWNED))
        return self.views[storage]

    def put(self, storage: str, obj: Mapping[str, Any]) -> Object:
        """Stores an object as it is, with a uid and a revision."""
        self._revision += 1
        metadata = {"namespace": "default", "creationTimestamp": stamp_of(self.now), **obj["metadata"]}
        if not metadata.get("name"):
            metadata["name"] = metadata["generateName"] + suffix(self._rng, 5)
        metadata.setdefault("uid", f"uid-{storage}-{metadata['name']}-{self._revision}")
        metadata["resourceVersion"] = str(self._revision)
        stored = {**obj, "metadata": metadata}
        self.view(storage).apply("MODIFIED", stored)
        return stored

    def get(self, storage: str, name: str, namespace: str = "default") -> Any:
        return self.view(storage).get(namespace, name)

    def run(self, key: Any) -> Any:
        """One reconcile of a key. Returns its outcome."""
        turn = Turn(
            self.view,
            key,
            self.now,
            self.memory,
            lambda: self.now,
            ClusterSpec(),
            self._rng,
            self.shared,
        )
        steps = self.reconcile(turn)
        try:
            action = next(steps)
            while True:
                try:
                    answer = self._perform(action)
                except ApiError as error:
                    action = steps.throw(error)
                else:
                    action = steps.send(answer)
        except StopIteration as done:
            return done.value

    def settle(self, key: Any, rounds: int = 60) -> None:
        for _ in range(rounds):
            before = self._revision
            try:
                self.run(key)
            except ApiError:
                continue
            if self._revision == before:
                return
        raise AssertionError(f"{key} does not come to rest")

    def made(self, kind: type) -> list[Any]:
        """The actions of one kind, in order."""
        return [action for action in self.log if type(action) is kind]

    def _perform(self, action: Any) -> Any:
        if type(action) is Batch:
            answers = []
            for each in action.actions:
                try:
                    answers.append(self._perform(each))
                except ApiError as error:
                    answers.append(error)
            return answers
        self.log.append(action)
        judged = self.judge(action)
        return judged if judged is not None else PERFORM[type(action)](self, action)

    def _create(self, action: Create) -> Object:
        obj = {**action.obj, **({"status": {"phase": "Pending"}} if action.resource == "pods" else {})}
        return self.put(action.resource, obj)

    def _update(self, action: Update) -> Object:
        return self.put(action.resource, action.obj)

    def _delete(self, action: Delete) -> Object:
        obj = self.get(action.resource, action.name, action.namespace)
        if obj is None:
            raise not_found("", action.resource, action.name)
        self._revision += 1
        self.view(action.resource).apply("DELETED", obj)
        return obj

    def _get(self, action: Get) -> Object:
        obj = self.get(action.resource, action.name, action.namespace)
        if obj is None:
            raise not_found("", action.resource, action.name)
        return obj

    def _list(self, action: ListAll) -> list[Object]:
        return self.view(action.resource).list(action.namespace or None)


PERFORM: dict[type, Callable[..., Any]] = {
    Create: World._create,
    Update: World._update,
    Delete: World._delete,
    Get: World._get,
    ListAll: World._list,
    Patch: lambda world, action: None,
    Record: lambda world, action: None,
    Call: lambda world, action: None,
}
