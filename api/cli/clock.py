"""``seatrial clock``: what time it is in a cluster, and how fast it passes."""

from __future__ import annotations

from typing import Any

import click

from seatrial.api.cli import remote
from seatrial.api.cli.show import existing
from seatrial.api.cli.up import DEFAULT_NAME
from seatrial.api.control import durations
from seatrial.api.problem import Problem

ADVANCE_TIMEOUT_S = 3600.0

cluster_option = click.option("--cluster", "name", default=DEFAULT_NAME, show_default=True, help="Which cluster.")


@click.group(short_help="Look at simulated time, and change its pace.")
def clock() -> None:
    """Look at a cluster's time, and change its pace.

    Time passes as on the wall unless you say otherwise. What you skip happens all the same: after `advance 6m` every
    timeout of the six minutes has run out, and kubectl shows everything six minutes older.

    \b
    Examples:
      seatrial clock show
      seatrial clock advance 6m
      seatrial clock speed 10
      seatrial clock pause --cluster lab
    """


def tell(view: dict[str, Any]) -> None:
    """The lines of a clock."""
    pace = "paused" if view["paused"] else f"{view['speed']:g} × as fast as the wall clock"
    click.echo(f"now:    {view['now']} in the cluster")
    ahead = -int(view["offsetMicroseconds"])
    if ahead:
        word = "ahead of" if ahead > 0 else "behind"
        click.echo(f"        {durations.show(abs(ahead))} {word} the wall clock")
    click.echo(f"pace:   {pace}")
    if view["lagMicroseconds"] > 1_000_000:
        click.echo(f"lag:    {durations.show(view['lagMicroseconds'])}: the simulation cannot keep up")


@clock.command()
@cluster_option
def show(name: str) -> None:
    """Show the time and its pace."""
    tell(remote.ask(existing(name), "GET", "/clock"))


@clock.command()
@cluster_option
def pause(name: str) -> None:
    """Stop time. Requests are still answered, but nothing follows from them."""
    tell(remote.ask(existing(name), "POST", "/clock/pause"))


@clock.command()
@cluster_option
def resume(name: str) -> None:
    """Let time go on."""
    tell(remote.ask(existing(name), "POST", "/clock/resume"))


@clock.command()
@click.argument("factor", type=float)
@cluster_option
def speed(factor: float, name: str) -> None:
    """Let time pass FACTOR times as fast as on the wall: 1 is normal, 60 makes a minute a second."""
    tell(remote.ask(existing(name), "PUT", "/clock/speed", {"speed": factor}))


@clock.command()
@click.argument("duration")
@cluster_option
def advance(duration: str, name: str) -> None:
    """Jump forward by DURATION (90s, 6m, 1h30m, 2d). Everything of the time between happens, as fast as it can."""
    try:
        durations.parse(duration)
    except ValueError as problem:
        raise Problem("clock advance", str(problem), "for example: seatrial clock advance 6m") from None
    tell(remote.ask(existing(name), "POST", "/clock/advance", {"duration": duration}, ADVANCE_TIMEOUT_S))


@clock.command("next")
@cluster_option
def next_(name: str) -> None:
    """Jump to the next thing that is due."""
    view = remote.ask(existing(name), "POST", "/clock/next", timeout_s=ADVANCE_TIMEOUT_S)
    click.echo(f"skipped {view['skipped']}")
    tell(view)
