"""Programs about a machine's network: addresses, routes, sockets.

Source: iproute2 6. What is shown is what the data plane walks: the machine's address, its range of the pod network and
the ranges of the others. Not modelled: changes of addresses and routes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from seatrial.sim.nodeshell.machine import Machine, machine_of
from seatrial.sim.nodeshell.processes import processes
from seatrial.sim.workloads.process import Proc

GATEWAY = ".1"
BRIDGE = "cni0"


def _mac(seed: str) -> str:
    raw = hashlib.sha256(seed.encode()).digest()
    return "02:" + ":".join(f"{byte:02x}" for byte in raw[:5])


def _bridge(machine: Machine) -> str:
    """The bridge's address with its prefix length; empty without a range."""
    cidr = machine.node.spec.pod_cidr
    if not cidr:
        return ""
    network, _, bits = cidr.partition("/")
    return f"{network.rpartition('.')[0]}.1/{bits}"


def _pods(machine: Machine) -> list[str]:
    """The addresses of the pods that hang on the bridge."""
    runtime = machine.node.runtime
    return [
        record.sandbox.ip
        for uid, record in runtime.pods.items()
        if record.sandbox is not None and record.sandbox.ready and not runtime.sandboxes[uid].host_network
    ]


class Interface:
    """A network interface."""

    def __init__(self, number: int, name: str, mac: str, address: str, flags: str, master: str = "") -> None:
        self.number, self.name, self.mac, self.address = number, name, mac, address
        self.flags, self.master = flags, master


def interfaces(machine: Machine) -> list[Interface]:
    found = [
        Interface(1, "lo", "00:00:00:00:00:00", "127.0.0.1/8", "LOOPBACK,UP,LOWER_UP"),
        Interface(2, "eth0", _mac(machine.name), f"{machine.address}/24", "BROADCAST,MULTICAST,UP,LOWER_UP"),
    ]
    pods, bridge = _pods(machine), _bridge(machine)
    if bridge and pods:
        up = "BROADCAST,MULTICAST,UP,LOWER_UP"
        found.append(Interface(3, BRIDGE, _mac(f"{machine.name}/cni0"), bridge, up))
        for number, address in enumerate(pods, 4):
            mac = _mac(address)
            found.append(Interface(number, f"veth{mac.replace(':', '')[2:10]}", mac, "", up, BRIDGE))
    return found


def _addresses(machine: Machine, chosen: str, brief: bool, link: bool) -> Iterator[str]:
    for each in interfaces(machine):
        if chosen and each.name != chosen:
            continue
        shown = f"{each.name}@if2" if each.master else each.name
        state = "UNKNOWN" if each.name == "lo" else "UP"
        if brief:
            yield f"{shown:<16} {state:<14} {each.mac + ' ' if link else each.address}"
            continue
        mtu, queue = (65536, "noqueue") if each.name == "lo" else (1500, "noqueue" if each.number > 2 else "fq_codel")
        master = f" master {each.master}" if each.master else ""
        traits = f"mtu {mtu} qdisc {queue}{master} state {state} group default qlen 1000"
        yield f"{each.number}: {shown}: <{each.flags}> {traits}"
        loopback = each.name == "lo"
        broadcast = "00:00:00:00:00:00" if loopback else "ff:ff:ff:ff:ff:ff"
        yield f"    link/{'loopback' if loopback else 'ether'} {each.mac} brd {broadcast}"
        if each.address and not link:
            scope = (
                "scope host lo" if loopback else f"brd {each.address.rpartition('.')[0]}.255 scope global {each.name}"
            )
            yield f"    inet {each.address} {scope}"
            yield "       valid_lft forever preferred_lft forever"


def routes(machine: Machine) -> Iterator[str]:
    """The machine's routing table."""
    subnet = machine.address.rpartition(".")[0]
    yield f"default via {subnet}{GATEWAY} dev eth0 proto dhcp src {machine.address} metric 100"
    plugged = machine.site.plane.hosts[machine.name].plugged
    for name, node in machine.site.nodes.items():
        cidr = node.spec.pod_cidr
        if not cidr or not plugged:
            continue
        if name != machine.name:
            yield f"{cidr} via {node.spec.address} dev eth0"
        elif _pods(machine):
            yield f"{cidr} dev {BRIDGE} proto kernel scope link src {_bridge(machine).partition('/')[0]}"
    yield f"{subnet}.0/24 dev eth0 proto kernel scope link src {machine.address}"


def ip(proc: Proc) -> int:
    """ip [-br] addr|link|route [show] [dev NAME], ip route get ADDRESS"""
    machine = machine_of(proc)
    brief = any(word in ("-br", "-brief", "--brief") for word in proc.argv)
    words = [word for word in proc.argv[1:] if not word.startswith("-")]
    what = words[0] if words else ""
    rest = [word for word in words[1:] if word not in ("show", "s", "list", "ls", "dev")]
    if what and "route".startswith(what):
        if rest[:1] in (["get"], ["g"]) and len(rest) > 1:
            proc.out(_way(machine, rest[1]))
        else:
            proc.out("".join(f"{line} \n" for line in routes(machine)))
    elif what and ("address".startswith(what) or "link".startswith(what)):
        if rest[:1] in (["add"], ["del"], ["set"]):
            proc.err("RTNETLINK answers: Operation not supported\n")
            return 2
        link = what.startswith("l")
        chosen = rest[0] if rest else ""
        lines = list(_addresses(machine, chosen, brief, link))
        if chosen and not lines:
            proc.err(f'Device "{chosen}" does not exist.\n')
            return 1
        proc.out("".join(f"{line}\n" for line in lines))
    elif what and "neighbour".startswith(what):
        for name, node in machine.site.nodes.items():
            if name != machine.name:
                proc.out(
                    f"{node.spec.address} dev eth0 lladdr {_mac(name)} {'REACHABLE' if node.powered else 'FAILED'} \n"
                )
    elif not what:
        proc.err("Usage: ip [ OPTIONS ] OBJECT { COMMAND | help }\n")
        return 255
    else:
        proc.err(f'Object "{what}" is unknown, try "ip help".\n')
        return 1
    return 0


