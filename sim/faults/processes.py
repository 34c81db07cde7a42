"""Faults of one process among the control plane's: it dies between two chosen requests, or sees what has long changed.

They are what finds the errors of controllers: each write of a reconcile is a place where its author did not expect the
end, and each view a place where the present was expected.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from seatrial.sim.apiserver.client import Verdict
from seatrial.sim.apiserver.request import Request, Response
from seatrial.sim.config import MS
from seatrial.sim.faults.fault import Fault
from seatrial.sim.faults.seams import Heal, Seams, nothing, together
from seatrial.sim.kernel.clock import Timer
from seatrial.sim.machinery import errors

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
        seams.component(self.component)
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
        wiring.endpoint.changed()

        def heal() -> None:
            active.clear()
            if wiring.lag is lag:
                wiring.lag = before
                wiring.endpoint.changed()

        return heal


class ComponentHang(Fault):
    """A process stands still (SIGSTOP): it sends nothing and hears nothing, and forgets nothing."""

    kind = "component-hang"
    opposite = "The process goes on where it stood, with what it last knew."
    subject = "component"
    symptom = "As component-stop, but nobody starts it again; its lease runs out, and it may act on what is past."
    component: str = Field(min_length=1, description="As of component-stop.")

    def start(self, seams: Seams) -> Heal:
        component = seams.component(self.component)
        agent, host = self.component.partition("/")[0], component.host
        return together(
            [
                seams.freeze(lambda at, name: at == host and name.startswith(agent)),
                seams.deafen(lambda at, name, storage: at == host and name.startswith(agent)),
            ]
        )


class LeaderFailover(Fault):
    """The leader of a component cannot renew its lease and gives up; another one leads."""

    kind = "leader-failover"
    once = True
    subject = "component"
    symptom = "The lease has another holder and one transition more; for some 15 s nothing is reconciled."
    component: Literal["kube-controller-manager", "kube-scheduler"] = Field(
        default="kube-controller-manager", description="Whose leader it is."
    )

    def start(self, seams: Seams) -> Heal:
        verdict = Verdict(0, Response(500, errors.ApiError(500, "InternalError", "lease lost", {}).status()))
        path = f"/leases/{self.component}"

        def judge(request: Request) -> Verdict | None:
            return verdict if request.path.endswith(path) and request.method not in READS else None

        seams.wiring.clock.after(LEASE_LOST_US, seams.judge(judge))
        return nothing


LEASE_LOST_US = 13_000 * MS
"""A little more than the renew deadline and a retry: the leader gives up within it."""


class WatchStall(Fault):
    """Watches stand still: connections stay, and nothing arrives over them."""

    kind = "watch-stall"
    opposite = "What was held back arrives, in order."
    subject = "component"
    symptom = "Who watches does not notice what changes, and answers to its own requests are as ever."
    component: str = Field(default="", description="The beginning of the watcher's user agent; empty for all.")
    node: str = Field(default="", description="The watcher's machine; empty for all.")
    resource: str = Field(default="", description="The plural of the kind, as in pods; empty for all.")

    def start(self, seams: Seams) -> Heal:
        def deaf(host: str, agent: str, storage: str) -> bool:
            return (
                self.node in ("", host)
                and agent.startswith(self.component)
                and self.resource in ("", storage.partition(".")[0])
            )

        return seams.deafen(deaf)


class WatchDuplicate(Fault):
    """Watches bring everything twice."""

    kind = "watch-duplicate"
    opposite = "Watches bring everything once."
    subject = "component"
    symptom = "None, if handlers are as they should be: what was done is not done again."
    component: str = Field(default="", description="The beginning of the watcher's user agent; empty for all.")
    resource: str = Field(default="", description="The plural of the kind, as in pods; empty for all.")

    def start(self, seams: Seams) -> Heal:
        def twice(agent: str, storage: str) -> bool:
            return agent.startswith(self.component) and self.resource in ("", storage.partition(".")[0])

        return seams.repeat(twice)


PROCESSES = (ComponentCut, ComponentHang, LeaderFailover, StaleViews, WatchStall, WatchDuplicate)
