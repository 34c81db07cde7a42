"""What a running cluster has on this machine beside its API server: twins, proxy, and the table of both."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from seatrial.api.addresses.gate import Gate
from seatrial.api.addresses.proxy import Proxied
from seatrial.api.addresses.secure import Secure
from seatrial.api.addresses.table import page, row
from seatrial.api.addresses.twins import PLAIN, Machines, Twins, claim
from seatrial.api.server.assembly import Live
from seatrial.api.server.driver import Driver
from seatrial.api.server.listener import PortInUse
from seatrial.sim.networking import Networking

log = logging.getLogger("seatrial")
NO_PROXY = "localhost,127.0.0.1,::1"


class Served:
    """The addresses of one cluster; nothing is open before ``start``."""

    def __init__(self, live: Live, driver: Driver, network: Networking, api_port: int) -> None:
        self._live, self._driver, self._network = live, driver, network
        network.api_server.beyond = (PLAIN, api_port)
        self._twins: Twins | None = None
        self._server: Any = None
        self._proxy = ""

    async def start(self) -> None:
        """Opens everything. What cannot be had is told in the log and in the table."""
        gate = Gate(self._driver, self._network.connections, Secure())
        machines: Machines = {}
        for (host, protocol, port), listener in self._network.plane.services.items():
            if protocol == "TCP":
                machines.setdefault(host, {})[port] = (listener.name, listener.certificate is not None)
        try:
            block, listening = claim()
        except PortInUse as problem:
            log.warning("no forward proxy, no twins of addresses: %s", problem.args[2])
            return
        self._twins = twins = Twins(gate, self._live.cluster.store, machines, block)
        host, port = listening.getsockname()
        self._proxy = f"http://{host}:{port}"
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Proxied(gate, twins.book.inside, lambda: page(self.view())), sock=listening
        )
        await twins.follow()
        log.info("addresses of the cluster: proxy %s, twins in 127.%d.0.0/16", self._proxy, block)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        if self._twins is not None:
            await self._twins.close()

    def view(self) -> dict[str, Any]:
        """The table, for whoever shows it."""
        if self._twins is None:
            return {"proxy": "", "environment": {}, "addresses": []}
        url = self._proxy
        environment = dict.fromkeys(("http_proxy", "https_proxy"), url)
        rows = [row(each, twin, url) for each, twin in self._twins.rows()]
        return {"proxy": url, "environment": {**environment, "no_proxy": NO_PROXY}, "addresses": rows}
