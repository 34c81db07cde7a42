"""A Job during one reconcile: what has been found out so far, and the status that will be written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from seatrial.sim.apiserver.request import Object
from seatrial.sim.controllers.actions import Turn
from seatrial.sim.controllers.job_plan import Backoff

NO_FAILURES = Backoff()


@dataclass(slots=True)
class Run:
    """A job during one reconcile."""

    turn: Turn
    job: Object
    pods: list[Object]
    status: dict[str, Any]
    active: list[Object]
    succeeded: int = 0
    failed: int = 0
    running: int = 0
    """How many pods are active now, counting those made and deleted in this sync."""
    ready: int = 0
    terminating: int = 0
    done: list[int] = field(default_factory=list)
    """Succeeded indexes."""
    done_before: list[int] = field(default_factory=list)
    lost: list[int] | None = None
    """Failed indexes, of a job that limits failures per index."""
    finish: dict[str, Any] | None = None
    """The condition with which the job is about to finish."""
    dirty: bool = False
    again_us: int | None = None
    backoff: Backoff = NO_FAILURES

    @property
    def spec(self) -> Any:
        return self.job["spec"]

    @property
    def suspended(self) -> bool:
        return bool(self.spec.get("suspend"))

    def again(self, wait_us: int) -> None:
        self.again_us = wait_us if self.again_us is None else min(self.again_us, wait_us)
