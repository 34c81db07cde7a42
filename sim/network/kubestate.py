"""kube-state-metrics' families as functions of objects.

Most are a number or a time at a place of the object: ``KINDS`` says which. The others are small functions below.
Source: k8s.io/kube-state-metrics/v2 (internal/store), docs/metrics. Not modelled: labels and annotations as metrics
(upstream needs an allow-list for them), custom resources, and of volumes the attributes of other drivers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from seatrial.sim.kernel.clock import parse_stamp
from seatrial.sim.machinery import quantity

Object = Mapping[str, Any]
Row = tuple[str, Mapping[str, str], float]
"""Family without its prefix, labels beside those that name the object, value."""
More = Callable[[Object], Iterator[Row]]


class Kind(NamedTuple):
    """How a kind's objects are told."""

    prefix: str
    """Of its families, and the label that names the object."""
    numbers: Mapping[str, str] = {}
    """Family → place; a place that ends in ``?`` is left out where there is nothing, others are zero then."""
    times: Mapping[str, str] = {}
    more: More | None = None
    namespaced: bool = True
    has_uid: bool = False
    label: str = ""
    """The label that names the object, where that is not the prefix."""


def at(obj: Object, place: str) -> Any:
    """What stands at a place such as ``status.replicas``."""
    found: Any = obj
    for part in place.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(part)
    return found


def rows(kind: Kind, obj: Object) -> Iterator[Row]:
    """Everything that an object says, with all labels."""
    metadata = obj["metadata"]
    own = {kind.label or kind.prefix: metadata["name"]}
    if kind.namespaced:
        own["namespace"] = metadata.get("namespace", "")
    if kind.has_uid:
        own["uid"] = metadata.get("uid", "")
    for name, place in {"created": "metadata.creationTimestamp", "deletion_timestamp": DELETED, **kind.times}.items():
        stamp = at(obj, place)
        if stamp:
            yield f"kube_{kind.prefix}_{name}", own, parse_stamp(stamp) // 1_000_000
    for name, place in kind.numbers.items():
        value = at(obj, place.rstrip("?"))
        if value is not None or not place.endswith("?"):
            yield f"kube_{kind.prefix}_{name}", own, float(value or 0)
    for name, labels, value in kind.more(obj) if kind.more is not None else ():
        yield f"kube_{kind.prefix}_{name}".rstrip("_"), {**own, **labels}, value


DELETED: Final = "metadata.deletionTimestamp"
GENERATION: Final = {
    "metadata_generation": "metadata.generation",
    "status_observed_generation": "status.observedGeneration",
}
TRUTHS: Final = ("true", "false", "unknown")


def _truths(condition: Object, label: str = "status") -> Iterator[tuple[dict[str, str], float]]:
    """One row per possible value."""
    for each in TRUTHS:
        yield {label: each}, float(condition["status"].lower() == each)


def _conditions(obj: Object) -> Iterable[Object]:
    return (obj.get("status") or {}).get("conditions") or ()


def _phases(obj: Object, phases: Iterable[str]) -> Iterator[Row]:
    phase = at(obj, "status.phase")
    for each in phases if phase else ():
        yield "status_phase", {"phase": each}, float(phase == each)


def _owners(obj: Object, controller: bool = True) -> Iterator[Row]:
    owners: Iterable[Object] = obj["metadata"].get("ownerReferences") or ({},)
    for owner in owners:
        said = str(bool(owner.get("controller"))).lower() if owner else ""
        labels = {"owner_kind": str(owner.get("kind", "")), "owner_name": str(owner.get("name", ""))}
        yield "owner", {**labels, **({"owner_is_controller": said} if controller else {})}, 1


UNITS: Final = {"cpu": "core", "memory": "byte", "storage": "byte", "ephemeral-storage": "byte", "pods": "integer"}


