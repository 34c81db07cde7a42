"""``seatrial journal`` and ``seatrial replay``: a cluster's history as a file, and a cluster from such a file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from seatrial.api.cli import progress, remote
from seatrial.api.cli.branches import REPLAY_TIMEOUT_S, begin, checked_new
from seatrial.api.cli.options import cluster_option, output_option
from seatrial.api.cli.show import existing
from seatrial.api.problem import Problem
from seatrial.api.server.histories import check_end, loaded, read, save, unplayable
from seatrial.scenarios.kubectl.onmachine import with_kubectl
from seatrial.scenarios.moments import moment_of
from seatrial.sim.cluster import Cluster
from seatrial.sim.kernel.clock import micro_stamp_of
from seatrial.sim.kernel.journal import Entry, Journal


@click.group(short_help="Save and read what came to a cluster from outside.")
def journal() -> None:
    """Save and read a cluster's journal: what it held when it was started, and everything that came from outside since:
    requests, sessions in containers, faults, loads, answers of webhooks. `seatrial replay` makes the same history of
    it again, on any machine.

    \b
    Examples:
      seatrial journal save incident.journal
      seatrial journal show
      seatrial journal show incident.journal
    """


@journal.command("save")
@click.argument("file")
@cluster_option
def save_(file: str, name: str) -> None:
    """Save the journal since the last start as FILE (JSON lines; - prints it). It holds what the cluster holds, its
    Secrets and tokens, too.
    """
    raw = remote.fetch(existing(name), "GET", "/journal", timeout_s=REPLAY_TIMEOUT_S)
    if file == "-":
        sys.stdout.buffer.write(raw)
        return
    found = loaded(raw, f"cluster {name}")
    save(found, Path(file))
    click.echo(f"Saved {len(found.entries)} entries ({len(raw) / 1e6:.1f} MB) as {file}; seatrial replay {file}")


@journal.command()
@click.argument("file", required=False)
@output_option
@cluster_option
def show(file: str | None, output: str, name: str) -> None:
    """Show the journal of a running cluster, or that of FILE: a line for each thing that came."""
    if file:
        found = read(Path(file))
    else:
        raw = remote.fetch(existing(name), "GET", "/journal", timeout_s=REPLAY_TIMEOUT_S)
        found = loaded(raw, f"cluster {name}")
    if output == "json":
        rows = [{"at": micro_stamp_of(entry.at), "kind": entry.kind, "value": entry.value} for entry in found.entries]
        click.echo(json.dumps({"header": found.header, "entries": rows}, indent=2))
        return
    for entry in found.entries:
        click.echo(f"{micro_stamp_of(entry.at)}  {entry.kind:<12} {summary(entry)}")


def summary(entry: Entry) -> str:
    """An entry in a few words."""
    value: Any = entry.value
    if entry.kind == "request":
        who = (value.get("user") or {}).get("name") or (value.get("credentials") or {}).get("certificate_common_name")
        return f"{value['method']} {value['path']} by {who or 'a token'}"
    if entry.kind == "session":
        what = value.get("open") or value.get("act")
        more = " ".join(value.get("command") or ()) or str(value.get("pod", ""))
        return f"{value['session']}: {what} {more}".rstrip()
    if entry.kind == "certificate":
        return "signed"
    if entry.kind == "answer":
        return f"to call {value['call']}: {value.get('status') or value.get('error')}"
    return "" if value is None else json.dumps(value)


@click.command(short_help="Make a history again from its journal.")
@click.argument("file")
@click.option("--until", metavar="MOMENT", help="Stop there: a revision or a time of the cluster's calendar.")
@click.option("--as", "new", metavar="NAME", help="Make a cluster of this name that goes on from there.")
@click.option("--port", type=click.IntRange(1, 65535), help="Of the new cluster's API server.")
@click.option("--kubeconfig", "kubeconfig_file", metavar="FILE", help="Write the new cluster's context there.")
@output_option
def replay(
    file: str, until: str | None, new: str | None, port: int | None, kubeconfig_file: str | None, output: str
) -> None:
    """Make the history of FILE, which `seatrial journal save` has written, again, and check that it comes to the same
    end. With --as, a new cluster goes on from there.

    \b
    Examples:
      seatrial replay incident.journal
      seatrial replay incident.journal --as incident
      seatrial replay incident.journal --until 1234 --as before
    """
    found = read(Path(file))
    if new is None:
        report(replayed(found, until), until, output)
        return
    target, made = checked_new(new, kubeconfig_file)
    if until is not None:
        found = replayed(found, until).journal
    begin(made, found, target, port or 0)


def replayed(found: Journal, until: str | None) -> Cluster:
    """The cluster of a journal, with progress shown. Raises Problem."""
    try:
        cluster = with_kubectl(Cluster.begin(found))
        with progress.shown("replaying") as show_share:
            for share in cluster.following(found):
                show_share(share)
        check_end(cluster, found)
    except ValueError as problem:
        raise unplayable(str(problem)) from None
    if until is None:
        return cluster
    try:
        moment = moment_of(until, cluster)
    except ValueError as problem:
        raise Problem(
            "replay", str(problem), "give --until a moment of the history, as journal show tells them"
        ) from None
    cluster = with_kubectl(Cluster.begin(found))
    cluster.follow(found, moment)
    return cluster


def report(cluster: Cluster, until: str | None, output: str) -> None:
    """Tells what a replay came to."""
    store = cluster.store
    objects = sum(store.count(storage) for storage in store.storages())
    facts = {
        "at": micro_stamp_of(cluster.now),
        "revision": store.revision,
        "objects": objects,
        "digest": cluster.digest(),
        "same": until is None,
    }
    if output == "json":
        click.echo(json.dumps(facts, indent=2))
        return
    click.echo(f"at {facts['at']}: {objects} objects at revision {facts['revision']}")
    click.echo(f"digest {facts['digest']}" + (", as recorded" if until is None else ""))
