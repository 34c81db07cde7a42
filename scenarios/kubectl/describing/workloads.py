"""Pods and what makes them, as ``describe`` shows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from seatrial.scenarios.kubectl.describing.podspecs import containers, spread, template, tolerations, volumes
from seatrial.scenarios.kubectl.describing.writer import (
    Writer,
    annotated,
    boolean,
    controller,
    events,
    head,
    labels,
    named,
    or_unset,
    selector,
    when,
)
from seatrial.sim.machinery import selectors
from seatrial.sim.machinery.durations import between

Object = Mapping[str, Any]


class Found(Protocol):
    """What describing one object may ask the server."""

    object: Object

    def events(self) -> list[Object] | None: ...

    def items(
        self, word: str, namespace: str | None = None, query: Mapping[str, Any] | None = None
    ) -> list[Object]: ...

    def get(self, word: str, namespace: str, name: str) -> Object:
        """Raises ApiError."""


def pod(w: Writer, found: Found) -> None:
    obj = found.object
    metadata, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    named(w, metadata)
    if spec.get("priority") is not None:
        w.line(0, "Priority:", spec["priority"])
    for field, heading in (("priorityClassName", "Priority Class Name"), ("runtimeClassName", "Runtime Class Name"),
                           ("serviceAccountName", "Service Account")):  # fmt: skip
        if spec.get(field):
            w.line(0, f"{heading}:", spec[field])
    node = spec.get("nodeName")
    w.line(0, "Node:", f"{node}/{status.get('hostIP', '')}" if node else "<none>")
    if status.get("startTime"):
        w.line(0, "Start Time:", when(status["startTime"]))
    labels(w, "Labels", metadata.get("labels"))
    annotated(w, "Annotations", metadata.get("annotations"))
    phase = status.get("phase", "")
    if metadata.get("deletionTimestamp") and phase not in ("Failed", "Succeeded"):
        w.line(0, "Status:", f"Terminating (lasts {w.since(metadata['deletionTimestamp'])})")
        w.line(0, "Termination Grace Period:", f"{metadata.get('deletionGracePeriodSeconds', 0)}s")
    else:
        w.line(0, "Status:", phase)
    for field, heading in (("reason", "Reason"), ("message", "Message")):
        if status.get(field):
            w.line(0, f"{heading}:", status[field])
    profile = (spec.get("securityContext") or {}).get("seccompProfile")
    if profile:
        w.line(0, "SeccompProfile:", profile["type"])
        if profile["type"] == "Localhost":
            w.line(1, "LocalhostProfile:", profile.get("localhostProfile", ""))
    w.line(0, "IP:", status.get("podIP", ""))
    if status.get("podIPs"):
        w.write(0, "IPs:\n")
        for each in status["podIPs"]:
            w.line(1, "IP:", each["ip"])
    else:
        w.line(0, "IPs:", "<none>")
    if owner := controller(obj):
        w.line(0, "Controlled By:", owner)
    if status.get("nominatedNodeName"):
        w.line(0, "NominatedNodeName:", status["nominatedNodeName"])
    _pod_containers(w, obj)
    _pod_conditions(w, spec, status)
    volumes(w, spec.get("volumes") or (), "")
    w.line(0, "QoS Class:", status.get("qosClass", ""))
    labels(w, "Node-Selectors", spec.get("nodeSelector"))
    tolerations(w, "Tolerations", spec.get("tolerations") or ())
    spread(w, spec, "")
    events(w, found.events())


def _pod_containers(w: Writer, obj: Object) -> None:
    spec, status, metadata = obj.get("spec") or {}, obj.get("status") or {}, obj["metadata"]

    def resolve(reference: Object) -> str:
        path = reference["fieldPath"].removeprefix("metadata.")
        return str(metadata.get(path, "")) if path in ("name", "namespace", "uid") else ""

    if spec.get("initContainers"):
        containers(w, "Init Containers", spec["initContainers"], status.get("initContainerStatuses") or (), resolve)
    containers(w, "Containers", spec.get("containers") or (), status.get("containerStatuses") or (), resolve)
    if spec.get("ephemeralContainers"):
        held = status.get("ephemeralContainerStatuses") or ()
        containers(w, "Ephemeral Containers", spec["ephemeralContainers"], held, resolve)


def _pod_conditions(w: Writer, spec: Object, status: Object) -> None:
    found = status.get("conditions") or ()
    if spec.get("readinessGates"):
        w.write(0, "Readiness Gates:\n  Type\tStatus\n")
        for gate in spec["readinessGates"]:
            kind = gate["conditionType"]
            state = next((each["status"] for each in found if each["type"] == kind), "<none>")
            w.write(1, f"{kind} \t{state} \n")
    if found:
        w.write(0, "Conditions:\n  Type\tStatus\n")
        for each in found:
            w.write(1, f"{each['type']} \t{each['status']} \n")


def conditions(w: Writer, found: Sequence[Object]) -> None:
    """Type, status and reason, as of a deployment."""
    if found:
        w.write(0, "Conditions:\n  Type\tStatus\tReason\n  ----\t------\t------\n")
        for each in found:
            w.write(1, f"{each['type']} \t{each['status']}\t{each.get('reason', '')}\n")


def deployment(w: Writer, found: Found) -> None:
    obj = found.object
    metadata, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
    named(w, metadata)
    w.line(0, "CreationTimestamp:", when(metadata.get("creationTimestamp")))
    labels(w, "Labels", metadata.get("labels"))
    annotated(w, "Annotations", metadata.get("annotations"))
    w.line(0, "Selector:", selector(spec.get("selector")))
    w.line(0, "Replicas:", f"{spec.get('replicas', 0)} desired | {status.get('updatedReplicas', 0)} updated | "
           f"{status.get('replicas', 0)} total | {status.get('availableReplicas', 0)} available | "
           f"{status.get('unavailableReplicas', 0)} unavailable")  # fmt: skip
    strategy = spec.get("strategy") or {}
    w.line(0, "StrategyType:", strategy.get("type", ""))
    w.line(0, "MinReadySeconds:", spec.get("minReadySeconds", 0))
    rolling = strategy.get("rollingUpdate")
    if rolling:
        w.line(0, "RollingUpdateStrategy:",
               f"{rolling.get('maxUnavailable')} max unavailable, {rolling.get('maxSurge')} max surge")  # fmt: skip
    template(w, spec["template"])
    conditions(w, status.get("conditions") or ())
    mine = [each for each in found.items("replicasets.apps", metadata["namespace"],
                                         {"labelSelector": selectors.text_of(spec.get("selector"))})
            if any(owner.get("uid") == metadata.get("uid") for owner in each["metadata"].get("ownerReferences") or ())]  # fmt: skip
    new = newest(obj, mine)
    old = [each for each in mine if new is None or each["metadata"]["uid"] != new["metadata"]["uid"]]
    w.line(0, "OldReplicaSets:", _replica_sets(old))
    w.line(0, "NewReplicaSet:", _replica_sets([new] if new is not None else []))
    events(w, found.events())


def newest(owner: Object, replica_sets: Sequence[Object]) -> Object | None:
    """The replica set of a deployment's template (FindNewReplicaSet)."""
    wanted = _comparable(owner["spec"]["template"])
    for each in sorted(replica_sets, key=lambda one: one["metadata"].get("creationTimestamp", "")):
        if _comparable(each["spec"]["template"]) == wanted:
            return each
    return None


