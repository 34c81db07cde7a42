"""Goals as expressions: CEL over the objects of a cluster and over what its clients got.

An expression is compiled once and evaluated against the state as it is; it sees nothing of a component's memory, and
evaluating it changes nothing. An object that is not there makes an expression that asks for it false, never true.
docs/scenarios.md lists the functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple, Protocol

from seatrial.sim.machinery import selectors
from seatrial.sim.machinery.cel.declarations import Overload, functions, overload
from seatrial.sim.machinery.cel.environment import BASE, Environment
from seatrial.sim.machinery.cel.errors import CelError, EvaluationError, Issue
from seatrial.sim.machinery.cel.program import Program
from seatrial.sim.machinery.cel.syntax import Call, Literal, Node
from seatrial.sim.machinery.cel.values import Opaque
from seatrial.sim.machinery.kinds import Resource
from seatrial.sim.written import duration_us

Object = Mapping[str, Any]
DEFAULT, EVERY = "default", "*"
CLIENTS = "clients"
"""What an expression depends on that asks for clients: it may change while no object does."""
ANYTHING = "*"
READY_FIELD = {"DaemonSet": "numberReady", "Job": "succeeded"}


class Tally(NamedTuple):
    """Requests that clients finished."""

    served: int
    failed: int


class Scene(Protocol):
    """What expressions look at."""

    def resource(self, kind: str) -> Resource:
        """Raises ValueError."""

    def client(self, name: str) -> None:
        """Raises ValueError for a client that there cannot be."""

    def one(self, storage: str, namespace: str, name: str) -> Object | None: ...

    def all(self, storage: str, namespace: str | None) -> list[Any]: ...

    def tally(self, client: str, span_us: int) -> Tally:
        """Of the last ``span_us``. Raises KeyError for a client that there is not."""

    def first_uid(self, storage: str, namespace: str, name: str) -> str:
        """The object's uid when the scenario began; empty if it was not there."""


class Predicate:
    """A compiled expression of one scene."""

    def __init__(self, source: str, program: Program, depends: frozenset[str], seen: dict[str, Any]) -> None:
        self.source = source
        self.depends = depends
        """Kinds (their storage), CLIENTS or ANYTHING: what has to change before the value can."""
        self._program = program
        self._seen = seen

    def holds(self) -> bool:
        """Whether it is true now; whatever cannot be evaluated is not."""
        try:
            return self._program.evaluate({}) is True
        except EvaluationError:
            return False

    def observed(self) -> str:
        """What its parts are now, for whoever asks why it does not hold."""
        self._seen.clear()
        try:
            self._program.evaluate({})
        except EvaluationError as problem:
            self._seen["but"] = str(problem)
        return "; ".join(f"{name}: {value}" if name == "but" else f"{name} is {value}" for name, value in self.parts())

    def parts(self) -> Iterator[tuple[str, Any]]:
        for name, value in self._seen.items():
            if isinstance(value, list):
                yield name, f"{len(value)} objects"
            elif not isinstance(value, dict):
                yield name, str(value).lower() if isinstance(value, bool) else value


