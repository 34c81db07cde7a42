"""``seatrial explain``: why a pod goes where it goes, plug-in by plug-in and node by node."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from seatrial.api.cli import remote
from seatrial.api.cli.clock import cluster_option
from seatrial.api.cli.show import existing
from seatrial.api.problem import Problem

TIMEOUT_S = 60.0
NAMED_MAX = 5
"""How many equally good nodes, or victims, are named."""


@click.command(short_help="Explain where the scheduler puts a pod, and why.")
@click.argument("pod", required=False)
@click.option("--filename", "-f", metavar="FILE", help="A manifest of a pod that is not there yet; - reads it here.")
@click.option("--namespace", "-n", default="default", show_default=True, help="Where the pod is, or would be.")
@click.option(
    "--output", "-o", type=click.Choice(["table", "json"]), default="table", show_default=True,
    help="json for programs.",
)  # fmt: skip
@cluster_option
def explain(pod: str | None, filename: str | None, namespace: str, output: str, name: str) -> None:
    """Explain what the scheduler makes of POD: which plug-in turns down which node for what reason, what every plug-in
    scores the others with, and which nodes come out best. With -f of a pod that does not exist: what would happen?
    Nothing is created; a Deployment, Job and the like stand for the first pod that they would make.

    A node must first pass all filters: VERDICT, PLUGIN and REASONS tell. Then each scoring plug-in gives it 0 to 100
    points times its weight; the highest TOTAL wins, and among equals chance decides. For a pod that has its node, the
    answer is what would happen were it placed anew on the cluster as it is now.

    \b
    Examples:
      seatrial explain web-5d4f8c7b9-x2x7k
      seatrial explain web-0 -n shop -o json
      seatrial explain -f big-pod.yaml
      kubectl create deployment web --image=nginx --dry-run=client -o yaml | seatrial explain -f -
    """
    if (pod is None) == (filename is None):
        mend = "for example: seatrial explain web-0, or: seatrial explain -f pod.yaml"
        raise Problem("explain", "it needs either the name of a pod or a file", mend)
    home = existing(name)
    if pod is not None:
        query = urlencode({"name": pod.removeprefix("pods/").removeprefix("pod/"), "namespace": namespace})
        found = remote.ask(home, "GET", f"/explain?{query}", timeout_s=TIMEOUT_S)
    else:
        query = urlencode({"namespace": namespace})
        found = remote.ask(home, "POST", f"/explain?{query}", manifest(filename or "-"), TIMEOUT_S)
    if output == "json":
        click.echo(json.dumps(found, indent=2))
        return
    for line in lines(found):
        click.echo(line)


def manifest(filename: str) -> Any:
    """The one object of a file that has a pod in it. Raises Problem."""
    from seatrial.sim.cluster import objects_of
    from seatrial.sim.scheduler.whatif import pod_of

    what = "standard input" if filename == "-" else filename
    try:
        text = sys.stdin.read() if filename == "-" else Path(filename).read_text()
        objects = objects_of(text)
    except OSError as problem:
        raise Problem(what, f"it cannot be read ({problem.strerror})", "give the path of a manifest") from None
    except ValueError as problem:
        raise Problem(what, str(problem), "give a manifest such as kubectl apply takes") from None
    for each in objects:
        try:
            pod_of(each)
        except ValueError:
            continue
        return each
    kinds = ", ".join(str(each.get("kind")) for each in objects) or "nothing"
    mend = "give a Pod, or something that makes pods, such as a Deployment or a Job"
    raise Problem(what, f"there is no pod in it, only {kinds}", mend)


def lines(found: dict[str, Any]) -> list[str]:
    """The answer in words, and the table of nodes."""
    from seatrial.sim.scheduler.explain import table

    said = [*summary(found)]
    if not found["nodes"]:
        return said
    titles, rows = table(found)
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    return [*said, "", *("  ".join(map(str.ljust, row, widths)).rstrip() for row in (titles, *rows))]


def summary(found: dict[str, Any]) -> list[str]:
    """What came out, in a few sentences."""
    pod, best = found["pod"], found["best"]
    where = f"{pod['namespace']}/{pod['name']}"
    said = []
    if "bound" in found:
        said.append(f"{where} is on {found['bound']}. Were it placed now:")
    else:
        said.append(f"{where}:")
    counted = f"{found['nodesFeasible']} of {found['nodesTotal']} nodes can take it (profile {found['profile']})"
    if len(best) == 1:
        said.append(f"  {best[0]} is chosen; {counted}.")
    elif best:
        said.append(f"  one of {some(best)} is chosen, by chance, as they score alike; {counted}.")
    else:
        said.append(f"  {found['message']}")
    if "preemption" in found:
        made = found["preemption"]
        victims = [f"{each['namespace']}/{each['name']}" for each in made["victims"]]
        said.append(f"  Room would be made on {made['node']} by evicting {some(victims)}.")
    if "extendersNotAsked" in found:
        said.append(f"  Without what extenders would say, who are not asked: {some(found['extendersNotAsked'])}.")
    said += [f"  {text}" for text in waiting(found.get("waiting"))]
    return said


def waiting(place: dict[str, Any] | None) -> list[str]:
    """What a pod in the queue waits for."""
    if place is None:
        return []
    times = "once" if place["attempts"] == 1 else f"{place['attempts']} times"
    if place["queue"] == "gated":
        return [f"It is held back by its gates: {', '.join(place.get('gates') or ()) or 'victims are being evicted'}."]
    if place["queue"] == "unschedulable":
        lifts = " or ".join(place["plugins"]) or "any plug-in"
        return [f"Tried {times}; next when something changes that matters to {lifts}, or after five minutes."]
    if place["queue"] == "backoff":
        return [f"Tried {times}; next when its back-off ends."]
    return ["It is about to be tried."]


def some(names: list[str]) -> str:
    """The first few of a list."""
    more = len(names) - NAMED_MAX
    return ", ".join(names[:NAMED_MAX]) + (f" and {more} more" if more > 0 else "")
