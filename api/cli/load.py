"""``seatrial load``: ask a URL of a cluster again and again, and see what it does."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from seatrial.api.cli import remote, scheduled
from seatrial.api.cli.clock import cluster_option
from seatrial.api.cli.show import FORMATS, existing
from seatrial.api.control import durations
from seatrial.api.problem import Problem

COLUMNS = ("since", "seconds", "level", "sent", "rate", "ok", "failed", "p50", "p90", "p95", "p99", "max", "mean")


@click.group(short_help="Ask a URL of the cluster again and again.")
def load() -> None:
    """Ask a URL of a cluster again and again, as wrk, hey and vegeta do, and see what becomes of it.

    Requests are simulated: a thousand per second for an hour take seconds. They walk the cluster's services, rules and
    policies, cost the containers that answer CPU and memory, and so move `kubectl top` and the autoscaler.

    \b
    Examples:
      seatrial load add http://web --rate 100 --from pod/default/client --for 5m
      seatrial load add http://192.168.1.101:30080 --users 20 --think 1s
      seatrial load add http://shop.example.com --kind ramp --set end=500 --set over-s=600
      seatrial load add http://web --trace monday.csv
      seatrial load show constant-1
      seatrial load remove --all
    """


@load.command()
@click.argument("url", required=False)
@click.option("--rate", type=float, help="Requests per second, whatever becomes of them.")
@click.option("--users", type=float, help="Users, each of whom asks, waits, thinks and asks again.")
@click.option("--think", default="", metavar="SPAN", help="How long users think (500ms).")
@click.option("--kind", "-k", default="", help="The shape over time (see kinds); constant by default.")
@click.option("--trace", "points", type=click.Path(path_type=Path), help="A CSV file of seconds and level.")
@click.option(
    "--from", "origin", default="outside", show_default=True, help="Who asks: pod/NS/NAME, node/NAME, outside."
)
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="A parameter; may be given several times.")
@click.option("--for", "lasts", default="", metavar="SPAN", help="How long it lasts (5m); otherwise until removed.")
@click.option("--after", default="", metavar="SPAN", help="It begins after a while (30s).")
@click.option("--at", default="", metavar="MOMENT", help="It begins at a moment (2026-01-01T12:00:00Z).")
@click.option("--name", "known_as", default="", help="Its name, for show and remove.")
@click.option("--file", "-f", "path", type=click.Path(path_type=Path), help="A plan of several; - for standard input.")
@cluster_option
def add(url: str | None, path: Path | None, name: str, **options: Any) -> None:
    """Ask URL again and again: a service's name, an address, a node's port, the host of an Ingress.

    \b
    A plan is YAML, of which all entries are taken or none:
      - {kind: constant, url: http://web, origin: pod/default/client, level: 100, for: 5m}
      - {kind: sine, url: http://192.168.1.101:30080, mean: 50, amplitude: 40, period_s: 600, after: 1m}
    """
    if (url is None) == (path is None):
        raise Problem("load add", "say either a URL or --file", "for example: seatrial load add http://web --rate 50")
    if path is not None:
        entries = scheduled.plan(path, "loads")
    else:
        assert url is not None
        entries = [entry(url, **options)]
    made = remote.ask(existing(name), "POST", "/loads", entries)
    for each in made["names"]:
        click.echo(f"load {each} added")


def entry(
    url: str,
    rate: float | None,
    users: float | None,
    think: str,
    kind: str,
    points: Path | None,
    origin: str,
    sets: tuple[str, ...],
    lasts: str,
    after: str,
    at: str,
    known_as: str,
) -> dict[str, Any]:
    """The value that options mean. Raises Problem."""
    from seatrial.api.control.loads import kinds as rows_of
    from seatrial.sim.loads.load import load_of

    kind = kind or ("trace" if points else "constant")
    parameters: dict[str, Any] = next((row["parameters"] for row in rows_of() if row["kind"] == kind), {})
    value: dict[str, Any] = {"kind": kind, "url": url, "origin": origin_of(origin)}
    try:
        if rate is not None and users is not None:
            raise ValueError("say either --rate or --users")
        if rate is not None or users is not None:
            value["level"] = rate if rate is not None else users
        if users is not None:
            value["loop"] = "closed"
        if think:
            value["think_ms"] = durations.parse(think) // 1000
        if points is not None:
            value["points"] = list(read_points(points))
        value |= scheduled.settings(sets, parameters)
        load_of(value)
    except ValueError as problem:
        mend = f"see what there is to be set: seatrial load describe {kind if parameters else 'constant'}"
        raise Problem(f"load add {url}", str(problem).removeprefix(f"{kind}: "), mend) from None
    return value | scheduled.schedule(known_as, at, after, lasts)


def origin_of(text: str) -> str:
    """Who asks, as a load has it; a pod may be told without its namespace."""
    if text.startswith("pod/") and text.count("/") == 1:
        return f"pod/default/{text[4:]}"
    return text


def read_points(path: Path) -> Iterator[list[float]]:
    """Seconds and level of each line of a CSV file; a first line of words is its head. Raises ValueError, Problem."""
    try:
        rows = list(csv.reader(io.StringIO(path.read_text())))
    except (OSError, UnicodeDecodeError) as problem:
        why = getattr(problem, "strerror", None) or str(problem)
        raise Problem(f"trace {path}", why, "give a CSV file of two columns: seconds, level") from None
    for number, row in enumerate(rows, 1):
        if not row:
            continue
        try:
            at, level = row
            yield [float(at), float(level)]
        except ValueError:
            if number > 1:
                raise ValueError(f"{path}: line {number} is not a time in seconds and a level") from None


@load.command("list")
@click.option("--output", "-o", type=FORMATS, default="text", help="json for programs.")
@cluster_option
def list_(output: str, name: str) -> None:
    """List the loads there are, with what they come to so far."""
    found = remote.ask(existing(name), "GET", "/loads")
    if output == "json":
        click.echo(json.dumps(found, indent=2))
        return
    if not found["items"]:
        click.echo("there is no load")
        return
    rows = []
    for each in found["items"]:
        total = each["total"] or {"sent": 0, "ok": 0, "failed": 0, "latencyMs": {}}
        shape = each["load"]
        rows.append(
            (
                each["name"],
                shape["kind"] + (" users" if shape.get("loop") == "closed" else ""),
                each["state"],
                scheduled.when(each["since"]),
                scheduled.when(each["until"]),
                str(total["sent"]),
                str(total["failed"]),
                number(total["latencyMs"].get("p50")),
                number(total["latencyMs"].get("p99")),
                shape["url"],
            )
        )
    head = ("NAME", "KIND", "STATE", "SINCE", "UNTIL", "SENT", "FAILED", "P50 MS", "P99 MS", "URL")
    click.echo("\n".join(scheduled.table(head, rows)))


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


@load.command()
@click.argument("what")
@click.option("--output", "-o", type=click.Choice(["table", "json", "csv"]), default="table", help="How it is printed.")
@click.option("--last", type=click.IntRange(1), help="Only so many rows, the last ones.")
@cluster_option
def show(what: str, output: str, last: int | None, name: str) -> None:
    """Show what the load WHAT measured, a row per interval: rate, errors by kind, latencies in milliseconds."""
    found = remote.ask(existing(name), "GET", f"/loads/{quote(what, safe='')}")
    if last is not None:
        found["series"] = found["series"][-last:]
    if output == "json":
        click.echo(json.dumps(found, indent=2))
        return
    kinds_seen = list(dict.fromkeys(kind for row in found["series"] for kind in row["errors"]))
    if output == "csv":
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([*COLUMNS, *kinds_seen])
        for row in found["series"]:
            flat = {**row, **row["latencyMs"]}
            writer.writerow([*(flat[key] for key in COLUMNS), *(row["errors"].get(kind, 0) for kind in kinds_seen)])
        click.echo(out.getvalue(), nl=False)
        return
    click.echo("\n".join(lines_of(found, kinds_seen)))


def lines_of(found: dict[str, Any], kinds_seen: list[str]) -> list[str]:
    """A load and its rows, for people."""
    given = {key: each for key, each in found["load"].items() if key not in ("kind", "url")}
    lines = [
        f"{found['name']}: {found['load']['kind']} load on {found['load']['url']}, {found['state']}",
        f"with {', '.join(f'{key}={each}' for key, each in given.items())}",
    ]
    if found["total"] is None:
        return [*lines, f"it begins at {found['since']}"]
    latency = found["total"]["latencyMs"]
    lines += [
        f"sent {found['total']['sent']}, ok {found['total']['ok']}, failed {found['total']['failed']}; latency "
        f"p50 {number(latency['p50'])} ms, p99 {number(latency['p99'])} ms, max {number(latency['max'])} ms",
        "",
    ]
    rows = [
        (
            scheduled.when(row["since"]),
            f"{row['level']:g}",
            f"{row['rate']:.1f}",
            str(row["ok"]),
            *(number(row["latencyMs"][key]) for key in ("p50", "p90", "p99", "max")),
            *(str(row["errors"].get(kind, 0)) for kind in kinds_seen),
        )
        for row in found["series"]
    ]
    head = ("TIME", "LEVEL", "SENT/S", "OK", "P50", "P90", "P99", "MAX", *(kind.upper() for kind in kinds_seen))
    return lines + scheduled.table(head, rows)


@load.command()
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that there are.")
@cluster_option
def remove(names: tuple[str, ...], everything: bool, name: str) -> None:
    """End loads and forget their figures."""
    if everything == bool(names):
        raise Problem("load remove", "say either names or --all", "see what there is: seatrial load list")
    home = existing(name)
    paths = ["/loads"] if everything else [f"/loads/{quote(each, safe='')}" for each in names]
    removed = [each for path in paths for each in remote.ask(home, "DELETE", path)["removed"]]
    click.echo("\n".join(f"load {each} removed" for each in removed) or "there was no load")


@load.command()
@click.option("--output", "-o", type=FORMATS, default="text", help="json for programs.")
def kinds(output: str) -> None:
    """List the shapes that a load can have over time."""
    from seatrial.api.control.loads import kinds as rows_of

    if output == "json":
        click.echo(json.dumps(rows_of(), indent=2))
        return
    for row in rows_of():
        click.echo("\n".join(scheduled.wrapped(f"  {row['kind']}", row["about"], 14)))


@load.command()
@click.argument("kind")
@click.option("--output", "-o", type=FORMATS, default="text", help="json for programs.")
def describe(kind: str, output: str) -> None:
    """Tell what can be set of a kind of load."""
    from seatrial.api.control.loads import kinds as rows_of
    from seatrial.sim.machinery.values import nearest

    rows = {row["kind"]: row for row in rows_of()}
    if kind not in rows:
        why = f"there is no such load: {nearest(kind, rows)}"
        raise Problem(f"load {kind}", why, "see them all with: seatrial load kinds")
    if output == "json":
        click.echo(json.dumps(rows[kind], indent=2))
        return
    click.echo(f"kind:       {kind}")
    click.echo("\n".join(scheduled.wrapped("what:", rows[kind]["about"], 12)))
    click.echo("\n".join(["parameters:", *scheduled.parameter_lines(rows[kind])]))
