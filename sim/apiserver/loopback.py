"""The API server as its own client: what its controllers write goes through the same pipeline as everybody's.

Source: k8s.io/apiserver/pkg/server (LoopbackClientConfig).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seatrial.sim.apiserver.authorization import MASTERS
from seatrial.sim.apiserver.request import Request, Response, User

if TYPE_CHECKING:
    from seatrial.sim.apiserver.server import Apiserver

API_SERVER = User("system:apiserver", (MASTERS, "system:authenticated"))
USER_AGENT = "kube-apiserver/v1.37.2"


def send(server: Apiserver, method: str, path: str, body: Any = None) -> Response:
    """The answer to a request of the server to itself."""
    return server.handle(Request(method, path, body=body, user=API_SERVER, user_agent=USER_AGENT))
