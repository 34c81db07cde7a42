"""A live boot's journal gives its history again, whatever came in from outside, and whenever it did."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from seatrial.api.problem import Problem
from seatrial.api.server import pki
from seatrial.api.server.assembly import Live, assemble
from seatrial.api.server.driver import Driver
from seatrial.api.server.state import Home, Settings
from seatrial.sim.apiserver.context import ExternalCall
from seatrial.sim.apiserver.request import Credentials, Request, Response
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec
from seatrial.sim.entrance import Moment
from seatrial.sim.kernel.clock import TIMEOUT, Signal
from seatrial.sim.kernel.journal import Journal

S = 1_000_000
ADMIN = Credentials("kubernetes-admin", ("system:masters",))
KEYS = pki.make()
SETTINGS = Settings(spec=ClusterSpec(name="lab", nodes=1), seed=3, port=0, boots=1)
TURNS = 4
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "nginx:1.27", "ports": [{"containerPort": 80}]}]},
        },
    },
}
RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
WEBHOOK = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "MutatingWebhookConfiguration",
    "metadata": {"name": "labels"},
    "webhooks": [
        {
            "name": "labels.example.com",
            "clientConfig": {"url": "https://hooks.example.com/mutate"},
            "rules": [RULE],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 10,
        }
    ],
}


class Lab:
    """A live cluster whose wall clock the test turns, with a world outside that answers when it is told to."""

    def __init__(self, live: Live) -> None:
        self.live, self.cluster = live, live.cluster
        self.wall = live.cluster.now
        self.driver = Driver(self.cluster.clock, live.flush, live.dirty, steady=lambda: self.wall, wall=self.read)
        self.calls: list[tuple[ExternalCall, Signal]] = []
        self.cluster.connect(self.perform)

    def read(self) -> int:
        return self.wall

    def perform(self, call: ExternalCall) -> Generator[Any, Any, Any]:
        arrived = Signal(self.cluster.clock)
        self.calls.append((call, arrived))
        answer = yield arrived.wait(call.timeout_us)
        return OSError("context deadline exceeded") if answer is TIMEOUT else answer

    async def passes(self, us: int) -> None:
        """Time goes by on the wall."""
        self.wall += us
        self.driver.wake()
        await asyncio.sleep(0)
        while self.driver.lag_us:
            await asyncio.sleep(0)

    def ask(self, method: str, path: str, body: Any = None, query: dict[str, tuple[str, ...]] | None = None) -> Any:
        """A request as the edge hands it over; the list that its response comes into."""
        answers: list[Response | None] = []
        raw = orjson.dumps(body) if body is not None else None
        self.driver.enter()
        request = Request(method, path, query or {}, raw, credentials=ADMIN)
        if not self.live.submit(request, answers.append):
            with pytest.raises(StopIteration) as done:
                next(self.live.serve(request))
            answers.append(done.value.value)
        self.driver.look()
        return answers

    def pod(self) -> str:
        (response,) = self.ask("GET", "/api/v1/namespaces/default/pods")
        return str(response.body["items"][0]["metadata"]["name"])

    def configmap(self, name: str) -> Any:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
        return self.ask("POST", "/api/v1/namespaces/default/configmaps", body)

    def answer(self) -> None:
        """The webhook's answer arrives."""
        call, arrived = self.calls.pop(0)
        uid = orjson.loads(call.body)["request"]["uid"]
        review = {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"}
        self.driver.enter()
        arrived.fire((200, orjson.dumps({**review, "response": {"uid": uid, "allowed": True}})))
        self.driver.look()

    def exec(self, command: tuple[str, ...], tty: bool = False) -> tuple[Any, list[bytes], list[int]]:
        """A session in a pod, its output and its exit code."""
        query = {"command": command, "stdout": ("true",), **({"stdin": ("true",), "tty": ("true",)} if tty else {})}
        (response,) = self.ask("GET", f"/api/v1/namespaces/default/pods/{self.pod()}/exec", query=query)
        connect, said, codes = response.body, list[bytes](), list[int]()
        place = (connect.namespace, connect.pod, connect.container)
        self.driver.enter()
        session = connect.kubelet.exec(
            *place, list(connect.command), lambda _, data: said.append(data), codes.append, stdin=tty, tty=tty
        )
        return session, said, codes


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "lab")
    made.save(SETTINGS)
    return made


def lived(home: Home, story: Callable[[Lab], Any], boots: int = 1) -> Iterator[Live]:
    """A boot with a story in it."""
    live = assemble(home, SETTINGS.model_copy(update={"boots": boots}), KEYS)

    async def run() -> None:
        lab = Lab(live)
        lab.driver.start(asyncio.get_running_loop())
        await story(lab)
        lab.driver.enter()
        lab.driver.stop()

    asyncio.run(run())
    yield live
    live.close(0)


