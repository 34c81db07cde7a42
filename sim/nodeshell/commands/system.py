"""Programs about a machine as a whole: memory, disk, time, name, and its power.

Source: procps-ng 4, util-linux, coreutils: forms of output. Figures are the simulation's own: what containers use, what
images take, what the machine's hardware is.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from typing import Any

from seatrial.sim.kernel.stamps import datetime_of
from seatrial.sim.machinery.quantity import parse
from seatrial.sim.nodes.garbage import NODE_DISK
from seatrial.sim.nodes.statistics import NODE_CPU_NANO, NODE_MEMORY
from seatrial.sim.nodeshell import ages
from seatrial.sim.nodeshell.machine import Machine, machine_of
from seatrial.sim.nodeshell.power import power_off, reboot
from seatrial.sim.workloads.commands.options import parsed, say
from seatrial.sim.workloads.process import Proc

Steps = Generator[Any, Any, int]
KIB = 1024


def memory(machine: Machine) -> int:
    """Bytes that it has."""
    return parse(machine.node.spec.memory).value()


def used_memory(machine: Machine) -> int:
    """Bytes that the machine's own processes and its containers use."""
    runtime, total = machine.node.runtime, NODE_MEMORY
    for live in runtime.live.values():
        if live.process is not None:
            total += live.process.usage()[1]
    return min(total, memory(machine))


def used_cpu(machine: Machine) -> int:
    """Nanocores in use now."""
    total = NODE_CPU_NANO
    for live in machine.node.runtime.live.values():
        if live.process is not None:
            total += live.process.usage()[0]
    return min(total, machine.node.spec.cpus * 1_000_000_000)


def _load(machine: Machine) -> str:
    load = used_cpu(machine) / 1_000_000_000
    return f"{load:.2f}, {load:.2f}, {load:.2f}"


def uptime_line(machine: Machine) -> str:
    """The first line of ``uptime`` and ``top``."""
    now = machine.clock.now
    up = (now - machine.node.booted_us) // 1_000_000
    days, hours, minutes = up // 86_400, up // 3600 % 24, up // 60 % 60
    text = f"{days} day{'s' if days != 1 else ''}, " if days else ""
    text += f"{hours:2d}:{minutes:02d}" if hours else f"{minutes} min"
    return f" {datetime_of(now):%H:%M:%S} up {text},  1 user,  load average: {_load(machine)}\n"


def uptime(proc: Proc) -> int:
    machine = machine_of(proc)
    options, _ = parsed(proc, "ps", "", {"pretty": "p", "since": "s"})
    if "s" in options:
        proc.out(f"{datetime_of(machine.node.booted_us):%Y-%m-%d %H:%M:%S}\n")
    elif "p" in options:
        span = timedelta(microseconds=machine.clock.now - machine.node.booted_us)
        hours, minutes = span.seconds // 3600, span.seconds // 60 % 60
        parts = [(span.days, "day"), (hours, "hour"), (minutes, "minute")]
        said = [f"{count} {unit}{'s' if count != 1 else ''}" for count, unit in parts if count]
        proc.out(f"up {', '.join(said) or '0 minutes'}\n")
    else:
        proc.out(uptime_line(machine))
    return 0


