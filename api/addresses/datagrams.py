"""UDP at a twin: each socket that sends there has a way of its own into the cluster, for as long as it is used."""

from __future__ import annotations

import asyncio
from typing import cast

from seatrial.api.addresses.gate import End, Gate

IDLE_S = 30.0
"""net.netfilter.nf_conntrack_udp_timeout."""
FLOWS_MAX = 1000
Peer = tuple[str, int]


class Flow:
    """What one socket outside sends, and what comes back to it; see ``gate.Program``."""

    def __init__(self, twin: TwinnedDatagrams, peer: Peer) -> None:
        self._twin, self._peer = twin, peer
        self.used = 0.0
        self.end: End = cast(End, None)

    def stands(self) -> None: ...

    def receive(self, data: bytes) -> None:
        self._twin.send(data, self._peer)

    def finished(self) -> None: ...

    def broken(self, problem: OSError) -> None:
        """Nobody takes it; the next datagram is tried anew."""
        self._twin.forget(self._peer)


class TwinnedDatagrams(asyncio.DatagramProtocol):
    """The socket of a twin."""

    def __init__(self, gate: Gate, address: str, port: int) -> None:
        self._gate, self._address, self._port = gate, address, port
        self._transport: asyncio.DatagramTransport = cast(asyncio.DatagramTransport, None)
        self._flows: dict[Peer, Flow] = {}
        self._sweep: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Peer) -> None:
        loop = asyncio.get_running_loop()
        flow = self._flows.get(addr)
        if flow is None:
            if len(self._flows) >= FLOWS_MAX:
                return
            flow = self._flows[addr] = Flow(self, addr)
            flow.end = self._gate.open(self._address, self._port, flow, "UDP")
            if self._sweep is None:
                self._sweep = loop.call_later(IDLE_S, self._look_around)
        flow.used = loop.time()
        flow.end.write(data)

    def send(self, data: bytes, peer: Peer) -> None:
        if not self._transport.is_closing():
            self._transport.sendto(data, peer)

    def forget(self, peer: Peer) -> None:
        self._flows.pop(peer, None)

    def _look_around(self) -> None:
        loop = asyncio.get_running_loop()
        for peer, flow in list(self._flows.items()):
            if loop.time() - flow.used >= IDLE_S:
                flow.end.close()
                self.forget(peer)
        self._sweep = loop.call_later(IDLE_S, self._look_around) if self._flows else None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
        for flow in self._flows.values():
            flow.end.close()
        self._flows.clear()
