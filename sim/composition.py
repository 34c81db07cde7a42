"""What a specification means in hosts, links and components."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from ipaddress import ip_address, ip_network
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from seatrial.sim.apiserver.wiring import Wiring
from seatrial.sim.config import ClusterSpec
from seatrial.sim.faults.seams import Seams
from seatrial.sim.kernel.topology import Topology
from seatrial.sim.signing import Sign
from seatrial.sim.store.store import Store

if TYPE_CHECKING:
    from seatrial.sim.apiserver.server import Apiserver
    from seatrial.sim.apiserver.sessions import Sessions
    from seatrial.sim.faults.catalogue import Faults
    from seatrial.sim.networking import Networking
    from seatrial.sim.nodes.node import Node
    from seatrial.sim.nodeshell.shells import Shells

CONTROL_PLANE: Final = "m-k8s"
"""The control plane's machine."""
LAN: Final = "lan"
"""Where the machines' links meet."""
CONTROL_PLANE_OCTET, WORKERS_OCTET = 10, 100
"""Where the machines' addresses begin in their subnet: the control plane is .10, workers are .101 on."""
NODE_PREFIX: Final = 24
"""--node-cidr-mask-size-ipv4."""
EXCLUDE_FROM_BALANCERS: Final = "node.kubernetes.io/exclude-from-external-load-balancers"
"""kubeadm's label of a control plane."""


class Component(Protocol):
    """What can be started and killed alone."""

    name: str
    host: str

    @property
    def running(self) -> bool: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def busy(self) -> list[str]:
        """What it is about to do."""


def workers(spec: ClusterSpec) -> list[str]:
    """The names of the worker machines that the cluster brings along."""
    if spec.control_plane_only:
        return []
    return [spec.node_names.replace("{n}", str(number)) for number in range(1, spec.nodes + 1)]


def topology(spec: ClusterSpec) -> Topology:
    """The machines and their links."""
    built, latency = Topology(), spec.latency
    built.add_host(LAN)
    built.add_host(CONTROL_PLANE, loopback_us=latency.control_plane_us)
    near = latency.node_us // 2
    built.link(CONTROL_PLANE, LAN, near)
    for name in workers(spec):
        built.add_host(name)
        built.link(name, LAN, latency.node_us - near)
    return built


class Parts(NamedTuple):
    """What a cluster consists of beside the API server."""

    components: list[Any]
    """In the order of their start; what containers start is not among them."""
    nodes: list[Node]
    network: Networking | None = None
    """None where there are no machines."""


def parts(wiring: Wiring, ca_certificate: str, signer: Sign) -> Parts:
    """The parts of the specification, not started yet."""
    if wiring.spec.controllers != "all":
        return Parts([], [])
    # A bare API server needs none of these, and they (numpy above all) take longest to import.
    from seatrial.sim.controllers.manager import ControllerManager
    from seatrial.sim.controllers.volume_attacher import Attacher
    from seatrial.sim.scheduler.config import read_config
    from seatrial.sim.scheduler.scheduler import Scheduler

    manager = ControllerManager(wiring, CONTROL_PLANE, shared={"root_ca": ca_certificate, "signer": signer})
    given = wiring.spec.scheduler_config
    scheduler = Scheduler(wiring, CONTROL_PLANE, read_config(given) if given else None)
    control_plane = [manager, scheduler, *([] if wiring.spec.control_plane_only else [Attacher(wiring, CONTROL_PLANE)])]
    if not workers(wiring.spec):
        return Parts(control_plane, [])
    from seatrial.sim import networking
    from seatrial.sim.workloads.world import World

    world = World(wiring)
    nodes = machines(wiring, world)
    control = {"kube-controller-manager": manager, "kube-scheduler": scheduler}
    network = networking.build(wiring, nodes, world, CONTROL_PLANE, LAN, control)
    if wiring.spec.addons:
        networking.put_static_pods(wiring, nodes[0])
    agents = network.components if wiring.spec.addons else []
    return Parts([*control_plane, *nodes, *agents], nodes, network)


def shells(
    parts: Parts, seams: Seams, faults: Faults, server: Apiserver, sessions: Sessions, authority: str
) -> Shells | None:
    """The machines from inside; None where there are none."""
    if parts.network is None:
        return None
    from seatrial.sim import programs
    from seatrial.sim.faults.control import ApiserverDown, EtcdNoQuorum
    from seatrial.sim.nodeshell.shells import Shells
    from seatrial.sim.nodeshell.site import Site

    nodes = {node.host: node for node in parts.nodes}
    site = Site(seams, faults, server, nodes, CONTROL_PLANE, authority)
    known = parts.network.world.programs
    known["kube-apiserver"] = programs.needed(CONTROL_PLANE, partial(ApiserverDown().start, seams))
    known["etcd"] = programs.needed(CONTROL_PLANE, partial(EtcdNoQuorum().start, seams), site.etcd.resume)
    return Shells(site, sessions)


def machines(wiring: Wiring, workloads: Any) -> list[Node]:
    """The control plane's machine and the workers."""
    spec = wiring.spec
    names = workers(spec)
    from seatrial.sim.nodes.machine import MachineSpec
    from seatrial.sim.nodes.node import CONTROL_PLANE as ROLE
    from seatrial.sim.nodes.node import CONTROL_PLANE_TAINT, Node

    size = spec.node
    ranges = pod_ranges(spec.network.pod_cidr, len(names) + 1)
    subnet = ip_address(f"{spec.network.node_subnet}.0")
    found = []
    for number, name in enumerate((CONTROL_PLANE, *names)):
        first = number == 0
        machine = MachineSpec(
            name,
            str(subnet + (CONTROL_PLANE_OCTET if first else WORKERS_OCTET + number)),
            size.cpus,
            size.memory,
            size.ephemeral_storage,
            size.pods,
            {ROLE: "", EXCLUDE_FROM_BALANCERS: ""} if first else {},
            (CONTROL_PLANE_TAINT,) if first else (),
            ranges[number],
        )
        found.append(Node(wiring, machine, workloads))
    return found


def pod_ranges(cidr: str, count: int) -> list[str]:
    """One range of 254 pods for each machine. Raises ValueError when the pod network is too small."""
    network = ip_network(cidr)
    ranges = [str(each) for each in islice(network.subnets(new_prefix=NODE_PREFIX), count)]
    if len(ranges) < count:
        fits = f"/{NODE_PREFIX - (count - 1).bit_length()}"
        raise ValueError(f"network.pod_cidr {cidr} holds {len(ranges)} of {count} nodes: give it a range of {fits}")
    return ranges


def seams(wiring: Wiring, built: Parts, nodes: Mapping[str, Node], store: Store) -> Seams:
    """Where faults may take hold of a cluster."""
    network = built.network
    alone = [each for each in built.components if each.name not in {node.name for node in built.nodes}]
    return Seams(
        wiring,
        nodes,
        {each.name: each for each in (*alone, *(network.proxies.values() if network else ()))},
        network.plane if network else None,
        network.world if network else None,
        network.name_servers if network else [],
        LAN,
        store,
    )
