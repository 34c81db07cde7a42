"""``seatrial up``: starts a cluster, waits until it answers, and tells what to do next."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import click

from seatrial.api.cli import kubeconfig, progress
from seatrial.api.cli.app import home_text
from seatrial.api.cli.here import default_name, read_spec, spec_file
from seatrial.api.problem import Problem
from seatrial.api.server import detached, state
from seatrial.api.server.state import Home, Settings
from seatrial.sim.config import ClusterSpec

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")
START_TIMEOUT_S = 300.0
"""A server that breaks says so or ends; this is for one that hangs, and no busy machine makes it this long."""
CHANGEABLE = frozenset(
    {"nodes", "node", "latency", "apiserver", "client", "autoscaling", "scheduler_config", "provision", "epoch_us"}
)
"""What of a specification another start may change: sizes and settings, but nothing that stored objects hang on."""
LOG_TAIL_LINES = 5
NEXT = """\
You can now use the cluster:

  kubectl get nodes
  kubectl create deployment web --image=nginx --replicas=3
  kubectl get pods --watch

It goes on in the background. `seatrial status` shows how it is, `seatrial clock advance 6m` lets time
fly, `seatrial halt` stops it, `seatrial destroy` removes it."""
NEXT_BARE = """\
This is an API server without nodes and controllers: it stores, checks and watches, and nothing acts.
`seatrial halt` stops it, `seatrial destroy` removes it."""


SPEC_OPTIONS = ("nodes", "node_names", "controllers", "control_plane_only", "api_profile", "scheduler_config")
"""Options that are fields of the cluster's specification."""


class Defect(Problem):
    """The server broke without knowing why: its directory, with the log, is left as it is."""


def checked_name(name: str) -> str:
    """The cluster's name. Raises Problem for one that could not be a directory, a context and a host name."""
    if not NAME.fullmatch(name):
        why = "a name has up to 40 lower-case letters, digits and hyphens, and begins and ends with a letter or digit"
        raise Problem(f"cluster {name!r}", why, "for example: seatrial up lab-1")
    return name


