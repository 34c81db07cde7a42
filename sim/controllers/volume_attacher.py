"""The attachers of CSI drivers: what is to be attached is, and what is not wanted any more is let go.

Source: kubernetes-csi/external-attacher (pkg/controller/csi_handler.go). *Not modelled*: the drivers' own work, which
takes no time and does not fail by itself, and the finalizers of volumes. An add-on that stands for every driver of
which there is a CSIDriver; it does not run where only the control plane does.
"""

from __future__ import annotations

from seatrial.sim.apiserver.request import Object
from seatrial.sim.controllers.actions import MERGE_PATCH, Outcome, Patch, Steps, Turn
from seatrial.sim.controllers.controller import ACCOUNT_GROUPS, Controller, object_key
from seatrial.sim.controllers.volume_attach import ATTACHMENTS, DRIVERS
from seatrial.sim.machinery.errors import ApiError

RETRY_US = 1_000_000
"""--retry-interval-start; not modelled: that it doubles."""
FINALIZER = "external-attacher/"


def reconcile(turn: Turn) -> Steps:
    attachment = turn.view(ATTACHMENTS).get(*turn.key)
    if attachment is None or turn.view(DRIVERS).get("", attachment["spec"]["attacher"]) is None:
        return None
    try:
        if "deletionTimestamp" in attachment["metadata"]:
            yield from _detach(attachment)
        else:
            yield from _attach(attachment)
    except ApiError as refused:
        return None if refused.code == 404 else Outcome(RETRY_US, periodic=True)
    return None


def _attach(attachment: Object) -> Steps:
    """First the finalizer, so that nothing attached is ever forgotten."""
    name, finalizer = attachment["metadata"]["name"], finalizer_of(attachment)
    there = list(attachment["metadata"].get("finalizers") or ())
    if finalizer not in there:
        yield Patch(ATTACHMENTS, "", name, {"metadata": {"finalizers": [*there, finalizer]}}, MERGE_PATCH)
    if not (attachment.get("status") or {}).get("attached"):
        yield Patch(ATTACHMENTS, "", name, {"status": {"attached": True}}, MERGE_PATCH, "status")
    return None


def _detach(attachment: Object) -> Steps:
    there = list(attachment["metadata"].get("finalizers") or ())
    left = [each for each in there if each != finalizer_of(attachment)]
    if left != there:
        patch = {"metadata": {"finalizers": left}}
        yield Patch(ATTACHMENTS, "", attachment["metadata"]["name"], patch, MERGE_PATCH)
    return None


def finalizer_of(attachment: Object) -> str:
    """GetFinalizerName."""
    return FINALIZER + str(attachment["spec"]["attacher"]).replace(".", "-").replace("/", "-")


CONTROLLER = Controller(
    name="volume-attacher",
    account="csi-attacher",
    # A driver comes with rules of its own, which here nobody has installed.
    groups=(*ACCOUNT_GROUPS, "system:masters"),
    reconcile=reconcile,
    watches=((ATTACHMENTS, object_key),),
    reads=(DRIVERS,),
    workers=1,
    addon=True,
)