def _amounts(amounts: Object) -> Iterator[tuple[dict[str, str], float]]:
    for name, text in amounts.items():
        value = quantity.parse(str(text))
        unit = UNITS.get(name, "byte" if name.startswith("hugepages-") else "integer")
        amount = value.milli_value() / 1000 if name == "cpu" else value.value()
        yield {"resource": name.replace("-", "_").replace(".", "_").replace("/", "_"), "unit": unit}, amount


def _pod(pod: Object) -> Iterator[Row]:
    spec, status = pod["spec"], pod.get("status") or {}
    owners = [each for each in pod["metadata"].get("ownerReferences") or () if each.get("controller")]
    owner: Object = owners[0] if owners else {}
    node = spec.get("nodeName", "")
    yield "info", {
        "created_by_kind": owner.get("kind", ""), "created_by_name": owner.get("name", ""),
        "host_ip": status.get("hostIP", ""), "host_network": str(spec.get("hostNetwork", False)).lower(),
        "node": node, "pod_ip": status.get("podIP", ""), "priority_class": spec.get("priorityClassName", ""),
    }, 1  # fmt: skip
    for each in status.get("podIPs") or ():
        yield "ips", {"ip": each["ip"], "ip_family": "6" if ":" in each["ip"] else "4"}, 1
    yield from _owners(pod)
    yield from _phases(pod, ("Pending", "Succeeded", "Failed", "Unknown", "Running"))
    yield "restart_policy", {"type": spec.get("restartPolicy", "Always")}, 1
    yield "scheduler", {"name": spec.get("schedulerName", "")}, 1
    yield "service_account", {"service_account": spec.get("serviceAccountName", "")}, 1
    for quality in ("BestEffort", "Burstable", "Guaranteed") if status.get("qosClass") else ():
        yield "status_qos_class", {"qos_class": quality}, float(status["qosClass"] == quality)
    if status.get("reason"):
        yield "status_reason", {"reason": status["reason"]}, 1
    for condition in _conditions(pod):
        name = {"Ready": "ready", "PodScheduled": "scheduled"}.get(condition["type"])
        moment = parse_stamp(condition["lastTransitionTime"]) // 1_000_000
        for labels, value in _truths(condition, "condition") if name else ():
            yield f"status_{name}", labels, value
        if condition["status"] == "True" and condition["type"] in MOMENTS:
            yield MOMENTS[condition["type"]], {}, moment
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield "status_unscheduled_time", {}, moment
            yield "status_unschedulable", {}, 1
    for volume in spec.get("volumes") or ():
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if claim:
            labels = {"volume": volume["name"], "persistentvolumeclaim": claim, "ephemeral": "false"}
            yield "spec_volumes_persistentvolumeclaims_info", labels, 1
            read_only = volume["persistentVolumeClaim"].get("readOnly", False)
            yield "spec_volumes_persistentvolumeclaims_readonly", labels, float(read_only)
    for each in spec.get("tolerations") or ():
        yield "tolerations", {
            "key": each.get("key", ""), "operator": each.get("operator", ""), "value": each.get("value", ""),
            "effect": each.get("effect", ""), "toleration_seconds": str(each.get("tolerationSeconds", "")),
        }, 1  # fmt: skip
    for init, field in (("", "containers"), ("init_", "initContainers")):
        for container in spec.get(field) or ():
            for kind in ("requests", "limits"):
                for labels, value in _amounts((container.get("resources") or {}).get(kind) or {}):
                    place = {"container": container["name"], "node": node}
                    yield f"{init}container_resource_{kind}", {**place, **labels}, value
        for each in status.get("containerStatuses" if not init else "initContainerStatuses") or ():
            yield from _container(init, each)


MOMENTS: Final = {
    "Ready": "status_ready_time", "PodScheduled": "status_scheduled_time", "Initialized": "status_initialized_time",
    "ContainersReady": "status_container_ready_time",
}  # fmt: skip


