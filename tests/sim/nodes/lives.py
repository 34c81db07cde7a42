"""Plays what a recording did on a simulated cluster, and reads the lives of pods from either."""

from __future__ import annotations

import gzip
import json
import re
import shlex
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from seatrial.sim.apiserver.request import Request
from seatrial.sim.cluster import ADMIN, Cluster
from seatrial.sim.config import ClusterSpec, S

RECORDINGS = Path(__file__).resolve().parents[2] / "data" / "nodelife"
WATCHED = {"Pod": "pods", "Event": "events"}
MASKS = (
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uid>"),
    (r"\bw1(-k8s)?\b", "<node>"),
    (r"\b(10\.\d+|172\.16)\.\d+\.\d+\b", "<ip>"),
    (r"-[bcdf0-9]{8,10}-[bcdfghjklmnpqrstvwxz2456789]{5}\b", "-<generated>"),
    (r"task [0-9a-f]{64}", "task <id>"),
)


class Change(NamedTuple):
    """One change of an object, ``at`` seconds after the beginning."""

    at: float
    kind: str
    verb: str
    obj: dict[str, Any]


class Step(NamedTuple):
    """Something that the scenario did; ``at`` is when it was done."""

    at: float
    command: str
    stdin: str | None


class Event(NamedTuple):
    type: str
    reason: str
    component: str
    message: str


@lru_cache(maxsize=32)
def recording(name: str) -> tuple[tuple[Change, ...], tuple[Step, ...]]:
    """The changes and the steps of a recording."""
    changes, steps = [], []
    with gzip.open(RECORDINGS / f"{name}.jsonl.gz", "rt") as lines:
        for line in lines:
            entry = json.loads(line)
            if "step" in entry:
                steps.append(Step(entry["t"], entry["step"], entry.get("stdin")))
            elif entry["kind"] in WATCHED:
                changes.append(Change(entry["t"], entry["kind"], entry["type"], entry["obj"]))
    return tuple(changes), tuple(steps)


def names() -> list[str]:
    return sorted(path.name.removesuffix(".jsonl.gz") for path in RECORDINGS.glob("*.jsonl.gz"))


def masked(text: str) -> str:
    for pattern, replacement in MASKS:
        text = re.sub(pattern, replacement, text)
    return text


def state(change: Change) -> str:
    """What a user sees of a pod, in one line."""
    status, metadata = change.obj.get("status") or {}, change.obj["metadata"]
    if change.verb == "DELETED":
        return "gone"
    words = [status.get("phase", "")]
    words += [status["reason"]] if status.get("reason") else []
    ready = {c["type"]: c["status"] for c in status.get("conditions") or ()}.get("Ready") == "True"
    words += ["ready"] if ready else []
    words += ["deleting"] if metadata.get("deletionTimestamp") else []
    for field in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
        words += [_container(container) for container in status.get(field) or ()]
    return " ".join(words)


def _container(status: dict[str, Any]) -> str:
    ((kind, detail),) = status["state"].items()
    code = f",{detail['exitCode']}" if "exitCode" in detail else ""
    reason = f"({detail['reason']}{code})" if "reason" in detail else ""
    return f"{status['name']}:{kind}{reason}" + (f" x{status['restartCount']}" if status["restartCount"] else "")


def lives(changes: tuple[Change, ...]) -> dict[str, list[tuple[float, str]]]:
    """Per pod: when it entered which state. Pods with generated names are told apart by their order."""
    found: dict[str, list[tuple[float, str]]] = {}
    known: dict[str, str] = {}
    for change in changes:
        if change.kind != "Pod":
            continue
        uid = change.obj["metadata"]["uid"]
        plain = re.sub(r"-[bcdf0-9]{8,10}-\w{5}$", "", change.obj["metadata"]["name"])
        name = known.setdefault(uid, plain if plain not in known.values() else f"{plain} {len(known)}")
        life, now = found.setdefault(name, []), state(change)
        if not life or life[-1][1] != now:
            life.append((change.at, now))
    return found


