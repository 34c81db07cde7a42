"""Which protocol carries a connection into a pod: WebSocket or SPDY, as the client asks.

Source: k8s.io/apimachinery/pkg/util/httpstream and k8s.io/apiserver/pkg/util/proxy (streamtranslator.go,
streamtunnel.go).
"""

from __future__ import annotations

from functools import partial

import orjson

from seatrial.api.kubernetes.channels import PROTOCOLS, V4, Channels, begin
from seatrial.api.kubernetes.portchannels import PortChannels
from seatrial.api.kubernetes.portforward import PROTOCOL, TUNNELLED, Bare, Forwards, Tunnel
from seatrial.api.kubernetes.spdychannels import SpdyChannels
from seatrial.api.server.driver import Driver
from seatrial.api.server.message import Headers, Incoming, Outgoing, UpgradeFactory
from seatrial.api.server.websocket import WebSocket, handshake, offered
from seatrial.sim.apiserver.connecting import Connect
from seatrial.sim.machinery import errors


def upgrade(incoming: Incoming, connect: Connect, driver: Driver) -> Outgoing:
    """The answer that turns a request's connection into a session; 400 when the client speaks nothing we know."""
    forwards = connect.kind == "portforward"
    if incoming.upgrade == "websocket":
        known = (TUNNELLED, V4) if forwards else PROTOCOLS
        wishes = offered(incoming)
        chosen = next((name for name in wishes if name in known), "")
        if chosen or not wishes:
            headers = handshake(incoming, chosen)
            if chosen == TUNNELLED:
                return _switch(headers, lambda _: WebSocket(Tunnel(Forwards(connect, driver))))
            if forwards:
                return _switch(headers, lambda _: WebSocket(PortChannels(connect, driver)))
            return _switch(headers, lambda _: WebSocket(Channels(partial(begin, connect), driver, chosen)))
    elif incoming.upgrade == "spdy/3.1":
        wanted = PROTOCOL if forwards else V4
        if wanted in incoming.header("x-stream-protocol-version").split(", "):
            headers = [("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1"), ("X-Stream-Protocol-Version", wanted)]
            if forwards:
                return _switch(headers, lambda _: Bare(Forwards(connect, driver)))
            return _switch(headers, lambda _: SpdyChannels(connect, driver))
    what = incoming.upgrade or "no protocol"
    body = errors.bad_request(f"unable to upgrade: {what} is not supported for {connect.kind}").status()
    return Outgoing(400, [("Content-Type", "application/json")], orjson.dumps(body) + b"\n")


def _switch(headers: Headers, factory: UpgradeFactory) -> Outgoing:
    return Outgoing(101, headers, upgrade=factory)
