"""Variables, the downward API and the files that name a pod."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.sim.nodes.envfile import value_in
from seatrial.sim.nodes.environment import (
    ConfigError,
    Environment,
    dns_of,
    expand,
    field_value,
    hostname_of,
    hosts_file,
    resource_value,
    service_environment,
)

POD: dict[str, Any] = {
    "metadata": {"name": "a", "namespace": "n", "uid": "u", "labels": {"b": "2", "a": "1"}, "annotations": {"k": 'v"'}},
    "spec": {
        "nodeName": "w1",
        "containers": [{"name": "c", "resources": {"limits": {"cpu": "250m", "memory": "64Mi"}}}, {"name": "free"}],
    },
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$(A)-$(NOPE)-$$(A)", "1-$(NOPE)-$(A)"),
        ("$A ${A} $()", "$A ${A} $()"),
        ("$$$(A)", "$1"),
        ("plain", "plain"),
    ],
)
def test_references_are_expanded_as_kubernetes_does(text: str, value: str) -> None:
    assert expand(text, {"A": "1"}) == value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "a"),
        ("spec.nodeName", "w1"),
        ("metadata.labels['a']", "1"),
        ("metadata.labels", 'a="1"\nb="2"'),
        ("metadata.annotations", 'k="v\\""'),
        ("status.podIP", "172.16.0.9"),
    ],
)
def test_fields(path: str, value: str) -> None:
    assert field_value(POD, path, {"status.podIP": "172.16.0.9"}) == value


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ({"containerName": "c", "resource": "limits.cpu", "divisor": "1m"}, "250"),
        ({"containerName": "c", "resource": "limits.cpu"}, "1"),
        ({"containerName": "c", "resource": "limits.memory", "divisor": "1Mi"}, "64"),
        ({"containerName": "free", "resource": "limits.memory", "divisor": "0"}, "1024"),
        ({"containerName": "free", "resource": "requests.cpu"}, "0"),
    ],
)
def test_resources(reference: dict[str, str], value: str) -> None:
    assert resource_value(POD, reference, {"memory": "1Ki", "cpu": "2"}) == value


def test_variables_from_objects_in_order() -> None:
    container = {
        "name": "c",
        "envFrom": [{"configMapRef": {"name": "all"}, "prefix": "P_"}],
        "env": [
            {"name": "X", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            {"name": "Y", "value": "$(X)+$(P_a)"},
            {"name": "Z", "valueFrom": {"configMapKeyRef": {"name": "no", "key": "k", "optional": True}}},
        ],
    }
    objects: dict[tuple[str, str], Any] = {
        ("configmap", "all"): {"metadata": {"namespace": "n"}, "data": {"a": "1", "a=b": "2"}},
        ("secret", "s"): {"metadata": {"namespace": "n"}, "data": {"k": "dg=="}},
    }
    environment = Environment(POD, container, lambda kind, name: objects.get((kind, name)), {}, lambda *_: b"")
    assert environment.make({"S": "svc"}, {}) == {"S": "svc", "P_a": "1", "X": "v", "Y": "v+1"}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMapKeyRef": {"name": "later", "key": "k"}}, 'configmap "later" not found'),
        ({"secretKeyRef": {"name": "later", "key": "k"}}, 'secret "later" not found'),
        ({"configMapKeyRef": {"name": "there", "key": "k"}}, "couldn't find key k in ConfigMap n/there"),
    ],
)
def test_what_is_missing_is_named(source: dict[str, Any], message: str) -> None:
    there = {"metadata": {"namespace": "n"}, "data": {}}
    container = {"name": "c", "env": [{"name": "X", "valueFrom": source}]}
    environment = Environment(POD, container, lambda kind, name: there if name == "there" else None, {}, lambda *_: b"")
    with pytest.raises(ConfigError) as problem:
        environment.make({}, {})
    assert str(problem.value) == message


def test_services_become_variables() -> None:
    services = [
        {
            "metadata": {"name": "my-db", "namespace": "n"},
            "spec": {"clusterIP": "10.96.0.7", "ports": [{"name": "sql-main", "port": 5432, "protocol": "TCP"}]},
        },
        {"metadata": {"name": "headless", "namespace": "n"}, "spec": {"clusterIP": "None", "ports": [{"port": 1}]}},
        {"metadata": {"name": "else", "namespace": "m"}, "spec": {"clusterIP": "10.96.0.8", "ports": [{"port": 1}]}},
    ]
    assert service_environment(services, "n", True) == {
        "MY_DB_SERVICE_HOST": "10.96.0.7",
        "MY_DB_SERVICE_PORT": "5432",
        "MY_DB_SERVICE_PORT_SQL_MAIN": "5432",
        "MY_DB_PORT": "tcp://10.96.0.7:5432",
        "MY_DB_PORT_5432_TCP": "tcp://10.96.0.7:5432",
        "MY_DB_PORT_5432_TCP_PROTO": "tcp",
        "MY_DB_PORT_5432_TCP_PORT": "5432",
        "MY_DB_PORT_5432_TCP_ADDR": "10.96.0.7",
    }
    assert service_environment(services, "n", False) == {}


def test_a_pod_is_named_in_its_hosts_file() -> None:
    named = {**POD, "spec": {**POD["spec"], "hostname": "host-a", "subdomain": "sub"}}
    assert hostname_of(named, "cluster.local") == ("host-a", "sub.n.svc.cluster.local")
    text = hosts_file(
        "10.0.0.9", "host-a", "sub.n.svc.cluster.local", [{"ip": "1.2.3.4", "hostnames": ["x", "y"]}], False
    )
    assert text.splitlines()[-4:] == [
        "10.0.0.9\thost-a.sub.n.svc.cluster.local\thost-a",
        "",
        "# Entries added by HostAliases.",
        "1.2.3.4\tx\ty",
    ]


def test_dns_follows_the_policy() -> None:
    node = {"servers": ["10.0.2.3"], "searches": ["lan"], "options": []}
    own = {"nameservers": ["9.9.9.9"], "searches": ["x.y"], "options": [{"name": "ndots", "value": "1"}]}

    def of(**spec: Any) -> dict[str, list[str]]:
        return dns_of({**POD, "spec": {**POD["spec"], **spec}}, "10.96.0.10", "cluster.local", node)

    searches = ["n.svc.cluster.local", "svc.cluster.local", "cluster.local", "lan"]
    assert of() == {"servers": ["10.96.0.10"], "searches": searches, "options": ["ndots:5"]}
    assert of(dnsPolicy="Default") == node
    assert of(hostNetwork=True) == node
    assert of(dnsPolicy="None", dnsConfig=own) == {"servers": ["9.9.9.9"], "searches": ["x.y"], "options": ["ndots:1"]}
    assert of(dnsConfig=own)["options"] == ["ndots:1"]


ENV_FILE = """
# where it is
DB_ADDRESS='address' # a comment
  REST_ENDPOINT='end
