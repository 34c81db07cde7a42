"""What the registry does to services: IP families, cluster IPs, node ports.

Source: k8s.io/kubernetes/pkg/registry/core/service/{strategy.go,storage/alloc.go}.

Not modelled: dual stack. The cluster has one IPv4 range, so a request for IPv6 is refused as on such a cluster.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from seatrial.sim.apiserver.allocator import Allocator, address_band, port_band
from seatrial.sim.apiserver.context import Context
from seatrial.sim.apiserver.request import Object
from seatrial.sim.config import ClusterSpec
from seatrial.sim.kernel.streams import Streams
from seatrial.sim.machinery import errors
from seatrial.sim.machinery.fields import FieldError, quoted
from seatrial.sim.store.store import Store

NODE_PORT_TYPES = ("NodePort", "LoadBalancer")


class ServiceNumbers:
    """The cluster's service addresses and node ports; rebuilt from the stored services when the server starts."""

    def __init__(self, spec: ClusterSpec, streams: Streams, store: Store) -> None:
        network = ipaddress.ip_network(spec.network.service_cidr)
        assert isinstance(network, ipaddress.IPv4Network)
        self.network = network
        size = network.num_addresses - 2
        self._base = int(network.network_address) + 1
        self.addresses = Allocator(size, address_band(size), streams("apiserver/service-addresses"))
        low, high = spec.network.node_port_range
        self.port_low, self.port_high = low, high
        self.ports = Allocator(high - low + 1, port_band(high - low + 1), streams("apiserver/node-ports"))
        for service in store.list("services"):
            for address in addresses(service):
                self.addresses.take(self.offset(address))
            for port in node_ports(service):
                self.ports.take(port - low)

    def offset(self, address: str) -> int:
        return int(ipaddress.IPv4Address(address)) - self._base

    def address(self, offset: int) -> str:
        return str(ipaddress.IPv4Address(self._base + offset))

    def owns(self, address: str) -> bool:
        try:
            return ipaddress.ip_address(address) in self.network
        except ValueError:
            return False


def addresses(service: Object) -> Iterator[str]:
    """The cluster IPs that a service holds; none when it is headless or an external name."""
    spec = service.get("spec") or {}
    given = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    yield from (address for address in given if address != "None")


def node_ports(service: Object) -> Iterator[int]:
    spec = service.get("spec") or {}
    seen = []
    for port in spec.get("ports") or ():
        number = port.get("nodePort")
        if number and number not in seen:
            seen.append(number)
            yield number
    if spec.get("healthCheckNodePort"):
        yield spec["healthCheckNodePort"]


def prepare_create(context: Context, obj: Object) -> Object:
    """A new service has no load balancer yet."""
    spec = _in_step(_without_unused(obj["spec"], None), {})
    return {**obj, "spec": spec, "status": {"loadBalancer": {}}}


