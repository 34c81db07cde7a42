"""Claims of devices, templates of claims, and slices of a pool.

Source: k8s.io/kubernetes/pkg/apis/resource/validation. *Not modelled*: what a new object must hold beyond its types;
wrong requests for devices are accepted.
"""

from __future__ import annotations

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation.problems import Errors, Object, immutable, too_many

RESERVED_MAX = 256
"""Users of one claim."""
SLICE_FIXED = ("driver", "nodeName", "nodeSelector", "allNodes")


def spec_stays(new: Object, old: Object) -> Errors:
    return immutable("spec", new.get("spec"), old.get("spec"))


def claim_status(new: Object, old: Object) -> Errors:
    """An allocation is made once and may only be taken back."""
    after, before = new.get("status") or {}, old.get("status") or {}
    errors: list[FieldError] = []
    if before.get("allocation") is not None and after.get("allocation") is not None:
        errors += immutable("status.allocation", after["allocation"], before["allocation"])
    users = after.get("reservedFor") or ()
    if len(users) > RESERVED_MAX:
        errors.append(too_many("status.reservedFor", len(users), RESERVED_MAX))
    return errors


def slice_update(new: Object, old: Object) -> Errors:
    """A slice stays where it is."""
    after, before = new.get("spec") or {}, old.get("spec") or {}
    errors: list[FieldError] = []
    for name in SLICE_FIXED:
        errors += immutable(f"spec.{name}", after.get(name), before.get(name))
    pool, pool_before = after.get("pool") or {}, before.get("pool") or {}
    errors += immutable("spec.pool.name", pool.get("name") or "", pool_before.get("name") or "")
    return errors