def events(changes: tuple[Change, ...]) -> set[Event]:
    """The kubelet's events about pods."""
    found = set()
    for change in changes:
        obj = change.obj
        if change.kind == "Event" and obj["involvedObject"].get("kind") == "Pod":
            component = obj.get("reportingComponent") or (obj.get("source") or {}).get("component")
            if component == "kubelet":
                found.add(Event(obj["type"], obj["reason"], component, masked(obj["message"])))
    return found


def moments(changes: tuple[Change, ...], reason: str) -> dict[str, list[float]]:
    """Per pod: when events of a reason were recorded about it, each time that they were."""
    found: dict[str, list[float]] = {}
    for change in changes:
        if change.kind == "Event" and change.obj["reason"] == reason and change.verb != "DELETED":
            found.setdefault(change.obj["involvedObject"]["name"], []).append(change.at)
    return found


class Player:
    """Does on a simulated cluster what a recording's steps say, at the same distances of time."""

    def __init__(self, name: str, seed: int = 0) -> None:
        self.cluster = Cluster(ClusterSpec(nodes=1, addons=False), seed=seed)
        self.cluster.run(5 * S)
        self.namespace = f"t-{name}"
        self.cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
        self.cluster.run(S // 2)
        revision = self.cluster.store.revision
        self._began = self.cluster.now
        self._watches = {kind: self.cluster.store.watch(storage, revision) for kind, storage in WATCHED.items()}
        self._changes: list[tuple[int, Change]] = []

    def play(self, steps: tuple[Step, ...]) -> tuple[Change, ...]:
        """Returns every change that followed."""
        before: float | None = None
        for step in steps:
            if step.command.startswith("kubectl delete ns"):
                break
            if before is not None:
                self.cluster.run(max(round((step.at - before - 0.05) * S), 0))
            before = step.at
            self._do(step)
            self.cluster.run(S // 50)
        self.cluster.run(S)
        self._collect()
        return tuple(change for _, change in sorted(self._changes, key=lambda entry: entry[0]))

    def _collect(self) -> None:
        for kind, watch in self._watches.items():
            for change in watch.read(100_000):
                obj = dict(change.obj)
                if obj["metadata"].get("namespace") == self.namespace:
                    at = round((change.at_us - self._began) / S, 3)
                    self._changes.append((change.revision, Change(at, kind, change.verb, obj)))

    def _do(self, step: Step) -> None:
        words = shlex.split(step.command.removeprefix("kubectl "))
        for begin, action in ACTIONS:
            if words[: len(begin)] == list(begin):
                action(self, words, step)
                return

    def request(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        raw = b"" if body is None else json.dumps(body).encode()
        request = Request(method, path, body=raw, content_type=content_type, user=ADMIN, user_agent="kubectl/v1.37")
        return self.cluster.request(request)

    def in_namespace(self, kind: str, name: str = "") -> str:
        root = "apis/apps/v1" if kind == "deployments" else "api/v1"
        return f"/{root}/namespaces/{self.namespace}/{kind}" + (f"/{name}" if name else "")

    def apply(self, words: list[str], step: Step) -> None:
        document = json.loads((step.stdin or "").replace('"nodeName": "w1"', '"nodeName": "w1-k8s"'))
        for obj in document["items"] if document["kind"] == "List" else [document]:
            obj["metadata"]["namespace"] = self.namespace
            self.cluster.apply(obj)

    def create(self, words: list[str], step: Step) -> None:
        key, _, value = words[-1].removeprefix("--from-literal=").partition("=")
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": words[2]}, "data": {key: value}}
        self.request("POST", self.in_namespace("configmaps"), body)

    def patch(self, words: list[str], step: Step) -> None:
        kind = {"configmap": "configmaps", "pod": "pods"}[words[1]]
        below = "/resize" if "resize" in words else ""
        path = self.in_namespace(kind, words[2]) + below
        self.request("PATCH", path, json.loads(words[words.index("-p") + 1]), "application/strategic-merge-patch+json")

    def delete(self, words: list[str], step: Step) -> None:
        options = {"gracePeriodSeconds": 0} if "--grace-period=0" in words else None
        for word in words[1:]:
            name = word.removeprefix("pod/")
            if word == "pod" or word.startswith("-"):
                continue
            if "-" in name:
                found = self.cluster.store.list("pods", self.namespace)
                name = min(o["metadata"]["name"] for o in found if "deletionTimestamp" not in o["metadata"])
            self.request("DELETE", self.in_namespace("pods", name), options)

    def execute(self, words: list[str], step: Step) -> None:
        pod = self.cluster.store.get("pods", self.namespace, words[1])
        if pod is None or "-c" in words[: words.index("--")]:
            return
        kubelet = self.cluster.wiring.kubelets.dial(pod["spec"]["nodeName"])
        container = pod["spec"]["containers"][0]["name"]
        command = words[words.index("--") + 1 :]
        if command[0] != "nosuchcommand":
            kubelet.exec(self.namespace, words[1], container, command, lambda *_: None, lambda _: None)

    def debug(self, words: list[str], step: Step) -> None:
        container = {
            "name": "dbg",
            "image": "busybox:1",
            "command": words[words.index("--") + 1 :],
            "targetContainerName": "c",
        }
        path = self.in_namespace("pods", words[1]) + "/ephemeralcontainers"
        body = {"spec": {"ephemeralContainers": [container]}}
        self.request("PATCH", path, body, "application/strategic-merge-patch+json")

    def scale(self, words: list[str], step: Step) -> None:
        body = {"spec": {"replicas": int(words[-1].partition("=")[2])}}
        self.request("PATCH", self.in_namespace("deployments", words[2]), body, "application/merge-patch+json")

    def set_env(self, words: list[str], step: Step) -> None:
        name, _, value = words[3].partition("=")
        body = {
            "spec": {"template": {"spec": {"containers": [{"name": "c", "env": [{"name": name, "value": value}]}]}}}
        }
        path = self.in_namespace("deployments", words[2].removeprefix("deploy/"))
        self.request("PATCH", path, body, "application/strategic-merge-patch+json")

    def rolled_out(self, words: list[str], step: Step) -> None:
        for _ in range(600):
            found = self.cluster.store.get("deployments.apps", self.namespace, "a")
            assert found is not None
            status, wanted = found.get("status") or {}, found["spec"]["replicas"]
            counts = [status.get(key) for key in ("replicas", "updatedReplicas", "availableReplicas")]
            if status.get("observedGeneration") == found["metadata"]["generation"] and counts == [wanted] * 3:
                return
            self.cluster.run(S // 5)

    def kubelet(self, words: list[str], step: Step) -> None:
        node = next(each for each in self.cluster.components if each.name == "kubelet/w1-k8s")
        if words[1] == "stops":
            node.stop()
        else:
            node.start()


ACTIONS: tuple[tuple[tuple[str, ...], Callable[[Player, list[str], Step], None]], ...] = (
    (("apply",), Player.apply),
    (("create", "configmap"), Player.create),
    (("patch",), Player.patch),
    (("delete",), Player.delete),
    (("exec",), Player.execute),
    (("debug",), Player.debug),
    (("scale",), Player.scale),
    (("set", "env"), Player.set_env),
    (("rollout", "status"), Player.rolled_out),
    (("kubelet",), Player.kubelet),
)
"""What steps do; all others only look."""


def durations(life: list[tuple[float, str]]) -> Iterator[tuple[str, float]]:
    """(transition, seconds) of a life."""
    for (begin, before), (end, after) in pairwise(life):
        yield f"{before} > {after}", end - begin