def _comparable(found: Object) -> Any:
    metadata = found.get("metadata") or {}
    kept = {key: value for key, value in (metadata.get("labels") or {}).items() if key != "pod-template-hash"}
    return {**found, "metadata": {**metadata, "labels": kept, "creationTimestamp": None}}


def _replica_sets(found: Sequence[Object]) -> str:
    texts = [
        f"{each['metadata']['name']} ({(each.get('status') or {}).get('replicas', 0)}/{each['spec'].get('replicas', 0)} "
        "replicas created)"
        for each in found
    ]
    return ", ".join(texts) or "<none>"


def pod_counts(found: Found, uid: str, namespace: str, chosen: Object | None) -> str:
    """``3 Running / 0 Waiting / 0 Succeeded / 0 Failed`` of what an object controls."""
    counts = dict.fromkeys(("Running", "Pending", "Succeeded", "Failed"), 0)
    for each in found.items("pods", namespace, {"labelSelector": selectors.text_of(chosen)}):
        owners = each["metadata"].get("ownerReferences") or ()
        if any(owner.get("controller") and owner["uid"] == uid for owner in owners):
            phase = (each.get("status") or {}).get("phase", "")
            if phase in counts:
                counts[phase] += 1
    return (
        f"{counts['Running']} Running / {counts['Pending']} Waiting / {counts['Succeeded']} Succeeded / "
        f"{counts['Failed']} Failed"
    )


