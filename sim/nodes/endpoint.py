"""What a kubelet serves on port 10250: logs, exec, attach, port-forward, statistics.

Source: k8s.io/kubernetes/pkg/kubelet/server. The API server has authenticated and authorised whoever asks; the way
here was checked by ``Kubelets.dial``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from seatrial.sim.apiserver.kubelets import (
    Answer,
    Connection,
    ExecError,
    LogOptions,
    LogStream,
    OnExit,
    OnOutput,
    Session,
)
from seatrial.sim.machinery import errors
from seatrial.sim.nodes import statistics
from seatrial.sim.nodes.cri import RUNNING, Process
from seatrial.sim.nodes.logs import Lines, Words, container_id
from seatrial.sim.nodes.probes import exec_error
from seatrial.sim.nodes.spec import STATUS_FIELDS

if TYPE_CHECKING:
    from seatrial.sim.nodes.kubelet import Kubelet
    from seatrial.sim.nodes.worker import PodWorker


class Attached:
    """A session of the runtime as the API server sees it."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def write_stdin(self, data: bytes) -> None:
        self._session.write_stdin(data)

    def close_stdin(self) -> None:
        self._session.close_stdin()

    def resize(self, width: int, height: int) -> None:
        self._session.resize(width, height)

    def close(self) -> None:
        self._session.kill()


class Server:
    """The kubelet's server (kubelets.Kubelet)."""

    def __init__(self, kubelet: Kubelet) -> None:
        self.kubelet = kubelet

    def _worker(self, namespace: str, pod: str) -> PodWorker:
        for worker in self.kubelet.workers.values():
            metadata = worker.pod["metadata"]
            if metadata["name"] == pod and metadata["namespace"] == namespace:
                return worker
        raise errors.ApiError(404, "NotFound", f'pod "{pod}" not found', {})

    def logs(self, namespace: str, pod: str, container: str, options: LogOptions) -> LogStream:
        """Raises ApiError 400 while there is no log, 404 for an unknown pod."""
        worker = self._worker(namespace, pod)
        statuses = (status for field in STATUS_FIELDS.values() for status in worker.status.get(field) or ())
        status = next((found for found in statuses if found["name"] == container), None)
        found = container_id(pod, status, container, options.previous)
        live = self.kubelet.runtime.live.get(found)
        if live is None or live.log is None:
            # The answer has begun by then, so that clients take it for the log.
            return Words(f"unable to retrieve container logs for containerd://{found}")

        def running() -> bool:
            return found in self.kubelet.runtime.live and self.kubelet.runtime.find(found).state == RUNNING

        return Lines(live.log, options, running)

    def _process(self, namespace: str, pod: str, container: str) -> Process:
        worker = self._worker(namespace, pod)
        if self.kubelet.runtime.silence:
            raise ExecError(self.kubelet.runtime.silence)
        record = self.kubelet.runtime.record(worker.uid).latest(container)
        if record is None:
            raise errors.ApiError(404, "NotFound", f'container not found ("{container}")', {})
        live = self.kubelet.runtime.live.get(record.id)
        if record.state != RUNNING or live is None or live.process is None:
            raise ExecError(
                f"failed to exec in container: failed to load task: no running task found: task {record.id} not found"
            )
        return live.process

    def exec(
        self,
        namespace: str,
        pod: str,
        container: str,
        command: list[str],
        on_output: OnOutput,
        on_exit: OnExit,
        stdin: bool = False,
        tty: bool = False,
    ) -> Session:
        process = self._process(namespace, pod, container)
        try:
            return Attached(process.exec(list(command), on_output, on_exit, stdin, tty))
        except FileNotFoundError as problem:
            text = exec_error(self.kubelet.runtime.new_id(), problem)
            raise ExecError(text) from problem

    def attach(self, namespace: str, pod: str, container: str, on_output: OnOutput, on_exit: OnExit) -> Session:
        return Attached(self._process(namespace, pod, container).attach(on_output, on_exit))

    def port_forward(
        self, namespace: str, pod: str, port: int, on_data: Callable[[bytes], None], on_close: Callable[[], None]
    ) -> Connection:
        """Raises OSError in the dialler's words when nothing listens."""
        worker = self._worker(namespace, pod)
        sandbox = self.kubelet.runtime.sandboxes.get(worker.uid)
        if sandbox is None:
            raise OSError(f"sandbox of pod {pod} is not running")
        connection: Connection = self.kubelet.runtime.workloads.open(sandbox, "127.0.0.1", port, on_data, on_close)
        return connection

    def get(self, path: str, query: Mapping[str, tuple[str, ...]]) -> Answer:
        page = statistics.PAGES.get(path.rstrip("/") or "/")
        if page is None:
            return Answer(404, {"Content-Type": "text/plain; charset=utf-8"}, b"404 page not found\n")
        content_type, body = page(self.kubelet)
        return Answer(200, {"Content-Type": content_type}, body)
