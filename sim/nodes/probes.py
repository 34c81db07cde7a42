"""Startup, liveness and readiness probes: one process per probe, as upstream's probe workers.

Source: k8s.io/kubernetes/pkg/kubelet/prober/{worker,prober,prober_manager}.go and k8s.io/kubernetes/pkg/probe. Not
modelled: the random wait before first probes after a kubelet's restart.
"""

from __future__ import annotations

import shlex
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

from seatrial.sim.config import MS, S
from seatrial.sim.kernel.clock import TIMEOUT, Process, Signal
from seatrial.sim.nodes import metrics
from seatrial.sim.nodes.cri import RUNNING, ContainerRecord
from seatrial.sim.nodes.spec import NOT_FOUND, is_sidecar
from seatrial.sim.nodes.status import TERMINAL, Probed

if TYPE_CHECKING:
    from seatrial.sim.nodes.worker import PodWorker

Object = Mapping[str, Any]

FIELDS = {"startup": "startupProbe", "liveness": "livenessProbe", "readiness": "readinessProbe"}
TITLES = {"startup": "Startup", "liveness": "Liveness", "readiness": "Readiness"}
INITIAL = {"startup": "unknown", "liveness": "success", "readiness": "failure"}
RETRIES = 3
START_US = 60 * S
"""Age up to which a container that is not ready is taken for one that will be."""
OUTPUT_MAX = 10 * 1024
EXEC_US = 40 * MS
REQUEST_US = 2 * MS
DEADLINE_EXCEEDED = "context deadline exceeded"


class Errored(Exception):
    """A probe that could not be carried out: its result is unknown."""