def replica_set(w: Writer, found: Found) -> None:
    obj = found.object
    metadata, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
    chosen = spec.get("selector")
    if obj["kind"] == "ReplicationController":
        chosen = {"matchLabels": chosen or {}}
    named(w, metadata)
    w.line(0, "Selector:", selector(chosen))
    labels(w, "Labels", metadata.get("labels"))
    annotated(w, "Annotations", metadata.get("annotations"))
    if owner := controller(obj):
        w.line(0, "Controlled By:", owner)
    w.line(0, "Replicas:", f"{status.get('replicas', 0)} current / {spec.get('replicas', 0)} desired")
    w.line(0, "Pods Status:", pod_counts(found, metadata["uid"], metadata["namespace"], chosen))
    template(w, spec.get("template"))
    conditions(w, status.get("conditions") or ())
    events(w, found.events())


def stateful_set(w: Writer, found: Found) -> None:
    obj = found.object
    metadata, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
    named(w, metadata)
    w.line(0, "CreationTimestamp:", when(metadata.get("creationTimestamp")))
    w.line(0, "Selector:", selector(spec.get("selector")))
    labels(w, "Labels", metadata.get("labels"))
    annotated(w, "Annotations", metadata.get("annotations"))
    w.line(0, "Service Name:", spec.get("serviceName", ""))
    w.line(0, "Pod Management Policy:", spec.get("podManagementPolicy", ""))
    w.line(0, "Replicas:", f"{spec.get('replicas', 0)} desired | {status.get('replicas', 0)} total")
    strategy = spec.get("updateStrategy") or {}
    w.line(0, "Update Strategy:", strategy.get("type", ""))
    if strategy.get("rollingUpdate"):
        if strategy["rollingUpdate"].get("partition") is not None:
            w.line(1, "Partition:", strategy["rollingUpdate"]["partition"])
            if strategy["rollingUpdate"].get("maxUnavailable") is not None:
                w.line(1, "MaxUnavailable:", strategy["rollingUpdate"]["maxUnavailable"])
    retention = spec.get("persistentVolumeClaimRetentionPolicy")
    if retention:
        w.write(0, "Persistent Volume Claim Retention Policy:\n")
        w.line(1, "WhenDeleted:", retention.get("whenDeleted", ""))
        w.line(1, "WhenScaled:", retention.get("whenScaled", ""))
    w.line(0, "Pods Status:", pod_counts(found, metadata["uid"], metadata["namespace"], spec.get("selector")))
    template(w, spec.get("template"))
    _claims(w, spec.get("volumeClaimTemplates") or ())
    events(w, found.events())


def _claims(w: Writer, found: Sequence[Object]) -> None:
    if not found:
        w.line(0, "Volume Claims:", "<none>")
        return
    w.write(0, "Volume Claims:\n")
    for each in found:
        metadata, spec = each["metadata"], each["spec"]
        w.line(0, "  Name:", metadata["name"])
        w.line(0, "  StorageClass:", spec.get("storageClassName") or "")
        labels(w, "  Labels", metadata.get("labels"))
        annotated(w, "  Annotations", metadata.get("annotations"))
        capacity = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
        w.line(0, "  Capacity:", capacity if capacity is not None else "<default>")
        w.line(0, "  Access Modes:", f"[{' '.join(spec.get('accessModes') or ())}]")


def daemon_set(w: Writer, found: Found) -> None:
    obj = found.object
    metadata, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
    named(w, metadata)
    w.line(0, "Selector:", selector(spec.get("selector")))
    chosen = spec["template"]["spec"].get("nodeSelector")
    w.line(0, "Node-Selector:", ",".join(f"{key}={chosen[key]}" for key in sorted(chosen)) if chosen else "<none>")
    labels(w, "Labels", metadata.get("labels"))
    annotated(w, "Annotations", metadata.get("annotations"))
    for field, heading in (
        ("desiredNumberScheduled", "Desired Number of Nodes Scheduled"),
        ("currentNumberScheduled", "Current Number of Nodes Scheduled"),
        ("updatedNumberScheduled", "Number of Nodes Scheduled with Up-to-date Pods"),
        ("numberAvailable", "Number of Nodes Scheduled with Available Pods"),
        ("numberMisscheduled", "Number of Nodes Misscheduled"),
    ):
        w.write(0, f"{heading}: {status.get(field, 0)}\n")
    w.line(0, "Pods Status:", pod_counts(found, metadata["uid"], metadata["namespace"], spec.get("selector")))
    template(w, spec.get("template"))
    events(w, found.events())


