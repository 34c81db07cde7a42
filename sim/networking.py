"""The network of a cluster put together: machines, sandboxes, packet filters, and the programs that look after them.

Neither of nodes, workloads and network knows the others; here they meet.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from seatrial.sim import ports, programs
from seatrial.sim.apiserver.context import ExternalCall
from seatrial.sim.apiserver.extension import ExtensionServer
from seatrial.sim.apiserver.kubelets import Answer
from seatrial.sim.apiserver.wiring import External, Steps, Wiring
from seatrial.sim.kernel.chance import Chance
from seatrial.sim.kernel.clock import Clock
from seatrial.sim.machinery.defaults import default
from seatrial.sim.machinery.trust import objection
from seatrial.sim.network import addons, behind
from seatrial.sim.network.agent import service_account
from seatrial.sim.network.announcer import Announcer
from seatrial.sim.network.connections import Connections
from seatrial.sim.network.coredns import CoreDNS
from seatrial.sim.network.dataplane import DataPlane, Routed
from seatrial.sim.network.hosts import Host, local_to
from seatrial.sim.network.ingress import IngressController, settings_of
from seatrial.sim.network.netfilter import PacketFilter
from seatrial.sim.network.outside import Outside
from seatrial.sim.network.policies import Policies
from seatrial.sim.network.portmap import PortMap
from seatrial.sim.network.proxy import KubeProxy
from seatrial.sim.network.requests import Requests
from seatrial.sim.network.statemetrics import StateMetrics
from seatrial.sim.nodes import exporter
from seatrial.sim.nodes.metrics_server import MetricsServer, resolution_of
from seatrial.sim.nodes.node import Node
from seatrial.sim.scheduler.config import read_config
from seatrial.sim.scheduler.scheduler import Scheduler
from seatrial.sim.workloads.net import HttpRequest, HttpResponse, answered_after_us, dialled
from seatrial.sim.workloads.process import Proc
from seatrial.sim.workloads.world import World

API_PORT = 6443
NETWORK = "bridge"
"""What the network plug-ins' configuration on machines is called."""
CONTROL_PORTS = {"kube-controller-manager": ports.MANAGER_PORT, "kube-scheduler": ports.SCHEDULER_PORT}


class Networking(NamedTuple):
    """What the composition root keeps of the network."""

    plane: DataPlane
    world: World
    requests: Requests
    connections: Connections
    """Of programs outside."""
    api_server: ApiServerPort
    components: list[Any]
    """What runs from the beginning; the rest is started by containers."""
    proxies: Mapping[str, KubeProxy]
    """By machine."""
    name_servers: list[CoreDNS]
    """All that were ever started, in their order."""


def host_of(wiring: Wiring, node: Node, chance: Chance) -> Host:
    """A machine as the network sees it; its rules are gone when it is switched off."""
    spec = node.spec
    packets = PacketFilter(
        local_to(spec.address, spec.pod_cidr), wiring.streams(f"packets/{spec.name}"), lambda: wiring.clock.now, chance
    )
    if spec.pod_cidr:
        node.runtime.port_mapper = PortMap(packets, NETWORK, spec.pod_cidr)
    node.on_power_off.append(packets.flush)
    return Host(spec.name, spec.address, spec.pod_cidr, packets, lambda: node.powered)


