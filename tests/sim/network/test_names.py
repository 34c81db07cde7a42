"""Names of a cluster, and what a resolver makes of them."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from seatrial.sim.network.corefile import CorefileError, block_for, parse
from seatrial.sim.network.names import NOERROR, NXDOMAIN, Answer, Question, Record, lookup
from seatrial.sim.network.outside import Outside
from seatrial.sim.network.resolver import candidates, chased, resolve

ZONE = "cluster.local"


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": spec}


def endpoint(address: str, ready: bool = True, hostname: str = "") -> dict[str, Any]:
    named = {"hostname": hostname} if hostname else {}
    return {"addresses": [address], "conditions": {"ready": ready}, **named}


HTTP = {"name": "http", "port": 80, "protocol": "TCP"}


class Shop:
    """A namespace with one service of each kind."""

    services: ClassVar[dict[str, Any]] = {
        "web": service("web", clusterIP="10.96.0.7", clusterIPs=["10.96.0.7"], ports=[HTTP]),
        "db": service("db", clusterIP="None", ports=[{"name": "sql", "port": 5432}]),
        "empty": service("empty", clusterIP="None", ports=[HTTP]),
        "api": service("api", type="ExternalName", externalName="api.example.com"),
    }
    pieces: ClassVar[dict[str, list[Any]]] = {
        "web": [{"metadata": {"namespace": "shop"}, "ports": [HTTP], "endpoints": [endpoint("10.244.0.5")]}],
        "db": [
            {
                "metadata": {"namespace": "shop", "labels": {"kubernetes.io/service-name": "db"}},
                "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}],
                "endpoints": [
                    endpoint("10.244.0.8", hostname="db-0"),
                    endpoint("10.244.1.9"),
                    endpoint("10.244.1.10", ready=False),
                ],
            }
        ],
    }

    def service(self, namespace: str, name: str) -> Any:
        return self.services.get(name) if namespace == "shop" else None

    def services_at(self, address: str) -> list[Any]:
        return [each for each in self.services.values() if each["spec"].get("clusterIP") == address]

    def slices(self, namespace: str, name: str) -> list[Any]:
        return self.pieces.get(name, [])

    def slices_at(self, address: str) -> list[Any]:
        return [
            piece for piece in self.pieces["db"] if any(address in each["addresses"] for each in piece["endpoints"])
        ]

    def has_namespace(self, name: str) -> bool:
        return name in ("shop", "default")


@pytest.mark.parametrize(
    ("name", "kind", "code", "values"),
    [
        ("web.shop.svc", "A", NOERROR, ["10.96.0.7"]),
        ("web.shop.svc", "AAAA", NOERROR, []),
        ("web.default.svc", "A", NXDOMAIN, []),
        ("web.nowhere.svc", "A", NXDOMAIN, []),
        ("shop.svc", "A", NOERROR, []),
        ("db.shop.svc", "A", NOERROR, ["10.244.0.8", "10.244.1.9"]),
        ("db-0.db.shop.svc", "A", NOERROR, ["10.244.0.8"]),
        ("10-244-1-9.db.shop.svc", "A", NOERROR, ["10.244.1.9"]),
        ("db-1.db.shop.svc", "A", NXDOMAIN, []),
        ("empty.shop.svc", "A", NXDOMAIN, []),
        ("api.shop.svc", "A", NOERROR, ["api.example.com"]),
        ("_http._tcp.web.shop.svc", "SRV", NOERROR, ["0 100 80 web.shop.svc.cluster.local"]),
        ("_http._udp.web.shop.svc", "SRV", NXDOMAIN, []),
        (
            "_sql._tcp.db.shop.svc",
            "SRV",
            NOERROR,
            ["0 50 5432 db-0.db.shop.svc.cluster.local", "0 50 5432 10-244-1-9.db.shop.svc.cluster.local"],
        ),
        ("10-244-7-7.default.pod", "A", NOERROR, ["10.244.7.7"]),
        ("10-244-7-7.nowhere.pod", "A", NXDOMAIN, []),
        ("words.default.pod", "A", NXDOMAIN, []),
        ("dns-version", "TXT", NOERROR, ["1.1.0"]),
        ("nonsense", "A", NXDOMAIN, []),
    ],
)
def test_records_of_a_cluster(name: str, kind: str, code: str, values: list[str]) -> None:
    found = lookup(Shop(), ZONE, Question(f"{name}.{ZONE}", kind))
    assert (found.code, [record.value for record in found.records]) == (code, values)


@pytest.mark.parametrize(
    ("address", "names"),
    [
        ("10.96.0.7", ["web.shop.svc.cluster.local"]),
        ("10.244.0.8", ["db-0.db.shop.svc.cluster.local"]),
        ("10.99.9.9", []),
    ],
)
def test_addresses_have_names(address: str, names: list[str]) -> None:
    reverse = ".".join(address.split(".")[::-1]) + ".in-addr.arpa"
    assert [record.value for record in lookup(Shop(), ZONE, Question(reverse, "PTR")).records] == names


SEARCHES = ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local"]


@pytest.mark.parametrize(
    ("name", "options", "asked"),
    [
        ("web", ["ndots:5"], [*(f"web.{each}" for each in SEARCHES), "web"]),
        ("web.shop", ["ndots:5"], [*(f"web.shop.{each}" for each in SEARCHES), "web.shop"]),
        ("example.com", ["ndots:1"], ["example.com", *(f"example.com.{each}" for each in SEARCHES)]),
        ("example.com.", ["ndots:5"], ["example.com"]),
        ("a.b.c.d.e.f", ["ndots:5"], ["a.b.c.d.e.f", *(f"a.b.c.d.e.f.{each}" for each in SEARCHES)]),
    ],
)
def test_the_search_path(name: str, options: list[str], asked: list[str]) -> None:
    assert list(candidates(name, SEARCHES, options)) == asked


class Silent:
    def ask(self, question: Question) -> Answer:
        raise TimeoutError(110, "Connection timed out")


class Knows:
    def __init__(self, *names: str, code: str = NXDOMAIN) -> None:
        self.names, self.code = names, code

    def ask(self, question: Question) -> Answer:
        if question.name in self.names:
            return Answer(NOERROR, (Record(question.name, "A", "10.0.0.1"),))
        return Answer(self.code)


def test_the_next_server_is_asked_when_one_is_silent() -> None:
    servers = {"10.0.0.2": Silent(), "10.0.0.3": Knows("web.shop.svc.cluster.local")}
    config = {"servers": list(servers), "searches": SEARCHES, "options": ["ndots:5"]}
    assert [each.value for each in resolve("web", config, servers.__getitem__)] == ["10.0.0.1"]


@pytest.mark.parametrize(
    ("server", "error"), [(Silent(), TimeoutError), (Knows(), FileNotFoundError), (Knows(code="SERVFAIL"), OSError)]
)
def test_how_a_lookup_fails(server: Any, error: type[OSError]) -> None:
    with pytest.raises(error):
        resolve("web", {"servers": ["10.0.0.2"], "searches": [], "options": []}, lambda _: server)


def test_aliases_are_followed() -> None:
    alias = Answer(NOERROR, (Record("api.shop", "CNAME", "api.example.com"),))
    outside = Outside(lambda *_: None)
    found = chased(alias, "A", outside.ask)
    assert [record.type for record in found.records] == ["CNAME", "A"]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("kubernetes.io", NOERROR),
        ("example", NXDOMAIN),
        ("a.invalid", NXDOMAIN),
        ("web.shop.svc.cluster.local", NXDOMAIN),
    ],
)
def test_names_of_the_world(name: str, code: str) -> None:
    assert Outside(lambda *_: None).ask(Question(name)).code == code


COREFILE = """
.:53 {
    errors
    kubernetes cluster.local in-addr.arpa {
        ttl 30
    }
    forward . /etc/resolv.conf
    cache 30 {
        disable success cluster.local
    }
}
corp.example:53 {
    forward . 10.1.1.1
}
"""


def test_a_corefile_has_blocks_of_plugins() -> None:
    blocks = parse(COREFILE)
    assert [block.zones for block in blocks] == [("",), ("corp.example",)]
    assert blocks[0].plugins["kubernetes"].args == ("cluster.local", "in-addr.arpa")
    assert blocks[0].plugins["cache"].lines == (("disable", "success", "cluster.local"),)
    assert block_for(blocks, "git.corp.example") is blocks[1]
    assert block_for(blocks, "example.com") is blocks[0]


@pytest.mark.parametrize(
    ("text", "problem"),
    [(". {\n  kubernets\n}\n", "Corefile:2 .*Unknown directive 'kubernets'"), (". {\n  errors\n", "Unexpected EOF")],
)
def test_a_corefile_that_cannot_be_read(text: str, problem: str) -> None:
    with pytest.raises(CorefileError, match=problem):
        parse(text)
