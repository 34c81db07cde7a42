"""Containers, init containers and ephemeral containers of a pod.

Source: k8s.io/kubernetes/pkg/apis/core/validation (validateContainers, validateInitContainers,
validateEphemeralContainers, validateContainerCommon).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation.addresses import is_port_number
from seatrial.sim.machinery.validation.environment import environment, environment_from
from seatrial.sim.machinery.validation.memo import remembered
from seatrial.sim.machinery.validation.mounts import devices, mounts
from seatrial.sim.machinery.validation.names import is_label, port_name
from seatrial.sim.machinery.validation.probes import lifecycle, probes
from seatrial.sim.machinery.validation.problems import (
    NONE,
    Errors,
    Object,
    at,
    duplicate,
    each,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
    too_many,
)
from seatrial.sim.machinery.validation.resources import container_resources
from seatrial.sim.machinery.validation.security import container_security, unmasked

PROTOCOLS = ("SCTP", "TCP", "UDP")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
RESTART_POLICIES = ("Always", "Never", "OnFailure")
RESTART_ACTIONS = ("Restart", "RestartAllContainers")
RESTART_RULES_MAX = 20
EXIT_CODES_MAX = 255
RESIZABLE = ("cpu", "memory")
RESIZE_POLICIES = ("NotRequired", "RestartContainer")
NOT_FOR_INIT = "may not be set for init containers without restartPolicy=Always"
NOT_FOR_EPHEMERAL = "cannot be set for an Ephemeral Container"
EPHEMERAL_FIELDS = frozenset(
    {
        "name", "image", "command", "args", "workingDir", "envFrom", "env", "volumeMounts", "volumeDevices",
        "terminationMessagePath", "terminationMessagePolicy", "imagePullPolicy", "securityContext", "stdin",
        "stdinOnce", "tty", "targetContainerName",
    }
)  # fmt: skip


class Surroundings(NamedTuple):
    """What a container's checks need to know of its pod."""

    volumes: Mapping[str, Object]
    """Those that are in order, by name."""
    claims: Sequence[str]
    restart_policy: str
    grace_s: int | None
    host_users: bool


def enum_of(value: Any, supported: Sequence[str]) -> Errors:
    """A field that must be set, and to one of a few values."""
    if value in supported:
        return NONE
    return (not_supported("", value, supported),) if value else (required(""),)


def _port(value: Object) -> Errors:
    errors: list[FieldError] = []
    if name := value.get("name"):
        errors += [invalid("name", name, text) for text in port_name(name)]
    number = value.get("containerPort")
    if not number:
        errors.append(required("containerPort"))
    else:
        errors += at("containerPort", is_port_number(number))
    if host_port := value.get("hostPort"):
        errors += at("hostPort", is_port_number(host_port))
    errors += at("protocol", enum_of(value.get("protocol"), PROTOCOLS))
    return errors or NONE


def _ports(values: Sequence[Object]) -> Errors:
    errors = [*each("", values, _port)]
    seen: list[str] = []
    for index, value in enumerate(values):
        name = value.get("name")
        if name and name in seen:
            errors.append(duplicate(f"[{index}].name", name))
        elif name and not port_name(name):
            seen.append(name)
    return errors


ports = remembered(_ports)


def _resize_policy(entries: Sequence[Object], restart_policy: str) -> Errors:
    errors: list[FieldError] = []
    seen: list[str] = []
    for index, entry in enumerate(entries):
        name, policy = entry.get("resourceName") or "", entry.get("restartPolicy") or ""
        if name in seen:
            errors.append(duplicate(f"[{index}]", name))
        seen.append(name)
        errors += enum_of(name, RESIZABLE)
        errors += enum_of(policy, RESIZE_POLICIES)
        if restart_policy == "Never" and policy != "NotRequired":
            errors.append(invalid("", policy, "must be 'NotRequired' when `restartPolicy` is 'Never'"))
    return errors


def _restart_rule(value: Object) -> Errors:
    errors: list[FieldError] = []
    if (value.get("action") or "") not in RESTART_ACTIONS:
        errors.append(not_supported("action", value.get("action") or "", RESTART_ACTIONS))
    codes = value.get("exitCodes")
    if codes is None:
        errors.append(required("exitCodes", "must be specified"))
        return errors
    if (codes.get("operator") or "") not in ("In", "NotIn"):
        errors.append(not_supported("exitCodes.operator", codes.get("operator") or "", ("In", "NotIn")))
    if len(codes.get("values") or ()) > EXIT_CODES_MAX:
        errors.append(too_many("exitCodes.values", len(codes["values"]), EXIT_CODES_MAX))
    return errors


def _restart(container: Object) -> Errors:
    policy, rules = container.get("restartPolicy"), container.get("restartPolicyRules") or ()
    if policy is None:
        told = "must specify restartPolicy when restart rules are used"
        return (required("restartPolicy", told),) if rules else NONE
    errors: list[FieldError] = []
    if policy not in RESTART_POLICIES:
        errors.append(not_supported("restartPolicy", policy, RESTART_POLICIES))
    if len(rules) > RESTART_RULES_MAX:
        errors.append(too_many("restartPolicyRules", len(rules), RESTART_RULES_MAX))
    errors += each("restartPolicyRules", rules, _restart_rule)
    return errors