def check(live: Live) -> Cluster:
    """The replay of what was saved is the same history, and its own journal is the same file."""
    saved = live.history()
    again = Cluster.replay(Journal.load(saved.dump()))
    assert (again.digest(), again.now) == (live.cluster.digest(), live.cluster.now)
    assert again.digest() == saved.header["digest"]
    assert again.journal.entries == saved.entries
    return again


async def deployed(lab: Lab) -> None:
    await lab.passes(20 * S)
    lab.ask("POST", "/apis/apps/v1/namespaces/default/deployments", DEPLOYMENT)
    await lab.passes(30 * S)


async def eventful(lab: Lab) -> None:
    """Requests, answers, sessions and faults, between moments, at one moment, and while time stands still."""
    await deployed(lab)
    _, named, _ = lab.exec(("hostname",))
    session, said, codes = lab.exec(("sh",), tty=True)
    await lab.passes(1234)
    session.write_stdin(b"echo hello > /tmp/said; cat /tmp/said\r")
    await lab.passes(2 * S)
    assert (len(named), b"hello\r\n" in said) == (1, True)
    session.write_stdin(b"exit 3\r")
    await lab.passes(2 * S)
    assert codes == [3]
    (response,) = lab.ask("GET", f"/api/v1/namespaces/default/pods/{lab.pod()}:80/proxy/")
    assert response.code == 200
    lab.ask("POST", "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", WEBHOOK)
    first = lab.configmap("first")
    await lab.passes(3777)
    assert first == []
    lab.answer()
    await lab.passes(1)
    assert [response.code for response in first] == [201]
    lab.driver.enter()
    fault = lab.cluster.add_fault({"kind": "node-crash", "node": "w1-k8s"})
    lab.driver.pause()
    waiting = [lab.configmap(name) for name in ("a", "b", "c")]
    lab.answer()
    lab.ask("DELETE", "/api/v1/namespaces/default/configmaps/first")
    lab.answer()
    await lab.passes(5 * S)
    lab.ask("GET", "/api/v1/namespaces/default/configmaps")
    assert [len(each) for each in waiting] == [1, 1, 0]
    lab.driver.resume()
    await lab.passes(20 * S)
    assert waiting[2][0].code == 500
    await asyncio.wait_for(lab.driver.advance(360 * S), 240)
    lab.cluster.remove_fault(fault)
    lab.driver.set_speed(60)
    await lab.passes(2 * S)


def test_everything_that_came_from_outside_is_in_the_journal(home: Home) -> None:
    for live in lived(home, eventful):
        kinds = {entry.kind for entry in live.cluster.journal.entries}
        assert kinds >= {"request", "answer", "session", "fault"}
        check(live)


def test_a_later_boot_is_replayed_from_what_the_one_before_left(home: Home) -> None:
    for live in lived(home, deployed):
        before = live.cluster.store.revision

    async def story(lab: Lab) -> None:
        await lab.passes(60 * S)
        lab.ask("DELETE", f"/api/v1/namespaces/default/pods/{lab.pod()}")
        await lab.passes(60 * S)

    for live in lived(home, story, boots=2):
        assert live.cluster.journal.header["revision"] == before
        check(live)


def test_a_replay_can_end_at_any_moment(home: Home) -> None:
    """Each prefix of a history is what the whole one was at that moment."""
    for live in lived(home, eventful):
        # Not ``cluster.store``: whoever looks has the heartbeats of that moment computed, which is an event of its own.
        store, saved = live.cluster.server.store, live.history()
        changes = [found for revision in range(1, store.revision + 1) if (found := store.change(revision)) is not None]
        for change in changes[:: len(changes) // TURNS]:
            again = Cluster.replay(saved, Moment(change.at_us, change.revision))
            assert again.now == change.at_us
            then = again.server.store
            assert then.revision >= change.revision
            for revision in range(1, then.revision + 1):
                assert then.change(revision) == store.change(revision)


def test_a_journal_that_was_given_up_is_not_saved(home: Home) -> None:
    live = assemble(home, SETTINGS.model_copy(update={"spec": ClusterSpec(nodes=0, controllers="none")}), KEYS)
    live.cluster.journal.entries_max = 2
    for _ in range(3):
        live.submit(Request("POST", "/api/v1/namespaces", body=b"{}", credentials=ADMIN), lambda _: None)
    with pytest.raises(Problem, match="given up"):
        live.history()
    live.close(0)
