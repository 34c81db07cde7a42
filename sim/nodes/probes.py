"""Startup, liveness and readiness probes: one process per probe, as upstream's probe workers. ``podprobes`` has what
they come to.

A probe over the network that passes, and will until something happens to its pod, rests: its requests are accounted for
when somebody looks (``cri.Resting``), and it goes on at its rhythm as soon as the pod is stirred. Source:
k8s.io/kubernetes/pkg/kubelet/prober/{worker,prober}.go and k8s.io/kubernetes/pkg/probe. Not modelled: the random wait
before first probes after a kubelet's restart.
"""

from __future__ import annotations

import shlex
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

from seatrial.sim.config import MS, S
from seatrial.sim.kernel.clock import TIMEOUT, Clock, Process, Signal
from seatrial.sim.nodes import metrics
from seatrial.sim.nodes.consumption import is_limited
from seatrial.sim.nodes.cri import RUNNING, ContainerRecord, Resting
from seatrial.sim.nodes.spec import NOT_FOUND
from seatrial.sim.nodes.status import TERMINAL

if TYPE_CHECKING:
    from seatrial.sim.nodes.worker import PodWorker

Object = Mapping[str, Any]

FIELDS = {"startup": "startupProbe", "liveness": "livenessProbe", "readiness": "readinessProbe"}
TITLES = {"startup": "Startup", "liveness": "Liveness", "readiness": "Readiness"}
INITIAL = {"startup": "unknown", "liveness": "success", "readiness": "failure"}
NONE = ""
"""No result, of a container that ran before its kubelet started."""
RESTART_GRACE_US = 10 * S
"""How long before its kubelet a container must have started to be one of those (kubeletRestartGracePeriod)."""
RETRIES = 3
START_US = 60 * S
"""Age up to which a container that is not ready is taken for one that will be."""
OUTPUT_MAX = 10 * 1024
EXEC_US = 40 * MS
REQUEST_US = 2 * MS
DEADLINE_EXCEEDED = "context deadline exceeded"