class Probe:
    """One probe of one container (prober.worker)."""

    def __init__(self, worker: PodWorker, container: Object, kind: str) -> None:
        self.worker = worker
        self.container = container
        self.kind = kind
        self.spec: Object = container[FIELDS[kind]]
        self.container_id = ""
        self.result = INITIAL[kind]
        self.on_hold = False
        self.run = 0
        self.last = ""
        self.trigger = Signal(worker.kubelet.clock)
        self.triggered = False
        name = f"probe/{worker.kubelet.node_name}/{container['name']}/{kind}"
        self.process: Process | None = worker.kubelet.spawn(self._loop(), name)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process = None

    def poke(self) -> None:
        """Probes at once: the container is started and not known to be ready."""
        self.triggered = True
        self.trigger.fire()

    def _loop(self) -> Generator[Any, Any, None]:
        clock = self.worker.kubelet.clock
        period = int(self.spec.get("periodSeconds") or 10) * S
        due = clock.now
        while True:
            self.triggered = False
            if not (yield from self._once()):
                break
            if self.triggered:
                continue
            while due <= clock.now:
                due += period
            yield self.trigger.wait(due - clock.now, periodic=self._steady())
        self.process = None

    def _steady(self) -> bool:
        """Whether the next probe is mere rhythm: the container is old, or what it waits for has come."""
        record = self.worker.record.latest(self.container["name"])
        if self.kind == "liveness":
            return True
        running = record is not None and record.state == RUNNING
        begun = record.started_us if record is not None and running else self.worker.started_us
        if self.worker.kubelet.clock.now - begun > START_US:
            return True
        return record is not None and self.container_id == record.id and self.result == "success"

    def _once(self) -> Generator[Any, Any, bool]:
        """One look at the container; whether to go on (doProbe)."""
        worker, name = self.worker, self.container["name"]
        if worker.status.get("phase") in TERMINAL:
            return False
        record = worker.record.latest(name)
        if record is None:
            return True
        if record.id != self.container_id:
            self.container_id = record.id
            self.on_hold = False
            self.result = INITIAL[self.kind]
            self.run = 0
        if self.on_hold:
            return True
        if record.state != RUNNING:
            if self.result != "failure":
                self._settle("failure")
            policy = self.container.get("restartPolicy") or worker.pod["spec"].get("restartPolicy")
            return bool(policy != "Never")
        if worker.pod["metadata"].get("deletionTimestamp") and self.kind != "readiness":
            self.result = "success"
            return False
        if not self._due(record):
            return True
        result = yield from self._attempts(record)
        if result is None or worker.record.latest(name) is not record:
            return True
        self._count(result)
        return True

    def _due(self, record: ContainerRecord) -> bool:
        clock = self.worker.kubelet.clock
        begun = record.started_us // S * S
        if clock.now - begun < int(self.spec.get("initialDelaySeconds") or 0) * S:
            return False
        return self.worker.started(self.container, record) == (self.kind != "startup")

    def _count(self, result: str) -> None:
        metrics.probed(self.worker.kubelet.meters, self.worker, self.container["name"], self.kind, result)
        self.run = self.run + 1 if result == self.last else 1
        self.last = result
        threshold = "failureThreshold" if result == "failure" else "successThreshold"
        if self.run < int(self.spec.get(threshold) or (3 if result == "failure" else 1)):
            return
        if result != self.result:
            self._settle(result)
        if result == "failure" and self.kind != "readiness":
            self.on_hold = True
            self.run = 0

    def _settle(self, result: str) -> None:
        before, self.result = self.result, result
        if self.kind == "liveness" and result != "failure":
            return
        if self.kind == "startup" and before == result:
            return
        self.worker.probe_changed(self.kind)

    def _attempts(self, record: ContainerRecord) -> Generator[Any, Any, str | None]:
        title = TITLES[self.kind]
        error: Errored | None = None
        for _ in range(RETRIES):
            try:
                passed, output = yield from self._probe(record)
            except Errored as problem:
                error = problem
                continue
            if passed:
                return "success"
            self.worker.event(self.container, "Warning", "Unhealthy", f"{title} probe failed: {output}")
            return "failure"
        text = f"{title} probe errored and resulted in unknown state: {error}"
        self.worker.event(self.container, "Warning", "Unhealthy", text)
        return None

    def _probe(self, record: ContainerRecord) -> Generator[Any, Any, tuple[bool, str]]:
        spec = self.spec
        if "exec" in spec:
            timeout = int(spec.get("timeoutSeconds") or 1) * S
            return (yield from self._exec(record, list(spec["exec"].get("command") or ()), timeout))
        yield self.worker.kubelet.clock.sleep(REQUEST_US, periodic=self._steady())
        sandbox = self.worker.kubelet.runtime.sandboxes.get(self.worker.uid)
        if sandbox is None:
            raise Errored("pod sandbox is gone")
        workloads = self.worker.kubelet.runtime.workloads
        try:
            if "httpGet" in spec:
                return self._http(workloads, sandbox, spec["httpGet"])
            if "grpc" in spec:
                return self._grpc(workloads, sandbox, spec["grpc"])
            action = spec["tcpSocket"]
            workloads.connect(sandbox, action.get("host") or sandbox.ip, port_number(self.container, action["port"]))
        except OSError as problem:
            return False, str(problem)
        return True, ""

    def _http(self, workloads: Any, sandbox: Any, action: Object) -> tuple[bool, str]:
        host = action.get("host") or sandbox.ip
        port = port_number(self.container, action["port"])
        path = action.get("path") or "/"
        path = path if path.startswith("/") else f"/{path}"
        scheme = (action.get("scheme") or "HTTP").lower()
        headers = {"User-Agent": "kube-probe/1.37", "Accept": "*/*"}
        headers.update({header["name"]: header["value"] for header in action.get("httpHeaders") or ()})
        try:
            timeout = int(self.spec.get("timeoutSeconds") or 1) * S
            code, _ = workloads.http_get(sandbox, host, port, path, headers, scheme == "https", timeout)
        except OSError as problem:
            return False, f'Get "{scheme}://{host}:{port}{path}": {problem}'
        if 200 <= code < 400:
            return True, ""
        return False, f"HTTP probe failed with statuscode: {code}"

    def _grpc(self, workloads: Any, sandbox: Any, action: Object) -> tuple[bool, str]:
        host, port = sandbox.ip, int(action["port"])
        timeout = f"{int(self.spec.get('timeoutSeconds') or 1)}s"
        try:
            status = workloads.health(sandbox, host, port, action.get("service") or "", action.get("mode") == "TLS")
        except LookupError as problem:
            return False, f"error: health rpc probe failed: rpc error: code = NotFound desc = {problem.args[0]}"
        except OSError:
            # The dialler tries again until the time is up, whatever the reason.
            return False, f'timeout: failed to connect service "{host}:{port}" within {timeout}: {DEADLINE_EXCEEDED}'
        return status == "SERVING", "" if status == "SERVING" else f'service unhealthy (responded with "{status}")'

    def _exec(
        self, record: ContainerRecord, command: list[str], timeout_us: int
    ) -> Generator[Any, Any, tuple[bool, str]]:
        kubelet = self.worker.kubelet
        live = kubelet.runtime.live.get(record.id)
        now = kubelet.runtime.record(self.worker.uid).latest(record.name)
        yield kubelet.clock.sleep(EXEC_US, periodic=self._steady())
        if live is None or live.process is None or now is None or now.state != RUNNING:
            raise Errored(
                "rpc error: code = NotFound desc = failed to exec in container: failed to load task: no running task "
                f"found: task {record.id} not found: not found"
            )
        parts: list[bytes] = []
        ended: list[int] = []
        done = Signal(kubelet.clock)

        def on_exit(code: int) -> None:
            ended.append(code)
            done.fire()

        try:
            session = live.process.exec(command, lambda _, data: parts.append(data), on_exit)
        except FileNotFoundError as problem:
            if not live.config.image.known:
                return True, ""
            raise Errored(exec_error(kubelet.runtime.new_id(), problem)) from problem
        if not ended and (yield done.wait(timeout_us, periodic=self._steady())) is TIMEOUT and not ended:
            session.kill()
            return False, f'command timed out: "{shlex.join(command)}" timed out after {timeout_us // S}s'
        output = b"".join(parts)[:OUTPUT_MAX].decode(errors="replace")
        if ended[0] == NOT_FOUND and not live.config.image.known:
            return True, output
        return ended[0] == 0, output


