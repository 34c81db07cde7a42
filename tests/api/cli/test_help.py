"""Help that teaches: every command says what it is for and shows how it is used, and the page in docs says the same."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from seatrial.api.cli import reference
from seatrial.api.cli.app import cli

ROOT = Path(__file__).resolve().parents[3]
TOP = click.Context(cli, info_name="seatrial")
COMMANDS = {context.command_path: command for command, context in reference.commands(cli, TOP)}


@pytest.mark.parametrize("path", COMMANDS)
def test_a_command_explains_itself(path: str) -> None:
    command = COMMANDS[path]
    assert command.help
    if path.count(" ") == 1:
        assert "Example" in command.help
        assert f"  {path}" in command.help
        assert command.short_help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{path} {parameter.name}"


def test_the_page_in_docs_is_up_to_date() -> None:
    mend = "write it anew: python -m seatrial.api.cli.reference > docs/cli.md"
    assert (ROOT / "docs" / "cli.md").read_text() == reference.page(), mend
