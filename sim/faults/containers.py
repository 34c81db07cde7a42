"""Faults of containers and registries."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import partial
from typing import Any, Literal

from pydantic import Field

from seatrial.sim.config import S
from seatrial.sim.faults.fault import Fault, OnNodes
from seatrial.sim.faults.seams import Heal, NotThere, Seams, nothing, together
from seatrial.sim.machinery import selectors

RUNNING = "running"
MI = 1024 * 1024


class OnContainers(Fault):
    """A fault of running containers."""

    subject = "pod"
    namespace: str = Field(default="default", description="The pods' namespace.")
    pod: str = Field(default="", description="The pod's name; empty for those that the selector chooses.")
    selector: str = Field(default="", description="A label selector of pods.")
    container: str = Field(default="", description="The container's name; empty for all of a pod.")

    def running(self, seams: Seams) -> list[tuple[Any, Any]]:
        """(container, runtime) of each that runs. Raises NotThere."""
        found = list(self._running(seams))
        if not found:
            raise NotThere(f"no running container matches {self!r}")
        return found

    def _running(self, seams: Seams) -> Iterator[tuple[Any, Any]]:
        chosen = selectors.labels(self.selector)
        for pod in seams.store.list("pods", self.namespace):
            metadata = pod["metadata"]
            node = seams.nodes.get(pod["spec"].get("nodeName", ""))
            if node is None or (self.pod and metadata["name"] != self.pod) or not chosen(metadata.get("labels") or {}):
                continue
            for record in node.runtime.record(metadata["uid"]).containers:
                if record.state == RUNNING and self.container in ("", record.name):
                    yield node.runtime.live[record.id].process, node.runtime


class ContainerKill(OnContainers):
    """Containers get a signal from nowhere, KILL as a rule."""

    kind = "container-kill"
    symptom = (
        "They end with 128 plus the signal's number and are started again, after a back-off from the second time on."
    )
    once = True
    signal: Literal["KILL", "TERM", "INT", "QUIT", "HUP"] = Field(default="KILL", description="Without SIG.")

    def start(self, seams: Seams) -> Heal:
        for process, _ in self.running(seams):
            process.signal(self.signal)
        return nothing


class ContainerOom(OnContainers):
    """Containers take memory until the kernel ends them."""

    kind = "container-oom"
    symptom = "They end with 137, OOMKilled, and are started again."
    once = True

    def start(self, seams: Seams) -> Heal:
        for process, _ in self.running(seams):
            main = process.main
            seams.wiring.clock.spawn(process.exhaust(main), "fault/oom")
        return nothing


class ContainerExit(OnContainers):
    """The main process of containers ends by itself."""

    kind = "container-exit"
    symptom = "Completed or Error with that exit code; what the pod's restartPolicy says follows."
    once = True
    code: int = Field(default=1, ge=0, le=255, description="The exit status.")

    def start(self, seams: Seams) -> Heal:
        for process, _ in self.running(seams):
            process.main.kill(self.code)
        return nothing


class ContainerHang(OnContainers):
    """The processes of containers stand still (SIGSTOP): ports take connections, and nobody answers."""

    kind = "container-hang"
    opposite = "They go on (SIGCONT); what was killed meanwhile is gone."
    symptom = (
        "Requests time out, while the pod is Running; probes fail with `context deadline exceeded`: unready, and "
        "restarted with a liveness probe. Deletion takes the whole grace period."
    )

    def start(self, seams: Seams) -> Heal:
        return together([_hang(seams, process) for process, _ in self.running(seams)])


def _hang(seams: Seams, process: Any) -> Heal:
    return seams.hold(("hang", process), partial(process.stop_all, True), partial(process.stop_all, False))


class ContainerLeak(OnContainers):
    """Containers take ever more memory."""

    kind = "container-leak"
    opposite = "They give back what they took; a container that was killed for it is another one already."
    symptom = "`kubectl top` grows; OOMKilled at the limit, and without one MemoryPressure on the node and evictions."
    mb_per_s: float = Field(default=8, gt=0, description="How fast, in MiB per second.")

    def start(self, seams: Seams) -> Heal:
        step = round(self.mb_per_s * MI)
        return together([_leak(seams, process, step) for process, _ in self.running(seams)])


def _leak(seams: Seams, process: Any, step: int) -> Heal:
    clock, main, taken = seams.wiring.clock, process.main, [0]

    def steps() -> Generator[Any, Any, None]:
        while main.exit_status is None:
            yield clock.sleep(S, periodic=True)
            taken[0] += step
            process.grow(main, step)

    leaking = clock.spawn(steps(), "fault/leak")

    def heal() -> None:
        leaking.kill()
        if main.exit_status is None:
            process.grow(main, -taken[0])

    return heal


class RegistryDown(Fault):
    """Registries do not answer."""

    kind = "registry-down"
    opposite = "Registries answer; kubelets pull after their back-off."
    subject = "registry"
    symptom = "Images that a node lacks are not pulled: ErrImagePull, then ImagePullBackOff; others start."
    registry: str = Field(default="", description="The registry's host, as docker.io; empty for all.")
    image: str = Field(default="", description="A part of the image's name; empty for all.")

    def start(self, seams: Seams) -> Heal:
        def answer(reference: str) -> str:
            host, _, path = reference.partition("/")
            if self.registry not in ("", host) or self.image not in reference:
                return ""
            repository, _, tag = path.rpartition(":")
            manifest = f"https://{host}/v2/{repository}/manifests/{tag}"
            return f'{_failed(reference)}: failed to do request: Head "{manifest}": dial tcp: i/o timeout'

        return seams.refuse_images(answer)


class ImageMissing(Fault):
    """Registries do not have an image any more."""

    kind = "image-missing"
    opposite = "The image is there again."
    subject = "image"
    symptom = "ErrImagePull with `not found`, then ImagePullBackOff."
    image: str = Field(min_length=1, description="A part of the image's name.")

    def start(self, seams: Seams) -> Heal:
        def answer(reference: str) -> str:
            return f"{_failed(reference)}: {reference}: not found" if self.image in reference else ""

        return seams.refuse_images(answer)


def _failed(reference: str) -> str:
    return f'failed to pull and unpack image "{reference}": failed to resolve reference "{reference}"'


class SlowPull(OnNodes):
    """Machines pull images slowly."""

    kind = "slow-pull"
    opposite = "Pulls are as fast as before."
    symptom = "Pods with an image that is not there yet stay in ContainerCreating for longer."
    bytes_per_s: int = Field(default=500_000, ge=1, description="How fast, in bytes per second.")

    def start(self, seams: Seams) -> Heal:
        return together([self._slow(seams, name) for name in seams.node_names(self.node, self.selector)])

    def _slow(self, seams: Seams, name: str) -> Heal:
        images = seams.nodes[name].runtime.images
        normal = images.bytes_per_s

        def begin() -> None:
            images.bytes_per_s = self.bytes_per_s

        def end() -> None:
            images.bytes_per_s = normal

        return seams.hold(("pull", name), begin, end)


CONTAINERS = (
    ContainerKill,
    ContainerExit,
    ContainerHang,
    ContainerLeak,
    ContainerOom,
    RegistryDown,
    ImageMissing,
    SlowPull,
)
