"""Objects as a table: the columns of each kind, and a row of cells for each object.

Source: the column definitions of the API server itself (compiled data), k8s.io/kubernetes/pkg/printers and
k8s.io/apiserver/pkg/registry/rest/table.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from seatrial.sim.machinery import schema
from seatrial.sim.machinery.kinds import Resource
from seatrial.sim.machinery.printers import access, cluster, custom, network, pods, storage, workloads
from seatrial.sim.machinery.shown import shown

Object = Mapping[str, Any]
Column = Mapping[str, Any]
Printer = Callable[[Object, int], list[Any]]

PRINTERS: Mapping[str, Printer] = {
    "componentstatuses": cluster.component_status,
    "configmaps": cluster.config_map,
    "endpoints": network.endpoints,
    "events": cluster.event,
    "namespaces": cluster.namespace,
    "nodes": cluster.node,
    "persistentvolumeclaims": storage.persistent_volume_claim,
    "persistentvolumes": storage.persistent_volume,
    "pods": pods.pod,
    "podtemplates": pods.pod_template,
    "replicationcontrollers": workloads.replication_controller,
    "resourcequotas": cluster.resource_quota,
    "secrets": cluster.secret,
    "serviceaccounts": cluster.named,
    "services": network.service,
    "mutatingadmissionpolicies.admissionregistration.k8s.io": access.mutating_policy,
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io": access.policy_binding,
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": access.webhooks,
    "validatingadmissionpolicies.admissionregistration.k8s.io": access.validating_policy,
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": access.policy_binding,
    "validatingwebhookconfigurations.admissionregistration.k8s.io": access.webhooks,
    "customresourcedefinitions.apiextensions.k8s.io": cluster.custom_resource_definition,
    "apiservices.apiregistration.k8s.io": cluster.api_service,
    "controllerrevisions.apps": workloads.controller_revision,
    "daemonsets.apps": workloads.daemon_set,
    "deployments.apps": workloads.deployment,
    "replicasets.apps": workloads.replica_set,
    "statefulsets.apps": workloads.stateful_set,
    "horizontalpodautoscalers.autoscaling": workloads.horizontal_pod_autoscaler,
    "cronjobs.batch": workloads.cron_job,
    "jobs.batch": workloads.job,
    "certificatesigningrequests.certificates.k8s.io": access.certificate_signing_request,
    "clustertrustbundles.certificates.k8s.io": access.cluster_trust_bundle,
    "podcertificaterequests.certificates.k8s.io": access.pod_certificate_request,
    "leases.coordination.k8s.io": cluster.lease,
    "endpointslices.discovery.k8s.io": network.endpoint_slice,
    "flowschemas.flowcontrol.apiserver.k8s.io": cluster.flow_schema,
    "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io": cluster.priority_level,
    "ingressclasses.networking.k8s.io": network.ingress_class,
    "ingresses.networking.k8s.io": network.ingress,
    "ipaddresses.networking.k8s.io": network.ip_address,
    "networkpolicies.networking.k8s.io": network.network_policy,
    "servicecidrs.networking.k8s.io": network.service_cidr,
    "runtimeclasses.node.k8s.io": cluster.runtime_class,
    "poddisruptionbudgets.policy": workloads.pod_disruption_budget,
    "clusterrolebindings.rbac.authorization.k8s.io": access.role_binding,
    "rolebindings.rbac.authorization.k8s.io": access.role_binding,
    "deviceclasses.resource.k8s.io": cluster.named,
    "devicetaintrules.resource.k8s.io": cluster.device_taint_rule,
    "resourceclaims.resource.k8s.io": cluster.resource_claim,
    "resourceclaimtemplates.resource.k8s.io": cluster.named,
    "resourceslices.resource.k8s.io": cluster.resource_slice,
    "priorityclasses.scheduling.k8s.io": cluster.priority_class,
    "csidrivers.storage.k8s.io": storage.csi_driver,
    "csinodes.storage.k8s.io": storage.csi_node,
    "storageclasses.storage.k8s.io": storage.storage_class,
    "volumeattachments.storage.k8s.io": storage.volume_attachment,
    "volumeattributesclasses.storage.k8s.io": storage.volume_attributes_class,
    "storageversionmigrations.storagemigration.k8s.io": cluster.storage_version_migration,
}
"""How a kind fills its columns; kinds that are not here show their name and time of creation."""

COLUMN_KEYS = ("name", "type", "format", "description", "priority")
WITHOUT_PRINTER = "/api/v1/limitranges"
"""A kind with the two columns of kinds that have no printer of their own."""
TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
PATH_DESCRIPTION = "Custom resource definition column (in JSONPath format): "


def table(
    resource: Resource,
    objects: Iterable[Object],
    now_us: int,
    include_object: str = "Metadata",
    list_metadata: Mapping[str, Any] | None = None,
    headers: bool = True,
) -> dict[str, Any]:
    """A meta.k8s.io/v1 Table of objects in their stored form.

    ``include_object``: what each row carries of its object: None, Metadata or Object. ``headers`` is false for the
    later events of a watch, which leave the columns out.
    """
    found = list(objects)
    columns, printer = _shown(resource, bool(found) and found[0].get("kind") == "Scale")
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": dict(list_metadata or {}),
        "columnDefinitions": columns if headers else None,
        "rows": shown(found, lambda obj: _row(obj, printer(obj, now_us), include_object)),
    }


def _shown(resource: Resource, scale: bool) -> tuple[Sequence[Column], Printer]:
    """Columns of a kind, or of its scale, and what fills them."""
    if scale:
        return _scale_columns(), workloads.scale
    if resource.custom:
        return _custom(resource)
    start = f"/apis/{resource.group}" if resource.group else "/api"
    if resource.legacy is not None:
        columns = _listed(f"/apis/{resource.storage_version}/{resource.plural}")
    else:
        columns = _listed(f"{start}/{resource.version}/{resource.plural}")
    return columns, PRINTERS.get(resource.storage, cluster.dated)


def _row(obj: Object, cells: list[Any], include: str) -> dict[str, Any]:
    row: dict[str, Any] = {"cells": cells}
    if obj.get("kind") == "Pod":
        conditions = pods.row_conditions(obj)
        if conditions:
            row["conditions"] = conditions
    if include == "Metadata":
        row["object"] = {
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": _metadata(obj),
        }
    else:
        row["object"] = obj if include == "Object" else None
    return row


def _metadata(obj: Object) -> Object:
    """The metadata that a row carries: without what only the conversion to apps/v1 adds."""
    metadata: Object = obj.get("metadata", {})
    if obj.get("kind") != "DaemonSet" or TEMPLATE_GENERATION not in metadata.get("annotations", {}):
        return metadata
    annotations = {key: text for key, text in metadata["annotations"].items() if key != TEMPLATE_GENERATION}
    rest = {key: value for key, value in metadata.items() if key != "annotations"}
    return {**rest, "annotations": annotations} if annotations else rest


@cache
def _listed(path: str) -> Sequence[Column]:
    data = schema.data("table_columns")
    given = data.get(path) or data[WITHOUT_PRINTER]
    return [{key: column[key] for key in COLUMN_KEYS} for column in given]


def _column(name: str, kind: str, description: str, priority: int = 0, format: str = "") -> Column:
    return dict(zip(COLUMN_KEYS, (name, kind, format, description, priority), strict=True))


@cache
def _scale_columns() -> Sequence[Column]:
    name, created = _listed(WITHOUT_PRINTER)
    return [
        name,
        _column("Desired", "integer", "desired number of instances for the scaled object."),
        _column("Available", "integer", "actual number of observed instances of the scaled object."),
        _column("Age", "string", created["description"]),
    ]


def _custom(resource: Resource) -> tuple[Sequence[Column], Printer]:
    """The columns that a CustomResourceDefinition lists; an age where it lists none."""
    asked: Sequence[Mapping[str, Any]] = resource.printer_columns or (custom.AGE,)
    name, created = _listed(WITHOUT_PRINTER)
    columns = [name]
    for each in asked:
        path = each["jsonPath"]
        description = each.get("description") or (
            created["description"] if each is custom.AGE else PATH_DESCRIPTION + path
        )
        columns.append(
            _column(each["name"], each["type"], description, each.get("priority", 0), each.get("format", ""))
        )
    return columns, lambda obj, now_us: custom.cells(asked, obj, now_us)
