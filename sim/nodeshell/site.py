"""What the machines of one cluster have in common, for whoever works on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from seatrial.sim.apiserver.client import Client
from seatrial.sim.apiserver.request import User
from seatrial.sim.apiserver.server import Apiserver
from seatrial.sim.apiserver.wiring import Wiring
from seatrial.sim.config import ClusterSpec
from seatrial.sim.faults.catalogue import Faults
from seatrial.sim.faults.seams import Seams
from seatrial.sim.kernel.clock import parse_stamp
from seatrial.sim.network.dataplane import DataPlane
from seatrial.sim.nodes.node import Node
from seatrial.sim.nodeshell.etcd import Etcd
from seatrial.sim.nodeshell.pki import Authority
from seatrial.sim.workloads.process import Proc
from seatrial.sim.workloads.world import World

API_PORT = 6443
ADMIN = User("kubernetes-admin", ("kubeadm:cluster-admins", "system:masters", "system:authenticated"))
"""Whom /etc/kubernetes/admin.conf names."""


@dataclass(slots=True)
class Site:
    """The cluster around a machine."""

    seams: Seams
    faults: Faults
    server: Apiserver
    nodes: Mapping[str, Node]
    control_plane: str
    authority: str = ""
    """The cluster's CA in PEM, where somebody outside keeps one."""
    programs: dict[str, Callable[[Proc], Any]] = field(default_factory=dict)
    """Programs that whoever composes the cluster adds to its machines, such as kubectl."""

    _certificates: Authority | None = None
    _etcd: Etcd | None = None

    @property
    def etcd(self) -> Etcd:
        """etcd's data on the control plane's disk."""
        if self._etcd is None:
            self._etcd = Etcd(self.server, self.authority)
        return self._etcd

    @property
    def wiring(self) -> Wiring:
        return self.seams.wiring

    @property
    def edge(self) -> str:
        """Where the user's own machine is."""
        return self.seams.edge

    @property
    def begins_us(self) -> int:
        """When the cluster was installed."""
        system = self.server.store.get("namespaces", "", "kube-system")
        return self.wiring.clock.now if system is None else parse_stamp(system["metadata"]["creationTimestamp"])

    @property
    def certificates(self) -> Authority:
        """The cluster's authorities."""
        if self._certificates is None:
            seed, spec = f"{self.wiring.streams.seed}/{self.spec.name}", self.spec
            self._certificates = Authority(
                seed, self.begins_us, self.authority, self.control_plane, self.api_address, spec.network.service_cidr
            )
        return self._certificates

    @property
    def spec(self) -> ClusterSpec:
        return self.wiring.spec

    @property
    def plane(self) -> DataPlane:
        plane: DataPlane = self.seams.plane
        return plane

    @property
    def world(self) -> World:
        world: World = self.seams.world
        return world

    @property
    def api_address(self) -> str:
        """The address of the control plane's machine."""
        return self.nodes[self.control_plane].spec.address

    def client(self, host: str, program: str) -> Client:
        """A way to the API server for a program on a machine, as the administrator."""
        return Client(self.wiring, host, ADMIN, f"{program}/{self.spec.kubernetes_version} (linux/amd64)")