class Compiler:
    """Compiles expressions for one scene."""

    def __init__(self, scene: Scene) -> None:
        self._seen: dict[str, Any] = {}
        library = [_noting(each, self._seen) for each in library_of(scene)]
        self._environment = Environment({}, {**BASE, **functions(library)})
        self._scene = scene

    def compile(self, source: str) -> Predicate:
        """Raises CelError for what is no expression, is not true or false, or names a kind, client or span that is
        none."""
        program = self._environment.compile(source)
        if not (program.result.dynamic or program.result.kind == "bool"):
            raise CelError(source, [Issue(0, f"it is neither true nor false but of type {program.result}")])
        calls = list(_calls(program.checked.tree))
        for call, reference in _references(calls):
            kind, slash, name = str(reference.value).partition("/")
            try:
                self._scene.resource(kind)
            except ValueError as problem:
                raise CelError(source, [Issue(reference.at, str(problem))]) from None
            if NAMED[call] and not (slash and name):
                raise CelError(source, [Issue(reference.at, f"{call} wants kind/name, as in 'deployment/web'")])
        for client, span in _asked(calls):
            for word, check in ((client, self._scene.client), (span, duration_us)):
                try:
                    check(str(word.value))
                except ValueError as problem:
                    raise CelError(source, [Issue(word.at, str(problem))]) from None
        return Predicate(source, program, frozenset(self._depends(calls)), self._seen)

    def _depends(self, calls: list[Call]) -> Iterator[str]:
        for call in calls:
            kinds = USES.get(call.function)
            if kinds is None:
                continue
            for kind in kinds:
                if kind == ARGUMENT:
                    first = call.args[0] if call.args else None
                    known = isinstance(first, Literal) and isinstance(first.value, str)
                    yield self._scene.resource(first.value.partition("/")[0]).storage if known else ANYTHING  # type: ignore[union-attr]
                else:
                    yield kind


def _calls(node: Any) -> Iterator[Call]:
    if isinstance(node, Call):
        yield node
    if isinstance(node, Node) and is_dataclass(node):
        for field in fields(node):
            value = getattr(node, field.name)
            for each in value if isinstance(value, tuple) else (value,):
                yield from _calls(each)


def _references(calls: list[Call]) -> Iterator[tuple[str, Literal]]:
    """The words that name objects or kinds, where they are written out."""
    for call in calls:
        first = call.args[0] if call.args else None
        if call.function in NAMED and isinstance(first, Literal) and isinstance(first.value, str):
            yield call.function, first


def _asked(calls: list[Call]) -> Iterator[tuple[Literal, Literal]]:
    """Clients and spans that are asked about, where they are written out."""
    for call in calls:
        if USES.get(call.function) == (CLIENTS,):
            name, span = call.args
            if isinstance(name, Literal) and isinstance(span, Literal):
                yield name, span


def _noting(each: Overload, seen: dict[str, Any]) -> Overload:
    call = each.call

    def noted(*args: Any) -> Any:
        name = f"{each.function}({', '.join(repr(arg) if isinstance(arg, str) else str(arg) for arg in args)})"
        try:
            value = call(*args)
        except EvaluationError as problem:
            seen[name] = f"not to be had ({problem})"
            raise
        seen[name] = value
        return value

    return each._replace(call=noted)


ARGUMENT = "argument"
PODS, SLICES, EVENTS, NODES = "pods", "endpointslices.discovery.k8s.io", "events", "nodes"
USES: Mapping[str, tuple[str, ...]] = {
    "obj": (ARGUMENT,),
    "there": (ARGUMENT,),
    "objs": (ARGUMENT,),
    "ready": (ARGUMENT,),
    "rolledOut": (ARGUMENT,),
    "condition": (ARGUMENT,),
    "kept": (ARGUMENT,),
    "happened": (EVENTS,),
    "endpoints": (SLICES,),
    "restarts": (PODS,),
    "podsOn": (PODS,),
    "calm": (PODS, NODES, EVENTS),
    "served": (CLIENTS,),
    "failed": (CLIENTS,),
    "share": (CLIENTS,),
}
"""Function → what it reads."""
NAMED = {
    **dict.fromkeys(("obj", "there", "ready", "rolledOut", "condition", "kept", "happened"), True),
    "objs": False,
}
"""Functions whose first argument names an object (or, False, a kind)."""


