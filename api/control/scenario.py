"""A scenario on a live cluster, over the control API: start it, ask how it goes, take a hint, answer, end it.

One scenario at a time. It goes with the cluster's history: where that is rewound to, forked from or begun again from,
the scenario is as far as it was then. Cluster time passes as on the wall or as the clock commands say; nothing here
depends on how it passes.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import Field

from seatrial.api.control.bodies import Body
from seatrial.api.server.driver import Driver
from seatrial.scenarios.positions import Mistaken
from seatrial.scenarios.report import Report, report_of
from seatrial.scenarios.runner import NotReady, Run
from seatrial.scenarios.schema import Scenario, Text, read
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec
from seatrial.sim.kernel.journal import FULL
from seatrial.sim.machinery.errors import ApiError

if TYPE_CHECKING:
    from fastapi import FastAPI

PATH = "/seatrial/v1/scenario"


class Start(Body):
    """Which scenario."""

    text: str = Field(description="the scenario's file")
    file: str = Field(default="scenario", description="its name, for messages")


class Answer(Body):
    """An answer to a question."""

    question: str
    answer: str


class Refused(Exception):
    """What cannot be done now: what, why, and the mend."""

    def __init__(self, code: int, what: str, why: str, mend: str) -> None:
        super().__init__(code, what, why, mend)
        self.code = code
        self.detail = {"what": what, "why": why, "mend": mend}


def misfit(wanted: ClusterSpec, there: ClusterSpec) -> str:
    """Why a scenario cannot be on a cluster; empty when it can."""
    if there.nodes < wanted.nodes:
        return f"it needs {wanted.nodes} workers, and there are {there.nodes}"
    for field, words in (
        ("node_names", "the workers have other names"),
        ("controllers", "it needs the controllers"),
        ("control_plane_only", "it needs nodes of the cluster's own"),
        ("addons", "it needs kube-proxy and CoreDNS"),
    ):
        if getattr(there, field) != getattr(wanted, field):
            return words
    if wanted.metrics_server and not there.metrics_server:
        return "it needs the metrics server"
    if wanted.api_profile and there.api_profile != wanted.api_profile:
        return f"it needs the API profile {wanted.api_profile}"
    return ""


class Lab:
    """The scenario that is under way on one cluster."""

    def __init__(self, cluster: Cluster, driver: Driver, run: Run | None = None) -> None:
        self._cluster, self._driver = cluster, driver
        self._run = run
        self._busy = asyncio.Lock()

    @property
    def run(self) -> Run:
        """Raises Refused when nothing was started."""
        if self._run is None:
            why = "none is under way on this cluster"
            mend = "see what there is: seatrial scenario list; then: seatrial scenario start NET-01"
            raise Refused(404, "scenario", why, mend)
        return self._run

    async def start(self, text: str, file: str) -> None:
        """Puts the scenario's objects there, waits in simulated time until they run, and begins; returns when the
        learner gets it. Raises Refused."""
        async with self._busy:
            if self._run is not None and not self._run.grader.ended:
                why = f"{self._run.scenario.id} is under way on it"
                mend = "see how it goes: seatrial scenario check; give it up: seatrial scenario stop"
                raise Refused(409, "the cluster", why, mend)
            try:
                scenario = read(text, file)
            except Mistaken as mistaken:
                raise Refused(
                    422, f"scenario {file}", str(mistaken), "mend the file: seatrial scenario lint FILE"
                ) from None
            why = misfit(scenario.cluster, self._cluster.spec)
            if why:
                mend = f"give it a cluster of its own: seatrial scenario start {scenario.id}"
                raise Refused(409, f"scenario {scenario.id} on this cluster", why, mend)
            await self._begin(Run(scenario, self._cluster, text), scenario)

    async def _begin(self, run: Run, scenario: Scenario) -> None:
        try:
            for us in run.prepare():
                await self._driver.advance(us)
        except (NotReady, ApiError, ValueError) as problem:
            mend = "a cluster of its own has nothing else on it: seatrial scenario start " + scenario.id
            raise Refused(409, f"scenario {scenario.id}", str(problem), mend) from None
        self._driver.enter()
        run.begin()
        self._run = run
        self._driver.wake()
        for us in run.opening():
            await self._driver.advance(us)

    def view(self) -> dict[str, Any]:
        """How it is at this moment."""
        run = self.run
        self._driver.enter()
        run.grader.tick()
        stage = run.grader.stages[run.grader.current].stage
        story = stage.story or run.scenario.story
        asked = [each.question for each in run.grader.open_questions()]
        return {
            "report": report_of(run).model_dump(mode="json"),
            "story": story.model_dump(),
            "said": [event.say.model_dump() for event in run.said if event.say is not None],
            "questions": [
                {"id": each.id, "choices": {k: v.model_dump() for k, v in each.choices.items()}} for each in asked
            ],
            "debrief": run.scenario.debrief.model_dump() if run.passed else None,
            "problems": run.problems,
            "ended": run.grader.ended,
        }

    def hint(self) -> Text | None:
        self._driver.enter()
        return self.run.hint()

    def answer(self, question: str, word: str) -> bool:
        """Raises Refused for a question that there is not."""
        self._driver.enter()
        try:
            return self.run.answer(question, word)
        except KeyError:
            known = [each.question.id for each in self.run.grader.open_questions()]
            why = f"there is no question {question!r}"
            mend = f"there are {', '.join(known)}" if known else "this scenario asks nothing (yet)"
            raise Refused(404, f"scenario {self.run.scenario.id}", why, mend) from None

    def stop(self) -> Report:
        """Ends it; the cluster stays as it is."""
        found = report_of(self.run)
        self.run.end()
        self._run = None
        return found

    def record(self) -> dict[str, Any]:
        """The history since the server's start, from which a run is graded again."""
        journal = self._cluster.journal
        if FULL in journal.header:
            raise Refused(
                409, f"scenario {self.run.scenario.id}", "its history is too long to be kept", "report it instead"
            )
        self._driver.enter()
        self._cluster.run(0)
        return {"journal": [orjson.loads(line) for line in journal.dump().splitlines()]}


