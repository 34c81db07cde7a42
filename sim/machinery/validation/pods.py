"""Pods and pod templates.

Source: k8s.io/kubernetes/pkg/apis/core/validation (ValidatePodCreate, ValidatePodSpec, ValidatePodTemplateSpec).

*Not modelled*: annotations that older versions read (seccomp and AppArmor annotations that contradict the fields,
tolerations in annotations); a pod that carries wrong ones is accepted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation import containers, scheduling
from seatrial.sim.machinery.validation.addresses import is_ip
from seatrial.sim.machinery.validation.containers import Surroundings
from seatrial.sim.machinery.validation.metadata import LABELS, template_metadata
from seatrial.sim.machinery.validation.names import is_label, is_subdomain, subdomain_with_underscore
from seatrial.sim.machinery.validation.problems import (
    NONE,
    Errors,
    Object,
    at,
    between,
    duplicate,
    each,
    forbidden,
    invalid,
    not_supported,
    required,
)
from seatrial.sim.machinery.validation.resources import container_resources, pod_resource_name, resource_requirements
from seatrial.sim.machinery.validation.security import (
    WINDOWS_FORBIDS_IN_CONTAINER,
    WINDOWS_FORBIDS_IN_POD,
    WINDOWS_FORBIDS_IN_SPEC,
    pod_security,
)
from seatrial.sim.machinery.validation.table import table
from seatrial.sim.machinery.validation.volumes import volumes

RESTART_POLICIES = ("Always", "OnFailure", "Never")
DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
PREEMPTION_POLICIES = ("PreemptLowerPriority", "Never")
MIRROR = "kubernetes.io/config.mirror"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
LINUX_ONLY = "windows options cannot be set for a linux pod"
NOT_ON_WINDOWS = "cannot be set for a windows pod"
HOST_USERS = "when `pod.Spec.HostUsers` is false"

_deadline = between(1, 2147483647)


def pod_spec(spec: Object, pod_name: str | None) -> Errors:
    """A pod's spec; ``pod_name``: None inside a template."""
    get = spec.get
    errors: list[FieldError] = []
    if get("terminationGracePeriodSeconds") is None:
        errors.append(required("terminationGracePeriodSeconds"))
    good: Mapping[str, Object] = {}
    if listed := get("volumes"):
        good, found = volumes(listed, pod_name)
        errors += at("volumes", found)
    claims = [claim["name"] for claim in get("resourceClaims") or () if claim.get("name")]
    pod = Surroundings(
        good, claims, get("restartPolicy") or "", get("terminationGracePeriodSeconds"), get("hostUsers") is not False
    )
    regular, init = get("containers") or (), get("initContainers") or ()
    if found := containers.regular(regular, pod):
        errors += at("containers", found)
    if init:
        errors += at("initContainers", containers.init(init, regular, pod))
    if ephemeral := get("ephemeralContainers"):
        errors += at("ephemeralContainers", containers.ephemeral(ephemeral, [*regular, *init], pod))
    if (policy := get("restartPolicy")) not in RESTART_POLICIES:
        errors += at("restartPolicy", containers.enum_of(policy, RESTART_POLICIES))
    if (policy := get("dnsPolicy")) not in DNS_POLICIES:
        errors += at("dnsPolicy", containers.enum_of(policy, DNS_POLICIES))
    for key in spec:
        if (check := BY_KEY.get(key)) is not None and (found := check(spec, spec[key])):
            errors += found
    if get("dnsPolicy") == "None" and get("dnsConfig") is None:
        errors.append(required("dnsConfig", "must provide `dnsConfig` when `dnsPolicy` is None"))
    return errors


def _plain(name: str, check: Callable[[Any], Errors]) -> Callable[[Object, Any], Errors]:
    return lambda spec, value: at(name, check(value)) if value else NONE


def _given(name: str, check: Callable[[Any], Errors]) -> Callable[[Object, Any], Errors]:
    return lambda spec, value: at(name, check(value)) if value is not None else NONE


def _resource_claims(spec: Object, values: Sequence[Object]) -> Errors:
    errors: list[FieldError] = []
    seen: list[str] = []
    for index, claim in enumerate(values):
        path, name = f"resourceClaims[{index}]", claim.get("name")
        if not name:
            errors.append(required(f"{path}.name"))
        elif name in seen:
            errors.append(duplicate(f"{path}.name", name))
        else:
            errors += at(f"{path}.name", is_label(name))
            seen.append(name)
        direct, template = claim.get("resourceClaimName"), claim.get("resourceClaimTemplateName")
        shown = {"Name": name or "", "ResourceClaimName": direct, "ResourceClaimTemplateName": template}
        if direct is not None and template is not None:
            told = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            errors.append(invalid(path, shown, told))
        elif direct is None and template is None:
            told = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            errors.append(invalid(path, shown, told))
        for field, value in (("resourceClaimName", direct), ("resourceClaimTemplateName", template)):
            if value is not None:
                errors += at(f"{path}.{field}", is_subdomain(value))
    return errors