class _Addons:
    """Makes the components that the processes of kube-system's containers are."""

    def __init__(self, wiring: Wiring, plane: DataPlane, control_plane: str, control: Mapping[str, Any]) -> None:
        self._wiring, self._plane = wiring, plane
        self._control_plane, self._control = control_plane, control
        self.name_servers: list[CoreDNS] = []

    def coredns(self, proc: Proc, corefile: Callable[[], str]) -> CoreDNS:
        sandbox, plane = proc.container.sandbox, self._plane
        origin = plane.of_sandbox(sandbox)
        made = CoreDNS(
            self._wiring,
            sandbox.name,
            sandbox.host,
            corefile,
            lambda address: plane.name_server(origin, address),
            lambda: list(sandbox.dns.get("servers") or ()),
        )
        self.name_servers.append(made)
        return made

    def ingress(self, proc: Proc) -> IngressController:
        sandbox, plane = proc.container.sandbox, self._plane
        origin = plane.of_sandbox(sandbox)
        return IngressController(
            self._wiring,
            sandbox.namespace,
            sandbox.name,
            sandbox.host,
            settings_of(proc.argv, sandbox.namespace, tag_of(proc.container.image.reference)),
            lambda address, port: Routed(plane.reach(origin, plane.resolve(sandbox, address)[0], port)),
            HttpResponse,
            plane.chance,
            self._account(sandbox),
        )

    def metrics_server(self, proc: Proc) -> MetricsServer:
        sandbox = proc.container.sandbox
        user = service_account(sandbox.namespace, self._account(sandbox))
        return MetricsServer(self._wiring, sandbox.name, sandbox.host, user, resolution_of(proc.argv))

    def sample_apiserver(self, proc: Proc) -> ExtensionServer:
        sandbox = proc.container.sandbox
        user = service_account(sandbox.namespace, self._account(sandbox))
        name = f"sample-apiserver/{sandbox.name}"
        return ExtensionServer(self._wiring, sandbox.host, user, name, addons.sample_apiserver())

    def state_metrics(self, proc: Proc) -> StateMetrics:
        sandbox = proc.container.sandbox
        return StateMetrics(self._wiring, sandbox.namespace, sandbox.name, sandbox.host, self._account(sandbox))

    def _account(self, sandbox: Any) -> str:
        """The service account that a pod's processes are known by."""
        pod = self._wiring.endpoint.server.store.get("pods", sandbox.namespace, sandbox.name)
        return str(pod["spec"].get("serviceAccountName", "default")) if pod is not None else "default"

    def scheduler(self, proc: Proc) -> programs.Served:
        """The control plane's scheduler for its own process, and for any other one more. Raises OSError and ConfigError
        for a configuration that cannot be read."""
        sandbox = proc.container.sandbox
        if sandbox.host == self._control_plane and sandbox.host_network:
            return self._control["kube-scheduler"], None
        path = programs.flags_of(proc.argv).get("config")
        try:
            config = read_config(proc.fs.read(path, proc.cwd).decode()) if path else None
        except OSError as problem:
            raise OSError(problem.errno, os.strerror(problem.errno or 0).lower(), path) from None
        user = service_account(sandbox.namespace, self._account(sandbox))
        made = Scheduler(self._wiring, sandbox.host, config, user, sandbox.name)
        return made, ports.of_component(self._wiring.endpoint.server, made.metrics)

    def of_control_plane(self, name: str) -> Callable[[Proc], Any]:
        """The component of that name, for a process on the control plane's machine; nothing elsewhere."""
        return lambda proc: self._control.get(name) if proc.container.sandbox.host == self._control_plane else None


