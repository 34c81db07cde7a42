"""Options that many commands have, and what they say of time."""

from __future__ import annotations

from typing import Any

import click

from seatrial.api.cli.here import USED, used_name
from seatrial.api.cli.show import FORMATS
from seatrial.api.control import durations

cluster_option = click.option("--cluster", "name", default=used_name, show_default=USED, help="Which cluster.")
output_option = click.option("--output", "-o", type=FORMATS, default="text", help="json for programs.")


def tell(view: dict[str, Any]) -> None:
    """The lines of a clock."""
    pace = "paused" if view["paused"] else f"{view['speed']:g} × as fast as the wall clock"
    if view.get("lockstep"):
        pace += f", waiting {view['lockstep']} for clients after each word with them"
    click.echo(f"now:    {view['now']} in the cluster")
    ahead = -int(view["offsetMicroseconds"])
    if ahead:
        word = "ahead of" if ahead > 0 else "behind"
        click.echo(f"        {durations.show(abs(ahead))} {word} the wall clock")
    click.echo(f"pace:   {pace}")
    if view["lagMicroseconds"] > 1_000_000:
        click.echo(f"lag:    {durations.show(view['lagMicroseconds'])}: the simulation cannot keep up")
