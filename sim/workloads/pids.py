"""PID namespaces: which processes see each other.

Source: pid_namespaces(7); k8s.io/kubernetes/pkg/kubelet/kuberuntime/util (shareProcessNamespace: one for the pod, whose
first process is the sandbox's; an ephemeral container's target: that container's). Not modelled: hostPID.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any, Final

from seatrial.sim.workloads.process import Proc

if TYPE_CHECKING:
    from seatrial.sim.workloads.container import Container

MAIN_IDS, EXEC_IDS = 7, 6
"""Process ids that runc's threads use up when it starts the first process of a container, and each further one."""
PROCESSES_MAX: Final = 1024
"""What podPidsLimit commonly is. *Not modelled*: that by default the machine's threads alone set an end; who forks
without one is stopped in either case.
"""
PAUSE: Final = ["/pause"]
POD: Final = "/"
"""The name, next to those of containers, of the namespace that a pod's containers share."""


class Namespace:
    """The processes of one or more containers, numbered together."""

    def __init__(self) -> None:
        self.members: list[Container] = []
        self.next_pid = 1
        self._pause: Proc | None = None

    def join(self, container: Container) -> None:
        if container not in self.members:
            self.members.append(container)

    def leave(self, container: Container) -> None:
        if container in self.members:
            self.members.remove(container)

    def begin_with_pause(self, container: Container) -> None:
        """The sandbox's own process is the first, and adopts those whose parents end."""
        if self._pause is None:
            self._pause = Proc(container, 1, None, PAUSE, {}, "/", {})
            self._pause.uid, self._pause.user, self._pause.memory = 65535, "65535", 0
            self.next_pid = 1 + MAIN_IDS

    def processes(self) -> list[Proc]:
        """All, by number."""
        found = [proc for member in self.members for proc in member.processes.values()]
        if self._pause is not None:
            found.append(self._pause)
        return sorted(found, key=lambda proc: proc.pid)

    def admit(self) -> None:
        """Raises OSError(EAGAIN) where one more process would be too many."""
        if sum(len(member.processes) for member in self.members) >= PROCESSES_MAX:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), "can't fork")

    def process(self, pid: int) -> Proc | None:
        """The one with a number; the sandbox's takes no signal, and is not found."""
        return next((member.processes[pid] for member in self.members if pid in member.processes), None)


def namespace_of(known: dict[str, Namespace], config: Any) -> Namespace:
    """The namespace that a container starts in; ``known`` are its pod's, by the container that made them."""
    name = POD if config.sandbox.share_processes else config.target
    if not name:
        found = known[config.name] = Namespace()
        return found
    return known.setdefault(name, Namespace())
