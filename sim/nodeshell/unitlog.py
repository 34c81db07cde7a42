"""The journal of a machine's units: what systemd and the kubelet say while they work, as journalctl shows it.

The newest lines are kept. What the kubelet says follows from what happened to it: its start and end, the events that it
records, and answers of the API server that do not come. Source: klog's format, k8s.io/kubernetes/pkg/kubelet. Not
modelled: lines that the kubelet writes without anything having gone wrong or changed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from seatrial.sim.kernel.stamps import datetime_of

LINES_MAX = 400
"""Lines that one machine keeps."""


class Line(NamedTuple):
    """One entry of the journal."""

    at: int
    unit: str
    identifier: str
    """Who wrote it: systemd, kubelet, kernel."""
    pid: int
    severity: str
    """klog's letter; empty for plain text."""
    source: str
    """File and line, for klog."""
    text: str

    def message(self) -> str:
        """What was written."""
        if not self.severity:
            return self.text
        when = datetime_of(self.at)
        return f"{self.severity}{when:%m%d %H:%M:%S.%f} {self.pid:7d} {self.source}] {self.text}"

    def shown(self, host: str) -> str:
        """As journalctl prints it."""
        process = f"[{self.pid}]" if self.pid else ""
        return f"{datetime_of(self.at):%b %d %H:%M:%S} {host} {self.identifier}{process}: {self.message()}"


class UnitLog:
    """The lines of one machine, oldest first."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self.lines: deque[Line] = deque(maxlen=LINES_MAX)
        self.written = 0
        """Lines ever written: whoever follows knows what is new."""
        self._followers: list[Callable[[], None]] = []

    def systemd(self, unit: str, text: str) -> None:
        self._add(Line(self._now(), unit, "systemd", 1, "", "", text))

    def klog(self, pid: int, severity: str, source: str, text: str) -> None:
        """A line of the kubelet."""
        self._add(Line(self._now(), "kubelet", "kubelet", pid, severity, source, text))

    def plain(self, unit: str, identifier: str, pid: int, text: str) -> None:
        self._add(Line(self._now(), unit, identifier, pid, "", "", text))

    def _add(self, line: Line) -> None:
        self.lines.append(line)
        self.written += 1
        for call in list(self._followers):
            call()

    def follow(self, call: Callable[[], None]) -> Callable[[], None]:
        """Calls at every new line; the result ends that."""
        self._followers.append(call)
        return lambda: self._followers.remove(call) if call in self._followers else None

    def of(self, unit: str) -> Iterable[Line]:
        """The lines of one unit; of all for an empty name."""
        return (line for line in self.lines if unit in ("", line.unit))

    def since(self, number: int) -> list[Line]:
        """Lines written after the first ``number``, as far as they are kept."""
        new = self.written - number
        return list(self.lines)[-new:] if new > 0 else []


def quoted(text: str) -> str:
    """A value of klog's structured lines."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def about(reference: Mapping[str, Any]) -> str:
    """The pod that a line is about."""
    return f'pod="{reference.get("namespace", "")}/{reference["name"]}" podUID="{reference.get("uid", "")}"'


def container_of(reference: Mapping[str, Any]) -> str:
    """The container that an event's field path names."""
    return str(reference.get("fieldPath", "")).partition("{")[2].rstrip("}")


SYNC = "pod_workers.go:1324"


def of_event(node: str, reference: Mapping[str, Any], kind: str, reason: str, message: str) -> tuple[str, str, str]:
    """(severity, source, text) of what the kubelet writes beside an event; no severity: it writes nothing."""
    if reference.get("kind") == "Node":
        if reason in ("Starting", "NodeAllocatableEnforced"):
            return "", "", ""
        if reason == "EvictionThresholdMet":
            return "I", "eviction_manager.go:369", '"Eviction manager: attempting to reclaim" resourceName="memory"'
        text = f'"Recording event message for node" node="{node}" event="{reason}"'
        return "I", "kubelet_node_status.go:736", text
    container = container_of(reference)
    if reason == "Killing":
        text = f'"Killing container with a grace period" {about(reference)} containerName="{container}"'
        return "I", "kuberuntime_container.go:864", text
    if reason == "Evicted":
        return "I", "eviction_manager.go:627", f'"Eviction manager: pod is evicted successfully" {about(reference)}'
    if kind != "Warning":
        return "", "", ""
    if reason == "Unhealthy":
        probe = message.partition(" ")[0]
        output = quoted(message.partition("failed: ")[2] or message)
        named = f'probeType="{probe}" {about(reference)} containerName="{container}"'
        return "I", "prober.go:120", f'"Probe failed" {named} probeResult="failure" output={output}'
    if reason == "FailedCreatePodSandBox":
        cause = message.partition(": ")[2] or message
        return "E", "log.go:32", f'"RunPodSandbox from runtime service failed" err={quoted(cause)}'
    if reason == "FailedMount":
        return "E", "nestedpendingoperations.go:348", f"{message} {about(reference)}"
    failure = message
    if reason == "BackOff" and message.startswith("Back-off restarting"):
        what = message.partition("failed container ")[2]
        name, _, pod = what.partition(" in pod ")
        failure = f'failed to "StartContainer" for "{name}" with CrashLoopBackOff: '
        failure += f'"back-off restarting failed container={name} pod={pod}"'
    return "E", *of_failed_sync(reference, failure)


def of_failed_sync(reference: Mapping[str, Any], failure: str) -> tuple[str, str]:
    """(source, text) of what the kubelet writes when a pod's sync has failed."""
    return SYNC, f'"Error syncing pod, skipping" err={quoted(failure)} {about(reference)}'


def of_lost_request(node: str, method: str, url: str, reason: str) -> tuple[str, str, str]:
    """What the kubelet writes when the API server gives no answer."""
    path = url.partition("?")[0]
    error = f'{method.title()} "{url}": {reason}'
    if "/leases" in path:
        text = '"Failed to ensure lease exists, will retry"' if method != "PUT" else '"Failed to update lease"'
        interval = ' interval="7s"' if method != "PUT" else ""
        return (
            "E",
            "controller.go:195" if method == "PUT" else "controller.go:145",
            f"{text} err={quoted(error)}{interval}",
        )
    if "/events" in path:
        return "E", "event.go:368", f'"Unable to write event (may retry after sleeping)" err={quoted(error)}'
    if path.endswith(f"/nodes/{node}/status") or (path.endswith(f"/nodes/{node}") and method == "PATCH"):
        failure = quoted(f'error getting node "{node}": {error}')
        return "E", "kubelet_node_status.go:549", f'"Error updating node status, will retry" err={failure}'
    if path.endswith("/nodes") and method == "POST":
        text = '"Unable to register node with API server"'
        return "E", "kubelet_node_status.go:107", f'{text} err={quoted(error)} node="{node}"'
    if path.endswith("/status"):
        return "E", "status_manager.go:1018", f'"Failed to update status for pod" err={quoted(error)}'
    kind = path.rstrip("/").rpartition("/")[2]
    return "E", "reflector.go:205", f'"Failed to watch" err={quoted(f"failed to list {kind}: {error}")}'
