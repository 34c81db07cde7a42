"""crictl inspect, inspectp, inspecti: what the runtime knows of one thing, as JSON."""

from __future__ import annotations

from typing import Any

import orjson

from seatrial.sim.kernel.clock import micro_stamp_of
from seatrial.sim.nodes.cri import RUNNING
from seatrial.sim.nodeshell.crictl.base import Arguments, Refused, Row, find, find_sandbox, metadata, named
from seatrial.sim.nodeshell.machine import Machine
from seatrial.sim.workloads.process import Proc


def container_value(machine: Machine, row: Row) -> dict[str, Any]:
    one = row.container
    name, namespace = metadata(machine, row.uid)
    labels = {
        "io.kubernetes.container.name": one.name, "io.kubernetes.pod.name": name,
        "io.kubernetes.pod.namespace": namespace, "io.kubernetes.pod.uid": row.uid,
    }  # fmt: skip
    return {
        "id": one.id,
        "podSandboxId": row.pod.sandbox.id if row.pod.sandbox is not None else "",
        "metadata": {"name": one.name, "attempt": one.attempt},
        "image": {"image": one.image_id, "annotations": {}, "runtimeHandler": "", "userSpecifiedImage": one.image},
        "imageRef": one.image_ref,
        "state": f"CONTAINER_{one.state.upper()}",
        "createdAt": str(one.created_us * 1000),
        "labels": labels,
        "annotations": {},
        "imageId": one.image_id,
    }


def _stamp(us: int) -> str:
    return f"{micro_stamp_of(us)[:-1]}000Z" if us else "0001-01-01T00:00:00Z"


def inspect(proc: Proc, machine: Machine, given: Arguments) -> int:
    if not given.words:
        raise Refused("ID cannot be empty")
    found = []
    for word in given.words:
        row = find(machine, word)
        one, value = row.container, container_value(machine, row)
        name, namespace = metadata(machine, row.uid)
        live = machine.node.runtime.live.get(one.id)
        mounts = [
            {"containerPath": mount.path, "readonly": mount.read_only, "propagation": "PROPAGATION_PRIVATE"}
            for mount in (live.config.mounts if live is not None else ())
        ]
        config: Any = live.config if live is not None else None
        pid = machine.pid_of(f"{one.id}/1") if one.state == RUNNING else 0
        status = {
            "id": one.id,
            "metadata": value["metadata"],
            "state": value["state"],
            "createdAt": _stamp(one.created_us),
            "startedAt": _stamp(one.started_us),
            "finishedAt": _stamp(one.finished_us),
            "exitCode": one.exit_code,
            "image": {"image": one.image, "annotations": {}, "runtimeHandler": "", "userSpecifiedImage": ""},
            "imageRef": one.image_ref,
            "reason": one.reason,
            "message": one.message,
            "labels": value["labels"],
            "mounts": mounts,
            "logPath": f"/var/log/pods/{namespace}_{name}_{row.uid}/{one.name}/{one.attempt}.log",
            "resources": {"linux": dict(one.resources)},
        }
        process = {
            "args": [*(config.argv or ()), *(config.args or ())] if config is not None else [],
            "env": [f"{key}={text}" for key, text in config.env.items()] if config is not None else [],
        }
        info = {"sandboxID": value["podSandboxId"], "pid": pid, "runtimeSpec": {"process": process}}
        found.append({"info": info, "status": status})
    return show(proc, found)


def show(proc: Proc, found: list[dict[str, Any]]) -> int:
    proc.out(orjson.dumps(found[0] if len(found) == 1 else found, option=orjson.OPT_INDENT_2) + b"\n")
    return 0


def sandbox_value(machine: Machine, uid: str) -> dict[str, Any]:
    record = machine.node.runtime.record(uid)
    name, namespace = metadata(machine, uid)
    assert record.sandbox is not None
    return {
        "id": record.sandbox.id,
        "metadata": {"name": name, "uid": uid, "namespace": namespace, "attempt": 0},
        "state": "SANDBOX_READY" if record.sandbox.ready else "SANDBOX_NOTREADY",
        "createdAt": str(record.sandbox.created_us * 1000),
        "labels": {
            "io.kubernetes.pod.name": name, "io.kubernetes.pod.namespace": namespace, "io.kubernetes.pod.uid": uid
        },
        "annotations": {},
        "runtimeHandler": "",
    }  # fmt: skip


def inspect_pods(proc: Proc, machine: Machine, given: Arguments) -> int:
    found = []
    for word in given.words:
        uid, record = find_sandbox(machine, word)
        value = sandbox_value(machine, uid)
        sandbox = machine.node.runtime.sandboxes[uid]
        assert record.sandbox is not None
        network = {"additionalIps": [], "ip": "" if sandbox.host_network else record.sandbox.ip}
        mode = "NODE" if sandbox.host_network else "POD"
        status = {
            **value,
            "createdAt": _stamp(record.sandbox.created_us),
            "network": network,
            "linux": {"namespaces": {"options": {"ipc": "POD", "network": mode, "pid": "CONTAINER"}}},
        }
        found.append({"info": {"pid": machine.pid_of(f"pause/{record.sandbox.id}")}, "status": status})
    if not found:
        raise Refused("ID cannot be empty")
    return show(proc, found)


def inspect_images(proc: Proc, machine: Machine, given: Arguments) -> int:
    found = []
    for word in given.words:
        stored = next(
            (
                each
                for each in machine.node.runtime.images.all()
                if each.image.reference == named(word) or each.image.image_id.removeprefix("sha256:").startswith(word)
            ),
            None,
        )
        if stored is None:
            raise Refused(f'no such image "{word}" present')
        image: Any = stored.image
        digests = machine.node.runtime.images.digests(image.image_id)
        config = {"Entrypoint": image.entrypoint, "Cmd": image.cmd, "WorkingDir": image.working_dir}
        status = {
            "id": image.image_id, "repoTags": [image.reference], "repoDigests": digests,
            "size": str(image.size_bytes), "pinned": False,
        }  # fmt: skip
        found.append({"info": {"imageSpec": {"config": config}}, "status": status})
    if not found:
        raise Refused("ID cannot be empty")
    return show(proc, found)