point'
EMPTY= 'nothing'
"""


@pytest.mark.parametrize(
    ("key", "value"), [("DB_ADDRESS", "address"), ("REST_ENDPOINT", "end\npoint"), ("EMPTY", ""), ("NOPE", "")]
)
def test_a_file_of_variables_is_read_as_a_shell_would(key: str, value: str) -> None:
    assert value_in(ENV_FILE, key) == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("A", "at line 1: missing '='"),
        ("\nA=b", "at line 2: value must be enclosed in single quotes"),
        ("A ='b'", "at line 1: whitespace before '=' is not allowed"),
        ("='b'", "at line 1: empty variable name"),
        ("A='b' c", "at line 1: unexpected content after closing quote"),
        ("A='b\nc", "starting at line 1: unclosed single quote"),
    ],
)
def test_a_malformed_file_of_variables(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match="invalid environment variable format") as refusal:
        value_in(text, "Z")
    assert str(refusal.value).endswith(problem)


@pytest.mark.parametrize(
    ("reference", "made"),
    [
        ({"key": "A"}, {"V": "1"}),
        ({"key": "B", "optional": True}, {}),
        ({"key": "A", "path": "nope", "optional": True}, {}),
        ({"key": "B"}, 'environment variable key "B" not found in file "f"'),
        ({"key": "A", "path": "nope"}, 'failed to open environment variable file "nope": No such file or directory'),
    ],
)
def test_a_variable_comes_from_a_file_of_a_volume(reference: dict[str, Any], made: Any) -> None:
    def read(volume: str, path: str) -> bytes:
        if path != "f":
            raise FileNotFoundError(2, "No such file or directory", path)
        return b"A='1'\n"

    source = {"fileKeyRef": {"volumeName": "v", "path": "f", **reference}}
    environment = Environment(
        POD, {"name": "c", "env": [{"name": "V", "valueFrom": source}]}, lambda *_: None, {}, read
    )
    if isinstance(made, dict):
        assert environment.make({}, {}) == made
    else:
        with pytest.raises(ConfigError, match=made):
            environment.make({}, {})
