"""``seatrial completion``: scripts that teach a shell to complete seatrial's commands, and kubectl's."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command(short_help="Print a script that completes commands in your shell.")
@click.argument("shell", type=click.Choice(SHELLS))
@click.option("--kubectl", is_flag=True, help="For `kubectl`, answered by seatrial: kinds, names, containers, flags.")
def completion(shell: str, kubectl: bool) -> None:
    """Print a script for SHELL that completes the commands of seatrial, those of `seatrial kubectl` with them.

    \b
    Examples:
      source <(seatrial completion bash)
      source <(seatrial completion zsh)
      seatrial completion fish > ~/.config/fish/completions/seatrial.fish
      alias kubectl='seatrial kubectl'; source <(seatrial completion bash --kubectl)
    """
    if kubectl:
        from seatrial.scenarios.kubectl.completion import script

        click.echo(script(shell), nl=False)
        return
    from seatrial.api.cli.app import cli

    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(cli, {}, "seatrial", "_SEATRIAL_COMPLETE").source(), nl=False)
