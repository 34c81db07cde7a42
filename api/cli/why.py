"""``seatrial why``: the chain of cause and effect that led to an object."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import click

from seatrial.api.cli import remote
from seatrial.api.cli.clock import cluster_option
from seatrial.api.cli.show import FORMATS, existing
from seatrial.api.problem import Problem

NAME_MAX = 60


@click.command(short_help="Tell why an object is as it is.")
@click.argument("what", metavar="KIND/NAME")
@click.option("--namespace", "-n", default="default", show_default=True, help="Where the object is.")
@click.option("--output", "-o", type=FORMATS, default="text", help="json for programs.")
@cluster_option
def why(what: str, namespace: str, output: str, name: str) -> None:
    """Tell what led to the object KIND/NAME and what happened to it: from the command of whoever began it, over
    Deployment, ReplicaSet, scheduler and kubelet, down to its containers. Works for what is gone, too.

    Each line says when (and how long after the first), who, what, and which earlier line it follows from.

    \b
    Examples:
      seatrial why pod/web-5d4f8c7b9-x2x7k
      seatrial why deploy/web -n shop
      seatrial why node/w1-k8s -o json
    """
    kind, slash, object_name = what.partition("/")
    if not (kind and slash and object_name):
        raise Problem(f"why {what}", "this is not of the form KIND/NAME", "for example: seatrial why pod/web-0")
    query = urlencode({"kind": kind, "name": object_name, "namespace": namespace})
    story = remote.ask(existing(name), "GET", f"/why?{query}")
    if output == "json":
        click.echo(json.dumps(story, indent=2))
        return
    for line in table(story["steps"]):
        click.echo(line)


def table(steps: list[dict[str, Any]]) -> list[str]:
    """The story as aligned lines, each with the number of the line that it follows from."""
    numbers = {step["revision"]: str(at) for at, step in enumerate(steps, 1)}
    rows = [("#", "FROM", "TIME", "AFTER", "WHO", "OBJECT", "WHAT")]
    for step in steps:
        subject = f"{step['kind']}/{step['name']}"
        subject = subject if len(subject) <= NAME_MAX else subject[: NAME_MAX - 1] + "…"
        source = numbers.get(step["because"], "")
        after = f"+{step['afterSeconds']:.3f}s"
        rows.append((numbers[step["revision"]], source, step["at"][11:23], after, step["by"], subject, step["what"]))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
