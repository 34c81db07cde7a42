"""``seatrial kubectl``: kubectl's commands without a kubectl."""

from __future__ import annotations

import sys
from typing import Any

import click


class Raw(click.Command):
    """A command that reads its own flags."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.args = args
        ctx.params["arguments"] = tuple(args)
        return args


@click.command(cls=Raw, add_help_option=False, short_help="Do what kubectl does, without a kubectl.")
@click.argument("arguments", nargs=-1)
def kubectl(arguments: tuple[str, ...], **_: Any) -> None:
    """Do what kubectl does: its commands, flags and output, built in.

    It reads your kubeconfig as kubectl does, and works before any cluster. What it does not have, it says.

    \b
    Examples:
      seatrial kubectl get pods -A
      seatrial kubectl apply -f web.yaml
      seatrial kubectl rollout status deployment/web
      alias kubectl='seatrial kubectl'
      source <(seatrial kubectl completion bash)
    """
    sys.exit(main(list(arguments)))


def main(arguments: list[str]) -> int:
    from seatrial.api.cli.connection import HttpsSession
    from seatrial.scenarios.kubectl import run

    session = HttpsSession()
    try:
        return run(arguments, session)
    except KeyboardInterrupt:
        return 130
    finally:
        session.stdout.flush()
