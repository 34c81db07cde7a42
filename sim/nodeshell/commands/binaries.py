"""The daemons' own programs, started by hand: they tell their version, and leave running to systemd."""

from __future__ import annotations

from seatrial.sim.nodeshell.machine import machine_of
from seatrial.sim.workloads.process import Proc


def kubelet(proc: Proc) -> int:
    """kubelet --version"""
    machine = machine_of(proc)
    if "--version" in proc.argv:
        proc.out(f"Kubernetes {machine.site.spec.kubernetes_version}\n")
        return 0
    running = machine.node.running
    listening = "listen tcp 0.0.0.0:10250: bind: address already in use" if running else "start it with systemctl"
    proc.err(f'E "command failed" err="failed to run Kubelet: {listening}"\n')
    return 1


def containerd(proc: Proc) -> int:
    """containerd --version"""
    version = machine_of(proc).node.registration.info()["containerRuntimeVersion"].partition("://")[2]
    if "--version" in proc.argv or "-v" in proc.argv:
        proc.out(f"containerd containerd.io v{version}\n")
        return 0
    proc.err("containerd: it is run by systemd: systemctl start containerd\n")
    return 1


COMMANDS = {"kubelet": kubelet, "containerd": containerd}