def _container(init: str, status: Object) -> Iterator[Row]:
    own, prefix = {"container": status["name"]}, f"{init}container"
    yield f"{prefix}_info", {
        **own, "container_id": status.get("containerID", ""), "image": status.get("image", ""),
        "image_id": status.get("imageID", ""), "image_spec": status.get("image", ""),
    }, 1  # fmt: skip
    state, last = status.get("state") or {}, (status.get("lastState") or {}).get("terminated") or {}
    yield f"{prefix}_status_ready", own, float(status.get("ready", False))
    yield f"{prefix}_status_restarts_total", own, status.get("restartCount", 0)
    for name in ("running", "waiting", "terminated"):
        yield f"{prefix}_status_{name}", own, float(name in state)
    for name in ("waiting", "terminated"):
        reason = (state.get(name) or {}).get("reason")
        if reason:
            yield f"{prefix}_status_{name}_reason", {**own, "reason": reason}, 1
    started = (state.get("running") or state.get("terminated") or {}).get("startedAt")
    if started:
        yield f"{prefix}_state_started", own, parse_stamp(started) // 1_000_000
    if last:
        yield f"{prefix}_status_last_terminated_reason", {**own, "reason": last.get("reason", "")}, 1
        yield f"{prefix}_status_last_terminated_exitcode", own, last.get("exitCode", 0)
        if last.get("finishedAt"):
            moment = parse_stamp(last["finishedAt"]) // 1_000_000
            yield f"{prefix}_status_last_terminated_timestamp", own, moment


def _node(node: Object) -> Iterator[Row]:
    info, status = at(node, "status.nodeInfo") or {}, node.get("status") or {}
    addresses = status.get("addresses") or ()
    internal = next((each["address"] for each in addresses if each["type"] == "InternalIP"), "")
    yield "info", {
        "container_runtime_version": info.get("containerRuntimeVersion", ""), "internal_ip": internal,
        "kernel_version": info.get("kernelVersion", ""), "kubelet_version": info.get("kubeletVersion", ""),
        "kubeproxy_version": "deprecated", "os_image": info.get("osImage", ""),
        "pod_cidr": node["spec"].get("podCIDR", ""), "provider_id": node["spec"].get("providerID", ""),
        "system_uuid": info.get("systemUUID", ""),
    }, 1  # fmt: skip
    for label in node["metadata"].get("labels") or {}:
        if label.startswith("node-role.kubernetes.io/"):
            yield "role", {"role": label.partition("/")[2]}, 1
    for taint in node["spec"].get("taints") or ():
        yield "spec_taint", {"key": taint["key"], "value": taint.get("value", ""), "effect": taint["effect"]}, 1
    for cidr in node["spec"].get("podCIDRs") or ():
        yield "spec_pod_cidrs", {"pod_cidr": cidr}, 1
    for each in addresses:
        yield "status_addresses", {"type": each["type"], "address": each["address"]}, 1
    for kind in ("capacity", "allocatable"):
        for labels, value in _amounts(status.get(kind) or {}):
            yield f"status_{kind}", labels, value
    for condition in _conditions(node):
        for labels, value in _truths(condition):
            yield "status_condition", {"condition": condition["type"], **labels}, value


