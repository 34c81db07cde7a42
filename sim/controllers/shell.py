"""The shell around a controller: everything that is not its logic.

It lists before it watches, queues keys, runs one worker per key, makes the requests that reconcile yields over the
component's own limited client, waits until the view has caught up with the controller's last write for a key, puts a
key back after a rejection, sends events in the background. It can be killed at any yield and loses its memory.

Source: the run, processNextWorkItem and expectations code that every controller under k8s.io/kubernetes/pkg/controller
repeats (controller_utils.go UIDTrackingControllerExpectations). *Not modelled*: expectations that time out after five
minutes; a view that does not catch up keeps its key waiting until it is listed again.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from seatrial.sim.apiserver.client import Client, Unreachable
from seatrial.sim.apiserver.request import Object, Request
from seatrial.sim.apiserver.standing import Beat, Freshness
from seatrial.sim.apiserver.wiring import Wiring
from seatrial.sim.controllers.actions import (
    Action,
    After,
    Batch,
    Call,
    Create,
    Delete,
    Evict,
    Get,
    Key,
    ListAll,
    Outcome,
    Patch,
    Record,
    Steps,
    Turn,
    Update,
)
from seatrial.sim.controllers.controller import Controller, Keys, Seen, Tick
from seatrial.sim.controllers.events import Recorder
from seatrial.sim.controllers.informers import USER_AGENT, Informers
from seatrial.sim.controllers.workqueue import WorkQueue
from seatrial.sim.kernel.clock import Process
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.machinery.metrics import Labels
from seatrial.sim.store.view import View

Working = Generator[Any, Any, None]


class _Expected:
    """What the view must show before a key has its next turn: revisions of its own writes, objects gone."""

    __slots__ = ("gone", "revisions")

    def __init__(self) -> None:
        self.revisions: dict[str, int] = {}
        self.gone: list[tuple[str, str, str, str]] = []

    def met(self, view: Callable[[str], View]) -> bool:
        for storage, revision in self.revisions.items():
            if view(storage).revision < revision:
                return False
        while self.gone:
            storage, namespace, name, uid = self.gone[-1]
            obj = view(storage).get(namespace, name)
            if obj is not None and obj["metadata"]["uid"] == uid and "deletionTimestamp" not in obj["metadata"]:
                return False
            self.gone.pop()
        return True


class Shell:
    """A controller that runs."""

    def __init__(
        self,
        controller: Controller,
        wiring: Wiring,
        host: str,
        informers: Informers,
        settings: Any,
        shared: Any,
        user_agent: str = USER_AGENT,
    ) -> None:
        self.controller = controller
        self.name = controller.name
        self._wiring, self._clock, self._informers = wiring, wiring.clock, informers
        self._settings, self._shared = settings, shared
        limits = wiring.spec.client
        qps = limits.controller_manager_qps * controller.qps_factor
        burst = limits.controller_manager_burst * controller.burst_factor
        self.client = Client(wiring, host, controller.user, user_agent, qps, burst)
        self._rng = wiring.streams(f"controllers/{controller.name}")
        component = controller.component or controller.account or controller.name
        self._recorder = Recorder(component, self._rng.randrange(1000), self._send_events)
        self.queue = WorkQueue(self._clock, self._dispatch, controller.backoff_base_us, controller.backoff_max_us)
        self.memory: dict[Any, Any] = {}
        self._expected: dict[Key, _Expected] = {}
        self._parked: dict[Key, None] = {}
        self._triggers: dict[Key, int] = {}
        """The revision that made a key due; none of a key that a timer made due."""
        self._watched = {storage for storage, _ in controller.watches} | set(controller.reads)
        self._idle = controller.workers
        self._processes: dict[int, Process] = {}
        self._serial = 0
        self._sending = False
        self._ready = self._running = False
        for storage, keys in controller.watches:
            informers.of(storage).on_change(self._handler(storage, keys))
        for storage in controller.reads:
            informers.of(storage).on_change(self._unpark_handler)
        self._stirred, self._ticked = False, 0
        self._skipped: dict[Tick, int] = {}
        """Ticks that are skipped, and since when."""
        standing = wiring.endpoint.server.standing
        self._freshness = Freshness(standing, wiring.topology, wiring.endpoint.host, host)
        self._forget: Callable[[], None] | None = None
        for storage in {storage: None for tick in controller.ticks for storage in tick.stirred_by}:
            informers.of(storage).on_change(self._stir)
            if self._forget is None:
                self._forget = standing.on_leave(self._left)

    # --- changes become keys

    def _handler(self, storage: str, keys: Keys) -> Callable[[str, Object | None, Object | None], None]:
        queue, view, memory, clock = self.queue, self._informers.view, self.memory, self._clock
        triggers = self._triggers

        def on_change(verb: str, new: Object | None, old: Object | None) -> None:
            if not self._running:
                return
            for key in keys(Seen(verb, new, old, view, memory, clock.now, self._settings)):
                if type(key) is After:
                    queue.add_after(*key)
                else:
                    triggers[key] = int((old if new is None else new)["metadata"]["resourceVersion"])  # type: ignore[index]
                    queue.add(key)
            if self._parked:
                self._unpark()

        return on_change

    def follow(self, storage: str, keys: Keys) -> None:
        """Watches one more kind, as the garbage collector does when a custom resource appears."""
        self._informers.of(storage).on_change(self._handler(storage, keys))

    def _unpark_handler(self, verb: str, new: Object | None, old: Object | None) -> None:
        if self._parked:
            self._unpark()

    def _unpark(self) -> None:
        for key in [key for key in self._parked if self._caught_up(key)]:
            del self._parked[key]
            self.queue.add(key)

    def _caught_up(self, key: Key) -> bool:
        expected = self._expected.get(key)
        if expected is None:
            return True
        if expected.met(self._informers.view):
            del self._expected[key]
            return True
        return False

    # --- workers

    def start(self) -> Generator[Any, Any, None]:
        """Waits for the views, then lets workers go. A process of its own."""
        self._running = True
        yield from self._informers.wait_synced(sorted(self._watched))
        self._ready = True
        for tick in self.controller.ticks:
            self._tick(tick, tick.first_us or tick.period_us)
        self._dispatch()

    def _tick(self, tick: Tick, delay_us: int) -> None:
        def due() -> None:
            if not self._running:
                return
            if tick.stirred_by and not self._stirred and self.memory.get("calm"):
                self._skipped[tick] = self._clock.now
                return
            self._stirred, self._ticked = False, self._clock.now
            self.queue.add(tick.key)
            if tick.period_us:
                self._tick(tick, tick.period_us)

        self._clock.after(delay_us, due, periodic=True)

    def _left(self, beat: Beat) -> None:
        """A writer does not rest any more: what it wrote meanwhile has been seen."""
        if not self._ready:
            return
        for tick in self.controller.ticks:
            if beat.resource.storage in tick.stirred_by and tick.catch_up is not None:
                last = self._clock.now - (self._clock.now - self._ticked) % tick.period_us
                turn = self._turn(tick.key, last)
                tick.catch_up(turn, beat.resource.storage, beat.place[1], beat.pace.period_us)
        self._stir()

    def _stir(self, *change: Any) -> None:
        """Ticks that were skipped go on, at their rhythm."""
        self._stirred = True
        skipped, self._skipped = self._skipped, {}
        for tick, since in skipped.items():
            self._tick(tick, -(self._clock.now - since) % tick.period_us or tick.period_us)

    def kill(self) -> None:
        """As kill -9: between two yields, memory lost."""
        self._running = self._ready = False
        for process in list(self._processes.values()):
            process.kill()
        self._processes.clear()
        self._skipped.clear()
        if self._forget is not None:
            self._forget()
        self.queue.clear()
        self._recorder.forget()
        for each in (self.memory, self._expected, self._parked, self._triggers):
            each.clear()
        self._idle, self._sending = self.controller.workers, False

    def busy(self) -> list[str]:
        """Keys waiting or being worked on, for who asks why a cluster does not settle."""
        if not self._running:
            return []
        busy = [f"{self.name}: {len(self.queue)} keys"] if len(self.queue) else []
        if self._parked:
            busy.append(f"{self.name}: {len(self._parked)} keys wait for the view")
        if self._sending:
            busy.append(f"{self.name}: events to send")
        return busy

    def _dispatch(self) -> None:
        if self._ready and self._idle > 0 and len(self.queue):
            self._idle -= 1
            self._spawn(self._work(), self.name)

    def _spawn(self, generator: Generator[Any, Any, Any], name: str) -> Process:
        self._serial += 1
        serial = self._serial

        def run() -> Working:
            try:
                yield from generator
            finally:
                self._processes.pop(serial, None)

        process = self._clock.spawn(run(), name)
        self._processes[serial] = process
        return process

    def _work(self) -> Working:
        while (key := self.queue.take()) is not None:
            if self._caught_up(key):
                yield from self._sync(key)
            else:
                self._parked[key] = None
            self.queue.done(key)
        self._idle += 1

    def _sync(self, key: Key) -> Working:
        now, trigger = self._clock.now, self._triggers.pop(key, None)
        turn = self._turn(key, now)
        try:
            outcome = yield from self._drive(key, self.controller.reconcile(turn), (self.name, key, trigger))
        except (ApiError, Unreachable):
            self._put_back(key, trigger)
            return
        if outcome is None:
            self.queue.forget(key)
            return
        for other in outcome.also:
            if type(other) is After:
                self.queue.add_after(*other)
            else:
                self.queue.add(other)
        if outcome.retry:
            self._put_back(key, trigger)
            return
        self.queue.forget(key)
        if outcome.again_in_us is not None:
            self.queue.add_after(key, outcome.again_in_us, outcome.periodic)

    def _turn(self, key: Key, now: int) -> Turn:
        fresh = self._freshness
        informed = self._informers.view
        return Turn(
            informed,
            key,
            now,
            self.memory,
            self._now,
            self._settings,
            self._rng,
            self._shared,
            fresh.is_parked,
            fresh.seen_us,
            self._count,
        )

    def _count(self, name: str, labels: Labels) -> None:
        if self.client.meters is not None:
            self.client.meters.count(name, labels)

    def _now(self) -> int:
        return self._clock.now

    def _put_back(self, key: Key, trigger: int | None) -> None:
        if trigger is not None:
            self._triggers.setdefault(key, trigger)
        limit = self.controller.retries_max
        if limit is not None and self.queue.failures(key) >= limit:
            self.queue.forget(key)
        else:
            self.queue.add_rate_limited(key)

    # --- requests

    def _drive(self, key: Key, steps: Steps, cause: Any) -> Generator[Any, Any, Outcome | None]:
        try:
            action = next(steps)
            while True:
                try:
                    answer = yield from self._perform(key, action, cause)
                except (ApiError, Unreachable) as error:
                    action = steps.throw(error)
                else:
                    action = steps.send(answer)
        except StopIteration as stop:
            outcome: Outcome | None = stop.value
            return outcome

    def _perform(self, key: Key, action: Action, cause: Any) -> Generator[Any, Any, Any]:
        if type(action) is Record:
            self._recorder.record(self._clock.now, *action, cause)
            return None
        if type(action) is Batch:
            return (yield from self._batch(key, action.actions, cause))
        answer = yield from PERFORM[type(action)](self, action, cause)
        self._expect(key, action, answer)
        return answer

    def _batch(self, key: Key, actions: tuple[Action, ...], cause: Any) -> Generator[Any, Any, list[Any]]:
        answers: list[Any] = [None] * len(actions)

        def one(index: int, action: Action) -> Working:
            try:
                answers[index] = yield from self._perform(key, action, cause)
            except (ApiError, Unreachable) as error:
                answers[index] = error

        if len(actions) == 1:
            yield from one(0, actions[0])
            return answers
        processes = [self._spawn(one(index, action), self.name) for index, action in enumerate(actions)]
        for process in processes:
            yield process.join()
        return answers

    def _expect(self, key: Key, action: Action, answer: Any) -> None:
        """Notes what the view has to show before this key's next turn."""
        if type(action) is Delete:
            if action.uid and action.resource in self._watched:
                expected = self._expected.setdefault(key, _Expected())
                expected.gone.append((action.resource, action.namespace, action.name, action.uid))
            return
        if not isinstance(action, Create | Update | Patch) or action.resource not in self._watched:
            return
        revision = answer["metadata"].get("resourceVersion") if isinstance(answer, dict) else None
        if revision and (type(action) is not Create or not action.subresource):
            expected = self._expected.setdefault(key, _Expected())
            expected.revisions[action.resource] = max(expected.revisions.get(action.resource, 0), int(revision))

    def _resource(self, resource: Any) -> Any:
        return self._wiring.kinds.resource(resource) if isinstance(resource, str) else resource

    def _create(self, action: Create, cause: Any) -> Generator[Any, Any, Any]:
        return self.client.create(self._resource(action.resource), action.obj, action.subresource, cause)

    def _update(self, action: Update, cause: Any) -> Generator[Any, Any, Any]:
        return self.client.update(self._resource(action.resource), action.obj, action.subresource, cause)

    def _patch(self, action: Patch, cause: Any) -> Generator[Any, Any, Any]:
        resource, name, kind = self._resource(action.resource), action.name, action.content_type
        query = {"fieldManager": (action.field_manager,), "force": ("true",)} if action.field_manager else None
        return self.client.patch(resource, action.namespace, name, action.patch, kind, action.subresource, cause, query)

    def _delete(self, action: Delete, cause: Any) -> Generator[Any, Any, Any]:
        options = dict(action.options or {})
        if action.uid:
            options["preconditions"] = {**options.get("preconditions", {}), "uid": action.uid}
        resource = self._resource(action.resource)
        return self.client.delete(resource, action.namespace, action.name, options, cause)

    def _evict(self, action: Evict, cause: Any) -> Generator[Any, Any, Any]:
        metadata = {"namespace": action.namespace, "name": action.name}
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
        if action.options:
            eviction["deleteOptions"] = dict(action.options)
        return self.client.create(self._resource("pods"), eviction, "eviction", cause)

    def _get(self, action: Get, cause: Any) -> Generator[Any, Any, Any]:
        resource = self._resource(action.resource)
        if not action.subresource:
            return self.client.get(resource, action.namespace, action.name)
        base = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
        where = f"/namespaces/{action.namespace}" if action.namespace else ""
        return self._call(Call("GET", f"{base}{where}/{resource.plural}/{action.name}/{action.subresource}"), cause)

    def _list(self, action: ListAll, cause: Any) -> Generator[Any, Any, Any]:
        resource = self._resource(action.resource)
        items, _ = yield from self.client.list(resource, action.namespace, action.label_selector, action.field_selector)
        return items

    def _call(self, action: Call, cause: Any) -> Generator[Any, Any, Any]:
        request = Request(action.method, action.path, action.query, action.body, cause=cause)
        response = yield from self.client.call(request)
        if response.code >= 400:
            body = response.body if isinstance(response.body, dict) else {}
            message = body.get("message") or str(response.body)
            raise ApiError(response.code, body.get("reason", ""), message, body.get("details"))
        return response.body

    # --- events

    def _send_events(self) -> None:
        if not self._sending and self._running:
            self._sending = True
            self._spawn(self._sender(), f"{self.name} events")

    def _sender(self) -> Working:
        try:
            yield from self._recorder.send(self.client, self._resource("events"), self._now)
        except Unreachable:
            self._recorder.pending.clear()
        finally:
            self._sending = False


PERFORM: dict[type, Callable[..., Generator[Any, Any, Any]]] = {
    Create: Shell._create,
    Update: Shell._update,
    Patch: Shell._patch,
    Delete: Shell._delete,
    Evict: Shell._evict,
    Get: Shell._get,
    ListAll: Shell._list,
    Call: Shell._call,
}
