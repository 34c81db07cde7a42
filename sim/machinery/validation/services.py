"""Services.

Source: k8s.io/kubernetes/pkg/apis/core/validation (ValidateService, ValidateServiceUpdate).
"""

from __future__ import annotations

from collections.abc import Sequence

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation import addresses
from seatrial.sim.machinery.validation.containers import PROTOCOLS, enum_of
from seatrial.sim.machinery.validation.metadata import LABELS
from seatrial.sim.machinery.validation.names import is_label, is_qualified_name, is_subdomain
from seatrial.sim.machinery.validation.problems import (
    NONE,
    Errors,
    Object,
    at,
    duplicate,
    each,
    forbidden,
    invalid,
    not_supported,
    required,
)

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
AFFINITIES = ("ClientIP", "None")
TRAFFIC_POLICIES = ("Cluster", "Local")
FAMILIES = ("IPv4", "IPv6")
FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
AFFINITY_TIMEOUT_S_MAX = 86400
SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
ONLY_BALANCER = "may only be used when `type` is 'LoadBalancer'"
ONCE = "may not change once set"
ONE_PER_FAMILY = "may specify no more than one IP for each IP family"


def is_headless(spec: Object) -> bool:
    return list(spec.get("clusterIPs") or ()) == ["None"]


def _is_external(spec: Object) -> bool:
    kind = spec.get("type")
    return kind in ("LoadBalancer", "NodePort") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))


def needs_health_check(spec: Object) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def service(value: Object) -> Errors:
    """A Service's annotations and spec."""
    spec, annotations = value.get("spec") or {}, value["metadata"].get("annotations") or {}
    errors = [*at("spec", service_spec(spec))]
    if not spec.get("loadBalancerSourceRanges") and SOURCE_RANGES in annotations:
        errors += at(f"metadata.annotations[{SOURCE_RANGES}]", _annotated_ranges(spec, annotations[SOURCE_RANGES]))
    hints, mode = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
    if hints in annotations and mode in annotations and annotations[hints] != annotations[mode]:
        told = f"must match annotations[{hints}] when both are specified"
        errors.append(invalid(f"metadata.annotations[{mode}]", annotations[mode], told))
    return errors


def _annotated_ranges(spec: Object, text: str) -> Errors:
    errors: list[FieldError] = []
    if spec.get("type") != "LoadBalancer":
        errors.append(forbidden("", ONLY_BALANCER))
    if text.strip():
        for part in text.strip().split(","):
            errors += addresses.is_cidr(part.strip())
    return errors


def service_spec(spec: Object) -> Errors:
    kind, ports = spec.get("type") or "", spec.get("ports") or ()
    errors: list[FieldError] = []
    if not ports and not is_headless(spec) and kind != "ExternalName":
        errors.append(required("ports"))
    if kind in ("LoadBalancer", "NodePort") and is_headless(spec):
        errors.append(invalid("clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services"))
    elif kind == "ExternalName":
        errors += _external_name(spec)
    errors += _ports(ports, kind)
    if selector := spec.get("selector"):
        errors += at("selector", LABELS(selector))
    errors += _affinity(spec)
    if kind != "ExternalName":
        errors += cluster_ips(spec)
    for index, ip in enumerate(spec.get("externalIPs") or ()):
        errors += at(f"externalIPs[{index}]", addresses.is_ip(ip) or addresses.is_not_special(ip))
    errors += at("type", enum_of(kind, TYPES))
    errors += _balancer(spec, kind)
    errors += _traffic(spec, kind)
    return errors


def _external_name(spec: Object) -> Errors:
    told = "may not be set for ExternalName services"
    errors = [forbidden(name, told) for name in ("clusterIPs", "ipFamilies") if spec.get(name)]
    if spec.get("ipFamilyPolicy") is not None:
        errors.append(forbidden("ipFamilyPolicy", told))
    target = (spec.get("externalName") or "").removesuffix(".")
    errors += at("externalName", is_subdomain(target)) if target else [required("externalName")]
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
    errors += at("targetPort", addresses.is_port(value.get("targetPort", 0)))
    if (protocol := value.get("appProtocol")) is not None:
        errors += at("appProtocol", is_qualified_name(protocol))
    return errors


def _ports(ports: Sequence[Object], kind: str) -> Errors:
    errors = [*each("ports", ports, lambda port: _port(port, needs_name=len(ports) > 1))]
    names: list[str] = []
    node_ports: list[tuple[str, int]] = []
    numbers: list[tuple[str, int]] = []
    for index, port in enumerate(ports):
        path, name, protocol = f"ports[{index}]", port.get("name"), port.get("protocol") or ""
        if name and name in names:
            errors.append(duplicate(f"{path}.name", name))
        names.append(name or "")
        node_port, number = port.get("nodePort") or 0, port.get("port") or 0
        if node_port:
            if kind == "ClusterIP":
                errors.append(forbidden(f"{path}.nodePort", "may not be used when `type` is 'ClusterIP'"))
            if (protocol, node_port) in node_ports:
                errors.append(duplicate(f"{path}.nodePort", node_port))
            node_ports.append((protocol, node_port))
        if (protocol, number) in numbers:
            errors.append(duplicate(path, _port_key(protocol, number)))
        numbers.append((protocol, number))
    return errors


