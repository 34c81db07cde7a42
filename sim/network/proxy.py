"""kube-proxy: turns services and endpoint slices into rules of its node's packet filter.

Source: k8s.io/kubernetes/pkg/proxy/iptables/proxier.go and pkg/proxy/runner (one sync at once, then at most one per
``--iptables-min-sync-period``). The rules stay when the process ends: they are the kernel's. Not modelled: full syncs
every hour that rewrite what is there already.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from seatrial.sim.apiserver.client import Unreachable
from seatrial.sim.apiserver.events import noted
from seatrial.sim.apiserver.informer import Informer
from seatrial.sim.apiserver.wiring import Wiring
from seatrial.sim.kernel.clock import Timer, parse_stamp
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.machinery.metrics import Meters, Rows, standing
from seatrial.sim.network.agent import Agent, Steps, service_account
from seatrial.sim.network.iptables import Ruleset
from seatrial.sim.network.netfilter import PacketFilter
from seatrial.sim.network.proxy_rules import Fragment, Place, assemble, fragment
from seatrial.sim.network.servicemap import (
    HEADLESS_LABEL,
    PROXY_LABEL,
    SERVICE_LABEL,
    ZONE_LABEL,
    choose,
    endpoints_of,
    service_ports,
)

Object = Mapping[str, Any]
TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"
MIN_SYNC_US = 1_000_000
"""--iptables-min-sync-period."""
MONITOR_US = 30_000_000
"""How often somebody looks whether the rules are still there (proxyutil.FullSyncPeriod's canary)."""
SYNC_US = 30_000
"""How long a run of iptables-restore takes."""
NOT_HEADLESS = f"!{HEADLESS_LABEL},!{PROXY_LABEL}"
"""Which services and slices are watched (cmd/kube-proxy/app/server.go)."""
USER_AGENT = "kube-proxy/v1.37.2 (linux/amd64) kubernetes/2d9a1bd"
Known = tuple[Object, tuple[Object, ...]]
"""A service with its slices."""


def service_of(piece: Object) -> str:
    """The service that a slice belongs to, as namespace/name."""
    metadata = piece["metadata"]
    return f"{metadata['namespace']}/{(metadata.get('labels') or {}).get(SERVICE_LABEL, '')}"


class KubeProxy(Agent):
    """The proxy of one node; ``packets`` is the node's kernel."""

    def __init__(self, wiring: Wiring, node: str, address: str, packets: PacketFilter) -> None:
        user = service_account("kube-system", "kube-proxy")
        super().__init__(wiring, f"kube-proxy/{node}", node, user, USER_AGENT)
        self.packets = packets
        self.syncs = 0
        self.meters = Meters("kube-proxy")
        """What this process counted."""
        self._place = Place(node, wiring.spec.network.pod_cidr, address)
        self._forget()

    def _forget(self) -> None:
        self._known: dict[str, Known] = {}
        self._fragments: dict[str, tuple[Known, list[Fragment]]] = {}
        self._dirty: dict[str, None] = {}
        self._triggers: dict[str, None] = {}
        self._timer: Timer | None = None
        self._restore: Timer | None = None
        """The end of the run of iptables-restore that is under way."""
        self._monitor: Timer | None = None
        self._begun_us: int | None = None
        """When the last sync began."""
        self._synced_us: int | None = None
        """When the last sync that has ended began."""
        self._informers: list[Informer] = []

    def _begin(self) -> None:
        self._forget()
        self.meters = self.client.meters = Meters("kube-proxy")
        self._services = self.watch("services", self._service_changed, NOT_HEADLESS)
        self._slices = self.watch(
            "endpointslices.discovery.k8s.io",
            self._slice_changed,
            NOT_HEADLESS,
            indexers={"service": lambda piece: (service_of(piece),)},
        )
        node = self.watch("nodes", self._node_changed, field_selector=f"metadata.name={self.host}")
        self._informers = [self._services, self._slices, node]
        self._began_us = self.clock.now
        self.packets.on_flush = self._flushed
        self.spawn(self._first(), "first")
        self.spawn(self._birth_cry(), "events")

    def _end(self) -> None:
        for timer in (self._timer, self._restore, self._monitor):
            if timer is not None:
                timer.cancel()
        self._timer = self._restore = self._monitor = None

    def _birth_cry(self) -> Steps:
        """Tells of the start on its node (server.go: birthCry)."""
        about = {"kind": "Node", "name": self.host, "uid": self.host}
        events, now = self.wiring.kinds.find("events.k8s.io", "v1", "events"), self.clock.now
        if events is None:
            return
        event = noted(now * 1000, now, "kube-proxy", self.host, about, "Normal", "Starting", "StartKubeProxy", "")
        with suppress(ApiError, Unreachable):
            yield from self.client.create(events, event)

    def _first(self) -> Steps:
        """Nothing is written before all views are there."""
        yield from self.synced(self._informers)
        self._schedule()

    @property
    def ready(self) -> bool:
        """Whether it has written rules since its start (/healthz)."""
        return self.running and self._synced_us is not None

    def metrics(self) -> bytes:
        """What /metrics tells."""
        synced = self._synced_us
        values: dict[str, Rows | float] = {
            **standing(self.wiring.spec.kubernetes_version, self._began_us if self.running else 0),
            "kubeproxy_sync_proxy_rules_last_timestamp_seconds": (synced + SYNC_US) / 1e6 if synced is not None else 0,
            "kubeproxy_sync_proxy_rules_service_changes_pending": len(self._dirty),
        }
        return self.meters.text(values)

    def busy(self) -> list[str]:
        return [f"{self.name}: sync of rules"] if self._timer is not None or self._restore is not None else []

    def _service_changed(self, verb: str, new: Object | None, old: Object | None) -> None:
        metadata = (new or old or {})["metadata"]
        self.meters.count("kubeproxy_sync_proxy_rules_service_changes_total")
        self._mark(f"{metadata['namespace']}/{metadata['name']}")

    def _slice_changed(self, verb: str, new: Object | None, old: Object | None) -> None:
        self.meters.count("kubeproxy_sync_proxy_rules_endpoint_changes_total")
        self._note_trigger(new)
        for piece in (new, old):
            if piece is not None:
                self._mark(service_of(piece))

    def _note_trigger(self, piece: Object | None) -> None:
        """Remembers when what a slice tells had happened, until it is in the rules."""
        stamp = ((piece or {}).get("metadata", {}).get("annotations") or {}).get(TRIGGER)
        if stamp:
            self._triggers[stamp] = None

    def _flushed(self) -> None:
        """Somebody took the rules away: the monitor's next look finds its canary chain missing."""
        if self.running and self._monitor is None and self._synced_us is not None:
            late = (self.clock.now - self._began_us) % MONITOR_US
            self._monitor = self.clock.after(MONITOR_US - late, self._schedule, periodic=True)

    def _node_changed(self, verb: str, new: Object | None, old: Object | None) -> None:
        zone = ((new or {}).get("metadata") or {}).get("labels", {}).get(ZONE_LABEL, "")
        if new is not None and zone != self._place.zone:
            self._place = self._place._replace(zone=zone)
            self._fragments = {}
            for key in self._known:
                self._mark(key)

    def _mark(self, key: str) -> None:
        self._dirty[key] = None
        if self._timer is None and all(informer.synced for informer in self._informers) and self._informers:
            self._schedule()

    def _schedule(self) -> None:
        if self._timer is not None:
            return
        now, last = self.clock.now, self._begun_us
        self._timer = self.clock.at(now if last is None else max(now, last + MIN_SYNC_US), self._sync)

    def _sync(self) -> None:
        """Has the rules of what is known now written; what changes meanwhile is for the next sync."""
        self._timer, self._begun_us = None, self.clock.now
        dirty, self._dirty = self._dirty, {}
        for key in dirty:
            namespace, _, name = key.partition("/")
            service = self._services.view.get(namespace, name)
            if service is None:
                self._known.pop(key, None)
                self._fragments.pop(key, None)
            else:
                self._known[key] = (service, tuple(self._slices.view.indexed("service", key)))
        known, place, made = dict(self._known), self._place, self._fragments
        triggers, self._triggers = self._triggers, {}
        rules = partial(_written, known, place, made)
        self._restore = self.clock.after(SYNC_US, partial(self._restored, rules, tuple(triggers)))

    def _restored(self, rules: Callable[[], Ruleset], triggers: tuple[str, ...]) -> None:
        self._restore, self._synced_us = None, self._begun_us
        if self._monitor is not None:
            self._monitor.cancel()
            self._monitor = None
        self.syncs += 1
        self.meters.observe("kubeproxy_sync_proxy_rules_duration_seconds", SYNC_US)
        for stamp in triggers:
            took = max(self.clock.now - parse_stamp(stamp), 0)
            self.meters.observe("kubeproxy_network_programming_duration_seconds", took)
        self.packets.install("kube-proxy", rules)


def _written(known: Mapping[str, Known], place: Place, made: dict[str, tuple[Known, list[Fragment]]]) -> Ruleset:
    """The ruleset of what a proxy knew; fragments of services that stayed the same are taken over."""
    fragments: list[Fragment] = []
    for key in sorted(known):
        about = known[key]
        held = made.get(key)
        if held is None or held[0] is not about:
            held = made[key] = (about, _fragments(about, place))
        fragments += held[1]
    return assemble(fragments)


def _fragments(about: Known, place: Place) -> list[Fragment]:
    service, slices = about
    found = []
    for port in service_ports(service):
        endpoints = endpoints_of(slices, port.port_name, port.protocol)
        found.append(fragment(port, choose(endpoints, port, place.node, place.zone), place))
    return found
