"""Programs that are on machines and not in containers: each tells what is true of its machine, or changes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from seatrial.sim.nodeshell.commands import (
    binaries,
    crictl,
    etcdctl,
    journalctl,
    kubeadm,
    network,
    openssl,
    packets,
    processes,
    system,
    systemctl,
)
from seatrial.sim.workloads.process import Proc

MODULES = (binaries, systemctl, journalctl, crictl, etcdctl, kubeadm, openssl, system, processes, network, packets)
PROGRAMS: Mapping[str, Callable[[Proc], Any]] = {
    name: program for module in MODULES for name, program in module.COMMANDS.items()
}
"""By name."""
