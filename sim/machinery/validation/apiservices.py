"""APIServices.

Source: k8s.io/kube-aggregator/pkg/apis/apiregistration/validation.
"""

from __future__ import annotations

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation.names import is_subdomain, label_1035
from seatrial.sim.machinery.validation.problems import Errors, Object, at, invalid, required


def api_service(value: Object) -> Errors:
    spec, name = value.get("spec") or {}, value["metadata"].get("name") or ""
    group, version = spec.get("group") or "", spec.get("version") or ""
    errors: list[FieldError] = []
    wanted = f"{version}.{group}"
    if name and name != wanted:
        errors.append(invalid("metadata.name", name, f'must be `spec.version+"."+spec.group`: "{wanted}"'))
    if not group and version != "v1":
        told = "only v1 may have an empty group and it better be legacy kube"
        errors.append(required("spec.group", told))
    if group:
        errors += at("spec.group", is_subdomain(group))
    errors += [invalid("spec.version", version, text) for text in label_1035(version)]
    for field, most in (("groupPriorityMinimum", 20000), ("versionPriority", 1000)):
        priority = spec.get(field) or 0
        if not 0 < priority <= most:
            errors.append(invalid(f"spec.{field}", priority, f"must be positive and less than {most}"))
    return [*errors, *at("spec", _backend(spec))]


def _backend(spec: Object) -> Errors:
    service, bundle, insecure = (spec.get(k) for k in ("service", "caBundle", "insecureSkipTLSVerify"))
    errors: list[FieldError] = []
    if service is None:
        if bundle:
            shown = f"{len(bundle) * 3 // 4 - bundle[-2:].count('=')} bytes"
            errors.append(invalid("caBundle", shown, "local APIServices may not have a caBundle"))
        if insecure:
            told = "local APIServices may not have insecureSkipTLSVerify"
            errors.append(invalid("insecureSkipTLSVerify", True, told))
        return errors
    errors += [required(f"service.{field}") for field in ("namespace", "name") if not service.get(field)]
    port = service.get("port", 443)
    if not 1 <= port <= 65535:
        told = "port is not valid: must be between 1 and 65535, inclusive"
        errors.append(invalid("service.port", port, told))
    if insecure and bundle:
        told = "may not be true if caBundle is present"
        errors.append(invalid("insecureSkipTLSVerify", True, told))
    return errors
