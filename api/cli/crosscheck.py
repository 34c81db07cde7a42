"""``seatrial crosscheck``: the same scenarios on a real and on a simulated cluster, and what differs."""

from __future__ import annotations

import json
from pathlib import Path

import click

from seatrial.api.cli.show import FORMATS
from seatrial.api.problem import Problem
from seatrial.scenarios.crosscheck import recording
from seatrial.scenarios.crosscheck.compare import Comparison, Tolerances, compare, table
from seatrial.scenarios.crosscheck.record import Cluster, KubectlFailed, play
from seatrial.scenarios.crosscheck.scenario import Scenario, chosen

DIRECTORY = click.Path(file_okay=False, path_type=Path)
LEAST = 0.0


@click.group(short_help="Compare what a simulated and a real cluster do.")
def crosscheck() -> None:
    """Play the same scenarios on two clusters and compare what happened, fact by fact: events, the lives of pods,
    conditions, final states, times. Any two clusters do: kind, a cloud's, this one.

    \b
    Examples:
      seatrial crosscheck record --kubeconfig kind.yaml --out real
      seatrial crosscheck record --out simulated
      seatrial crosscheck compare real simulated
      seatrial crosscheck report real simulated > crosscheck.md
    """


def found(paths: tuple[Path, ...], only: str) -> list[Scenario]:
    """The scenarios asked for. Raises Problem."""
    try:
        scenarios = chosen(paths, only)
    except (ValueError, OSError) as problem:
        raise Problem("crosscheck", str(problem), "see docs/crosscheck.md for how scenarios are written") from None
    if not scenarios:
        raise Problem("crosscheck", "there is no such scenario", "leave out --only to play them all")
    return scenarios


@crosscheck.command()
@click.argument("scenarios", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--kubeconfig", type=click.Path(dir_okay=False, path_type=Path), help="As kubectl's; its default.")
@click.option("--context", default="", help="As kubectl's; the current one.")
@click.option("--kubectl", default="kubectl", show_default=True, help="Which kubectl.")
@click.option("--only", default="", help="Only scenarios whose names contain this.")
@click.option("--out", type=DIRECTORY, required=True, help="Where the recordings go.")
def record(
    scenarios: tuple[Path, ...], kubeconfig: Path | None, context: str, kubectl: str, only: str, out: Path
) -> None:
    """Play SCENARIOS (files or folders; by default those that come along) and record every change of every object.
    Each has a namespace of its own, crosscheck-NAME, that is deleted afterwards."""
    cluster = Cluster(kubeconfig, kubectl, context)
    out.mkdir(parents=True, exist_ok=True)
    for scenario in found(scenarios, only):
        try:
            played = play(cluster, scenario)
        except KubectlFailed as problem:
            raise Problem(f"scenario {scenario.name}", str(problem), "see that kubectl reaches the cluster") from None
        (out / f"{scenario.name}{recording.SUFFIX}").write_bytes(played.dump())
        click.echo(f"{scenario.name}: {len(played.changes)} changes on {played.server}")


def compared(reference: Path, other: Path, tolerances: Tolerances) -> Comparison:
    """Raises Problem."""
    try:
        one, two = recording.read(reference), recording.read(other)
    except (ValueError, OSError) as problem:
        raise Problem("crosscheck", str(problem), "record it anew: seatrial crosscheck record") from None
    for folder, recordings in ((reference, one), (other, two)):
        if not recordings:
            raise Problem(f"{folder}", "it holds no recordings", f"seatrial crosscheck record --out {folder}")
    return compare(one, two, tolerances)


def tolerance_options(command: click.decorators.FC) -> click.decorators.FC:
    """The named tolerances, as options."""
    for option in (
        click.option("--ignore", multiple=True, help="Leave out facts that contain this; may be given again."),
        click.option("--count", default=0, show_default=True, help="A fact may be seen this much more or less often."),
        click.option("--share", default=0.1, show_default=True, help="Or by this share of the time since the start."),
        click.option("--seconds", default=1.5, show_default=True, help="Moments may differ by this much."),
        click.argument("other", type=DIRECTORY),
        click.argument("reference", type=DIRECTORY),
    ):
        command = option(command)
    return command


@crosscheck.command("compare")
@tolerance_options
@click.option("--least", default=LEAST, show_default=True, help="Fail below this share of equal facts, 0 to 1.")
@click.option("--output", "-o", type=FORMATS, default="text", help="json for programs.")
def compare_(
    reference: Path,
    other: Path,
    seconds: float,
    share: float,
    count: int,
    ignore: tuple[str, ...],
    least: float,
    output: str,
) -> None:
    """Compare the recordings in the folders REFERENCE and OTHER: a table, then every difference."""
    result = compared(reference, other, Tolerances(seconds=seconds, share=share, count=count, ignore=ignore))
    if output == "json":
        rows, differences = [row._asdict() for row in result.rows], [each._asdict() for each in result.differences]
        click.echo(json.dumps({"same": result.share, "rows": rows, "differences": differences}, indent=2))
    else:
        click.echo("\n".join(table(result)))
        for each in result.differences:
            click.echo(f"{each.scenario}: {each.category}: {each.fact}: {each.reference}, here {each.other}")
    if result.share < least:
        raise Problem("crosscheck", f"{result.share:.1%} of the facts are the same", f"at least {least:.1%} were asked")


@crosscheck.command()
@tolerance_options
def report(reference: Path, other: Path, seconds: float, share: float, count: int, ignore: tuple[str, ...]) -> None:
    """Print the comparison of REFERENCE and OTHER as a page in Markdown, with the tolerances that were granted."""
    tolerances = Tolerances(seconds=seconds, share=share, count=count, ignore=ignore)
    result = compared(reference, other, tolerances)
    click.echo("# Crosscheck\n")
    click.echo(f"{result.share:.1%} of the facts of `{reference}` and `{other}` are the same.\n")
    click.echo("```\n" + "\n".join(table(result)) + "\n```\n")
    granted = {key: value for key, value in tolerances.model_dump().items() if value}
    click.echo("Tolerances: " + "; ".join(f"{key} {value}" for key, value in granted.items()) + "\n")
    if result.differences:
        click.echo("| scenario | what | fact | reference | other |\n|---|---|---|---|---|")
    for each in result.differences:
        cells = (cell.replace("|", "\\|") for cell in each)
        click.echo(f"| {' | '.join(cells)} |")
