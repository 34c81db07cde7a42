"""``seatrial fault``: break something of a cluster, see what is broken, take it back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from seatrial.api.cli import remote, scheduled
from seatrial.api.cli.clock import cluster_option
from seatrial.api.cli.show import FORMATS, existing
from seatrial.api.problem import Problem

output_option = click.option("--output", "-o", type=FORMATS, default="text", help="json for programs.")


@click.group(short_help="Break something, and take it back.")
def fault() -> None:
    """Break something of a cluster, see what is broken, and take it back.

    A fault is in force until it is removed, or for as long as you say. It outlives `halt` and `up`: what was broken is
    broken again. Some happen and are over, such as a reboot.

    \b
    Examples:
      seatrial fault kinds
      seatrial fault describe node-crash
      seatrial fault add node-crash --on w1-k8s --for 10m
      seatrial fault add api-fault --set verb=create --set resource=pods --set code=503 --set share=0.3
      seatrial fault add -f plan.yaml
      seatrial fault list
      seatrial fault remove --all
    """


def catalogue() -> dict[str, dict[str, Any]]:
    """All kinds by name."""
    from seatrial.api.control.faults import kinds

    return {row["kind"]: row for row in kinds()}


def row_of(kind: str, rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A kind of the catalogue. Raises Problem with the nearest name."""
    from seatrial.sim.machinery.values import nearest

    if kind not in rows:
        why = f"there is no such fault: {nearest(kind, rows)}"
        raise Problem(f"fault {kind}", why, "see them all with: seatrial fault kinds")
    return rows[kind]


@fault.command()
@click.argument("kind", required=False)
@click.option("--on", "targets", multiple=True, help="What it is done to: a node, pod, component … (see describe).")
@click.option("--where", "selector", default=None, help="A label selector of nodes or pods; '' for all.")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="A parameter; may be given several times.")
@click.option("--for", "lasts", default="", metavar="SPAN", help="How long it lasts (5m); otherwise until removed.")
@click.option("--after", default="", metavar="SPAN", help="It begins after a while (30s).")
@click.option("--at", default="", metavar="MOMENT", help="It begins at a moment (2026-01-01T12:00:00Z).")
@click.option("--name", "known_as", default="", help="Its name, for remove and describe.")
@click.option("--file", "-f", "path", type=click.Path(path_type=Path), help="A plan of several; - for standard input.")
@cluster_option
def add(
    kind: str | None,
    targets: tuple[str, ...],
    selector: str | None,
    sets: tuple[str, ...],
    lasts: str,
    after: str,
    at: str,
    known_as: str,
    path: Path | None,
    name: str,
) -> None:
    """Break something: KIND is one of `seatrial fault kinds`.

    \b
    A plan is YAML, of which all entries are taken or none:
      - {kind: node-crash, node: w1-k8s, after: 30s, for: 10m}
      - {kind: dns-stop, after: 1m, for: 30s, name: no-names}
    """
    if (kind is None) == (path is None):
        raise Problem("fault add", "say either a KIND or --file", "for example: seatrial fault add dns-stop --for 1m")
    if path is not None:
        entries = scheduled.plan(path, "faults")
    else:
        assert kind is not None
        entries = [entry(kind, targets, selector, sets) | scheduled.schedule(known_as, at, after, lasts)]
    made = remote.ask(existing(name), "POST", "/faults", entries)
    for each in made["names"]:
        click.echo(f"fault {each} added")


def entry(kind: str, targets: tuple[str, ...], selector: str | None, sets: tuple[str, ...]) -> dict[str, Any]:
    """The value that options mean. Raises Problem."""
    from seatrial.sim.faults.catalogue import fault_of

    row = row_of(kind, catalogue())
    parameters, subject = row["parameters"], row["subject"]
    mend = f"see what there is to be set: seatrial fault describe {kind}"
    try:
        value: dict[str, Any] = {"kind": kind, **scheduled.settings(sets, parameters)}
        if selector is not None:
            if "selector" not in parameters:
                raise ValueError("--where: this fault has no selector")
            value["selector"] = selector
        if targets:
            value |= targeted(subject, parameters, targets)
        if "selector" in parameters and selector is None and subject not in value and "selector" not in value:
            raise ValueError(f"say which {subject}: --on NAME, or --where SELECTOR ('' for all)")
        fault_of(value)
    except ValueError as problem:
        raise Problem(f"fault add {kind}", str(problem).removeprefix(f"{kind}: "), mend) from None
    return value


