"""The command line's reference in Markdown, made from the help of each command, so that it cannot say anything else.

``python -m seatrial.api.cli.reference > docs/cli.md`` writes it anew.
"""

from __future__ import annotations

from collections.abc import Iterator

import click

from seatrial.api.cli.app import cli

WIDTH = 100
INTRODUCTION = """\
# The command line

This page is made from the help of the commands (`python -m seatrial.api.cli.reference`); `seatrial COMMAND --help`
says the same.

## Where things are

- A cluster's state: `$XDG_STATE_HOME/seatrial/NAME` (`~/.local/state/seatrial/NAME`); of an ephemeral cluster, while it
  runs: `$XDG_RUNTIME_DIR/seatrial/NAME`.
- Its log: `server.log` there, or `seatrial logs NAME`.
- Its context: `seatrial` for the default cluster, `seatrial-NAME` for others, in the first file of `$KUBECONFIG` that
  exists, in `~/.kube/config`, or in the file given with `--kubeconfig`.
- The API server: `https://127.0.0.1:PORT`; 6443 if it is free when the cluster is made, and the same port from then on.
- The control API: `/seatrial/v1/` on the same port, for cluster-admins; `/seatrial/v1/openapi.json` describes it.

What the server acknowledged is on disk: it survives `kill -9`, and with `--fsync` a power cut. A halted cluster comes
back as rebooted machines would. Its calendar goes on at the wall clock, or as far ahead of it as it was.

## Seatrial.yaml

`seatrial init` writes one with comments; `seatrial up` in its directory, or `seatrial up --file FILE`, makes a cluster
of which everything that has a default can be said; fields and their units are
those of `ClusterSpec` in `sim/config.py`, which Python code gives to `Cluster(…)`:

```yaml
nodes: 10
node: {cpus: 16, memory: 64Gi, pods: 250}
latency: {node_us: 20000}
client: {controller_manager_qps: 5000, controller_manager_burst: 10000, scheduler_qps: 5000, scheduler_burst: 10000}
```

Whatever goes wrong is told in two lines, what and why, and how to mend it, with exit code 1.
"""


def commands(group: click.Group, above: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """Every command below a group, in the order of its help."""
    for name in group.list_commands(above):
        command = group.get_command(above, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=above, max_content_width=WIDTH, terminal_width=WIDTH)
        yield command, context
        if isinstance(command, click.Group):
            yield from commands(command, context)


def page() -> str:
    """The whole reference."""
    top = click.Context(cli, info_name="seatrial", max_content_width=WIDTH, terminal_width=WIDTH)
    parts = [INTRODUCTION, f"## seatrial\n\n```\n{cli.get_help(top)}\n```\n"]
    for command, context in commands(cli, top):
        parts.append(f"## {context.command_path}\n\n```\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    print(page(), end="")
