"""``seatrial scenario``: practise on a cluster that breaks, and be told how it went."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seatrial.api.cli import kubeconfig, remote
from seatrial.api.cli.show import existing
from seatrial.api.problem import Problem
from seatrial.api.server import state
from seatrial.api.server.state import Home

if TYPE_CHECKING:
    from seatrial.scenarios.report import Report
    from seatrial.scenarios.schema import Scenario

START_TIMEOUT_S = 600.0
CURRENT = "scenario"
"""The file of the state directory that names the cluster of the scenario started last."""
LANGUAGE = click.Choice(["en", "ko"])
FORMATS = click.Choice(["text", "json"])
EXAMPLE = "NET-01"

language_option = click.option(
    "--lang", type=LANGUAGE, envvar="SEATRIAL_LANG", default="en", show_default=True, help="English or Korean."
)
output_option = click.option("--output", "-o", type=FORMATS, default="text", help="json for programs.")
cluster_option = click.option("--cluster", metavar="NAME", help="Where it was started.  [default: the last one]")


@click.group(short_help="Practise: something is broken, mend it.")
def scenario() -> None:
    """Practise on a cluster in which something is broken, or something is to be done.

    Each scenario gets a cluster of its own and tells what is the matter. Use kubectl, `seatrial kubectl` or what you
    like; only what becomes of the cluster counts. Time is the cluster's: let it fly with `seatrial clock advance`.

    \b
    Examples:
      seatrial scenario list                      what there is
      seatrial scenario list --course             the labs of the book's third chapter
      seatrial scenario start NET-01              a cluster with NET-01 on it
      seatrial scenario check                     how it goes
      seatrial scenario hint                      a hint, for 5 points
      seatrial scenario report --html report.html a page with everything that happened
      seatrial scenario solve NET-01              see a solution, in virtual time
      seatrial scenario start NET-01 --lang ko    한국어로
    """


def found(name: str) -> tuple[Scenario, str]:
    """A scenario of the library or of a file, and its text. Raises Problem."""
    from seatrial.scenarios import library
    from seatrial.scenarios.positions import Mistaken

    try:
        return library.load(name)
    except library.Unknown as unknown:
        near = f"did you mean {', '.join(unknown.near)}? " if unknown.near else ""
        raise Problem(f"scenario {name}", "there is none of that name", f"{near}see: seatrial scenario list") from None
    except Mistaken as mistaken:
        raise Problem(f"scenario {name}", f"its file cannot be used:\n{mistaken}", "mend the file") from None
    except (OSError, UnicodeDecodeError) as problem:
        why = getattr(problem, "strerror", None) or str(problem)
        raise Problem(f"scenario {name}", f"it cannot be read ({why})", "give an id or the path of a file") from None


def current_file() -> Path:
    return state.roots(os.environ)[0] / CURRENT


def practised(cluster: str | None) -> Home:
    """The cluster with the scenario. Raises Problem when nothing was started."""
    if cluster is not None:
        existing(cluster)
    else:
        try:
            cluster = current_file().read_text().strip()
        except OSError:
            mend = f"see what there is: seatrial scenario list; then: seatrial scenario start {EXAMPLE}"
            raise Problem("scenario", "none was started", mend) from None
    home = state.find(cluster, os.environ)
    if home.beginning.exists() and not home.running:
        raise Problem("scenario", f"its cluster {cluster} is halted", f"both go on with: seatrial up {cluster}")
    if not home.running:
        why = f"its cluster {cluster} does not run any more, and the scenario ended with it"
        raise Problem("scenario", why, f"start one: seatrial scenario start {EXAMPLE}")
    return home


@scenario.command("list")
@click.option("--topic", metavar="WORD", help="Only those about it, such as services.")
@click.option("--level", type=click.IntRange(1, 5), help="Only those of a level: 1 easy, 5 hard.")
@click.option("--course", is_flag=True, help="The labs of the book's third chapter instead, in their order.")
@language_option
@output_option
def list_(topic: str | None, level: int | None, course: bool, lang: str, output: str) -> None:
    """List the scenarios that come with Seatrial, or the labs of the course."""
    from seatrial.api.cli import scenario_text
    from seatrial.scenarios import library

    known = [each for name in library.files() if bool((each := library.load(name)[0]).course) == course]
    rows = [each for each in known if topic in (None, *each.topics) and level in (None, each.level)]
    if output == "json":
        facts = [
            {"id": each.id, "title": each.title.of(lang), "level": each.level, "topics": each.topics, "par": each.par}
            | ({"course": each.course} if course else {})
            for each in rows
        ]
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    if not rows:
        topics = sorted({word for each in known for word in each.topics})
        raise Problem("scenario list", "nothing is like that", f"topics are {', '.join(topics)}; levels 1 to 5")
    scenario_text.listing(rows, lang)


@scenario.command()
@click.argument("name", metavar="ID")
@click.option("--solution", is_flag=True, help="Also how it is solved, and what it teaches.")
@language_option
@output_option
def show(name: str, solution: bool, lang: str, output: str) -> None:
    """Show what the scenario ID is about, without starting it. A file's path will do too."""
    from seatrial.api.cli import scenario_text

    wanted, _ = found(name)
    if output == "json":
        dropped = set() if solution else {"solutions", "wrong", "debrief"}
        click.echo(wanted.model_dump_json(indent=2, exclude=dropped, exclude_defaults=True))
        return
    scenario_text.about(wanted, lang, solution)