class Quiet:
    """A probe's process waits until its pod is stirred."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._process: Process | None = None
        self._stirred = False
        self.resting: Resting | None = None

    def stir(self) -> None:
        """The process goes on at this instant, after what is already due."""
        process, self._process, self._stirred = self._process, None, True
        if process is not None:
            self._clock.at(self._clock.now, process.wake)

    def arm(self, process: Process) -> None:
        self._process = process
        if self._stirred:
            self.stir()

    def disarm(self) -> None:
        self._process = None
        if self.resting is not None:
            self.resting.leave()


def outlived(worker: PodWorker, record: ContainerRecord) -> bool:
    """Whether a container ran before its kubelet started, and was known to the one before it."""
    return record.started_us < worker.kubelet.begun_us - RESTART_GRACE_US


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
        self._quiet: Quiet | None = None
        self._counted = 0
        """How many of the requests that were not made have been counted."""
        self._asked_us = 0
        self._asked: ContainerRecord | None = None
        """The container that was asked last."""
        self._begun_us: int | None = None
        """When the request was sent that is on its way since before the pod was stirred."""
        name = f"probe/{worker.kubelet.node_name}/{container['name']}/{kind}"
        self.process: Process | None = worker.kubelet.spawn(self._loop(), name)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process = None
            self.settle()
            self._quiet = None

    def stir(self) -> None:
        """What the probe looks at may be different from now on."""
        if self._quiet is not None and self._quiet.resting is not None:
            self._quiet.resting.stir()
        else:
            self._stirred()

    def _stirred(self) -> None:
        self.worker.probes.go_on()

    def go_on(self) -> None:
        """A rest is over; a wait begins anew."""
        if self._quiet is not None:
            self.settle()
            self._quiet.stir()
        else:
            self.trigger.fire()

    @property
    def asked_us(self) -> tuple[int, int]:
        """When it asked last; of those who asked at one instant, who had waited longer comes first."""
        resting = self._quiet.resting if self._quiet is not None else None
        period = int(self.spec.get("periodSeconds") or 10) * S
        return (self._asked_us if resting is None else resting.next_us - period), -period

    def settle(self) -> None:
        """Counts what would have been asked by now."""
        resting = self._quiet.resting if self._quiet is not None else None
        if resting is not None:
            resting.settle()
            times, self._counted = resting.asked - self._counted, resting.asked
            if times:
                self.run += times
                kubelet, name = self.worker.kubelet, self.container["name"]
                metrics.probed(kubelet.meters, self.worker, name, self.kind, "success", times)

    def poke(self) -> None:
        """Probes at once, and from then on at its period: the container is started and not known to be ready."""
        self.triggered = True
        self.trigger.fire()

    def _loop(self) -> Generator[Any, Any, None]:
        clock = self.worker.kubelet.clock
        period = int(self.spec.get("periodSeconds") or 10) * S
        due = clock.now
        while True:
            if self._begun_us is None and self.triggered:
                self.triggered = False
                due = clock.now + period
            if not (yield from self._once()):
                break
            if self.triggered:
                continue
            while due <= clock.now:
                due += period
            quiet = self._rest(due, period)
            if quiet is not None:
                yield quiet
                due = self._go_on(quiet, due, period)
                if self._begun_us is not None or self.triggered:
                    continue
            while clock.now < due and not self.triggered:
                yield self.trigger.wait(due - clock.now, periodic=self._steady())
        self.process = None

    def _rest(self, due: int, period: int) -> Quiet | None:
        """To be yielded instead of the probes from ``due`` on; None when they have to be made."""
        kubelet, spec = self.worker.kubelet, self.spec
        record = self.worker.record.latest(self.container["name"])
        well = self.result == self.last == "success" and record is not None and record.id == self.container_id
        if not well or record is None or record.state != RUNNING or not kubelet.is_lazy:
            return None
        if self.kind == "startup":
            self._quiet = Quiet(kubelet.clock)  # it has nothing to do any more
            return self._quiet
        sandbox = kubelet.runtime.sandboxes.get(self.worker.uid)
        action = spec.get("httpGet") or spec.get("tcpSocket")
        if sandbox is None or action is None or is_limited(self.worker.pod):
            return None
        asked = (path_of(action), headers_of(action)) if "httpGet" in spec else None
        quiet, host, rhythm = Quiet(kubelet.clock), action.get("host") or sandbox.ip, (due + REQUEST_US, period)
        port = port_number(self.container, action["port"])
        quiet.resting = kubelet.runtime.workloads.rest(sandbox, host, port, asked, rhythm, self._stirred)
        if quiet.resting is None:
            return None
        self._quiet, self._counted = quiet, 0
        return quiet

    def _go_on(self, quiet: Quiet, due: int, period: int) -> int:
        """When the next probe is due after a rest that began before the one of ``due``; one that is on its way goes
        on."""
        now, resting = self.worker.kubelet.clock.now, quiet.resting
        if resting is not None:
            resting.leave()
        self.settle()
        self._quiet = None
        if resting is None:
            return due if due > now else due + ((now - due) // period + 1) * period
        due = resting.next_us - REQUEST_US
        if due <= now:
            self._begun_us = due
        return due

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
        record = self._asked
        if self._begun_us is None or record is None:
            looked = self._look()
            if looked is not None:
                return looked
            record = self._asked = worker.record.latest(name)
            assert record is not None
        result = yield from self._attempts(record)
        if result is None or worker.record.latest(name) is not record:
            return True
        self._count(result)
        return True

    def _look(self) -> bool | None:
        """Whether to go on without asking; None: the container is to be asked."""
        worker, name = self.worker, self.container["name"]
        if worker.status.get("phase") in TERMINAL:
            return False
        record = worker.record.latest(name)
        if record is None:
            return True
        if record.id != self.container_id:
            self.container_id = record.id
            self.on_hold = False
            self.result = NONE if outlived(self.worker, record) else INITIAL[self.kind]
            self.run = 0
            if self.kind != "liveness" and self.result != NONE:
                # A container's first result is news whatever it is, and leads to a sync.
                self.worker.probe_changed(self.kind)
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
        return None if self._due(record) else True

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
        clock, begun, self._begun_us = self.worker.kubelet.clock, self._begun_us, None
        self._asked_us = (clock.now if begun is None else begun) + REQUEST_US
        yield clock.sleep(self._asked_us - clock.now, periodic=self._steady())
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
        path, headers = path_of(action), headers_of(action)
        scheme = (action.get("scheme") or "HTTP").lower()
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


def path_of(action: Object) -> str:
    """The path of an HTTP probe."""
    path: str = action.get("path") or "/"
    return path if path.startswith("/") else f"/{path}"


def headers_of(action: Object) -> dict[str, str]:
    """The headers of an HTTP probe."""
    given = {header["name"]: header["value"] for header in action.get("httpHeaders") or ()}
    return {"User-Agent": "kube-probe/1.37", "Accept": "*/*", **given}


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
