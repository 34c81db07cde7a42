"""Endpoints and EndpointSlices.

Source: k8s.io/kubernetes/pkg/apis/core/validation (ValidateEndpoints) and pkg/apis/discovery/validation.
"""

from __future__ import annotations

from collections.abc import Sequence

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation import addresses
from seatrial.sim.machinery.validation.containers import PROTOCOLS, enum_of
from seatrial.sim.machinery.validation.metadata import LABELS
from seatrial.sim.machinery.validation.names import is_label, is_label_value, is_qualified_name, is_subdomain, subdomain
from seatrial.sim.machinery.validation.problems import (
    NONE,
    Check,
    Errors,
    Object,
    at,
    duplicate,
    each,
    immutable,
    invalid,
    not_supported,
    required,
    too_many,
)
from seatrial.sim.machinery.validation.table import table

ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
ENDPOINTS_MAX, ADDRESSES_MAX, PORTS_MAX, HINTS_MAX, TOPOLOGY_MAX = 1000, 100, 20000, 8, 16


def _address(value: Object) -> Errors:
    ip = value.get("ip") or ""
    errors = [*at("ip", addresses.is_ip(ip))]
    if hostname := value.get("hostname"):
        errors += at("hostname", is_label(hostname))
    if (node := value.get("nodeName")) is not None:
        errors += at("nodeName", is_subdomain(node))
    errors += at("ip", addresses.is_not_special(ip))
    return errors


def _port(value: Object, needs_name: bool) -> Errors:
    errors: list[FieldError] = []
    name = value.get("name")
    if name:
        errors += at("name", is_label(name))
    elif needs_name:
        errors.append(required("name"))
    errors += at("port", addresses.is_port_number(value.get("port") or 0))
    errors += at("protocol", enum_of(value.get("protocol"), PROTOCOLS))
    if (protocol := value.get("appProtocol")) is not None:
        errors += at("appProtocol", is_qualified_name(protocol))
    return errors


def _subset(value: Object) -> Errors:
    ready, waiting, ports = (value.get(k) or () for k in ("addresses", "notReadyAddresses", "ports"))
    errors: list[FieldError] = []
    if not ready and not waiting:
        errors.append(required("", "must specify `addresses` or `notReadyAddresses`"))
    errors += each("addresses", ready, _address)
    errors += each("notReadyAddresses", waiting, _address)
    errors += each("ports", ports, lambda port: _port(port, needs_name=len(ports) > 1))
    return errors


endpoints = table({"subsets[]": _subset})


def _slice_address(value: str, kind: str) -> Errors:
    if kind == "FQDN":
        return _full_name(value)
    wrong = addresses.is_canonical_ip(value)
    if wrong:
        return wrong
    if addresses.is_ipv6(value) != (kind == "IPv6"):
        return (invalid("", value, f"must be an {kind} address"),)
    return addresses.is_not_special(value)


def _full_name(value: str) -> Errors:
    """IsFullyQualifiedDomainName: a trailing dot is fine, two labels are needed."""
    if not value:
        return (required(""),)
    name = value.removesuffix(".")
    if wrong := subdomain(name):
        return (invalid("", name, ",".join(wrong)),)
    if "." not in name:
        return (invalid("", name, "should be a domain with at least two segments separated by dots"),)
    return NONE


def _endpoint(value: Object, kind: str) -> Errors:
    errors: list[FieldError] = []
    listed = value.get("addresses") or ()
    if not listed:
        errors.append(required("addresses"))
    elif len(listed) > ADDRESSES_MAX:
        errors.append(too_many("addresses", len(listed), ADDRESSES_MAX))
    if kind in ADDRESS_TYPES:
        errors += each("addresses", listed, lambda address: _slice_address(address, kind))
    if (node := value.get("nodeName")) is not None:
        errors += at("nodeName", is_subdomain(node))
    if topology := value.get("deprecatedTopology"):
        if len(topology) > TOPOLOGY_MAX:
            errors.append(too_many("deprecatedTopology", len(topology), TOPOLOGY_MAX))
        errors += at("deprecatedTopology", LABELS(topology))
    if (hostname := value.get("hostname")) is not None:
        errors += at("hostname", is_label(hostname))
    if (hints := value.get("hints")) is not None:
        errors += at("hints", [*_hints("forZones", hints, is_label_value), *_hints("forNodes", hints, is_subdomain)])
    return errors


def _hints(name: str, hints: Object, check: Check) -> Errors:
    values = hints.get(name) or ()
    if len(values) > HINTS_MAX:
        return (too_many(name, len(values), HINTS_MAX),)
    errors: list[FieldError] = []
    seen: list[str] = []
    for index, hint in enumerate(values):
        target, path = hint.get("name") or "", f"{name}[{index}].name"
        if target in seen:
            errors.append(duplicate(path, target))
        seen.append(target)
        errors += at(path, check(target))
    return errors


def _slice_ports(ports: Sequence[Object]) -> Errors:
    if len(ports) > PORTS_MAX:
        return (too_many("", len(ports), PORTS_MAX),)
    errors: list[FieldError] = []
    seen: list[str] = []
    for index, port in enumerate(ports):
        name, protocol, path = port.get("name") or "", port.get("protocol"), f"[{index}]"
        if name:
            errors += at(f"{path}.name", is_label(name))
        if name in seen:
            errors.append(duplicate(f"{path}.name", name))
        seen.append(name)
        if protocol is None:
            errors.append(required(f"{path}.protocol"))
        elif protocol not in PROTOCOLS:
            errors.append(not_supported(f"{path}.protocol", protocol, PROTOCOLS))
        if (app := port.get("appProtocol")) is not None:
            errors += at(f"{path}.appProtocol", is_qualified_name(app))
    return errors


def endpoint_slice(value: Object) -> Errors:
    kind = value.get("addressType") or ""
    errors = [*at("addressType", enum_of(kind, ADDRESS_TYPES))]
    listed = value.get("endpoints") or ()
    if len(listed) > ENDPOINTS_MAX:
        errors.append(too_many("endpoints", len(listed), ENDPOINTS_MAX))
    else:
        errors += each("endpoints", listed, lambda endpoint: _endpoint(endpoint, kind))
    errors += at("ports", _slice_ports(value.get("ports") or ()))
    return errors


def endpoint_slice_update(new: Object, old: Object) -> Errors:
    return immutable("addressType", new.get("addressType"), old.get("addressType"))
