"""Configuration, accounts, limits and rules as ``describe`` shows them."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from seatrial.scenarios.kubectl.describing.workloads import Describe, Found
from seatrial.scenarios.kubectl.describing.writer import (
    Writer,
    annotated,
    events,
    head,
    labels,
    named,
    when,
)

Object = Mapping[str, Any]
TOKEN_KIND = "kubernetes.io/service-account-token"


def config_map(w: Writer, found: Found) -> None:
    obj = found.object
    head(w, obj)
    w.write(0, "\nData\n====\n")
    data = obj.get("data") or {}
    for key in sorted(data):
        w.write(0, f"{key}:\n----\n")
        w.write(0, f"{data[key]}\n\n")
    binary = obj.get("binaryData") or {}
    w.write(0, "\nBinaryData\n====\n")
    for key in sorted(binary):
        w.write(0, f"{key}: {len(base64.b64decode(binary[key]))} bytes\n")
    w.write(0, "\n")
    events(w, found.events())


def secret(w: Writer, found: Found) -> None:
    obj = found.object
    head(w, obj)
    w.write(0, f"\nType:\t{obj.get('type', '')}\n")
    w.write(0, "\nData\n====\n")
    data = obj.get("data") or {}
    for key in sorted(data):
        raw = base64.b64decode(data[key])
        if key == "token" and obj.get("type") == TOKEN_KIND:
            w.line(0, f"{key}:", raw.decode(errors="replace"))
        else:
            w.line(0, f"{key}:", f"{len(raw)} bytes")


def service_account(w: Writer, found: Found) -> None:
    obj = found.object
    head(w, obj)
    held = found.items("secrets", obj["metadata"]["namespace"])
    names = {each["metadata"]["name"] for each in held}
    tokens = [
        each["metadata"]["name"]
        for each in held
        if each.get("type") == TOKEN_KIND
        and (each["metadata"].get("annotations") or {}).get("kubernetes.io/service-account.name")
        == obj["metadata"]["name"]
    ]
    pulls = [each["name"] for each in obj.get("imagePullSecrets") or ()]
    mounts = [each["name"] for each in obj.get("secrets") or ()]
    for heading, listed in (("Image pull secrets", pulls), ("Mountable secrets", mounts), ("Tokens", tokens)):
        if not listed and heading == "Image pull secrets":
            w.line(0, f"{heading}:", "<none>")
        for position, name in enumerate(listed):
            missing = "" if name in names else " (not found)"
            w.line(0, f"{heading}:" if not position else "", f"{name}{missing}")
    events(w, found.events())


def quota(w: Writer, found: Found) -> None:
    obj = found.object
    metadata, spec, status = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    named(w, metadata)
    scopes = spec.get("scopes") or ()
    if scopes:
        w.line(0, "Scopes:", ", ".join(sorted(scopes)))
        for scope in sorted(scopes):
            if text := SCOPES.get(scope):
                w.write(0, f" * {text}\n")
    w.line(0, "Resource", "Used", "Hard")
    w.line(0, "--------", "----", "----")
    _amounts(w, status)


SCOPES = {
    "Terminating": "Matches all pods that have an active deadline. These pods have a limited lifespan on a node before being actively terminated by the system.",
    "NotTerminating": "Matches all pods that do not have an active deadline. These pods usually include long running pods whose container command is not expected to terminate.",
    "BestEffort": "Matches all pods that do not have resource requirements set. These pods have a best effort quality of service.",
    "NotBestEffort": "Matches all pods that have at least one resource requirement set. These pods have a burstable or guaranteed quality of service.",
}


def _amounts(w: Writer, status: Object, indent: str = "") -> None:
    hard, used = status.get("hard") or {}, status.get("used") or {}
    for name in sorted(hard):
        w.line(0, f"{indent}{name}", used.get(name, "0"), hard[name])


def limit_range(w: Writer, found: Found) -> None:
    obj = found.object
    w.line(0, "Name:", obj["metadata"]["name"])
    w.line(0, "Namespace:", obj["metadata"]["namespace"])
    limit_rows(w, obj.get("spec") or {}, "")


LIMIT_FIELDS = ("min", "max", "defaultRequest", "default", "maxLimitRequestRatio")


def limit_rows(w: Writer, spec: Object, indent: str) -> None:
    heads = ("Min", "Max", "Default Request", "Default Limit", "Max Limit/Request Ratio")
    w.line(0, f"{indent}Type", "Resource", *heads)
    w.line(0, f"{indent}----", "--------", "---", "---", "---------------", "-------------", "-----------------------")
    for item in spec.get("limits") or ():
        names = dict.fromkeys(name for field in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")
                              for name in sorted(item.get(field) or ()))  # fmt: skip
        for name in names:
            cells = [(item.get(field) or {}).get(name, "-") for field in LIMIT_FIELDS]
            w.line(0, f"{indent}{item['type']}", name, *cells)


def namespace(w: Writer, found: Found) -> None:
    obj = found.object
    name = obj["metadata"]["name"]
    head(w, obj, namespaced=False)
    w.line(0, "Status:", (obj.get("status") or {}).get("phase", ""))
    conditions = (obj.get("status") or {}).get("conditions") or ()
    if conditions:
        w.write(0, "Conditions:\n")
        w.line(1, "Type", "Status", "LastTransitionTime", "Reason", "Message")
        w.line(1, "----", "------", "------------------", "------", "-------")
        for each in conditions:
            w.line(1, each["type"], each["status"], when(each.get("lastTransitionTime")), each.get("reason", ""),
                   each.get("message", ""))  # fmt: skip
    quotas = found.items("resourcequotas", name)
    if quotas:
        w.write(0, "\nResource Quotas\n")
        for each in quotas:
            w.line(1, "Name:", each["metadata"]["name"])
            w.line(1, "Resource", "Used", "Hard")
            w.line(1, "--------", "---", "---")
            _amounts(w, each.get("status") or {}, "  ")
    else:
        w.write(0, "\nNo resource quota.\n")
    limits = found.items("limitranges", name)
    if limits:
        w.write(0, "\nResource Limits\n")
        for each in limits:
            limit_rows(w, each.get("spec") or {}, " ")
    else:
        w.write(0, "\nNo LimitRange resource.\n")


# roles


def role(w: Writer, found: Found) -> None:
    obj = found.object
    head(w, obj, namespaced=False)
    w.write(0, "PolicyRule:\n")
    w.line(1, "Resources", "Non-Resource URLs", "Resource Names", "Verbs")
    w.line(1, "---------", "-----------------", "--------------", "-----")
    for cells in rule_rows(obj.get("rules") or ()):
        w.line(1, *cells)


class Target(NamedTuple):
    """What a rule is about: a resource, perhaps of one name, or a URL."""

    group: str = ""
    resource: str = ""
    name: str = ""
    url: str = ""

    @property
    def shown(self) -> str:
        """``deployments.apps/scale`` (combineResourceGroup)."""
        resource, slash, sub = self.resource.partition("/")
        return f"{resource}.{self.group}{slash}{sub}" if self.group else self.resource

    def as_go(self, verbs: list[str]) -> str:
        """The rule as its protobuf type prints it, by which rules are ordered."""
        return (
            f"Verbs:[{' '.join(verbs)}],APIGroups:[{self.group}],Resources:[{self.resource}],"
            f"ResourceNames:[{self.name}],NonResourceURLs:[{self.url}],"
        )


def rule_rows(rules: Iterable[Object]) -> list[tuple[str, str, str, str]]:
    """Rules taken apart and put together again by what they are about (rbac.CompactRules)."""
    rows: dict[Target, list[str]] = {}
    plain: list[tuple[Target, list[str]]] = []
    for rule in rules:
        verbs = list(rule.get("verbs") or ())
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                for name in rule.get("resourceNames") or ("",):
                    held = rows.setdefault(Target(group, resource, name), [])
                    held += [verb for verb in verbs if verb not in held]
        plain += [(Target(url=url), verbs) for url in rule.get("nonResourceURLs") or ()]
    ordered = sorted([*rows.items(), *plain], key=lambda row: row[0].as_go(row[1]))
    return [(about.shown, f"[{about.url}]", f"[{about.name}]", f"[{' '.join(verbs)}]") for about, verbs in ordered]


def role_binding(w: Writer, found: Found) -> None:
    obj = found.object
    head(w, obj, namespaced=False)
    w.write(0, "Role:\n")
    w.line(1, "Kind:", obj["roleRef"]["kind"])
    w.line(1, "Name:", obj["roleRef"]["name"])
    w.write(0, "Subjects:\n")
    w.line(1, "Kind", "Name", "Namespace")
    w.line(1, "----", "----", "---------")
    for each in obj.get("subjects") or ():
        w.line(1, each["kind"], each["name"], each.get("namespace", ""))


def priority_class(w: Writer, found: Found) -> None:
    obj = found.object
    w.line(0, "Name:", obj["metadata"]["name"])
    w.line(0, "Value:", obj.get("value", 0))
    w.line(0, "GlobalDefault:", "true" if obj.get("globalDefault") else "false")
    w.line(0, "PreemptionPolicy:", obj.get("preemptionPolicy") or "PreemptLowerPriority")
    w.line(0, "Description:", obj.get("description", ""))
    annotations_line(w, obj)
    events(w, found.events())


def annotations_line(w: Writer, obj: Object) -> None:
    held = obj["metadata"].get("annotations") or {}
    w.line(0, "Annotations:", ",".join(f"{key}={held[key]}" for key in sorted(held)) or "<none>")


def signing_request(w: Writer, found: Found) -> None:
    obj = found.object
    metadata, spec, status = obj["metadata"], obj["spec"], obj.get("status") or {}
    w.line(0, "Name:", metadata["name"])
    labels(w, "Labels", metadata.get("labels"))
    annotated(w, "Annotations", metadata.get("annotations"))
    w.line(0, "CreationTimestamp:", when(metadata.get("creationTimestamp")))
    w.line(0, "Requesting User:", spec.get("username", ""))
    w.line(0, "Signer:", spec.get("signerName", ""))
    if spec.get("expirationSeconds") is not None:
        w.line(0, "Requested Duration:", f"{spec['expirationSeconds']}s")
    w.line(0, "Status:", signing_status(status))
    w.write(0, "Subject:\n")
    for heading, values in _subject(spec.get("request", "")):
        w.line(1, f"{heading}:", values)
    events(w, found.events())


def signing_status(status: Object) -> str:
    kinds = [each["type"] for each in status.get("conditions") or ()]
    text = "Approved" if "Approved" in kinds else "Denied" if "Denied" in kinds else "Pending"
    if "Failed" in kinds:
        text += ",Failed"
    return text + (",Issued" if status.get("certificate") else "")


def _subject(request: str) -> list[tuple[str, str]]:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        subject = x509.load_pem_x509_csr(base64.b64decode(request)).subject
    except ValueError:
        return []
    wanted = (
        ("Common Name", NameOID.COMMON_NAME),
        ("Serial Number", NameOID.SERIAL_NUMBER),
        ("Organization", NameOID.ORGANIZATION_NAME),
        ("Organizational Unit", NameOID.ORGANIZATIONAL_UNIT_NAME),
    )
    rows = []
    for heading, oid in wanted:
        values = [str(each.value) for each in subject.get_attributes_for_oid(oid)]
        if values or heading in ("Common Name", "Serial Number"):
            rows.append((heading, ", ".join(values)))
    return rows


KINDS: Mapping[str, Describe] = {
    "configmaps": config_map,
    "secrets": secret,
    "serviceaccounts": service_account,
    "resourcequotas": quota,
    "limitranges": limit_range,
    "namespaces": namespace,
    "roles.rbac.authorization.k8s.io": role,
    "clusterroles.rbac.authorization.k8s.io": role,
    "rolebindings.rbac.authorization.k8s.io": role_binding,
    "clusterrolebindings.rbac.authorization.k8s.io": role_binding,
    "priorityclasses.scheduling.k8s.io": priority_class,
    "certificatesigningrequests.certificates.k8s.io": signing_request,
}