@scenario.command()
@click.argument("name", metavar="ID")
@click.option("--name", "cluster_name", metavar="NAME", help="The new cluster's name.  [default: the ID]")
@click.option("--on", "on", metavar="NAME", help="Use this cluster, which runs, instead of a new one.")
@click.option("--kubeconfig", "kubeconfig_file", metavar="FILE", help="Write there instead of your kubeconfig.")
@language_option
def start(name: str, cluster_name: str | None, on: str | None, kubeconfig_file: str | None, lang: str) -> None:
    """Start the scenario ID, on a new cluster of its own that kubectl then uses. A file's path will do too.

    `seatrial halt` puts cluster and scenario away, `seatrial up` goes on with both, `seatrial destroy` removes them.
    """
    from seatrial.api.cli import scenario_text

    wanted, text = found(name)
    if on is not None:
        home, new = existing(on), False
        files = wanted.at_hand
    else:
        home, new = new_cluster(wanted, cluster_name or wanted.id.lower(), kubeconfig_file), True
        files = wanted.at_hand
    try:
        view = remote.ask(home, "POST", "/scenario", {"text": text, "file": name}, START_TIMEOUT_S)
    except Problem:
        if new:
            from seatrial.api.server import detached

            detached.stop(home)
        raise
    current_file().parent.mkdir(parents=True, exist_ok=True)
    current_file().write_text(home.name)
    if files:
        click.echo(f"Files: {write_files(files, Path(wanted.id.lower()))}")
    scenario_text.begun(wanted, view, home.name, lang)


def new_cluster(wanted: Scenario, name: str, kubeconfig_file: str | None) -> Home:
    """Starts the scenario's cluster and points kubectl at it. Raises Problem."""
    from seatrial.api.cli import up
    from seatrial.api.server import detached
    from seatrial.api.server.state import Settings

    home = state.find(up.checked_name(name), os.environ)
    if home.exists:
        how = "it is already running" if home.running else "there is one already, halted"
        on = f"seatrial scenario check --cluster {name}" if home.running else f"seatrial up {name}"
        mend = f"go on with it ({on}), begin anew after: seatrial destroy {name}"
        raise Problem(f"cluster {name}", how, mend + ", or choose another name: --name NAME")
    target = kubeconfig.chosen(kubeconfig_file, os.environ)
    kubeconfig.check(target, kubeconfig.context_name(name))
    spec = wanted.cluster.model_copy(update={"name": name})
    home = Home(state.roots(os.environ)[1] / name)
    home.remove()
    settings = Settings(spec=spec, seed=wanted.seed, port=0, ephemeral=True, kubeconfig=str(target))
    click.echo(f"Starting cluster {name} ...")
    began = time.monotonic()
    home.save(settings)
    try:
        report = up.spawn(home)
    except Problem:
        home.remove()
        raise
    try:
        up.point_kubectl(name, target, report)
    except Problem:
        detached.stop(home)
        raise
    up.announce(name, target, settings, report, time.monotonic() - began)
    return home


