"""What the kubelet reads when it starts: its unit's command line, its configuration, its kubeconfig.

Each thing that is wrong there ends the process as it ends the real one, with its words in the journal; what is right
takes effect. Source: k8s.io/kubernetes/cmd/kubelet/app (server.go), pkg/kubelet/kubeletconfig, KubeletConfiguration of
k8s.io/kubelet/config/v1beta1. Fields that no table below names are read and change nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from seatrial.sim.config import S
from seatrial.sim.nodes.thresholds import DEFAULT_HARD, thresholds_of
from seatrial.sim.nodeshell import ages
from seatrial.sim.nodeshell.kubeletfields import FIELDS
from seatrial.sim.nodeshell.unitlog import quoted

if TYPE_CHECKING:
    from seatrial.sim.nodeshell.machine import Machine
    from seatrial.sim.workloads.filesystem import FileSystem

VERSION = "kubelet.config.k8s.io/v1beta1"
NO_PROGRAM = 203
RUN = "run.go:72"
GO_TYPES = {"int": "int32", "bool": "bool", "string": "string", "list": "slice", "map": "map", "duration": "string"}


class Problem(NamedTuple):
    """Why the process ended."""

    status: int
    lines: tuple[tuple[str, str], ...]
    """(source, text) of what it wrote."""


class Failed(Exception):
    """``args`` is what the kubelet says."""


def load(machine: Machine) -> Problem | None:
    """Reads everything and puts it into effect; what is wrong with it, if something is."""
    fs = machine.userland.fs
    command = command_of(machine)
    program = command[0] if command else ""
    machine.kubelet.command = " ".join(command)
    if not fs.exists(program or "/nowhere"):
        text = f"Failed at step EXEC spawning {program}: No such file or directory"
        machine.log.plain("kubelet", "(kubelet)", machine.next_pid(), f"kubelet.service: {text}")
        return Problem(NO_PROGRAM, ())
    flags = dict(word.lstrip("-").partition("=")[::2] for word in command[1:])
    try:
        value = configuration(fs, flags.get("config", ""))
        kubeconfig(machine, flags)
        apply(machine, value)
    except Failed as problem:
        return Problem(1, ((RUN, f'"command failed" err={quoted(str(problem))}'),))
    machine.manifests.begin(value.get("staticPodPath") or "")
    return None


def command_of(machine: Machine) -> list[str]:
    """The words of ExecStart, with the environment of the unit's drop-in; as they were at the last daemon-reload."""
    fs = machine.userland.fs
    text = machine.userland.unit_text
    values: dict[str, str] = {}
    for found in re.finditer(r'^Environment="?(\w+)=(.*?)"?\s*$', text, re.M):
        values[found.group(1)] = found.group(2)
    for found in re.finditer(r"^EnvironmentFile=-?(\S+)\s*$", text, re.M):
        for line in _text(fs, found.group(1)).splitlines():
            name, equals, value = line.strip().partition("=")
            if equals and not name.startswith("#"):
                values[name] = value.strip().strip('"')
    started = [line for line in re.findall(r"^ExecStart=(.*)$", text, re.M) if line.strip()]
    line = started[-1] if started else ""
    return re.sub(r"\$\{?(\w+)\}?", lambda found: values.get(found.group(1), ""), line).split()


def _text(fs: FileSystem, path: str) -> str:
    try:
        return fs.read(path).decode(errors="replace")
    except OSError:
        return ""


def configuration(fs: FileSystem, path: str) -> Mapping[str, Any]:
    """The KubeletConfiguration. Raises Failed."""
    if not path:
        return {}
    loading = (
        f"failed to load kubelet config file, path: {path}, error: failed to load Kubelet config file {path}, error "
    )
    reading = f"failed to read kubelet config file {quoted(path)}, error: open {path}: no such file or directory"
    if not fs.exists(path):
        raise Failed(loading + reading)
    text = fs.read(path).decode(errors="replace")
    try:
        value = yaml.load(text, yaml.CSafeLoader)
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark is not None else ""
        said = f"yaml: {where}{getattr(problem, 'problem', None) or 'could not parse'}"
        raise Failed(f"{loading}failed to decode: couldn't get version/kind; json parse error: {said}") from None
    if not isinstance(value, Mapping) or "kind" not in value or "apiVersion" not in value:
        missing = "Kind" if not isinstance(value, Mapping) or "kind" not in value else "apiVersion"
        raise Failed(f"{loading}failed to decode: Object '{missing}' is missing in '{text.strip()[:60]}'")
    kind, version = value["kind"], value["apiVersion"]
    if version != VERSION or kind != "KubeletConfiguration":
        scheme = "pkg/kubelet/apis/config/scheme/scheme.go:33"
        known = f'no kind "{kind}" is registered for version "{version}" in scheme "{scheme}"'
        raise Failed(f"{loading}failed to decode: {known}")
    unknown = [name for name in value if name not in FIELDS and name not in ("kind", "apiVersion")]
    if unknown:
        said = ", ".join(f'unknown field "{name}"' for name in unknown)
        raise Failed(f"{loading}failed to decode: strict decoding error: {said}")
    for name, given in value.items():
        wanted = FIELDS.get(name, "")
        if not _fits(wanted, given):
            shown = "string" if isinstance(given, str) else "number" if isinstance(given, int | float) else "object"
            field = f"KubeletConfiguration.{name} of type {GO_TYPES[wanted]}"
            said = f"json: cannot unmarshal {shown} into Go struct field {field}"
            raise Failed(f"{loading}failed to decode: {said}")
        if wanted == "duration" and given and ages.go_duration(str(given)) is None:
            raise Failed(f'{loading}failed to decode: time: invalid duration "{given}"')
    return value