def targeted(subject: str, parameters: dict[str, Any], targets: tuple[str, ...]) -> dict[str, Any]:
    """What ``--on`` means for a kind. Raises ValueError."""
    if not subject:
        raise ValueError("--on: this fault is done to the whole cluster")
    if parameters[subject].get("type") == "array":
        return {subject: [part for target in targets for part in target.split(",")]}
    if len(targets) > 1:
        raise ValueError(f"--on: one {subject} at a time, or --where")
    target = targets[0]
    if subject == "pod" and "/" in target:
        namespace, _, pod = target.removeprefix("pod/").rpartition("/")
        return {"pod": pod, **({"namespace": namespace} if namespace else {})}
    return {subject: target}


@fault.command("list")
@output_option
@cluster_option
def list_(output: str, name: str) -> None:
    """List what is broken, and what will be."""
    found = remote.ask(existing(name), "GET", "/faults")
    if output == "json":
        click.echo(json.dumps(found, indent=2))
        return
    if not found["items"]:
        click.echo("nothing is broken")
    else:
        rows = [
            (
                each["name"],
                each["fault"]["kind"],
                "in force" if each["started"] else "to come",
                scheduled.when(each["since"]),
                scheduled.when(each["until"]),
                ", ".join(f"{key}={value}" for key, value in each["fault"].items() if key != "kind") or "-",
            )
            for each in found["items"]
        ]
        click.echo("\n".join(scheduled.table(("NAME", "KIND", "STATE", "SINCE", "UNTIL", "PARAMETERS"), rows)))
    for problem in found["problems"]:
        click.echo(f"could not begin: {problem}")


@fault.command()
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that there are, the last one first.")
@cluster_option
def remove(names: tuple[str, ...], everything: bool, name: str) -> None:
    """Take faults back."""
    if everything == bool(names):
        raise Problem("fault remove", "say either names or --all", "see what there is: seatrial fault list")
    home = existing(name)
    paths = ["/faults"] if everything else [f"/faults/{quote(each, safe='')}" for each in names]
    removed = [each for path in paths for each in remote.ask(home, "DELETE", path)["removed"]]
    click.echo("\n".join(f"fault {each} removed" for each in removed) or "nothing was broken")


@fault.command()
@output_option
def kinds(output: str) -> None:
    """List what can be broken, and what is seen of it."""
    from seatrial.sim.faults.document import GROUPS

    rows = catalogue()
    if output == "json":
        click.echo(json.dumps(list(rows.values()), indent=2))
        return
    for number, (title, group) in enumerate(GROUPS):
        click.echo(("\n" if number else "") + title)
        for kind in group:
            click.echo("\n".join(scheduled.wrapped(f"  {kind.kind}", rows[kind.kind]["about"], 26)))


@fault.command()
@click.argument("what")
@output_option
@cluster_option
def describe(what: str, output: str, name: str) -> None:
    """Tell of a kind what happens, what is seen and what can be set; of a fault by its name, also since when."""
    rows = catalogue()
    if what in rows:
        row, facts = rows[what], {}
    else:
        home = existing(name)
        if not home.running:
            row_of(what, rows)
        try:
            facts = remote.ask(home, "GET", f"/faults/{quote(what, safe='')}")
        except Problem:
            row_of(what, rows)
            raise
        row = facts["about"]
    if output == "json":
        click.echo(json.dumps(facts or row, indent=2))
        return
    click.echo("\n".join(told(row, facts)))


def told(row: dict[str, Any], facts: dict[str, Any]) -> list[str]:
    """A kind, or a fault in force, for people."""
    lines = []
    if facts:
        lines += [
            f"name:       {facts['name']}",
            f"state:      {'in force' if facts['started'] else 'to come'}",
            f"since:      {facts['since']}",
            f"until:      {facts['until'] or 'it is removed'}",
        ]
        given = {key: each for key, each in facts["fault"].items() if key != "kind"}
        lines += [f"with:       {', '.join(f'{key}={each}' for key, each in given.items()) or '-'}"]
    lines.append(f"kind:       {row['kind']}")
    lines += scheduled.wrapped("what:", row["about"], 12)
    lines += scheduled.wrapped("seen:", row["symptom"], 12)
    lines += scheduled.wrapped("taken back:", row["opposite"] or "It is over by itself.", 12)
    if row["subject"]:
        lines.append(f"--on:       {row['subject']}")
    if row["parameters"]:
        lines += ["parameters:", *scheduled.parameter_lines(row)]
    return lines
