"""What each type's fields default to: a table from Go type to rules.

Source: k8s.io/kubernetes/pkg/apis/*/v*/defaults.go and the hand-written conversions beside them. Defaults that the
schema itself names (``+default=``) are not repeated here.

A rule is a pair (field, value), or a function from the object to the object with its defaults.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from seatrial.sim.machinery.quantity import parse

Object = Mapping[str, Any]
Rule = tuple[str, Any] | Callable[[Any], Any]

RBAC = "rbac.authorization.k8s.io"
BACKOFF_UNLIMITED = 2**31 - 1
"""Job back-off limit where failures are counted by index (math.MaxInt32)."""


def with_fields(obj: Any, **fields: Any) -> Any:
    """The object with fields that it does not have yet; itself when it has them all."""
    missing = {key: value for key, value in fields.items() if key not in obj}
    return {**obj, **missing} if missing else obj


IMAGE = re.compile(
    r"(?:[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)*(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
    r"(?P<tag>:[\w][\w.-]{0,127})?(?P<digest>@[A-Za-z][A-Za-z0-9+._-]*:[0-9a-fA-F]{32,})?",
    re.ASCII,
)
"""An image reference (github.com/distribution/reference)."""


@lru_cache(maxsize=1 << 12)
def policy_of_image(image: str) -> str:
    """Always for the tag latest, named or meant; IfNotPresent for the rest, and for what is no reference at all."""
    match = IMAGE.fullmatch(image)
    if match is None:
        return "IfNotPresent"
    tag = match["tag"] or (":latest" if match["digest"] is None else "")
    return "Always" if tag == ":latest" else "IfNotPresent"


def pull_policy(container: Any) -> Any:
    if container.get("imagePullPolicy"):
        return container
    return {**container, "imagePullPolicy": policy_of_image(container.get("image", ""))}


def volume_source(volume: Any) -> Any:
    """A volume without a source is an empty directory; an image has a pull policy."""
    image = volume.get("image")
    if isinstance(image, dict) and not image.get("pullPolicy"):
        return {**volume, "image": {**image, "pullPolicy": policy_of_image(image.get("reference") or "")}}
    return volume if len(volume) > ("name" in volume) else {**volume, "emptyDir": {}}


def service_account(spec: Any) -> Any:
    """The deprecated field mirrors serviceAccountName."""
    name = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if not name or spec.get("serviceAccountName") == name == spec.get("serviceAccount"):
        return spec
    return {**spec, "serviceAccountName": name, "serviceAccount": name}


def requests_from_limits(pod: Any) -> Any:
    """In a pod, though not in a template, a container asks for what it is limited to where it does not say."""
    spec = pod["spec"]
    changed: dict[str, Any] = {}
    for key in ("containers", "initContainers"):
        containers = spec.get(key)
        if containers:
            defaulted = [_with_requests(container) for container in containers]
            if any(new is not old for new, old in zip(defaulted, containers, strict=True)):
                changed[key] = defaulted
    if spec.get("hostNetwork"):
        for key in ("containers", "initContainers"):
            containers = changed.get(key) or spec.get(key)
            if containers:
                changed[key] = [_with_host_ports(container) for container in containers]
    if "enableServiceLinks" not in spec:
        changed["enableServiceLinks"] = True
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        changed["terminationGracePeriodSeconds"] = 1
    return {**pod, "spec": {**spec, **changed}} if changed else pod


def _with_requests(container: Any) -> Any:
    resources = container.get("resources") or {}
    limits, requests = resources.get("limits"), resources.get("requests") or {}
    if not limits or all(name in requests for name in limits):
        return container
    return {**container, "resources": {**resources, "requests": {**limits, **requests}}}


def _with_host_ports(container: Any) -> Any:
    ports = container.get("ports")
    if not ports or all(port.get("hostPort") for port in ports):
        return container
    mapped = [port if port.get("hostPort") else {**port, "hostPort": port.get("containerPort", 0)} for port in ports]
    return {**container, "ports": mapped}


def pod_resources(pod: Any) -> Any:
    """Pod-level requests from the containers' requests and the pod-level limits (defaultPodRequests)."""
    spec = pod["spec"]
    resources = spec.get("resources")
    if not resources or not resources.get("limits"):
        return pod
    requests = dict(resources.get("requests") or {})
    containers = spec.get("containers") or ()
    for name, limit in resources["limits"].items():
        if name in requests:
            continue
        asked = [(c.get("resources") or {}).get("requests") or {} for c in containers]
        if any(name in each for each in asked):
            total = parse("0")
            for each in asked:
                if name in each:
                    total = total + parse(each[name])
            requests[name] = str(total)
        else:
            requests[name] = limit
    if requests == (resources.get("requests") or {}):
        return pod
    return {**pod, "spec": {**spec, "resources": {**resources, "requests": requests}}}


