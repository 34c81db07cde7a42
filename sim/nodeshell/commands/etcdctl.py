"""etcdctl and etcdutl: health and members of the cluster's etcd, and snapshots of what it holds.

Source: etcd 3.6, etcdctl and etcdutl; ``snapshot status`` and ``restore`` are etcdutl's, and here etcdctl's too, as
before 3.6. A snapshot is a file of this simulation with every object at one revision. Not modelled: keys and values,
users, more than one member.
"""

from __future__ import annotations

import zlib
from collections.abc import Generator
from typing import Any

import orjson

from seatrial.sim.network.addons import ETCD_VERSION
from seatrial.sim.nodes.cri import RUNNING
from seatrial.sim.nodeshell import ages, etcd
from seatrial.sim.nodeshell.machine import Machine, machine_of
from seatrial.sim.workloads.filesystem import File
from seatrial.sim.workloads.process import Proc

Steps = Generator[Any, Any, int]
TIMEOUT_US = 5_000_000
"""--command-timeout."""
VALUED = (
    "endpoints", "cacert", "cert", "key", "write-out", "w", "data-dir", "command-timeout", "dial-timeout", "user",
    "name", "initial-cluster", "initial-cluster-token", "initial-advertise-peer-urls", "wal-dir", "bump-revision",
)  # fmt: skip
MEMBER = "8e9e05c52164694d"


class Failed(Exception):
    """``args`` is what is said on standard error."""


def _parsed(proc: Proc) -> tuple[dict[str, str], list[str]]:
    options: dict[str, str] = {}
    for name in ("endpoints", "cacert", "cert", "key"):
        if value := proc.env.get(f"ETCDCTL_{name.upper()}"):
            options[name] = value
    operands: list[str] = []
    words = proc.argv[1:]
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            operands.append(word)
            continue
        name, equals, value = word.lstrip("-").partition("=")
        if not equals and name in VALUED and words:
            value = words.pop(0)
        options["write-out" if name == "w" else name] = value
    return options, operands


def _running(machine: Machine) -> bool:
    """Whether etcd's container runs."""
    runtime = machine.site.nodes[machine.site.control_plane].runtime
    return any(
        container.state == RUNNING and container.name == "etcd"
        for record in runtime.pods.values()
        for container in record.containers
    )


def _dial(proc: Proc, machine: Machine, options: dict[str, str]) -> Generator[Any, Any, str]:
    """The endpoint, once it has answered. Raises Failed."""
    endpoint = options.get("endpoints", "127.0.0.1:2379")
    for name in ("cacert", "cert", "key"):
        path = options.get(name, "")
        if path and not proc.fs.exists(path, proc.cwd):
            raise Failed(f"Error: open {path}: no such file or directory")
    host, _, port = endpoint.removeprefix("https://").removeprefix("http://").partition(":")
    local = host in ("127.0.0.1", "localhost") and machine.is_control_plane
    right = (local or host in (machine.site.api_address, machine.site.control_plane)) and port in ("2379", "")
    secured = all(options.get(name) for name in ("cacert", "cert", "key"))
    if not (right and secured and _running(machine)):
        yield proc.clock.sleep(TIMEOUT_US)
        why = (
            "authentication handshake failed: context deadline exceeded"
            if right and _running(machine)
            else "connection refused"
        )
        target = f"etcd-endpoints://0xc000420000/{host}:{port or '2379'}"
        said = f'rpc error: code = DeadlineExceeded desc = latest balancer error: "{why}"'
        warning = {"level": "warn", "ts": proc.clock.stamp(), "logger": "etcd-client", "target": target, "error": said}
        raise Failed(f"{orjson.dumps(warning).decode()}\nError: context deadline exceeded")
    return endpoint


def etcdctl(proc: Proc) -> Steps:
    """etcdctl snapshot save|status|restore FILE, member list, endpoint health|status, version"""
    options, words = _parsed(proc)
    machine = machine_of(proc)
    command = " ".join(words[:2])
    version = ETCD_VERSION.partition("-")[0]
    try:
        if words[:1] == ["version"]:
            proc.out(f"etcdctl version: {version}\nAPI version: 3.6\n")
        elif command == "snapshot save" and len(words) == 3:
            endpoint = yield from _dial(proc, machine, options)
            return _save(proc, machine, words[2], endpoint)
        elif command == "snapshot status" and len(words) == 3:
            return _status(proc, words[2], options)
        elif command == "snapshot restore" and len(words) == 3:
            return _restore(proc, words[2], options)
        elif command == "member list":
            yield from _dial(proc, machine, options)
            url = f"https://{machine.site.api_address}"
            proc.out(f"{MEMBER}, started, {machine.site.control_plane}, {url}:2380, {url}:2379, false\n")
        elif command == "endpoint health":
            endpoint = yield from _dial(proc, machine, options)
            proc.out(f"{endpoint} is healthy: successfully committed proposal: took = 9.4ms\n")
        elif command == "endpoint status":
            endpoint = yield from _dial(proc, machine, options)
            return _endpoint(proc, machine, endpoint, options, version)
        else:
            raise Failed(
                "etcdctl: there are snapshot save|status|restore FILE, member list, endpoint health|status, version"
            )
    except Failed as problem:
        proc.err(f"{problem}\n")
        return 1
    return 0