def _any_container(value: Object, pod: Surroundings) -> Errors:
    """What every sort of container must have."""
    errors: list[FieldError] = []
    get = value.get
    if not get("name"):
        errors.append(required("name"))
    elif found := is_label(value["name"]):
        errors += at("name", found)
    if not get("image"):
        errors.append(required("image"))
    if (policy := get("terminationMessagePolicy")) not in MESSAGE_POLICIES:
        errors += at("terminationMessagePolicy", enum_of(policy, MESSAGE_POLICIES))
    if part := get("ports"):
        errors += at("ports", ports(part))
    if part := get("env"):
        errors += at("env", environment(part))
        errors += _file_volumes(part, pod.volumes)
    if part := get("envFrom"):
        errors += at("envFrom", environment_from(part))
    if get("volumeMounts") or get("volumeDevices"):
        errors += at("volumeMounts", mounts(value, pod.volumes))
        errors += at("volumeDevices", devices(value, pod.volumes))
    if (policy := get("imagePullPolicy")) not in PULL_POLICIES:
        errors += at("imagePullPolicy", enum_of(policy, PULL_POLICIES))
    if part := get("resources"):
        errors += at("resources", container_resources(part, pod.claims))
    if part := get("resizePolicy"):
        errors += at("resizePolicy", _resize_policy(part, pod.restart_policy))
    if part := get("securityContext"):
        errors += at("securityContext", [*container_security(part), *unmasked(part, pod.host_users)])
    return errors


def _file_volumes(variables: Sequence[Object], volumes: Mapping[str, Object]) -> Errors:
    errors: list[FieldError] = []
    for index, variable in enumerate(variables):
        source = variable.get("valueFrom")
        reference = source.get("fileKeyRef") if source else None
        if reference is None:
            continue
        name, path = reference.get("volumeName") or "", f"env[{index}].valueFrom.fileKeyRef.volumeName"
        if name not in volumes:
            errors.append(not_found(path, name))
        elif volumes[name].get("emptyDir") is None:
            errors.append(invalid(path, name, "referenced volume must be of type emptyDir"))
    return errors


def host_port_conflicts(containers: Sequence[Object]) -> Errors:
    """Ports of the host that two containers want; paths begin with the container's index."""
    errors: list[FieldError] = []
    seen: list[str] = []
    for number, container in enumerate(containers):
        for index, port in enumerate(container.get("ports") or ()):
            if host_port := port.get("hostPort"):
                wanted = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{host_port}"
                if wanted in seen:
                    errors.append(duplicate(f"[{number}].ports[{index}].hostPort", wanted))
                seen.append(wanted)
    return errors


def regular(containers: Sequence[Object] | None, pod: Surroundings) -> Errors:
    """spec.containers."""
    if not containers:
        return (required(""),)
    errors: list[FieldError] = []
    names: list[str] = []
    for index, container in enumerate(containers):
        found = [*_any_container(container, pod)]
        name = container.get("name") or ""
        if name in names:
            found.append(duplicate("name", name))
        names.append(name)
        found += _behaviour(container, pod)
        found += _restart(container)
        if found:
            errors += at(f"[{index}]", found)
    errors += host_port_conflicts(containers)
    return errors


def _behaviour(container: Object, pod: Surroundings) -> Errors:
    """Hooks and probes of what keeps running."""
    hooks = container.get("lifecycle")
    found = at("lifecycle", lifecycle(hooks, pod.grace_s)) if hooks else NONE
    looked = probes(container)
    return [*found, *looked] if found or looked else NONE


def init(containers: Sequence[Object], regular_containers: Sequence[Object], pod: Surroundings) -> Errors:
    """spec.initContainers; those that restart always are sidecars and may have hooks and probes."""
    errors: list[FieldError] = []
    names = [container.get("name") for container in regular_containers]
    for index, container in enumerate(containers):
        found = [*_any_container(container, pod), *_restart(container)]
        name = container.get("name")
        if name in names:
            found.append(duplicate("name", name))
        elif name:
            names.append(name)
        if container.get("restartPolicy") == "Always":
            found += _behaviour(container, pod)
        else:
            for field in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
                if container.get(field) is not None:
                    found.append(forbidden(field, NOT_FOR_INIT))
        errors += at(f"[{index}]", found)
        errors += host_port_conflicts([container])
    return errors


def ephemeral(containers: Sequence[Object], others: Sequence[Object], pod: Surroundings) -> Errors:
    """spec.ephemeralContainers; ``others``: the pod's other containers."""
    errors: list[FieldError] = []
    other_names = [container.get("name") for container in others]
    names = [*other_names]
    for index, container in enumerate(containers):
        found = [*_any_container(container, pod), *trimmed_image(container)]
        name = container.get("name") or ""
        if name in names:
            found.append(duplicate("name", name))
        names.append(name)
        target = container.get("targetContainerName")
        if target and target not in other_names:
            found.append(not_found("targetContainerName", target))
        for field, value in container.items():
            if field not in EPHEMERAL_FIELDS and value:
                found.append(forbidden(field, NOT_FOR_EPHEMERAL))
        for number, mount in enumerate(container.get("volumeMounts") or ()):
            given = [field for field in ("subPath", "subPathExpr") if mount.get(field)]
            found += [forbidden(f"volumeMounts[{number}].{field}", NOT_FOR_EPHEMERAL) for field in given]
        errors += at(f"[{index}]", found)
    return errors


def trimmed_image(container: Object) -> Errors:
    """Only pods, not templates, are asked for this."""
    image = container.get("image") or ""
    if image and (image[0].isspace() or image[-1].isspace()):
        return (invalid("image", image, "must not have leading or trailing whitespace"),)
    return NONE
