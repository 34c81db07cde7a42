"""crictl ps, pods, images, stats, info, version."""

from __future__ import annotations

import re
from typing import Any

import orjson

from seatrial.sim.nodes.cri import RUNNING
from seatrial.sim.nodeshell import ages
from seatrial.sim.nodeshell.crictl.base import SHORT, Arguments, metadata, rows, table
from seatrial.sim.nodeshell.crictl.inspecting import container_value, sandbox_value, show
from seatrial.sim.nodeshell.machine import Machine
from seatrial.sim.workloads.process import Proc

STATES = {"created": "Created", "running": "Running", "exited": "Exited"}


def ps(proc: Proc, machine: Machine, given: Arguments) -> int:
    state = given.get("state", "s").lower()
    everything = given.has("a", "all") or state
    found = []
    for row in rows(machine):
        name, namespace = metadata(machine, row.uid)
        sandbox = row.pod.sandbox
        if not everything and row.container.state != RUNNING:
            continue
        if state and row.container.state != state:
            continue
        if given.get("name") and not re.search(given.get("name"), row.container.name):
            continue
        if given.get("namespace") and not re.search(given.get("namespace"), namespace):
            continue
        if given.get("pod", "p") and (sandbox is None or not sandbox.id.startswith(given.get("pod", "p"))):
            continue
        if given.get("image") and given.get("image") not in (row.container.image, row.container.image_id):
            continue
        found.append((row, name, namespace))
    limit = given.get("last", "n")
    if given.has("latest", "l"):
        found = found[:1]
    elif limit.isdigit():
        found = found[: int(limit)]
    if given.get("o", "output") == "json":
        listed = [container_value(machine, row) for row, _, _ in found]
        proc.out(orjson.dumps({"containers": listed}, option=orjson.OPT_INDENT_2) + b"\n")
        return 0
    if given.has("q", "quiet"):
        proc.out("".join(f"{row.container.id}\n" for row, _, _ in found))
        return 0
    now, whole = machine.clock.now, given.has("no-trunc")
    lines = []
    for row, name, namespace in found:
        one, pod = row.container, row.pod.sandbox.id if row.pod.sandbox is not None else ""
        image = one.image_id.removeprefix("sha256:")
        lines.append([
            one.id if whole else one.id[:SHORT], image if whole else image[:SHORT],
            f"{ages.human(now - one.created_us)} ago", STATES[one.state], one.name, str(one.attempt),
            pod if whole else pod[:SHORT], name, namespace,
        ])  # fmt: skip
    proc.out(table(["CONTAINER", "IMAGE", "CREATED", "STATE", "NAME", "ATTEMPT", "POD ID", "POD", "NAMESPACE"], lines))
    return 0


def pods(proc: Proc, machine: Machine, given: Arguments) -> int:
    found = []
    for uid, record in machine.node.runtime.pods.items():
        if record.sandbox is None:
            continue
        name, namespace = metadata(machine, uid)
        state = "Ready" if record.sandbox.ready else "NotReady"
        if given.get("name") and not re.search(given.get("name"), name):
            continue
        if given.get("namespace") and not re.search(given.get("namespace"), namespace):
            continue
        if given.get("state", "s") and given.get("state", "s").lower() != state.lower():
            continue
        found.append((record.sandbox, name, namespace, state, uid))
    found.sort(key=lambda each: -each[0].created_us)
    if given.has("q", "quiet"):
        proc.out("".join(f"{sandbox.id}\n" for sandbox, *_ in found))
        return 0
    if given.get("o", "output") == "json":
        items = [sandbox_value(machine, uid) for *_, uid in found]
        proc.out(orjson.dumps({"items": items}, option=orjson.OPT_INDENT_2) + b"\n")
        return 0
    now, whole = machine.clock.now, given.has("no-trunc")
    lines = [
        [
            sandbox.id if whole else sandbox.id[:SHORT], f"{ages.human(now - sandbox.created_us)} ago", state, name,
            namespace, "0", "(default)",
        ]
        for sandbox, name, namespace, state, _ in found
    ]  # fmt: skip
    proc.out(table(["POD ID", "CREATED", "STATE", "NAME", "NAMESPACE", "ATTEMPT", "RUNTIME"], lines))
    return 0


def images(proc: Proc, machine: Machine, given: Arguments) -> int:
    wanted = given.words[0] if given.words else ""
    every = machine.node.runtime.images.by_id()
    found = [each for each in every if any(wanted in name for name in (*each.digests, *each.tags))]
    if given.has("q", "quiet"):
        proc.out("".join(f"{each.image_id}\n" for each in found))
        return 0
    if given.get("o", "output") == "json":
        listed = [
            {
                "id": each.image_id, "repoTags": each.tags, "repoDigests": each.digests,
                "size": str(each.size_bytes), "username": "", "pinned": False,
            }
            for each in found
        ]  # fmt: skip
        proc.out(orjson.dumps({"images": listed}, option=orjson.OPT_INDENT_2) + b"\n")
        return 0
    lines = []
    for each in found:
        for reference in each.tags or each.digests:
            repository, _, tag = reference.rpartition(":") if each.tags else (*reference.split("@")[:1], "", "<none>")
            short = each.image_id.removeprefix("sha256:")[:SHORT]
            lines.append([repository, tag, short, ages.bytes_decimal(each.size_bytes)])
    proc.out(table(["IMAGE", "TAG", "IMAGE ID", "SIZE"], sorted(lines)))
    return 0


def stats(proc: Proc, machine: Machine, given: Arguments) -> int:
    lines = []
    for row in rows(machine):
        live = machine.node.runtime.live.get(row.container.id)
        if row.container.state != RUNNING or live is None or live.process is None:
            continue
        if given.words and not row.container.id.startswith(given.words[0]):
            continue
        cpu, memory = live.process.usage()
        name, _ = metadata(machine, row.uid)
        lines.append([
            row.container.id[:SHORT], row.container.name, f"{cpu / 10_000_000:.2f}", ages.bytes_decimal(memory), "0B",
            "0", name,
        ])  # fmt: skip
    proc.out(table(["CONTAINER", "NAME", "CPU %", "MEM", "DISK", "INODES", "POD"], lines))
    return 0


def info(proc: Proc, machine: Machine, given: Arguments) -> int:
    plugged = machine.node.runtime.plugged
    network: dict[str, Any] = {"type": "NetworkReady", "status": plugged, "reason": "", "message": ""}
    if not plugged:
        network |= {
            "reason": "NetworkPluginNotReady",
            "message": "Network plugin returns error: cni plugin not initialized",
        }
    value = {
        "config": {"cniConfig": {"Networks": []}, "containerdEndpoint": "/run/containerd/containerd.sock"},
        "lastCNILoadStatus": "OK" if plugged else "cni config load failed: no network config found in /etc/cni/net.d",
        "status": {
            "conditions": [
                {"type": "RuntimeReady", "status": True, "reason": "", "message": ""},
                network,
                {"type": "ContainerdHasNoDeprecationWarnings", "status": True, "reason": "", "message": ""},
            ]
        },
    }
    return show(proc, [value])


def version(proc: Proc, machine: Machine, given: Arguments) -> int:
    runtime = machine.node.registration.info()["containerRuntimeVersion"].partition("://")[2]
    proc.out(f"Version:  0.1.0\nRuntimeName:  containerd\nRuntimeVersion:  v{runtime}\nRuntimeApiVersion:  v1\n")
    return 0
