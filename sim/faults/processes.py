"""Faults of one process among the control plane's: it dies between two chosen requests, or sees what has long changed.

They are what finds the errors of controllers: each write of a reconcile is a place where its author did not expect the
end, and each view a place where the present was expected.
"""

from __future__ import annotations

from pydantic import Field

from seatrial.sim.apiserver.client import Verdict
from seatrial.sim.apiserver.request import Request, Response
from seatrial.sim.config import MS
from seatrial.sim.faults.fault import Fault
from seatrial.sim.faults.seams import Heal, NotThere, Seams
from seatrial.sim.kernel.clock import Timer
from seatrial.sim.machinery import errors
from seatrial.sim.machinery.values import nearest

READS = ("GET", "HEAD", "OPTIONS")
LOST = Verdict(0, Response(503, errors.ApiError(503, "ServiceUnavailable", "the sender is dead", {}).status()))


class ComponentCut(Fault):
    """A process dies as soon as one of its writes is done, before it hears of it, and is started again later."""

    kind = "component-cut"
    opposite = "The process runs and is left alone."
    subject = "component"
    symptom = "What was begun is half done until the process is back and, if its author thought of it, finished then."
    component: str = Field(min_length=1, description="As of component-stop.")
    agent: str = Field(default="", description="The beginning of the user agent of its requests; its name if empty.")
    user: str = Field(default="", description="The beginning of the user's name; empty for all.")
    after_writes: int = Field(default=1, ge=1, description="The write after which it dies, counted from now.")
    down_ms: int = Field(default=1000, ge=0, description="How long until it is started again, in milliseconds.")

    def start(self, seams: Seams) -> Heal:
        if self.component not in seams.components:
            raise NotThere(f"no component {self.component!r}: {nearest(self.component, seams.components)}")
        clock, agent, left = seams.wiring.clock, self.agent or self.component, [self.after_writes]
        running: list[Heal] = []
        dying: list[Timer] = []

        def die() -> None:
            dying.clear()
            running.append(seams.stop(self.component))
            clock.after(self.down_ms * MS, back)

        def back() -> None:
            while running:
                running.pop()()

        def judge(request: Request) -> Verdict | None:
            if request.method in READS or not self._is_its(request, agent):
                return None
            if left[0] <= 0:
                # Sent in the instant of its death: not served, and its answer finds nobody.
                return LOST if dying else None
            left[0] -= 1
            if left[0] == 0:
                # The server serves this one in this instant; its answer is under way when the process ends.
                dying.append(clock.at(clock.now, die))
            return None

        ended = seams.judge(judge)

        def heal() -> None:
            ended()
            back()

        return heal

    def _is_its(self, request: Request, agent: str) -> bool:
        user = request.user.name if request.user is not None else ""
        return request.user_agent.startswith(agent) and user.startswith(self.user) and "/leases/" not in request.path


class StaleViews(Fault):
    """What a process watches reaches it late; its own requests are answered as ever."""

    kind = "stale-views"
    opposite = "What it watches reaches it at once."
    subject = "component"
    symptom = "It acts on what is past: twice what was done already, or on what is gone."
    component: str = Field(min_length=1, description="The beginning of the watcher's user agent.")
    resource: str = Field(default="", description="The plural of the kind, as in pods; empty for all.")
    delay_ms: int = Field(default=1000, ge=1, description="How much later, in milliseconds.")

    def start(self, seams: Seams) -> Heal:
        wiring, before, delay = seams.wiring, seams.wiring.lag, self.delay_ms * MS

        def lag(agent: str, storage: str) -> int:
            other = 0 if before is None else before(agent, storage)
            hit = agent.startswith(self.component) and self.resource in ("", storage.partition(".")[0])
            return other + delay if hit and active else other

        active = [True]
        wiring.lag = lag

        def heal() -> None:
            active.clear()
            if wiring.lag is lag:
                wiring.lag = before

        return heal


PROCESSES = (ComponentCut, StaleViews)
