"""Questions and answers of the domain name system, and the records of a cluster's services.

Source: the DNS specification for Kubernetes services (v1.1.0) and CoreDNS' kubernetes plugin. Not modelled: IPv6 (AAAA
finds nothing), zone transfers, EDNS, TXT records other than ``dns-version``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from seatrial.sim.network.servicemap import SERVICE_LABEL

Object = Mapping[str, Any]
NOERROR, NXDOMAIN, SERVFAIL, REFUSED = "NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED"
REVERSE = ".in-addr.arpa"
SERVICE_VERSION = "1.1.0"


class Question(NamedTuple):
    """Lower case, without the final dot."""

    name: str
    type: str = "A"


class Record(NamedTuple):
    name: str
    type: str
    value: str
    ttl_s: int = 30


class Answer(NamedTuple):
    code: str
    records: tuple[Record, ...] = ()
    ours: bool = True
    """Whether the one who answers is in charge of the name."""


class NameServer(Protocol):
    """What listens on port 53."""

    def ask(self, question: Question) -> Answer: ...


class Cluster(Protocol):
    """The objects that names are made of."""

    def service(self, namespace: str, name: str) -> Object | None: ...

    def services_at(self, address: str) -> list[Object]: ...

    def slices(self, namespace: str, name: str) -> list[Object]: ...

    def slices_at(self, address: str) -> list[Object]: ...

    def has_namespace(self, name: str) -> bool: ...


class Ready(NamedTuple):
    """A ready endpoint of a headless service."""

    address: str
    label: str
    """Its host name below the service's."""
    ports: tuple[Object, ...]


def ready_endpoints(slices: Iterable[Object]) -> Iterator[Ready]:
    for piece in slices:
        for entry in piece.get("endpoints") or ():
            if (entry.get("conditions") or {}).get("ready", True):
                for address in entry["addresses"]:
                    yield Ready(address, label_of(entry, address), tuple(piece.get("ports") or ()))


def label_of(entry: Object, address: str) -> str:
    return str(entry.get("hostname") or address.replace(".", "-"))


def dotted(label: str) -> str:
    """The address that a pod's name spells; empty when it spells none."""
    parts = label.split("-")
    good = len(parts) == 4 and all(part.isdigit() and int(part) < 256 for part in parts)
    return ".".join(parts) if good else ""


def lookup(cluster: Cluster, zone: str, question: Question) -> Answer:
    """What the records of a cluster say of a name within its zone or of an address; not ``ours`` for others."""
    name, kind = question
    if name.endswith(REVERSE):
        return _reverse(cluster, zone, name)
    if name == zone:
        return Answer(NOERROR)
    if not name.endswith(f".{zone}"):
        return Answer(NXDOMAIN, (), False)
    labels = name[: -len(zone) - 1].split(".")[::-1]
    if labels[0] == "svc":
        return _service(cluster, zone, labels[1:], question)
    if labels[0] == "pod":
        return _pod(cluster, labels[1:], question)
    if labels == ["dns-version"]:
        return Answer(NOERROR, (Record(name, "TXT", SERVICE_VERSION),) if kind == "TXT" else ())
    return Answer(NXDOMAIN)


def _pod(cluster: Cluster, labels: list[str], question: Question) -> Answer:
    """``pods insecure``: any address in an existing namespace."""
    if not labels or (len(labels) == 1 and cluster.has_namespace(labels[0])):
        return Answer(NOERROR)
    address = dotted(labels[1]) if len(labels) == 2 else ""
    if not address or not cluster.has_namespace(labels[0]):
        return Answer(NXDOMAIN)
    return Answer(NOERROR, (Record(question.name, "A", address),) if question.type == "A" else ())


def _service(cluster: Cluster, zone: str, labels: list[str], question: Question) -> Answer:
    if not labels:
        return Answer(NOERROR)
    if not cluster.has_namespace(labels[0]):
        return Answer(NXDOMAIN)
    if len(labels) == 1:
        return Answer(NOERROR)
    namespace, name, *rest = labels
    service = cluster.service(namespace, name)
    if service is None or len(rest) > 2:
        return Answer(NXDOMAIN)
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        if rest:
            return Answer(NXDOMAIN)
        return Answer(NOERROR, (Record(question.name, "CNAME", spec["externalName"].rstrip(".").lower()),))
    at = f"{name}.{namespace}.svc.{zone}"
    headless = spec.get("clusterIP") == "None"
    ready = list(ready_endpoints(cluster.slices(namespace, name))) if headless or len(rest) == 1 else []
    if len(rest) == 2:
        return _ports(service, at, rest, ready, question) if rest[1].startswith("_") else Answer(NXDOMAIN)
    if rest:
        ready = [each for each in ready if each.label == rest[0]]
        headless = True
    if headless:
        addresses = list(dict.fromkeys(each.address for each in ready))
        if not addresses:
            return Answer(NXDOMAIN)
    else:
        addresses = list(spec.get("clusterIPs") or (spec["clusterIP"],))
    if question.type == "SRV" and not rest:
        return _all_ports(service, at, ready, question)
    return _answered(question, "A", addresses)


def _targets(service: Object, at: str, ready: list[Ready]) -> Iterator[tuple[str, str, str]]:
    """(port name, protocol, what an SRV record says) of each port."""
    if service["spec"].get("clusterIP") != "None":
        for port in service["spec"].get("ports") or ():
            yield port.get("name", ""), port.get("protocol", "TCP"), f"0 100 {port['port']} {at}"
        return
    for each in ready:
        for port in each.ports:
            name, protocol = port.get("name", ""), port.get("protocol", "TCP")
            yield name, protocol, f"0 {100 // len(ready)} {port.get('port')} {each.label}.{at}"


def _ports(service: Object, at: str, rest: list[str], ready: list[Ready], question: Question) -> Answer:
    """``_http._tcp.web.shop.svc``."""
    protocol, name = rest[0].removeprefix("_"), rest[1].removeprefix("_")
    found = [value for port, kind, value in _targets(service, at, ready) if (port, kind.lower()) == (name, protocol)]
    if not found:
        return Answer(NXDOMAIN)
    return _answered(question, "SRV", found)


def _answered(question: Question, kind: str, values: list[str]) -> Answer:
    """Records of one kind; the name exists also for those who ask for another."""
    return Answer(NOERROR, tuple(Record(question.name, kind, each) for each in values) if question.type == kind else ())


def _all_ports(service: Object, at: str, ready: list[Ready], question: Question) -> Answer:
    return Answer(NOERROR, tuple(Record(question.name, "SRV", value) for _, _, value in _targets(service, at, ready)))


def _reverse(cluster: Cluster, zone: str, name: str) -> Answer:
    """The service at an address, or the endpoints that have it."""
    address = ".".join(name.removesuffix(REVERSE).split(".")[::-1])
    found = []
    for service in cluster.services_at(address):
        metadata = service["metadata"]
        found.append(f"{metadata['name']}.{metadata['namespace']}.svc.{zone}")
    if not found:
        for piece in cluster.slices_at(address):
            metadata = piece["metadata"]
            of = (metadata.get("labels") or {}).get(SERVICE_LABEL, "")
            having = (entry for entry in piece.get("endpoints") or () if address in entry["addresses"])
            found += [f"{label_of(entry, address)}.{of}.{metadata['namespace']}.svc.{zone}" for entry in having]
    if not found:
        return Answer(NXDOMAIN, (), False)
    return Answer(NOERROR, tuple(Record(name, "PTR", each) for each in found))
