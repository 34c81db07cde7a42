"""``seatrial timeline``: what happened, when, and caused by what, as a picture."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from urllib.parse import urlencode

import click

from seatrial.api.cli import remote
from seatrial.api.cli.options import cluster_option
from seatrial.api.cli.show import FORMATS, existing
from seatrial.api.problem import Problem

TIMEOUT_S = 600.0


@click.command(short_help="Draw what happened, when, and because of what.")
@click.argument("what", metavar="[KIND/NAME]", required=False)
@click.option("--since", default="start", show_default=True, metavar="MOMENT", help="Where it begins.")
@click.option("--until", default="now", show_default=True, metavar="MOMENT", help="Where it ends.")
@click.option("--namespace", "-n", default="default", show_default=True, help="Where KIND/NAME is.")
@click.option("--all", "every", is_flag=True, help="All kinds and namespaces, the system's too.")
@click.option("--limit", type=click.IntRange(0), default=40, show_default=True, help="Lines of what happened.")
@click.option("--lanes", type=click.IntRange(1), default=80, show_default=True, help="Objects that are drawn.")
@click.option("--html", "html", metavar="FILE", help="Write a page with a slider: pods and endpoints at any moment.")
@click.option("--svg", "svg", metavar="FILE", help="Write the picture alone.")
@click.option("--output", "-o", type=FORMATS, default="text", help="json for programs.")
@cluster_option
def timeline(
    what: str | None,
    since: str,
    until: str,
    namespace: str,
    every: bool,
    limit: int,
    lanes: int,
    html: str | None,
    svg: str | None,
    output: str,
    name: str,
) -> None:
    """Draw what happened in a cluster: a line for each object with what it was and what happened to it, over bands of
    faults, loads and jumps of the clock; then what happened in words, with who did it and what it follows from.

    With KIND/NAME: that object, whoever owns it, and everything that it owns. Without: the nodes and what changed in
    your namespaces. A moment is how long ago (90s, 5m), a revision, a time as `clock show` tells it, `start` or `now`.

    The page of --html needs nothing else and no network: it can be sent to somebody.

    \b
    Examples:
      seatrial timeline
      seatrial timeline deploy/web --since 10m
      seatrial timeline --html incident.html
      seatrial timeline node/w1-k8s --svg node.svg
    """
    query: dict[str, object] = {"since": since, "until": until, "namespace": namespace, "every": every, "lanes": lanes}
    if what is not None:
        kind, slash, object_name = what.partition("/")
        if not (kind and slash and object_name):
            mend = "for example: seatrial timeline deploy/web"
            raise Problem(f"timeline {what}", "this is not of the form KIND/NAME", mend)
        query |= {"kind": kind, "name": object_name}
    found = remote.ask(existing(name), "GET", f"/timeline?{urlencode(query)}", timeout_s=TIMEOUT_S)
    if output == "json":
        click.echo(json.dumps(found, indent=2))
        return
    from seatrial.scenarios.timeline import Timeline, drawn, lines, page

    made = Timeline.model_validate(found)
    if html:
        written(html, page(made, f"Cluster {name}" + (f": {what}" if what else "")))
    if svg:
        written(svg, drawn(made))
    if html or svg:
        return
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    for line in lines(made, console.width if sys.stdout.isatty() else 120, limit):
        console.print(line, no_wrap=True, overflow="ellipsis" if sys.stdout.isatty() else "ignore")


def written(file: str, text: str) -> None:
    """Writes a file. Raises Problem."""
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as problem:
        raise Problem(file, f"it cannot be written ({problem.strerror})", "choose another place") from None
    click.echo(f"Wrote {file} ({len(text) / 1e3:,.0f} kB)")
