"""``seatrial addresses``: where the cluster's addresses are on this machine."""

from __future__ import annotations

import json
import shlex

import click

from seatrial.api.cli import remote
from seatrial.api.cli.here import used_name
from seatrial.api.cli.show import existing


@click.command(short_help="Show where the cluster's addresses are on this machine.")
@click.argument("name", default=used_name)
@click.option("--output", "-o", type=click.Choice(["table", "json"]), default="table", help="json for programs.")
@click.option("--env", is_flag=True, help="Print what sets http_proxy and https_proxy in a shell.")
def addresses(name: str, output: str, env: bool) -> None:
    """Show what of the cluster NAME can be reached from this machine, and where.

    Every node, load balancer and Ingress has a twin among the loopback addresses, which any program can talk to.
    Everything else, pods, services and their DNS names, is reached through the forward proxy.

    \b
    Examples:
      seatrial addresses
      seatrial addresses lab -o json
      eval "$(seatrial addresses --env)"; curl http://web.default/
    """
    view = remote.ask(existing(name), "GET", "/addresses")
    if env:
        for key, value in view["environment"].items():
            click.echo(f"export {key}={shlex.quote(value)}")
    elif output == "json":
        click.echo(json.dumps(view, indent=2))
    else:
        from seatrial.api.addresses.table import page

        click.echo(page(view), nl=False)