def _host_network(spec: Object, value: Any) -> Errors:
    """Ports of a pod in the host's network are the host's own."""
    errors: list[FieldError] = []
    if value:
        for number, container in enumerate(spec.get("containers") or ()):
            for index, port in enumerate(container.get("ports") or ()):
                host_port = port.get("hostPort") or 0
                if host_port and host_port != port.get("containerPort"):
                    told = "must match `containerPort` when `hostNetwork` is true"
                    errors.append(invalid(f"containers[{number}].ports[{index}].hostPort", host_port, told))
    return errors


def _security(spec: Object, value: Object) -> Errors:
    return at("securityContext", pod_security(value)) if value else NONE


def _share_processes(spec: Object, value: Any) -> Errors:
    if value and spec.get("hostPID"):
        told = "ShareProcessNamespace and HostPID cannot both be enabled"
        return (invalid("securityContext.shareProcessNamespace", True, told),)
    return NONE


def _dns_config(spec: Object, value: Object) -> Errors:
    if value is None:
        return NONE
    servers, searches = value.get("nameservers") or [], value.get("searches") or []
    if spec.get("dnsPolicy") == "None" and not servers:
        told = "must provide at least one DNS nameserver when `dnsPolicy` is None"
        return (required("dnsConfig.nameservers", told),)
    errors: list[FieldError] = []
    if len(servers) > 3:
        errors.append(invalid("nameservers", servers, "must not have more than 3 nameservers"))
    errors += each("nameservers", servers, is_ip)
    if len(searches) > 32:
        errors.append(invalid("searches", searches, "must not have more than 32 search paths"))
    if len(" ".join(searches)) > 2048:
        told = "must not have more than 2048 characters (including spaces) in the search list"
        errors.append(invalid("searches", searches, told))
    for index, search in enumerate(searches):
        if search != ".":
            shown = search.removesuffix(".")
            errors += [invalid(f"searches[{index}]", shown, text) for text in subdomain_with_underscore(shown)]
    for index, option in enumerate(value.get("options") or ()):
        if not option.get("name"):
            errors.append(required(f"options[{index}]", "must not be empty"))
    return at("dnsConfig", errors)


def _host_users(spec: Object, value: Any) -> Errors:
    if value is not False:
        return NONE
    fields = (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC"))
    return [forbidden(shown, HOST_USERS) for field, shown in fields if spec.get(field)]


_host_alias = table({"hostnames[]": is_subdomain})


def _host_aliases(values: Sequence[Object]) -> Errors:
    return each("", values, lambda alias: [*at("ip", is_ip(alias.get("ip") or "")), *_host_alias(alias)])


def _preemption(value: str) -> Errors:
    return containers.enum_of(value, PREEMPTION_POLICIES)


def _overhead(value: Object) -> Errors:
    return container_resources({"limits": value})


def _pod_resources(value: Object) -> Errors:
    errors: list[FieldError] = []
    if value.get("claims") is not None:
        errors.append(forbidden("claims", "claims cannot be set for Resources at pod-level"))
    errors += resource_requirements({k: v for k, v in value.items() if k != "claims"}, pod_resource_name, ())
    return errors


def _operating_system(spec: Object, value: Object) -> Errors:
    if value is None:
        return NONE
    name = value.get("name") or ""
    if not name:
        return (required("os.name"),)
    if name == "linux":
        return _windows_options_given(spec)
    if name == "windows":
        return _linux_options_given(spec)
    return (not_supported("os", name, ("linux", "windows")),)


def each_container(spec: Object) -> Iterator[tuple[str, Object]]:
    """Every container with its path."""
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(field) or ()):
            yield f"{field}[{index}]", container


def _windows_options_given(spec: Object) -> Errors:
    holders = [("", spec), *each_container(spec)]
    path = "securityContext.windowsOptions"
    return [
        forbidden(f"{prefix}.{path}" if prefix else path, LINUX_ONLY)
        for prefix, holder in holders
        if (holder.get("securityContext") or {}).get("windowsOptions") is not None
    ]


def _linux_options_given(spec: Object) -> Errors:
    errors = [forbidden(field, NOT_ON_WINDOWS) for field in WINDOWS_FORBIDS_IN_SPEC if spec.get(field) is not None]
    security = spec.get("securityContext") or {}
    errors += [
        forbidden(f"securityContext.{field}", NOT_ON_WINDOWS)
        for field in WINDOWS_FORBIDS_IN_POD
        if security.get(field) is not None
    ]
    for path, container in each_container(spec):
        security = container.get("securityContext") or {}
        errors += [
            forbidden(f"{path}.securityContext.{field}", NOT_ON_WINDOWS)
            for field in WINDOWS_FORBIDS_IN_CONTAINER
            if security.get(field) is not None
        ]
    return errors


