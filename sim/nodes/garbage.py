"""Image garbage collection: when the disk fills up, images that nobody uses go, the longest unused first.

Source: k8s.io/kubernetes/pkg/kubelet/images/image_gc_manager.go. Looks at which no image was added are not executed.
Not modelled: what containers write counts for nothing, and images are not removed for their age alone.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from seatrial.sim.config import S
from seatrial.sim.kernel.clock import Process, Signal
from seatrial.sim.machinery.quantity import parse
from seatrial.sim.nodes.cri import EXITED
from seatrial.sim.nodes.images import normalise

if TYPE_CHECKING:
    from seatrial.sim.nodes.images import Stored
    from seatrial.sim.nodes.machine import Registration

PERIOD_US = 300 * S
"""ImageGCPeriod."""
AGE_MIN_US = 120 * S
"""imageMinimumGCAge."""
HIGH_PERCENT, LOW_PERCENT = 85, 80
"""imageGCHighThresholdPercent and imageGCLowThresholdPercent."""
NODE_DISK = 6 * 1024**3
"""What a machine's own files take of its disk."""


class ImageGarbage:
    """The image garbage collector of one kubelet."""

    def __init__(self, registration: Registration) -> None:
        self.registration = registration
        self.kubelet = registration.kubelet
        self._news = Signal(self.kubelet.clock)
        self._process: Process | None = None

    def start(self) -> None:
        self._process = self.kubelet.spawn(self._watch(), f"{self.kubelet.name}/images")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process = None

    def note(self) -> None:
        """An image came or went."""
        self._news.fire()

    def _watch(self) -> Generator[Any, Any, None]:
        clock = self.kubelet.clock
        while True:
            yield self._news.wait()
            while self._above():
                yield clock.sleep(PERIOD_US - (clock.now - self.kubelet.begun_us) % PERIOD_US, periodic=True)
                self._collect()

    def _capacity(self) -> int:
        return parse(self.registration.capacity()["ephemeral-storage"]).value()

    def _used(self) -> int:
        return NODE_DISK + self.kubelet.runtime.images.used_bytes()

    def _above(self) -> bool:
        return self._used() * 100 >= self._capacity() * HIGH_PERCENT

    def _collect(self) -> None:
        """Frees images until the disk is below the low threshold; says so when there are not enough."""
        if not self._above():
            return
        wanted = self._used() - self._capacity() * LOW_PERCENT // 100
        freed = 0
        for stored in self._unused():
            if freed >= wanted:
                return
            freed += stored.image.size_bytes
            self.kubelet.runtime.images.remove(stored.image.reference)
        if freed < wanted:
            text = (
                f"Failed to garbage collect required amount of images. Attempted to free {wanted} bytes, "
                f"but only found {freed} bytes eligible to free."
            )
            self.kubelet.recorder.event(self.registration.about(), "Warning", "FreeDiskSpaceFailed", text)

    def remove_unused(self) -> None:
        """Frees every image that nobody uses, as a machine under disk pressure does (DeleteUnusedImages)."""
        for stored in self._unused():
            self.kubelet.runtime.images.remove(stored.image.reference)

    def _unused(self) -> list[Stored]:
        runtime, now = self.kubelet.runtime, self.kubelet.clock.now
        used = {c.image for record in runtime.pods.values() for c in record.containers if c.state != EXITED}
        used.add(normalise(self.kubelet.settings.sandbox_image))
        found = [s for s in runtime.images.all() if s.image.reference not in used and now - s.pulled_us >= AGE_MIN_US]
        return sorted(found, key=lambda stored: (stored.used_us, stored.pulled_us, stored.image.reference))
