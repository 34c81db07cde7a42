"""Answers that go on: watches, as frames of the simulation's stream in lines of JSON or as length-delimited protobuf.

Source: k8s.io/apiserver/pkg/endpoints/handlers/watch.go. The bytes of a change are made once and shared by all who
watch it. Each connection takes frames from its own cursor as fast as its client reads; one that stays behind until its
position is compacted gets 410 Gone from the stream, and one that reads nothing at all for a minute is dropped by the
server, where upstream drops a watcher whose buffer stays full. Followed logs are sent the same way, as the bytes that
they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from seatrial.api.kubernetes.encoding import json_bytes
from seatrial.sim.apiserver.kubelets import LogStream
from seatrial.sim.apiserver.representation import PROTOBUF
from seatrial.sim.apiserver.watching import Frame

READ_FRAMES = 100
"""Frames that are encoded at a time."""
SHARED_FRAMES_MAX = 2048
Outward = Callable[[Mapping[str, Any], int], Mapping[str, Any]]
"""Moves an object's times by so many µs."""
Release = Callable[[Callable[[], None]], None]


class FrameStream(Protocol):
    """The simulation's side of a watch (apiserver.watching.WatchStream)."""

    closed: bool

    def read(self, limit: int) -> list[Frame]: ...
    def on_ready(self, call: Callable[[], None]) -> None: ...
    def close(self) -> None: ...


class FrameBytes:
    """Encoded frames, remembered by the revision that they show and the offset of the client's clock."""

    def __init__(self, outward: Outward, offset_us: Callable[[], int]) -> None:
        self._outward = outward
        self._offset_us = offset_us
        self._shared: dict[tuple[str, str, int, int], bytes] = {}

    def encode(self, frames: list[Frame], media_type: str) -> bytes:
        """The bytes of frames; those of a change as it is in the log are made once for all."""
        offset_us, shared = self._offset_us(), self._shared
        if len(shared) > SHARED_FRAMES_MAX:
            shared.clear()
        parts = []
        for kind, obj, change in frames:
            key = (kind, media_type, change.revision if change is not None else 0, offset_us)
            found = shared.get(key) if change is not None else None
            if found is None:
                shown = self._outward(obj, offset_us) if offset_us else obj
                found = frame_bytes(kind, shown, media_type)
                if change is not None:
                    shared[key] = found
            parts.append(found)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def frame_bytes(kind: str, obj: Mapping[str, Any], media_type: str) -> bytes:
    """One frame."""
    if media_type == PROTOBUF:
        from seatrial.sim.machinery import protobuf

        event = protobuf.encode_watch_event(kind, obj)
        return len(event).to_bytes(4, "big") + event
    return b'{"type":"%b","object":%b}\n' % (kind.encode(), json_bytes(obj))


class WatchBody:
    """A watch as the body of an answer; see ``message.Stream``."""

    def __init__(self, stream: FrameStream, media_type: str, frames: FrameBytes, release: Release) -> None:
        self._stream = stream
        self._media_type = media_type
        self._frames = frames
        self._release = release
        self.broken = False

    def read(self) -> bytes:
        frames = self._stream.read(READ_FRAMES)
        return self._frames.encode(frames, self._media_type) if frames else b""

    @property
    def closed(self) -> bool:
        return self._stream.closed

    def on_ready(self, call: Callable[[], None]) -> None:
        """Calls after the change that made it ready is durable, never in the middle of another's request."""
        self._stream.on_ready(lambda: self._release(call))

    def break_off(self) -> None:
        """The server's process is gone."""
        self.broken = True
        self._stream.close()

    def close(self) -> None:
        self._stream.close()


class LogBody:
    """A followed log as the body of an answer; see ``message.Stream``."""

    def __init__(self, log: LogStream, release: Release) -> None:
        self._log = log
        self._release = release
        self._call: Callable[[], None] | None = None
        self._listening = False
        self.broken = False

    def read(self) -> bytes:
        return self._log.read()

    @property
    def closed(self) -> bool:
        return self.broken or self._log.ended

    def on_ready(self, call: Callable[[], None]) -> None:
        self._call = call
        if not self._listening:
            self._listening = True
            self._log.on_ready(self._ready)

    def _ready(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            self._release(call)

    def break_off(self) -> None:
        """The server's process is gone."""
        self.broken = True
        self._log.close()
        self._ready()

    def close(self) -> None:
        self._call = None
        self._log.close()