def _port_key(protocol: str, number: int) -> Object:
    return {
        "Name": "", "Protocol": protocol, "AppProtocol": None, "Port": number, "TargetPort": 0, "NodePort": 0
    }  # fmt: skip


def _affinity(spec: Object) -> Errors:
    affinity, config = spec.get("sessionAffinity") or "", spec.get("sessionAffinityConfig")
    errors = [*at("sessionAffinity", enum_of(affinity, AFFINITIES))]
    if affinity == "None" and config is not None:
        told = "must not be set when session affinity is None"
        errors.append(forbidden("sessionAffinityConfig", told))
    elif affinity == "ClientIP":
        errors += at("sessionAffinityConfig", _affinity_config(config))
    return errors


def _affinity_config(config: Object | None) -> Errors:
    told = "when session affinity type is ClientIP"
    if config is None:
        return (required("", told),)
    client = config.get("clientIP")
    if client is None:
        return (required("clientIP", told),)
    timeout = client.get("timeoutSeconds")
    if timeout is None:
        return (required("clientIP.timeoutSeconds", told),)
    if not 0 < timeout <= AFFINITY_TIMEOUT_S_MAX:
        told = f"must be greater than 0 and less than {AFFINITY_TIMEOUT_S_MAX}"
        return (invalid("clientIP.timeoutSeconds", timeout, told),)
    return NONE


def cluster_ips(spec: Object) -> Errors:
    """clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy together."""
    errors: list[FieldError] = []
    ip, ips, families = spec.get("clusterIP") or "", spec.get("clusterIPs") or [], spec.get("ipFamilies") or []
    if ip:
        if not ips:
            errors.append(required("clusterIPs"))
        elif ips[0] != ip:
            errors.append(invalid("clusterIPs", ips, "first value must match `clusterIP`"))
    elif ips:
        errors.append(invalid("clusterIPs", ips, "must be empty when `clusterIP` is not specified"))
    for index, family in enumerate(families):
        if family not in FAMILIES:
            errors.append(not_supported(f"ipFamilies[{index}]", family, FAMILIES))
        if family in families[:index]:
            errors.append(duplicate(f"ipFamilies[{index}]", family))
    policy = spec.get("ipFamilyPolicy")
    if policy is not None and policy not in FAMILY_POLICIES:
        errors.append(not_supported("ipFamilyPolicy", policy, FAMILY_POLICIES))
    wrong: list[FieldError] = []
    for index, one in enumerate(ips):
        if index == 0 and one == "None":
            if len(ips) > 1:
                wrong.append(invalid("clusterIPs", ips, "'None' must be the first and only value"))
        else:
            wrong += at(f"clusterIPs[{index}]", addresses.is_ip(one))
    errors += wrong
    if len(ips) > 2:
        errors.append(invalid("clusterIPs", ips, "may only hold up to 2 values"))
    if not wrong:
        errors += _families_of(ips, families)
    return errors


def _families_of(ips: Sequence[str], families: Sequence[str]) -> Errors:
    errors: list[FieldError] = []
    if len(ips) > 1 and not addresses.is_dual_stack(ips):
        errors.append(invalid("clusterIPs", list(ips), ONE_PER_FAMILY))
    if list(ips) != ["None"]:
        for index, (ip, family) in enumerate(zip(ips, families, strict=False)):
            if family in FAMILIES and addresses.is_ipv6(ip) != (family == "IPv6"):
                told = f"expected an {family} value as indicated by `ipFamilies[{index}]`"
                errors.append(invalid(f"clusterIPs[{index}]", ip, told))
    return errors


def _balancer(spec: Object, kind: str) -> Errors:
    errors: list[FieldError] = []
    balanced = kind == "LoadBalancer"
    ranges, allocate, name = (
        spec.get(k) for k in ("loadBalancerSourceRanges", "allocateLoadBalancerNodePorts", "loadBalancerClass")
    )
    if ranges:
        if not balanced:
            errors.append(forbidden("LoadBalancerSourceRanges", ONLY_BALANCER))
        errors += each("LoadBalancerSourceRanges", ranges, lambda value: addresses.is_cidr(value.strip()))
    if allocate is not None and not balanced:
        errors.append(forbidden("allocateLoadBalancerNodePorts", ONLY_BALANCER))
    if name is not None:
        if balanced:
            errors += at("loadBalancerClass", is_qualified_name(name))
        else:
            errors.append(forbidden("loadBalancerClass", ONLY_BALANCER))
    return errors


