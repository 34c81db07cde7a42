"""A scenario under way on a cluster: what runs before it, what happens in its course, who did what.

The same in process, in virtual time, and inside a live server. Everything that the scenario does to the cluster enters
from outside, as a user's doing does, at moments between two instants of the simulation, and is in the journal; so are
the scenario's own turning points, as notes, from which a replay grades the same history again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from typing import Any

from seatrial.scenarios import schema, script
from seatrial.scenarios.clients import Clients
from seatrial.scenarios.desk import desk_of
from seatrial.scenarios.grader import TICK_US, Grader
from seatrial.scenarios.kubectl.onmachine import with_kubectl
from seatrial.scenarios.noted import holds_scenario
from seatrial.scenarios.predicates import Predicate
from seatrial.scenarios.schema import Event, Scenario, Stage, named
from seatrial.sim.apiserver.standing import FOLLOW, LOOK
from seatrial.sim.cluster import NOTE, Cluster
from seatrial.sim.config import S
from seatrial.sim.kernel.journal import Journal
from seatrial.sim.written import duration_us

READY_MAX_US = 900 * S
"""How long a cluster may take until everything runs that is there before the scenario begins."""
LOOK_US = 250_000
REST_US = 3 * S
"""Between the moment in which everything runs and time 0."""
READS = ("GET", "HEAD", "OPTIONS")
QUIET = ("run", "answer", "note", "certificate", "fault", "load", "clock", "skip", LOOK, FOLLOW)
"""Entries of the journal that are no doing of a user."""
ANNOUNCED = ("load", "heal", "say")
"""Events that a learner is told of beforehand, or needs not wait for."""
LOOKED = "connection"
"""The kind of session in which a user asks the cluster's network for something, as with curl."""
NO_DOING = ("/leases/", "/selfsubjectaccessreviews", "/selfsubjectreviews", "/tokenreviews", "/events")


class NotReady(RuntimeError):
    """A scenario whose beginning does not come about: why."""