class Reads:
    """What the functions of expressions look up in a scene; each raises EvaluationError for what is not there."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def find(self, reference: str, namespace: str = DEFAULT) -> tuple[Resource, str, str]:
        kind, _, name = reference.partition("/")
        try:
            resource = self._scene.resource(kind)
        except ValueError as problem:
            raise EvaluationError(str(problem)) from None
        return resource, namespace if resource.namespaced else "", name

    def maybe(self, reference: str, namespace: str = DEFAULT) -> Object | None:
        resource, place, name = self.find(reference, namespace)
        return self._scene.one(resource.storage, place, name)

    def obj(self, reference: str, namespace: str = DEFAULT) -> Object:
        found = self.maybe(reference, namespace)
        if found is None:
            raise EvaluationError(f"there is no {reference}")
        return found

    def objs(self, kind: str, selector: str = "", namespace: str = DEFAULT) -> list[Any]:
        resource, place, _ = self.find(kind, namespace)
        found = self._scene.all(resource.storage, None if namespace == EVERY or not resource.namespaced else place)
        matches = selectors.labels(selector)
        return [each for each in found if matches(each["metadata"].get("labels") or {})] if selector else found

    def condition(self, reference: str, kind: str, namespace: str = DEFAULT) -> str:
        for each in self.obj(reference, namespace).get("status", {}).get("conditions") or ():
            if each["type"] == kind:
                return str(each["status"])
        return ""

    def ready(self, reference: str, namespace: str = DEFAULT) -> int:
        found = self.obj(reference, namespace)
        kind, status = found["kind"], found.get("status") or {}
        if kind in ("Pod", "Node"):
            fine = "deletionTimestamp" not in found["metadata"] and is_true(found, "Ready")
            return int(fine)
        return int(status.get(READY_FIELD.get(kind, "readyReplicas")) or 0)

    def restarts(self, selector: str, namespace: str = DEFAULT) -> int:
        counts = (
            each.get("restartCount", 0)
            for pod in self.objs("pods", selector, namespace)
            for each in (pod.get("status", {}).get("containerStatuses") or ())
        )
        return sum(counts)

    def pods_on(self, node: str, selector: str = "") -> int:
        """Pods of a node that a drain would have to move."""
        return sum(
            1
            for pod in self.objs("pods", selector, EVERY)
            if pod["spec"].get("nodeName") == node and not stays(pod) and not ended(pod)
        )

    def endpoints(self, service: str, namespace: str = DEFAULT) -> int:
        addresses = {
            address
            for each in self._scene.all(SLICES, namespace)
            if (each["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == service
            for endpoint in each.get("endpoints") or ()
            if (endpoint.get("conditions") or {}).get("ready") is not False
            for address in endpoint["addresses"]
        }
        return len(addresses)

    def kept(self, reference: str, namespace: str = DEFAULT) -> bool:
        resource, place, name = self.find(reference, namespace)
        found = self._scene.one(resource.storage, place, name)
        first = self._scene.first_uid(resource.storage, place, name)
        return found is not None and bool(first) and found["metadata"]["uid"] == first

    def happened(self, reference: str, reason: str, namespace: str = DEFAULT) -> bool:
        resource, place, name = self.find(reference, namespace)
        return any(
            each.get("reason") == reason
            and each["involvedObject"].get("kind") == resource.kind
            and each["involvedObject"].get("name") == name
            for each in self._scene.all(EVENTS, place or DEFAULT)
        )

    def calm(self) -> bool:
        """Whether everything runs that is meant to."""
        pods = [pod for pod in self._scene.all(PODS, None) if not ended(pod)]
        nodes = self._scene.all(NODES, None)
        return all(map(fine_pod, pods)) and all(is_true(each, "Ready") for each in nodes) and workloads_met(self._scene)

    def counted(self, client: str, span: Any) -> Tally:
        try:
            return self._scene.tally(client, span_of(span))
        except KeyError:
            raise EvaluationError(f"there is no client {client!r}") from None

    def share(self, client: str, span: Any) -> float:
        tally = self.counted(client, span)
        total = tally.served + tally.failed
        return tally.served / total if total else 0.0


def library_of(scene: Scene) -> list[Overload]:
    """The functions of expressions, over a scene."""
    reads = Reads(scene)
    here: list[tuple[str, str, str, Callable[..., Any]]] = [
        ("obj", "(string): dyn", "(string, string): dyn", reads.obj),
        ("there", "(string): bool", "(string, string): bool", lambda *args: reads.maybe(*args) is not None),
        ("ready", "(string): int", "(string, string): int", reads.ready),
        ("rolledOut", "(string): bool", "(string, string): bool", lambda *args: rolled_out(reads.obj(*args))),
        ("condition", "(string, string): string", "(string, string, string): string", reads.condition),
        ("kept", "(string): bool", "(string, string): bool", reads.kept),
        ("happened", "(string, string): bool", "(string, string, string): bool", reads.happened),
        ("endpoints", "(string): int", "(string, string): int", reads.endpoints),
        ("restarts", "(string): int", "(string, string): int", reads.restarts),
        ("podsOn", "(string): int", "(string, string): int", reads.pods_on),
    ]
    found = [
        overload(name, f"{name}_{number}", signature, call)
        for name, *signatures, call in here
        for number, signature in enumerate(signatures)
    ]
    found += [
        overload("objs", f"objs_{count}", f"({text}): list(dyn)", reads.objs) for count, text in enumerate(STRINGS)
    ]
    found.append(overload("calm", "calm_0", "(): bool", reads.calm))
    found.append(overload("served", "served_0", "(string, string): int", lambda *args: reads.counted(*args).served))
    found.append(overload("failed", "failed_0", "(string, string): int", lambda *args: reads.counted(*args).failed))
    found.append(overload("share", "share_0", "(string, string): double", reads.share))
    return found


STRINGS = ("string", "string, string", "string, string, string")


def span_of(text: str) -> int:
    """A span in µs. Raises EvaluationError."""
    if isinstance(text, Opaque):
        return int(text.key) // 1000
    try:
        return duration_us(text)
    except ValueError as problem:
        raise EvaluationError(str(problem)) from None


def is_true(obj: Object, condition: str) -> bool:
    for each in (obj.get("status") or {}).get("conditions") or ():
        if each["type"] == condition:
            return bool(each["status"] == "True")
    return False


def ended(pod: Object) -> bool:
    """Whether it has run to its end."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def fine_pod(pod: Object) -> bool:
    return "deletionTimestamp" not in pod["metadata"] and is_true(pod, "Ready")


