"""CoreDNS: one server that answers from the cluster's objects and asks others for the rest.

It watches services, slices and namespaces as its ServiceAccount may. Source: coredns/plugin/{kubernetes,cache,forward,
hosts,rewrite,loadbalance}. A Corefile that changes is taken up when somebody asks next, if it can be parsed; upstream
looks every 30 s. Not modelled: health checks of upstream servers, prefetching.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from seatrial.sim.apiserver.wiring import Wiring
from seatrial.sim.network.agent import Agent, service_account
from seatrial.sim.network.corefile import Block, CorefileError, Directive, block_for, parse
from seatrial.sim.network.hosts import timed_out
from seatrial.sim.network.names import NOERROR, NXDOMAIN, REFUSED, REVERSE, SERVFAIL, Answer, Question, Record, lookup
from seatrial.sim.network.proxy import service_of
from seatrial.sim.network.resolver import Dial, ask, chased

Object = Mapping[str, Any]
S = 1_000_000
CACHE_MAX_S = 3600
SLICES = "endpointslices.discovery.k8s.io"


class CoreDNS(Agent):
    """One CoreDNS process. ``corefile`` gives the configuration's text, ``dial`` the way to other servers,
    ``nameservers`` those of its own /etc/resolv.conf. ``start`` raises CorefileError."""

    def __init__(
        self,
        wiring: Wiring,
        instance: str,
        host: str,
        corefile: Callable[[], str],
        dial: Dial,
        nameservers: Callable[[], list[str]],
    ) -> None:
        super().__init__(wiring, f"coredns/{instance}", host, service_account("kube-system", "coredns"), "coredns/1.12")
        self._corefile, self._dial, self._nameservers = corefile, dial, nameservers
        self._text = ""
        self._blocks: list[Block] = []
        self._rng = wiring.streams(f"coredns/{instance}")
        self._cache: dict[Question, tuple[int, Answer]] = {}
        self.silent = False
        """Questions arrive and nobody answers: a process that is stopped by SIGSTOP."""

    def _begin(self) -> None:
        self._cache = {}
        self._text = self._corefile()
        self._blocks = parse(self._text)
        self._services = self.watch("services", indexers={"address": _service_addresses})
        indexers = {"service": lambda piece: (service_of(piece),), "address": _slice_addresses}
        self._slices = self.watch(SLICES, indexers=indexers)
        self._namespaces = self.watch("namespaces")

    @property
    def ready(self) -> bool:
        return self.running and self._services.synced and self._slices.synced and self._namespaces.synced

    # The objects (names.Cluster)

    def service(self, namespace: str, name: str) -> Object | None:
        return self._services.view.get(namespace, name)

    def services_at(self, address: str) -> list[Object]:
        return list(self._services.view.indexed("address", address))

    def slices(self, namespace: str, name: str) -> list[Object]:
        return list(self._slices.view.indexed("service", f"{namespace}/{name}"))

    def slices_at(self, address: str) -> list[Object]:
        return list(self._slices.view.indexed("address", address))

    def has_namespace(self, name: str) -> bool:
        return self._namespaces.view.get("", name) is not None

    # Answers

    def ask(self, question: Question) -> Answer:
        """Answers as names.NameServer does. Raises TimeoutError."""
        if self.silent:
            raise timed_out()
        self._reload()
        block = block_for(self._blocks, question.name)
        if block is None:
            return Answer(REFUSED)
        answer = self._cached(block, self._rewritten(block, question))
        if "loadbalance" in block.plugins and len(answer.records) > 1:
            records = list(answer.records)
            self._rng.shuffle(records)
            return answer._replace(records=tuple(records))
        return answer

    def _reload(self) -> None:
        text = self._corefile()
        if text != self._text and any("reload" in block.plugins for block in self._blocks):
            self._text = text
            try:
                self._blocks = parse(text)
                self._cache.clear()
            except CorefileError:
                pass

    def _rewritten(self, block: Block, question: Question) -> Question:
        rule = block.plugins.get("rewrite")
        args = [word for word in (rule.args if rule else ()) if word not in ("stop", "continue", "name", "exact")]
        if len(args) >= 2 and question.name == args[0].rstrip("."):
            return question._replace(name=args[1].rstrip("."))
        return question

    def _cached(self, block: Block, question: Question) -> Answer:
        directive, now = block.plugins.get("cache"), self.clock.now
        held = self._cache.get(question)
        if directive is not None and held is not None and held[0] > now:
            return held[1]
        answer = self._answer(block, question)
        kind = {NOERROR: "success", NXDOMAIN: "denial"}.get(answer.code)
        if directive is not None and kind and not _disabled(directive, kind, question.name):
            args = [int(word) for word in directive.args if word.isdigit()]
            ttl = min([*args[:1], *(record.ttl_s for record in answer.records), CACHE_MAX_S])
            self._cache[question] = (now + ttl * S, answer)
        return answer

    def _answer(self, block: Block, question: Question) -> Answer:
        hosts = block.plugins.get("hosts")
        if hosts is not None and (found := _from_hosts(hosts, question)) is not None:
            return found
        kubernetes = block.plugins.get("kubernetes")
        if kubernetes is not None:
            answer = self._from_cluster(kubernetes, question)
            if answer is not None:
                return chased(answer, question.type, lambda further: self._cached(block, further))
        forward = block.plugins.get("forward")
        if forward is not None:
            return self._forward(forward, question)
        return Answer(NXDOMAIN if kubernetes is not None else REFUSED)

    def _from_cluster(self, directive: Directive, question: Question) -> Answer | None:
        """None when the question goes on to the next plug-in."""
        zones = [zone.rstrip(".") for zone in directive.args if not zone.endswith("arpa")]
        for zone in zones:
            if question.name == zone or question.name.endswith(f".{zone}"):
                if not self.ready:
                    return Answer(SERVFAIL)
                return lookup(self, zone, question)
        if question.name.endswith(REVERSE) and any(zone.endswith("arpa") for zone in directive.args) and self.ready:
            answer = lookup(self, zones[0] if zones else "cluster.local", question)
            return answer if answer.ours else None
        return None

    def _forward(self, directive: Directive, question: Question) -> Answer:
        servers = self._nameservers() if "/etc/resolv.conf" in directive.args else list(directive.args[1:])
        try:
            return ask(servers, self._dial, question, lambda _: None)
        except OSError:
            return Answer(SERVFAIL)


def _disabled(directive: Directive, kind: str, name: str) -> bool:
    """``disable success cluster.local`` in the cache's block."""
    for words in directive.lines:
        if words[:2] == ("disable", kind):
            zones = [zone.rstrip(".") for zone in words[2:]] or [""]
            if any(not zone or name == zone or name.endswith(f".{zone}") for zone in zones):
                return True
    return False


def _from_hosts(directive: Directive, question: Question) -> Answer | None:
    found = [words[0] for words in directive.lines if question.name in words[1:] and words[0] != "fallthrough"]
    if found:
        records = tuple(Record(question.name, "A", address) for address in found)
        return Answer(NOERROR, records if question.type == "A" else ())
    return None if any(words[0] == "fallthrough" for words in directive.lines) else Answer(NXDOMAIN)


def _service_addresses(service: Object) -> tuple[str, ...]:
    address = service["spec"].get("clusterIP", "")
    return (address,) if address not in ("", "None") else ()


def _slice_addresses(piece: Object) -> tuple[str, ...]:
    return tuple(address for entry in piece.get("endpoints") or () for address in entry["addresses"])
