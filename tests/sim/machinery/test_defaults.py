"""Defaults against what a real API server filled in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from conformance.creations import BUILTIN, creations, files
from conformance.masks import differences, masked

from seatrial.sim.machinery import conversion, decode, defaults, dropping

LATER = (
    (r"pods", r"^\.spec\.(priority|tolerations|preemptionPolicy|serviceAccount|serviceAccountName|volumes)"),
    (r"pods", r"^\.spec\.(containers|initContainers)\[\d+\]\.volumeMounts"),
    (r"services", r"^\.spec\.(clusterIP|ipFamil|ports\[\d+\]\.nodePort)"),
    (r"jobs", r"^\.spec\.(selector|template\.metadata\.labels)"),
    (r"nodes", r"^\.spec\.(taints|podCIDR)"),
    (r"namespaces", r"^\.spec\.finalizers"),
    (r"persistentvolumeclaims", r"^\.spec\.dataSource"),
    (r"serviceaccounts", r"^\.secrets"),
)
"""What admission, strategies and allocators set after defaulting, by kind and field."""
LIMITED = "admission"
"""Where a LimitRange and a PriorityClass reach further into a pod."""


def later(resource: str, group: str, field: str) -> bool:
    if group.startswith(LIMITED) and resource == "pods":
        return True
    return any(re.fullmatch(kind, resource) and re.search(pattern, field) for kind, pattern in LATER)


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name.removesuffix(".jsonl.gz"))
def test_an_accepted_object_gets_the_servers_defaults(path: Path) -> None:
    for creation in creations(path):
        if creation.status != 201:
            continue
        resource = creation.resource
        obj, _ = decode.decode(resource, creation.raw, creation.content_type, creation.validation)
        stored = dropping.drop(resource, conversion.to_storage(defaults.default(resource, obj), resource))
        shown = conversion.convert(stored, resource)
        both = ({key: value for key, value in each.items() if key not in ("metadata", "status")}
                for each in (creation.response, shown))  # fmt: skip
        found = [
            entry
            for entry in differences(*(masked(each) for each in both))
            if not later(resource.plural, path.name, entry[0])
        ]
        assert not found, creation.name


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name.removesuffix(".jsonl.gz"))
def test_defaults_are_filled_in_once(path: Path) -> None:
    for creation in creations(path):
        if creation.status == 201:
            obj, _ = decode.decode(creation.resource, creation.raw, creation.content_type, creation.validation)
            once = defaults.default(creation.resource, obj)
            assert defaults.default(creation.resource, once) == once, creation.name


def defaulted(storage: str, obj: dict[str, Any]) -> Any:
    resource = BUILTIN.resource(storage)
    return defaults.default(resource, decode.decode_value(resource, obj, "Strict")[0])


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.27", "IfNotPresent"),
        ("registry.example.com:5000/team/app", "Always"),
        ("registry.example.com:5000/team/app:v1", "IfNotPresent"),
        (f"nginx@sha256:{'a' * 64}", "IfNotPresent"),
        ("Bad Value!", "IfNotPresent"),
    ],
)
def test_the_pull_policy_follows_from_the_tag(image: str, policy: str) -> None:
    pod = defaulted("pods", {"spec": {"containers": [{"name": "c", "image": image}]}})
    assert pod["spec"]["containers"][0]["imagePullPolicy"] == policy


def test_requests_follow_limits_in_pods_and_not_in_templates() -> None:
    spec = {"containers": [{"name": "c", "resources": {"limits": {"cpu": "1"}}}]}
    pod = defaulted("pods", {"spec": spec})
    template = defaulted("podtemplates", {"template": {"spec": spec}})["template"]
    assert pod["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "1"}
    assert "requests" not in template["spec"]["containers"][0]["resources"]


def test_host_ports_follow_in_the_hosts_network() -> None:
    spec = {"hostNetwork": True, "containers": [{"name": "c", "ports": [{"containerPort": 80}]}]}
    assert defaulted("pods", {"spec": spec})["spec"]["containers"][0]["ports"][0]["hostPort"] == 80


def test_amounts_are_rounded_up_to_thousandths() -> None:
    spec = {"hard": {"cpu": "1500u", "memory": "1n"}}
    assert defaulted("resourcequotas", {"spec": spec})["spec"]["hard"] == {"cpu": "2m", "memory": "1m"}


def test_what_has_no_defaults_is_passed_through_untouched() -> None:
    resource = BUILTIN.resource("configmaps")
    obj, _ = decode.decode_value(resource, {"data": {"a": "b"}}, "Strict")
    assert defaults.default(resource, obj) is obj
