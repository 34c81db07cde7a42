"""What the server says it serves: groups, versions and resources, piecewise and aggregated.

Source: k8s.io/apiserver/pkg/endpoints/discovery, k8s.io/kube-aggregator/pkg/apiserver/handler_apis.go.
Keys stand in the order in which Go writes the fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.sim.machinery.kinds import Kinds, Resource

AGGREGATOR = "apiregistration.k8s.io"
"""The aggregator's own group, which it lists before all others."""
PRIORITY = 1000
"""Of a group without an APIService, and of those that custom resources get."""


def ordered_groups(kinds: Kinds, priorities: Mapping[str, int]) -> list[str]:
    """The groups below /apis: the aggregator's own first, then by falling priority, then by name."""
    groups = (group for group in kinds.groups() if group)
    return sorted(groups, key=lambda group: (group != AGGREGATOR, -priorities.get(group, PRIORITY), group))


def api_versions(server_address: str) -> dict[str, Any]:
    """What /api answers."""
    addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses}


def group(kinds: Kinds, name: str, within_list: bool = False) -> dict[str, Any] | None:
    """What /apis/NAME answers; None where there is no such group."""
    versions = [{"groupVersion": f"{name}/{version}", "version": version} for version in kinds.versions(name)]
    if not versions:
        return None
    head = {} if within_list else {"kind": "APIGroup", "apiVersion": "v1"}
    return {**head, "name": name, "versions": versions, "preferredVersion": versions[0]}


def group_list(kinds: Kinds, priorities: Mapping[str, int]) -> dict[str, Any]:
    """What /apis answers."""
    groups = [group(kinds, name, within_list=True) for name in ordered_groups(kinds, priorities)]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def resource_list(kinds: Kinds, group: str, version: str) -> dict[str, Any]:
    """What /api/v1 and /apis/GROUP/VERSION answer."""
    rows = []
    for resource in kinds.within(group, version):
        rows.append(_row(resource))
        rows += _subresource_rows(resource)
    head = {"kind": "APIResourceList", **({"apiVersion": "v1"} if group else {})}
    return {**head, "groupVersion": f"{group}/{version}" if group else version, "resources": rows}


def _optional(**fields: Any) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value}


def _row(resource: Resource) -> dict[str, Any]:
    return {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
        **_optional(
            shortNames=list(resource.short_names),
            categories=list(resource.categories),
            storageVersionHash=resource.hash,
        ),
    }


def _subresource_rows(resource: Resource) -> list[dict[str, Any]]:
    return [
        {
            "name": f"{resource.plural}/{sub.name}",
            "singularName": "",
            "namespaced": resource.namespaced,
            **_optional(group=sub.group, version=sub.version),
            "kind": sub.kind,
            "verbs": list(sub.verbs),
        }
        for sub in resource.subresources.values()
    ]


def aggregated(kinds: Kinds, names: list[str]) -> dict[str, Any]:
    """An APIGroupDiscoveryList (apidiscovery.k8s.io/v2) of some groups; the core group is the empty string."""
    items = [
        {
            "metadata": {"name": name} if name else {},
            "versions": [_version(kinds, name, v) for v in kinds.versions(name)],
        }
        for name in names
    ]
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _version(kinds: Kinds, group: str, version: str) -> dict[str, Any]:
    if (group, version) in kinds.aggregated:
        found = kinds.aggregated[group, version]
        if found is None:
            return {"version": version, "freshness": "Stale"}
        return {"version": version, "resources": found, "freshness": "Current"}
    rows = [_discovered(resource) for resource in kinds.within(group, version)]
    return {"version": version, "resources": rows, "freshness": "Current"}


def _discovered(resource: Resource) -> dict[str, Any]:
    own = (resource.group, resource.version) if resource.custom else ("", "")
    return {
        "resource": resource.plural,
        "responseKind": _kind(*own, resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
        **_optional(
            shortNames=list(resource.short_names),
            categories=list(resource.categories),
            subresources=[
                {
                    "subresource": sub.name,
                    "responseKind": _kind(sub.group or own[0], sub.version or own[1], sub.kind),
                    "verbs": list(sub.verbs),
                }
                for sub in resource.subresources.values()
            ],
        ),
    }


def _kind(group: str, version: str, kind: str) -> dict[str, str]:
    return {"group": group, "version": version, "kind": kind}


def discovered_rows(listed: list[Mapping[str, Any]], group: str, version: str) -> list[dict[str, Any]]:
    """What an APIResourceList says, in the form of aggregated discovery. Raises KeyError for what is none."""
    below: dict[str, list[dict[str, Any]]] = {}
    rows: list[dict[str, Any]] = []
    for row in listed:
        plural, _, name = row["name"].partition("/")
        kind = _kind(row.get("group") or group, row.get("version") or version, row["kind"])
        verbs = list(row.get("verbs") or ())
        if name:
            below.setdefault(plural, []).append({"subresource": name, "responseKind": kind, "verbs": verbs})
            continue
        rows.append(
            {
                "resource": plural,
                "responseKind": kind,
                "scope": "Namespaced" if row.get("namespaced") else "Cluster",
                "singularResource": row.get("singularName", ""),
                "verbs": verbs,
                **_optional(shortNames=row.get("shortNames"), categories=row.get("categories")),
            }
        )
    return [{**row, **_optional(subresources=below.get(row["resource"]))} for row in rows]
