"""Faults of storage."""

from __future__ import annotations

from pydantic import Field

from seatrial.sim.apiserver.client import Verdict
from seatrial.sim.apiserver.request import Request
from seatrial.sim.apiserver.routing import parse
from seatrial.sim.faults.control import refusal
from seatrial.sim.faults.fault import Fault
from seatrial.sim.faults.seams import Heal, Seams

ATTACHMENTS = "volumeattachments.storage.k8s.io"
ATTACHER = "system:serviceaccount:kube-system:csi-attacher"


class VolumeDetachStuck(Fault):
    """Volumes cannot be detached: the driver's attacher does not let go of the VolumeAttachment."""

    kind = "volume-detach-stuck"
    opposite = "The volumes are detached; who waits for one gets it."
    subject = "driver"
    symptom = (
        "Deleted VolumeAttachments stay, with a deletionTimestamp and the attacher's finalizer; a pod on another node "
        "gets FailedAttachVolume, Multi-Attach error, for a volume that one node has for itself, and does not start."
    )
    driver: str = Field(default="", description="The CSI driver; empty for all.")

    def start(self, seams: Seams) -> Heal:
        answer = refusal(503, "ServiceUnavailable", "the volume is still in use")

        def judge(request: Request) -> Verdict | None:
            if request.method != "PATCH" or request.user is None or request.user.name != ATTACHER:
                return None
            found = seams.store.get(ATTACHMENTS, "", parse(request.method, request.path, False).name)
            if found is None or "deletionTimestamp" not in found["metadata"]:
                return None
            return Verdict(0, answer) if self.driver in ("", found["spec"]["attacher"]) else None

        return seams.judge(judge)


VOLUMES = (VolumeDetachStuck,)