class Run:
    """One run of a scenario. ``text`` is the scenario's file, kept with the history for a replay."""

    def __init__(self, scenario: Scenario, cluster: Cluster, text: str = "", active: bool = True) -> None:
        self.scenario, self.cluster, self.text = scenario, cluster, text
        self.clients = Clients(cluster)
        self.grader = Grader(scenario, cluster, self.clients.tally)
        self.moments: list[tuple[int, str, str]] = []
        """(when, kind, what): what the scenario did and what the learner asked."""
        self.hints = 0
        self.said: list[Event] = []
        """What the learner was told in its course."""
        self.problems: list[str] = []
        """What the scenario itself could not do: its author's mistakes."""
        self._active = active
        self._entries = 0
        self._own: list[tuple[int, int]] = []
        self._happened = 0
        """How many events of the current stage are over."""

    # before it begins

    def prepare(self) -> Iterator[int]:
        """Puts everything there that is there at the beginning; yields for how long (µs) time is to pass until the next
        look. Raises NotReady, ApiError for a manifest that the server refuses."""
        yield from self._await("calm()", "the cluster is up")
        if self.scenario.manifests:
            self.cluster.apply(self.scenario.manifests)
        yield from self._await(self.scenario.ready, "what the scenario begins with runs")
        # What follows from readiness, such as rules on every node, takes a moment more.
        yield REST_US
        yield from self._await(self.scenario.ready, "what the scenario begins with goes on running")

    def _await(self, source: str, what: str) -> Iterator[int]:
        predicate: Predicate = self.grader.compile(source)
        deadline = self.cluster.now + READY_MAX_US
        while not predicate.holds():
            if self.cluster.now >= deadline:
                raise NotReady(
                    f"after {READY_MAX_US // S} s it is not so that {what}: {predicate.observed() or source}"
                )
            yield LOOK_US

    def begin(self) -> None:
        """Time 0."""
        digest = hashlib.sha256(self.text.encode()).hexdigest()[:16]
        self._note({"begin": self.scenario.id, "text": self.text, "digest": digest})

    def opening(self) -> Iterator[int]:
        """Lets happen what the stage's story tells of, so that whoever acts at once acts after it; yields like
        ``prepare``."""
        at = self.grader.current
        staged, handover = self.grader.stages[at], self.scenario.handover if at == 0 else None
        if staged.began_at is not None:
            after_us = told_us(staged.stage) if handover is None else duration_us(handover)
            left = staged.began_at + after_us - self.cluster.now
            if left > 0:
                yield left

    # its course

    @property
    def began_at(self) -> int | None:
        return self.grader.began_at

    @property
    def elapsed_us(self) -> int:
        return self.cluster.now - (self.began_at or self.cluster.now)

    @property
    def passed(self) -> bool:
        return self.grader.passed_at is not None

    @property
    def over(self) -> bool:
        """Whether there is nothing left to wait for."""
        return self.passed or self.grader.hopeless or self.elapsed_us >= duration_us(self.scenario.limit)

    def hint(self) -> schema.Text | None:
        """The next hint of the stage; it is charged. None when there is no more."""
        hints = [each for staged in self.grader.stages[: self.grader.current + 1] for each in staged.stage.hints]
        if self.hints >= len(hints):
            return None
        self._note({"hint": self.hints})
        return hints[self.hints - 1]

    def answer(self, name: str, word: str) -> bool:
        """Takes an answer; whether it is right. Raises KeyError for a question that there is not (yet)."""
        if name not in {each.question.id for each in self.grader.open_questions()}:
            raise KeyError(name)
        return bool(self._note({"question": name, "word": word}))

    def end(self) -> None:
        """Nothing counts any more."""
        self._note({"end": self.scenario.id})

    def resume(self) -> None:
        """Goes on where a replay has come to: what is still to happen will happen."""
        self._active = True
        self._schedule()

    def _note(self, value: Mapping[str, Any]) -> Any:
        self.cluster.note({"scenario": value})
        return self.take(value)

    def take(self, value: Mapping[str, Any]) -> Any:
        """Lets one of the scenario's turning points happen, now or in a replay."""
        grader, now = self.grader, self.cluster.now
        if "begin" in value:
            self._entries = len(self.cluster.journal.entries)
            self._tell("begin", self.scenario.title.en)
            for name, load in self.scenario.loads.items():
                self.clients.know(name)
                if self._active:
                    self.clients.start(name, load)
            grader.begin()
            self._schedule()
            self.cluster.clock.appoint(now + TICK_US, self._tick, periodic=True)
        elif "stage" in value:
            grader.begin_stage(value["stage"])
            self._tell("stage", grader.stages[value["stage"]].stage.id)
            self._happened = 0
            self._schedule()
        elif "hint" in value:
            self.hints = value["hint"] + 1
            self._tell("hint", f"hint {self.hints}")
        elif "event" in value:
            self._tell("event", value["event"])
            event = in_order(grader.stages[grader.current].stage)[self._happened]
            if event.say is not None:
                self.said.append(event)
            if event.load is not None:
                self.clients.know(named(event))
        elif "did" in value:
            self._happened += 1
            entries = len(self.cluster.journal.entries) - 1
            self._own.append((entries - value["did"], entries))
        elif "question" in value:
            right = grader.answer(value["question"], value["word"])
            self._tell("answer", f"{value['question']}: {value['word']} ({'right' if right else 'wrong'})")
            grader.tick()
            return right
        elif "end" in value:
            grader.ended = True
        return None

    def _tell(self, kind: str, what: str) -> None:
        self.moments.append((self.cluster.now, kind, what))

    def _tick(self) -> None:
        grader = self.grader
        if grader.ended:
            return
        grader.tick()
        at = grader.current
        if self._active and grader.stages[at].passed_at is not None and at + 1 < len(grader.stages):
            self._note({"stage": at + 1})
        if self.passed:
            self.clients.close()
        else:
            self.cluster.clock.appoint(self.cluster.now + TICK_US, self._tick, periodic=True)

    def _schedule(self) -> None:
        if not self._active:
            return
        staged = self.grader.stages[self.grader.current]
        assert staged.began_at is not None
        for event in in_order(staged.stage)[self._happened :]:
            self.cluster.clock.appoint(staged.began_at + duration_us(event.at), partial(self._happen, event))

    def _happen(self, event: Event) -> None:
        if self.grader.ended:
            return
        cluster = self.cluster
        self._note({"event": described(event)})
        before = len(cluster.journal.entries)
        if event.fault is not None:
            cluster.add_fault(event.fault, event.name, lasts=event.lasts)
        elif event.heal:
            cluster.remove_fault(event.heal)
        elif event.load is not None:
            self.clients.start(named(event), event.load, event.lasts)
        elif event.apply:
            cluster.apply(event.apply)
        elif event.run:
            done = seat(cluster, self.scenario.at_hand)(event.run)
            if done.code:
                self.problems.append(f"{event.run.splitlines()[0]}: {done.output.strip()}")
        self._note({"did": len(cluster.journal.entries) - before})

    # lines

    def type(self, text: str) -> script.Done:
        """Carries out a line; simulated time passes as the command takes it. Raises ValueError for what is no line."""
        line = script.parsed(text)
        if line.command == "answer":
            right = self.answer(*line.words)
            return script.Done(0 if right else 1, "right\n" if right else "wrong\n")
        if line.command == "hint":
            found = self.hint()
            return script.Done(0, f"{found.en}\n" if found else "there is no hint left\n")
        if line.command == "until":
            predicate = self.grader.compile(line.words[0])
            return self._wait(predicate.holds, predicate.observed)
        if line.command == "wait":
            at = self.grader.current
            done = self._wait(lambda: self.passed or self.grader.stages[at].passed_at is not None)
            for us in self.opening():
                self.cluster.run(us)
            return done
        return self._typed(text)

    @cached_property
    def _typed(self) -> Callable[[str], script.Done]:
        return seat(self.cluster, self.scenario.at_hand)

    def _wait(self, holds: Callable[[], bool], observed: Callable[[], str] = lambda: "") -> script.Done:
        while not holds():
            if self.over:
                return script.Done(1, f"it did not come about: {observed()}\n")
            self.cluster.run(TICK_US)
        return script.Done(0, "")

    def doings(self) -> Iterator[tuple[int, str, str]]:
        """(when, kind, what) of everything that a user did since the beginning, reads left out."""
        for number, (at, kind, value) in enumerate(self.cluster.journal.entries[self._entries :], self._entries):
            if kind in QUIET or any(begin <= number < end for begin, end in self._own):
                continue
            if kind == "request":
                if value["method"] in READS or any(part in value["path"] for part in NO_DOING):
                    continue
                yield at, "change", _request(value)
            elif kind != "session" or value.get("open", LOOKED) != LOOKED:
                yield at, "command", _other(kind, value)


