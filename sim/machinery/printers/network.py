"""Services, endpoints, ingresses and their relatives."""

from __future__ import annotations

from typing import Any

from seatrial.sim.machinery.printers.cells import (
    NONE,
    UNKNOWN,
    UNSET,
    Cells,
    Object,
    addresses,
    age,
    labels,
    listed,
    name_of,
    part,
)
from seatrial.sim.machinery.selectors import text_of

SHOWN = 3


def service(obj: Object, now_us: int) -> Cells:
    spec = obj["spec"]
    ips = spec.get("clusterIPs")
    ports = ",".join(_service_port(each) for each in spec.get("ports") or ())
    return [
        name_of(obj),
        spec.get("type", ""),
        ips[0] if ips else NONE,
        _external(spec, part(obj, "status")),
        ports or NONE,
        age(obj, now_us),
        labels(spec.get("selector")),
    ]


def _service_port(port: Object) -> str:
    node, protocol = port.get("nodePort"), port.get("protocol", "")
    return f"{port['port']}:{node}/{protocol}" if node else f"{port['port']}/{protocol}"


def _external(spec: Object, status: Object) -> str:
    kind, given = spec.get("type"), ",".join(spec.get("externalIPs") or ())
    if kind in ("ClusterIP", "NodePort"):
        return given or NONE
    if kind == "LoadBalancer":
        return ",".join(each for each in (addresses(status), given) if each) or "<pending>"
    return str(spec.get("externalName", "")) if kind == "ExternalName" else UNKNOWN


def _join(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def endpoints(obj: Object, now_us: int) -> Cells:
    subsets = obj.get("subsets") or ()
    found: list[str] = []
    for subset in subsets:
        ips = [each["ip"] for each in subset.get("addresses") or ()]
        ports = subset.get("ports") or ()
        found += [_join(ip, port["port"]) for port in ports for ip in ips] if ports else ips
    return [name_of(obj), listed(found, SHOWN, len(found)) if subsets else NONE, age(obj, now_us)]


def endpoint_slice(obj: Object, now_us: int) -> Cells:
    ports = ["*" if each.get("port") is None else str(each["port"]) for each in obj.get("ports") or ()]
    found = [address for each in obj.get("endpoints") or () for address in each.get("addresses") or ()]
    texts = [listed(values, SHOWN, len(values)) or UNSET for values in (ports, found)]
    return [name_of(obj), obj.get("addressType", ""), *texts, age(obj, now_us)]


def ingress(obj: Object, now_us: int) -> Cells:
    spec = obj["spec"]
    ports = "80, 443" if spec.get("tls") else "80"
    cells = [name_of(obj), spec.get("ingressClassName") or NONE, _hosts(spec.get("rules") or ())]
    return [*cells, addresses(part(obj, "status")), ports, age(obj, now_us)]


def _hosts(rules: Any) -> str:
    found: list[str] = []
    more = False
    for rule in rules:
        more = more or len(found) == SHOWN
        if not more and rule.get("host"):
            found.append(rule["host"])
    text = ",".join(found) or "*"
    return f"{text} + {len(rules) - SHOWN} more..." if more else text


def ingress_class(obj: Object, now_us: int) -> Cells:
    spec = part(obj, "spec")
    given, parameters = spec.get("parameters"), NONE
    if given:
        group = given.get("apiGroup")
        kind = given["kind"] if group is None else f"{given['kind']}.{group}"
        parameters = f"{kind}/{given['name']}"
    return [name_of(obj), spec.get("controller", ""), parameters, age(obj, now_us)]


def network_policy(obj: Object, now_us: int) -> Cells:
    return [name_of(obj), text_of(part(obj, "spec").get("podSelector") or {}), age(obj, now_us)]


def ip_address(obj: Object, now_us: int) -> Cells:
    parent = part(obj, "spec", "parentRef")
    group = parent.get("group")
    resource = f"{parent.get('resource', '')}.{group}" if group else parent.get("resource", "")
    found = [resource, parent.get("namespace", ""), parent.get("name", "")]
    return [name_of(obj), "/".join(each for each in found if each)]


def service_cidr(obj: Object, now_us: int) -> Cells:
    return [name_of(obj), ",".join(part(obj, "spec").get("cidrs") or ()), age(obj, now_us)]
