"""One container without a cluster around it: what it prints, how it ends."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

from seatrial.sim.config import EPOCH_US, S
from seatrial.sim.kernel.clock import Clock
from seatrial.sim.workloads.container import Container
from seatrial.sim.workloads.world import Directory, World


class Result(NamedTuple):
    """What a script did."""

    output: str
    status: int | None
    seconds: float
    """When it ended."""
    oom: bool


class Bench:
    """A clock, a world and one pod's sandbox to start containers in."""

    def __init__(self) -> None:
        self.clock = Clock(EPOCH_US)
        self.world = World(SimpleNamespace(clock=self.clock, streams=SimpleNamespace(seed=0)))  # type: ignore[arg-type]
        self.sandbox = SimpleNamespace(
            name="p",
            namespace="default",
            uid="u",
            host="w1",
            ip="172.16.0.2",
            host_network=False,
            hostname="p",
            domain="",
            dns={"servers": ["10.96.0.10"], "searches": ["default.svc.cluster.local"], "options": ["ndots:5"]},
            hosts="127.0.0.1\tlocalhost\n172.16.0.2\tp\n",
            annotations={},
            share_processes=False,
            shared=None,
            sysctls={},
        )
        self.ends: list[tuple[Any, float]] = []

    def start(
        self, argv: list[str] | None = None, image: str = "docker.io/library/busybox:1", **more: Any
    ) -> Container:
        """Starts a container; ``more`` are fields of its configuration."""
        config = SimpleNamespace(
            name="c",
            cpu_limit=None,
            cpu_shares=2,
            machine_cpu=4_000_000_000,
            image=self.world.find_image(image),
            argv=argv,
            args=None,
            env={},
            working_dir="",
            mounts=[],
            sandbox=self.sandbox,
            user="",
            stdin=False,
            stdin_once=False,
            tty=False,
            memory_limit=None,
            read_only_root=False,
            termination_message_path="/dev/termination-log",
            ports=(),
            ends=False,
            target="",
            privileged=False,
            no_new_privs=False,
            groups=(),
            capabilities=0xA80425FB,
        )
        for name, value in more.items():
            setattr(config, name, value)
        return self.world.start(config, lambda end: self.ends.append((end, (self.clock.now - EPOCH_US) / S)))

    def run(self, seconds: float) -> None:
        self.clock.run_until(self.clock.now + round(seconds * S))

    def volume(self) -> Directory:
        return self.world.volume("")


def output_of(container: Container) -> str:
    return b"".join(text for _, _, text in container.log.lines).decode()


def script(text: str, seconds: float = 60, **more: Any) -> Result:
    """Runs ``sh -c text`` for so long."""
    bench = Bench()
    container = bench.start(["sh", "-c", text], **more)
    bench.run(seconds)
    if not bench.ends:
        return Result(output_of(container), None, seconds, False)
    end, when = bench.ends[0]
    return Result(output_of(container), end.code, when, end.oom)
