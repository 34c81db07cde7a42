"""``kubectl scale``. Source: k8s.io/kubectl/pkg/cmd/scale, k8s.io/kubectl/pkg/scale."""

from __future__ import annotations

from seatrial.scenarios.kubectl import printing
from seatrial.scenarios.kubectl.builder import Target, fetched, wanted
from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.client import PATCH_TYPES
from seatrial.scenarios.kubectl.failures import Failure, attempt_each

POLL_S = 1.0


def run(call: Call) -> int:
    flags = call.flags
    if flags["replicas"] < 0:
        raise Failure("The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0")
    if flags["current-replicas"] < -1:
        raise Failure("The --current-replicas must specify an integer of -1 or greater")
    found = wanted(call, call.args)
    targets = list(fetched(call, found, found.problems))
    if flags["resource-version"] and len(targets) > 1:
        raise Failure("cannot use --resource-version with multiple resources")

    def act(target: Target) -> None:
        scaled(call, target)
        printing.told(call, target.object, "scaled")

    attempt_each(targets, act, found.problems)
    if not targets:
        raise Failure("no objects passed to scale")
    return 0


def scaled(call: Call, target: Target) -> None:
    """Sets the replicas of one object."""
    flags = call.flags
    path = target.kind.path(target.namespace, target.name, "scale")
    wanted_, expected = flags["replicas"], flags["current-replicas"]
    if call.dry_run == "client":
        return
    if expected >= 0 or flags["resource-version"]:
        scale = call.client.get(path)
        if expected >= 0 and (scale.get("spec") or {}).get("replicas", 0) != expected:
            raise Failure(f"Expected replicas to be {expected}, was {(scale.get('spec') or {}).get('replicas', 0)}")
        if flags["resource-version"] and scale["metadata"]["resourceVersion"] != flags["resource-version"]:
            raise Failure(
                f"Expected resource version to be {flags['resource-version']}, was {scale['metadata']['resourceVersion']}"
            )
    asked = {"dryRun": "All"} if call.dry_run == "server" else {}
    call.client.send("PATCH", path, asked, {"spec": {"replicas": wanted_}}, PATCH_TYPES["merge"])
    if note := call.cause_note():
        call.client.send("PATCH", target.path, {}, {"metadata": {"annotations": note}}, PATCH_TYPES["merge"])
    if flags["timeout"] > 0 and call.dry_run == "none":
        deadline = call.deadline(flags["timeout"])
        while True:
            scale = call.client.get(path)
            if (scale.get("status") or {}).get("replicas", 0) == wanted_:
                return
            if deadline is not None and call.now() >= deadline:
                raise Failure("timed out waiting for the condition")
            call.session.sleep(POLL_S)
