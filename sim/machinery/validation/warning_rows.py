"""What the server warns of without refusing it: one row per kind.

Source: the WarningsOnCreate and WarningsOnUpdate of k8s.io/kubernetes/pkg/registry/*/strategy.go and
pkg/api/*/warnings.go.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from seatrial.sim.machinery.kinds import Resource
from seatrial.sim.machinery.validation import pod_warnings
from seatrial.sim.machinery.validation.addresses import network, parsed
from seatrial.sim.machinery.validation.custom import finalizer_warnings
from seatrial.sim.machinery.validation.names import label
from seatrial.sim.machinery.validation.pod_warnings import OLD_LABELS, claim_spec, selector_term

Object = Mapping[str, Any]
Look = Callable[[Object, "Object | None"], Iterable[str]]
"""From the new object and the old one, None when it is created."""

POD_NAME = "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior"
TEMPLATE_NAME = "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior"
STORAGE_CLASS = "volume.beta.kubernetes.io/storage-class"
HINTS = "service.kubernetes.io/topology-aware-hints"
INGRESS_CLASS = "kubernetes.io/ingress.class"
MOUNTABLE = "kubernetes.io/enforce-mountable-secrets"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
SLICE_CONTROLLERS = ("endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io")
RECYCLE = "The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning."
REVISIONS = "a negative value retains all historical revisions; a value >= 0 is recommended"
MANY_INDEXES = (
    "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes "
    "might not be able to track completedIndexes when a big number of indexes fail"
)
TIME_ZONE = (
    "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see "
    "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
)
OLD_VOLUMES = ("cephfs", "photonPersistentDisk", "scaleIO", "storageos", "glusterfs", "rbd")
"""In the order in which they are warned of."""


def warnings(
    resource: Resource, new: Object, old: Object | None, subresource: str = "", known: bool = False
) -> list[str]:
    """``old``: None for a new object. Of a change of status there is next to nothing to warn. ``known``: a new pod's
    spec gave no reason to warn before."""
    if known:
        return list(_name(new, old, POD_NAME))
    if subresource and subresource != "scale":
        return list(_pod_addresses(new)) if subresource == "status" and resource.storage == "pods" else []
    if resource.custom is not None:
        return finalizer_warnings(new, old)
    look = ROWS.get(resource.storage)
    return list(look(new, old)) if look is not None else []


def address(value: str, path: str) -> Iterator[str]:
    """An address that is written in an uncommon way (GetWarningsForIP)."""
    found = parsed(value)
    if found is None:
        return
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        told = f'will be considered invalid in a future Kubernetes release: use "{found.ipv4_mapped}"'
        yield f'{path}: non-standard IP address "{value}" {told}'
    elif found.version == 6 and str(found) != value:
        yield f'{path}: IPv6 address "{value}" should be in RFC 5952 canonical format ("{found}")'


def block(value: str, path: str) -> Iterator[str]:
    """A CIDR that is written in an uncommon way (GetWarningsForCIDR)."""
    found = network(value)
    if found is None:
        return
    ip = parsed(value.rpartition("/")[0])
    if ip is not None and ip != found.network_address:
        alone = f"{ip}/{found.max_prefixlen}"
        yield f'{path}: CIDR value "{value}" is ambiguous in this context (should be "{found}" or "{alone}"?)'
    elif found.version == 6 and str(found) != value:
        yield f'{path}: IPv6 CIDR value "{value}" should be in RFC 5952 canonical format ("{found}")'


def _name(new: Object, old: Object | None, text: str) -> Iterator[str]:
    wrong = label(new["metadata"].get("name") or "") if old is None else ()
    if wrong:
        yield f"{text}; a DNS label is recommended: [{' '.join(wrong)}]"


def _pod(new: Object, old: Object | None) -> Sequence[str]:
    return [*_name(new, None, POD_NAME), *pod_warnings.pod(new)] if old is None else ()


def _pod_addresses(new: Object) -> Iterator[str]:
    for field in ("podIPs", "hostIPs"):
        for index, entry in enumerate((new.get("status") or {}).get(field) or ()):
            yield from address(entry.get("ip") or "", f"status.{field}[{index}].ip")


def _changed(new: Object, old: Object | None) -> bool:
    """Whether the object is new or its generation went on."""
    return old is None or new["metadata"].get("generation") != old["metadata"].get("generation")


def _workload(new: Object, old: Object | None) -> Iterator[str]:
    yield from _name(new, old, TEMPLATE_NAME)
    if _changed(new, old):
        yield from pod_warnings.template((new.get("spec") or {}).get("template"), "spec.template")


def _pod_template(new: Object, old: Object | None) -> Sequence[str]:
    return pod_warnings.template(new.get("template"), "template") if _changed(new, old) else ()


def _daemon_set(new: Object, old: Object | None) -> Sequence[str]:
    return pod_warnings.template(new["spec"].get("template"), "spec.template") if _changed(new, old) else ()


def _stateful_set(new: Object, old: Object | None) -> Iterator[str]:
    spec = new.get("spec") or {}
    if _changed(new, old):
        yield from pod_warnings.template(spec.get("template"), "spec.template")
    for index, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
        yield from claim_spec(claim.get("spec") or {}, f"spec.volumeClaimTemplates[{index}]")
    if (spec.get("revisionHistoryLimit") or 0) < 0:
        yield f"spec.revisionHistoryLimit: {REVISIONS}"


def _job_spec(spec: Object, path: str) -> Iterator[str]:
    if spec.get("completionMode") == "Indexed":
        if (spec.get("completions") or 0) > 100_000 and (spec.get("parallelism") or 0) > 10_000:
            yield f"{path}: {MANY_INDEXES}"
    yield from pod_warnings.template(spec.get("template"), f"{path}.template")


def _job(new: Object, old: Object | None) -> Iterator[str]:
    yield from _name(new, old, TEMPLATE_NAME)
    if _changed(new, old):
        yield from _job_spec(new.get("spec") or {}, "spec")


def _cron_job(new: Object, old: Object | None) -> Iterator[str]:
    spec = new.get("spec") or {}
    yield from _name(new, old, TEMPLATE_NAME)
    if _changed(new, old):
        yield from _job_spec((spec.get("jobTemplate") or {}).get("spec") or {}, "spec.jobTemplate.spec")
    if old is not None and "TZ" in (spec.get("schedule") or ""):
        yield TIME_ZONE


def _service(new: Object, old: Object | None) -> Iterator[str]:
    spec, annotations = new.get("spec") or {}, new["metadata"].get("annotations") or {}
    kind, external = spec.get("type"), spec.get("externalIPs") or ()
    headless = kind == "ClusterIP" and spec.get("clusterIP") == "None"
    if HINTS in annotations:
        yield f"annotation {HINTS} is deprecated, please use service.kubernetes.io/topology-mode instead"
    if spec.get("clusterIP") and spec["clusterIP"] != "None":
        for index, ip in enumerate(spec.get("clusterIPs") or ()):
            yield from address(ip, f"spec.clusterIPs[{index}]")
    if headless:
        if spec.get("loadBalancerIP"):
            yield "spec.loadBalancerIP is ignored for headless services"
        if external:
            yield "spec.externalIPs is ignored for headless services"
        if spec.get("sessionAffinity") != "None":
            yield "spec.SessionAffinity is ignored for headless services"
    for index, ip in enumerate(external):
        yield from address(ip, f"spec.externalIPs[{index}]")
    if external and not headless and kind != "ExternalName":
        yield "spec.externalIPs is deprecated and may no longer be implemented in some clusters"
    if spec.get("loadBalancerIP"):
        yield from address(spec["loadBalancerIP"], "spec.loadBalancerIP")
    for index, cidr in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        yield from block(cidr, f"spec.loadBalancerSourceRanges[{index}]")
    if kind == "ExternalName" and external:
        yield 'spec.externalIPs is ignored when spec.type is "ExternalName"'
    if kind != "ExternalName" and spec.get("externalName"):
        yield 'spec.externalName is ignored when spec.type is not "ExternalName"'
    if spec.get("trafficDistribution") == "PreferClose":
        yield 'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'


def _endpoints(new: Object, old: Object | None) -> Iterator[str]:
    for number, subset in enumerate(new.get("subsets") or ()):
        for field in ("addresses", "notReadyAddresses"):
            for index, entry in enumerate(subset.get(field) or ()):
                yield from address(entry.get("ip") or "", f"subsets[{number}].{field}[{index}].ip")


def _endpoint_slice(new: Object, old: Object | None) -> Iterator[str]:
    if old is None and new.get("addressType") == "FQDN":
        yield "spec.addressType: FQDN endpoints are deprecated"
    if (new["metadata"].get("labels") or {}).get(MANAGED_BY) not in SLICE_CONTROLLERS:
        for number, endpoint in enumerate(new.get("endpoints") or ()):
            for index, ip in enumerate(endpoint.get("addresses") or ()):
                yield from address(ip, f"endpoints[{number}].addresses[{index}]")


def _ingress(new: Object, old: Object | None) -> Iterator[str]:
    if old is None and INGRESS_CLASS in (new["metadata"].get("annotations") or {}):
        yield f"annotation \"{INGRESS_CLASS}\" is deprecated, please use 'spec.ingressClassName' instead"


def _network_policy(new: Object, old: Object | None) -> Iterator[str]:
    spec = new.get("spec") or {}
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for number, rule in enumerate(spec.get(direction) or ()):
            for index, peer in enumerate(rule.get(peers) or ()):
                if ranges := peer.get("ipBlock"):
                    path = f"spec.{direction}[{number}].{peers}[{index}].ipBlock"
                    yield from block(ranges.get("cidr") or "", f"{path}.cidr")
                    for place, cidr in enumerate(ranges.get("except") or ()):
                        yield from block(cidr, f"{path}.except[{place}]")


def _service_account(new: Object, old: Object | None) -> Iterator[str]:
    before = (old["metadata"].get("annotations") or {}) if old is not None else {}
    if MOUNTABLE in (new["metadata"].get("annotations") or {}) and MOUNTABLE not in before:
        told = "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"
        yield f"metadata.annotations[{MOUNTABLE}]: {told}"


def _node(new: Object, old: Object | None) -> Iterator[str]:
    spec = new.get("spec") or {}
    if spec.get("configSource") is not None:
        yield "spec.configSource: the feature is removed"
    if spec.get("externalID"):
        yield "spec.externalID: this field is deprecated, and is unused by Kubernetes"
    for index, cidr in enumerate(spec.get("podCIDRs") or ()):
        yield from block(cidr, f"spec.podCIDRs[{index}]")


def _volume(new: Object, old: Object | None) -> Iterator[str]:
    spec = new.get("spec") or {}
    if STORAGE_CLASS in (new["metadata"].get("annotations") or {}):
        told = 'deprecated since v1.8; use "storageClassName" attribute instead'
        yield f"metadata.annotations[{STORAGE_CLASS}]: {told}"
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        yield f"spec.persistentVolumeReclaimPolicy: {RECYCLE}"
    terms = ((spec.get("nodeAffinity") or {}).get("required") or {}).get("nodeSelectorTerms") or ()
    for index, term in enumerate(terms):
        yield from selector_term(term, f"spec.nodeAffinity.required.nodeSelectorTerms[{index}]")
    for field in OLD_VOLUMES:
        if spec.get(field) is not None:
            shown, text = pod_warnings.OLD_VOLUMES[field]
            yield f"spec.{shown}: {text}"


def _claim(new: Object, old: Object | None) -> Iterator[str]:
    if STORAGE_CLASS in (new["metadata"].get("annotations") or {}):
        told = 'deprecated since v1.8; use "storageClassName" attribute instead'
        yield f"metadata.annotations[{STORAGE_CLASS}]: {told}"
    yield from claim_spec(new.get("spec") or {}, "spec")


def _storage_class(new: Object, old: Object | None) -> Iterator[str]:
    for number, topology in enumerate(new.get("allowedTopologies") or ()):
        for index, expression in enumerate(topology.get("matchLabelExpressions") or ()):
            if (key := expression.get("key") or "") in OLD_LABELS:
                path = f"allowedTopologies[{number}].matchLabelExpressions[{index}].key"
                yield f"{path}: {OLD_LABELS[key]}"


def _storage_capacity(new: Object, old: Object | None) -> Iterator[str]:
    selector = new.get("nodeTopology") or {}
    yield from selector_term(selector, "nodeTopology")
    for key in sorted(selector.get("matchLabels") or {}):
        if key in OLD_LABELS:
            yield f"nodeTopology.matchLabels.{key}: {OLD_LABELS[key]}"


def _runtime_class(new: Object, old: Object | None) -> Iterator[str]:
    for key in sorted((new.get("scheduling") or {}).get("nodeSelector") or {}):
        if key in OLD_LABELS:
            yield f"scheduling.nodeSelector: {OLD_LABELS[key]}"


ROWS: Mapping[str, Look] = {
    "pods": _pod,
    "podtemplates": _pod_template,
    "replicationcontrollers": _workload,
    "deployments.apps": _workload,
    "replicasets.apps": _workload,
    "daemonsets.apps": _daemon_set,
    "statefulsets.apps": _stateful_set,
    "jobs.batch": _job,
    "cronjobs.batch": _cron_job,
    "services": _service,
    "endpoints": _endpoints,
    "endpointslices.discovery.k8s.io": _endpoint_slice,
    "ingresses.networking.k8s.io": _ingress,
    "networkpolicies.networking.k8s.io": _network_policy,
    "serviceaccounts": _service_account,
    "nodes": _node,
    "persistentvolumes": _volume,
    "persistentvolumeclaims": _claim,
    "storageclasses.storage.k8s.io": _storage_class,
    "csistoragecapacities.storage.k8s.io": _storage_capacity,
    "runtimeclasses.node.k8s.io": _runtime_class,
}
"""Storage name -> what is warned of."""