def _save(proc: Proc, machine: Machine, path: str, endpoint: str) -> int:
    try:
        proc.fs.write(path, machine.site.etcd.snapshot(), proc.cwd, mode=etcd.OWN)
    except OSError as problem:
        raise Failed(f"Error: could not open {path}.part (open {path}.part: {problem.strerror})") from None
    for message in ("fetching snapshot", "fetched snapshot"):
        _log(proc, message, endpoint=endpoint)
    _log(proc, "saved", path=path)
    proc.out(f"Snapshot saved at {path}\nServer version 3.6.0\n")
    return 0


def _table(columns: list[str], row: list[str]) -> str:
    widths = [max(len(name), len(cell)) + 2 for name, cell in zip(columns, row, strict=True)]
    edge = "+" + "+".join("-" * width for width in widths) + "+\n"
    head = "|" + "|".join(name.center(width) for name, width in zip(columns, widths, strict=True)) + "|\n"
    cells = "|" + "|".join(f"{cell} ".rjust(width) for cell, width in zip(row, widths, strict=True)) + "|\n"
    return edge + head + edge + cells + edge


def _log(proc: Proc, message: str, **about: str) -> None:
    line = {"level": "info", "ts": proc.clock.stamp(), "msg": message, **about}
    proc.err(orjson.dumps(line).decode() + "\n")


def _read(proc: Proc, path: str) -> tuple[bytes, etcd.Snapshot]:
    """A snapshot's file and what it says. Raises Failed."""
    try:
        raw = proc.fs.read(path, proc.cwd)
        return raw, etcd.read(raw)
    except OSError:
        raise Failed(f"Error: stat {path}: no such file or directory") from None
    except ValueError as problem:
        raise Failed(f"Error: {path}: snapshot file integrity check failed: {problem}") from None


def _restore(proc: Proc, path: str, options: dict[str, str]) -> int:
    """Makes a data directory of a snapshot; etcd takes it up when it is started there."""
    raw, _ = _read(proc, path)
    directory = options.get("data-dir") or f"{options.get('name', 'default')}.etcd"
    if not etcd.is_empty(proc.fs, directory, proc.cwd):
        raise Failed(f'Error: data-dir "{directory}" not empty or could not be read')
    places = {"wal-dir": f"{directory}/{etcd.WAL}", "data-dir": directory, "snap-dir": f"{directory}/member/snap"}
    _log(proc, "restoring snapshot", path=path, **places)
    try:
        etcd.lay_out(proc.fs, directory, File(raw, etcd.OWN, proc.clock.now), proc.cwd)
    except OSError as problem:
        raise Failed(f"Error: mkdir {directory}: {(problem.strerror or '').lower()}") from None
    _log(proc, "restored snapshot", path=path, **places)
    return 0


def _status(proc: Proc, path: str, options: dict[str, str]) -> int:
    raw, snapshot = _read(proc, path)
    keys = sum(len(objects) for objects in snapshot.objects.values())
    hash_ = f"{zlib.crc32(raw):x}"
    size = f"{len(raw) / 1_000_000:.1f} MB" if len(raw) >= 1_000_000 else f"{len(raw) // 1000} kB"
    row = [hash_, str(snapshot.revision), str(keys), size]
    if options.get("write-out") == "table":
        proc.out(_table(["HASH", "REVISION", "TOTAL KEYS", "TOTAL SIZE"], row))
    elif options.get("write-out") == "json":
        value = {"hash": zlib.crc32(raw), "revision": snapshot.revision, "totalKey": keys, "totalSize": len(raw)}
        proc.out(orjson.dumps(value) + b"\n")
    else:
        proc.out(", ".join(row) + "\n")
    return 0


def _endpoint(proc: Proc, machine: Machine, endpoint: str, options: dict[str, str], version: str) -> int:
    store = machine.site.server.store
    size = ages.bytes_decimal(sum(len(store.encoded(obj)) for kind in store.storages() for obj in store.list(kind)))
    row = [endpoint, MEMBER, version, size, "true", "false", "2", str(store.revision), str(store.revision), ""]
    columns = "ENDPOINT,ID,VERSION,DB SIZE,IS LEADER,IS LEARNER,RAFT TERM,RAFT INDEX,RAFT APPLIED INDEX,ERRORS"
    if options.get("write-out") == "table":
        proc.out(_table(columns.split(","), row))
    else:
        proc.out(", ".join(row) + "\n")
    return 0


COMMANDS = {"etcdctl": etcdctl, "etcdutl": etcdctl}
