"""A shell on a machine, over the control API: the channels of exec in a WebSocket.

``GET /seatrial/v1/ssh?node=w1-k8s&command=…&stdin=true&tty=true`` upgrades to v5.channel.k8s.io; without a command it
is a login shell. The outcome has the exit status as exec's has it: 255 when there is no connection, with ssh's reason
on stderr.
"""

from __future__ import annotations

from functools import partial
from urllib.parse import parse_qs

import orjson

from seatrial.api.kubernetes.channels import V4, V5, Channels
from seatrial.api.server.driver import Driver
from seatrial.api.server.message import Incoming, Outgoing
from seatrial.api.server.websocket import WebSocket, handshake, offered
from seatrial.sim.apiserver.kubelets import OnExit, OnOutput, Session
from seatrial.sim.cluster import Cluster

PATH = "/seatrial/v1/ssh"


def upgrade(cluster: Cluster, driver: Driver, incoming: Incoming) -> Outgoing:
    """The answer that turns a request's connection into a session."""
    query = {name: values[-1] for name, values in parse_qs(incoming.target.partition("?")[2]).items()}
    node = query.get("node", "")
    chosen = next((name for name in offered(incoming) if name in (V5, V4)), "")
    if incoming.upgrade != "websocket" or not chosen:
        return _refused(f"ask for a WebSocket with the subprotocol {V5}")
    if not node:
        return _refused("the query names no node: ?node=NAME")
    if cluster.shells is None:
        return _refused("this cluster has no machines to log in to")
    flags = {name: query.get(name, "") in ("1", "true") for name in ("stdin", "tty")}
    begin = partial(_begin, cluster, node, query.get("command", ""), flags)
    return Outgoing(101, handshake(incoming, chosen), upgrade=lambda _: WebSocket(Channels(begin, driver)))


def _begin(
    cluster: Cluster, node: str, command: str, flags: dict[str, bool], on_output: OnOutput, on_exit: OnExit
) -> Session:
    assert cluster.shells is not None
    return cluster.shells.open(node, command, on_output, on_exit, **flags)


def _refused(why: str) -> Outgoing:
    return Outgoing(400, [("Content-Type", "application/json")], orjson.dumps({"detail": why}) + b"\n")
