"""The ``seatrial`` command: its sub-commands, and how everything that goes wrong is told.

No error leaves with a traceback. What was expected says the thing, the reason and the mend; what was not is written to
a file, and the user is told which. Either way the exit code is 1.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path

import click

from seatrial.api.problem import Problem

COMMANDS: Mapping[str, str] = {
    "up": "seatrial.api.cli.up",
    "init": "seatrial.api.cli.provision",
    "halt": "seatrial.api.cli.lifecycle",
    "reload": "seatrial.api.cli.lifecycle",
    "provision": "seatrial.api.cli.provision",
    "destroy": "seatrial.api.cli.lifecycle",
    "status": "seatrial.api.cli.show",
    "list": "seatrial.api.cli.show",
    "logs": "seatrial.api.cli.show",
    "doctor": "seatrial.api.cli.doctor",
    "clock": "seatrial.api.cli.clock",
    "snapshot": "seatrial.api.cli.snapshot",
    "journal": "seatrial.api.cli.journal",
    "replay": "seatrial.api.cli.journal",
    "addresses": "seatrial.api.cli.addresses",
    "connect": "seatrial.api.cli.connect",
    "disconnect": "seatrial.api.cli.connect",
    "fault": "seatrial.api.cli.fault",
    "load": "seatrial.api.cli.load",
    "trace-route": "seatrial.api.cli.traceroute",
    "why": "seatrial.api.cli.why",
    "timeline": "seatrial.api.cli.timeline",
    "scenario": "seatrial.api.cli.scenario",
    "ssh": "seatrial.api.cli.ssh",
    "crosscheck": "seatrial.api.cli.crosscheck",
    "kubectl": "seatrial.api.cli.kubectl",
    "shell": "seatrial.api.cli.shell",
    "completion": "seatrial.api.cli.completion",
    "explain": "seatrial.api.cli.explain",
    "bench": "seatrial.api.cli.bench",
}
"""Where each sub-command is; imported when it is used, so that the command starts quickly."""


class Commands(click.Group):
    """The sub-commands by name, in the order in which one needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        where = COMMANDS.get(cmd_name)
        if where is None:
            return None
        name = "list_" if cmd_name == "list" else cmd_name.replace("-", "_")
        command: click.Command = getattr(importlib.import_module(where), name)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="seatrial", prog_name="seatrial")
def cli() -> None:
    """A Kubernetes cluster that exists only in simulated time.

    Nothing of what you deploy runs on this machine, and yet kubectl, helm, operators and curl see a cluster: control
    plane, nodes, pods that start, fail and are replaced.

    \b
    Begin with:
      seatrial up                      a control plane and three workers
      kubectl get nodes
      kubectl create deployment web --image=nginx --replicas=3
      seatrial clock advance 6m        six minutes later, at once
      seatrial halt                    stop; the next `seatrial up` goes on from here
      seatrial destroy --yes           gone for good
    """


def tell(problem: Problem) -> None:
    """The two lines of a problem, on standard error."""
    click.echo(f"{click.style('error:', fg='red', bold=True)} {problem}", err=True)
    click.echo(f" {click.style('mend:', fg='green', bold=True)} {problem.mend}", err=True)


def unexpected(error: BaseException) -> Problem:
    """Keeps the traceback for whoever looks into it, out of the user's sight."""
    text = "".join(traceback.format_exception(error))
    try:
        descriptor, path = tempfile.mkstemp(prefix="seatrial-error-", suffix=".log")
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        mend = f"this is a defect of seatrial; please report it with {path}"
    except OSError:
        mend = "this is a defect of seatrial; please report it"
    return Problem("seatrial", f"something unexpected happened ({type(error).__name__}: {error})", mend)


def main() -> None:
    """The entry point of the installed command."""
    try:
        code = cli.main(standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Abort:
        click.echo("aborted", err=True)
        code = 1
    except click.ClickException as error:
        error.show()
        code = 1
    except Problem as problem:
        tell(problem)
        code = 1
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        # The reader of our output has gone, as `| head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        tell(unexpected(error))
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


def home_text(path: Path) -> str:
    """A path as people write it."""
    text, home = str(path), str(Path.home())
    return "~" + text.removeprefix(home) if text.startswith(home + os.sep) else text