def _way(machine: Machine, address: str) -> str:
    own = machine.address
    if address == own or address.startswith("127."):
        return f"local {address} dev lo src {own} uid 0 \n    cache <local> \n"
    owner = machine.site.plane.owner(address)
    if owner is not None and owner.has_pod(address):
        if owner.name == machine.name:
            return f"{address} dev {BRIDGE} src {_bridge(machine).partition('/')[0]} uid 0 \n    cache \n"
        return f"{address} via {owner.address} dev eth0 src {own} uid 0 \n    cache \n"
    subnet = own.rpartition(".")[0]
    if address.rpartition(".")[0] == subnet:
        return f"{address} dev eth0 src {own} uid 0 \n    cache \n"
    return f"{address} via {subnet}{GATEWAY} dev eth0 src {own} uid 0 \n    cache \n"


# Sockets


def sockets(machine: Machine) -> list[tuple[str, str, int, str]]:
    """(protocol, address, port, process) of what listens on the machine."""
    found = [("tcp", "0.0.0.0", 22, "sshd")]
    kubelet = machine.node.running
    if kubelet:
        found += [("tcp", "127.0.0.1", 10248, "kubelet"), ("tcp", "*", 10250, "kubelet")]
    listening = machine.site.world.listeners_on(machine.name)
    owners = dict(_listeners(machine))
    for protocol, port in listening:
        found.append((protocol.lower(), "*", port, owners.get(port, "")))
    known = {port for _, _, port, _ in found}
    for uid, record in machine.node.runtime.pods.items():
        if record.sandbox is None or not record.sandbox.ready or not machine.node.runtime.sandboxes[uid].host_network:
            continue
        for port, name in _ports_of(machine, uid):
            if port not in known:
                known.add(port)
                found.append(("tcp", "*", port, name))
    return sorted(found, key=lambda each: (each[0], each[2]))


def _listeners(machine: Machine) -> Iterator[tuple[int, str]]:
    for uid, record in machine.node.runtime.pods.items():
        if record.sandbox is not None and record.sandbox.ready and machine.node.runtime.sandboxes[uid].host_network:
            yield from _ports_of(machine, uid)


def _ports_of(machine: Machine, uid: str) -> Iterator[tuple[int, str]]:
    """The ports that a pod on the machine's network says it has, while its containers run."""
    runtime = machine.node.runtime
    worker = machine.node.kubelet.workers.get(uid)
    if worker is None:
        return
    for container in worker.pod["spec"]["containers"]:
        record = runtime.record(uid).latest(container["name"])
        if record is None or record.state != "running":
            continue
        yield from ((port["containerPort"], container["name"]) for port in container.get("ports") or ())
        flags = dict(word.lstrip("-").partition("=")[::2] for word in container.get("command") or ())
        if flags.get("secure-port", "").isdigit():
            yield int(flags["secure-port"]), container["name"]
        for url in (flags.get("advertise-client-urls") or "").split(","):
            port = url.rpartition(":")[2]
            if port.isdigit():
                yield int(port), container["name"]


def ss(proc: Proc) -> int:
    """ss and netstat -lntp"""
    machine = machine_of(proc)
    letters = "".join(word.lstrip("-") for word in proc.argv[1:] if word.startswith("-"))
    kinds = [name for letter, name in (("t", "tcp"), ("u", "udp")) if letter in letters] or ["tcp", "udp"]
    with_process = "p" in letters
    pids = {each.name: each.pid for each in processes(machine)}
    netstat = proc.argv[0].endswith("netstat")
    if netstat:
        proc.out("Active Internet connections (only servers)\n")
        proc.out("Proto Recv-Q Send-Q Local Address           Foreign Address         State       ")
        proc.out(("PID/Program name    " if with_process else "") + "\n")
    else:
        first = "Netid " if len(kinds) > 1 else ""
        proc.out(
            f"{first}State  Recv-Q Send-Q Local Address:Port  Peer Address:Port{'Process' if with_process else ''}\n"
        )
    for protocol, address, port, name in sockets(machine):
        if protocol not in kinds:
            continue
        pid = pids.get(name)
        if netstat:
            where = f"{':::' if address == '*' else address + ':'}{port}"
            kind = f"{protocol}6" if address == "*" else protocol
            whom = f"{pid}/{name}" if pid else "-"
            other = ":::*" if address == "*" else "0.0.0.0:*"
            state = "LISTEN" if protocol == "tcp" else ""
            proc.out(f"{kind:<5}      0      0 {where:<23} {other:<23} {state:<11} {whom if with_process else ''}\n")
        else:
            first = f"{protocol:<6}" if len(kinds) > 1 else ""
            state = "LISTEN" if protocol == "tcp" else "UNCONN"
            other = "*" if address == "*" else "0.0.0.0"
            users = f'users:(("{name}",pid={pid},fd=3))' if with_process and pid else ""
            proc.out(
                f"{first}{state:<6} 0      4096   {address:>13}:{port:<5} {other:>12}:*    {users}".rstrip() + "\n"
            )
    return 0


COMMANDS = {"ip": ip, "ss": ss, "netstat": ss}