def build(
    wiring: Wiring,
    nodes: Sequence[Node],
    world: World,
    control_plane: str,
    edge: str,
    control: Mapping[str, Any],
) -> Networking:
    """Connects the machines. ``control`` are the control plane's components by the name of their program."""
    network = wiring.spec.network
    chance = Chance()
    hosts = [host_of(wiring, node, chance) for node in nodes]
    workers = [host for host in hosts if host.name != control_plane]
    policies = Policies(wiring, control_plane)
    announcer = Announcer(wiring, control_plane, lambda: [host.name for host in workers if host.up()])
    ranges = (network.service_cidr, network.pod_cidr)
    outside = Outside(HttpResponse)
    rng = wiring.streams("network/loss")
    plane = DataPlane(
        wiring.topology, hosts, world, policies, outside, announcer.machine_for, ranges, edge, rng, chance
    )
    api_server = plane.services[control_plane, "TCP", API_PORT] = ApiServerPort(wiring)
    proxies = {host.name: KubeProxy(wiring, host.name, host.address, host.packets) for host in hosts}
    listen_on_machines(plane, wiring, nodes, proxies, control, control_plane)
    makers = _Addons(wiring, plane, control_plane, control)

    for node in nodes:
        # kubeadm pulls these before it begins; workers pull theirs when they need them.
        for image in addons.images(wiring.spec) if node.host == control_plane else ():
            node.runtime.images.add(world.find_image(image), wiring.clock.now)
    world.network = plane
    world.programs.update(
        programs.table(
            {
                "kube-proxy": lambda proc: proxies.get(proc.container.sandbox.host),
                "kube-controller-manager": makers.of_control_plane("kube-controller-manager"),
            }
        )
    )
    world.programs["kube-scheduler"] = programs.served(makers.scheduler, ports.SCHEDULER_PORT)
    world.programs["coredns"] = programs.coredns(makers.coredns)
    world.programs["metrics-server"] = programs.metrics_server(makers.metrics_server)
    world.programs["sample-apiserver"] = programs.extension_server(makers.sample_apiserver)
    world.programs["kube-state-metrics"] = programs.state_metrics(makers.state_metrics)
    machines = {node.host: node for node in nodes}
    world.programs["node-exporter"] = programs.node_exporter(
        lambda proc: exporter.page(machines[proc.container.sandbox.host])
    )
    world.programs["nginx-ingress-controller"] = programs.ingress_controller(makers.ingress)
    pods = wiring.kubelets.pods = Pods(plane, control_plane)
    wiring.external = calls_to_pods(pods, plane, wiring.clock, wiring.external)
    requests = Requests(plane, wiring.clock, HttpRequest, addons.dns_address(network.service_cidr))
    sessions = wiring.kubelets.sessions
    assert sessions is not None
    behind.follow(wiring, outside, HttpResponse)
    connections = Connections(requests, wiring.clock, sessions, network.dns_domain, network.node_subnet)
    return Networking(
        plane, world, requests, connections, api_server, [policies, announcer], proxies, makers.name_servers
    )


def tag_of(reference: str) -> str:
    """The tag of an image's reference, which may have a digest behind it."""
    return reference.partition("@")[0].rpartition(":")[2]


def listen_on_machines(
    plane: DataPlane,
    wiring: Wiring,
    nodes: Sequence[Node],
    proxies: Mapping[str, KubeProxy],
    control: Mapping[str, Any],
    control_plane: str,
) -> None:
    """Opens the ports of what runs on machines beside containers."""
    server, services = wiring.endpoint.server, plane.services
    for node in nodes:
        name, proxy = node.host, proxies[node.host]
        kubelet = ports.of_kubelet(server, name, node.server.get)
        services[name, "TCP", ports.KUBELET_PORT] = ports.Port("kubelet", kubelet, partial(_runs, node))
        for port, answer in (
            (ports.PROXY_METRICS_PORT, ports.of_proxy(proxy.metrics)),
            (ports.PROXY_HEALTH_PORT, ports.of_proxy_health(partial(_ready, proxy))),
        ):
            services[name, "TCP", port] = ports.Port("kube-proxy", answer, partial(_runs, proxy), None)
    for name, port in CONTROL_PORTS.items():
        component = control.get(name)
        if component is not None:
            answer = ports.of_component(server, component.metrics)
            services[control_plane, "TCP", port] = ports.Port(name, answer, partial(_runs, component))


def _runs(component: Any) -> bool:
    return bool(component.running)


def _ready(proxy: KubeProxy) -> bool:
    return proxy.ready


