"""Faults of storage."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from pydantic import Field

from seatrial.sim.apiserver.client import Client, Unreachable
from seatrial.sim.apiserver.informer import Informer
from seatrial.sim.apiserver.patching import MERGE_PATCH
from seatrial.sim.apiserver.request import User
from seatrial.sim.faults.fault import Fault
from seatrial.sim.faults.seams import Heal, Seams
from seatrial.sim.machinery.errors import ApiError

ATTACHMENTS = "volumeattachments.storage.k8s.io"
FINALIZER = "external-attacher/"
ATTACHER = User("system:serviceaccount:kube-system:csi-attacher", ("system:masters", "system:authenticated"))


class VolumeDetachStuck(Fault):
    """Volumes cannot be detached: the driver's attacher does not let go of the VolumeAttachment."""

    kind = "volume-detach-stuck"
    opposite = "The volumes are detached; who waits for one gets it."
    subject = "driver"
    symptom = (
        "Deleted VolumeAttachments stay, with a deletionTimestamp and the attacher's finalizer; a pod on another node "
        "gets FailedAttachVolume, Multi-Attach error, for a volume that one node has for itself."
    )
    driver: str = Field(default="", description="The CSI driver; empty for all.")

    def start(self, seams: Seams) -> Heal:
        wiring = seams.wiring
        resource = wiring.kinds.resource(ATTACHMENTS)
        client = Client(wiring, wiring.endpoint.host, ATTACHER, "csi-attacher")
        informer = Informer(wiring, client, resource)
        held: dict[str, None] = {}

        def put(name: str, finalizers: list[str]) -> Generator[Any, Any, None]:
            try:
                yield from client.patch(resource, "", name, {"metadata": {"finalizers": finalizers}}, MERGE_PATCH)
            except (ApiError, Unreachable):
                return

        def changed(verb: str, new: Any, old: Any) -> None:
            if new is None:
                held.pop(old["metadata"]["name"], None)
                return
            metadata, attacher = new["metadata"], new["spec"]["attacher"]
            there = list(metadata.get("finalizers") or ())
            mine = FINALIZER + attacher.replace(".", "-")
            if self.driver in ("", attacher) and mine not in there and metadata["name"] not in held:
                if not metadata.get("deletionTimestamp"):
                    held[metadata["name"]] = None
                    wiring.clock.spawn(put(metadata["name"], [*there, mine]), "fault/attacher")

        informer.on_change(changed)
        watching = wiring.clock.spawn(informer.run(), "fault/attacher")

        def heal() -> None:
            watching.kill()
            for name in held:
                found = informer.view.get("", name) or {"metadata": {}}
                left = [each for each in found["metadata"].get("finalizers") or () if not each.startswith(FINALIZER)]
                wiring.clock.spawn(put(name, left), "fault/attacher")

        return heal


VOLUMES = (VolumeDetachStuck,)
