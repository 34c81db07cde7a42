"""One row per kind: how it is named, what a new object must hold, what may change.

Kinds that are not listed have a DNS subdomain for a name and nothing else to hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from seatrial.sim.machinery.validation import (
    apiservices,
    autoscaling,
    certificates,
    core,
    crds,
    cron_jobs,
    dynamic_resources,
    endpoints,
    events,
    flowcontrol,
    job_updates,
    jobs,
    limits,
    networking,
    persistent_volumes,
    pod_updates,
    podcertificates,
    pods,
    policies,
    rbac,
    services,
    storage,
    trustbundles,
    webhooks,
    workloads,
)
from seatrial.sim.machinery.validation.names import Format, label, path_segment, subdomain
from seatrial.sim.machinery.validation.problems import NONE, Check, Errors, Object, at

Change = Callable[[Object, Object], Errors]
"""From the new object and the old one."""


def _nothing(value: Object) -> Errors:
    return NONE


def _free(new: Object, old: Object) -> Errors:
    return NONE


@dataclass(frozen=True, slots=True)
class Row:
    """The rules of one kind; metadata has rules of its own."""

    check: Check = _nothing
    """What a new object must hold."""
    recheck: Check | None = None
    """What a changed object must hold, where it is not the same."""
    update: Change = _free
    """What a change must hold beyond."""
    status: Change = _free
    """What a change of the status subresource must hold."""
    subresources: Mapping[str, Change] = field(default_factory=dict)
    """Subresources that change the object in a way of their own."""
    name: Format = subdomain
    legacy_finalizers: bool = True
    """Whether finalizers without a slash must be standard ones."""
    metadata_twice: bool = False
    """Whether upstream looks at changed metadata twice and says everything twice."""


def spec(check: Check) -> Check:
    return lambda value: at("spec", check(value.get("spec") or {}))


def template(value: Object) -> Errors:
    return at("template", workloads.TEMPLATE(value.get("template") or {}))


ADMISSION = Row(webhooks.webhooks, legacy_finalizers=False)

ROWS: Mapping[str, Row] = {
    "pods": Row(
        pods.pod_create,
        recheck=_nothing,
        update=pod_updates.pod_update,
        status=pod_updates.pod_status,
        subresources={"ephemeralcontainers": pod_updates.ephemeral_containers, "resize": pod_updates.resize},
    ),
    "podtemplates": Row(template),
    "replicationcontrollers": Row(
        spec(workloads.replication_controller_spec), status=workloads.status_of("replicationcontrollers")
    ),
    "services": Row(services.service, update=services.service_update, status=services.service_status, name=label),
    "endpoints": Row(endpoints.endpoints),
    "events": Row(events.event, name=path_segment),
    "namespaces": Row(
        core.namespace,
        recheck=_nothing,
        status=core.namespace_status,
        subresources={"finalize": core.namespace_finalize},
        name=label,
    ),
    "nodes": Row(core.node, recheck=_nothing, update=core.node_update, status=core.node_update),
    "configmaps": Row(core.config_map, update=core.config_map_update),
    "secrets": Row(core.secret, update=core.secret_update),
    "limitranges": Row(limits.limit_range),
    "resourcequotas": Row(
        limits.quota, recheck=spec(limits.quota_spec), update=limits.quota_update, status=limits.quota_status
    ),
    "persistentvolumes": Row(persistent_volumes.volume, update=persistent_volumes.volume_update),
    "persistentvolumeclaims": Row(
        persistent_volumes.claim, update=persistent_volumes.claim_update, status=persistent_volumes.claim_status
    ),
    "deployments.apps": Row(
        spec(workloads.deployment_spec),
        update=workloads.selector_immutable,
        status=workloads.status_of("deployments.apps"),
    ),
    "replicasets.apps": Row(
        spec(workloads.replica_set_spec),
        update=workloads.selector_immutable,
        status=workloads.status_of("replicasets.apps"),
    ),
    "statefulsets.apps": Row(
        workloads.stateful_set_create,
        recheck=spec(workloads.stateful_set_spec),
        update=workloads.stateful_set_update,
        status=workloads.status_of("statefulsets.apps"),
        name=label,
    ),
    "daemonsets.apps": Row(
        spec(workloads.daemon_set_spec),
        update=workloads.selector_immutable,
        status=workloads.status_of("daemonsets.apps"),
    ),
    "controllerrevisions.apps": Row(workloads.controller_revision, update=workloads.controller_revision_update),
    "jobs.batch": Row(jobs.job_create, recheck=_nothing, update=job_updates.job_update, status=job_updates.job_status),
    "cronjobs.batch": Row(cron_jobs.cron_job_create, recheck=_nothing, update=cron_jobs.cron_job_update),
    "horizontalpodautoscalers.autoscaling": Row(
        spec(autoscaling.autoscaler_spec), status=lambda new, old: autoscaling.autoscaler_status(new)
    ),
    "endpointslices.discovery.k8s.io": Row(endpoints.endpoint_slice, update=endpoints.endpoint_slice_update),
    "ingresses.networking.k8s.io": Row(
        networking.ingress_create, recheck=spec(networking.ingress_spec), status=networking.ingress_status
    ),
    "ingressclasses.networking.k8s.io": Row(networking.ingress_class, update=networking.ingress_class_update),
    "networkpolicies.networking.k8s.io": Row(spec(networking.network_policy_spec)),
    "servicecidrs.networking.k8s.io": Row(
        networking.service_cidr, recheck=_nothing, update=networking.service_cidr_update
    ),
    "ipaddresses.networking.k8s.io": Row(
        networking.ip_address, update=networking.ip_address_update, name=networking.ip_name
    ),
    "poddisruptionbudgets.policy": Row(core.disruption_budget, status=core.disruption_budget_status, name=path_segment),
    "priorityclasses.scheduling.k8s.io": Row(core.priority_class, recheck=_nothing, update=core.priority_class_update),
    "runtimeclasses.node.k8s.io": Row(core.runtime_class, update=core.runtime_class_update),
    "leases.coordination.k8s.io": Row(core.lease),
    "roles.rbac.authorization.k8s.io": Row(rbac.role, name=path_segment),
    "clusterroles.rbac.authorization.k8s.io": Row(rbac.cluster_role, name=path_segment),
    "rolebindings.rbac.authorization.k8s.io": Row(rbac.role_binding, update=rbac.binding_update, name=path_segment),
    "clusterrolebindings.rbac.authorization.k8s.io": Row(
        rbac.cluster_role_binding, update=rbac.binding_update, name=path_segment
    ),
    "storageclasses.storage.k8s.io": Row(storage.storage_class, update=storage.storage_class_update),
    "volumeattributesclasses.storage.k8s.io": Row(storage.attributes_class, update=storage.attributes_class_update),
    "volumeattachments.storage.k8s.io": Row(storage.attachment, update=storage.attachment_update),
    "csinodes.storage.k8s.io": Row(storage.csi_node, update=storage.csi_node_update),
    "csidrivers.storage.k8s.io": Row(storage.csi_driver, update=storage.csi_driver_update),
    "csistoragecapacities.storage.k8s.io": Row(storage.storage_capacity, update=storage.storage_capacity_update),
    "validatingwebhookconfigurations.admissionregistration.k8s.io": ADMISSION,
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": ADMISSION,
    "validatingadmissionpolicies.admissionregistration.k8s.io": Row(
        policies.validating_policy, legacy_finalizers=False
    ),
    "mutatingadmissionpolicies.admissionregistration.k8s.io": Row(policies.mutating_policy, legacy_finalizers=False),
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": Row(
        policies.validating_binding, legacy_finalizers=False
    ),
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io": Row(
        policies.policy_binding, legacy_finalizers=False
    ),
    "clustertrustbundles.certificates.k8s.io": Row(
        trustbundles.create, recheck=trustbundles.recheck, update=trustbundles.update, name=trustbundles.any_name
    ),
    "certificatesigningrequests.certificates.k8s.io": Row(
        certificates.request_create,
        recheck=_nothing,
        update=certificates.request_update,
        status=certificates.request_status,
        subresources={"approval": certificates.request_status},
    ),
    "podcertificaterequests.certificates.k8s.io": Row(
        podcertificates.create, recheck=_nothing, update=podcertificates.update, status=podcertificates.status
    ),
    "flowschemas.flowcontrol.apiserver.k8s.io": Row(flowcontrol.flow_schema),
    "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io": Row(flowcontrol.priority_level),
    "resourceclaims.resource.k8s.io": Row(update=dynamic_resources.spec_stays, status=dynamic_resources.claim_status),
    "resourceclaimtemplates.resource.k8s.io": Row(update=dynamic_resources.spec_stays),
    "resourceslices.resource.k8s.io": Row(update=dynamic_resources.slice_update),
    "apiservices.apiregistration.k8s.io": Row(apiservices.api_service, name=path_segment),
    "customresourcedefinitions.apiextensions.k8s.io": Row(
        crds.definition_create,
        recheck=crds.definition,
        update=crds.definition_update,
        legacy_finalizers=False,
        metadata_twice=True,
    ),
}
"""Storage name -> row."""
DEFAULT = Row()
CUSTOM = Row(legacy_finalizers=False)
STRICT_EVENTS = Row(events.strict_event, recheck=_nothing, update=events.strict_event_update)