def labels_of_template(obj: Any) -> Any:
    """Labels of the pod template serve the object itself when it has none."""
    labels = ((obj["spec"].get("template") or {}).get("metadata") or {}).get("labels")
    if not labels or obj["metadata"].get("labels"):
        return obj
    return {**obj, "metadata": {**obj["metadata"], "labels": labels}}


def replication_controller(obj: Any) -> Any:
    obj = labels_of_template(obj)
    labels = ((obj["spec"].get("template") or {}).get("metadata") or {}).get("labels")
    if labels and not obj["spec"].get("selector"):
        return {**obj, "spec": {**obj["spec"], "selector": labels}}
    return obj


def secret_strings(secret: Any) -> Any:
    """stringData is write-only: its values become data."""
    strings = secret.get("stringData")
    if strings is None:
        return secret
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in strings.items()}
    out = {key: value for key, value in secret.items() if key != "stringData"}
    if encoded:
        out["data"] = {**(secret.get("data") or {}), **encoded}
    return out


def service_spec(spec: Any) -> Any:
    changed: dict[str, Any] = {}
    affinity = spec.get("sessionAffinity") or "None"
    if affinity == "ClientIP":
        client = ((spec.get("sessionAffinityConfig") or {}).get("clientIP")) or {}
        if client.get("timeoutSeconds") is None:
            changed["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": 10800}}
    kind = spec.get("type") or "ClusterIP"
    if kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and spec.get("externalIPs")):
        if not spec.get("externalTrafficPolicy"):
            changed["externalTrafficPolicy"] = "Cluster"
    if kind in ("ClusterIP", "NodePort", "LoadBalancer") and "internalTrafficPolicy" not in spec:
        changed["internalTrafficPolicy"] = "Cluster"
    if kind == "LoadBalancer" and "allocateLoadBalancerNodePorts" not in spec:
        changed["allocateLoadBalancerNodePorts"] = True
    changed.update({"sessionAffinity": affinity, "type": kind})
    out = {**spec, **changed}
    if affinity == "None":
        out.pop("sessionAffinityConfig", None)
    return out


def service_port(port: Any) -> Any:
    """A port leads to the same number on the pod."""
    return port if port.get("targetPort") else {**port, "targetPort": port.get("port", 0)}


def load_balancer_ingress(ingress: Any) -> Any:
    return with_fields(ingress, ipMode="VIP") if ingress.get("ip") else ingress


def namespace(obj: Any) -> Any:
    """Every namespace carries its own name as a label."""
    metadata = obj["metadata"]
    name = metadata.get("name")
    labels = metadata.get("labels") or {}
    if not name or labels.get("kubernetes.io/metadata.name") == name:
        return obj
    return {**obj, "metadata": {**metadata, "labels": {**labels, "kubernetes.io/metadata.name": name}}}


TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


def pod_addresses(status: Any) -> Any:
    """podIP is the first of podIPs, whichever of the two was given (Convert_v1_PodStatus_To_core_PodStatus)."""
    first, several = status.get("podIP"), status.get("podIPs")
    if first and (not several or several[0].get("ip") != first):
        return {**status, "podIPs": [{"ip": first}]}
    if several and not first:
        return {**status, "podIP": several[0].get("ip", "")}
    return status


def _first_of(single: str, many: str) -> Callable[[Any], Any]:
    """A field that once was single and the list that came after it: the single one is the list's first."""

    def same(obj: Any) -> Any:
        one, listed = obj.get(single), obj.get(many)
        if not one:
            return {**obj, single: listed[0]} if listed else obj
        return obj if listed and listed[0] == one else {**obj, many: [one]}

    return same


def node_status(status: Any) -> Any:
    if status.get("capacity") and not status.get("allocatable"):
        return {**status, "allocatable": status["capacity"]}
    return status