def free(proc: Proc) -> int:
    machine = machine_of(proc)
    options, _ = parsed(proc, "hmgkbt", "sc")
    total, used = memory(machine), used_memory(machine)

    def shown(size: int) -> str:
        if "h" in options:
            return ages.bytes_binary(size) + ("i" if size >= KIB else "")
        unit = 1 << 20 if "m" in options else 1 << 30 if "g" in options else 1 if "b" in options else KIB
        return str(size // unit)

    row = [shown(value) for value in (total, used, total - used, 0, 0, total - used)]
    proc.out("               total        used        free      shared  buff/cache   available\n")
    proc.out(f"Mem:     {row[0]:>11}{row[1]:>12}{row[2]:>12}{row[3]:>12}{row[4]:>12}{row[5]:>12}\n")
    proc.out(f"Swap:    {shown(0):>11}{shown(0):>12}{shown(0):>12}\n")
    return 0


def df(proc: Proc) -> int:
    machine = machine_of(proc)
    options, _ = parsed(proc, "hkTiPa", "tx")
    total = parse(machine.node.spec.ephemeral_storage).value()
    used = min(NODE_DISK + machine.node.runtime.images.used_bytes(), total)

    def shown(size: int) -> str:
        return (ages.bytes_binary(size) if size else "0") if "h" in options else str(size // KIB)

    head = "Size" if "h" in options else "1K-blocks"
    proc.out(
        f"{'Filesystem':<14} {head:>10} {'Used':>9} {'Avail' if 'h' in options else 'Available':>9} Use% Mounted on\n"
    )
    whole = memory(machine)
    for name, size, taken, place in (
        ("udev", whole // 2, 0, "/dev"),
        ("tmpfs", whole // 10, 900 * KIB, "/run"),
        ("/dev/vda1", total, used, "/"),
        ("tmpfs", whole // 2, 0, "/dev/shm"),
    ):
        share = -(-taken * 100 // size)
        proc.out(f"{name:<14} {shown(size):>10} {shown(taken):>9} {shown(size - taken):>9} {share:3d}% {place}\n")
    return 0


def hostnamectl(proc: Proc) -> int:
    machine = machine_of(proc)
    registration = machine.node.registration
    info = registration.info()
    rows = {
        "Static hostname": machine.name, "Icon name": "computer-vm", "Chassis": "vm", "Machine ID": info["machineID"],
        "Boot ID": info["bootID"].replace("-", ""), "Virtualization": "oracle", "Operating System": info["osImage"],
        "Kernel": f"Linux {info['kernelVersion']}", "Architecture": "x86-64",
    }  # fmt: skip
    proc.out("".join(f"{name:>16}: {value}\n" for name, value in rows.items()))
    return 0


def shut_down(proc: Proc) -> Steps | int:
    """shutdown [-h|-r|-P|-c] [now|+MINUTES]"""
    again = "-r" in proc.argv[1:] or "--reboot" in proc.argv[1:]
    machine = machine_of(proc)
    when = next((word for word in proc.argv[1:] if not word.startswith("-")), "+1")
    if "-c" in proc.argv[1:]:
        return 0
    act = reboot if again else power_off
    if when in ("now", "+0"):
        return act(proc, machine)
    minutes = int(when.lstrip("+")) if when.lstrip("+").isdigit() else 1
    at = machine.clock.now + minutes * 60_000_000
    proc.out(
        f"{'Reboot' if again else 'Shutdown'} scheduled for {ages.systemd_stamp(at)}, use 'shutdown -c' to cancel.\n"
    )
    machine.clock.at(at, lambda: machine.clock.spawn(act(proc, machine), "shutdown"), periodic=True)
    return 0


def reboot_(proc: Proc) -> Steps:
    return reboot(proc, machine_of(proc))


def power_off_(proc: Proc) -> Steps:
    return power_off(proc, machine_of(proc))


def swap(proc: Proc) -> int:
    """swapon and swapoff: these machines have no swap."""
    if "--show" in proc.argv or "-s" in proc.argv or "-a" in proc.argv or len(proc.argv) == 1:
        return 0
    say(proc, f"{proc.argv[-1]}: {proc.argv[0].rpartition('/')[2]} failed: No such file or directory")
    return 255 if proc.argv[0].endswith("swapon") else 32


SYSCTL = {
    "kernel.hostname": "", "kernel.panic": "10", "kernel.panic_on_oops": "1", "vm.overcommit_memory": "1",
    "net.bridge.bridge-nf-call-ip6tables": "1", "net.bridge.bridge-nf-call-iptables": "1", "net.ipv4.ip_forward": "1",
    "net.ipv4.conf.all.forwarding": "1", "net.netfilter.nf_conntrack_max": "131072", "vm.swappiness": "60",
    "fs.inotify.max_user_watches": "65536", "net.core.somaxconn": "4096",
}  # fmt: skip


def sysctl(proc: Proc) -> int:
    """sysctl [-n] NAME..., sysctl -a: what is set on the machine. Setting something changes nothing."""
    options, words = parsed(proc, "anqew", "p", {"system": "w", "all": "a", "values": "n"})
    values = {**SYSCTL, "kernel.hostname": machine_of(proc).name}
    status = 0
    for word in values if "a" in options else words:
        name, _, new = word.partition("=")
        if name not in values:
            say(proc, f"cannot stat /proc/sys/{name.replace('.', '/')}: No such file or directory")
            status = 255
        else:
            value = new.strip() or values[name]
            proc.out(f"{value}\n" if "n" in options else f"{name} = {value}\n")
    return status


def mount(proc: Proc) -> int:
    """mount: what is mounted."""
    machine = machine_of(proc)
    proc.out(
        "/dev/vda1 on / type ext4 (rw,relatime,errors=remount-ro)\n"
        "proc on /proc type proc (rw,nosuid,nodev,noexec,relatime)\n"
        "sysfs on /sys type sysfs (rw,nosuid,nodev,noexec,relatime)\n"
        "cgroup2 on /sys/fs/cgroup type cgroup2 (rw,nosuid,nodev,noexec,relatime,nsdelegate,memory_recursiveprot)\n"
    )
    runtime = machine.node.runtime
    for uid, record in runtime.pods.items():
        if record.sandbox is None or not record.sandbox.ready:
            continue
        identifier = record.sandbox.id
        at = f"/run/containerd/io.containerd.grpc.v1.cri/sandboxes/{identifier}/shm"
        proc.out(f"shm on {at} type tmpfs (rw,nosuid,nodev)\n")
        worker = machine.node.kubelet.workers.get(uid)
        for volume in (worker.pod["spec"].get("volumes") or ()) if worker is not None else ():
            kind = next((key for key in volume if key != "name"), "")
            plugin = PLUGINS.get(kind)
            if plugin:
                at = f"/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~{plugin}/{volume['name']}"
                proc.out(f"tmpfs on {at} type tmpfs (rw,relatime)\n")
    return 0


PLUGINS = {"projected": "projected", "secret": "secret"}
"""Volumes that are mounts of their own: kind → plug-in."""


def no_editor(proc: Proc) -> int:
    """vi, vim and nano: a terminal of this simulation has lines, not a screen."""
    name = proc.argv[0].rpartition("/")[2]
    file = proc.argv[-1] if len(proc.argv) > 1 else "FILE"
    proc.err(
        f"{name}: there is no screen editor on the machines of this simulation; these change a file:\n"
        f"  sed -i 's/OLD/NEW/' {file}\n"
        f"  cat > {file} <<'EOF'        (end with a line EOF)\n"
        f"  tee {file} <<'EOF'\n"
        f"or from your computer: seatrial ssh {proc.container.hostname} -- tee {file} < {file.rpartition('/')[2]}\n"
    )
    return 127


def sudo(proc: Proc) -> Steps | int:
    """Whoever is here is root already."""
    words = [word for word in proc.argv[1:] if word not in ("-i", "-s", "-E", "-n", "-H", "su", "-")]
    return proc.container.run_child(proc, words or ["bash"])


def dpkg(proc: Proc) -> int:
    """Packages are as they were installed."""
    name = proc.argv[0].rpartition("/")[2]
    proc.err(f"{name}: packages cannot be changed on the machines of this simulation\n")
    return 100


COMMANDS = {
    "uptime": uptime, "free": free, "df": df, "hostnamectl": hostnamectl, "shutdown": shut_down, "reboot": reboot_,
    "poweroff": power_off_, "halt": power_off_, "swapoff": swap, "swapon": swap, "sysctl": sysctl, "mount": mount,
    "vi": no_editor, "vim": no_editor, "nano": no_editor, "emacs": no_editor, "sudo": sudo, "apt-get": dpkg,
    "apt": dpkg, "dpkg": dpkg,
}  # fmt: skip
