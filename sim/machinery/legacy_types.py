"""The types of versions that Kubernetes 1.18 served and later ones do not, where they differ from today's.

Source: k8s.io/api at v0.18 (networking/v1beta1, autoscaling/v2beta1, policy/v1beta1/types.go) and
k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1beta1/types.go. The rows are written as those of the compiled
data (``data/README.md``): t type, r reference, e element, z present when empty, p pointer, q required.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Row = Mapping[str, Any]

API = "io.k8s.api"
NETWORKING, NETWORKING_V1 = f"{API}.networking.v1beta1", f"{API}.networking.v1"
SCALING, SCALING_V2 = f"{API}.autoscaling.v2beta1", f"{API}.autoscaling.v2"
POLICY, CORE = f"{API}.policy.v1beta1", f"{API}.core.v1"
CUSTOM = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1beta1"
CUSTOM_V1 = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1"
META = "io.k8s.apimachinery.pkg.apis.meta.v1"

TEXT: Row = {"t": "string"}
NAME: Row = {"t": "string", "q": 1, "z": 1}
YES: Row = {"t": "boolean"}
SAID: Row = {"t": "boolean", "q": 1, "z": 1}
MAYBE: Row = {"t": "boolean", "p": 1}
NUMBER: Row = {"t": "int32"}
COUNT: Row = {"t": "int32", "q": 1, "z": 1}
LONG: Row = {"t": "int64", "q": 1, "z": 1}
AMOUNT: Row = {"t": "quantity", "q": 1, "z": 1}
SOME: Row = {"t": "quantity", "p": 1}


def _struct(name: str) -> Row:
    return {"t": "struct", "r": name, "z": 1}


def _pointer(name: str) -> Row:
    return {"t": "struct", "r": name, "p": 1}


def _list(element: Row) -> Row:
    return {"t": "list", "e": element, "lt": "atomic"}


def _structs(name: str) -> Row:
    return _list({"t": "struct", "r": name})


def _kind(spec: str, status: str = "") -> Mapping[str, Row]:
    rows = {"kind": TEXT, "apiVersion": TEXT, "metadata": _struct(f"{META}.ObjectMeta"), "spec": _struct(spec)}
    return {**rows, "status": _struct(status)} if status else rows


TEXTS = _list(TEXT)
SELECTOR = _pointer(f"{META}.LabelSelector")


def _sources(kind: str) -> Mapping[str, Row]:
    """A metric of a spec (Source) or a status (Status)."""
    names = {"object": "Object", "pods": "Pods", "resource": "Resource", "external": "External"}
    return {"type": NAME, **{key: _pointer(f"{SCALING}.{name}Metric{kind}") for key, name in names.items()}}


TARGET = _struct(f"{SCALING_V2}.CrossVersionObjectReference")

TYPES: Mapping[str, Mapping[str, Row]] = {
    f"{NETWORKING}.Ingress": _kind(f"{NETWORKING}.IngressSpec", f"{NETWORKING_V1}.IngressStatus"),
    f"{NETWORKING}.IngressSpec": {
        "ingressClassName": {"t": "string", "p": 1},
        "backend": _pointer(f"{NETWORKING}.IngressBackend"),
        "tls": _structs(f"{NETWORKING_V1}.IngressTLS"),
        "rules": _structs(f"{NETWORKING}.IngressRule"),
    },
    f"{NETWORKING}.IngressRule": {"host": TEXT, "http": _pointer(f"{NETWORKING}.HTTPIngressRuleValue")},
    f"{NETWORKING}.HTTPIngressRuleValue": {"paths": {**_structs(f"{NETWORKING}.HTTPIngressPath"), "q": 1, "z": 1}},
    f"{NETWORKING}.HTTPIngressPath": {
        "path": TEXT,
        "pathType": {"t": "string", "p": 1},
        "backend": _struct(f"{NETWORKING}.IngressBackend"),
    },
    f"{NETWORKING}.IngressBackend": {
        "serviceName": TEXT,
        "servicePort": {"t": "int-or-string"},
        "resource": _pointer(f"{CORE}.TypedLocalObjectReference"),
    },
    f"{SCALING}.HorizontalPodAutoscaler": _kind(
        f"{SCALING}.HorizontalPodAutoscalerSpec", f"{SCALING}.HorizontalPodAutoscalerStatus"
    ),
    f"{SCALING}.HorizontalPodAutoscalerSpec": {
        "scaleTargetRef": TARGET,
        "minReplicas": {"t": "int32", "p": 1},
        "maxReplicas": COUNT,
        "metrics": _structs(f"{SCALING}.MetricSpec"),
    },
    f"{SCALING}.HorizontalPodAutoscalerStatus": {
        "observedGeneration": {"t": "int64", "p": 1},
        "lastScaleTime": {"t": "time", "p": 1},
        "currentReplicas": COUNT,
        "desiredReplicas": COUNT,
        "currentMetrics": {**_structs(f"{SCALING}.MetricStatus"), "z": 1},
        "conditions": {**_structs(f"{SCALING_V2}.HorizontalPodAutoscalerCondition"), "z": 1},
    },
    f"{SCALING}.MetricSpec": _sources("Source"),
    f"{SCALING}.MetricStatus": _sources("Status"),
    f"{SCALING}.ObjectMetricSource": {
        "target": TARGET,
        "metricName": NAME,
        "targetValue": AMOUNT,
        "selector": SELECTOR,
        "averageValue": SOME,
    },
    f"{SCALING}.PodsMetricSource": {"metricName": NAME, "targetAverageValue": AMOUNT, "selector": SELECTOR},
    f"{SCALING}.ResourceMetricSource": {
        "name": NAME,
        "targetAverageUtilization": {"t": "int32", "p": 1},
        "targetAverageValue": SOME,
    },
    f"{SCALING}.ExternalMetricSource": {
        "metricName": NAME,
        "metricSelector": SELECTOR,
        "targetValue": SOME,
        "targetAverageValue": SOME,
    },
    f"{SCALING}.ObjectMetricStatus": {
        "target": TARGET,
        "metricName": NAME,
        "currentValue": AMOUNT,
        "selector": SELECTOR,
        "averageValue": SOME,
    },
    f"{SCALING}.PodsMetricStatus": {"metricName": NAME, "currentAverageValue": AMOUNT, "selector": SELECTOR},
    f"{SCALING}.ResourceMetricStatus": {
        "name": NAME,
        "currentAverageUtilization": {"t": "int32", "p": 1},
        "currentAverageValue": AMOUNT,
    },
    f"{SCALING}.ExternalMetricStatus": {
        "metricName": NAME,
        "metricSelector": SELECTOR,
        "currentValue": AMOUNT,
        "currentAverageValue": SOME,
    },
    f"{CUSTOM}.CustomResourceDefinition": _kind(
        f"{CUSTOM}.CustomResourceDefinitionSpec", f"{CUSTOM_V1}.CustomResourceDefinitionStatus"
    ),
    f"{CUSTOM}.CustomResourceDefinitionSpec": {
        "group": NAME,
        "version": TEXT,
        "names": _struct(f"{CUSTOM_V1}.CustomResourceDefinitionNames"),
        "scope": NAME,
        "validation": _pointer(f"{CUSTOM_V1}.CustomResourceValidation"),
        "subresources": _pointer(f"{CUSTOM_V1}.CustomResourceSubresources"),
        "versions": _structs(f"{CUSTOM}.CustomResourceDefinitionVersion"),
        "additionalPrinterColumns": _structs(f"{CUSTOM}.CustomResourceColumnDefinition"),
        "conversion": _pointer(f"{CUSTOM}.CustomResourceConversion"),
        "preserveUnknownFields": MAYBE,
    },
    f"{CUSTOM}.CustomResourceDefinitionVersion": {
        "name": NAME,
        "served": SAID,
        "storage": SAID,
        "schema": _pointer(f"{CUSTOM_V1}.CustomResourceValidation"),
        "subresources": _pointer(f"{CUSTOM_V1}.CustomResourceSubresources"),
        "additionalPrinterColumns": _structs(f"{CUSTOM}.CustomResourceColumnDefinition"),
    },
    f"{CUSTOM}.CustomResourceColumnDefinition": {
        "name": NAME,
        "type": NAME,
        "format": TEXT,
        "description": TEXT,
        "priority": NUMBER,
        "JSONPath": NAME,
    },
    f"{CUSTOM}.CustomResourceConversion": {
        "strategy": NAME,
        "webhookClientConfig": _pointer(f"{CUSTOM_V1}.WebhookClientConfig"),
        "conversionReviewVersions": TEXTS,
    },
    f"{POLICY}.PodSecurityPolicy": _kind(f"{POLICY}.PodSecurityPolicySpec"),
    f"{POLICY}.PodSecurityPolicySpec": {
        "privileged": YES,
        "defaultAddCapabilities": TEXTS,
        "requiredDropCapabilities": TEXTS,
        "allowedCapabilities": TEXTS,
        "volumes": TEXTS,
        "hostNetwork": YES,
        "hostPorts": _structs(f"{POLICY}.HostPortRange"),
        "hostPID": YES,
        "hostIPC": YES,
        "seLinux": _struct(f"{POLICY}.SELinuxStrategyOptions"),
        "runAsUser": _struct(f"{POLICY}.RunAsUserStrategyOptions"),
        "runAsGroup": _pointer(f"{POLICY}.RunAsUserStrategyOptions"),
        "supplementalGroups": _struct(f"{POLICY}.FSGroupStrategyOptions"),
        "fsGroup": _struct(f"{POLICY}.FSGroupStrategyOptions"),
        "readOnlyRootFilesystem": YES,
        "defaultAllowPrivilegeEscalation": MAYBE,
        "allowPrivilegeEscalation": MAYBE,
        "allowedHostPaths": _structs(f"{POLICY}.AllowedHostPath"),
        "allowedFlexVolumes": _structs(f"{POLICY}.AllowedFlexVolume"),
        "allowedCSIDrivers": _structs(f"{POLICY}.AllowedCSIDriver"),
        "allowedUnsafeSysctls": TEXTS,
        "forbiddenSysctls": TEXTS,
        "allowedProcMountTypes": TEXTS,
        "runtimeClass": _pointer(f"{POLICY}.RuntimeClassStrategyOptions"),
    },
    f"{POLICY}.HostPortRange": {"min": COUNT, "max": COUNT},
    f"{POLICY}.IDRange": {"min": LONG, "max": LONG},
    f"{POLICY}.SELinuxStrategyOptions": {"rule": NAME, "seLinuxOptions": _pointer(f"{CORE}.SELinuxOptions")},
    f"{POLICY}.RunAsUserStrategyOptions": {"rule": NAME, "ranges": _structs(f"{POLICY}.IDRange")},
    f"{POLICY}.FSGroupStrategyOptions": {"rule": TEXT, "ranges": _structs(f"{POLICY}.IDRange")},
    f"{POLICY}.AllowedHostPath": {"pathPrefix": TEXT, "readOnly": YES},
    f"{POLICY}.AllowedFlexVolume": {"driver": NAME},
    f"{POLICY}.AllowedCSIDriver": {"name": NAME},
    f"{POLICY}.RuntimeClassStrategyOptions": {
        "allowedRuntimeClassNames": {**TEXTS, "q": 1, "z": 1},
        "defaultRuntimeClassName": {"t": "string", "p": 1},
    },
}
"""Definitions by name, each with its fields."""
