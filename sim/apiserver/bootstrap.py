"""What a fresh cluster holds before anybody asks: namespaces, bootstrap RBAC, priority levels, the kubernetes service.

Source: k8s.io/kubernetes/pkg/registry/rbac/rest, …/flowcontrol/rest, …/scheduling/rest, and
k8s.io/kubernetes/pkg/controlplane/controller/{systemnamespaces,kubernetesservice,legacytokentracking,defaultservicecidr},
as a real server of this version lists them (``machinery/data/initial_objects.json.gz``).

Rules of aggregated roles are left to the clusterrole-aggregation controller, ServiceAccounts named ``default`` and the
root CA to theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from seatrial.sim.apiserver.client import prefix_of
from seatrial.sim.apiserver.loopback import send
from seatrial.sim.apiserver.request import Object
from seatrial.sim.apiserver.routing import parse
from seatrial.sim.apiserver.server import Apiserver
from seatrial.sim.machinery import legacy
from seatrial.sim.machinery.schema import data

SERVICE_PORT = 6443
"""--secure-port of a kubeadm control plane."""
LEFT_TO_CONTROLLERS = frozenset({("configmaps", "kube-root-ca.crt"), ("serviceaccounts", "default")})
SERVER_SET = ("creationTimestamp", "resourceVersion", "uid", "generation", "managedFields")


def bootstrap(server: Apiserver, ca_certificate: str = "") -> None:
    """Creates the initial objects in an empty store; a store that has been filled before is left alone."""
    if server.store.get("namespaces", "", "kube-system") is not None:
        return
    for path, obj in _initial(server):
        if obj.get("metadata", {}).get("name") == "extension-apiserver-authentication":
            obj = {**obj, "data": _authentication(ca_certificate)}
        _post(server, path, obj)
    for path, obj in (*_own_service(server), *_legacy_services(server)):
        _post(server, path, obj)


def _initial(server: Apiserver) -> Iterator[tuple[str, Object]]:
    """(collection path, object) in the order in which a server creates them."""
    found = []
    for path, objects in data("initial_objects").items():
        info = parse("GET", path)
        resource = server.kinds.find(info.group, info.version, info.resource)
        for obj in objects:
            metadata = obj["metadata"]
            plural = path.rsplit("/", 1)[-1]
            if (plural, metadata["name"]) in LEFT_TO_CONTROLLERS:
                continue
            if plural == "serviceaccounts" and server.spec.controllers == "none":
                continue
            where = prefix_of(resource).path(metadata.get("namespace", ""))
            found.append((int(metadata["resourceVersion"]), where, _clean(resource, path, obj)))
    found.sort(key=lambda entry: entry[0])
    yield from ((where, obj) for _, where, obj in found)


def _legacy_services(server: Apiserver) -> Iterator[tuple[str, Object]]:
    """The APIServices of the versions that an API profile adds, made as those of today's versions are."""
    path = "/apis/apiregistration.k8s.io/v1/apiservices"
    resource = server.kinds.find("apiregistration.k8s.io", "v1", "apiservices")
    model = data("initial_objects")[path][0]
    priorities = {
        obj["spec"].get("group", ""): obj["spec"]["groupPriorityMinimum"] for obj in data("initial_objects")[path]
    }
    added = dict.fromkeys((row.group, row.version) for row in server.kinds if row.legacy is not None)
    for group, version in added:
        if group == "apiregistration.k8s.io":
            continue
        spec = {
            "group": group,
            "version": version,
            "groupPriorityMinimum": {**priorities, **legacy.PRIORITIES}[group],
            "versionPriority": legacy.VERSION_PRIORITY,
        }
        named = {**model, "metadata": {**model["metadata"], "name": f"{version}.{group}"}, "spec": spec}
        yield path, _clean(resource, path, named)


def _clean(resource: Any, path: str, obj: Mapping[str, Any]) -> Object:
    """An object as it was sent, without what a server or a controller added."""
    metadata = {key: value for key, value in obj["metadata"].items() if key not in SERVER_SET}
    clean = {"kind": resource.kind, "apiVersion": resource.api_version, **obj, "metadata": metadata}
    if clean.get("aggregationRule"):
        clean["rules"] = None
    if "/services" in path:
        ports = [{**port, "targetPort": SERVICE_PORT} for port in clean["spec"]["ports"]]
        clean["spec"] = {**clean["spec"], "ports": ports}
    return clean


def _authentication(ca_certificate: str) -> dict[str, str]:
    return {
        "client-ca-file": ca_certificate,
        "requestheader-allowed-names": '["front-proxy-client"]',
        "requestheader-client-ca-file": ca_certificate,
        "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
        "requestheader-group-headers": '["X-Remote-Group"]',
        "requestheader-uid-headers": '["X-Remote-Uid"]',
        "requestheader-username-headers": '["X-Remote-User"]',
    }


def _own_service(server: Apiserver) -> Iterator[tuple[str, Object]]:
    """The endpoints of the kubernetes service (reconcilers.LeaseEndpointReconciler)."""
    address = f"{server.spec.network.node_subnet}.10"
    port = {"name": "https", "port": SERVICE_PORT, "protocol": "TCP"}
    mirrored = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    yield (
        "/api/v1/namespaces/default/endpoints",
        {
            "kind": "Endpoints",
            "apiVersion": "v1",
            "metadata": {"name": "kubernetes", "namespace": "default", "labels": mirrored},
            "subsets": [{"addresses": [{"ip": address}], "ports": [port]}],
        },
    )
    yield (
        "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
        {
            "kind": "EndpointSlice",
            "apiVersion": "discovery.k8s.io/v1",
            "metadata": {
                "name": "kubernetes",
                "namespace": "default",
                "labels": {"kubernetes.io/service-name": "kubernetes"},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
            "ports": [port],
        },
    )


def _post(server: Apiserver, path: str, obj: Object) -> None:
    answer = send(server, "POST", path, obj)
    assert answer.code == 201, (path, obj["metadata"]["name"], answer.body)
    status = obj.get("status")
    if status and answer.body.get("status") != status:
        name = obj["metadata"]["name"]
        body = {**answer.body, "status": status}
        answer = send(server, "PUT", f"{path}/{name}/status", body)
        assert answer.code == 200, (path, name, answer.body)