def write_files(files: dict[str, str], folder: Path) -> str:
    """Puts the scenario's files where the learner finds them; those that are there already stay."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(content)
    return f"{folder}/ ({', '.join(files)})"


def seen(cluster: str | None) -> tuple[dict[str, Any], Report]:
    """What the server says of the scenario under way, and its report. Raises Problem."""
    from seatrial.scenarios.report import Report

    view = remote.ask(practised(cluster), "GET", "/scenario")
    return view, Report.model_validate(view["report"])


@scenario.command()
@cluster_option
@language_option
@output_option
def status(cluster: str | None, lang: str, output: str) -> None:
    """Show the scenario that is under way: what is the matter, for how long, and what was said since."""
    from seatrial.api.cli import scenario_text

    view, report = seen(cluster)
    if output == "json":
        click.echo(json.dumps(view, indent=2, ensure_ascii=False))
        return
    scenario_text.under_way(view, report, lang)


@scenario.command()
@cluster_option
@language_option
@output_option
def check(cluster: str | None, lang: str, output: str) -> None:
    """Check how it goes: which goals are reached, and why the others are not. Exit code 0 once it is passed, else 2."""
    from seatrial.api.cli import scenario_text

    view, report = seen(cluster)
    if output == "json":
        click.echo(report.model_dump_json(indent=2))
    else:
        scenario_text.checked(view, report, lang)
    if not report.passed:
        raise click.exceptions.Exit(2)


@scenario.command()
@cluster_option
@language_option
def hint(cluster: str | None, lang: str) -> None:
    """Take the next hint. Each costs 5 points."""
    given = remote.ask(practised(cluster), "POST", "/scenario/hint")["hint"]
    click.echo(given[lang] if given else "There is no hint left. `seatrial scenario show ID --solution` tells the way.")


@scenario.command()
@click.argument("question")
@click.argument("word", metavar="ANSWER")
@cluster_option
def answer(question: str, word: str, cluster: str | None) -> None:
    """Answer a QUESTION of the scenario. Exit code 0 if it is right, else 2."""
    right = remote.ask(practised(cluster), "POST", "/scenario/answer", {"question": question, "answer": word})["right"]
    click.echo("That is right." if right else "That is not it.")
    if not right:
        raise click.exceptions.Exit(2)


@scenario.command()
@cluster_option
def stop(cluster: str | None) -> None:
    """Give the scenario up. Its cluster stays as it is."""
    home = practised(cluster)
    ended = remote.ask(home, "DELETE", "/scenario")["report"]
    current_file().unlink(missing_ok=True)
    click.echo(f"{ended['scenario']} is over; remove its cluster with: seatrial destroy {home.name}")


@scenario.command()
@cluster_option
@click.option("--html", metavar="FILE", help="Write it as one page, with the timeline drawn.")
@click.option("--record", "record_file", metavar="FILE", help="Write everything that a replay needs.")
@language_option
@output_option
def report(cluster: str | None, html: str | None, record_file: str | None, lang: str, output: str) -> None:
    """Report on the scenario under way: score, goals, clients, and what happened when."""
    home = practised(cluster)
    _, facts = seen(cluster)
    if record_file is not None:
        lines = remote.ask(home, "GET", "/scenario/record", timeout_s=START_TIMEOUT_S)["journal"]
        written(record_file, "".join(json.dumps(line) + "\n" for line in lines))
    deliver(facts, html, lang, output)


def deliver(facts: Report, html: str | None, lang: str, output: str) -> None:
    """Prints a report, and writes its page."""
    from seatrial.api.cli import scenario_text

    if html is not None:
        from seatrial.scenarios.report_page import page

        written(html, page(facts, lang))
    if output == "json":
        click.echo(facts.model_dump_json(indent=2))
    else:
        scenario_text.report(facts, lang)


def written(filename: str, text: str) -> None:
    """Writes a file. Raises Problem."""
    try:
        Path(filename).write_text(text)
    except OSError as problem:
        raise Problem(filename, f"it cannot be written ({problem.strerror})", "choose another place") from None
    click.echo(f"wrote {filename}", err=True)


@scenario.command()
@click.argument("name", metavar="ID")
@click.option("--way", metavar="NAME", help="Which solution or wrong fix; nothing plays what happens to idle hands.")
@click.option("--seed", type=int, help="Chance follows from it.  [default: the scenario's]")
@click.option("--html", metavar="FILE", help="Write the report as one page, with the timeline drawn.")
@click.option("--record", "record_file", metavar="FILE", help="Write everything that a replay needs.")
@language_option
@output_option
def solve(
    name: str, way: str | None, seed: int | None, html: str | None, record_file: str | None, lang: str, output: str
) -> None:
    """Play a solution of the scenario ID, in virtual time and without a server: what is typed, and what comes of it."""
    from seatrial.scenarios import runner
    from seatrial.scenarios.report import report_of

    wanted, text = found(name)
    ways = {**wanted.solutions, **{each: fix.do for each, fix in wanted.wrong.items()}, "nothing": ()}
    way = way or next(iter(wanted.solutions))
    if way not in ways:
        raise Problem(f"scenario {wanted.id}", f"it has no way {way!r}", f"there are {', '.join(ways)}")
    heard = quiet if output == "json" else aloud
    run = in_process(lambda: runner.played(runner.on_new_cluster(wanted, text, seed), ways[way], heard), wanted.id)
    if record_file is not None:
        written(record_file, run.cluster.journal.dump().decode())
    deliver(report_of(run), html, lang, output)
    for each in run.problems:
        click.echo(f"the scenario itself failed: {each}", err=True)


def in_process(play: Callable[[], Any], name: str) -> Any:
    """A run in this process. Raises Problem."""
    from seatrial.scenarios.runner import NotReady
    from seatrial.sim.machinery.errors import ApiError

    try:
        return play()
    except (NotReady, ApiError, ValueError) as problem:
        raise Problem(
            f"scenario {name}", str(problem), f"mend it; seatrial scenario lint {name} may say more"
        ) from None


def quiet(line: str, done: Any) -> None:
    """Says nothing."""


def aloud(line: str, done: Any) -> None:
    """Shows a line and what it printed, as at a prompt."""
    click.echo(click.style(f"$ {line.strip()}", bold=True))
    if done.output:
        click.echo(done.output.rstrip("\n"))


@scenario.command()
@click.argument("file", metavar="FILE")
@click.option("--html", metavar="FILE", help="Write the report as one page, with the timeline drawn.")
@language_option
@output_option
def replay(file: str, html: str | None, lang: str, output: str) -> None:
    """Replay a run that `report --record` or `solve --record` kept, and grade it again: the same comes out."""
    from seatrial.scenarios.report import report_of
    from seatrial.scenarios.runner import replayed
    from seatrial.sim.kernel.journal import Journal

    try:
        raw = Path(file).read_bytes()
    except OSError as problem:
        raise Problem(file, f"it cannot be read ({problem.strerror})", "give a file that --record wrote") from None
    try:
        run = replayed(Journal.load(raw))
    except (ValueError, KeyError) as problem:
        raise Problem(file, str(problem), "give a file that `seatrial scenario report --record` wrote") from None
    deliver(report_of(run), html, lang, output)


@scenario.command()
@click.argument("name", metavar="ID")
def new(name: str) -> None:
    """Begin a scenario of your own: writes the file ID.yaml with everything that one has."""
    from seatrial.scenarios.template import template

    path = Path(f"{name.lower()}.yaml")
    if path.exists():
        raise Problem(str(path), "there is such a file already", "choose another id")
    written(str(path), template(name))
    click.echo(f"Try it: seatrial scenario solve {path}; check it: seatrial scenario lint {path}")


@scenario.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--play", is_flag=True, help="Also play it: idle hands and wrong fixes must fail, solutions pass.")
@output_option
def lint(files: tuple[str, ...], play: bool, output: str) -> None:
    """Check scenario files: what is wrong, with file, line and column, and what was meant."""
    from seatrial.scenarios import library, playing
    from seatrial.scenarios.positions import Mistaken

    wrong: list[dict[str, Any]] = []
    for name in files:
        try:
            wanted, text = library.load(name)
        except Mistaken as mistaken:
            wrong += [{"file": mistaken.file, **each._asdict()} for each in mistaken.mistakes]
            if output == "text":
                click.echo(str(mistaken))
            continue
        except library.Unknown:
            raise Problem(
                name, "there is neither such a file nor such a scenario", "see: seatrial scenario list"
            ) from None
        except (OSError, UnicodeDecodeError) as problem:
            why = f"it cannot be read ({getattr(problem, 'strerror', None) or problem})"
            wrong.append({"file": name, "line": 0, "column": 0, "what": why, "meant": ""})
            if output == "text":
                click.echo(f"{name}: {why}")
            continue
        said = list(playing.objections(wanted, text)) if play else []
        wrong += [{"file": name, "line": 0, "column": 0, "what": each, "meant": ""} for each in said]
        if output == "text":
            click.echo("\n".join(f"{name}: {each}" for each in said) if said else f"{name}: fine")
    if output == "json":
        click.echo(json.dumps(wrong, indent=2, ensure_ascii=False))
    if wrong:
        raise click.exceptions.Exit(1)