def _traffic(spec: Object, kind: str) -> Errors:
    errors: list[FieldError] = []
    external, internal = spec.get("externalTrafficPolicy") or "", spec.get("internalTrafficPolicy")
    if not _is_external(spec):
        if external:
            told = "may only be set for externally-accessible services"
            errors.append(invalid("externalTrafficPolicy", external, told))
    else:
        errors += at("externalTrafficPolicy", enum_of(external, TRAFFIC_POLICIES))
    check_port = spec.get("healthCheckNodePort") or 0
    if not needs_health_check(spec):
        if check_port:
            told = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
            errors.append(invalid("healthCheckNodePort", check_port, told))
    elif check_port:
        errors += at("healthCheckNodePort", addresses.is_port_number(check_port))
    if internal is None:
        if kind in ("NodePort", "LoadBalancer", "ClusterIP"):
            errors.append(required("internalTrafficPolicy"))
    elif internal not in TRAFFIC_POLICIES:
        errors.append(not_supported("internalTrafficPolicy", internal, TRAFFIC_POLICIES))
    distribution = spec.get("trafficDistribution")
    if distribution is not None and distribution not in DISTRIBUTIONS:
        errors.append(not_supported("trafficDistribution", distribution, DISTRIBUTIONS))
    return errors


def service_update(new: Object, old: Object) -> Errors:
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if after is before:
        return NONE
    errors: list[FieldError] = []
    if "ExternalName" not in (after.get("type"), before.get("type")):
        errors += _kept_ips(after, before)
        errors += _kept_families(after, before)
    if after.get("type") == before.get("type") == "LoadBalancer":
        name = after.get("loadBalancerClass")
        if name != before.get("loadBalancerClass"):
            errors.append(invalid("loadBalancerClass", name, ONCE))
    if needs_health_check(after) and needs_health_check(before):
        if after.get("healthCheckNodePort") != before.get("healthCheckNodePort"):
            errors.append(forbidden("healthCheckNodePort", "field is immutable"))
    return at("spec", errors)


def _kept_ips(after: Object, before: Object) -> Errors:
    """Addresses are kept; a second one may come and go."""
    if is_headless(after) and is_headless(before):
        return NONE
    new, old = after.get("clusterIPs") or [], before.get("clusterIPs") or []
    if len(new) == len(old):
        pairs = enumerate(zip(new, old, strict=True))
        return [invalid(f"clusterIPs[{index}]", new, ONCE) for index, (a, b) in pairs if a != b]
    errors: list[FieldError] = []
    if not new:
        errors.append(invalid("clusterIPs[0]", None, "primary clusterIP can not be unset"))
    if new and old and new[0] != old[0]:
        errors.append(invalid("clusterIPs[0]", new, ONCE))
    if len(old) > len(new) == 1 and after.get("ipFamilyPolicy") != "SingleStack":
        told = "must be set to 'SingleStack' when releasing the secondary clusterIP"
        errors.append(invalid("ipFamilyPolicy", after.get("ipFamilyPolicy"), told))
    return errors


def _kept_families(after: Object, before: Object) -> Errors:
    if is_headless(after) or is_headless(before):
        return NONE
    new, old = after.get("ipFamilies") or [], before.get("ipFamilies") or []
    if len(new) == len(old):
        return [invalid("ipFamilies[0]", new, ONCE) for a, b in zip(new, old, strict=True) if a != b]
    errors: list[FieldError] = []
    ips = after.get("clusterIPs") or None
    if len(old) > len(new) and not ips:
        errors.append(invalid("ipFamilies[0]", new or None, "primary ipFamily can not be unset"))
    if new and old and new[0] != old[0]:
        errors.append(invalid("ipFamilies[0]", ips, ONCE))
    if len(old) > len(new) == 1 and after.get("ipFamilyPolicy") != "SingleStack":
        told = "must be set to 'SingleStack' when releasing the secondary ipFamily"
        errors.append(invalid("ipFamilyPolicy", after.get("ipFamilyPolicy"), told))
    return errors


def balancer_status(status: Object, spec: Object | None) -> Errors:
    """status.loadBalancer of a Service, or of an Ingress (``spec`` None: without ipMode)."""
    errors: list[FieldError] = []
    ingress = status.get("ingress") or ()
    if spec is not None and spec.get("type") != "LoadBalancer" and ingress:
        return (forbidden("ingress", "may only be used when `spec.type` is 'LoadBalancer'"),)
    for index, point in enumerate(ingress):
        path, ip, mode, host = f"ingress[{index}]", point.get("ip"), point.get("ipMode"), point.get("hostname")
        if ip:
            errors += at(f"{path}.ip", addresses.is_ip(ip))
        if spec is not None:
            if mode is None and ip:
                errors.append(required(f"{path}.ipMode", "must be specified when `ip` is set"))
            elif mode is not None and not ip:
                errors.append(forbidden(f"{path}.ipMode", "may not be specified when `ip` is not set"))
            elif mode is not None and mode not in ("Proxy", "VIP"):
                errors.append(not_supported(f"{path}.ipMode", mode, ("Proxy", "VIP")))
        if host:
            errors += at(f"{path}.hostname", is_subdomain(host))
            if addresses.parsed(host) is not None:
                errors.append(invalid(f"{path}.hostname", host, "must be a DNS name, not an IP address"))
    return errors


def service_status(new: Object, old: Object) -> Errors:
    status = (new.get("status") or {}).get("loadBalancer") or {}
    return at("status.loadBalancer", balancer_status(status, new.get("spec") or {}))
