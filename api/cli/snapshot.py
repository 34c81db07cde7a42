"""``seatrial snapshot``: moments of a cluster that one can come back to."""

from __future__ import annotations

import json
from typing import Any

import click

from seatrial.api.cli import remote
from seatrial.api.cli.branches import REPLAY_TIMEOUT_S, change
from seatrial.api.cli.options import cluster_option, output_option
from seatrial.api.cli.show import existing
from seatrial.api.problem import Problem
from seatrial.api.server.assembly import kept_journal
from seatrial.api.server.histories import SUFFIX, check_new, free_name, loaded, read, save, snapshot_file
from seatrial.api.server.state import Home
from seatrial.sim.kernel.clock import micro_stamp_of


@click.group(short_help="Save a cluster's state and come back to it.")
def snapshot() -> None:
    """Save a cluster as it is at this moment and come back to it later, any number of times.

    Of a running cluster everything is saved, to the microsecond: pods that are just starting go on starting. Of a
    halted one its objects are saved; it comes back from them as rebooted machines would.

    \b
    Examples:
      seatrial snapshot save before-upgrade
      seatrial snapshot list
      seatrial snapshot restore before-upgrade
      seatrial snapshot delete before-upgrade
    """


@snapshot.command("save")
@click.argument("snapshot_name", metavar="NAME")
@cluster_option
def save_(snapshot_name: str, name: str) -> None:
    """Save the cluster as NAME."""
    home = existing(name)
    check_new(home, snapshot_name)
    if home.running:
        raw = remote.fetch(home, "GET", "/journal", timeout_s=REPLAY_TIMEOUT_S)
        journal = loaded(raw, f"cluster {name}")
    else:
        journal = kept_journal(home, home.load())
    save(journal, snapshot_file(home, snapshot_name))
    click.echo(f"Saved cluster {name} as {snapshot_name}; back to it: seatrial snapshot restore {snapshot_name}")


@snapshot.command()
@click.argument("snapshot_name", metavar="NAME")
@click.option("--keep", metavar="NEW", help="Keep what is as this snapshot.  [default: before-restore-N]")
@click.option("--yes", "-y", is_flag=True, help="Drop what is instead of keeping it.")
@cluster_option
def restore(snapshot_name: str, keep: str | None, yes: bool, name: str) -> None:
    """Go back to the snapshot NAME. What is there now is kept as a snapshot, or dropped with --yes.

    A halted cluster begins from it with the next `seatrial up`.
    """
    if keep and yes:
        raise Problem("snapshot restore", "--keep and --yes say opposite things", "give one of them")
    home = existing(name)
    journal = read(snapshot_file(home, snapshot_name), f"snapshot {snapshot_name}")
    kept = "" if yes else keep or free_name(home, "before-restore")
    if home.running:
        change(home, "/restore", {"snapshot": snapshot_name, "keep": kept})
        return
    now = kept_journal(home, home.load())
    if kept:
        check_new(home, kept)
        save(now, snapshot_file(home, kept))
        click.echo(f"Kept what was there as snapshot {kept}; back to it: seatrial snapshot restore {kept}")
    journal.header["above"] = now.header["revision"]
    save(journal, home.beginning)
    click.echo(f"Cluster {name} begins from {snapshot_name} with the next: seatrial up {name}")


@snapshot.command("list")
@output_option
@cluster_option
def list_(output: str, name: str) -> None:
    """List the snapshots of a cluster."""
    home = existing(name)
    rows = [row(home, path.name.removesuffix(SUFFIX)) for path in sorted(home.snapshots.glob(f"*{SUFFIX}"))]
    if output == "json":
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        click.echo(f"Cluster {name} has no snapshots. Make one with: seatrial snapshot save NAME")
        return
    lines = [("NAME", "MOMENT", "REVISION", "SIZE")]
    lines += [(each["name"], each["at"], str(each["revision"]), f"{each['bytes'] / 1e3:,.0f} kB") for each in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("   ".join(map(str.ljust, line, widths)).rstrip())


def row(home: Home, snapshot_name: str) -> dict[str, Any]:
    """What the first line of a snapshot says of it."""
    path = snapshot_file(home, snapshot_name)
    entry = {"name": snapshot_name, "at": "unreadable", "revision": "-", "bytes": path.stat().st_size}
    try:
        with path.open("rb") as file:
            header = json.loads(file.readline())
        at = micro_stamp_of(header.get("end", header["now"]))
        return {**entry, "at": at, "revision": header.get("endRevision", header.get("revision", 1))}
    except (OSError, ValueError, KeyError):
        return entry


@snapshot.command()
@click.argument("snapshot_name", metavar="NAME")
@cluster_option
def delete(snapshot_name: str, name: str) -> None:
    """Delete the snapshot NAME."""
    path = snapshot_file(existing(name), snapshot_name)
    if not path.exists():
        mend = "see what there is with: seatrial snapshot list"
        raise Problem(f"snapshot {snapshot_name}", "there is none of that name", mend)
    path.unlink()
    click.echo(f"Deleted snapshot {snapshot_name} of cluster {name}")
