"""``seatrial halt`` and ``seatrial destroy``."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import click

from seatrial.api.cli import discovery_cache, kubeconfig
from seatrial.api.cli.app import home_text
from seatrial.api.cli.here import default_name
from seatrial.api.cli.up import checked_name
from seatrial.api.problem import Problem
from seatrial.api.server import state
from seatrial.api.server.detached import stop
from seatrial.api.server.state import Home


def config_files(home: Home, given: str | None) -> list[Path]:
    """The kubeconfigs that may hold the cluster's context: the one it was last written to, the given or usual one."""
    files = [kubeconfig.chosen(given, os.environ)]
    with suppress(Problem):
        written = home.load().kubeconfig
        if written and Path(written) not in files:
            files.append(Path(written))
    return files


def forget_types(home: Home) -> None:
    """Lets kubectl forget the types of a cluster that goes; what is damaged is not known well enough."""
    with suppress(Problem):
        discovery_cache.forget(os.environ, f"https://127.0.0.1:{home.load().port}")


def forget_context(name: str, files: list[Path]) -> None:
    """Takes a cluster's context out of the kubeconfigs."""
    context = kubeconfig.context_name(name)
    for file in files:
        if kubeconfig.remove(file, context):
            click.echo(f'Removed context "{context}" from {home_text(file)}')


@click.command(short_help="Stop a cluster; `up` brings it back.")
@click.argument("name", default=default_name)
@click.option("--kubeconfig", "kubeconfig_file", metavar="FILE", help="Where an ephemeral cluster's context is.")
def halt(name: str, kubeconfig_file: str | None) -> None:
    """Stop the cluster NAME as if its machines were switched off. Its objects stay; `seatrial up` goes on from here.

    An ephemeral cluster is forgotten, unless a scenario is under way on it: both go on where they were.

    \b
    Examples:
      seatrial halt
      seatrial halt lab
    """
    home = state.find(checked_name(name), os.environ)
    if not home.running:
        if not home.exists:
            raise Problem(f"cluster {name}", "there is none of that name", "see what there is with: seatrial list")
        click.echo(f"Cluster {name} is not running.")
        return
    ephemeral, files = home.load().ephemeral, config_files(home, kubeconfig_file)
    stop(home)
    if ephemeral and home.beginning.exists():
        click.echo(f"Cluster {name} is halted, and the scenario on it. Both go on with: seatrial up {name}")
    elif ephemeral:
        forget_types(home)
        home.remove()
        forget_context(name, files)
        click.echo(f"Cluster {name} is gone.")
    else:
        click.echo(f"Cluster {name} is halted. Start it again with: seatrial up {name}")


@click.command(short_help="Stop a cluster and start it with what its Seatrial.yaml says now.")
@click.argument("name", default=default_name)
@click.option("--file", "-f", "file", metavar="FILE", help="Its Seatrial.yaml.  [default: that it was made from]")
@click.option("--provision", is_flag=True, help="Do the steps of that file, too.")
@click.pass_context
def reload(ctx: click.Context, name: str, file: str | None, provision: bool) -> None:
    """Stop the cluster NAME and start it again, as `halt` and `up` do, with what has changed in its Seatrial.yaml. A
    mistake in the file is told before anything is stopped.

    \b
    Examples:
      seatrial reload
      seatrial reload lab --provision
    """
    from seatrial.api.cli.here import read_spec, spec_file
    from seatrial.api.cli.up import changed, up

    home = state.find(checked_name(name), os.environ)
    if not home.exists:
        raise Problem(f"cluster {name}", "there is none of that name", f"make it with: seatrial up {name}")
    settings = home.load()
    if settings.ephemeral:
        raise Problem(f"cluster {name}", "it is ephemeral: stopping it would be its end", "use halt and up")
    path = spec_file(file or settings.file or None, name)
    if path is not None:
        changed(name, settings.spec, read_spec(path, name))
    if home.running:
        stop(home)
        click.echo(f"Cluster {name} is halted.")
    ctx.invoke(
        up,
        name=name,
        file=str(path) if path is not None else None,
        provision=provision,
        kubeconfig_file=settings.kubeconfig or None,
    )


@click.command(short_help="Remove a cluster and everything in it.")
@click.argument("name", default=default_name)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--kubeconfig", "kubeconfig_file", metavar="FILE", help="Where the cluster's context is.")
def destroy(name: str, yes: bool, kubeconfig_file: str | None) -> None:
    """Stop the cluster NAME, delete its objects and take its context out of your kubeconfig.

    \b
    Examples:
      seatrial destroy
      seatrial destroy lab --yes
    """
    home = state.find(checked_name(name), os.environ)
    if not home.path.exists():
        raise Problem(f"cluster {name}", "there is none of that name", "see what there is with: seatrial list")
    if not yes:
        click.confirm(f"Delete cluster {name} and everything in it?", abort=True)
    files = config_files(home, kubeconfig_file)
    for file in files:
        kubeconfig.check_readable(file)
    if home.running:
        stop(home)
    forget_types(home)
    home.remove()
    forget_context(name, files)
    click.echo(f"Cluster {name} is gone.")
