"""Reading what containers wrote: tail, since, limits, time stamps, following.

Source: k8s.io/kubernetes/pkg/kubelet/kuberuntime/logs and kubelet.go (validateContainerLogStatus). Not modelled:
compressed and older files of a rotated log.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Any

from seatrial.sim.apiserver.kubelets import LogOptions
from seatrial.sim.kernel.clock import micro_stamp_of
from seatrial.sim.machinery import errors
from seatrial.sim.nodes.cri import LogSource

Object = Mapping[str, Any]
WAITING = {
    "ErrImagePull": "image can't be pulled",
    "ImagePullBackOff": "trying and failing to pull image",
}
STREAMS = {"Stdout": "stdout", "Stderr": "stderr"}


def container_id(pod: str, status: Object | None, container: str, previous: bool) -> str:
    """Which instance's log is meant. Raises ApiError 400 in the kubelet's words."""
    if status is None:
        raise errors.bad_request(f'container "{container}" in pod "{pod}" is not available')
    state, last = status.get("state") or {}, (status.get("lastState") or {}).get("terminated") or {}
    if previous:
        if not last.get("containerID"):
            raise errors.bad_request(f'previous terminated container "{container}" in pod "{pod}" not found')
        return _bare(last["containerID"])
    if "running" in state:
        return _bare(status["containerID"])
    ended = (state.get("terminated") or {}).get("containerID") or last.get("containerID")
    if ended:
        return _bare(ended)
    if "waiting" in state:
        reason = state["waiting"].get("reason", "")
        text = WAITING.get(reason, reason)
        raise errors.bad_request(f'container "{container}" in pod "{pod}" is waiting to start: {text}')
    raise errors.bad_request(f'container "{container}" in pod "{pod}" is terminated')


def _bare(identifier: str) -> str:
    return identifier.partition("://")[2]


class Words:
    """What the kubelet says in a log's place (kubelets.LogStream)."""

    def __init__(self, text: str) -> None:
        self._left = text.encode()

    def read(self) -> bytes:
        data, self._left = self._left, b""
        return data

    @property
    def ended(self) -> bool:
        return not self._left

    def on_ready(self, call: Callable[[], None]) -> None:
        """Never: it is all there."""

    def close(self) -> None:
        """Nothing is held."""


class Lines:
    """A log as one client reads it (kubelets.LogStream)."""

    def __init__(self, source: LogSource, options: LogOptions, running: Callable[[], bool]) -> None:
        self._source = source
        self._options = options
        self._running = running
        self._left = options.limit_bytes
        self._forget: Callable[[], None] | None = None
        self._next = self._first()

    def _first(self) -> int:
        lines, options = self._source.lines, self._options
        first = 0
        if options.since_us is not None:
            first = bisect_left(lines, options.since_us, key=lambda line: line[0])
        if options.tail_lines is not None:
            first = max(first, len(lines) - options.tail_lines)
        return self._source.dropped + first

    def read(self) -> bytes:
        source, options = self._source, self._options
        wanted = STREAMS.get(options.stream)
        parts = []
        for at, stream, text in source.lines[max(self._next - source.dropped, 0) :]:
            if wanted is not None and stream != wanted:
                continue
            parts.append(f"{micro_stamp_of(at)[:-1]}000Z ".encode() + text if options.timestamps else text)
        self._next = source.dropped + len(source.lines)
        data = b"".join(parts)
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        return data

    @property
    def ended(self) -> bool:
        if self._left is not None and self._left <= 0:
            return True
        if self._next < self._source.dropped + len(self._source.lines):
            return False
        return not self._options.follow or not self._running()

    def on_ready(self, call: Callable[[], None]) -> None:
        self._forget = self._source.on_append(call)

    def close(self) -> None:
        if self._forget is not None:
            self._forget()
            self._forget = None