def limit_range_item(item: Any) -> Any:
    """For containers, the default limit comes from the maximum, the default request from default and minimum."""
    if item.get("type") != "Container":
        return item
    limits = {**(item.get("max") or {}), **(item.get("default") or {})}
    requests = {**(item.get("min") or {}), **limits, **(item.get("defaultRequest") or {})}
    changed = {key: value for key, value in (("default", limits), ("defaultRequest", requests)) if value}
    return {**item, **changed}


def deployment_strategy(strategy: Any) -> Any:
    kind = strategy.get("type") or "RollingUpdate"
    out = {**strategy, "type": kind}
    if kind == "RollingUpdate":
        out["rollingUpdate"] = with_fields(strategy.get("rollingUpdate") or {}, maxUnavailable="25%", maxSurge="25%")
    return out


def daemon_set(obj: Any) -> Any:
    """apps/v1 always shows the template's generation (Convert_apps_DaemonSet_To_v1_DaemonSet)."""
    metadata = obj.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    if TEMPLATE_GENERATION in annotations:
        return obj
    return {**obj, "metadata": {**metadata, "annotations": {**annotations, TEMPLATE_GENERATION: "0"}}}


def daemon_set_strategy(strategy: Any) -> Any:
    kind = strategy.get("type") or "RollingUpdate"
    out = {**strategy, "type": kind}
    if kind == "RollingUpdate":
        out["rollingUpdate"] = with_fields(strategy.get("rollingUpdate") or {}, maxUnavailable=1, maxSurge=0)
    return out


def stateful_set_strategy(strategy: Any) -> Any:
    """The partition is only named where the strategy was not spelled out."""
    kind = strategy.get("type") or "RollingUpdate"
    out = {**strategy, "type": kind}
    if kind == "RollingUpdate":
        out["rollingUpdate"] = with_fields(strategy.get("rollingUpdate") or {}, partition=0, maxUnavailable=1)
    return out


CLAIM = {"kind": "PersistentVolumeClaim", "apiVersion": "v1"}


def claim_templates(spec: Any) -> Any:
    """Claim templates say what they are."""
    claims = spec.get("volumeClaimTemplates")
    return {**spec, "volumeClaimTemplates": [{**CLAIM, **claim, **CLAIM} for claim in claims]} if claims else spec


def job_spec(job: Any) -> Any:
    """Defaults of a job itself; the template of a cron job keeps its gaps."""
    job = labels_of_template(job)
    spec = job["spec"]
    counts = {} if "completions" in spec or "parallelism" in spec else {"completions": 1}
    spec = with_fields(
        spec,
        **counts,
        parallelism=1,
        backoffLimit=BACKOFF_UNLIMITED if "backoffLimitPerIndex" in spec else 6,
        completionMode="NonIndexed",
        manualSelector=False,
        suspend=False,
        podReplacementPolicy="Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed",
    )
    return {**job, "spec": spec}