def _in_step(spec: dict[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """clusterIPs follow clusterIP where the client changed only that (normalizeClusterIPs)."""
    address, listed = spec.get("clusterIP"), spec.get("clusterIPs")
    if before and address == before.get("clusterIP"):
        return spec
    if not listed or (before and listed == before.get("clusterIPs")):
        return {**spec, "clusterIPs": [address]} if address else {k: v for k, v in spec.items() if k != "clusterIPs"}
    return spec


def prepare_update(context: Context, obj: Object, old: Object) -> Object:
    """Carries over what the client did not repeat (patchAllocatedValues, dropTypeDependentFields)."""
    spec, before = dict(obj["spec"]), old["spec"]
    if _needs_address(spec) and _needs_address(before):
        for name in ("clusterIP", "clusterIPs"):
            if not spec.get(name) and before.get(name):
                spec[name] = before[name]
    if spec.get("type") in NODE_PORT_TYPES and before.get("type") in NODE_PORT_TYPES:
        spec["ports"] = _carried_ports(spec.get("ports") or (), before.get("ports") or ())
    if spec.get("healthCheckNodePort") is None and _needs_health_port(spec) and before.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = before["healthCheckNodePort"]
    return {**obj, "spec": _without_unused(_in_step(spec, before), before)}


def _carried_ports(ports: Any, before: Any) -> list[Any]:
    known = {(port.get("protocol"), port["port"]): port.get("nodePort") for port in before}
    carried = []
    for port in ports:
        number = known.get((port.get("protocol"), port["port"]))
        carried.append({**port, "nodePort": number} if number and not port.get("nodePort") else port)
    return carried


def _without_unused(spec: Mapping[str, Any], before: Mapping[str, Any] | None) -> dict[str, Any]:
    """Drops what the new type has no use for, unless the client just set it (dropTypeDependentFields)."""
    kept = dict(spec)
    if before is None:
        return kept
    if _needs_address(before) and not _needs_address(kept):
        for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if kept.get(name) == before.get(name):
                kept.pop(name, None)
    if before.get("type") in NODE_PORT_TYPES and kept.get("type") not in NODE_PORT_TYPES:
        known = {port.get("nodePort") for port in before.get("ports") or ()}
        kept["ports"] = [
            {key: value for key, value in port.items() if key != "nodePort" or value not in known}
            for port in kept.get("ports") or ()
        ]
    if _needs_health_port(before) and not _needs_health_port(kept):
        if kept.get("healthCheckNodePort") == before.get("healthCheckNodePort"):
            kept.pop("healthCheckNodePort", None)
    if before.get("type") == "LoadBalancer" and kept.get("type") != "LoadBalancer":
        for name in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
            if kept.get(name) == before.get(name):
                kept.pop(name, None)
    if _is_reached_from_outside(before) and not _is_reached_from_outside(kept):
        if kept.get("externalTrafficPolicy") == before.get("externalTrafficPolicy"):
            kept.pop("externalTrafficPolicy", None)
    return kept


def _is_reached_from_outside(spec: Mapping[str, Any]) -> bool:
    """Whether it has a policy for traffic from outside (service.ExternallyAccessible)."""
    return spec.get("type") in NODE_PORT_TYPES or (spec.get("type") == "ClusterIP" and bool(spec.get("externalIPs")))


def _needs_address(spec: Mapping[str, Any]) -> bool:
    return spec.get("type") != "ExternalName"


def _needs_health_port(spec: Mapping[str, Any]) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _needs_node_ports(spec: Mapping[str, Any]) -> bool:
    if spec.get("type") == "LoadBalancer":
        return spec.get("allocateLoadBalancerNodePorts") is not False
    return spec.get("type") == "NodePort"


def allocate(context: Context, obj: Object) -> Object:
    """Gives a service its addresses and ports. Raises ApiError 422 for one that is not free."""
    return _allocate(context, obj, None)


def reallocate(context: Context, obj: Object, old: Object) -> Object:
    """The same on update: keeps what stays, takes what is new and gives back what the service no longer needs."""
    new = _allocate(context, obj, old)
    if not context.dry_run:
        _give_back(context, old, keep=new)
    return new


def release(context: Context, obj: Object) -> None:
    """Gives back everything that a deleted service held."""
    _give_back(context, obj, keep=None)


def _allocate(context: Context, obj: Object, old: Object | None) -> Object:
    spec = dict(obj["spec"])
    taken: list[tuple[Allocator, int]] = []
    numbers = context.server.service_numbers
    try:
        if _needs_address(spec):
            _families(obj, spec)
            _take_addresses(obj, spec, old, numbers, taken)
        _take_ports(obj, spec, old, numbers, taken)
    except errors.ApiError:
        _undo(taken)
        raise
    if context.dry_run:
        _undo(taken)
    return {**obj, "spec": spec}


def _undo(taken: list[tuple[Allocator, int]]) -> None:
    for allocator, offset in taken:
        allocator.give_back(offset)


def _families(obj: Object, spec: dict[str, Any]) -> None:
    if "IPv6" in (spec.get("ipFamilies") or ()):
        text = f"Invalid value: {quoted('IPv6')}: not configured on this cluster"
        index = spec["ipFamilies"].index("IPv6")
        raise _invalid(obj, FieldError("FieldValueInvalid", f"spec.ipFamilies[{index}]", text))
    if spec.get("ipFamilyPolicy") == "RequireDualStack":
        text = f"Invalid value: {quoted('RequireDualStack')}: this cluster is not configured for dual-stack services"
        raise _invalid(obj, FieldError("FieldValueInvalid", "spec.ipFamilyPolicy", text))
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")


def _take_addresses(
    obj: Object, spec: dict[str, Any], old: Object | None, numbers: ServiceNumbers, taken: list[Any]
) -> None:
    if spec.get("clusterIP") == "None":
        spec["clusterIPs"] = ["None"]
        return
    wanted = spec.get("clusterIP")
    held = tuple(addresses(old)) if old is not None else ()
    if wanted in held:
        spec["clusterIPs"] = [wanted]
        return
    if wanted:
        if not numbers.owns(wanted):
            why = f"The provided IP ({wanted}) is not in the valid range. The range of valid IPs is {numbers.network}"
            raise _refused(obj, [wanted], why)
        if not numbers.addresses.take(numbers.offset(wanted)):
            raise _refused(obj, [wanted], "provided IP is already allocated")
        offset = numbers.offset(wanted)
    else:
        drawn = numbers.addresses.draw()
        if drawn is None:
            raise errors.internal("failed to allocate a serviceIP: range is full")
        offset = drawn
    taken.append((numbers.addresses, offset))
    spec["clusterIP"] = numbers.address(offset)
    spec["clusterIPs"] = [spec["clusterIP"]]


def _take_ports(
    obj: Object, spec: dict[str, Any], old: Object | None, numbers: ServiceNumbers, taken: list[Any]
) -> None:
    held = tuple(node_ports(old)) if old is not None else ()
    if _needs_node_ports(spec):
        by_number: dict[int, int] = {}
        ports = []
        for index, port in enumerate(spec.get("ports") or ()):
            wanted = port.get("nodePort")
            if wanted and wanted not in held and wanted not in by_number.values():
                _take_port(obj, f"spec.ports[{index}].nodePort", wanted, numbers, taken)
            elif not wanted:
                # One number serves both protocols of a port.
                wanted = by_number.get(port["port"]) or _draw_port(numbers, taken)
            by_number[port["port"]] = wanted
            ports.append({**port, "nodePort": wanted})
        spec["ports"] = ports
    if _needs_health_port(spec):
        wanted = spec.get("healthCheckNodePort")
        if not wanted:
            spec["healthCheckNodePort"] = _draw_port(numbers, taken)
        elif wanted not in held:
            _take_port(obj, "spec.healthCheckNodePort", wanted, numbers, taken)


def _take_port(obj: Object, path: str, wanted: int, numbers: ServiceNumbers, taken: list[Any]) -> None:
    if not numbers.port_low <= wanted <= numbers.port_high:
        why = (
            "provided port is not in the valid range. "
            f"The range of valid ports is {numbers.port_low}-{numbers.port_high}"
        )
        raise _invalid(obj, FieldError("FieldValueInvalid", path, f"Invalid value: {wanted}: {why}"))
    if not numbers.ports.take(wanted - numbers.port_low):
        raise _invalid(
            obj, FieldError("FieldValueInvalid", path, f"Invalid value: {wanted}: provided port is already allocated")
        )
    taken.append((numbers.ports, wanted - numbers.port_low))


def _draw_port(numbers: ServiceNumbers, taken: list[Any]) -> int:
    offset = numbers.ports.draw()
    if offset is None:
        raise errors.internal("failed to allocate a nodePort: range is full")
    taken.append((numbers.ports, offset))
    return numbers.port_low + offset


def _give_back(context: Context, obj: Object, keep: Object | None) -> None:
    numbers = context.server.service_numbers
    kept = (tuple(addresses(keep)), tuple(node_ports(keep))) if keep is not None else ((), ())
    for address in addresses(obj):
        if address not in kept[0] and numbers.owns(address):
            numbers.addresses.give_back(numbers.offset(address))
    for port in node_ports(obj):
        if port not in kept[1]:
            numbers.ports.give_back(port - numbers.port_low)


def _invalid(obj: Object, error: FieldError) -> errors.ApiError:
    return errors.invalid("", "Service", obj["metadata"].get("name", ""), [error])


def _refused(obj: Object, value: list[str], why: str) -> errors.ApiError:
    listed = "[" + ",".join(quoted(item) for item in value) + "]"
    text = f"Invalid value: {listed}: failed to allocate IP {value[0]}: {why}"
    return _invalid(obj, FieldError("FieldValueInvalid", "spec.clusterIPs", text))
