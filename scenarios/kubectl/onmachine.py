"""kubectl on a cluster's own machines: a program of the node shell, with the kubeconfig that lies there.

What needs time to pass (``wait``, ``--watch``, ``rollout status``, ``exec``, ``logs -f``) sees this moment alone: a
program on a machine cannot let the cluster's time go on while it waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from seatrial.scenarios.kubectl.failures import refused
from seatrial.scenarios.kubectl.inside import SERVER, ClusterSession
from seatrial.scenarios.kubectl.running import run
from seatrial.sim.apiserver.request import Request, Response
from seatrial.sim.cluster import Cluster
from seatrial.sim.workloads.filesystem import Dir
from seatrial.sim.workloads.process import Proc

CONFIGS = ("/root/.kube/config", "/etc/kubernetes/admin.conf")
LOCAL = "http://localhost:8080"
"""Where kubectl looks without a kubeconfig."""


class MachineFiles:
    """The files of the machine, from where the command is typed (session.Files)."""

    def __init__(self, proc: Proc) -> None:
        self._proc = proc

    def read(self, path: str) -> bytes:
        return self._proc.fs.read(path, self._proc.cwd)

    def write(self, path: str, content: bytes) -> None:
        self._proc.fs.write(path, content, self._proc.cwd)

    def children(self, path: str) -> list[str] | None:
        """The names in a directory; None for a file."""
        if not isinstance(self._proc.fs.find(path, self._proc.cwd), Dir):
            return None
        return sorted(self._proc.fs.directory(path, self._proc.cwd))


class MachineSession(ClusterSession):
    """An administrator's commands at this moment of the cluster."""

    def __init__(self, cluster: Cluster, proc: Proc, stdin: str) -> None:
        super().__init__(cluster, MachineFiles(proc), stdin)
        given = proc.env.get("KUBECONFIG", "")
        paths = (given,) if given else CONFIGS
        self._known = any(proc.fs.exists(path, proc.cwd) for path in paths)

    def address(self) -> str:
        return super().address() if self._known else LOCAL

    def request(self, request: Request) -> Response:
        if not self._known:
            raise refused(LOCAL)
        if not self.cluster.endpoint.up:
            raise refused(SERVER)
        request.credentials = self._credentials
        judge = self.cluster.endpoint.judge
        verdict = judge(request) if judge is not None else None
        if verdict is not None and verdict.response is not None:
            return verdict.response
        return self.cluster.server.handle(request)

    def _pass(self, holds: Callable[[], bool], until_us: int) -> bool:
        return holds()


def with_kubectl(cluster: Cluster) -> Cluster:
    """Puts kubectl on the cluster's machines; the cluster."""

    def kubectl(proc: Proc) -> Generator[Any, Any, int]:
        stdin = (yield from proc.read_all()) if "-" in proc.argv else b""
        session = MachineSession(cluster, proc, stdin.decode(errors="replace"))
        code = run(proc.argv[1:], session)
        out, err = session.printed
        proc.out(out)
        proc.err(err)
        return code

    if cluster.shells is not None:
        cluster.shells.site.programs["kubectl"] = kubectl
    return cluster