DEFAULT_METRICS = [
    {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
]
SCALE_UP = [{"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15}]
SCALE_DOWN = [{"type": "Percent", "value": 100, "periodSeconds": 15}]


def autoscaler_spec(spec: Any) -> Any:
    return spec if spec.get("metrics") else {**spec, "metrics": DEFAULT_METRICS}


def autoscaler_behavior(behavior: Any) -> Any:
    up, down = behavior.get("scaleUp") or {}, behavior.get("scaleDown") or {}
    up = with_fields(up, stabilizationWindowSeconds=0, selectPolicy="Max")
    down = with_fields(down, selectPolicy="Max")
    up = up if up.get("policies") is not None else {**up, "policies": SCALE_UP}
    down = down if down.get("policies") is not None else {**down, "policies": SCALE_DOWN}
    return {**behavior, "scaleUp": up, "scaleDown": down}


def policy_types(spec: Any) -> Any:
    """Ingress always, egress where there are rules for it."""
    if spec.get("policyTypes"):
        return spec
    return {**spec, "policyTypes": ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]}


def subject(row: Any) -> Any:
    return {**row, "apiGroup": RBAC} if row.get("kind") in ("User", "Group") and not row.get("apiGroup") else row


def role_ref(ref: Any) -> Any:
    return ref if ref.get("apiGroup") else {**ref, "apiGroup": RBAC}


def crd_spec(spec: Any) -> Any:
    names = spec.get("names") or {}
    kind = names.get("kind", "")
    changed = {}
    if not names.get("singular"):
        changed["singular"] = kind.lower()
    if not names.get("listKind") and kind:
        changed["listKind"] = f"{kind}List"
    if changed:
        spec = {**spec, "names": {**names, **changed}}
    return spec if spec.get("conversion") else {**spec, "conversion": {"strategy": "None"}}


def priority_level(spec: Any) -> Any:
    if spec.get("type") == "Exempt" and "exempt" not in spec:
        return {**spec, "exempt": {}}
    return spec


def queuing(config: Any) -> Any:
    defaults = {"queues": 64, "handSize": 8, "queueLengthLimit": 50}
    return {**config, **{key: value for key, value in defaults.items() if not config.get(key)}}


def device_request(request: Any) -> Any:
    mode = request.get("allocationMode") or "ExactCount"
    out = {**request, "allocationMode": mode}
    return with_fields(out, count=1) if mode == "ExactCount" else out


WEBHOOK: tuple[Rule, ...] = (
    ("failurePolicy", "Fail"),
    ("matchPolicy", "Equivalent"),
    ("namespaceSelector", {}),
    ("objectSelector", {}),
    ("timeoutSeconds", 10),
)
CONTAINER: tuple[Rule, ...] = (
    pull_policy,
    ("terminationMessagePath", "/dev/termination-log"),
    ("terminationMessagePolicy", "File"),
)
MODE: tuple[Rule, ...] = (("defaultMode", 0o644),)

RULES: Mapping[str, tuple[Rule, ...]] = {
    "admissionregistration.v1.MatchResources": (
        ("matchPolicy", "Equivalent"),
        ("namespaceSelector", {}),
        ("objectSelector", {}),
    ),
    "admissionregistration.v1.MutatingAdmissionPolicySpec": (("failurePolicy", "Fail"),),
    "admissionregistration.v1.MutatingWebhook": (*WEBHOOK, ("reinvocationPolicy", "Never")),
    "admissionregistration.v1.NamedRuleWithOperations": (("scope", "*"),),
    "admissionregistration.v1.RuleWithOperations": (("scope", "*"),),
    "admissionregistration.v1.ServiceReference": (("port", 443),),
    "admissionregistration.v1.ValidatingAdmissionPolicySpec": (("failurePolicy", "Fail"),),
    "admissionregistration.v1.ValidatingWebhook": WEBHOOK,
    "apiextensions.v1.CustomResourceDefinitionSpec": (crd_spec,),
    "apiextensions.v1.ServiceReference": (("port", 443),),
    "apiregistration.v1.ServiceReference": (("port", 443),),
    "apps.v1.DaemonSet": (daemon_set,),
    "apps.v1.DaemonSetSpec": (("revisionHistoryLimit", 10),),
    "apps.v1.DaemonSetUpdateStrategy": (daemon_set_strategy,),
    "apps.v1.DeploymentSpec": (
        ("replicas", 1),
        ("revisionHistoryLimit", 10),
        ("progressDeadlineSeconds", 600),
    ),
    "apps.v1.DeploymentStrategy": (deployment_strategy,),
    "apps.v1.ReplicaSetSpec": (("replicas", 1),),
    "apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy": (("whenDeleted", "Retain"), ("whenScaled", "Retain")),
    "apps.v1.StatefulSetSpec": (
        claim_templates,
        ("podManagementPolicy", "OrderedReady"),
        ("persistentVolumeClaimRetentionPolicy", {}),
        ("replicas", 1),
        ("revisionHistoryLimit", 10),
    ),
    "apps.v1.StatefulSetUpdateStrategy": (stateful_set_strategy,),
    "authentication.v1.TokenRequestSpec": (("expirationSeconds", 3600),),
    "autoscaling.v1.HorizontalPodAutoscalerSpec": (("minReplicas", 1),),
    "autoscaling.v2.HorizontalPodAutoscalerBehavior": (autoscaler_behavior,),
    "autoscaling.v2.HorizontalPodAutoscalerSpec": (("minReplicas", 1), autoscaler_spec),
    "batch.v1.CronJobSpec": (
        ("concurrencyPolicy", "Allow"),
        ("suspend", False),
        ("successfulJobsHistoryLimit", 3),
        ("failedJobsHistoryLimit", 1),
    ),
    "batch.v1.Job": (job_spec,),
    "batch.v1.PodFailurePolicyOnPodConditionsPattern": (("status", "True"),),
    "certificates.v1.PodCertificateRequestSpec": (("maxExpirationSeconds", 86400),),
    "core.v1.ConfigMapVolumeSource": MODE,
    "core.v1.Container": CONTAINER,
    "core.v1.DownwardAPIVolumeSource": MODE,
    "core.v1.EndpointPort": (("protocol", "TCP"),),
    "core.v1.EphemeralContainer": CONTAINER,
    "core.v1.HTTPGetAction": (("path", "/"), ("scheme", "HTTP")),
    "core.v1.HostPathVolumeSource": (("type", ""),),
    "core.v1.LimitRangeItem": (limit_range_item,),
    "core.v1.LoadBalancerIngress": (load_balancer_ingress,),
    "core.v1.Namespace": (namespace,),
    "core.v1.NamespaceStatus": (("phase", "Active"),),
    "core.v1.NodeSpec": (_first_of("podCIDR", "podCIDRs"),),
    "core.v1.NodeStatus": (node_status,),
    "core.v1.ObjectFieldSelector": (("apiVersion", "v1"),),
    "core.v1.PersistentVolumeClaimSpec": (("volumeMode", "Filesystem"),),
    "core.v1.PersistentVolumeClaimStatus": (("phase", "Pending"),),
    "core.v1.PersistentVolumeSpec": (("persistentVolumeReclaimPolicy", "Retain"), ("volumeMode", "Filesystem")),
    "core.v1.PersistentVolumeStatus": (("phase", "Pending"),),
    "core.v1.Pod": (requests_from_limits, pod_resources),
    "core.v1.PodStatus": (pod_addresses,),
    "core.v1.PodSpec": (
        service_account,
        ("dnsPolicy", "ClusterFirst"),
        ("restartPolicy", "Always"),
        ("schedulerName", "default-scheduler"),
        ("securityContext", {}),
        ("terminationGracePeriodSeconds", 30),
    ),
    "core.v1.Probe": (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)),
    "core.v1.ProjectedVolumeSource": MODE,
    "core.v1.ReplicationController": (replication_controller,),
    "core.v1.Secret": (secret_strings, ("type", "Opaque")),
    "core.v1.SecretVolumeSource": MODE,
    "core.v1.ServiceAccountTokenProjection": (("expirationSeconds", 3600),),
    "core.v1.ServicePort": (service_port,),
    "core.v1.ServiceSpec": (service_spec,),
    "core.v1.Volume": (volume_source,),
    "discovery.v1.EndpointPort": (("name", ""), ("protocol", "TCP")),
    "flowcontrol.v1.ExemptPriorityLevelConfiguration": (("nominalConcurrencyShares", 0), ("lendablePercent", 0)),
    "flowcontrol.v1.FlowSchemaSpec": (("matchingPrecedence", 1000),),
    "flowcontrol.v1.LimitedPriorityLevelConfiguration": (("nominalConcurrencyShares", 30), ("lendablePercent", 0)),
    "flowcontrol.v1.PriorityLevelConfigurationSpec": (priority_level,),
    "flowcontrol.v1.QueuingConfiguration": (queuing,),
    "networking.v1.IngressClassParametersReference": (("scope", "Cluster"),),
    "networking.v1.NetworkPolicyPort": (("protocol", "TCP"),),
    "networking.v1.NetworkPolicySpec": (policy_types,),
    "rbac.v1.RoleRef": (role_ref,),
    "rbac.v1.Subject": (subject,),
    "resource.v1.DeviceSubRequest": (device_request,),
    "resource.v1.ExactDeviceRequest": (device_request,),
    "scheduling.v1.PriorityClass": (("preemptionPolicy", "PreemptLowerPriority"),),
    "storage.v1.CSIDriverSpec": (
        ("attachRequired", True),
        ("podInfoOnMount", False),
        ("storageCapacity", False),
        ("fsGroupPolicy", "ReadWriteOnceWithFSType"),
        ("volumeLifecycleModes", ["Persistent"]),
        ("requiresRepublish", False),
        ("seLinuxMount", False),
    ),
    "storage.v1.StorageClass": (("reclaimPolicy", "Delete"), ("volumeBindingMode", "Immediate")),
}
