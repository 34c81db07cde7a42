"""Processes on this machine behind Services of the cluster, over the control API.

A Service gives up its selector for as long as something is connected, and an EndpointSlice leads to the process; both
are ordinary objects, so everybody in the cluster sees the same, and what is connected survives a restart.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson
from pydantic import Field

from seatrial.api.control.bodies import Body
from seatrial.api.control.explain import answer
from seatrial.api.problem import Problem
from seatrial.api.server.assembly import Live
from seatrial.api.server.driver import Driver
from seatrial.sim.apiserver.request import Request
from seatrial.sim.network.behind import SLICES, TARGET
from seatrial.sim.network.requests import OUTSIDE_ADDRESS

if TYPE_CHECKING:
    from fastapi import FastAPI

PATH = "/seatrial/v1/connections"
SELECTOR = "seatrial.dev/selector"
"""The annotation of a Service that keeps its selector, as JSON."""
SERVICE_LABEL, MANAGED_BY = "kubernetes.io/service-name", "endpointslice.kubernetes.io/managed-by"
MANAGER = "seatrial"
MERGE = "application/merge-patch+json"
HOOKS = (
    "validatingwebhookconfigurations.admissionregistration.k8s.io",
    "mutatingwebhookconfigurations.admissionregistration.k8s.io",
)
Object = Mapping[str, Any]


class Wanted(Body):
    """Which Service, and the process that is to stand behind it."""

    service: str = Field(min_length=1)
    namespace: str = "default"
    host: str = Field(default="localhost", min_length=1, description="of the process, as this machine names it")
    port: int = Field(gt=0, lt=65536, description="of the process")
    service_port: str = Field(default="", description="name or number; needed where the Service has several")


class Connections:
    """Connects and disconnects, as the administrator would with kubectl."""

    def __init__(self, live: Live, driver: Driver) -> None:
        self._live, self._driver = live, driver

    async def _ask(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        raw = orjson.dumps(body) if body is not None else None
        response = await answer(self._live, self._driver, Request(method, path, body=raw, content_type=kind))
        if response.code == 404 and method == "DELETE":
            return None
        if response.code >= 400:
            told = response.body if isinstance(response.body, Mapping) else {}
            raise Problem(path, str(told.get("message") or response.code), "look at it with kubectl")
        return response.body

    async def connect(self, wanted: Wanted) -> dict[str, Any]:
        """Raises Problem."""
        store = self._live.cluster.store
        namespace, name = wanted.namespace, wanted.service
        what = f"service {namespace}/{name}"
        service = store.get("services", namespace, name)
        if service is None:
            mend = f"see what there is: kubectl get services -n {namespace}; or make it: kubectl create service"
            raise Problem(what, "there is none of that name", mend)
        if service["spec"].get("type") == "ExternalName":
            raise Problem(what, "it is a name for something elsewhere (ExternalName)", "give it another type")
        port = _port(what, service, wanted.service_port)
        for other in connected(store.list(SLICES)):
            if (other["port"], other["host"]) != (wanted.port, wanted.host) and other["port"] == wanted.port:
                mend = "let one of the two processes listen on another port"
                raise Problem(what, f"port {wanted.port} leads to {other['host']} already, for {other['name']}", mend)
        await self._free(service)
        await self._ask("DELETE", _slices(namespace, f"{name}-{MANAGER}"))
        await self._ask("POST", _slices(namespace), _slice(wanted, port))
        return {"service": name, "namespace": namespace, "target": f"{wanted.host}:{wanted.port}"}

    async def _free(self, service: Object) -> None:
        """Takes the Service from its pods: selector, endpoints and slices."""
        namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
        selector = service["spec"].get("selector")
        if selector:
            patch = {
                "metadata": {"annotations": {SELECTOR: json.dumps(selector)}},
                "spec": {"selector": dict.fromkeys(selector)},
            }
            await self._ask("PATCH", f"/api/v1/namespaces/{namespace}/services/{name}", patch, MERGE)
        await self._ask("DELETE", f"/api/v1/namespaces/{namespace}/endpoints/{name}")
        for each in self._live.cluster.store.list(SLICES, namespace):
            if (each["metadata"].get("labels") or {}).get(SERVICE_LABEL) == name:
                await self._ask("DELETE", _slices(namespace, each["metadata"]["name"]))

    async def disconnect(self, namespace: str, name: str) -> dict[str, Any]:
        """Raises Problem."""
        store = self._live.cluster.store
        found = [each for each in connected(store.list(SLICES)) if each["name"] == f"{namespace}/{name}"]
        if not found:
            what = f"service {namespace}/{name}"
            raise Problem(what, "nothing is connected to it", f"seatrial connect svc/{name} -n {namespace} --to PORT")
        await self._ask("DELETE", _slices(namespace, f"{name}-{MANAGER}"))
        service = store.get("services", namespace, name)
        kept = ((service or {}).get("metadata", {}).get("annotations") or {}).get(SELECTOR)
        if kept is not None:
            patch = {"metadata": {"annotations": {SELECTOR: None}}, "spec": {"selector": json.loads(kept)}}
            await self._ask("PATCH", f"/api/v1/namespaces/{namespace}/services/{name}", patch, MERGE)
        return {"service": name, "namespace": namespace}


def _slices(namespace: str, name: str = "") -> str:
    path = f"/apis/discovery.k8s.io/v1/namespaces/{quote(namespace)}/endpointslices"
    return f"{path}/{quote(name)}" if name else path


def _port(what: str, service: Object, asked: str) -> Object:
    """The Service's port that is meant. Raises Problem."""
    ports: list[Object] = [each for each in service["spec"].get("ports") or () if each.get("protocol") in (None, "TCP")]
    names = ", ".join(f"{each.get('name') or '-'} ({each['port']})" for each in ports) or "none"
    chosen = [each for each in ports if not asked or asked in (each.get("name"), str(each["port"]))]
    if len(chosen) != 1:
        why = f"it has no TCP port {asked}" if asked and ports else f"it has {len(ports)} TCP ports"
        raise Problem(what, why, f"say which with --port: there are {names}")
    return chosen[0]


