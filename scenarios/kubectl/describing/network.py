"""Services, endpoints, ingresses and network policies as ``describe`` shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seatrial.scenarios.kubectl.describing.workloads import Describe, Found
from seatrial.scenarios.kubectl.describing.writer import (
    Writer,
    annotated,
    events,
    head,
    labels,
    named,
    or_unset,
    pairs,
    selector,
)
from seatrial.sim.machinery.errors import ApiError

Object = Mapping[str, Any]
ADDRESSES_MAX = 3
IDLE_S = 10800


def service(w: Writer, found: Found) -> None:
    obj = found.object
    spec, status, metadata = obj["spec"], obj.get("status") or {}, obj["metadata"]
    slices = _slices(found, metadata)
    head(w, obj)
    w.line(0, "Selector:", pairs(spec.get("selector")))
    w.line(0, "Type:", spec.get("type", ""))
    if spec.get("ipFamilyPolicy"):
        w.line(0, "IP Family Policy:", spec["ipFamilyPolicy"])
    if spec.get("ipFamilies"):
        w.line(0, "IP Families:", ",".join(spec["ipFamilies"]))
    else:
        w.line(0, "IP Families:", "<none>")
    w.line(0, "IP:", spec.get("clusterIP", ""))
    w.line(0, "IPs:", ",".join(spec["clusterIPs"]) if spec.get("clusterIPs") else "<none>")
    if spec.get("externalIPs"):
        w.line(0, "External IPs:", ",".join(spec["externalIPs"]))
    if spec.get("loadBalancerIP"):
        w.line(0, "Desired LoadBalancer IP:", spec["loadBalancerIP"])
    if spec.get("externalName"):
        w.line(0, "External Name:", spec["externalName"])
    balancer = (status.get("loadBalancer") or {}).get("ingress") or ()
    if balancer:
        texts = []
        for each in balancer:
            text = each.get("ip") or each.get("hostname", "")
            texts.append(f"{text} ({each['ipMode']})" if each.get("ipMode") else text)
        w.line(0, "LoadBalancer Ingress:", ", ".join(texts))
    for port in spec.get("ports") or ():
        _port(w, port, slices)
    w.line(0, "Session Affinity:", spec.get("sessionAffinity", ""))
    for field, heading in (("externalTrafficPolicy", "External Traffic Policy"),
                           ("internalTrafficPolicy", "Internal Traffic Policy"),
                           ("trafficDistribution", "Traffic Distribution")):  # fmt: skip
        if spec.get(field):
            w.line(0, f"{heading}:", spec[field])
    if spec.get("healthCheckNodePort"):
        w.line(0, "HealthCheck NodePort:", spec["healthCheckNodePort"])
    if spec.get("loadBalancerSourceRanges"):
        w.line(0, "LoadBalancer Source Ranges:", ",".join(spec["loadBalancerSourceRanges"]))
    events(w, found.events())


def _port(w: Writer, port: Object, slices: Sequence[Object]) -> None:
    name = port.get("name") or "<unset>"
    protocol = port.get("protocol", "TCP")
    w.line(0, "Port:", name, f"{port['port']}/{protocol}")
    target = port.get("targetPort")
    w.line(0, "TargetPort:", f"{target}/{protocol}")
    if port.get("nodePort"):
        w.line(0, "NodePort:", name, f"{port['nodePort']}/{protocol}")
    w.line(0, "Endpoints:", endpoints_text(slices, port.get("name") or ""))


def _slices(found: Found, metadata: Object) -> list[Object]:
    query = {"labelSelector": f"kubernetes.io/service-name={metadata['name']}"}
    return found.items("endpointslices.discovery.k8s.io", metadata["namespace"], query)


def endpoints_text(slices: Sequence[Object], port_name: str) -> str:
    """The ready addresses of a port, the first three of them (formatEndpointSlices)."""
    if not slices:
        return ""
    texts: list[str] = []
    count = 0
    for each in slices:
        listed: Sequence[Object] = each.get("ports") or ({},)
        for port in listed:
            if port and port_name != (port.get("name") or ""):
                continue
            for endpoint in each.get("endpoints") or ():
                if not (endpoint.get("conditions") or {}).get("ready", True):
                    continue
                for address in endpoint["addresses"]:
                    count += 1
                    if len(texts) < ADDRESSES_MAX:
                        texts.append(f"{address}:{port['port']}" if port.get("port") else address)
    text = ",".join(texts)
    return f"{text} + {count - ADDRESSES_MAX} more..." if count > ADDRESSES_MAX else text


def endpoints(w: Writer, found: Found) -> None:
    obj = found.object
    head(w, obj)
    w.write(0, "Subsets:\n")
    for subset in obj.get("subsets") or ():
        for field, heading in (("addresses", "Addresses"), ("notReadyAddresses", "NotReadyAddresses")):
            held = [each["ip"] for each in subset.get(field) or ()]
            w.line(1, f"{heading}:", ",".join(held) or "<none>")
        ports = subset.get("ports") or ()
        if ports:
            w.write(1, "Ports:\n")
            w.line(2, "Name", "Port", "Protocol")
            w.line(2, "----", "----", "--------")
            for port in ports:
                w.line(2, port.get("name") or "<unset>", port["port"], port.get("protocol", "TCP"))
        w.write(0, "\n")
    events(w, found.events())


def endpoint_slice(w: Writer, found: Found) -> None:
    obj = found.object
    head(w, obj)
    w.line(0, "AddressType:", obj.get("addressType", ""))
    ports = obj.get("ports") or ()
    if ports:
        w.write(0, "Ports:\n")
        w.line(1, "Name", "Port", "Protocol")
        w.line(1, "----", "----", "--------")
        for port in ports:
            w.line(1, port.get("name") or "<unset>", or_unset(port.get("port")), port.get("protocol", "TCP"))
    else:
        w.line(0, "Ports:", "<unset>")
    held = obj.get("endpoints") or ()
    if not held:
        w.write(0, "Endpoints: <none>\n")
    else:
        w.write(0, "Endpoints:\n")
        for each in held:
            _endpoint(w, each)
    events(w, found.events())


def _endpoint(w: Writer, each: Object) -> None:
    w.line(1, "- Addresses:", ", ".join(each["addresses"]))
    w.write(2, "Conditions:\n")
    w.line(3, "Ready:", or_unset((each.get("conditions") or {}).get("ready")))
    w.line(2, "Hostname:", or_unset(each.get("hostname")))
    if each.get("targetRef"):
        w.line(2, "TargetRef:", f"{each['targetRef']['kind']}/{each['targetRef']['name']}")
    w.line(2, "NodeName:", or_unset(each.get("nodeName")))
    w.line(2, "Zone:", or_unset(each.get("zone")))


def ingress(w: Writer, found: Found) -> None:
    obj = found.object
    spec, metadata = obj.get("spec") or {}, obj["metadata"]
    w.line(0, "Name:", metadata["name"])
    labels(w, "Labels", metadata.get("labels"))
    w.line(0, "Namespace:", metadata["namespace"])
    balancer = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    w.line(0, "Address:", ",".join(each.get("ip") or each.get("hostname", "") for each in balancer))
    w.line(0, "Ingress Class:", spec.get("ingressClassName") or "<none>")
    namespace = metadata["namespace"]
    if spec.get("defaultBackend"):
        w.line(0, "Default backend:", _described(found, spec["defaultBackend"], namespace))
    else:
        w.line(0, "Default backend:", "<default>")
    if spec.get("tls"):
        w.write(0, "TLS:\n")
        for each in spec["tls"]:
            hosts = ",".join(each.get("hosts") or ())
            w.write(
                1, f"{each['secretName']} terminates {hosts}\n" if each.get("secretName") else f"SNI routes {hosts}\n"
            )
    w.write(0, "Rules:\n")
    w.line(1, "Host", "Path", "Backends")
    w.line(1, "----", "----", "--------")
    count = 0
    for rule in spec.get("rules") or ():
        if "http" not in rule:
            continue
        count += 1
        w.write(1, f"{rule.get('host') or '*'}\t\n")
        for path in rule["http"].get("paths") or ():
            w.write(2, f"\t{path.get('path', '')} \t{_described(found, path['backend'], namespace)}\n")
    if not count:
        backend = _described(found, spec["defaultBackend"], namespace) if spec.get("defaultBackend") else "<default>"
        w.line(1, "*", "*", backend)
    annotated(w, "Annotations", metadata.get("annotations"))
    events(w, found.events())


def _described(found: Found, backend: Object, namespace: str) -> str:
    """``web:80 (10.0.0.1:80,…)``."""
    if "service" not in backend:
        resource = backend.get("resource") or {}
        return f"APIGroup: {resource.get('apiGroup', '')}, Kind: {resource.get('kind', '')}, Name: {resource.get('name', '')}"
    wanted = backend["service"]
    port = wanted.get("port") or {}
    text = f"{wanted['name']}:{port.get('name') or port.get('number', '')}"
    try:
        held = found.get("services", namespace, wanted["name"])
    except ApiError as problem:
        return f"{text} (<error: {problem.message}>)"
    name = ""
    for each in held["spec"].get("ports") or ():
        if (port.get("name") and each.get("name") == port["name"]) or each["port"] == port.get("number"):
            name = each.get("name") or ""
    slices = _slices(found, {"name": wanted["name"], "namespace": namespace})
    return f"{text} ({endpoints_text(slices, name)})"


def ingress_class(w: Writer, found: Found) -> None:
    obj = found.object
    head(w, obj, namespaced=False)
    spec = obj.get("spec") or {}
    w.line(0, "Controller:", spec.get("controller", ""))
    if spec.get("parameters"):
        held = spec["parameters"]
        w.write(0, "Parameters:\n")
        if held.get("apiGroup"):
            w.line(1, "APIGroup:", held["apiGroup"])
        w.line(1, "Kind:", held["kind"])
        w.line(1, "Name:", held["name"])
    events(w, found.events())


# network policies


def network_policy(w: Writer, found: Found) -> None:
    obj = found.object
    metadata, spec = obj["metadata"], obj.get("spec") or {}
    named(w, metadata)
    created = (metadata.get("creationTimestamp") or "").replace("T", " ").replace("Z", " +0000 UTC")
    w.line(0, "Created on:", created)
    labels(w, "Labels", metadata.get("labels"))
    annotated(w, "Annotations", metadata.get("annotations"))
    w.write(0, "Spec:\n")
    chosen = spec.get("podSelector") or {}
    everything = "<none> (Allowing the specific traffic to all pods in this namespace)"
    w.write(1, f"PodSelector:     {selector(chosen) if chosen else everything}\n")
    types = spec.get("policyTypes") or ()
    _policy_rules(w, spec.get("ingress") or (), "Ingress" in types, "ingress", "From", "from")
    _policy_rules(w, spec.get("egress") or (), "Egress" in types, "egress", "To", "to")
    w.write(1, f"Policy Types: {', '.join(types)}\n")


def _policy_rules(w: Writer, rules: Sequence[Object], asked: bool, word: str, heading: str, field: str) -> None:
    if not asked:
        w.write(1, f"Not affecting {word} traffic\n")
        return
    w.write(1, f"Allowing {word} traffic:\n")
    if not rules:
        kind = "ingress" if word == "ingress" else "egress"
        w.write(2, f"<none> (Selected pods are isolated for {kind} connectivity)\n")
        return
    for position, rule in enumerate(rules):
        ports = rule.get("ports") or ()
        if not ports:
            w.write(2, "To Port: <any> (traffic allowed to all ports)\n")
        for port in ports:
            where = port.get("port")
            if port.get("endPort"):
                where = f"{where}-{port['endPort']}"
            w.write(2, f"To Port: {'<any>' if where is None else where}/{port.get('protocol', 'TCP')}\n")
        peers = rule.get(field) or ()
        if not peers:
            w.write(
                2, f"{heading}: <any> (traffic not restricted by {'source' if field == 'from' else 'destination'})\n"
            )
        for peer in peers:
            w.write(2, f"{heading}:\n")
            _peer(w, peer)
        if position < len(rules) - 1:
            w.write(2, "----------\n")


def _peer(w: Writer, peer: Object) -> None:
    pods, namespaces = peer.get("podSelector"), peer.get("namespaceSelector")
    if namespaces is not None:
        w.write(3, f"NamespaceSelector: {selector(namespaces)}\n")
    if pods is not None:
        w.write(3, f"PodSelector: {selector(pods)}\n")
    if "ipBlock" in peer:
        block = peer["ipBlock"]
        w.write(3, "IPBlock:\n")
        w.write(4, f"CIDR: {block['cidr']}\n")
        w.write(4, f"Except: {', '.join(block.get('except') or ())}\n")


KINDS: Mapping[str, Describe] = {
    "services": service,
    "endpoints": endpoints,
    "endpointslices.discovery.k8s.io": endpoint_slice,
    "ingresses.networking.k8s.io": ingress,
    "ingressclasses.networking.k8s.io": ingress_class,
    "networkpolicies.networking.k8s.io": network_policy,
}
