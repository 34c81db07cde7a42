"""Expanding volumes of CSI drivers: the control plane's side of it, which is to say who does it.

Source: k8s.io/kubernetes/pkg/controller/volume/expand.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from seatrial.sim.controllers.actions import Record, Steps, Turn
from seatrial.sim.controllers.controller import Controller, Seen, object_key
from seatrial.sim.controllers.podstate import phase
from seatrial.sim.controllers.volume_attach_state import CLAIMS
from seatrial.sim.controllers.volume_match import storage


def reconcile(turn: Turn) -> Steps:
    """Tells of a claim that has been made larger than its volume."""
    namespace, name = turn.key
    claim = turn.view(CLAIMS).get(namespace, name)
    if claim is None or phase(claim) != "Bound":
        return None
    asked = storage((claim["spec"].get("resources") or {}).get("requests"))
    if asked <= storage((claim.get("status") or {}).get("capacity")):
        return None
    text = "waiting for an external controller to expand this PVC"
    yield Record(claim, "Normal", "ExternalExpanding", text)
    return None


def claim_keys(seen: Seen) -> Iterable[Any]:
    """Only a claim that asks for more than before."""
    new, old = seen.new, seen.old
    if new is None or old is None or new["spec"].get("resources") == old["spec"].get("resources"):
        return ()
    return object_key(seen)


CONTROLLER = Controller(
    name="persistentvolume-expander-controller",
    account="expand-controller",
    component="volume_expand",
    reconcile=reconcile,
    watches=((CLAIMS, claim_keys),),
)
