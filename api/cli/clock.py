"""``seatrial clock``: what time it is in a cluster, how fast it passes, jumps forward and back."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import click

from seatrial.api.cli import remote
from seatrial.api.cli.branches import fork, rewind
from seatrial.api.cli.options import cluster_option as cluster_option
from seatrial.api.cli.options import output_option, tell
from seatrial.api.cli.show import existing
from seatrial.api.control import durations
from seatrial.api.problem import Problem

ADVANCE_TIMEOUT_S = 3600.0
COLORS = {"+": "green", "-": "red", "@": "cyan"}
SIGNS = {"added": "+", "removed": "-", "changed": "~"}
NUMBERED_MAX = 12
"""Fields of an object that are shown when only an overview is asked for."""


@click.group(short_help="Look at simulated time, change its pace, jump to another moment.")
def clock() -> None:
    """Look at a cluster's time, change its pace, jump forward and back.

    Time passes as on the wall unless you say otherwise. What you skip happens all the same: after `advance 6m` every
    timeout of the six minutes has run out, and kubectl shows everything six minutes older.

    \b
    Examples:
      seatrial clock show
      seatrial clock advance 6m
      seatrial clock until pod/web-0 --for=condition=Ready
      seatrial clock next --kind pods
      seatrial clock diff 5m
      seatrial clock rewind 5m
      seatrial clock fork what-if
      seatrial clock speed 10
      seatrial clock pause --cluster lab
    """


clock.add_command(rewind)
clock.add_command(fork)


def checked_span(what: str, text: str, example: str) -> str:
    """A span of time as the user wrote it. Raises Problem."""
    try:
        durations.parse(text)
    except ValueError as problem:
        raise Problem(what, str(problem), f"for example: {example}") from None
    return text


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


@clock.command(short_help="Let time wait for clients outside, such as an operator under test.")
@click.argument("switch", type=click.Choice(["on", "off"]))
@click.option("--grace", default="50ms", show_default=True, help="How long (wall clock) clients have for a reaction.")
@cluster_option
def lockstep(switch: str, grace: str, name: str) -> None:
    """Let time wait for clients outside, or no longer.

    With lock-step on, nothing more happens after each answer to a client and each change that one watches, until all
    clients have been quiet for the grace. An operator that you run on this machine then reacts within the same
    simulated instant, also while time is sped up or jumps.

    \b
    Example:
      seatrial clock lockstep on
      seatrial clock advance 1h
    """
    checked_span("clock lockstep", grace, "seatrial clock lockstep on --grace 50ms")
    tell(remote.ask(existing(name), "PUT", "/clock/lockstep", {"grace": grace if switch == "on" else ""}))


@clock.command()
@click.argument("duration")
@cluster_option
def advance(duration: str, name: str) -> None:
    """Jump forward by DURATION (90s, 6m, 1h30m, 2d). Everything of the time between happens, as fast as it can."""
    checked_span("clock advance", duration, "seatrial clock advance 6m")
    tell(remote.ask(existing(name), "POST", "/clock/advance", {"duration": duration}, ADVANCE_TIMEOUT_S))


@clock.command("next", short_help="Jump to the next change.")
@click.option("--kind", default="", help="Only changes of this kind, as kubectl takes it (pods, deploy, events).")
@click.option("--within", default="1h", show_default=True, help="Go this far at most.")
@output_option
@cluster_option
def next_(kind: str, within: str, output: str, name: str) -> None:
    """Jump to the next change in the cluster, and tell what it is. Heartbeats and renewed leases do not count.

    \b
    Examples:
      seatrial clock next
      seatrial clock next --kind pods
    """
    checked_span("clock next", within, "seatrial clock next --within 1h")
    view = remote.ask(existing(name), "POST", "/clock/next", {"kind": kind, "within": within}, ADVANCE_TIMEOUT_S)
    if output == "json":
        click.echo(json.dumps(view, indent=2))
    change = view["change"]
    if change is None:
        why = f"nothing{f' of {kind}' if kind else ''} changed within {within}; it is {within} later now"
        raise Problem("clock next", why, "go further with --within, or change something")
    if output == "text":
        place = f"{change['namespace']}/{change['name']}" if change["namespace"] else change["name"]
        what = f": {change['what']}" if change["what"] else ""
        click.echo(
            f"{change['verb']} {change['kind']} {place}{what}  (by {change['by']}, revision {change['revision']})"
        )
        click.echo(f"skipped {view['skipped']}")
        tell(view)


@clock.command(short_help="Jump to the moment at which a condition holds.")
@click.argument("objects", nargs=-1, required=True, metavar="KIND/NAME... | KIND")
@click.option("--for", "condition", required=True, metavar="CONDITION", help="What to wait for, as in kubectl wait.")
@click.option("--selector", "-l", default="", help="Which objects of KIND, by label.")
@click.option("--all", "every", is_flag=True, help="All objects of KIND.")
@click.option("--namespace", "-n", default="default", show_default=True, help="Where the objects are.")
@click.option("--timeout", default="10m", show_default=True, help="Simulated time after which to give up.")
@output_option
@cluster_option
def until(
    objects: tuple[str, ...],
    condition: str,
    selector: str,
    every: bool,
    namespace: str,
    timeout: str,
    output: str,
    name: str,
) -> None:
    """Jump to the very moment at which CONDITION holds of the objects. It is looked at after every change. An object
    that is not there yet is waited for.

    \b
    CONDITION is one of
      condition=NAME[=STATUS]          a condition of the status, True unless said otherwise
      jsonpath='{.path}'[=VALUE]       a field that has a value, or is there
      create, delete                   the object itself

    \b
    Examples:
      seatrial clock until pod/web-0 --for=condition=Ready
      seatrial clock until deploy/web --for=jsonpath='{.status.readyReplicas}'=3 --timeout 30m
      seatrial clock until pods -l app=web --for=delete
      seatrial clock until node/w1-k8s --for=condition=Ready=Unknown
    """
    checked_span("clock until", timeout, "--timeout 10m")
    asked: dict[str, Any] = {"condition": condition, "namespace": namespace, "timeout": timeout, "selector": selector}
    if len(objects) == 1 and "/" not in objects[0]:
        if not (selector or every):
            why = f"{objects[0]!r} names no object"
            raise Problem("clock until", why, f"give a name ({objects[0]}/NAME), a selector (-l app=web) or --all")
        asked["kind"] = objects[0]
    else:
        asked["objects"] = list(objects)
    view = remote.ask(existing(name), "POST", "/clock/until", asked, ADVANCE_TIMEOUT_S)
    if output == "json":
        click.echo(json.dumps(view, indent=2))
    missing = [row for row in view["objects"] if not row["met"]]
    if not view["met"]:
        told = [f"{row['object']}{'' if row['exists'] else ' (which is not there)'}" for row in missing[:3]]
        whom = ", ".join(told) or f"any of the {asked.get('kind', 'objects')}"
        why = f"{view['condition']} did not come to hold of {whom} within {timeout}; it is {timeout} later now"
        raise Problem("clock until", why, "go further with --timeout, or ask why: seatrial why KIND/NAME")
    if output == "text":
        for row in view["objects"]:
            click.echo(f"{row['object']} condition met")
        click.echo(f"skipped {view['skipped']}")
        tell(view)


@clock.command(short_help="Show what differs between two moments.")
@click.argument("moments", nargs=-1, required=True, metavar="FROM [TO]")
@click.option("--kind", default="", help="Only objects of this kind.")
@click.option("--all", "every", is_flag=True, help="Events and leases, too.")
@click.option("--summary", is_flag=True, help="One line per field instead of a unified diff.")
@output_option
@cluster_option
def diff(moments: tuple[str, ...], kind: str, every: bool, summary: bool, output: str, name: str) -> None:
    """Show which objects were added, removed and changed between the moments FROM and TO (by default now), and how.

    A moment is how long ago (90s, 5m), a revision (1234), a time as `clock show` tells it, `start` (of this boot) or
    `now`.

    \b
    Examples:
      seatrial clock diff 5m
      seatrial clock diff 10m 5m --kind pods
      seatrial clock diff 1200 1310 -o json
      seatrial clock diff start now --summary
    """
    if len(moments) > 2:
        raise Problem("clock diff", f"{len(moments)} moments were given", "give two: seatrial clock diff 10m 5m")
    query = {"a": moments[0], "b": moments[1] if len(moments) == 2 else "now", "kind": kind, "every": every}
    found = remote.ask(existing(name), "GET", f"/clock/diff?{urlencode(query)}", timeout_s=ADVANCE_TIMEOUT_S)
    if output == "json":
        click.echo(json.dumps(found, indent=2))
        return
    ends = [f"{found[end]['at']} (revision {found[end]['revision']})" for end in ("from", "to")]
    click.echo(f"from {ends[0]} to {ends[1]}")
    for each in found["objects"]:
        click.echo("\n".join(_summary(each) if summary else _colored(each)))
    hidden = f" ({found['hidden']} events and leases more: --all)" if found["hidden"] else ""
    counts = {verb: sum(each["verb"] == verb for each in found["objects"]) for verb in SIGNS}
    click.echo(", ".join(f"{count} {verb}" for verb, count in counts.items()) + hidden)


def _colored(each: dict[str, Any]) -> list[str]:
    lines = each["diff"]
    return ["", *(click.style(line, fg=COLORS.get(line[:1]), bold=line[:3] in ("---", "+++")) for line in lines)]


def _summary(each: dict[str, Any]) -> list[str]:
    place = f"{each['namespace']}/{each['name']}" if each["namespace"] else each["name"]
    rows = [f"{SIGNS[each['verb']]} {each['kind']} {place}"]
    rows += [
        f"    {row['path']}: {_short(row['before'])} → {_short(row['after'])}" for row in each["fields"][:NUMBERED_MAX]
    ]
    if len(each["fields"]) > NUMBERED_MAX:
        rows.append(f"    and {len(each['fields']) - NUMBERED_MAX} more")
    return rows


def _short(value: Any) -> str:
    text = "none" if value is None else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else text[:59] + "…"