def seat(cluster: Cluster, files: Mapping[str, str]) -> Callable[[str], script.Done]:
    """A place at a desk of one's own, with files at hand: carries out a line that is typed there."""
    heard: list[str] = []
    desk = desk_of(cluster, files, heard.append, heard.append)

    def typed(line: str) -> script.Done:
        heard.clear()
        code = desk.run(line)
        return script.Done(code, "".join(heard))

    return typed


def in_order(stage: Stage) -> list[Event]:
    """A stage's events as they happen."""
    return sorted(stage.timeline, key=lambda event: duration_us(event.at))


def told_us(stage: Stage) -> int:
    """How long after its beginning everything has happened that a stage's story tells of."""
    return max((duration_us(each.at) for each in stage.timeline if each.what not in ANNOUNCED), default=0)


def described(event: Event) -> str:
    """An event in a few words."""
    if event.fault is not None:
        given = ", ".join(f"{key}={value}" for key, value in event.fault.items() if key != "kind")
        lasts = f" for {event.lasts}" if event.lasts else ""
        return f"{event.fault['kind']}{f' ({given})' if given else ''}{lasts}"
    if event.heal:
        return f"{event.heal} ends"
    if event.load is not None:
        return f"load {named(event)}: " + ", ".join(f"{key}={value}" for key, value in event.load.items())
    if event.apply:
        return "somebody applies a manifest"
    if event.run:
        return event.run.split("\n")[0]
    assert event.say is not None
    return event.say.en


def _request(value: Mapping[str, Any]) -> str:
    parts = str(value["path"]).strip("/").split("/")
    parts = (
        parts[parts.index("namespaces") + 2 :] if "namespaces" in parts[:-2] else parts[2 if parts[0] == "api" else 3 :]
    )
    return f"{value['method']} {'/'.join(parts)}"


def _other(kind: str, value: Any) -> str:
    words = " ".join(str(each) for each in value.values() if isinstance(each, str)) if isinstance(value, dict) else ""
    return f"{kind} {words}".strip()


# in process


def on_new_cluster(scenario: Scenario, text: str = "", seed: int | None = None) -> Run:
    """A run at time 0 on a cluster of its own. Raises NotReady, ApiError."""
    cluster = with_kubectl(Cluster(scenario.cluster, scenario.seed if seed is None else seed))
    run = Run(scenario, cluster, text)
    for us in run.prepare():
        cluster.run(us)
    run.begin()
    return run


def played(
    run: Run, lines: tuple[str, ...], heard: Callable[[str, script.Done], None] = lambda line, done: None
) -> Run:
    """Takes the scenario over, types the lines and waits until it is passed, or cannot be, or the time is up."""
    for us in run.opening():
        run.cluster.run(us)
    for line in lines:
        heard(line, run.type(line))
    while not run.over:
        run.cluster.run(TICK_US)
    return run


class Followed:
    """The scenario of a history while that is replayed: ``run`` is the last one that has begun, if any has."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.run: Run | None = None
        cluster.on_replay(NOTE, self._take)

    def resume(self) -> Run | None:
        """Lets the run go on that is under way at the moment to which the replay has come."""
        if self.run is None or self.run.grader.ended:
            return None
        self.run.resume()
        return self.run

    def _take(self, value: Mapping[str, Any]) -> None:
        said = value.get("scenario", {})
        if "begin" in said:
            scenario = schema.read(said["text"], said["begin"])
            self.run = Run(scenario, self._cluster, said["text"], active=False)
        if self.run is not None:
            self.run.take(said)


def replayed(journal: Journal) -> Run:
    """The run that a journal holds, graded again. Raises ValueError for a journal without one."""
    if not holds_scenario(journal):
        raise ValueError("the journal holds no scenario: it was kept by something else")
    cluster = with_kubectl(Cluster.begin(journal))
    followed = Followed(cluster)
    cluster.follow(journal)
    assert followed.run is not None
    return followed.run