def job(w: Writer, found: Found) -> None:
    obj = found.object
    metadata, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
    named(w, metadata)
    if spec.get("selector"):
        w.line(0, "Selector:", selector(spec["selector"]))
    labels(w, "Labels", metadata.get("labels"))
    annotated(w, "Annotations", metadata.get("annotations"))
    if owner := controller(obj):
        w.line(0, "Controlled By:", owner)
    _job_spec(w, spec)
    if status.get("startTime"):
        w.line(0, "Start Time:", when(status["startTime"]))
    if status.get("completionTime"):
        w.line(0, "Completed At:", when(status["completionTime"]))
    if status.get("startTime") and status.get("completionTime"):
        w.line(0, "Duration:", between(status["startTime"], status["completionTime"]))
    if spec.get("activeDeadlineSeconds") is not None:
        w.line(0, "Active Deadline Seconds:", f"{spec['activeDeadlineSeconds']}s")
    active = f"{status.get('active', 0)} Active"
    if status.get("ready") is not None:
        active += f" ({status['ready']} Ready)"
    w.line(0, "Pods Statuses:", f"{active} / {status.get('succeeded', 0)} Succeeded / {status.get('failed', 0)} Failed")
    if spec.get("completionMode") == "Indexed":
        w.line(0, "Completed Indexes:", status.get("completedIndexes") or "<none>")
    template(w, spec.get("template"))
    events(w, found.events())


def _job_spec(w: Writer, spec: Object) -> None:
    if spec.get("parallelism") is not None:
        w.line(0, "Parallelism:", spec["parallelism"])
    w.line(0, "Completions:", or_unset(spec.get("completions")))
    if spec.get("completionMode"):
        w.line(0, "Completion Mode:", spec["completionMode"])
    if spec.get("suspend") is not None:
        w.line(0, "Suspend:", or_unset(spec["suspend"]))
    if spec.get("backoffLimit") is not None:
        w.line(0, "Backoff Limit:", spec["backoffLimit"])
    if spec.get("ttlSecondsAfterFinished") is not None:
        w.line(0, "TTL Seconds After Finished:", spec["ttlSecondsAfterFinished"])


def cron_job(w: Writer, found: Found) -> None:
    obj = found.object
    spec, status = obj["spec"], obj.get("status") or {}
    head(w, obj)
    w.line(0, "Schedule:", spec["schedule"])
    if spec.get("timeZone"):
        w.line(0, "Time Zone:", spec["timeZone"])
    w.line(0, "Concurrency Policy:", spec.get("concurrencyPolicy", ""))
    w.line(0, "Suspend:", boolean(spec.get("suspend")) if spec.get("suspend") is not None else "<unset>")
    for field, heading in (("successfulJobsHistoryLimit", "Successful Job History Limit"),
                           ("failedJobsHistoryLimit", "Failed Job History Limit")):  # fmt: skip
        w.line(0, f"{heading}:", or_unset(spec.get(field)))
    deadline = spec.get("startingDeadlineSeconds")
    w.line(0, "Starting Deadline Seconds:", f"{deadline}s" if deadline is not None else "<unset>")
    inner = spec["jobTemplate"].get("spec") or {}
    w.line(0, "Selector:", selector(inner["selector"]) if inner.get("selector") else "<unset>")
    w.line(0, "Parallelism:", or_unset(inner.get("parallelism")))
    w.line(0, "Completions:", or_unset(inner.get("completions")))
    if inner.get("activeDeadlineSeconds") is not None:
        w.line(0, "Active Deadline Seconds:", f"{inner['activeDeadlineSeconds']}s")
    template(w, inner.get("template"))
    w.line(0, "Last Schedule Time:", when(status.get("lastScheduleTime")))
    active = [each["name"] for each in status.get("active") or ()]
    w.line(0, "Active Jobs:", ", ".join(active) if active else "<none>")
    events(w, found.events())


Describe = Callable[[Writer, Found], None]
KINDS: Mapping[str, Describe] = {
    "pods": pod,
    "deployments.apps": deployment,
    "replicasets.apps": replica_set,
    "replicationcontrollers": replica_set,
    "statefulsets.apps": stateful_set,
    "daemonsets.apps": daemon_set,
    "jobs.batch": job,
    "cronjobs.batch": cron_job,
}
