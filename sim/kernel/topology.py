"""Who can reach whom, and how long it takes: a directed graph of hosts, zones and links.

Not modelled: bandwidth. A large answer takes as long as a small one.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

from seatrial.sim.kernel.listeners import Listeners


class Way(NamedTuple):
    """What a message goes through."""

    latency_us: int
    passes: float
    """The share of messages that arrive."""

    def then(self, other: Way) -> Way:
        """One after the other."""
        return Way(self.latency_us + other.latency_us, self.passes * other.passes)


HERE = Way(0, 1.0)


class Topology:
    """Hosts and the links between them. Messages take the quickest way; each direction of a link can be cut alone."""

    def __init__(self) -> None:
        self._loopback_us: dict[str, int] = {}
        self._links: dict[str, dict[str, Way]] = {}
        self._cut: dict[tuple[str, str], None] = {}
        self._ways: dict[tuple[str, str], Way | None] = {}
        self._routes: dict[tuple[str, str], Way | None] = {}
        self._graph: Any = None
        self._listeners = Listeners()

    def add_host(self, name: str, loopback_us: int = 0) -> None:
        """A host, or anything links meet at; ``loopback_us`` is how long it takes to reach itself."""
        self._loopback_us[name] = loopback_us
        self._links.setdefault(name, {})
        self._changed()

    def remove_host(self, name: str) -> None:
        """Takes a host and its links away. Raises KeyError for one that does not exist."""
        self._known(name)
        for other in self._links.pop(name):
            del self._links[other][name]
        del self._loopback_us[name]
        self._cut = {pair: None for pair in self._cut if name not in pair}
        self._changed()

    def hosts(self) -> list[str]:
        """All hosts, in the order in which they came."""
        return list(self._links)

    def link(self, a: str, b: str, latency_us: int, loss: float = 0.0) -> None:
        """Links two hosts both ways, or changes their link. Raises KeyError for an unknown host."""
        self._known(a)
        self._known(b)
        self._links[a][b] = self._links[b][a] = Way(latency_us, 1.0 - loss)
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
        way = self.way(a, b)
        return None if way is None else way.latency_us

    def loss(self, a: str, b: str) -> float:
        """The share of messages that get lost on the way from ``a`` to ``b``; 1.0 when there is none."""
        way = self.way(a, b)
        return 1.0 if way is None else 1.0 - way.passes

    def on_change(self, call: Callable[[], None]) -> Callable[[], None]:
        """Calls after every change; returns what ends that."""
        return self._listeners.add(call)

    def _known(self, name: str) -> None:
        if name not in self._links:
            raise KeyError(f"no host {name!r} in the topology")

    def _changed(self) -> None:
        self._ways.clear()
        self._routes.clear()
        self._graph = None
        self._listeners.tell()

    def way(self, a: str, b: str) -> Way | None:
        """Latency and share of arrivals from ``a`` to ``b``; None when there is no way through. Raises KeyError."""
        pair = (a, b)
        try:
            return self._ways[pair]
        except KeyError:
            way = self._ways[pair] = self._find(a, b)
            return way

    def _find(self, a: str, b: str) -> Way | None:
        self._known(a)
        self._known(b)
        if (a, b) in self._cut and b not in self._links[a]:
            return None
        return Way(self._loopback_us[a], 1.0) if a == b else self._route(a, b)

    def _route(self, a: str, b: str) -> Way | None:
        """Along the links that are whole."""
        if a == b:
            return HERE
        pair = (a, b)
        if pair not in self._routes:
            self._routes[pair] = self._leave(a, b)
        return self._routes[pair]

    def _leave(self, a: str, b: str) -> Way | None:
        """A host with a single link has no choice, at either end: most of a cluster's hosts are such."""
        links = self._links
        if len(links[a]) == 1:
            (hub,) = links[a]
            step, rest = (a, hub), self._beyond(hub, hub, b)
        elif len(links[b]) == 1:
            (hub,) = links[b]
            step, rest = (hub, b), self._beyond(hub, a, hub)
        else:
            return self._search(a, b)
        return None if rest is None or step in self._cut else links[step[0]][step[1]].then(rest)

    def _beyond(self, hub: str, a: str, b: str) -> Way | None:
        """The rest of the way; none where the hub of a leaf leads back to the leaf alone."""
        return None if a != b and len(self._links[hub]) == 1 else self._route(a, b)

    def _search(self, a: str, b: str) -> Way | None:
        # Only meshes need it, and it takes as long to import as the rest of the kernel.
        import networkx as nx

        if self._graph is None:
            self._graph = nx.DiGraph()
            for one, links in self._links.items():
                for other, way in links.items():
                    if (one, other) not in self._cut:
                        self._graph.add_edge(one, other, way=way, weight=way.latency_us)
        try:
            path = nx.bidirectional_dijkstra(self._graph, a, b)[1]
        except (nx.NetworkXNoPath, nx.NodeNotFound):
            return None
        found = HERE
        for one, other in pairwise(path):
            found = found.then(self._links[one][other])
        return found
