"""``seatrial init`` and ``seatrial provision``: a directory's cluster, and what is to be in it."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlencode

import click

from seatrial.api.cli import kubeconfig, remote
from seatrial.api.cli.here import FILENAME, default_name, read_spec, spec_file
from seatrial.api.cli.show import existing
from seatrial.api.problem import Problem
from seatrial.api.server.state import Home, Settings
from seatrial.sim.config import ProvisionStep

CONTROL_PLANE = "m-k8s"
READY_TIMEOUT_S = 120.0


@click.command(short_help="Write a Seatrial.yaml that says what `up` makes.")
@click.argument("name", required=False)
@click.option("--nodes", type=click.IntRange(0, 5000), default=3, show_default=True, help="Workers.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def init(name: str | None, nodes: int, force: bool) -> None:
    """Write a Seatrial.yaml into this directory: nodes, their sizes and addresses, what to set up in the cluster, each
    with a comment. `seatrial up` here makes a cluster of it, and every command here means that cluster unless another
    is named. NAME is the cluster's; by default the directory's.

    \b
    Examples:
      seatrial init
      seatrial init lab --nodes 5
    """
    from seatrial.api.cli.up import NAME
    from seatrial.scenarios.clusterfile import template

    path = Path(FILENAME)
    if path.exists() and not force:
        raise Problem(FILENAME, "there is one already", "change it, or replace it: seatrial init --force")
    if name is not None and not NAME.fullmatch(name):
        raise Problem(f"cluster {name!r}", "this cannot be a name", "for example: seatrial init lab-1")
    usual = Path.cwd().name.lower()
    chosen = name or (usual if NAME.fullmatch(usual) else "seatrial")
    try:
        path.write_text(template(chosen, nodes))
    except OSError as problem:
        raise Problem(FILENAME, f"it cannot be written ({problem.strerror})", "go to a directory of yours") from None
    click.echo(f"Wrote {FILENAME} for cluster {chosen}. Change it as you like, then: seatrial up")


@click.command(short_help="Do what Seatrial.yaml says is to be in the cluster.")
@click.argument("name", default=default_name)
@click.option("--file", "-f", "file", metavar="FILE", help="Whose steps.  [default: the one that it was made from]")
def provision(name: str, file: str | None) -> None:
    """Do the steps under `provision:` of the cluster's Seatrial.yaml, one after the other: apply manifests, run lines
    on machines. `seatrial up` does them when it makes a cluster; doing them again should change nothing.

    \b
    Examples:
      seatrial provision
      seatrial provision lab -f other.yaml
    """
    home = existing(name)
    settings = home.load()
    remote.running(home)
    path = Path(file).absolute() if file else spec_file(settings.file or None, name)
    if path is None:
        mend = "write one with: seatrial init, or give one: seatrial provision -f FILE"
        raise Problem(f"cluster {name}", f"it was made without a {FILENAME}", mend)
    steps = read_spec(path, name).provision
    if not steps:
        click.echo(f"{path.name} has no steps under provision:")
    carry_out(home, settings, steps, path.parent)


def carry_out(home: Home, settings: Settings, steps: tuple[ProvisionStep, ...], folder: Path) -> None:
    """Does the steps one after the other. Raises Problem at the first that fails."""
    for number, step in enumerate(steps, 1):
        if step.apply:
            click.echo(f"{number}/{len(steps)} apply {step.apply}")
            apply(home, settings, folder / step.apply)
        else:
            for node in step.nodes or machines(settings):
                click.echo(f"{number}/{len(steps)} shell on {node}")
                shell(home, node, step.shell)


def machines(settings: Settings) -> list[str]:
    """All machines of a cluster."""
    spec = settings.spec
    if not spec.nodes or spec.control_plane_only or spec.controllers == "none":
        return []
    return [CONTROL_PLANE, *(spec.node_names.replace("{n}", str(number)) for number in range(1, spec.nodes + 1))]


def apply(home: Home, settings: Settings, path: Path) -> None:
    """Applies manifests as ``kubectl apply`` does. Raises Problem."""
    from seatrial.api.cli.kubectl import main

    target = settings.kubeconfig or str(kubeconfig.chosen(None, os.environ))
    flags = ["--kubeconfig", target, "--context", kubeconfig.context_name(home.name)]
    # What a namespace's pods need is made by a controller, soon after the namespace.
    if settings.spec.controllers == "all":
        wanted = {"objects": ["serviceaccount/default"], "condition": "create", "timeout": "60s"}
        remote.ask(home, "POST", "/clock/until", wanted, timeout_s=READY_TIMEOUT_S)
    code = main(["apply", "-f", str(path), *(("-R",) if path.is_dir() else ()), *flags])
    if code:
        raise Problem(
            f"provision: apply {path}", "kubectl apply failed", "mend the manifests, then: seatrial provision"
        )


def shell(home: Home, node: str, lines: str) -> None:
    """Runs lines on a machine. Raises Problem."""
    from seatrial.api.cli.ssh import PROTOCOL, Session
    from seatrial.api.cli.websocket import connect

    socket = connect(home, f"/ssh?{urlencode({'node': node, 'command': lines, 'stdin': 'true'})}", PROTOCOL)
    try:
        code = Session(socket, False, reads=False).run()
    finally:
        socket.close()
    if code:
        why = f"the lines ended with exit code {code}"
        raise Problem(f"provision: shell on {node}", why, "mend them, then: seatrial provision")
