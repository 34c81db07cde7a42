"""``kubectl wait``, and the waiting of other commands. Source: k8s.io/kubectl/pkg/cmd/wait."""

from __future__ import annotations

from seatrial.scenarios.kubectl.builder import Target
from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.failures import Failure
from seatrial.sim.machinery.errors import ApiError

TIMED_OUT = "timed out waiting for the condition"
POLL_S = 0.5


def until_gone(call: Call, target: Target, deadline_us: int | None) -> None:
    """Waits until an object, or that one of its name, is no more. Raises Failure when the time is over."""
    uid = target.uid
    selector = {"fieldSelector": f"metadata.name={target.name}"}
    while True:
        try:
            listed = call.client.get(target.kind.path(target.namespace), selector)
        except ApiError as problem:
            if problem.reason in ("NotFound", "MethodNotAllowed", "Forbidden"):
                return
            raise
        items = listed.get("items") or ()
        if not items or (uid and items[0]["metadata"]["uid"] != uid):
            return
        version = listed["metadata"].get("resourceVersion", "")
        deadline = deadline_us or None
        for event in call.client.watch(
            target.kind.path(target.namespace), {**selector, "resourceVersion": version}, deadline
        ):
            if event["type"] == "DELETED":
                return
            if event["type"] == "ERROR":
                break
        if deadline is not None and call.now() >= deadline:
            raise Failure(f"{TIMED_OUT} on {target.kind.plural}/{target.name}")
