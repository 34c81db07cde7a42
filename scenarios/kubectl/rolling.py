"""``kubectl rollout``. Source: k8s.io/kubectl/pkg/cmd/rollout, k8s.io/kubectl/pkg/polymorphichelpers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from seatrial.scenarios.kubectl import history, printing
from seatrial.scenarios.kubectl.builder import Target, fetched, wanted
from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.client import PATCH_TYPES
from seatrial.scenarios.kubectl.failures import Failure, attempt_each
from seatrial.scenarios.kubectl.values import stamp_of

Object = Mapping[str, Any]
ROLLED = ("deployments.apps", "daemonsets.apps", "statefulsets.apps")
TIMED_OUT = "timed out waiting for the condition"
RESTARTED = "kubectl.kubernetes.io/restartedAt"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def run(call: Call) -> int:
    word = call.path.split()[-1]
    if not call.args and not call.flags["filename"] and not call.flags["kustomize"]:
        raise Failure("required resource not specified")
    if word == "status":
        return status(call)
    found = wanted(call, call.args)
    act = {"history": show_history, "undo": undo, **ACTIONS}[word]
    attempt_each(fetched(call, found, found.problems), partial(act, call), found.problems)
    return 0


# status


def status(call: Call) -> int:
    if call.flags["revision"] < 0:
        raise Failure(f"revision must be a positive integer: {call.flags['revision']}")
    found = wanted(call, call.args)
    targets = list(fetched(call, found, found.problems))
    attempt_each(targets, partial(follow, call), found.problems)
    return 0


def follow(call: Call, target: Target) -> None:
    """Tells how a roll-out goes until it is done. Raises Failure."""
    if target.kind.resource not in ROLLED:
        raise Failure(f"no status viewer has been implemented for {target.kind.kind}")
    deadline = call.deadline(call.flags["timeout"])
    text, done = told(target.object, call.flags["revision"])
    call.write(text)
    if done or not call.flags["watch"]:
        return
    version = target.object["metadata"]["resourceVersion"]
    query = {"fieldSelector": f"metadata.name={target.name}", "resourceVersion": version}
    while True:
        for event in call.client.watch(target.kind.path(target.namespace), query, deadline):
            if event["type"] == "DELETED":
                raise Failure("object has been deleted")
            if event["type"] not in ("ADDED", "MODIFIED"):
                continue
            text, done = told(event["object"], call.flags["revision"])
            call.write(text)
            if done:
                return
        if deadline is not None and call.now() >= deadline:
            raise Failure(TIMED_OUT)
        query["resourceVersion"] = call.client.get(target.path)["metadata"]["resourceVersion"]


def told(obj: Object, revision: int = 0) -> tuple[str, bool]:
    """What is said of a roll-out, and whether it is done. Raises Failure."""
    match obj["kind"]:
        case "Deployment":
            return deployment_status(obj, revision)
        case "DaemonSet":
            return daemon_set_status(obj)
    return stateful_set_status(obj)


def _observed(obj: Object) -> bool:
    return bool(obj["metadata"].get("generation", 0) <= (obj.get("status") or {}).get("observedGeneration", 0))


def deployment_status(obj: Object, revision: int = 0) -> tuple[str, bool]:
    name, spec, status_ = obj["metadata"]["name"], obj["spec"], obj.get("status") or {}
    if revision:
        held = (obj["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision", "")
        if held != str(revision):
            raise Failure(f"desired revision ({revision}) is different from the running revision ({held})")
    if not _observed(obj):
        return "Waiting for deployment spec update to be observed...\n", False
    for each in status_.get("conditions") or ():
        if each["type"] == "Progressing" and each.get("reason") == "ProgressDeadlineExceeded":
            raise Failure(f'deployment "{name}" exceeded its progress deadline')
    updated, total = status_.get("updatedReplicas", 0), status_.get("replicas", 0)
    wanted_, available = spec.get("replicas", 1), status_.get("availableReplicas", 0)
    start = f'Waiting for deployment "{name}" rollout to finish:'
    if updated < wanted_:
        return f"{start} {updated} out of {wanted_} new replicas have been updated...\n", False
    if total > updated:
        return f"{start} {total - updated} old replicas are pending termination...\n", False
    if available < updated:
        return f"{start} {available} of {updated} updated replicas are available...\n", False
    return f'deployment "{name}" successfully rolled out\n', True


def daemon_set_status(obj: Object) -> tuple[str, bool]:
    name, status_ = obj["metadata"]["name"], obj.get("status") or {}
    kind = (obj["spec"].get("updateStrategy") or {}).get("type")
    if kind != "RollingUpdate":
        raise Failure("rollout status is only available for RollingUpdate strategy type")
    if not _observed(obj):
        return "Waiting for daemon set spec update to be observed...\n", False
    updated, wanted_ = status_.get("updatedNumberScheduled", 0), status_.get("desiredNumberScheduled", 0)
    available = status_.get("numberAvailable", 0)
    start = f'Waiting for daemon set "{name}" rollout to finish:'
    if updated < wanted_:
        return f"{start} {updated} out of {wanted_} new pods have been updated...\n", False
    if available < wanted_:
        return f"{start} {available} of {wanted_} updated pods are available...\n", False
    return f'daemon set "{name}" successfully rolled out\n', True


def stateful_set_status(obj: Object) -> tuple[str, bool]:
    spec, status_ = obj["spec"], obj.get("status") or {}
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") != "RollingUpdate":
        raise Failure("rollout status is only available for RollingUpdate strategy type")
    if not status_.get("observedGeneration") or not _observed(obj):
        return "Waiting for statefulset spec update to be observed...\n", False
    replicas = spec.get("replicas", 1)
    ready, updated = status_.get("readyReplicas", 0), status_.get("updatedReplicas", 0)
    if ready < replicas:
        return f"Waiting for {replicas - ready} pods to be ready...\n", False
    partition = (strategy.get("rollingUpdate") or {}).get("partition")
    if partition is not None:
        if updated < replicas - partition:
            text = f"Waiting for partitioned roll out to finish: {updated} out of {replicas - partition} new pods have been updated...\n"
            return text, False
        return f"partitioned roll out complete: {updated} new pods have been updated...\n", True
    if status_.get("updateRevision") != status_.get("currentRevision"):
        revision = status_.get("updateRevision", "")
        return f"waiting for statefulset rolling update to complete {updated} pods at revision {revision}...\n", False
    current = status_.get("currentReplicas", 0)
    return (
        f"statefulset rolling update complete {current} pods at revision {status_.get('currentRevision', '')}...\n",
        True,
    )


# history and undo


def show_history(call: Call, target: Target) -> None:
    revision = call.flags["revision"]
    if revision < 0:
        raise Failure(f"revision must be a positive integer: {revision}")
    found = history.revisions(call, target)
    show = printing.printer(call)
    if show is not None:
        chosen = found[revision] if revision in found else found[max(found)] if found and not revision else None
        if chosen is None:
            raise Failure("unable to find the specified revision")
        call.write(show(chosen.object))
        return
    name = printing.full_name(target.object)
    if revision:
        if revision not in found:
            raise Failure("unable to find the specified revision")
        call.write(f"{name} with revision #{revision}\n{history.template_text(call, found[revision].template)}\n")
        return
    call.write(f"{name} \n{history.listed(found)}\n")


def undo(call: Call, target: Target) -> None:
    if target.kind.resource not in ROLLED:
        raise Failure(f"no rollbacker has been implemented for {target.kind.kind}")
    annotations = target.object["metadata"].get("annotations") or {}
    if LAST_APPLIED in annotations:
        call.warn(
            f"resource {target.kind.plural}/{target.name} was previously managed with 'kubectl apply'. Rolling back will "
            f"not update the {LAST_APPLIED} annotation, which may cause unexpected behavior on future 'kubectl apply' "
            "operations. Consider using 'kubectl apply' with your previous configuration file instead."
        )
    asked = call.flags["to-revision"]
    found = history.revisions(call, target)
    if target.object["spec"].get("paused"):
        raise Failure(
            "you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume' and try again"
        )
    chosen = history.previous(found, asked)
    if call.dry_run == "client":
        call.write(
            f"{printing.full_name(target.object)} {history.template_text(call, history.restored(target.object, chosen))} (dry run)\n"
        )
        return
    if history.is_current(target.object, chosen, found):
        call.out(
            f"{printing.full_name(target.object)} skipped rollback (current template already matches revision {chosen.number})"
        )
        return
    history.roll_back(call, target, chosen)
    call.out(f"{printing.full_name(target.object)} rolled back{call.dry_note}")


# pause, resume, restart


def _changed(call: Call, target: Target, patch: Object, verb: str) -> None:
    shown = target.object
    asked = {"fieldManager": call.flags["field-manager"]}
    shown = call.client.send("PATCH", target.path, asked, patch, PATCH_TYPES["strategic"])
    printing.told(call, shown, verb)


def pause(call: Call, target: Target) -> None:
    if target.kind.resource != "deployments.apps":
        raise Failure(f'{target.kind.resource} "{target.name}" pausing is not supported')
    if target.object["spec"].get("paused"):
        raise Failure(f'{target.kind.resource} "{target.name}" is already paused')
    _changed(call, target, {"spec": {"paused": True}}, "paused")


def resume(call: Call, target: Target) -> None:
    if target.kind.resource != "deployments.apps":
        raise Failure(f'{target.kind.resource} "{target.name}" resuming is not supported')
    if not target.object["spec"].get("paused"):
        raise Failure(f'{target.kind.resource} "{target.name}" is not paused')
    _changed(call, target, {"spec": {"paused": None}}, "resumed")


def restart(call: Call, target: Target) -> None:
    if target.kind.resource not in ROLLED:
        raise Failure(f'{target.kind.resource} "{target.name}" restarting is not supported')
    if target.object["spec"].get("paused"):
        raise Failure(
            f'{target.kind.resource} "{target.name}" can\'t restart paused deployment (run rollout resume first)'
        )
    stamp = stamp_of(call.now())
    patch = {"spec": {"template": {"metadata": {"annotations": {RESTARTED: stamp}}}}}
    held = ((target.object["spec"]["template"].get("metadata") or {}).get("annotations") or {}).get(RESTARTED)
    if held == stamp:
        raise Failure(
            "if restart has already been triggered within the past second, please wait before attempting to trigger another"
        )
    _changed(call, target, patch, "restarted")


ACTIONS = {"pause": pause, "resume": resume, "restart": restart}
