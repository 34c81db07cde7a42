"""Field selectors: the fields that each kind can be selected by, and what they match.

Source: k8s.io/apimachinery/pkg/fields (selector.go), the field label conversions of each group's conversion.go, and
the selectable fields of each kind's strategy.go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from seatrial.sim.machinery import errors
from seatrial.sim.machinery.fields import quoted

Object = Mapping[str, Any]

OBJECT_META = ("metadata.name", "metadata.namespace")
REFERENCE = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
EVENT = (*(f"involvedObject.{part}" for part in REFERENCE), "reason", "reportingComponent", "source", "type")

SELECTABLE: Mapping[str, tuple[str, ...]] = {
    "pods": (
        *OBJECT_META, "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
        "spec.hostNetwork", "status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName",
    ),
    "nodes": ("metadata.name", "spec.unschedulable"),
    "replicationcontrollers": (*OBJECT_META, "status.replicas"),
    "events": (*OBJECT_META, *EVENT),
    "namespaces": ("metadata.name", "status.phase"),
    "secrets": (*OBJECT_META, "type"),
    "services": (*OBJECT_META, "spec.clusterIP", "spec.type"),
    "replicasets.apps": (*OBJECT_META, "status.replicas"),
    "jobs.batch": (*OBJECT_META, "status.successful"),
    "certificatesigningrequests.certificates.k8s.io": ("metadata.name", "spec.signerName"),
    "podcertificaterequests.certificates.k8s.io": (*OBJECT_META, "spec.signerName", "spec.podName", "spec.nodeName"),
    "clustertrustbundles.certificates.k8s.io": ("metadata.name", "spec.signerName"),
    "resourceslices.resource.k8s.io": ("metadata.name", "spec.nodeName", "spec.driver"),
}  # fmt: skip
"""The fields that a kind can be selected by, where there are more than name and namespace."""

EVENTS_GROUP = {
    **{f"regarding.{part}": f"involvedObject.{part}" for part in REFERENCE},
    "reportingController": "reportingComponent",
    **{name: name for name in (*OBJECT_META, "reason", "source", "type")},
}
"""How events.k8s.io names the fields of the stored event."""

UNSUPPORTED = {
    "jobs.batch": "field label {label} not supported for Job",
    "resourceslices.resource.k8s.io": "field label not supported for {gvk}: {name}",
}
UNSUPPORTED_USUAL = "field label not supported: {name}"
UNSUPPORTED_META = '{label} is not a known field selector: only "metadata.name", "metadata.namespace"'


def fields(text: str, resource: Any) -> Callable[[Object], bool]:
    """The predicate over stored objects of a field selector's text. Raises ApiError 400 in the server's words.

    A custom kind's own fields are those of the version that is asked for: the predicate raises Unconverted for an
    object whose form in it is not known.
    """
    checks = tuple(
        (reader(resource.storage, _converted(resource, name)), operator != "!=", value)
        for name, operator, value in parse_fields(text)
    )
    if reads_version(text, resource):
        shown, version = resource.custom.shown, resource.api_version

        def keep(stored: Object) -> bool:
            obj = shown(stored, version)
            return all((read(obj) == wanted) is equal for read, equal, wanted in checks)

        return keep
    if len(checks) == 1:
        ((read, equal, wanted),) = checks
        return lambda obj: (read(obj) == wanted) is equal
    return lambda obj: all((read(obj) == wanted) is equal for read, equal, wanted in checks)


def reads_version(text: str, resource: Any) -> bool:
    """Whether a selector asks for a custom kind's own fields, which each version has its own."""
    return bool(resource.custom) and any(name in resource.selectable_fields for name, _, _ in parse_fields(text))


def _converted(resource: Any, name: str) -> str:
    """The field of the stored object that a label stands for. Raises ApiError 400."""
    storage = resource.storage
    if storage == "events" and resource.group:
        if name in EVENTS_GROUP:
            return EVENTS_GROUP[name]
    elif resource.custom:
        allowed = ("metadata.name", *(("metadata.namespace",) if resource.namespaced else ()))
        if name in allowed or name in resource.selectable_fields:
            return name
    elif storage not in SELECTABLE:
        if name in OBJECT_META:
            return name
        raise errors.bad_request(UNSUPPORTED_META.format(label=quoted(name)))
    elif storage == "pods" and name == "spec.host":
        return "spec.nodeName"
    elif name in SELECTABLE[storage]:
        return name
    gvk = f"{resource.api_version}, Kind={resource.kind}"
    shape = UNSUPPORTED.get(storage, UNSUPPORTED_USUAL)
    raise errors.bad_request(shape.format(label=quoted(name), name=name, gvk=gvk))


def _source(obj: Object) -> str:
    return str((obj.get("source") or {}).get("component") or obj.get("reportingComponent") or "")


def _first_address(obj: Object) -> str:
    addresses = (obj.get("status") or {}).get("podIPs") or ()
    return str(addresses[0].get("ip", "")) if addresses else ""


COMPUTED: Mapping[tuple[str, str], Callable[[Object], str]] = {
    ("events", "source"): _source,
    ("pods", "status.podIP"): _first_address,
    ("pods", "status.podIPs"): lambda obj: "",
    ("pods", "spec.hostNetwork"): lambda obj: "true" if obj["spec"].get("hostNetwork") else "false",
    ("nodes", "spec.unschedulable"): lambda obj: "true" if (obj.get("spec") or {}).get("unschedulable") else "false",
    ("jobs.batch", "status.successful"): lambda obj: str((obj.get("status") or {}).get("succeeded", 0)),
    ("replicationcontrollers", "status.replicas"): lambda obj: str((obj.get("status") or {}).get("replicas", 0)),
    ("replicasets.apps", "status.replicas"): lambda obj: str((obj.get("status") or {}).get("replicas", 0)),
}


@lru_cache(maxsize=4096)
def reader(storage: str, name: str) -> Callable[[Object], str]:
    """What reads a selectable field of a stored object, as text; absent fields read as empty."""
    computed = COMPUTED.get((storage, name))
    if computed is not None:
        return computed
    path = tuple(name.split("."))

    def read(obj: Object) -> str:
        value: Any = obj
        for part in path:
            if type(value) is not dict and not isinstance(value, Mapping):
                return ""
            value = value.get(part)
        if type(value) is str:
            return value
        if isinstance(value, bool):
            return "true" if value else "false"
        return "" if value is None else str(value)

    return read


@lru_cache(maxsize=4096)
def parse_fields(text: str) -> tuple[tuple[str, str, str], ...]:
    """(field, operator, value) of each term, sorted. Raises ApiError 400 (fields.ParseSelector)."""
    terms = []
    for part in sorted(re.findall(r"(?:\\.|[^,\\])+|\\$", text, re.DOTALL)):
        shape = re.search(r"!=|==|=", part)
        if shape is None:
            raise errors.bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        terms.append((part[: shape.start()], shape.group(), _unescaped(part[shape.end() :])))
    return tuple(terms)


def _unescaped(text: str) -> str:
    if "\\" not in text and "=" not in text:
        return text
    for sequence, bare in re.findall(r"(\\.?)|([,=])", text, re.DOTALL):
        if bare:
            raise errors.bad_request(f"invalid field selector: unescaped character in value: {ord(bare)}")
        if sequence not in ("\\\\", "\\,", "\\="):
            raise errors.bad_request(f"invalid field selector: invalid escape sequence: {sequence}")
    return re.sub(r"\\(.)", r"\1", text)
