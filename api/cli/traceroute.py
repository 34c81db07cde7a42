"""``seatrial trace-route``: the walk of a request through a cluster's network, and where it ended."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlencode

import click

from seatrial.api.cli import remote, scheduled
from seatrial.api.cli.clock import cluster_option
from seatrial.api.cli.show import FORMATS, existing

WIDTH = 110
COMMENT = re.compile(r' -m comment --comment "[^"]*"')


@click.command(short_help="Tell the way of a request, and where it ends.")
@click.argument("origin", metavar="FROM")
@click.argument("url")
@click.option("--method", "-X", default="GET", show_default=True, help="The HTTP method.")
@click.option("--output", "-o", type=FORMATS, default="text", help="json for programs.")
@cluster_option
def trace_route(origin: str, url: str, method: str, output: str, name: str) -> None:
    """Make one request from FROM (a pod as NAME or NAMESPACE/NAME, a node, or outside) to URL and tell each step of its
    way: the names it asked for, the rules that took it, translated addresses, policies, links, and what answered or
    where it ended and why.

    \b
    Examples:
      seatrial trace-route client http://web.shop
      seatrial trace-route w1-k8s http://10.96.0.1:443
      seatrial trace-route outside http://192.168.1.101:30080
      seatrial trace-route shop/cart-0 tcp://db:5432
    """
    query = urlencode({"origin": origin, "url": url, "method": method})
    found = remote.ask(existing(name), "POST", f"/trace-route?{query}")
    click.echo(json.dumps(found, indent=2) if output == "json" else "\n".join(told(found)))


def shortened(what: str) -> str:
    """A rule without its comments, which -o json has."""
    what = COMMENT.sub("", what)
    return what if len(what) <= WIDTH else what[: WIDTH - 1] + "…"


def told(found: dict[str, Any]) -> list[str]:
    """The walk as a table, and how it ended."""
    rows = []
    for number, step in enumerate(found["steps"], 1):
        rows.append((str(number), step["where"], shortened(step["what"])))
    where = f" at {found['address']}" if found["address"] else ""
    took = f", after {found['latencyMs']:.1f} ms" if found["address"] and found["latencyMs"] else ""
    return [*scheduled.table(("#", "WHERE", "WHAT"), rows), "", f"ended: {found['outcome']}{where}{took}"]
