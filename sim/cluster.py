"""A whole cluster in one process: the composition root, and what library users meet first.

    cluster = Cluster(seed=7)
    cluster.apply(manifest)
    cluster.settle()
    cluster.advance("5m")
    cluster.get("deployment", "web")

Everything that enters from outside goes into the journal with its simulated time; specification, seed and journal give
the same history again, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import orjson

from seatrial.sim import causes, composition
from seatrial.sim.apiserver.bootstrap import bootstrap
from seatrial.sim.apiserver.client import Endpoint, error_of, prefix_of
from seatrial.sim.apiserver.kubelets import Kubelets
from seatrial.sim.apiserver.replay import Back, carried, request_of, request_value
from seatrial.sim.apiserver.request import Object, Request, Response, User
from seatrial.sim.apiserver.server import Apiserver
from seatrial.sim.apiserver.sessions import ENTRY as SESSION
from seatrial.sim.apiserver.sessions import Sessions
from seatrial.sim.apiserver.standing import FOLLOW, LOOK
from seatrial.sim.apiserver.wiring import External, Wiring
from seatrial.sim.config import ClusterSpec
from seatrial.sim.entrance import Entrance, Moment
from seatrial.sim.faults.catalogue import Faults, fault_of, value_of
from seatrial.sim.faults.fault import Fault
from seatrial.sim.kernel.clock import Clock, Process
from seatrial.sim.kernel.journal import Journal
from seatrial.sim.kernel.streams import Streams
from seatrial.sim.loads.load import Load, load_of
from seatrial.sim.loads.load import value_of as value_of_load
from seatrial.sim.loads.loads import Loads
from seatrial.sim.machinery import legacy
from seatrial.sim.machinery.kinds import Kinds, Resource
from seatrial.sim.network import addons
from seatrial.sim.network.addresses import ingress_address
from seatrial.sim.network.requests import Trace, origin_of
from seatrial.sim.settling import SETTLED_WITHIN_US, come_to_rest
from seatrial.sim.settling import NotSettled as NotSettled
from seatrial.sim.signing import ENTRY as CERTIFICATE
from seatrial.sim.signing import Signatures
from seatrial.sim.store.sqlite import Durable
from seatrial.sim.store.store import Store
from seatrial.sim.written import Objects, apply_request, resource_of
from seatrial.sim.written import duration_us as duration_us
from seatrial.sim.written import objects_of as objects_of

if TYPE_CHECKING:
    from seatrial.sim.nodeshell.shells import Ran

ADMIN: Final = User("kubernetes-admin", ("system:masters", "system:authenticated"))
USER_AGENT: Final = "kubectl/v1.37.2"
MERGE: Final = "application/merge-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
NOTE: Final = "note"
REQUEST: Final = "request"
"""The kind of a journal's entries about requests."""
FAULT: Final = "fault"
LOAD: Final = "load"
TRACE: Final = "trace"
CLOCK: Final = "clock"
"""What was done to the pace of time: of no consequence to a replay, but people want to see it."""
SKIP: Final = "skip"
"""Revisions go on from a higher number, because those below were used by a history that was given up."""


