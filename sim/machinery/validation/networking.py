"""Ingresses, IngressClasses, NetworkPolicies, ServiceCIDRs and IPAddresses.

Source: k8s.io/kubernetes/pkg/apis/networking/validation.
"""

from __future__ import annotations

from typing import Any

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation import addresses
from seatrial.sim.machinery.validation.label_selectors import label_selector
from seatrial.sim.machinery.validation.names import (
    is_domain_prefixed_path,
    is_label,
    is_path_segment,
    is_subdomain,
    port_name,
    wildcard_subdomain,
)
from seatrial.sim.machinery.validation.problems import (
    Errors,
    Object,
    at,
    each,
    forbidden,
    immutable,
    invalid,
    not_supported,
    required,
    texts,
    too_long,
)
from seatrial.sim.machinery.validation.services import balancer_status
from seatrial.sim.machinery.validation.table import table

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
CONTROLLER_BYTES_MAX = 250
PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
WRONG_SEQUENCES = ("//", "/./", "/../", "%2f", "%2F")
WRONG_ENDINGS = ("/..", "/.")
PROTOCOLS = ("TCP", "UDP", "SCTP")

_is_wildcard = texts(wildcard_subdomain)


def _typed_reference(value: Object) -> Errors:
    errors: list[FieldError] = []
    if (group := value.get("apiGroup")) is not None:
        errors += at("apiGroup", is_subdomain(group))
    for name in ("kind", "name"):
        text = value.get(name)
        errors += at(name, is_path_segment(text)) if text else [required(name)]
    return errors


def _backend(value: Object) -> Errors:
    resource, service = value.get("resource"), value.get("service")
    if resource is not None and service is not None:
        return (invalid("", "", "cannot set both resource and service backends"),)
    if resource is not None:
        return at("resource", _typed_reference(resource))
    if service is None:
        return (invalid("", "", "resource or service backend is required"),)
    errors: list[FieldError] = []
    name, port = service.get("name"), service.get("port") or {}
    errors += at("service.name", is_label(name)) if name else [required("service.name")]
    port_text, number = port.get("name"), port.get("number")
    if port_text and number:
        errors.append(invalid("", "", "cannot set both port name & port number"))
    elif port_text:
        errors += [invalid("service.port.name", port_text, text) for text in port_name(port_text)]
    elif number:
        errors += at("service.port.number", addresses.is_port_number(number))
    else:
        errors.append(required("", "port name or number is required"))
    return errors


def _path(value: Object) -> Errors:
    kind, path = value.get("pathType"), value.get("path") or ""
    if kind is None:
        return (required("pathType", "pathType must be specified"),)
    errors: list[FieldError] = []
    if kind in ("Exact", "Prefix"):
        if not path.startswith("/"):
            errors.append(invalid("path", path, "must be an absolute path"))
        errors += [invalid("path", path, f"must not contain '{part}'") for part in WRONG_SEQUENCES if part in path]
        errors += [invalid("path", path, f"cannot end with '{end}'") for end in WRONG_ENDINGS if path.endswith(end)]
    elif kind == "ImplementationSpecific":
        if path and not path.startswith("/"):
            errors.append(invalid("path", path, "must be an absolute path"))
    else:
        errors.append(not_supported("pathType", kind, PATH_TYPES))
    errors += at("backend", _backend(value.get("backend") or {}))
    return errors


def _host(value: str) -> Errors:
    return _is_wildcard(value) if "*" in value else is_subdomain(value)


def _rule(value: Object) -> Errors:
    errors: list[FieldError] = []
    host, http = value.get("host"), value.get("http")
    if host:
        if addresses.parsed(host) is not None:
            errors.append(invalid("host", host, "must be a DNS name, not an IP address"))
        errors += at("host", _host(host))
    if http is not None:
        if not http.get("paths"):
            errors.append(required("http.paths"))
        errors += at("http", each("paths", http.get("paths"), _path))
    return errors


def _tls(value: Object) -> Errors:
    errors = [*each("hosts", value.get("hosts"), _host)]
    if name := value.get("secretName"):
        errors += at("secretName", is_subdomain(name))
    return errors


def ingress_spec(spec: Object) -> Errors:
    errors: list[FieldError] = []
    rules, backend = spec.get("rules"), spec.get("defaultBackend")
    if not rules and backend is None:
        told = "either `defaultBackend` or `rules` must be specified"
        errors.append(invalid("", rules, told))
    if backend is not None:
        errors += at("defaultBackend", _backend(backend))
    errors += each("rules", rules, _rule)
    errors += each("tls", spec.get("tls"), _tls)
    if (name := spec.get("ingressClassName")) is not None:
        errors += at("ingressClassName", is_subdomain(name))
    return errors


def ingress_create(value: Object) -> Errors:
    spec = value.get("spec") or {}
    errors = [*at("spec", ingress_spec(spec))]
    annotated, name = (value["metadata"].get("annotations") or {}).get(CLASS_ANNOTATION), spec.get("ingressClassName")
    if annotated is not None and name is not None and annotated != name:
        told = "must match `ingressClassName` when both are specified"
        errors.append(invalid(f"annotations.{CLASS_ANNOTATION}", annotated, told))
    return errors


def ingress_status(new: Object, old: Object) -> Errors:
    status = (new.get("status") or {}).get("loadBalancer") or {}
    return at("status.loadBalancer", balancer_status(status, None))


def ingress_class(value: Object) -> Errors:
    spec = value.get("spec") or {}
    controller, errors = spec.get("controller"), list[FieldError]()
    if not controller:
        errors.append(required("controller"))
    else:
        if len(controller.encode()) > CONTROLLER_BYTES_MAX:
            errors.append(too_long("controller", CONTROLLER_BYTES_MAX))
        errors += at("controller", is_domain_prefixed_path(controller))
    if (parameters := spec.get("parameters")) is not None:
        errors += at("parameters", _parameters(parameters))
    return at("spec", errors)


