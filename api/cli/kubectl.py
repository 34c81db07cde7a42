"""``seatrial kubectl``: kubectl's commands without a kubectl."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem


class Raw(click.Command):
    """A command that reads its own flags, and completes them itself."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.args = args
        return args

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from seatrial.api.cli.connection import HttpsSession
        from seatrial.scenarios.kubectl.completion import FILES, candidates

        found, directive = candidates([*ctx.args, incomplete], HttpsSession())
        if not found and directive == FILES:
            return [CompletionItem(incomplete, type="file")]
        return [CompletionItem(value, help=text or None) for value, _, text in (each.partition("\t") for each in found)]


@click.command(cls=Raw, add_help_option=False, short_help="Do what kubectl does, without a kubectl.")
@click.pass_context
def kubectl(ctx: click.Context) -> int:
    """Do what kubectl does: its commands, flags and output, built in.

    It reads your kubeconfig as kubectl does, and works before any cluster. What it does not have, it says.

    \b
    Examples:
      seatrial kubectl get pods -A
      seatrial kubectl apply -f web.yaml
      seatrial kubectl rollout status deployment/web
      alias kubectl='seatrial kubectl'; source <(seatrial completion bash --kubectl)
    """
    return main(list(ctx.args))


def main(arguments: list[str]) -> int:
    from seatrial.api.cli.connection import HttpsSession
    from seatrial.scenarios.kubectl import run

    session = HttpsSession()
    try:
        return run(arguments, session)
    except KeyboardInterrupt:
        return 130
    finally:
        session.keep()
        session.stdout.flush()