def add_to(cluster: Cluster, driver: Driver, run: Run | None, app: FastAPI) -> None:
    """Adds the paths to the control API's application; ``run`` is the scenario that is under way already."""
    from fastapi import HTTPException, Request
    from fastapi.responses import JSONResponse

    lab = Lab(cluster, driver, run)

    @app.exception_handler(Refused)
    async def refused(_: Request, problem: Refused) -> JSONResponse:
        return JSONResponse({"detail": problem.detail}, problem.code)

    @app.get(PATH)
    async def show() -> dict[str, Any]:
        """How the scenario is: its report, and what is told to the learner."""
        return lab.view()

    @app.post(PATH)
    async def start(body: Start) -> dict[str, Any]:
        """Begins a scenario; answers when the learner gets it."""
        await lab.start(body.text, body.file)
        return lab.view()

    @app.delete(PATH)
    async def stop() -> dict[str, Any]:
        """Ends the scenario; its last report."""
        return {"report": lab.stop().model_dump(mode="json")}

    @app.post(f"{PATH}/hint")
    async def hint() -> dict[str, Any]:
        """The next hint, which costs points."""
        found = lab.hint()
        return {"hint": None if found is None else found.model_dump()}

    @app.post(f"{PATH}/answer")
    async def answer(body: Answer) -> dict[str, Any]:
        """Whether an answer is right."""
        return {"right": lab.answer(body.question, body.answer)}

    @app.get(f"{PATH}/record")
    async def record() -> dict[str, Any]:
        """The journal: what a replay needs."""
        if not lab.run.text:
            raise HTTPException(404, "the scenario's text was not kept")
        return lab.record()
