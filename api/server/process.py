"""The server's process: from a cluster's directory to an answering port, and to a clean end.

The order is that of what can go wrong: the lock, the port, the certificates, the objects on disk, and only then the
simulation. ``ready`` is told once requests are answered.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.api.addresses.served import Served
from seatrial.api.control import (
    addresses,
    clock,
    connections,
    explain,
    faults,
    history,
    loads,
    ssh,
    timeline,
    trace,
    why,
)
from seatrial.api.control.app import Control, Front, make_app
from seatrial.api.kubernetes.audit import Audit
from seatrial.api.kubernetes.inflight import Inflight
from seatrial.api.kubernetes.wire import Kubernetes
from seatrial.api.problem import Problem
from seatrial.api.server import pki
from seatrial.api.server.assembly import Live, adopt, assemble
from seatrial.api.server.driver import Driver, wall_us
from seatrial.api.server.histories import Histories, Pace, Successor, begin_again, put_away
from seatrial.api.server.listener import Listener, PortInUse, bind, tls
from seatrial.api.server.outside import Outside
from seatrial.api.server.state import Home, Settings
from seatrial.sim.apiserver.authentication import authenticate
from seatrial.sim.apiserver.request import Request, User
from seatrial.sim.kernel.garbage import spare_the_collector

if TYPE_CHECKING:
    from fastapi import FastAPI

log = logging.getLogger("seatrial")

HOST = "127.0.0.1"
PORT_FIRST = 6443
"""The port that is tried first for a cluster that has none yet: the API server's."""
Ready = Callable[[int, pki.Pki], None]
"""Called with the port and the certificates when requests are answered."""


def listen(name: str, port: int) -> Any:
    """The cluster's socket: its port, or for a new cluster 6443 or any that is free. Raises Problem."""
    try:
        if port:
            return bind(HOST, port)
        try:
            return bind(HOST, PORT_FIRST)
        except PortInUse:
            return bind(HOST, 0)
    except PortInUse as problem:
        why = f"{HOST}:{problem.args[1]} cannot be listened on ({problem.args[2]})"
        mend = f"free the port (ss -ltnp shows who has it), or take another: seatrial up {name} --port PORT"
        raise Problem(f"cluster {name}", why, mend) from None


def certificates(home: Home, settings: Settings) -> pki.Pki:
    """The cluster's certificates: made at its first start, kept unless it is ephemeral. Raises Problem."""
    if not (home.pki / "ca.crt").exists():
        made = pki.make()
        pki.save(made, home.pki)
        return made
    try:
        return pki.load(home.pki)
    except (OSError, ValueError) as problem:
        why = f"its state directory is damaged: {home.pki}: {problem}"
        mend = f"restore it from a backup, or give the cluster up: seatrial destroy {home.name}"
        raise Problem(f"cluster {home.name}", why, mend) from None


def serve(home: Home, ready: Ready, progress: Callable[[float], None] = lambda share: None) -> None:
    """Runs a cluster's server until it is told to stop (SIGTERM, SIGINT, the control API). Raises Problem.

    When its history is rewound, another cluster takes the place of the one that was there: clients lose their
    connections and find it on the same port. ``progress`` hears how much of a history is replayed at the start.
    """
    import uvloop

    if not home.acquire():
        raise Problem(f"cluster {home.name}", "it is already running", f"see it with: seatrial status {home.name}")
    try:
        settings = home.load()
        listening = listen(home.name, settings.port)
        settings = settings.model_copy(update={"port": listening.getsockname()[1], "boots": settings.boots + 1})
        keys = certificates(home, settings)
        live = (
            begin_again(home, settings, keys, progress) if home.beginning.exists() else assemble(home, settings, keys)
        )
        settings = settings.model_copy(update={"spec": live.cluster.spec, "seed": live.cluster.seed})
        home.save(settings)
        pace = Pace()
        while True:
            spare_the_collector()
            successor = uvloop.run(_run(home, settings, live, listening.dup(), keys, ready, pace))
            if successor is None:
                put_away(home, live)
                return
            gc.unfreeze()
            ready = _told_already
            pace = successor.pace
            live = adopt(home, settings, successor.cluster, successor.practice)
            settings = settings.model_copy(update={"spec": live.cluster.spec, "seed": live.cluster.seed})
            home.save(settings)
    finally:
        if home.exists and home.settings_file.exists() and _is_ephemeral(home) and not home.beginning.exists():
            home.remove()
        home.release()


def audit_of(home: Home, settings: Settings, live: Live) -> Audit | None:
    """The cluster's audit log, if it has one. Raises Problem for a file that cannot be written."""
    if not settings.audit_log:
        return None
    tokens = live.cluster.server.tokens

    def identify(request: Request) -> User:
        return authenticate(request.credentials, tokens.review)

    try:
        return Audit(Path(settings.audit_log), settings.audit_level, identify, wall_us)
    except OSError as problem:
        why = f"its audit log {settings.audit_log} cannot be written ({problem.strerror})"
        raise Problem(f"cluster {home.name}", why, f"seatrial up {home.name} --audit-log FILE") from None