def calls_to_pods(pods: Pods, plane: DataPlane, clock: Clock, beyond: External) -> External:
    """Calls of the API server that end at pods stay within the simulation; others leave it."""

    def perform(call: ExternalCall) -> Steps:
        for place in call.addresses:
            address, _, port = place.rpartition(":")
            if not port.isdigit() or address.count(".") != 3:
                continue
            standing = plane.outside.listeners.get((address, "TCP", int(port)))
            if standing is not None and getattr(standing, "beyond", None):
                # TLS and all: the process sees the call as the API server made it.
                where = ":".join(map(str, standing.beyond))
                return (yield from beyond(call._replace(addresses=(where,))))
            if plane.owner(address) is None:
                continue
            try:
                path = "/" + call.url.partition("://")[2].partition("/")[2]
                headers = {"Content-Type": "application/json", "Accept": "application/json", **dict(call.headers)}
                listener = pods.reach(address, int(port))
                problem = _distrust(call, listener)
                if problem:
                    return OSError(problem)
                answer: HttpResponse = listener.http(HttpRequest(call.method, path, headers, call.body, ""))
            except TimeoutError:
                yield clock.sleep(call.timeout_us)
                return OSError(f"dial tcp {place}: i/o timeout")
            except OSError:
                return OSError(f"dial tcp {place}: connect: connection refused")
            waits_us = answered_after_us(answer)
            if waits_us:
                yield clock.sleep(min(waits_us, call.timeout_us))
            if waits_us > call.timeout_us:
                return OSError(f'{call.method.capitalize()} "{call.url}": context deadline exceeded')
            return answer.code, answer.body
        return (yield from beyond(call))

    return perform


def _distrust(call: ExternalCall, listener: Routed) -> str:
    """What the API server says against the certificate of what answers; empty: it trusts it. *Not modelled*: a server
    that made its certificate itself is trusted too."""
    if call.insecure or listener.certificate is None:
        return ""
    host = call.server_name or urlsplit(call.url).hostname or ""
    pair = listener.certificate(host)
    return "" if pair is None else objection(pair[0].encode(), call.ca_bundle, host)


class Pods:
    """The way from the control plane's machine to the ports of pods and machines."""

    def __init__(self, plane: DataPlane, control_plane: str) -> None:
        self._plane, self._control_plane = plane, control_plane

    def ask(self, address: str, port: int, request: HttpRequest) -> HttpResponse:
        """Raises OSError."""
        response: HttpResponse = self.reach(address, port).http(request)
        return response

    def reach(self, address: str, port: int) -> Routed:
        """What listens there. Raises OSError."""
        return Routed(self._plane.reach(self._plane.of_host(self._control_plane), address, port))

    def request(
        self, address: str, port: int, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """Raises OSError in the dialler's words."""
        try:
            response = self.ask(address, port, HttpRequest(method, path, headers, body, ""))
        except OSError as problem:
            raise dialled(address, port, problem) from None
        return Answer(response.code, response.headers, response.body)


class ApiServerPort:
    """The API server's port; nothing listens there while the process is down."""

    def __init__(self, wiring: Wiring) -> None:
        self.name = "kube-apiserver"
        self._endpoint = wiring.endpoint
        self._page = programs.api_server(wiring.endpoint.server)
        self.certificate = programs.own_certificate
        self.beyond: tuple[str, int] | None = None
        """Where the same API server answers on the machine that the simulation runs on."""

    def listening(self) -> bool:
        return self._endpoint.up

    def http(self, request: Any) -> HttpResponse:
        if not self._endpoint.up:
            raise ConnectionRefusedError(111, "Connection refused")
        return self._page.http(request)

    def open(self, on_data: Callable[[bytes], None], on_close: Callable[[], None], client: str) -> Any:
        return self._page.open(on_data, on_close, client)


def put_static_pods(wiring: Wiring, node: Node) -> None:
    """The manifests of the control plane on its machine."""
    resource = wiring.kinds.resource("pods")
    for file, pod in addons.static_pods(wiring.spec, node.spec.address).items():
        node.kubelet.static_pods.put(file, default(resource, pod))
