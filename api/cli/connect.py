"""``seatrial connect`` and ``disconnect``: a process on this machine behind a Service of the cluster."""

from __future__ import annotations

import signal
import socket
from typing import Any

import click

from seatrial.api.cli import remote
from seatrial.api.cli.options import cluster_option
from seatrial.api.cli.show import existing
from seatrial.api.problem import Problem
from seatrial.api.server.state import Home

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
namespace_option = click.option("-n", "--namespace", default="default", show_default=True, help="Where the Service is.")


def service_name(text: str) -> str:
    """The name in svc/NAME. Raises Problem."""
    kind, slash, name = text.rpartition("/")
    if (slash and kind not in ("svc", "service", "services")) or not name:
        raise Problem(text, "only a Service can be connected to", "say svc/NAME")
    return name


def target_of(text: str) -> tuple[str, int]:
    """Host and port. Raises Problem."""
    host, _, port = text.rpartition(":")
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise Problem(f"--to {text}", "it names no port", "for example: --to localhost:9443")
    return host or "localhost", int(port)


def listens(host: str, port: int) -> bool:
    """Whether the process answers."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


@click.command(short_help="Put a process on this machine behind a Service.")
@click.argument("service", metavar="svc/NAME")
@click.option("--to", "target", metavar="[HOST:]PORT", required=True, help="Where the process listens.")
@namespace_option
@click.option(
    "--port",
    "service_port",
    metavar="PORT",
    default="",
    help="Of the Service, by name or number, where it has several.",
)
@click.option("--detach", "-d", is_flag=True, help="Return at once; `seatrial disconnect` ends it.")
@cluster_option
def connect(service: str, target: str, namespace: str, service_port: str, detach: bool, name: str) -> None:
    """Put a process on this machine behind the Service NAME, in place of its pods: an operator's webhook, or a service
    that you work on. Until Ctrl-C, or with --detach until `seatrial disconnect`.

    Whoever in the cluster or outside asks the Service is answered by your process: the API server's webhook calls,
    pods, Ingresses, twins and the proxy. TLS goes through as it is, so a webhook shows its own certificate.

    \b
    Examples:
      seatrial connect svc/webhook-service -n operator-system --to localhost:9443
      seatrial connect svc/cart -n shop --to 8080 --detach
    """
    home, host, port = existing(name), *target_of(target)
    wanted = service_name(service)
    body = {"service": wanted, "namespace": namespace, "host": host, "port": port, "service_port": service_port}
    if detach:
        _begin(home, body)
        click.echo(f"seatrial disconnect svc/{wanted} -n {namespace} gives it back to its pods")
        return
    # A signal that comes before the wait stays pending until then.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    _begin(home, body)
    click.echo("Ctrl-C gives it back to its pods")
    signal.sigwait(ENDINGS)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)
    _end(home, namespace, wanted)


def _begin(home: Home, body: dict[str, Any]) -> None:
    remote.ask(home, "POST", "/connections", body)
    host, port = body["host"], body["port"]
    click.echo(f"service {body['namespace']}/{body['service']} is served by {host}:{port}")
    if not listens(host, port):
        click.echo(f"nothing listens on {host}:{port} yet: requests fail until something does", err=True)


def _end(home: Home, namespace: str, service: str) -> None:
    remote.ask(home, "DELETE", f"/connections/{namespace}/{service}")
    click.echo(f"service {namespace}/{service} is its pods' again")


@click.command(short_help="Give a Service back to its pods.")
@click.argument("service", metavar="svc/NAME")
@namespace_option
@cluster_option
def disconnect(service: str, namespace: str, name: str) -> None:
    """End what `seatrial connect --detach` began.

    \b
    Example:
      seatrial disconnect svc/cart -n shop
    """
    _end(existing(name), namespace, service_name(service))
