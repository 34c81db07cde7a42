"""What goes wrong at the command line, told so that the reader can go on: the thing, the reason, the mend."""

from __future__ import annotations

import sys

import click


class Problem(click.ClickException):
    """An expected failure: printed on standard error, exit code 1, no traceback."""

    def __init__(self, what: str, why: str, mend: str) -> None:
        super().__init__(f"{what}: {why}")
        self.what = what
        self.why = why
        self.mend = mend

    def show(self, file: object = None) -> None:
        """Two lines: what and why, then what to do."""
        click.echo(f"{click.style('error:', fg='red', bold=True)} {self.message}", file=sys.stderr)
        click.echo(f"{click.style(' mend:', fg='green', bold=True)} {self.mend}", file=sys.stderr)