def exec_error(exec_id: str, problem: FileNotFoundError) -> str:
    """What the runtime says of a command that is not there."""
    return (
        f'failed to exec in container: failed to start exec "{exec_id}": OCI runtime exec failed: exec failed: unable '
        f'to start container process: exec: "{problem.args[0]}": executable file not found in $PATH: unknown'
    )


def port_number(container: Object, port: Any) -> int:
    """A port by number or by the name that the container gives it. Raises Errored."""
    if isinstance(port, int):
        return port
    for given in container.get("ports") or ():
        if given.get("name") == port:
            return int(given["containerPort"])
    if str(port).isdigit():
        return int(port)
    raise Errored(f"couldn't find port: {port}")


class Probes:
    """The probes of one pod (prober.Manager's part for it)."""

    __slots__ = ("by_container", "worker")

    def __init__(self, worker: PodWorker) -> None:
        self.worker = worker
        self.by_container: dict[str, dict[str, Probe]] = {}

    def add(self) -> None:
        """Starts a process per probe of the spec, once."""
        spec = self.worker.pod["spec"]
        sidecars = (c for c in spec.get("initContainers") or () if is_sidecar(c))
        for container in (*spec["containers"], *sidecars):
            name = container["name"]
            if name in self.by_container:
                continue
            kinds = [kind for kind, field in FIELDS.items() if container.get(field)]
            self.by_container[name] = {kind: Probe(self.worker, container, kind) for kind in kinds}

    def stop(self, kinds: tuple[str, ...] = ("startup", "liveness", "readiness")) -> None:
        for probes in self.by_container.values():
            for kind in kinds:
                probe = probes.pop(kind, None)
                if probe is not None:
                    probe.stop()

    def started(self, name: str, record: ContainerRecord) -> bool:
        """Whether a running container is past its startup probe."""
        probe = self.by_container.get(name, {}).get("startup")
        return probe is None or (probe.container_id == record.id and probe.result == "success")

    def probed(self, poke: bool) -> dict[str, Probed]:
        """What the probes say of the running containers; ``poke``: those not known to be ready are probed at once."""
        found: dict[str, Probed] = {}
        for name, probes in self.by_container.items():
            if not probes:
                continue
            record = self.worker.record.latest(name)
            if record is None or record.state != RUNNING:
                continue
            started = self.started(name, record)
            readiness = probes.get("readiness")
            ready = started
            if started and readiness is not None:
                ready = readiness.container_id == record.id and readiness.result == "success"
                if poke and not ready:
                    readiness.poke()
            found[name] = Probed(started, ready)
        return found

    def failed(self) -> dict[str, str]:
        """Running containers that a probe wants restarted → the probe."""
        found: dict[str, str] = {}
        for name, probes in self.by_container.items():
            record = self.worker.record.latest(name)
            for kind in ("liveness", "startup"):
                probe = probes.get(kind)
                if probe is None or record is None or record.state != RUNNING:
                    continue
                if probe.container_id == record.id and probe.result == "failure":
                    found[name] = kind
                    break
        return found
