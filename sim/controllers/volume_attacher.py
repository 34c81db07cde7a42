"""The attachers of CSI drivers: what is to be attached is, and what is not wanted any more is let go.

A process of its own, that stands for the external-attacher beside every driver of which there is a CSIDriver, and for
the storage behind it, which gives a volume of one node to no second one. Source: kubernetes-csi/external-attacher
(pkg/controller/csi_handler.go, cmd/csi-attacher) and the CSI specification (ControllerPublishVolume,
ControllerUnpublishVolume). *Not modelled*: how long a driver takes, that several replicas elect a leader, and the
finalizers of volumes. It does not run where only the control plane does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from seatrial.sim.apiserver.request import Object
from seatrial.sim.apiserver.wiring import Wiring
from seatrial.sim.config import S
from seatrial.sim.controllers.actions import MERGE_PATCH, Outcome, Patch, Steps, Turn
from seatrial.sim.controllers.controller import ACCOUNT_GROUPS, Controller, Seen, object_key
from seatrial.sim.controllers.informers import Informers
from seatrial.sim.controllers.shell import Shell
from seatrial.sim.controllers.volume_attach_state import (
    ATTACHMENTS,
    DRIVERS,
    VOLUMES,
    attachment_name,
    is_shared,
    parts_of,
    volume_name,
)
from seatrial.sim.kernel.clock import Process
from seatrial.sim.machinery.errors import ApiError

NAME = "csi-attacher"
FINALIZER = "external-attacher/"
RETRY_US, RETRY_MAX_US = 1 * S, 300 * S
"""--retry-interval-start and --retry-interval-max."""


def reconcile(turn: Turn) -> Steps:
    attachment = turn.view(ATTACHMENTS).get(*turn.key)
    if attachment is None or turn.view(DRIVERS).get("", attachment["spec"]["attacher"]) is None:
        return None
    try:
        if "deletionTimestamp" in attachment["metadata"]:
            return (yield from _detach(turn, attachment))
        return (yield from _attach(turn, attachment))
    except ApiError as refused:
        return None if refused.code == 404 else Outcome(retry=True)


def _attach(turn: Turn, attachment: Object) -> Steps:
    """First the finalizer, so that nothing attached is ever forgotten."""
    name, finalizer = attachment["metadata"]["name"], finalizer_of(attachment)
    if (attachment.get("status") or {}).get("attached"):
        return None
    there = list(attachment["metadata"].get("finalizers") or ())
    if finalizer not in there:
        yield Patch(ATTACHMENTS, "", name, {"metadata": {"finalizers": [*there, finalizer]}}, MERGE_PATCH)
    problem = publish(turn, attachment)
    if problem:
        yield _status(name, {"attached": False, "attachError": {"message": problem, "time": turn.stamp}})
        return Outcome(retry=True)
    yield _status(name, {"attached": True, "attachError": None})
    return None


def _detach(turn: Turn, attachment: Object) -> Steps:
    name, finalizer = attachment["metadata"]["name"], finalizer_of(attachment)
    there = list(attachment["metadata"].get("finalizers") or ())
    if finalizer not in there:
        return None
    problem = unpublish(turn, attachment)
    if problem:
        yield _status(name, {"detachError": {"message": problem, "time": turn.stamp}})
        return Outcome(retry=True)
    yield _status(name, {"attached": False, "detachError": None})
    left = [each for each in there if each != finalizer]
    yield Patch(ATTACHMENTS, "", name, {"metadata": {"finalizers": left}}, MERGE_PATCH)
    return None


def _status(name: str, status: Mapping[str, Any]) -> Patch:
    return Patch(ATTACHMENTS, "", name, {"status": status}, MERGE_PATCH, "status")


def finalizer_of(attachment: Object) -> str:
    """GetFinalizerName."""
    return FINALIZER + str(attachment["spec"]["attacher"]).replace(".", "-").replace("/", "-")


def keys(seen: Seen) -> Iterable[Any]:
    """Not of a change that says what went wrong: that is tried again when its back-off is over
    (shouldEnqueueVAChange)."""
    if seen.new is not None and seen.old is not None and _facts(seen.new) == _facts(seen.old):
        return ()
    return object_key(seen)


def _facts(attachment: Object) -> tuple[Any, ...]:
    metadata = attachment["metadata"]
    attached = (attachment.get("status") or {}).get("attached")
    return attached, metadata.get("finalizers"), metadata.get("deletionTimestamp"), metadata.get("labels")


# --- the storage behind the drivers


def source_of(turn: Turn, attachment: Object) -> Object | None:
    name = (attachment["spec"].get("source") or {}).get("persistentVolumeName", "")
    return turn.view(VOLUMES).get("", name) if name else None


def publish(turn: Turn, attachment: Object) -> str:
    """ControllerPublishVolume: gives a volume to a node; why not, if it cannot be."""
    source, node = source_of(turn, attachment), attachment["spec"]["nodeName"]
    volume = volume_name(source) if source is not None else ""
    if source is None or not volume:
        return ""
    holders = _holders(turn).setdefault(volume, {})
    for other in [] if is_shared([source]) else [each for each in holders if each != node]:
        if turn.view(ATTACHMENTS).get("", attachment_name(volume, other)) is not None:
            handle = parts_of(volume)[1]
            return f"rpc error: code = FailedPrecondition desc = volume {handle} is published to node {other}"
        del holders[other]
    holders[node] = None
    return ""


def unpublish(turn: Turn, attachment: Object) -> str:
    """ControllerUnpublishVolume: takes a volume from a node; why not, if it cannot be."""
    problem: str = turn.shared["refusal"](attachment["spec"]["attacher"])
    source = source_of(turn, attachment)
    if not problem and source is not None:
        _holders(turn).get(volume_name(source), {}).pop(attachment["spec"]["nodeName"], None)
    return problem


def _holders(turn: Turn) -> dict[str, dict[str, None]]:
    """Volume → nodes that have it; what the API server knows of that when the process begins."""
    found: dict[str, dict[str, None]] | None = turn.memory.get("holders")
    if found is None:
        found = turn.memory["holders"] = {}
        for each in turn.view(ATTACHMENTS).list():
            source = source_of(turn, each)
            if source is not None and (each.get("status") or {}).get("attached"):
                found.setdefault(volume_name(source), {})[each["spec"]["nodeName"]] = None
    return found


CONTROLLER = Controller(
    name="volume-attacher",
    account=NAME,
    # A driver comes with rules of its own, which here nobody has installed.
    groups=(*ACCOUNT_GROUPS, "system:masters"),
    reconcile=reconcile,
    watches=((ATTACHMENTS, keys),),
    reads=(DRIVERS, VOLUMES),
    workers=1,
    backoff_base_us=RETRY_US,
    backoff_max_us=RETRY_MAX_US,
)


class Attacher:
    """The process: a component that is started and killed alone."""

    name = NAME

    def __init__(self, wiring: Wiring, host: str) -> None:
        self._wiring, self.host = wiring, host
        self.refusal: Callable[[str], str] = lambda driver: ""
        """The seam for storage that lets go of nothing: what a driver, told by its name, answers when it is to detach;
        empty where it does as it is asked."""
        self._informers: Informers | None = None
        self._shell: Shell | None = None
        self._process: Process | None = None

    @property
    def running(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        if self._process is not None:
            return
        wiring = self._wiring
        informers = self._informers = Informers(wiring, self.host, NAME, CONTROLLER.user)
        shared = {"refusal": lambda driver: self.refusal(driver)}
        self._shell = Shell(CONTROLLER, wiring, self.host, informers, wiring.spec, shared, NAME)
        self._process = wiring.clock.spawn(self._shell.start(), NAME)
        informers.start()

    def stop(self) -> None:
        """As kill -9."""
        if self._process is None or self._shell is None or self._informers is None:
            return
        self._shell.kill()
        self._informers.stop()
        self._process.kill()
        self._informers = self._shell = self._process = None

    def busy(self) -> list[str]:
        return self._shell.busy() if self._shell is not None else []