def _share(value: Any, of: int, up: bool) -> float:
    if isinstance(value, str) and value.endswith("%"):
        part = of * int(value[:-1]) / 100
        return float(-(-part // 1) if up else part // 1)
    return float(value or 0)


def _deployment(obj: Object) -> Iterator[Row]:
    yield from _owners(obj, controller=False)
    rolling, count = at(obj, "spec.strategy.rollingUpdate"), at(obj, "spec.replicas") or 0
    if rolling:
        yield "spec_strategy_rollingupdate_max_surge", {}, _share(rolling.get("maxSurge"), count, True)
        yield "spec_strategy_rollingupdate_max_unavailable", {}, _share(rolling.get("maxUnavailable"), count, False)
    for condition in _conditions(obj):
        for labels, value in _truths(condition):
            about = {"condition": condition["type"], "reason": condition.get("reason", "")}
            yield "status_condition", {**about, **labels}, value


def _statefulset(obj: Object) -> Iterator[Row]:
    for name in ("current", "update"):
        yield f"status_{name}_revision", {"revision": at(obj, f"status.{name}Revision") or ""}, 1
    kept = at(obj, "spec.persistentVolumeClaimRetentionPolicy") or {}
    labels = {"when_deleted": kept.get("whenDeleted", "Retain"), "when_scaled": kept.get("whenScaled", "Retain")}
    yield "persistentvolumeclaim_retention_policy", labels, 1


def _job(obj: Object) -> Iterator[Row]:
    yield "info", {}, 1
    yield from _owners(obj)
    for condition in _conditions(obj):
        name = {"Complete": "complete", "Failed": "failed"}.get(condition["type"])
        for labels, value in _truths(condition, "condition") if name else ():
            yield str(name), labels, value
    failed = next((each.get("reason", "") for each in _conditions(obj) if each["type"] == "Failed"), "")
    yield "status_failed", {"reason": failed}, at(obj, "status.failed") or 0


def _cronjob(obj: Object) -> Iterator[Row]:
    spec = obj["spec"]
    about = {"schedule": spec["schedule"], "concurrency_policy": spec.get("concurrencyPolicy", "")}
    yield "info", {**about, "timezone": spec.get("timeZone") or "local"}, 1
    yield "status_active", {}, len(at(obj, "status.active") or ())


def _service(obj: Object) -> Iterator[Row]:
    spec = obj["spec"]
    yield "info", {
        "cluster_ip": spec.get("clusterIP", ""), "external_name": spec.get("externalName", ""),
        "external_traffic_policy": spec.get("externalTrafficPolicy", ""),
        "load_balancer_ip": spec.get("loadBalancerIP", ""),
    }, 1  # fmt: skip
    yield "spec_type", {"type": spec.get("type", "ClusterIP")}, 1
    for address in spec.get("externalIPs") or ():
        yield "spec_external_ip", {"external_ip": address}, 1
    for each in at(obj, "status.loadBalancer.ingress") or ():
        yield "status_load_balancer_ingress", {"ip": each.get("ip", ""), "hostname": each.get("hostname", "")}, 1


def _claim(obj: Object) -> Iterator[Row]:
    spec = obj["spec"]
    about = {"storageclass": spec.get("storageClassName") or "", "volumename": spec.get("volumeName", "")}
    yield "info", {**about, "volumemode": spec.get("volumeMode", "")}, 1
    yield from _phases(obj, ("Lost", "Bound", "Pending"))
    for mode in spec.get("accessModes") or ():
        yield "access_mode", {"access_mode": mode}, 1
    asked = at(obj, "spec.resources.requests.storage")
    if asked:
        yield "resource_requests_storage_bytes", {}, quantity.parse(asked).value()


def _volume(obj: Object) -> Iterator[Row]:
    spec = obj["spec"]
    about = {"storageclass": spec.get("storageClassName", "")}
    about["reclaim_policy"] = spec.get("persistentVolumeReclaimPolicy", "")
    about["host_path"] = (spec.get("hostPath") or {}).get("path", "")
    about["nfs_server"] = (spec.get("nfs") or {}).get("server", "")
    about["nfs_path"] = (spec.get("nfs") or {}).get("path", "")
    about["csi_driver"] = (spec.get("csi") or {}).get("driver", "")
    yield "info", about, 1
    yield from _phases(obj, ("Pending", "Available", "Bound", "Released", "Failed"))
    yield "capacity_bytes", {}, quantity.parse(spec["capacity"]["storage"]).value()
    yield "volume_mode", {"volumemode": spec.get("volumeMode", "")}, 1
    for mode in spec.get("accessModes") or ():
        yield "access_mode", {"access_mode": mode}, 1
    claim = spec.get("claimRef")
    if claim:
        yield "claim_ref", {"claim_namespace": claim["namespace"], "name": claim["name"]}, 1


def _autoscaler(obj: Object) -> Iterator[Row]:
    target = obj["spec"]["scaleTargetRef"]
    yield "info", {
        "scaletargetref_api_version": target.get("apiVersion", ""), "scaletargetref_kind": target["kind"],
        "scaletargetref_name": target["name"],
    }, 1  # fmt: skip
    for condition in _conditions(obj):
        for labels, value in _truths(condition):
            yield "status_condition", {"condition": condition["type"], **labels}, value
    for field, name in (("spec.metrics", "spec_target_metric"), ("status.currentMetrics", "status_target_metric")):
        for metric in at(obj, field) or ():
            resource = metric.get("resource") or metric.get("containerResource")
            told: Object = (resource or {}).get("target") or (resource or {}).get("current") or {}
            for key, kind in (("averageUtilization", "utilization"), ("averageValue", "average")):
                if key in told:
                    amount = quantity.parse(str(told[key])).milli_value() / 1000
                    labels = {"metric_name": (resource or {}).get("name", ""), "metric_target_type": kind}
                    yield name, {**labels, "container": (resource or {}).get("container", "")}, amount


def _quota(obj: Object) -> Iterator[Row]:
    for kind in ("hard", "used"):
        for name, text in (at(obj, f"status.{kind}") or {}).items():
            amount = quantity.parse(str(text)).milli_value() / 1000
            yield "", {"resource": name, "type": kind}, amount


def _info(obj: Object) -> Iterator[Row]:
    yield "info", {}, 1


def _secret(obj: Object) -> Iterator[Row]:
    yield "info", {}, 1
    yield "type", {"type": obj.get("type", "")}, 1


def _ingress(obj: Object) -> Iterator[Row]:
    yield "info", {"ingressclass": obj["spec"].get("ingressClassName") or "_default"}, 1
    for rule in obj["spec"].get("rules") or ():
        for path in (rule.get("http") or {}).get("paths") or ():
            service = path["backend"].get("service") or {}
            port = service.get("port") or {}
            number = str(port.get("number") or port.get("name") or "")
            yield "path", {
                "host": rule.get("host", ""), "path": path.get("path", ""), "path_type": path.get("pathType", ""),
                "service_name": service.get("name", ""), "service_port": number,
            }, 1  # fmt: skip
    for each in obj["spec"].get("tls") or ():
        for host in each.get("hosts") or ("",):
            yield "tls", {"tls_host": host, "secret": each.get("secretName", "")}, 1


def _class(obj: Object) -> Iterator[Row]:
    about = {"provisioner": obj["provisioner"], "reclaim_policy": obj.get("reclaimPolicy", "")}
    yield "info", {**about, "volume_binding_mode": obj.get("volumeBindingMode", "")}, 1


def _lease(obj: Object) -> Iterator[Row]:
    for name, labels, value in _owners(obj, controller=False):
        yield name, {**labels, "lease_holder": obj["spec"].get("holderIdentity", "")}, value


def _namespace(obj: Object) -> Iterator[Row]:
    yield from _phases(obj, ("Active", "Terminating"))
    for condition in _conditions(obj):
        for labels, value in _truths(condition):
            yield "status_condition", {"condition": condition["type"], **labels}, value


VERSION: Final = {"metadata_resource_version": "metadata.resourceVersion"}
KINDS: Final[Mapping[str, Kind]] = {
    "pods": Kind(
        "pod", times={"start_time": "status.startTime"}, more=_pod, has_uid=True
    ),
    "nodes": Kind("node", {"spec_unschedulable": "spec.unschedulable"}, more=_node, namespaced=False),
    "namespaces": Kind("namespace", more=_namespace, namespaced=False),
    "deployments.apps": Kind(
        "deployment",
        {
            **GENERATION, "spec_replicas": "spec.replicas", "spec_paused": "spec.paused",
            "status_replicas": "status.replicas", "status_replicas_available": "status.availableReplicas",
            "status_replicas_ready": "status.readyReplicas", "status_replicas_updated": "status.updatedReplicas",
            "status_replicas_unavailable": "status.unavailableReplicas",
            "status_terminating_replicas": "status.terminatingReplicas?",
        },
        more=_deployment,
    ),
    "replicasets.apps": Kind(
        "replicaset",
        {
            **GENERATION, "spec_replicas": "spec.replicas", "status_replicas": "status.replicas",
            "status_ready_replicas": "status.readyReplicas",
            "status_fully_labeled_replicas": "status.fullyLabeledReplicas",
            "status_terminating_replicas": "status.terminatingReplicas?",
        },
        more=_owners,
    ),
    "statefulsets.apps": Kind(
        "statefulset",
        {
            **GENERATION, "replicas": "spec.replicas", "ordinals_start": "spec.ordinals.start?",
            "status_replicas": "status.replicas", "status_replicas_available": "status.availableReplicas",
            "status_replicas_current": "status.currentReplicas", "status_replicas_ready": "status.readyReplicas",
            "status_replicas_updated": "status.updatedReplicas",
        },
        more=_statefulset,
    ),
    "daemonsets.apps": Kind(
        "daemonset",
        {
            **GENERATION, "status_current_number_scheduled": "status.currentNumberScheduled",
            "status_desired_number_scheduled": "status.desiredNumberScheduled",
            "status_number_available": "status.numberAvailable", "status_number_ready": "status.numberReady",
            "status_number_misscheduled": "status.numberMisscheduled",
            "status_number_unavailable": "status.numberUnavailable",
            "status_updated_number_scheduled": "status.updatedNumberScheduled",
        },
    ),
    "jobs.batch": Kind(
        "job",
        {
            "spec_parallelism": "spec.parallelism?", "spec_completions": "spec.completions?",
            "spec_active_deadline_seconds": "spec.activeDeadlineSeconds?", "status_active": "status.active",
            "status_succeeded": "status.succeeded", "status_ready": "status.ready",
            "status_suspended": "spec.suspend",
        },
        {"status_start_time": "status.startTime", "status_completion_time": "status.completionTime"},
        _job,
        label="job_name",
    ),
    "cronjobs.batch": Kind(
        "cronjob",
        {
            **VERSION, "spec_suspend": "spec.suspend",
            "spec_starting_deadline_seconds": "spec.startingDeadlineSeconds?",
            "spec_failed_job_history_limit": "spec.failedJobsHistoryLimit?",
            "spec_successful_job_history_limit": "spec.successfulJobsHistoryLimit?",
        },
        {"status_last_schedule_time": "status.lastScheduleTime",
         "status_last_successful_time": "status.lastSuccessfulTime"},
        _cronjob,
    ),
    "services": Kind("service", more=_service, has_uid=True),
    "persistentvolumeclaims": Kind("persistentvolumeclaim", more=_claim),
    "persistentvolumes": Kind("persistentvolume", more=_volume, namespaced=False),
    "horizontalpodautoscalers.autoscaling": Kind(
        "horizontalpodautoscaler",
        {
            "metadata_generation": "metadata.generation", "spec_max_replicas": "spec.maxReplicas",
            "spec_min_replicas": "spec.minReplicas", "status_current_replicas": "status.currentReplicas",
            "status_desired_replicas": "status.desiredReplicas",
        },
        more=_autoscaler,
    ),
    "poddisruptionbudgets.policy": Kind(
        "poddisruptionbudget",
        {
            "status_current_healthy": "status.currentHealthy", "status_desired_healthy": "status.desiredHealthy",
            "status_expected_pods": "status.expectedPods", "status_observed_generation": "status.observedGeneration",
            "status_pod_disruptions_allowed": "status.disruptionsAllowed",
        },
    ),
    "resourcequotas": Kind("resourcequota", more=_quota),
    "configmaps": Kind("configmap", VERSION, more=_info),
    "secrets": Kind("secret", VERSION, more=_secret),
    "ingresses.networking.k8s.io": Kind("ingress", VERSION, more=_ingress),
    "storageclasses.storage.k8s.io": Kind("storageclass", more=_class, namespaced=False),
    "leases.coordination.k8s.io": Kind("lease", times={"renew_time": "spec.renewTime"}, more=_lease),
}  # fmt: skip
"""By kind in the store. Its informers are the exporter's."""
