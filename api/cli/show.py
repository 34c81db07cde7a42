"""``seatrial status``, ``list`` and ``logs``: what there is and how it is."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from seatrial.api.cli import kubeconfig, remote
from seatrial.api.cli.app import home_text
from seatrial.api.cli.here import used_name
from seatrial.api.cli.up import checked_name
from seatrial.api.control import durations
from seatrial.api.problem import Problem
from seatrial.api.server import state
from seatrial.api.server.state import Home

FOLLOW_S = 0.2
FORMATS = click.Choice(["text", "json"])


def existing(name: str) -> Home:
    """The directory of a cluster that exists. Raises Problem."""
    home = state.find(checked_name(name), os.environ)
    if not home.exists:
        raise Problem(f"cluster {name}", "there is none of that name", f"make it with: seatrial up {name}")
    return home


@click.command(short_help="Show how a cluster is.")
@click.argument("name", default=used_name)
@click.option("--output", "-o", type=FORMATS, default="text", help="json for programs.")
def status(name: str, output: str) -> None:
    """Show how the cluster NAME is: what runs, where, since when, and what time it is there.

    \b
    Examples:
      seatrial status
      seatrial status lab -o json
    """
    home = existing(name)
    settings = home.load()
    facts: dict[str, Any] = {"name": name, "running": home.running, "directory": str(home.path)}
    if home.running:
        facts.update(remote.ask(home, "GET", "/status"))
    if output == "json":
        click.echo(json.dumps(facts, indent=2))
        return
    click.echo("\n".join(f"{key + ':':<12} {value}" for key, value in rows(home, settings, facts)))


def rows(home: Home, settings: state.Settings, facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The lines of a status."""
    spec = settings.spec
    yield "cluster", f"{home.name} (Kubernetes {spec.kubernetes_version}, seed {settings.seed})"
    yield "context", kubeconfig.context_name(home.name)
    yield "directory", home_text(home.path)
    if not facts["running"]:
        yield "state", f"halted; start it with: seatrial up {home.name}"
        return
    clock = facts["clock"]
    yield "state", f"running for {durations.show(int(facts['uptimeSeconds'] * 1_000_000))} (process {facts['pid']})"
    yield "API server", f"https://127.0.0.1:{facts['port']} ({facts['connections']} connections)"
    if "objects" in facts:
        yield "objects", f"{facts['objects']} at revision {facts['revision']}"
    pace = "paused" if clock["paused"] else f"{clock['speed']:g} × as fast as the wall clock"
    yield "clock", f"{clock['now']}, {pace}"
    if clock["lagMicroseconds"] > 1_000_000:
        yield "lag", f"{durations.show(clock['lagMicroseconds'])}: the simulation cannot keep up"


@click.command("list", short_help="List clusters.")
@click.option("--output", "-o", type=FORMATS, default="text", help="json for programs.")
def list_(output: str) -> None:
    """List all clusters, running or halted.

    \b
    Examples:
      seatrial list
      seatrial list -o json
    """
    found = [summary(home) for home in state.every(os.environ)]
    if output == "json":
        click.echo(json.dumps(found, indent=2))
        return
    if not found:
        click.echo("There is no cluster yet. Make one with: seatrial up")
        return
    columns = ("name", "state", "nodes", "address", "context")
    lines = [[column.upper() for column in columns], *([str(entry[column]) for column in columns] for entry in found)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(columns))]
    for line in lines:
        click.echo("   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def summary(home: Home) -> dict[str, Any]:
    """One line of the list; a damaged directory is a line too."""
    entry: dict[str, Any] = {"name": home.name, "state": "halted", "nodes": "-", "address": "-"}
    entry["context"] = kubeconfig.context_name(home.name)
    try:
        settings = home.load()
    except Problem as problem:
        return {**entry, "state": "damaged", "why": problem.why}
    entry["nodes"] = settings.spec.nodes
    if home.running:
        entry["state"] = "running"
        entry["address"] = f"https://127.0.0.1:{home.process().get('port', settings.port)}"
    return entry


@click.command(short_help="Print what a cluster's server logged.")
@click.argument("name", default=used_name)
@click.option("--follow", "-f", is_flag=True, help="Go on until Ctrl-C.")
@click.option("--tail", type=click.IntRange(min=0), help="Only the last N lines.")
def logs(name: str, follow: bool, tail: int | None) -> None:
    """Print the log of the server that runs the cluster NAME. (A container's log: kubectl logs POD.)

    \b
    Examples:
      seatrial logs --tail 20
      seatrial logs lab -f
    """
    home = existing(name)
    try:
        with home.log.open(errors="replace") as file:
            lines = file.readlines()
            for line in lines if tail is None else lines[len(lines) - min(tail, len(lines)) :]:
                click.echo(line, nl=False)
            while follow:
                line = file.readline()
                if line:
                    click.echo(line, nl=False)
                elif moved(home.log, file.tell()):
                    return
                else:
                    time.sleep(FOLLOW_S)
    except FileNotFoundError:
        why = "it has no log: it was only ever run in the foreground"
        raise Problem(f"cluster {name}", why, f"start it detached: seatrial up {name}") from None


def moved(path: Path, position: int) -> bool:
    """Whether the log is gone or was begun anew."""
    try:
        return path.stat().st_size < position
    except FileNotFoundError:
        return True
