"""``seatrial clock rewind`` and ``fork``: other histories than the one that is."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from seatrial.api.cli import kubeconfig, progress, remote
from seatrial.api.cli.options import cluster_option, tell
from seatrial.api.cli.show import existing
from seatrial.api.cli.up import checked_name, finish, launch
from seatrial.api.problem import Problem
from seatrial.api.server import state
from seatrial.api.server.histories import free_name, loaded, save
from seatrial.api.server.state import Home, Settings
from seatrial.sim.config import ClusterSpec
from seatrial.sim.kernel.journal import Journal

REPLAY_TIMEOUT_S = 3600.0
CHANGE_TIMEOUT_S = 120.0
LOOK_S = 0.1


@click.command(short_help="Go back to an earlier moment of this boot.")
@click.argument("moment", metavar="MOMENT")
@click.option("--keep", metavar="NAME", help="Keep what was as this snapshot.  [default: before-rewind-N]")
@click.option("--yes", "-y", is_flag=True, help="Drop what was after MOMENT instead of keeping it.")
@cluster_option
def rewind(moment: str, keep: str | None, yes: bool, name: str) -> None:
    """Go back to MOMENT: how long ago (90s, 5m), a revision (1234), a time as `clock show` tells it, or `start`, of the
    time since the cluster was last started.

    Everything that came from outside is replayed up to MOMENT, so that the cluster is as it was to the microsecond,
    inside of its components, too. Time goes on from there; what you did afterwards has not happened. It is kept as a
    snapshot, to which `seatrial snapshot restore` leads back, or dropped with --yes.

    kubectl and other clients are disconnected, and find the cluster under the same address. Watches end with 410 Gone
    and resourceVersions go on above all that were given out, as after a restore of etcd, so that clients list anew.

    \b
    Examples:
      seatrial clock rewind 5m
      seatrial clock rewind 1234 --yes
      seatrial clock rewind start --keep first-try
    """
    if keep and yes:
        raise Problem("clock rewind", "--keep and --yes say opposite things", "give one of them")
    home = existing(name)
    kept = "" if yes else keep or free_name(home, "before-rewind")
    change(home, "/clock/rewind", {"to": moment, "keep": kept})


def change(home: Home, path: str, body: dict[str, Any]) -> None:
    """Changes a running cluster's history, shows how far it has come, and tells what became of it. Raises Problem."""
    before = remote.ask(home, "GET", "/status")["history"]
    result = patiently(home, path, body)
    status = gone_over(home, before)
    gone = f"what came until {result['gaveUp']['at']} (revision {result['gaveUp']['revision']})"
    click.echo(f"Cluster {home.name} goes on from {result['at']} (revision {result['revision']}).")
    if result["kept"]:
        click.echo(f"Kept {gone} as snapshot {result['kept']}; back to it: seatrial snapshot restore {result['kept']}")
    else:
        click.echo(f"Dropped {gone}.")
    tell(status["clock"])


def gone_over(home: Home, before: Any) -> dict[str, Any]:
    """The status of a server that has gone over to another history than ``before``. Raises Problem."""
    until = time.monotonic() + CHANGE_TIMEOUT_S
    while True:
        why = "it does not go on from the other history"
        problem = Problem(f"cluster {home.name}", why, f"the log may say why: seatrial logs {home.name}")
        try:
            status = remote.ask(home, "GET", "/status", timeout_s=CHANGE_TIMEOUT_S)
            if status["history"] != before:
                return status
        except Problem as silence:
            # Whoever asks while it goes over loses the connection.
            problem = silence
        if time.monotonic() > until or not home.running:
            raise problem
        time.sleep(LOOK_S)


def patiently(home: Home, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request that replays, with its progress shown meanwhile. Raises Problem."""
    answers: list[dict[str, Any]] = []
    problems: list[Problem] = []

    def ask() -> None:
        try:
            answers.append(remote.ask(home, "POST", path, body, REPLAY_TIMEOUT_S))
        except Problem as problem:
            problems.append(problem)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    with progress.shown("replaying") as show:
        asking.join(5 * LOOK_S)
        while asking.is_alive():
            # The server may have gone over to the other history already.
            with suppress(Problem):
                share = remote.ask(home, "GET", "/progress")["share"]
                if share is not None:
                    show(share)
            asking.join(5 * LOOK_S)
    if problems:
        raise problems[0]
    return answers[0]


@click.command(short_help="Make a second cluster from this moment.")
@click.argument("new")
@click.option("--port", type=click.IntRange(1, 65535), help="Of its API server.  [default: a free one]")
@click.option("--kubeconfig", "kubeconfig_file", metavar="FILE", help="Write its context there.")
@cluster_option
def fork(new: str, port: int | None, kubeconfig_file: str | None, name: str) -> None:
    """Make the cluster NEW, which has the same history up to this moment and one of its own from now on. It has its own
    port and context (seatrial-NEW, which becomes the current one); the first cluster is left as it is.

    Both go on with the same chances: what you do to neither of them happens in both alike, which makes differences
    tell.

    \b
    Examples:
      seatrial clock fork what-if
      kubectl --context seatrial-what-if delete node w1-k8s
      seatrial clock fork what-if --cluster lab
    """
    home = existing(name)
    target, made = checked_new(new, kubeconfig_file)
    raw = remote.fetch(home, "GET", "/journal", timeout_s=REPLAY_TIMEOUT_S)
    begin(made, loaded(raw, f"cluster {name}"), target, port or 0, home)


def checked_new(name: str, kubeconfig_file: str | None) -> tuple[Path, Home]:
    """The kubeconfig to write to and the directory of a cluster that is to be made. Raises Problem."""
    made = state.find(checked_name(name), os.environ)
    if made.exists:
        mend = f"choose another name, or first: seatrial destroy {name}"
        raise Problem(f"cluster {name}", "there is one of that name already", mend)
    target = kubeconfig.chosen(kubeconfig_file, os.environ)
    kubeconfig.check(target, kubeconfig.context_name(name))
    return target, made


def begin(made: Home, journal: Journal, target: Path, port: int, origin: Home | None = None) -> None:
    """Starts a new cluster that goes on from a history; with the certificates of ``origin``. Raises Problem."""
    header = journal.header
    settings = Settings(
        spec=ClusterSpec.model_validate(header["spec"]),
        seed=header["seed"],
        port=port,
        boots=header["boot"],
        kubeconfig=str(target),
    )
    click.echo(f"Starting cluster {made.name} ...")
    began = time.monotonic()
    made.save(settings)
    try:
        if origin is not None:
            copy_certificates(origin, made)
        save(journal, made.beginning)
        launch(made, False, lambda report: finish(made.name, target, settings, report, time.monotonic() - began))
    except Problem:
        if not made.running:
            made.remove()
        raise


def copy_certificates(origin: Home, made: Home) -> None:
    """Lets two clusters have the same authority, so that what one has signed is good in the other. Raises Problem."""
    import shutil

    try:
        shutil.copytree(origin.pki, made.pki)
    except (OSError, shutil.Error) as problem:
        raise Problem(
            f"cluster {made.name}", f"its certificates cannot be copied ({problem})", "see the disk"
        ) from None