BY_KEY: Mapping[str, Callable[[Object, Any], Errors]] = {
    "resourceClaims": _resource_claims,
    "resources": _plain("resources", _pod_resources),
    "hostNetwork": _host_network,
    "nodeSelector": _plain("nodeSelector", LABELS),
    "securityContext": _security,
    "shareProcessNamespace": _share_processes,
    "affinity": _plain("affinity", scheduling.affinity),
    "dnsConfig": _dns_config,
    "readinessGates": _plain("readinessGates", scheduling.readiness_gates),
    "schedulingGates": _plain("schedulingGates", scheduling.gates),
    "topologySpreadConstraints": _plain("topologySpreadConstraints", scheduling.spreads),
    "hostUsers": _host_users,
    "serviceAccountName": _plain("serviceAccountName", is_subdomain),
    "nodeName": _plain("nodeName", is_subdomain),
    "activeDeadlineSeconds": _given("activeDeadlineSeconds", _deadline),
    "hostname": _plain("hostname", is_label),
    "hostnameOverride": _given("hostnameOverride", is_subdomain),
    "subdomain": _plain("subdomain", is_label),
    "tolerations": _plain("tolerations", scheduling.tolerations),
    "hostAliases": _plain("hostAliases", _host_aliases),
    "priorityClassName": _plain("priorityClassName", is_subdomain),
    "runtimeClassName": _given("runtimeClassName", is_subdomain),
    "preemptionPolicy": _given("preemptionPolicy", _preemption),
    "overhead": _plain("overhead", _overhead),
    "os": _operating_system,
}
"""Checks of the spec's other fields: from the spec and the field's value."""

DELETION_COST_SHAPE = re.compile(r"0|[1-9][0-9]*|-[1-9][0-9]*")


def pod_annotations(values: Mapping[str, str], spec: Object) -> Errors:
    """Annotations that mean something for a pod."""
    errors: list[FieldError] = []
    if MIRROR in values and not spec.get("nodeName"):
        told = "must set spec.nodeName if mirror pod annotation is set"
        errors.append(invalid(f"annotations[{MIRROR}]", values[MIRROR], told))
    cost = values.get(DELETION_COST)
    if cost is not None and not (DELETION_COST_SHAPE.fullmatch(cost) and -(1 << 31) <= int(cost) < 1 << 31):
        errors.append(invalid(f"annotations[{DELETION_COST}]", cost, "must be a 32bit integer"))
    return errors


def pod(value: Object) -> Errors:
    """A pod as it may be at any time; metadata excepted."""
    metadata, spec = value["metadata"], value.get("spec") or {}
    errors: list[FieldError] = []
    if found := metadata.get("annotations"):
        errors += at("metadata", pod_annotations(found, spec))
    if found := pod_spec(spec, metadata.get("name") or ""):
        errors += at("spec", found)
    for field in ("containers", "initContainers"):
        errors += at("spec", each(field, spec.get(field), containers.trimmed_image))
    if not spec.get("serviceAccountName"):
        errors += _tokens_without_account(spec)
    return errors


def _tokens_without_account(spec: Object) -> Errors:
    errors: list[FieldError] = []
    for number, volume in enumerate(spec.get("volumes") or ()):
        for index, source in enumerate((volume.get("projected") or {}).get("sources") or ()):
            if source.get("serviceAccountToken") is not None:
                path = f"spec.volumes[{number}].projected.sources[{index}].serviceAccountToken"
                errors.append(forbidden(path, "must not be specified when serviceAccountName is not set"))
    return errors


def pod_create(value: Object) -> Errors:
    """A new pod; metadata excepted."""
    spec = value.get("spec") or {}
    errors = [*pod(value)]
    if spec.get("ephemeralContainers"):
        errors.append(forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        told = "cannot be set until all schedulingGates have been cleared"
        errors.append(forbidden("spec.nodeName", told))
    return errors


def pod_template(value: Object) -> Errors:
    """A PodTemplateSpec; its labels and annotations are reported beside its spec, not in metadata."""
    metadata, spec = value.get("metadata") or {}, value.get("spec") or {}
    errors = [*template_metadata(metadata)]
    if found := metadata.get("annotations"):
        errors += pod_annotations(found, spec)
    errors += at("spec", pod_spec(spec, None))
    if spec.get("ephemeralContainers"):
        errors.append(forbidden("spec.ephemeralContainers", "ephemeral containers not allowed in pod template"))
    return errors
