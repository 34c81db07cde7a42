"""Roles and bindings, certificates, and what admission consults."""

from __future__ import annotations

from seatrial.sim.machinery.printers.cells import NONE, UNSET, Cells, Object, age, name_of, part
from seatrial.sim.machinery.printers.workloads import lifetime


def role_binding(obj: Object, now_us: int) -> Cells:
    role, subjects = part(obj, "roleRef"), obj.get("subjects") or ()
    users = [each["name"] for each in subjects if each["kind"] == "User"]
    groups = [each["name"] for each in subjects if each["kind"] == "Group"]
    accounts = [f"{each.get('namespace', '')}/{each['name']}" for each in subjects if each["kind"] == "ServiceAccount"]
    listed = [", ".join(names) for names in (users, groups, accounts)]
    return [name_of(obj), f"{role.get('kind', '')}/{role.get('name', '')}", age(obj, now_us), *listed]


def certificate_signing_request(obj: Object, now_us: int) -> Cells:
    spec, status = part(obj, "spec"), part(obj, "status")
    found = [each["type"] for each in status.get("conditions") or ()]
    state = "Denied" if "Denied" in found else "Approved" if "Approved" in found else "Pending"
    if "Failed" in found:
        state += ",Failed"
    if status.get("certificate"):
        state += ",Issued"
    requestor, asked = spec.get("username", ""), lifetime(spec.get("expirationSeconds"))
    return [name_of(obj), age(obj, now_us), spec.get("signerName") or NONE, requestor, asked, state]


def cluster_trust_bundle(obj: Object, now_us: int) -> Cells:
    return [name_of(obj), part(obj, "spec").get("signerName") or NONE]


def pod_certificate_request(obj: Object, now_us: int) -> Cells:
    spec, found = part(obj, "spec"), [each["type"] for each in part(obj, "status").get("conditions") or ()]
    state = next((kind for kind in ("Denied", "Failed", "Issued") if kind in found), "Pending")
    given = [spec.get(field, "") for field in ("podName", "serviceAccountName", "nodeName", "signerName")]
    annotations = spec.get("unverifiedUserAnnotations") or {}
    return [name_of(obj), *given, state, ",".join(f"{key}={annotations[key]}" for key in sorted(annotations)) or NONE]


def _param_kind(spec: Object) -> str:
    given = spec.get("paramKind")
    return f"{given.get('apiVersion', '')}/{given.get('kind', '')}" if given else UNSET


def mutating_policy(obj: Object, now_us: int) -> Cells:
    spec = part(obj, "spec")
    return [name_of(obj), len(spec.get("mutations") or ()), _param_kind(spec), age(obj, now_us)]


def validating_policy(obj: Object, now_us: int) -> Cells:
    spec = part(obj, "spec")
    return [name_of(obj), len(spec.get("validations") or ()), _param_kind(spec), age(obj, now_us)]


def policy_binding(obj: Object, now_us: int) -> Cells:
    spec = part(obj, "spec")
    given = spec.get("paramRef") or {}
    found = [given.get("namespace"), given.get("name")]
    param = "/".join(each for each in found if each) if given.get("name") else UNSET
    return [name_of(obj), spec.get("policyName", ""), param, age(obj, now_us)]


def webhooks(obj: Object, now_us: int) -> Cells:
    return [name_of(obj), len(obj.get("webhooks") or ()), age(obj, now_us)]
