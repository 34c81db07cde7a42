"""kubeadm, as far as a cluster that is there needs it: certificates, tokens, a worker that leaves and joins again.

Source: k8s.io/kubernetes/cmd/kubeadm. Not modelled: init, upgrades, joining control planes, phases, configuration
files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seatrial.sim.network import addons
from seatrial.sim.nodeshell.kubeadm import certs, joining, tokens
from seatrial.sim.nodeshell.machine import Machine, machine_of
from seatrial.sim.workloads.process import Proc

Command = Callable[[Proc, Machine, list[str]], Any]


def version(proc: Proc, machine: Machine, words: list[str]) -> int:
    """kubeadm version [-o short]"""
    known = machine.site.spec.kubernetes_version
    major, minor = known.removeprefix("v").split(".")[:2]
    if "short" in words or "-oshort" in words or "--output=short" in words:
        proc.out(f"{known}\n")
    else:
        about = f'Major:"{major}", Minor:"{minor}", GitVersion:"{known}", GitTreeState:"clean", Platform:"linux/amd64"'
        proc.out(f"kubeadm version: &version.Info{{{about}}}\n")
    return 0


def plan(proc: Proc, machine: Machine, words: list[str]) -> int:
    """kubeadm upgrade plan"""
    known = machine.site.spec.kubernetes_version
    proc.out(certs.reading("upgrade/config"))
    proc.out(
        f"[upgrade/versions] Cluster version: {known.removeprefix('v')}\n"
        f"[upgrade/versions] kubeadm version: {known}\n"
        f"[upgrade/versions] Target version: {known}\n"
        f"[upgrade/versions] Latest version in the v1.37 series: {known}\n\n"
        "Awesome, you're up-to-date! Enjoy!\n"
    )
    return 0


def images(proc: Proc, machine: Machine, words: list[str]) -> int:
    """kubeadm config images list"""
    wanted = (each for each in addons.images(machine.site.spec) if "metrics-server" not in each)
    proc.out("".join(f"{image}\n" for image in (*wanted, "registry.k8s.io/pause:3.10.1")))
    return 0


def _not_modelled(proc: Proc, machine: Machine, words: list[str]) -> int:
    proc.err(
        f"kubeadm {proc.argv[1]}: not modelled: this cluster was installed when it was made, with version "
        f"{machine.site.spec.kubernetes_version}; seatrial up NAME makes another one\n"
    )
    return 1


COMMAND: dict[str, Command] = {
    "certs check-expiration": certs.check,
    "certs renew": certs.renew,
    "token create": tokens.create,
    "token list": tokens.show,
    "token delete": tokens.delete,
    "token generate": tokens.generate,
    "join": joining.join,
    "reset": joining.reset,
    "version": version,
    "upgrade plan": plan,
    "config images list": images,
    "init": _not_modelled,
    "upgrade": _not_modelled,
}
HELP = """Easily bootstrap a secure Kubernetes cluster

Available Commands:
  certs       check-expiration, renew all|NAME
  config      images list
  join        Run this on any machine you wish to join an existing cluster
  reset       Performs a best effort revert of changes made to this host by 'kubeadm init' or 'kubeadm join'
  token       create [--print-join-command] [--ttl T], list, delete, generate
  upgrade     plan
  version     Print the version of kubeadm
"""


def kubeadm(proc: Proc) -> Any:
    """kubeadm COMMAND"""
    words = [word for word in proc.argv[1:] if word not in ("-h", "--help")]
    if not words or len(words) < len(proc.argv) - 1:
        proc.out(HELP)
        return 0
    for length in (3, 2, 1):
        command = COMMAND.get(" ".join(words[:length]))
        if command is not None:
            return command(proc, machine_of(proc), words[length:])
    if any(name.startswith(f"{words[0]} ") for name in COMMAND):
        proc.err(f"missing or unknown subcommand; see kubeadm --help for those of {words[0]}\n")
        return 1
    proc.err(f'error: unknown command "{words[0]}" for "kubeadm"\nRun \'kubeadm --help\' for usage.\n')
    return 1


COMMANDS = {"kubeadm": kubeadm}