def _is_ephemeral(home: Home) -> bool:
    try:
        return home.load().ephemeral
    except Problem:
        return False


def kubernetes_of(live: Live, driver: Driver, settings: Settings, audit: Audit | None) -> Kubernetes:
    """What answers for everything but the control API."""
    cluster, limits = live.cluster, settings.spec.apiserver
    return Kubernetes(
        live,
        driver,
        live.carry_on,
        live.submit,
        cluster.store.encoded,
        cluster.kinds,
        inflight=Inflight(limits.max_requests_inflight, limits.max_mutating_requests_inflight),
        audit=audit,
        up=lambda: cluster.endpoint.up,
    )


def addresses_of(live: Live, driver: Driver, settings: Settings) -> Served | None:
    """The cluster's addresses on this machine, not open yet; None where it is to have none, or has no machines."""
    network = live.cluster.networking if settings.addresses else None
    return Served(live, driver, network, settings.port) if network is not None else None


def about(home: Home, settings: Settings) -> dict[str, Any]:
    """What ``status`` shows of the server's process."""
    return {
        "name": home.name,
        "pid": os.getpid(),
        "port": settings.port,
        "version": settings.spec.kubernetes_version,
        "seed": settings.seed,
        "boots": settings.boots,
        "ephemeral": settings.ephemeral,
    }


def _told_already(port: int, keys: pki.Pki) -> None:
    """Who started the server knows already that it answers."""


async def _run(
    home: Home, settings: Settings, live: Live, listening: Any, keys: pki.Pki, ready: Ready, pace: Pace
) -> Successor | None:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    failure: list[BaseException] = []
    started = time.monotonic()

    def fail(problem: BaseException) -> None:
        failure.append(problem)
        stopping.set()

    cluster = live.cluster
    audit = audit_of(home, settings, live)
    driver = Driver(cluster.clock, live.flush, live.dirty)
    driver.on_failure = fail
    cluster.connect(Outside(cluster.clock, driver).perform)
    kubernetes = kubernetes_of(live, driver, settings, audit)

    def look_for_server() -> None:
        if not cluster.endpoint.up:
            driver.release(kubernetes.hang_up)

    cluster.endpoint.on_change(look_for_server)
    histories = Histories(home, live, driver, keys, stopping.set, kubernetes.expire)

    def status() -> Mapping[str, Any]:
        seconds = round(time.monotonic() - started, 1)
        facts = {**about(home, settings), "uptimeSeconds": seconds, "connections": listener.connections}
        return {**facts, **live.facts(), "history": started}

    served = addresses_of(live, driver, settings)
    more: tuple[Callable[[FastAPI], None], ...] = (
        *_paths(live, driver),
        partial(addresses.add_to, served, settings),
        partial(history.add_to, histories, cluster, driver),
    )
    upgrades = {ssh.PATH: partial(ssh.upgrade, cluster, driver)}
    control = Control(cluster.server, lambda: make_app(driver, status, stopping.set, *more), upgrades)
    listener = Listener(Front(kubernetes, control), listening, tls(keys))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    pace.begin(driver, loop, live.offset_us)
    await listener.start()
    if served is not None:
        await served.start()
    home.announce({"pid": os.getpid(), "port": settings.port, "started": wall_us()})
    log.info("cluster %s answers on https://%s:%d", home.name, HOST, settings.port)
    ready(settings.port, keys)
    await stopping.wait()
    log.info("cluster %s stops", home.name)
    offset_us = driver.offset_us
    if served is not None:
        await served.close()
    await listener.close()
    driver.stop()
    live.close(offset_us)
    if audit is not None:
        audit.close()
    if failure:
        raise Problem(
            f"cluster {home.name}",
            f"the simulation stopped with an error ({type(failure[0]).__name__}: {failure[0]})",
            f"the log has the details ({home.log}); start it again with: seatrial up {home.name}",
        )
    return histories.successor


def _add_scenarios(live: Live, driver: Driver, app: Any) -> None:
    # Only a cluster that somebody practises on needs these.
    from seatrial.api.control import scenario

    scenario.add_to(live.cluster, driver, live.practice, app)


def _paths(live: Live, driver: Driver) -> tuple[Callable[[FastAPI], None], ...]:
    """What adds the control API's paths beside those of the clock."""
    cluster = live.cluster
    return (
        partial(clock.add_to, cluster, driver),
        partial(why.add_to, cluster, driver),
        partial(explain.add_to, live, driver),
        partial(timeline.add_to, cluster, driver),
        partial(connections.add_to, live, driver),
        partial(faults.add_to, live, driver),
        partial(loads.add_to, live, driver),
        partial(trace.add_to, cluster, driver),
        partial(_add_scenarios, live, driver),
    )


def report(port: int, keys: pki.Pki) -> dict[str, Any]:
    """What whoever started the server needs in order to reach it."""
    return {
        "port": port,
        "authority": keys.authority.certificate.decode(),
        "certificate": keys.admin.certificate.decode(),
        "key": keys.admin.key.decode(),
    }
