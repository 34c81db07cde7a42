"""crictl: the machine's container runtime, asked over its socket.

Source: sigs.k8s.io/cri-tools v1.36, k8s.io/cri-api, containerd's answers. What the runtime holds is shown; what crictl
stops, the kubelet starts again. Not modelled: creating and running pods by hand, events, metrics, filters by label.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from seatrial.sim.nodeshell.crictl import acts, inspecting, lists
from seatrial.sim.nodeshell.crictl.base import VALUED, Arguments, Refused, arguments
from seatrial.sim.nodeshell.machine import Machine, machine_of
from seatrial.sim.nodeshell.units import ACTIVE
from seatrial.sim.workloads.process import Proc

Steps = Generator[Any, Any, int]
SOCKET = "unix:///run/containerd/containerd.sock"
VERSION = "1.36.0"
COMMAND: dict[str, Callable[[Proc, Machine, Arguments], Any]] = {
    "ps": lists.ps,
    "pods": lists.pods,
    "images": lists.images,
    "image": lists.images,
    "img": lists.images,
    "logs": acts.logs,
    "exec": acts.execute,
    "stop": acts.stop,
    "rm": acts.remove,
    "stopp": acts.stop_pods,
    "rmp": acts.remove_pods,
    "rmi": acts.remove_images,
    "pull": acts.pull,
    "inspect": inspecting.inspect,
    "inspectp": inspecting.inspect_pods,
    "inspecti": inspecting.inspect_images,
    "stats": lists.stats,
    "info": lists.info,
    "version": lists.version,
}
ABOUT = {
    "exec": "Run a command in a running container",
    "images": "List images",
    "info": "Display information of the container runtime",
    "inspect": "Display the status of one or more containers",
    "inspecti": "Return the status of one or more images",
    "inspectp": "Display the status of one or more pods",
    "logs": "Fetch the logs of a container",
    "pods": "List pods",
    "ps": "List containers",
    "pull": "Pull an image from a registry",
    "rm": "Remove one or more containers",
    "rmi": "Remove one or more images",
    "rmp": "Remove one or more pods",
    "stats": "List container(s) resource usage statistics",
    "stop": "Stop one or more running containers",
    "stopp": "Stop one or more running pods",
    "version": "Display runtime version information",
}


def crictl(proc: Proc) -> Steps | int:
    """crictl COMMAND"""
    words = proc.argv[1:]
    while words and words[0].startswith("-") and words[0] not in ("-h", "--help", "-v", "--version"):
        option = words.pop(0)
        if "=" not in option and option.lstrip("-") in VALUED and words:
            words.pop(0)
    if not words or words[0] in ("-h", "--help", "help", "h"):
        usage = "   crictl [global options] command [command options]"
        proc.out(f"NAME:\n   crictl - client for CRI\n\nUSAGE:\n{usage}\n\nCOMMANDS:\n")
        proc.out("".join(f"   {name:<10} {about}\n" for name, about in ABOUT.items()))
        return 0
    if words[0] in ("-v", "--version"):
        proc.out(f"crictl version v{VERSION}\n")
        return 0
    command = COMMAND.get(words[0])
    if command is None:
        proc.err(f"No help topic for '{words[0]}'\n")
        return 3
    machine = machine_of(proc)
    machine.look()
    if machine.containerd.state != ACTIVE:
        proc.err(
            f'FATA[0000] validate service connection: validate CRI v1 runtime API for endpoint "{SOCKET}": rpc error: '
            'code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial unix '
            '/run/containerd/containerd.sock: connect: connection refused" \n'
        )
        return 1
    return _run(proc, machine, command, arguments(words[0], words[1:]))


def _run(proc: Proc, machine: Machine, command: Callable[..., Any], given: Arguments) -> Steps:
    try:
        result = command(proc, machine, given)
        status: int = (yield from result) if hasattr(result, "send") else result
        return status
    except Refused as problem:
        proc.err(f"FATA[0000] {problem} \n")
        return 1


COMMANDS = {"crictl": crictl}