def _parameters(value: Object) -> Errors:
    errors = [*_typed_reference(value)]
    scope, namespace = value.get("scope"), value.get("namespace")
    if scope is None:
        errors.append(required("scope"))
    elif scope not in ("Cluster", "Namespace"):
        errors.append(not_supported("scope", scope, ("Cluster", "Namespace")))
    elif scope == "Cluster":
        if namespace is not None:
            errors.append(forbidden("namespace", "`parameters.scope` is set to 'Cluster'"))
    elif namespace is None:
        errors.append(required("namespace", "`parameters.scope` is set to 'Namespace'"))
    else:
        errors += at("namespace", is_label(namespace))
    return errors


def ingress_class_update(new: Object, old: Object) -> Errors:
    after, before = new.get("spec") or {}, old.get("spec") or {}
    return immutable("spec.controller", after.get("controller"), before.get("controller"))


def _policy_port(value: Object) -> Errors:
    errors: list[FieldError] = []
    protocol, port, end = value.get("protocol"), value.get("port"), value.get("endPort")
    if protocol is not None and protocol not in PROTOCOLS:
        errors.append(not_supported("protocol", protocol, PROTOCOLS))
    if port is None:
        if end is not None:
            errors.append(invalid("endPort", end, "may not be specified when `port` is not specified"))
    elif isinstance(port, str):
        if end is not None:
            errors.append(invalid("endPort", end, "may not be specified when `port` is non-numeric"))
        errors += at("port", addresses.is_port(port))
    else:
        errors += at("port", addresses.is_port_number(port))
        if end is not None:
            if end < port:
                errors.append(invalid("endPort", end, "must be greater than or equal to `port`"))
            errors += at("endPort", addresses.is_port_number(end))
    return errors


def _ip_block(value: Object) -> Errors:
    cidr = value.get("cidr")
    if not cidr:
        return (required("cidr"),)
    errors = [*at("cidr", addresses.is_cidr(cidr))]
    outer = addresses.network(cidr)
    if outer is None:
        return errors
    for index, exception in enumerate(value.get("except") or ()):
        errors += at(f"except[{index}]", addresses.is_cidr(exception))
        inner: Any = addresses.network(exception)
        if inner is None:
            continue
        if inner.version != outer.version or not inner.subnet_of(outer) or inner.prefixlen <= outer.prefixlen:
            errors.append(invalid(f"except[{index}]", exception, "must be a strict subset of `cidr`"))
    return errors


def _peer(value: Object) -> Errors:
    errors: list[FieldError] = []
    chosen = [name for name in ("podSelector", "namespaceSelector", "ipBlock") if value.get(name) is not None]
    for name in chosen:
        check = _ip_block if name == "ipBlock" else label_selector
        errors += at(name, check(value[name]))
    if not chosen:
        errors.append(required("", "must specify a peer"))
    elif len(chosen) > 1 and "ipBlock" in chosen:
        errors.append(forbidden("", "may not specify both ipBlock and another peer"))
    return errors


_policy_rules = table(
    {
        "podSelector": label_selector,
        "ingress[]": table({"ports[]": _policy_port, "from[]": _peer}),
        "egress[]": table({"ports[]": _policy_port, "to[]": _peer}),
    }
)


def network_policy_spec(spec: Object) -> Errors:
    errors = [*_policy_rules(spec)]
    kinds = spec.get("policyTypes") or []
    if len(kinds) > 2:
        return [*errors, invalid("policyTypes", kinds, "may not specify more than two policyTypes")]
    for index, kind in enumerate(kinds):
        if kind not in ("Ingress", "Egress"):
            errors.append(not_supported(f"policyTypes[{index}]", kind, ("Ingress", "Egress")))
    return errors


def service_cidr(value: Object) -> Errors:
    cidrs = (value.get("spec") or {}).get("cidrs") or []
    errors: list[FieldError] = []
    if not cidrs:
        errors.append(required("cidrs", "at least one CIDR required"))
    if len(cidrs) > 2 or (len(cidrs) == 2 and not addresses.is_dual_stack(cidrs)):
        told = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        errors.append(invalid("cidrs", cidrs, told))
    errors += each("cidrs", cidrs, addresses.is_cidr)
    return at("spec", errors)


def service_cidr_update(new: Object, old: Object) -> Errors:
    after, before = new.get("spec") or {}, old.get("spec") or {}
    return immutable("spec.cidrs", after.get("cidrs"), before.get("cidrs"))


def ip_address(value: Object) -> Errors:
    parent = (value.get("spec") or {}).get("parentRef")
    if parent is None:
        return (required("spec.parentRef"),)
    errors: list[FieldError] = []
    for name in ("resource", "name"):
        text = parent.get(name)
        errors += at(name, is_path_segment(text)) if text else [required(name)]
    if group := parent.get("group"):
        errors += at("group", is_subdomain(group))
    if namespace := parent.get("namespace"):
        errors += at("namespace", is_path_segment(namespace))
    return at("spec.parentRef", errors)


def ip_address_update(new: Object, old: Object) -> Errors:
    after, before = new.get("spec") or {}, old.get("spec") or {}
    return immutable("spec.parentRef", after.get("parentRef"), before.get("parentRef"))


def ip_name(value: str) -> tuple[str, ...]:
    """The name of an IPAddress."""
    address = addresses.parsed(value)
    if address is None:
        return (addresses.NOT_AN_IP,)
    return () if str(address) == value else (f'must be in canonical form ("{address}")',)