def stays(pod: Object) -> bool:
    """Whether a drain leaves it where it is: a daemon, or a static pod's mirror."""
    owners = pod["metadata"].get("ownerReferences") or ()
    return any(each.get("controller") and each["kind"] in ("DaemonSet", "Node") for each in owners)


def rolled_out(obj: Object) -> bool:
    """Whether ``kubectl rollout status`` would say so, and there is something to roll out."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    if status.get("observedGeneration", 0) < obj["metadata"].get("generation", 0):
        return False
    if obj["kind"] == "DaemonSet":
        wanted = status.get("desiredNumberScheduled", 0)
        return bool(wanted) and status.get("updatedNumberScheduled", 0) == wanted == status.get("numberAvailable", 0)
    wanted = spec.get("replicas", 1)
    if obj["kind"] == "StatefulSet":
        current = status.get("updateRevision") == status.get("currentRevision")
        return bool(wanted > 0 and current and status.get("readyReplicas", 0) == wanted == status.get("replicas", 0))
    counts = [status.get(name, 0) for name in ("updatedReplicas", "replicas", "availableReplicas")]
    return bool(wanted) and counts == [wanted] * 3


WORKLOADS = ("deployments.apps", "statefulsets.apps", "daemonsets.apps")


def workloads_met(scene: Scene) -> bool:
    """Whether every workload that wants pods has them."""
    return all(not wanting(each) or rolled_out(each) for storage in WORKLOADS for each in scene.all(storage, None))


def wanting(obj: Object) -> bool:
    if obj["kind"] == "DaemonSet":
        status = obj.get("status") or {}
        return bool("observedGeneration" not in status or status.get("desiredNumberScheduled", 0))
    return bool((obj.get("spec") or {}).get("replicas", 1))