class Cluster:
    """A simulated cluster. Two of them never meet.

    ``state`` keeps it on disk; ``now`` (µs since the Unix epoch) is where its calendar begins, by default where the
    state was left, or at the specification's ``epoch_us``; ``boot`` counts restarts, each of which draws from random
    streams of its own; ``origin`` is the journal of a history to begin as, of which only what it began with is taken;
    ``verify`` makes the store look for objects changed in place (slower); without ``lazy`` every heartbeat is executed
    (much slower, and the same but for the numbering of revisions; see ``apiserver.standing``).
    """

    def __init__(
        self,
        spec: ClusterSpec | None = None,
        seed: int = 0,
        *,
        boot: int = 0,
        now: int | None = None,
        state: Durable | None = None,
        origin: Journal | None = None,
        verify: bool = False,
        ca_certificate: str = "",
        lazy: bool = True,
    ) -> None:
        self.spec = spec = spec if spec is not None else ClusterSpec()
        self.seed = seed
        if now is None:
            now = int((state.fact("now") if state is not None else None) or spec.epoch_us)
        header = {"seed": seed, "boot": boot, "now": now, "spec": spec.model_dump(mode="json"), "lazy": lazy}
        self.journal = Journal({**header, "ca": ca_certificate})
        """What came from outside since the beginning, for a replay."""
        self.clock = Clock(now)
        self.streams = Streams(f"{seed}/{boot}" if boot else seed)
        self.kinds: Kinds = legacy.table(spec.api_profile)
        limits = spec.apiserver
        self._store = Store(self.clock, limits.watch_cache_changes, limits.quota_bytes, verify)
        self.state = state
        if origin is not None and "revision" in origin.header:
            self._store.restore(origin.header["revision"], iter(origin.kept))
        if state is not None:
            state.load(self._store)
            state.follow(self._store)
        if self._store.revision > 1:
            kept = self._store
            self.journal.header["revision"] = kept.revision
            self.journal.kept = [(name, obj) for name in kept.storages() for obj in kept.list(name)]
        self.topology = composition.topology(spec)
        kubelets = Kubelets(self.topology, composition.CONTROL_PLANE)
        self.server = Apiserver(spec, self._store, self.clock, self.streams, self.kinds, kubelets)
        self.endpoint = Endpoint(self.server, self.clock, self.topology, composition.CONTROL_PLANE)
        self.wiring = Wiring(spec, self.clock, self.streams, self.topology, self.kinds, self.endpoint, kubelets)
        self._entrance = Entrance(self.clock, self.journal, self.wiring.external, lambda: self._store.revision)
        self.wiring.external = self._entrance.external
        self.sessions = kubelets.sessions = Sessions(kubelets, self.enter)
        """What clients hold open into the cluster."""
        self.server.standing.lazy, self.server.standing.enter = lazy, self._entrance.enter
        bootstrap(self.server, ca_certificate)
        self.signatures = Signatures(self.journal, self.clock)
        """Who signs certificates."""
        parts = composition.parts(self.wiring, ca_certificate, self.signatures.sign)
        if parts.network is not None and spec.addons:
            addons.install(self.server, spec, self.kinds)
        self.components = parts.components
        self.nodes = {node.host: node for node in parts.nodes}
        """Machines by name."""
        self.networking = parts.network
        seams = composition.seams(self.wiring, parts, self.nodes, self._store)
        self.faults = Faults(seams)
        """What is broken now; ``add_fault`` and ``remove_fault`` change it."""
        self.loads = Loads(self.wiring, parts.network.requests if parts.network is not None else None)
        """What is asked of the cluster all the time; ``add_load`` and ``remove_load`` change it."""
        if parts.network is not None:
            ingresses = partial(self._store.list, "ingresses.networking.k8s.io")
            parts.network.requests.hosts_file = lambda host: ingress_address(ingresses(), host)
        self.shells = composition.shells(parts, seams, self.faults, self.server, self.sessions, ca_certificate)
        """The machines from inside, for ``ssh``; None where there are no machines."""
        self.server.aggregation.connect(lambda call: self.wiring.external(call), lambda: self.endpoint.up)
        self._take_in()
        for component in self.components:
            component.start()

    def _take_in(self) -> None:
        """Says who takes what a journal holds in a replay."""
        standing = self.server.standing
        takes: dict[str, Callable[[Any], Any]] = {
            REQUEST: self._replay_request,
            SESSION: self.sessions.replay,
            FAULT: self._replay_fault,
            LOAD: self._replay_load,
            TRACE: self._trace_route,
            SKIP: self._store.skip,
            LOOK: lambda _: standing.look(),
            FOLLOW: lambda value: standing.follow(*value),
            CLOCK: lambda _: None,
            NOTE: lambda _: None,
        }
        for kind, take in takes.items():
            self.on_replay(kind, take)

    @property
    def store(self) -> Store:
        """What the API server keeps, with every heartbeat that was due by now."""
        standing = self.server.standing
        if standing.is_due():
            self._entrance.enter(LOOK, None)
            standing.look()
        return self._store

    # time

    @property
    def now(self) -> int:
        """Simulated µs since the Unix epoch."""
        return self.clock.now

    def run_until(self, when: int) -> None:
        """Lets everything happen up to and including ``when`` (µs since the Unix epoch)."""
        self.clock.run_until(when)
        self._note_time()

    def run(self, us: int) -> None:
        """``run_until``, ``us`` from now."""
        self.run_until(self.clock.now + us)

    def advance(self, duration: str | int) -> None:
        """Lets time pass: ``"5m"``, ``"1h30m"``, ``"250ms"``, or µs."""
        self.run(duration_us(duration))

    def settle(self, within_us: int = SETTLED_WITHIN_US) -> None:
        """Runs until nothing is under way: no work queued or in flight, every view current, and nothing due once within
        ``within_us``. Rhythms and long back-offs do not count. Raises NotSettled after ten simulated minutes."""
        try:
            come_to_rest(self.clock, self.busy, within_us)
        finally:
            self._note_time()
        self._store.check_integrity()

    def busy(self) -> list[str]:
        """What keeps the cluster from being settled, beyond what the clock knows."""
        found = [what for component in self.components for what in component.busy()]
        found += [f"{informer!r}: {what}" for informer in self.wiring.informers if (what := informer.busy())]
        return found

    def _note_time(self) -> None:
        self._entrance.note_time()

    # requests

    def request(self, request: Request) -> Response:
        """Sends a request at this moment and returns the answer; time passes only where the server calls out of the
        simulation. A request without user or credentials is the administrator's."""
        if request.user is None and request.credentials is None:
            request.user = ADMIN
        self.enter(REQUEST, request_value(request))
        return self._serve(request)

    def _serve(self, request: Request) -> Response:
        answered: list[Response | None] = []
        process = self._begin(request, answered.append)
        while process.alive:
            due = self.clock.next_due
            if due is None:
                raise NotSettled((process.name,))
            self.clock.run_until(due)
        (response,) = answered
        if response is None:
            raise process.value
        return response

    def submit(self, request: Request, back: Back) -> None:
        """Lets a request in from a client outside, at this moment; ``back`` is given the response, perhaps later, or
        None when the server broke over it."""
        self.enter(REQUEST, request_value(request))
        self._begin(request, back)

    def _begin(self, request: Request, back: Back) -> Process:
        steps = self.endpoint.serve(request, self.wiring)
        process = self.clock.spawn(carried(steps, back), f"{request.method} {request.path}")
        self.clock.run_until(self.clock.now)
        return process

    def enter(self, kind: str, value: Any) -> None:
        """Writes down that something comes in from outside at this moment; ``on_replay`` says who takes it in when
        the history is replayed."""
        self._entrance.enter(kind, value)

    def note(self, value: Any) -> None:
        """Writes something (JSON-shaped) into the journal that changes nothing, for whoever reads the history."""
        self.enter(NOTE, value)

    def connect(self, perform: External) -> None:
        """Lets calls leave the simulation: ``perform`` makes them."""
        self._entrance.perform = perform

    def attach(self, component: composition.Component) -> None:
        """Starts one more component, such as an operator under test; faults know it by its name."""
        self.components.append(component)
        self.faults.know(component)
        component.start()

    # faults

    def add_fault(
        self, fault: Fault | Mapping[str, Any], name: str = "", after: str | int = 0, lasts: str | int | None = None
    ) -> str:
        """Breaks something (see docs/faults.md), now or later, for good or for a while: ``{"kind": "node-crash",
        "node": "w1-k8s"}``. Returns the name by which it is removed. Raises ValueError."""
        value = value_of(fault) if isinstance(fault, Fault) else dict(fault)
        after_us, lasts_us = duration_us(after), None if lasts is None else duration_us(lasts)
        self.clock.run_until(self.clock.now)
        made = self.faults.add(fault_of(value), name, after_us, lasts_us)
        self._journal_fault({"add": value, "name": made, "after": after_us, "lasts": lasts_us})
        return made

    def remove_fault(self, name: str) -> None:
        """Takes a fault back. Raises KeyError."""
        self.clock.run_until(self.clock.now)
        self.faults.remove(name)
        self._journal_fault({"remove": name})

    def _journal_fault(self, value: Mapping[str, Any]) -> None:
        self.journal.append(self.clock.now, FAULT, value)

    def _replay_fault(self, value: Mapping[str, Any]) -> None:
        if "remove" in value:
            self.faults.remove(value["remove"])
        else:
            self.faults.add(fault_of(value["add"]), value["name"], value["after"], value["lasts"])

    # loads

    def add_load(
        self, load: Load | Mapping[str, Any], name: str = "", after: str | int = 0, lasts: str | int | None = None
    ) -> str:
        """Asks a URL of the cluster again and again (see docs/loads.md), from now or later on, for good or for a while:
        ``{"kind": "constant", "url": "http://web", "level": 100}``. Returns the name by which ``loads.show`` knows its
        figures and by which it is removed. Raises ValueError."""
        value = value_of_load(load) if isinstance(load, Load) else dict(load)
        after_us, lasts_us = duration_us(after), None if lasts is None else duration_us(lasts)
        self.clock.run_until(self.clock.now)
        made = self.loads.add(load_of(value), name, after_us, lasts_us)
        self.journal.append(self.clock.now, LOAD, {"add": value, "name": made, "after": after_us, "lasts": lasts_us})
        return made

    def remove_load(self, name: str) -> None:
        """Ends a load and forgets its figures. Raises KeyError."""
        self.clock.run_until(self.clock.now)
        self.loads.remove(name)
        self.journal.append(self.clock.now, LOAD, {"remove": name})

    def _replay_load(self, value: Mapping[str, Any]) -> None:
        if "remove" in value:
            self.loads.remove(value["remove"])
        else:
            self.loads.add(load_of(value["add"]), value["name"], value["after"], value["lasts"])

    def ssh(
        self, node: str, command: str | Sequence[str] = "", stdin: str | bytes = b"", timeout: str | int = "10m"
    ) -> Ran:
        """Runs a command on a machine as ``ssh root@NODE COMMAND`` does (docs/node-shell.md), or else the script
        ``stdin``. Time passes meanwhile. Raises LookupError without machines, TimeoutError when it does not end."""
        if self.shells is None:
            raise LookupError("this cluster has no machines to log in to")
        try:
            return self.shells.run(node, command, stdin, duration_us(timeout))
        finally:
            self._note_time()

    # objects

    def apply(self, manifest: str | bytes | Object | Iterable[Object], namespace: str = "default") -> list[Object]:
        """Creates or changes objects as ``kubectl apply --server-side`` with force would; returns them as stored.

        ``manifest`` is YAML or JSON text, an object, or several. Raises ApiError for what the server refuses,
        ValueError for text that is no manifest.
        """
        return [self._answer(apply_request(self.kinds, obj, namespace)) for obj in objects_of(manifest)]

    def get(self, kind: str, name: str, namespace: str = "default") -> Object:
        """One object; ``kind`` as kubectl takes it (deployment, deploy, deployments.apps). Raises ApiError 404."""
        return self._answer(Request("GET", self._path(kind, namespace, name)))

    def list(self, kind: str, namespace: str | None = None, label_selector: str = "") -> Objects:
        """The objects of a kind, of all namespaces by default."""
        query = {"labelSelector": (label_selector,)} if label_selector else {}
        answer = self._answer(Request("GET", self._path(kind, namespace or ""), query))
        items: Objects = answer["items"]
        return items

    def delete(self, kind: str, name: str, namespace: str = "default", options: Object | None = None) -> Object:
        """Deletes one object; ``options`` is a DeleteOptions. Raises ApiError 404."""
        return self._answer(Request("DELETE", self._path(kind, namespace, name), body=options))

    def patch(self, kind: str, name: str, patch: Any, namespace: str = "default", subresource: str = "") -> Object:
        """Changes fields of an object by a strategic merge patch (a merge patch for custom kinds). Raises ApiError."""
        content_type = MERGE if self.resource(kind).custom else STRATEGIC
        path = self._path(kind, namespace, name) + (f"/{subresource}" if subresource else "")
        return self._answer(Request("PATCH", path, body=orjson.dumps(patch), content_type=content_type))

    def evict(self, name: str, namespace: str = "default") -> Object:
        """Asks for a pod to be evicted, as ``kubectl drain`` does. Raises ApiError 429 while a budget forbids it."""
        metadata = {"name": name, "namespace": namespace}
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
        return self._answer(Request("POST", self._path("pods", namespace, name) + "/eviction", body=body))

    def _path(self, kind: str, namespace: str, name: str = "") -> str:
        resource = self.resource(kind)
        return prefix_of(resource).path(namespace if resource.namespaced else "", name)

    def _answer(self, request: Request) -> Object:
        request.user_agent = request.user_agent or USER_AGENT
        response = self.request(request)
        if response.code >= 400:
            raise error_of(response)
        body: Object = response.body
        return body

    def resource(self, kind: str) -> Resource:
        """The kind that a word names, as kubectl finds it. Raises ValueError."""
        return resource_of(self.kinds, kind)

    # history

    def digest(self) -> str:
        """Of the whole history of the store: equal digests mean equal histories."""
        return self.store.digest()

    def trace_route(self, origin: str, url: str, method: str = "GET") -> Trace:
        """The walk of one request at this moment, step by step, and where and how it ended: names, services, address
        translation, policies, links, the pod. ``origin`` is a pod (NAME or NAMESPACE/NAME), a node, or ``outside``.

        The request is made: a container answers it. Raises ValueError for who does not exist and for what is no URL,
        LookupError where there is no network.
        """
        if self.networking is None:
            raise LookupError("this cluster has no network: it has no machines of its own")
        self.clock.run_until(self.clock.now)
        found = self._trace_route({"origin": origin, "url": url, "method": method})
        self.journal.append(self.clock.now, TRACE, {"origin": origin, "url": url, "method": method})
        return found

    def _trace_route(self, about: Mapping[str, str]) -> Trace:
        assert self.networking is not None
        requests = self.networking.requests
        return requests.trace(origin_of(requests.plane, about["origin"]), about["url"], about["method"])

    def why(self, kind: str, name: str, namespace: str = "default") -> causes.Story:
        """How an object came about, what happened to it and what each step followed from, the user's command first.

        Printed, it is one line per step. Empty when the log knows nothing of the object.
        """
        resource = self.resource(kind)
        return causes.story(self.store, self.kinds, resource.storage, namespace if resource.namespaced else "", name)

    def explain(self, pod: str | Object, namespace: str = "default") -> Object:
        """Every scheduler plug-in's verdict and score per node for a pod: by name for one that is there, bound or not,
        or as an object (a pod, or a workload, whose first pod is meant) for one that is not.

        Raises ApiError for a pod that there is not or that the API server would refuse, LookupError when no scheduler
        is there to ask, ValueError for an object without a pod in it.
        """
        if isinstance(pod, str):
            found = self.get("pod", pod, namespace)
        else:
            found = self._answer(self.dry_run(pod, namespace))
        return self.explain_found(found)

    def dry_run(self, manifest: Object, namespace: str) -> Request:
        """The request that has the API server make a manifest's pod what it would become. Raises ValueError."""
        from seatrial.sim.scheduler.whatif import pod_of

        pod = pod_of(manifest)
        path = self._path("pod", pod["metadata"].get("namespace") or namespace, "")
        return Request("POST", path, {"dryRun": ("All",)}, orjson.dumps(pod))

    def explain_found(self, pod: Object) -> Object:
        """``explain`` for a pod as the API server gave it."""
        schedulers = [each for each in self.components if each.name == "kube-scheduler"]
        if not schedulers:
            raise LookupError("this cluster has no scheduler")
        from seatrial.sim.scheduler.whatif import what_if

        explained: Object = what_if(next((each for each in schedulers if each.leads), schedulers[0]), pod)
        return explained

    @classmethod
    def replay(cls, journal: Journal, until: Moment | None = None) -> Cluster:
        """The cluster whose journal this is, at the moment of its last entry or at an earlier one. Raises ValueError
        for an entry of an unknown kind."""
        cluster = cls.begin(journal)
        cluster.follow(journal, until)
        return cluster

    @classmethod
    def begin(cls, journal: Journal) -> Cluster:
        """The cluster whose journal this is, at its beginning; ``following`` goes on from there."""
        header = journal.header
        spec = ClusterSpec.model_validate(header["spec"])
        now, authority = header["now"], header["ca"]
        began = {"boot": header["boot"], "now": now, "ca_certificate": authority}
        return cls(spec, header["seed"], **began, origin=journal, lazy=header.get("lazy", True))

    def follow(self, journal: Journal, until: Moment | None = None) -> None:
        """Lets everything enter again that the journal holds, at its time, up to a moment."""
        for _ in self.following(journal, until):
            pass

    def following(self, journal: Journal, until: Moment | None = None) -> Iterator[float]:
        """``follow`` in pieces: yields now and then how much of the time is over, from 0 to 1."""
        for at, kind, value in journal.entries:
            if kind == CERTIFICATE and (until is None or at <= until.at_us):
                self.signatures.know(value)
        with self.server.standing.replaying():
            yield from self._entrance.follow(journal, until)

    def on_replay(self, kind: str, call: Callable[[Any], Any]) -> None:
        """Who takes in the journal's entries of a kind when they are replayed."""
        self._entrance.on_replay(kind, call)

    def _replay_request(self, value: Mapping[str, Any]) -> None:
        self._begin(request_of(value), lambda _: None)