def _slice(wanted: Wanted, port: Object) -> dict[str, Any]:
    metadata = {
        "name": f"{wanted.service}-{MANAGER}",
        "namespace": wanted.namespace,
        "labels": {SERVICE_LABEL: wanted.service, MANAGED_BY: MANAGER},
        "annotations": {TARGET: f"{wanted.host}:{wanted.port}"},
    }
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata,
        "addressType": "IPv4",
        "endpoints": [{"addresses": [OUTSIDE_ADDRESS], "conditions": {"ready": True}}],
        "ports": [{"name": port.get("name", ""), "port": wanted.port, "protocol": "TCP"}],
    }


def connected(slices: list[Any]) -> list[dict[str, Any]]:
    """What is connected: the service, and host and port of the process."""
    found = []
    for each in slices:
        metadata = each["metadata"]
        host, _, port = ((metadata.get("annotations") or {}).get(TARGET) or "").rpartition(":")
        if port.isdigit():
            service = f"{metadata['namespace']}/{(metadata.get('labels') or {}).get(SERVICE_LABEL, '')}"
            found.append({"name": service, "host": host, "port": int(port)})
    return found


def unserved(live: Live) -> Iterator[dict[str, str]]:
    """Webhooks that refuse requests when they cannot be asked, and whose Service nobody is behind."""
    store = live.cluster.store
    for storage in HOOKS:
        for configuration in store.list(storage):
            for hook in configuration.get("webhooks") or ():
                service = (hook.get("clientConfig") or {}).get("service")
                if not service or hook.get("failurePolicy") == "Ignore":
                    continue
                if not _has_endpoints(store.list(SLICES, service["namespace"]), service["name"]):
                    yield {
                        "webhook": hook["name"],
                        "configuration": configuration["metadata"]["name"],
                        "kind": storage.partition(".")[0],
                        "namespace": service["namespace"],
                        "service": service["name"],
                    }


def _has_endpoints(slices: list[Any], service: str) -> bool:
    return any(
        (endpoint.get("conditions") or {}).get("ready", True)
        for each in slices
        if (each["metadata"].get("labels") or {}).get(SERVICE_LABEL) == service
        for endpoint in each.get("endpoints") or ()
    )


def add_to(live: Live, driver: Driver, app: FastAPI) -> None:
    """Adds the paths to the control API's application."""
    from fastapi import HTTPException

    connections = Connections(live, driver)

    def refused(problem: Problem) -> HTTPException:
        return HTTPException(409, {"what": problem.what, "why": problem.why, "mend": problem.mend})

    @app.get(PATH)
    async def show_connections() -> dict[str, Any]:
        """What is connected, and which webhooks nobody serves that refuse requests for it."""
        return {"connections": connected(live.cluster.store.list(SLICES)), "unserved": list(unserved(live))}

    @app.post(PATH)
    async def connect(wanted: Wanted) -> dict[str, Any]:
        """Puts a process of this machine behind a Service."""
        try:
            return await connections.connect(wanted)
        except Problem as problem:
            raise refused(problem) from None

    @app.delete(PATH + "/{namespace}/{service}")
    async def disconnect(namespace: str, service: str) -> dict[str, Any]:
        """Gives a Service back to its pods."""
        try:
            return await connections.disconnect(namespace, service)
        except Problem as problem:
            raise refused(problem) from None
