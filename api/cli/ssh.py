"""``seatrial ssh``: a shell on a machine of the cluster."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import click

from seatrial.api.cli import remote
from seatrial.api.cli.clock import cluster_option
from seatrial.api.cli.show import existing
from seatrial.api.cli.websocket import WebSocket, connect

PROTOCOL = "v5.channel.k8s.io"
STDIN, STDOUT, STDERR, OUTCOME, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
READ_BYTES = 32768
BROKEN = 255


@click.command(
    short_help="Work on a machine of the cluster.",
    context_settings={"allow_interspersed_args": False},
)
@click.argument("node")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--tty", "-t", is_flag=True, help="Use a terminal even with a COMMAND.")
@cluster_option
def ssh(node: str, command: tuple[str, ...], tty: bool, name: str) -> int:
    """Log in to the machine NODE (by name or address) as root; with a COMMAND, run that and leave with its exit code.

    The machines are m-k8s (the control plane) and the nodes of `kubectl get nodes`. What one finds there: systemctl,
    journalctl, crictl, kubeadm, etcdctl, ip, iptables-save, ss, curl, ps, and the files under /etc/kubernetes.
    Nothing of it runs on this computer.

    \b
    Examples:
      seatrial ssh w1-k8s
      seatrial ssh w1-k8s -- systemctl stop kubelet
      seatrial ssh w1-k8s -- 'journalctl -u kubelet | grep -i error'
      seatrial ssh m-k8s -- tee /etc/kubernetes/manifests/web.yaml < web.yaml
    """
    command = command[1:] if command[:1] == ("--",) else command
    home = existing(name)
    remote.running(home)
    interactive = sys.stdin.isatty() and sys.stdout.isatty()
    terminal = interactive and (tty or not command)
    query = {"node": node.rpartition("@")[2], "command": " ".join(command), "stdin": "true"}
    if terminal:
        query["tty"] = "true"
    socket = connect(home, f"/ssh?{urlencode(query)}", PROTOCOL)
    try:
        with raw(sys.stdin.fileno()) if terminal else _as_it_is():
            return Session(socket, terminal).run()
    finally:
        socket.close()


@contextmanager
def raw(descriptor: int) -> Iterator[None]:
    """The terminal hands on each key; it is as before afterwards, whatever happens."""
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


class Session:
    """Standard input to the machine, its output to ours, until the program there ends."""

    def __init__(self, socket: WebSocket, terminal: bool, reads: bool = True) -> None:
        self._socket = socket
        self._terminal = terminal
        self._input: int | None = sys.stdin.fileno() if reads and not sys.stdin.closed else None
        if not reads:
            socket.send(bytes([CLOSE, STDIN]))

    def run(self) -> int:
        """The exit code."""
        if self._terminal:
            self._resize()
            signal.signal(signal.SIGWINCH, lambda *_: self._resize())
        while True:
            waiting: list[Any] = [self._socket] if self._input is None else [self._socket, self._input]
            ready = [self._socket] if self._socket.pending() else select.select(waiting, [], [])[0]
            if self._input is not None and self._input in ready:
                self._type()
            if self._socket in ready:
                messages = self._socket.receive()
                if messages is None:
                    return BROKEN
                for message in messages:
                    code = self._heard(message)
                    if code is not None:
                        return code

    def _resize(self) -> None:
        size = os.get_terminal_size(sys.stdin.fileno())
        self._socket.send(bytes([RESIZE]) + json.dumps({"Width": size.columns, "Height": size.lines}).encode())

    def _type(self) -> None:
        assert self._input is not None
        data = os.read(self._input, READ_BYTES)
        if data:
            self._socket.send(bytes([STDIN]) + data)
        else:
            self._input = None
            self._socket.send(bytes([CLOSE, STDIN]))

    def _heard(self, message: bytes) -> int | None:
        """Takes a message; the exit code, if it is the last."""
        channel, content = message[0], message[1:]
        if channel in (STDOUT, STDERR):
            out = sys.stdout if channel == STDOUT else sys.stderr
            out.buffer.write(content)
            out.flush()
        elif channel == OUTCOME:
            return exit_code(json.loads(content))
        return None


def exit_code(status: dict[str, Any]) -> int:
    """The exit code in an outcome."""
    if status.get("status") == "Success":
        return 0
    for cause in (status.get("details") or {}).get("causes") or ():
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    click.echo(status.get("message", "the session broke off"), err=True)
    return BROKEN
