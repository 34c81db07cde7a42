"""``kubectl delete``. Source: k8s.io/kubectl/pkg/cmd/delete (delete.go)."""

from __future__ import annotations

from typing import Any

from seatrial.scenarios.kubectl.builder import Target, Wanted, fetched, wanted
from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.failures import Failure, finish
from seatrial.scenarios.kubectl.printing import named
from seatrial.scenarios.kubectl.waiting import until_gone
from seatrial.sim.machinery.errors import ApiError

CASCADES = {"background": "Background", "foreground": "Foreground", "orphan": "Orphan",
            "true": "Background", "false": "Orphan"}  # fmt: skip
FORCE = ("Immediate deletion does not wait for confirmation that the running resource has been terminated. "
         "The resource may continue to run on the cluster indefinitely.")  # fmt: skip


def run(call: Call) -> int:
    flags = call.flags
    if flags["raw"]:
        call.write(call.client.ask("DELETE", flags["raw"]).body.decode())
        return 0
    grace = flags["grace-period"]
    if flags["now"]:
        if grace != -1:
            raise Failure("--now and --grace-period cannot be specified together")
        grace = 1
    force = flags["force"]
    if grace == 0 and not force:
        grace = 1
    elif force and grace > 0:
        raise Failure("--force and --grace-period greater than 0 cannot be specified together")
    elif force and grace < 0:
        grace = 0
    if force:
        call.warn(FORCE)
    if flags["cascade"] not in CASCADES:
        raise Failure(f'invalid cascade value ({flags["cascade"]}). Must be "background", "foreground", or "orphan"')
    found = wanted(call, call.args)
    every = flags["all"] or bool(flags["selector"]) or bool(flags["field-selector"])
    ignore = flags["ignore-not-found"] or (every and not flags.changed("ignore-not-found"))
    return deleted(call, found, grace, ignore)


def deleted(call: Call, found: Wanted, grace: int, ignore: bool) -> int:
    flags = call.flags
    problems: list[Exception] = list(found.problems)
    gone: list[Target] = []
    warned = False
    listed = [target for target in found.targets if not target.name]
    targets = [target for target in found.targets if target.name]
    if listed:
        targets += list(fetched(call, Wanted(listed), problems))
    if flags.get("interactive") and targets and not _confirmed(call, targets):
        return 0
    for target in targets:
        if not warned and not target.kind.namespaced and call.explicit_namespace:
            call.warn("deleting cluster-scoped resources, not scoped to the provided namespace")
            warned = True
        try:
            _delete(call, target, grace)
            gone.append(target)
        except ApiError as problem:
            if not (ignore and problem.reason == "NotFound"):
                problems.append(problem)
    if not targets and not problems and not flags["ignore-not-found"]:
        call.out("No resources found")
    wait = flags["wait"] and call.dry_run == "none" and not (flags["force"] and grace == 0)
    if wait:
        deadline = call.deadline(flags["timeout"])
        for target in gone:
            until_gone(call, target, deadline)
    finish(problems)
    return 0


def _confirmed(call: Call, targets: list[Target]) -> bool:
    call.out(f"You are about to delete the following {len(targets)} resource(s):")
    for target in targets:
        call.out(target.full_name)
    call.write("Do you want to continue? (y/N): ")
    if call.session.stdin.readline().strip().lower() not in ("y", "yes"):
        call.out("deletion is cancelled")
        return False
    return True


def options(call: Call, grace: int) -> dict[str, Any]:
    body: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1"}
    body["propagationPolicy"] = CASCADES[call.flags["cascade"]]
    if grace >= 0:
        body["gracePeriodSeconds"] = grace
    if call.dry_run == "server":
        body["dryRun"] = ["All"]
    return body


def _delete(call: Call, target: Target, grace: int) -> None:
    if call.dry_run != "client":
        answer = call.client.send("DELETE", target.path, body=options(call, grace))
        metadata = answer.get("metadata") or {} if answer.get("kind") != "Status" else answer.get("details") or {}
        target.uid = metadata.get("uid", "")
    else:
        target.object = call.client.get(target.path)
    if call.flags["output"] == "name":
        call.write(named({"apiVersion": target.kind.api_version, "kind": target.kind.kind,
                          "metadata": {"name": target.name}}))  # fmt: skip
        return
    if call.flags["output"]:
        raise Failure(f"unexpected -o output mode: {call.flags['output']}. We only support '-o name'")
    verb = "force deleted" if grace == 0 else "deleted"
    where = f" from {target.namespace} namespace" if target.namespace else ""
    call.out(f'{target.kind.short} "{target.name}" {verb}{where}{call.dry_note}')
