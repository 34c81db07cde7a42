"""Faults of the network: partitions, loss, delay, names, and the world outside."""

from __future__ import annotations

from functools import partial

from pydantic import Field

from seatrial.sim.config import MS
from seatrial.sim.faults.fault import Fault, OnNodes
from seatrial.sim.faults.seams import Heal, NotThere, Seams, together


class Partition(Fault):
    """Nothing passes between two sets of machines."""

    kind = "partition"
    opposite = "The links are there again; broken connections are made anew."
    subject = "a"
    symptom = "Connections between them time out; a node cut off from the API server is NotReady after 40 to 60 s."
    a: tuple[str, ...] = Field(min_length=1, description="Machines on one side.")
    b: tuple[str, ...] = Field(default=(), description="Machines on the other; empty: all others.")
    one_way: bool = Field(default=False, description="Only what goes from a to b is lost.")

    def start(self, seams: Seams) -> Heal:
        others = self.b or tuple(name for name in seams.nodes if name not in self.a)
        return together([seams.cut(x, y, self.one_way) for x in self.a for y in others])


class LinkQuality(OnNodes):
    """A machine's link loses packets or is slow."""

    kind = "link-quality"
    opposite = "The link is as it was."
    symptom = (
        "Requests take longer: by the delay, and by TCP's retransmissions of 0.2 and 1 s and more for what is lost."
    )
    loss: float = Field(default=0.0, ge=0, le=1, description="The share of packets that is lost.")
    delay_ms: int = Field(default=0, ge=0, description="How much longer each takes, in milliseconds.")

    def start(self, seams: Seams) -> Heal:
        return together([self._spoil(seams, name) for name in seams.node_names(self.node, self.selector)])

    def _spoil(self, seams: Seams, name: str) -> Heal:
        if seams.holds(("link", name)):
            raise NotThere(f"the link of {name} is spoilt already: remove that fault first")
        topology, edge = seams.wiring.topology, seams.edge
        normal = topology.way(name, edge)
        if normal is None:
            raise NotThere(f"{name} has no link: it is cut off")
        spoilt = normal.latency_us + self.delay_ms * MS
        return seams.hold(
            ("link", name),
            partial(topology.link, name, edge, spoilt, self.loss),
            partial(topology.link, name, edge, normal.latency_us, 1.0 - normal.passes),
        )


class DnsStop(Fault):
    """The cluster's name servers stand still: questions are not answered."""

    kind = "dns-stop"
    opposite = "The name servers answer."
    symptom = "Names do not resolve after some seconds of waiting; connections to addresses work."

    def start(self, seams: Seams) -> Heal:
        def silence(silent: bool) -> None:
            for server in seams.name_servers:
                server.silent = silent

        return seams.hold("dns", partial(silence, True), partial(silence, False))


class DnsSlow(Fault):
    """The cluster's name servers take long to answer."""

    kind = "dns-slow"
    opposite = "They answer as fast as before."
    symptom = (
        "Connections to names take longer by that much, and fail when it is five seconds or more; addresses do not."
    )
    delay_ms: int = Field(default=2000, ge=1, description="How much longer a question takes, in milliseconds.")

    def start(self, seams: Seams) -> Heal:
        plane = seams.plane
        plane.lookup_us += self.delay_ms * MS

        def heal() -> None:
            plane.lookup_us -= self.delay_ms * MS

        return heal


class UpstreamDnsDown(Fault):
    """The name servers outside the cluster do not answer."""

    kind = "upstream-dns-down"
    opposite = "The name servers of the world answer."
    symptom = "Services resolve, names of the world do not (SERVFAIL)."

    def start(self, seams: Seams) -> Heal:
        outside = seams.plane.outside
        return seams.hold(
            "outside-names", partial(setattr, outside, "names", False), partial(setattr, outside, "names", True)
        )


class OutsideUnreachable(Fault):
    """The cluster has no way to the world."""

    kind = "outside-unreachable"
    opposite = "The way to the world is there again."
    symptom = "Connections to addresses outside time out; images that are not on a node are pulled all the same."

    def start(self, seams: Seams) -> Heal:
        outside = seams.plane.outside
        return seams.hold(
            "outside", partial(setattr, outside, "reachable", False), partial(setattr, outside, "reachable", True)
        )


class WatchDrop(Fault):
    """All watches of a machine's components break at this moment, as a load balancer's restart does it."""

    kind = "watch-drop"
    subject = "node"
    symptom = "None beyond a short delay: the components watch again from where they were."
    once = True
    node: str = Field(default="", description="The machine; empty for all.")

    def start(self, seams: Seams) -> Heal:
        for informer in list(seams.wiring.informers):
            if not self.node or informer.host == self.node:
                informer.disconnect()
        return lambda: None


LINKS = (Partition, LinkQuality, DnsStop, DnsSlow, UpstreamDnsDown, OutsideUnreachable, WatchDrop)