def _fits(wanted: str, given: Any) -> bool:
    if given is None:
        return True
    kinds: dict[str, type | tuple[type, ...]] = {
        "int": int, "bool": bool, "string": str, "duration": str, "list": list, "map": dict
    }  # fmt: skip
    if wanted == "int" and isinstance(given, bool):
        return False
    return isinstance(given, kinds[wanted]) if wanted in kinds else True


def kubeconfig(machine: Machine, flags: Mapping[str, str]) -> None:
    """The way to the API server. Raises Failed."""
    fs = machine.userland.fs
    path, bootstrap = flags.get("kubeconfig", ""), flags.get("bootstrap-kubeconfig", "")
    if path and not fs.exists(path):
        if bootstrap and fs.exists(bootstrap):
            return
        failure = f"unable to load bootstrap kubeconfig: stat {bootstrap}: no such file or directory"
        raise Failed(f"failed to run Kubelet: {failure}")
    text = _text(fs, path)
    try:
        value = yaml.load(text, yaml.CSafeLoader) or {}
        server = str(value["clusters"][0]["cluster"]["server"])
        user = value["users"][0]["user"]
    except (yaml.YAMLError, KeyError, IndexError, TypeError):
        text = f'error loading config file "{path}": yaml: could not parse, or a cluster or user is missing'
        raise Failed(f"failed to run Kubelet: {text}") from None
    certificate = user.get("client-certificate")
    if certificate and not fs.exists(certificate):
        raise Failed(f"failed to run Kubelet: unable to read client-cert {certificate} for default-auth due to open "
                     f"{certificate}: no such file or directory")  # fmt: skip
    address = server.removeprefix("https://").removeprefix("http://").rstrip("/")
    host, _, port = address.partition(":")
    right = host in (machine.site.api_address, machine.site.control_plane) and port == "6443"
    kubelet = machine.node.kubelet
    kubelet.client.elsewhere = kubelet.recorder.client.elsewhere = "" if right else address


def apply(machine: Machine, value: Mapping[str, Any]) -> None:
    """Puts a configuration into effect. Raises Failed."""
    fs = machine.userland.fs
    authority = ((value.get("authentication") or {}).get("x509") or {}).get("clientCAFile")
    if authority and not fs.exists(authority):
        said = f"unable to load client CA file {authority}: open {authority}: no such file or directory"
        raise Failed(f"failed to construct kubelet dependencies: {said}")
    if value.get("cgroupDriver", "systemd") not in ("systemd", "cgroupfs"):
        raise Failed(
            f"failed to run Kubelet: invalid configuration: unrecognized cgroup driver {value['cgroupDriver']!r}"
        )
    node = machine.node
    changes: dict[str, Any] = {}
    pods = value.get("maxPods") or 110
    if not isinstance(pods, int) or pods < 0:
        wrong = f"invalid configuration: maxPods (--max-pods) {pods} must not be a negative number"
        raise Failed(f"failed to validate kubelet configuration, error: {wrong}")
    changes.update(_evictions(value))
    for name, setting in SPANS.items():
        given = value.get(name)
        span = ages.go_duration(str(given)) if given else 0
        if span:
            changes[setting] = span
    settings = node.kubelet.settings.model_copy(update={**DEFAULTS, "max_pods": pods, **changes})
    node.kubelet.settings = settings
    node.spec = node.registration.spec = node.spec._replace(pods=pods)
    servers = value.get("clusterDNS")
    if servers:
        node.kubelet.cluster_dns = str(servers[0])
    node.kubelet.cluster_domain = str(value.get("clusterDomain") or node.kubelet.cluster_domain)


def _evictions(value: Mapping[str, Any]) -> dict[str, Any]:
    """What is evicted for. Hard thresholds that are given take the place of all defaults. Raises Failed."""
    given = {name: {str(key): str(text) for key, text in (value.get(name) or {}).items()} for name in EVICTIONS}
    hard = given["evictionHard"]
    if not hard or value.get("mergeDefaultEvictionSettings"):
        hard = {**DEFAULT_HARD, **hard}
    graces = {}
    for signal, text in given["evictionSoftGracePeriod"].items():
        span = ages.go_duration(text)
        if span is None:
            raise Failed(f'failed to run Kubelet: failed to parse eviction threshold: time: invalid duration "{text}"')
        graces[signal] = span
    soft, reclaim = given["evictionSoft"], given["evictionMinimumReclaim"]
    try:
        thresholds_of(hard, soft, graces, reclaim)
    except ValueError as problem:
        raise Failed(f"failed to run Kubelet: failed to parse eviction threshold: {problem}") from None
    return {
        "eviction_hard": hard,
        "eviction_soft": soft,
        "eviction_soft_grace_us": graces,
        "eviction_minimum_reclaim": reclaim,
        "eviction_max_pod_grace_s": int(value.get("evictionMaxPodGracePeriod") or 0),
    }


EVICTIONS = ("evictionHard", "evictionSoft", "evictionSoftGracePeriod", "evictionMinimumReclaim")


SPANS: Mapping[str, str] = {
    "syncFrequency": "sync_frequency_us",
    "nodeStatusReportFrequency": "status_report_us",
    "nodeStatusUpdateFrequency": "status_update_us",
    "shutdownGracePeriod": "graceful_shutdown_us",
    "evictionPressureTransitionPeriod": "eviction_transition_us",
}
"""Lengths of time: field → what is set by it, in µs."""
DEFAULTS: Mapping[str, Any] = {
    "sync_frequency_us": 60 * S, "status_report_us": 300 * S, "status_update_us": 10 * S, "graceful_shutdown_us": 0,
    "eviction_transition_us": 300 * S,
}  # fmt: skip
"""What holds where a configuration says nothing."""
