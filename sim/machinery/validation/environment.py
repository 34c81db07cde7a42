"""Environment variables and what the downward API may tell.

Source: k8s.io/kubernetes/pkg/apis/core/validation (ValidateEnv, ValidateEnvFrom, validateObjectFieldSelector,
validateContainerResourceFieldSelector).
"""

from __future__ import annotations

import re

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation.memo import remembered
from seatrial.sim.machinery.validation.names import config_key, env_name, qualified_name, subdomain
from seatrial.sim.machinery.validation.paths import local_path
from seatrial.sim.machinery.validation.problems import (
    NONE,
    Check,
    Errors,
    Object,
    at,
    each,
    invalid,
    not_supported,
    required,
)
from seatrial.sim.machinery.validation.resources import amount

ENV_FIELDS = (
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
    "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
)  # fmt: skip
VOLUME_FIELDS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
POD_FIELDS = frozenset(
    {
        "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid",
        "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
        "spec.host", "status.phase", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
    }
)  # fmt: skip
"""What a field path can be at all (ConvertDownwardAPIFieldLabel)."""
CONTAINER_RESOURCES = (
    "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage",
    "requests.memory",
)  # fmt: skip
HUGE_PAGES = ("limits.hugepages-", "requests.hugepages-")
SUBSCRIPT = re.compile(r"(.+)\['(.*)'\]")

CPU_DIVISORS = ("1m", "1")
BYTE_DIVISORS = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
_BYTES_LISTED = ", ".join(BYTE_DIVISORS)
DIVISORS = (
    (
        ("limits.cpu", "requests.cpu"),
        CPU_DIVISORS,
        "only divisor's values 1m and 1 are supported with the cpu resource",
    ),
    (
        ("limits.memory", "requests.memory"),
        BYTE_DIVISORS,
        f"only divisor's values {_BYTES_LISTED} are supported with the memory resource",
    ),
    (
        ("limits.ephemeral-storage", "requests.ephemeral-storage"),
        BYTE_DIVISORS,
        f"only divisor's values {_BYTES_LISTED} are supported with the local ephemeral storage resource",
    ),
    (
        HUGE_PAGES,
        BYTE_DIVISORS,
        f"only divisor's values {_BYTES_LISTED} are supported with the hugepages resource",
    ),
)
"""(resource names or beginnings, divisors allowed, text)"""


def field_ref(value: Object, fields: tuple[str, ...]) -> Errors:
    """A reference to a field of the pod; ``fields``: those that may stand without a subscript."""
    version, path = value.get("apiVersion") or "", value.get("fieldPath") or ""
    if not version:
        return (required("apiVersion"),)
    if not path:
        return (required("fieldPath"),)
    subscripted = SUBSCRIPT.fullmatch(path)
    told = ""
    if version != "v1":
        told = f"unsupported pod version: {version}"
    elif (subscripted and subscripted[1] not in ("metadata.annotations", "metadata.labels")) or (
        not subscripted and path not in POD_FIELDS
    ):
        told = f"field label not supported: {subscripted[1] if subscripted else path}"
    if told:
        return (invalid("fieldPath", path, f"error converting fieldPath: {told}"),)
    if subscripted:
        key = subscripted[2].lower() if subscripted[1] == "metadata.annotations" else subscripted[2]
        return [invalid("", key, text) for text in qualified_name(key)]
    if path == "spec.host":
        path = "spec.nodeName"
    return NONE if path in fields else (not_supported("fieldPath", path, fields),)


def resource_field_ref(value: Object, in_volume: bool) -> Errors:
    errors: list[FieldError] = []
    name = value.get("resource") or ""
    if in_volume and not value.get("containerName"):
        errors.append(required("containerName"))
    elif not name:
        errors.append(required("resource"))
    elif name not in CONTAINER_RESOURCES and not name.startswith(HUGE_PAGES):
        errors.append(not_supported("resource", name, CONTAINER_RESOURCES))
    divisor = amount(value.get("divisor") or "0")
    if divisor:
        for beginnings, allowed, told in DIVISORS:
            if name.startswith(beginnings) and (name in beginnings or beginnings is HUGE_PAGES):
                if str(divisor) not in allowed:
                    errors.append(invalid("divisor", name, told))
    return errors or NONE


def _key_ref(value: Object) -> Errors:
    errors = [invalid("name", value.get("name") or "", text) for text in subdomain(value.get("name") or "")]
    key = value.get("key") or ""
    if not key:
        errors.append(required("key"))
    else:
        errors += [invalid("key", key, text) for text in config_key(key)]
    return errors


def _file_key_ref(value: Object) -> Errors:
    errors: list[FieldError] = []
    key = value.get("key") or ""
    if not key:
        errors.append(required("key"))
    else:
        errors += [invalid("key", key, text) for text in env_name(key)]
    if not value.get("volumeName"):
        errors.append(required("volumeName"))
    path = value.get("path") or ""
    if not path:
        errors.append(required("path"))
    else:
        errors += at("path", local_path(path))
    return errors


ENV_SOURCES: tuple[tuple[str, Check], ...] = (
    ("fieldRef", lambda value: field_ref(value, ENV_FIELDS)),
    ("resourceFieldRef", lambda value: resource_field_ref(value, in_volume=False)),
    ("configMapKeyRef", _key_ref),
    ("secretKeyRef", _key_ref),
    ("fileKeyRef", _file_key_ref),
)
NO_SOURCE = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
MANY_SOURCES = "may not have more than one field specified at a time"


def _variable(value: Object) -> Errors:
    errors: list[FieldError] = []
    name = value.get("name")
    if not name:
        errors.append(required("name"))
    else:
        wrong = env_name(name)
        if wrong:
            errors += [invalid("name", name, text) for text in wrong]
    source = value.get("valueFrom")
    if source is not None:
        errors += at("valueFrom", _value_from(source, value.get("value") or ""))
    return errors or NONE


def _value_from(source: Object, value: str) -> Errors:
    errors: list[FieldError] = []
    count = 0
    for name, check in ENV_SOURCES:
        if (reference := source.get(name)) is not None:
            count += 1
            errors += at(name, check(reference))
    if not count:
        errors.append(invalid("", "", NO_SOURCE))
    elif value:
        errors.append(invalid("", "", "may not be specified when `value` is not empty"))
    elif count > 1:
        errors.append(invalid("", "", MANY_SOURCES))
    return errors


environment = remembered(lambda variables: each("", variables, _variable))
"""The env of a container; paths begin with the index."""


def environment_from(sources: list[Object]) -> Errors:
    """The envFrom of a container; that a source is missing is said of the whole list."""
    errors: list[FieldError] = []
    for index, source in enumerate(sources):
        prefix = source.get("prefix")
        if prefix:
            errors += [invalid(f"[{index}].prefix", prefix, text) for text in env_name(prefix)]
        count = 0
        for name in ("configMapRef", "secretRef"):
            if (reference := source.get(name)) is not None:
                count += 1
                errors += at(f"[{index}].{name}", _named(reference))
        if not count:
            errors.append(invalid("", "", "must specify one of: `configMapRef` or `secretRef`"))
        elif count > 1:
            errors.append(invalid("", "", MANY_SOURCES))
    return errors


def _named(value: Object) -> Errors:
    name = value.get("name")
    if not name:
        return (required("name"),)
    return [invalid("name", name, text) for text in subdomain(name)]
