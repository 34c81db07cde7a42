"""What every fault is: a value that can be started, and then knows how to be taken back."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from seatrial.sim.faults.seams import Heal, Seams


class Fault(BaseModel):
    """One thing that breaks. The docstring of a kind says what happens, ``symptom`` what is seen of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClassVar[str]
    symptom: ClassVar[str]
    once: ClassVar[bool] = False
    """It happens and is over; there is nothing to take back."""
    subject: ClassVar[str] = ""
    """The parameter that says what it is done to, if there is one."""
    opposite: ClassVar[str] = "It is as it was before."
    """What taking it back does."""

    def start(self, seams: Seams) -> Heal:
        """Breaks it; returns the opposite. Raises NotThere."""
        raise TypeError(f"{type(self).__name__} breaks nothing")


class OnNodes(Fault):
    """A fault of machines: one by name, or those whose Node has the labels."""

    subject = "node"
    node: str = Field(default="", description="The machine's name; empty for those that the selector chooses.")
    selector: str = Field(default="", description="A label selector of nodes, e.g. topology.kubernetes.io/zone=a.")