def checked_pattern(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Raises BadParameter for a pattern that gives no names of hosts."""
    if value is not None:
        try:
            ClusterSpec(node_names=value)
        except ValueError:
            text = (
                f"{value!r} gives no host names: lower-case letters, digits, '-' and '.', and {{n}} once, as in w{{n}}"
            )
            raise click.BadParameter(text) from None
    return value


@click.command(short_help="Start a cluster and point kubectl at it.")
@click.argument("name", default=default_name)
@click.option("--nodes", type=click.IntRange(0, 5000), help="Workers next to the control plane node.  [default: 3]")
@click.option(
    "--node-names",
    metavar="PATTERN",
    callback=checked_pattern,
    help="The workers' names, for manifests that say nodeName; {n} counts from 1.  [default: w{n}-k8s]",
)
@click.option(
    "--controllers",
    type=click.Choice(["all", "none"]),
    help="none: only the API server; with --nodes 0 a bare one, as envtest's.  [default: all]",
)
@click.option(
    "--control-plane-only",
    is_flag=True,
    default=None,
    help="Controllers and scheduler, but no nodes and no add-ons: kubelets from outside may register.",
)
@click.option(
    "--api-profile",
    type=click.Choice(["book"]),
    help="book: also serve what Kubernetes 1.18 served, e.g. extensions/v1beta1.  [default: today's versions alone]",
)
@click.option(
    "--scheduler-config",
    metavar="FILE",
    help="A KubeSchedulerConfiguration for the scheduler; kept for later starts, until another is given.",
)
@click.option(
    "--audit-log",
    metavar="FILE",
    help="Write every request there, a line of JSON (audit.k8s.io/v1) for each stage; kept for later starts.",
)
@click.option(
    "--audit-level",
    metavar="LEVEL",
    type=click.Choice(["Metadata", "Request", "RequestResponse"]),
    help="What is written of them: Metadata, Request or RequestResponse.  [default: Metadata]",
)
@click.option(
    "--file",
    "-f",
    "file",
    metavar="FILE",
    help="A Seatrial.yaml: everything about a cluster that has a default. Options given here win, when it is made.  "
    "[default: Seatrial.yaml here]",
)
@click.option(
    "--provision/--no-provision",
    default=None,
    help="Do the steps of that file, or not.  [default: when the cluster is made]",
)
@click.option("--kubeconfig", "kubeconfig_file", metavar="FILE", help="Write there instead of your kubeconfig.")
@click.option(
    "--seed", type=int, help="Chance follows from it: the same seed and input give the same history.  [default: 0]"
)
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Of the API server on 127.0.0.1.  [default: 6443 or a free one]"
)
@click.option(
    "--addresses/--no-addresses",
    default=None,
    help="Loopback twins of the cluster's addresses and a forward proxy; kept for later starts.  [default: addresses]",
)
@click.option("--fsync", is_flag=True, default=None, help="Survive a power cut, not only a crash; writes take longer.")
@click.option("--ephemeral", is_flag=True, help="Keep nothing on disk: halt forgets the cluster.")
@click.option("--foreground", is_flag=True, help="Stay in the terminal and log there; Ctrl-C stops the cluster.")
def up(
    name: str,
    file: str | None,
    provision: bool | None,
    kubeconfig_file: str | None,
    ephemeral: bool,
    foreground: bool,
    port: int | None,
    **options: Any,
) -> None:
    """Start the cluster NAME (default: seatrial) and make it kubectl's current context.

    A cluster that was halted comes back as rebooted machines would: its objects are there, its containers start again.

    In a directory with a Seatrial.yaml (seatrial init writes one) the cluster is made of what that says, and takes over
    what has changed there: number and size of the nodes, limits, latencies, the autoscaler's and scheduler's settings.

    \b
    Examples:
      seatrial up                                   a control plane and three workers
      seatrial up lab --nodes 10                    a second cluster, context seatrial-lab
      seatrial up --nodes 2 --node-names 'node{n}'  workers called node1 and node2
      seatrial up --nodes 0 --controllers none      a bare API server, as envtest's
      seatrial up --kubeconfig /tmp/k --ephemeral   leaves no trace; for CI
      seatrial up --file Seatrial.yaml              machines, latencies and limits of your own
      seatrial up --scheduler-config packer.yaml    a scheduler with profiles of your own
      seatrial up --api-profile book                manifests of Kubernetes 1.18 apply as they are
    """
    home = state.find(checked_name(name), os.environ)
    if home.running:
        mend = f"use it (kubectl --context {kubeconfig.context_name(name)} get nodes), stop it (seatrial halt {name}), "
        raise Problem(f"cluster {name}", "it is already running", mend + "or choose another name")
    target = kubeconfig.chosen(kubeconfig_file, os.environ)
    kubeconfig.check(target, kubeconfig.context_name(name))
    path = spec_file(file, name)
    spec = read_spec(path, name) if path is not None else None
    home, settings, is_new = prepare(home, ephemeral, port, options, spec)
    if path is not None:
        settings = settings.model_copy(update={"file": str(path)})
    settings = settings.model_copy(update={"kubeconfig": str(target)})
    starting = f"Starting cluster {name} ..." if is_new else f"Starting cluster {name} again ..."
    click.echo(starting)
    began = time.monotonic()

    def ready(report: dict[str, Any]) -> None:
        finish(name, target, settings, report, time.monotonic() - began)

    try:
        home.save(settings)
        launch(home, foreground, ready)
    except Problem as problem:
        if is_new and not home.running and not isinstance(problem, Defect):
            home.remove()
        raise
    if (is_new if provision is None else provision) and spec is not None and path is not None:
        from seatrial.api.cli.provision import carry_out

        carry_out(home, settings, spec.provision, path.parent)


def launch(home: Home, foreground: bool, ready: Callable[[dict[str, Any]], None]) -> None:
    """Starts the server here or on its own; one that nobody can be pointed at is stopped again. Raises Problem."""
    if foreground:
        run_here(home, ready)
        return
    report = spawn(home)
    try:
        ready(report)
    except Problem:
        detached.stop(home)
        raise


def prepare(
    home: Home, ephemeral: bool, port: int | None, options: dict[str, Any], base: ClusterSpec | None = None
) -> tuple[Home, Settings, bool]:
    """The directory and settings to start with, and whether the cluster is new. Raises Problem."""
    name = home.name
    if home.exists and home.settings_file.exists() is False and not (home.database.exists() or home.pki.exists()):
        home.remove()
    given = {key: value for key, value in options.items() if value is not None}
    if "scheduler_config" in given:
        given["scheduler_config"] = scheduler_config(given["scheduler_config"])
    if "audit_log" in given:
        given["audit_log"] = str(Path(given["audit_log"]).absolute())
    if home.exists:
        settings = home.load()
        if ephemeral:
            why = "it is kept on disk, so it cannot be ephemeral"
            raise Problem(f"cluster {name}", why, f"choose another name, or first: seatrial destroy {name}")
        check_unchanged(name, settings, given)
        if base is not None and not home.beginning.exists():
            settings = settings.model_copy(update={"spec": changed(name, settings.spec, base)})
        changes: dict[str, Any] = {"port": port} if port else {}
        changes |= {key: given[key] for key in ("fsync", "audit_log", "audit_level", "addresses") if key in given}
        if "scheduler_config" in given:
            changes["spec"] = settings.spec.model_copy(update={"scheduler_config": given["scheduler_config"]})
        return home, settings.model_copy(update=changes), False
    asked = {key: given[key] for key in SPEC_OPTIONS if key in given}
    spec = ClusterSpec.model_validate({**(base or ClusterSpec(name=name)).model_dump(), **asked})
    if ephemeral:
        home = Home(state.roots(os.environ)[1] / name)
        home.remove()
    settings = Settings(
        spec=spec,
        seed=given.get("seed", 0),
        port=port or 0,
        fsync=given.get("fsync", False),
        addresses=given.get("addresses", True),
        audit_log=given.get("audit_log", ""),
        audit_level=given.get("audit_level", "Metadata"),
        ephemeral=ephemeral,
    )
    return home, settings, True


def scheduler_config(filename: str) -> str:
    """The text of a scheduler's configuration that kube-scheduler would take. Raises Problem with its objection."""
    from seatrial.sim.scheduler.config import read_config
    from seatrial.sim.scheduler.config_rules import ConfigError

    try:
        text = Path(filename).read_text()
    except (OSError, UnicodeDecodeError) as problem:
        why = getattr(problem, "strerror", None) or str(problem)
        mend = "give the path of a file that holds a KubeSchedulerConfiguration"
        raise Problem(f"--scheduler-config {filename}", f"it cannot be read ({why})", mend) from None
    try:
        read_config(text)
    except ConfigError as problem:
        mend = "mend the file; docs/scheduler.md shows one, and kube-scheduler --config would say the same of it"
        raise Problem(f"--scheduler-config {filename}", str(problem), mend) from None
    return text


def changed(name: str, made: ClusterSpec, wanted: ClusterSpec) -> ClusterSpec:
    """A cluster's specification with what its file says now. Raises Problem for what a restart cannot change."""
    for key in ClusterSpec.model_fields:
        before, after = getattr(made, key), getattr(wanted, key)
        if before != after and key not in CHANGEABLE and key != "name":
            why = f"its Seatrial.yaml has another {key} ({after}) than it was made with ({before}), which cannot change"
            raise Problem(f"cluster {name}", why, f"change it back, or make it anew: seatrial destroy {name}")
    config = wanted.scheduler_config or made.scheduler_config
    return wanted.model_copy(update={"scheduler_config": config, "name": made.name})


def check_unchanged(name: str, settings: Settings, given: dict[str, Any]) -> None:
    """What a cluster is made of is settled when it is made. Raises Problem for an option that says otherwise."""
    made = {**settings.spec.model_dump(), "seed": settings.seed}
    for key in ("nodes", "node_names", "controllers", "control_plane_only", "api_profile", "seed"):
        if key in given and given[key] != made[key]:
            option = "--" + key.replace("_", "-")
            before = f"with {option} {made[key]}" if made[key] != "" else f"without {option}"
            why = f"it was made {before}, which cannot become {given[key]}"
            mend = f"start it without {option}, choose another name, or first: seatrial destroy {name}"
            raise Problem(f"cluster {name}", why, mend)


def run_here(home: Home, ready: Callable[[dict[str, Any]], None]) -> None:
    """Serves in this process until it is stopped."""
    import logging

    from seatrial.api.server import process

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    process.serve(home, lambda port, keys: ready(process.report(port, keys)))


def spawn(home: Home) -> dict[str, Any]:
    """Starts the server on its own and waits until it answers; its report. Raises Problem."""
    pid, reading = detached.start(home)
    with os.fdopen(reading, "rb", buffering=0) as pipe, progress.shown("replaying its history") as show:
        raw = said(pipe)
        while raw.startswith(b'{"progress"'):
            show(float(json.loads(raw)["progress"]))
            raw = said(pipe)
    if raw:
        report: dict[str, Any] = json.loads(raw)
        for key, kind in (("problem", Problem), ("defect", Defect)):
            if key in report:
                os.waitpid(pid, 0)
                raise kind(*report[key])
        return report
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    why = f"its server did not start: {last_words(home.log)}"
    raise Defect(f"cluster {home.name}", why, f"the log may say more: {home.log}")


def said(pipe: IO[bytes]) -> bytes:
    """The next line of a starting server; empty when it says nothing any more."""
    arrived, _, _ = select.select([pipe], [], [], START_TIMEOUT_S)
    return pipe.readline() if arrived else b""


def last_words(log: Path) -> str:
    """The end of a log, in one line."""
    try:
        lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        return "it left no log"
    return " | ".join(lines[-LOG_TAIL_LINES:]) or "it said nothing"


def finish(name: str, target: Path, settings: Settings, report: dict[str, Any], took_s: float) -> None:
    """Points kubectl at the running cluster and says what to do next."""
    point_kubectl(name, target, report)
    announce(name, target, settings, report, took_s)
    click.echo()
    click.echo(NEXT_BARE if settings.spec.controllers == "none" else NEXT)


def point_kubectl(name: str, target: Path, report: dict[str, Any]) -> None:
    """Writes the running cluster's context into a kubeconfig and makes it the current one. Raises Problem."""
    context = kubeconfig.context_name(name)
    entry = kubeconfig.Entry(
        context,
        f"https://127.0.0.1:{report['port']}",
        report["authority"].encode(),
        report["certificate"].encode(),
        report["key"].encode(),
    )
    kubeconfig.merge(target, entry)


def announce(name: str, target: Path, settings: Settings, report: dict[str, Any], took_s: float) -> None:
    """Says what runs."""
    spec = settings.spec
    tick = click.style("✓", fg="green")
    bare = spec.controllers == "none"
    click.echo(f" {tick} API server {spec.kubernetes_version} on https://127.0.0.1:{report['port']} ({took_s:.1f} s)")
    if not bare:
        click.echo(f" {tick} controllers and scheduler")
    if spec.nodes and not spec.control_plane_only and not bare:
        first, last = (spec.node_names.replace("{n}", str(number)) for number in (1, spec.nodes))
        workers = f"{first} … {last}" if spec.nodes > 1 else first
        click.echo(f" {tick} nodes m-k8s, {workers}")
    click.echo(f' {tick} context "{kubeconfig.context_name(name)}" in {home_text(target)}, now the current one')
