"""The toolkit for testing controllers: what to import, and nothing else.

``docs/testing.md`` shows it at work. The names below are the public interface.
"""

from __future__ import annotations

from seatrial.scenarios.testing import manifests
from seatrial.scenarios.testing.controls import Clock, Faults, booted, judge, judge_rest
from seatrial.scenarios.testing.cuts import Cut, cuts, shape, survives_every_cut, writes_of
from seatrial.scenarios.testing.operator import Operator, namespace_key, owner_key
from seatrial.scenarios.testing.temporal import Broken, always, eventually, leads_to, moments, never, stays
from seatrial.sim.controllers.actions import (
    Create,
    Delete,
    Evict,
    Get,
    ListAll,
    Outcome,
    Patch,
    Record,
    Turn,
    Update,
    delete_of,
    update_status,
)
from seatrial.sim.controllers.controller import object_key
from seatrial.sim.history import History, World
from seatrial.sim.invariants import LIVENESS, SAFETY, Goal, Rule, Violation, unmet, violations

__all__ = [
    "LIVENESS",
    "SAFETY",
    "Broken",
    "Clock",
    "Create",
    "Cut",
    "Delete",
    "Evict",
    "Faults",
    "Get",
    "Goal",
    "History",
    "ListAll",
    "Operator",
    "Outcome",
    "Patch",
    "Record",
    "Rule",
    "Turn",
    "Update",
    "Violation",
    "World",
    "always",
    "booted",
    "cuts",
    "delete_of",
    "eventually",
    "judge",
    "judge_rest",
    "leads_to",
    "manifests",
    "moments",
    "namespace_key",
    "never",
    "object_key",
    "owner_key",
    "shape",
    "stays",
    "survives_every_cut",
    "unmet",
    "update_status",
    "violations",
    "writes_of",
]
