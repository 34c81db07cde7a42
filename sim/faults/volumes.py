"""Faults of storage."""

from __future__ import annotations

from pydantic import Field

from seatrial.sim.faults.fault import Fault
from seatrial.sim.faults.seams import Heal, Seams


class VolumeDetachStuck(Fault):
    """Volumes cannot be detached: the storage does not let go of them."""

    kind = "volume-detach-stuck"
    opposite = "The volumes are detached at the attacher's next attempt; who waits for one gets it."
    subject = "driver"
    symptom = (
        "Deleted VolumeAttachments stay, with a detachError and the attacher's finalizer; a pod on another node does "
        "not start and gets FailedAttachVolume: the driver refuses to give the volume to a second node."
    )
    driver: str = Field(default="", description="The CSI driver; empty for all.")

    def start(self, seams: Seams) -> Heal:
        problem = "rpc error: code = Internal desc = the volume is still in use"
        return seams.refuse_detaching(lambda driver: problem if self.driver in ("", driver) else "")


VOLUMES = (VolumeDetachStuck,)
