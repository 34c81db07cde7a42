"""Who can reach whom, and how long it takes: a directed graph of hosts, zones and links.

Not modelled: bandwidth. A large answer takes as long as a small one.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import networkx as nx


class Topology:
    """Hosts and the links between them. Messages take the quickest way; each direction of a link can be cut alone."""

    def __init__(self) -> None:
        self._links: Any = nx.DiGraph()
        self._cut: dict[tuple[str, str], None] = {}
        self._ways: dict[tuple[str, str], tuple[int, float] | None] = {}
        self._listeners: dict[int, Callable[[], None]] = {}
        self._listened = 0

    def add_host(self, name: str, loopback_us: int = 0) -> None:
        """A host, or anything links meet at; ``loopback_us`` is how long it takes to reach itself."""
        self._links.add_node(name, loopback_us=loopback_us)
        self._changed()

    def remove_host(self, name: str) -> None:
        """Takes a host and its links away. Raises KeyError for one that does not exist."""
        self._known(name)
        self._links.remove_node(name)
        self._cut = {pair: None for pair in self._cut if name not in pair}
        self._changed()

    def hosts(self) -> list[str]:
        """All hosts, in the order in which they came."""
        return list(self._links)

    def link(self, a: str, b: str, latency_us: int, loss: float = 0.0) -> None:
        """Links two hosts both ways, or changes their link. Raises KeyError for an unknown host."""
        self._known(a)
        self._known(b)
        for one, other in ((a, b), (b, a)):
            self._links.add_edge(one, other, latency_us=latency_us, loss=loss)
        self._changed()

    def cut(self, a: str, b: str, one_way: bool = False) -> None:
        """Nothing passes from ``a`` to ``b`` and, unless ``one_way``, back.

        Between neighbours it is their link that is cut, and others may still find a way round; between hosts further
        apart all that they send each other is dropped. Raises KeyError for an unknown host.
        """
        self._known(a)
        self._known(b)
        self._cut[a, b] = None
        if not one_way:
            self._cut[b, a] = None
        self._changed()

    def mend(self, a: str, b: str, one_way: bool = False) -> None:
        """Takes back ``cut``."""
        self._cut.pop((a, b), None)
        if not one_way:
            self._cut.pop((b, a), None)
        self._changed()

    def latency(self, a: str, b: str) -> int | None:
        """µs from ``a`` to ``b``; None when there is no way through. Raises KeyError for an unknown host."""
        way = self._way(a, b)
        return None if way is None else way[0]

    def loss(self, a: str, b: str) -> float:
        """The share of messages that get lost on the way from ``a`` to ``b``; 1.0 when there is none."""
        way = self._way(a, b)
        return 1.0 if way is None else way[1]

    def on_change(self, call: Callable[[], None]) -> Callable[[], None]:
        """Calls after every change; returns what ends that."""
        self._listened += 1
        number = self._listened
        self._listeners[number] = call
        return lambda: void(self._listeners.pop(number, None))

    def _known(self, name: str) -> None:
        if name not in self._links:
            raise KeyError(f"no host {name!r} in the topology")

    def _changed(self) -> None:
        self._ways.clear()
        for call in list(self._listeners.values()):
            call()

    def _way(self, a: str, b: str) -> tuple[int, float] | None:
        pair = (a, b)
        try:
            return self._ways[pair]
        except KeyError:
            way = self._ways[pair] = self._find(a, b)
            return way

    def _find(self, a: str, b: str) -> tuple[int, float] | None:
        self._known(a)
        self._known(b)
        cut, links = self._cut, self._links
        if (a, b) in cut and (a == b or not links.has_edge(a, b)):
            return None
        if a == b:
            return links.nodes[a]["loopback_us"], 0.0

        def weight(one: str, other: str, link: Any) -> int | None:
            return None if (one, other) in cut else link["latency_us"]

        try:
            path = nx.bidirectional_dijkstra(links, a, b, weight)[1]
        except nx.NetworkXNoPath:
            return None
        latency, passes = 0, 1.0
        for one, other in pairwise(path):
            link = links.edges[one, other]
            latency += link["latency_us"]
            passes *= 1.0 - link["loss"]
        return latency, 1.0 - passes


def void(_: object) -> None:
    """Drops a value."""
