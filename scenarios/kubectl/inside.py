"""A session over a cluster in this process: waiting lets simulated time pass, files are given, nothing is on a disk."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any, TextIO

from seatrial.scenarios.kubectl.commands import Flags
from seatrial.scenarios.kubectl.failures import BROKEN_OFF, Failure, error_of, refused, undiscovered
from seatrial.scenarios.kubectl.session import Files, MemoryFiles, Object, Streams
from seatrial.sim.apiserver.connecting import Connect
from seatrial.sim.apiserver.kubelets import ExecError
from seatrial.sim.apiserver.request import Credentials, Request, Response
from seatrial.sim.cluster import Cluster
from seatrial.sim.machinery import errors

SERVER = "https://192.168.1.10:6443"
ADMINISTRATOR = Credentials("kubernetes-admin", ("system:masters",))
STREAM_MAX_US = 3_600_000_000
"""How long a stream without an end is waited for: somebody at a real terminal would have pressed Ctrl-C."""
ROUND_TRIP_US = 5_000
"""What a request to the API server takes from a user's machine."""


def configuration(namespace: str = "default") -> dict[str, Any]:
    """The kubeconfig of somebody who has one cluster."""
    context: dict[str, Any] = {"cluster": "seatrial", "user": "seatrial"}
    if namespace != "default":
        context["namespace"] = namespace
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "seatrial", "cluster": {"server": SERVER}}],
        "contexts": [{"name": "seatrial", "context": context}],
        "users": [{"name": "seatrial", "user": {}}],
        "current-context": "seatrial",
    }


class ClusterSession:
    """Commands of an administrator of ``cluster``.

    ``files`` holds what ``-f`` finds; ``editor`` stands for the user's editor: given the text, it returns what they
    make of it; ``patience_us`` ends watches and sessions that would go on for ever. A run is deterministic: the same
    commands at the same simulated times give the same history.
    """

    def __init__(
        self,
        cluster: Cluster,
        files: Files | Mapping[str, str | bytes] | None = None,
        stdin: str = "",
        editor: Callable[[str], str] | None = None,
        namespace: str = "default",
        patience_us: int = STREAM_MAX_US,
    ) -> None:
        self.cluster = cluster
        self.files: Files = MemoryFiles(files) if files is None or isinstance(files, Mapping) else files
        self.stdin: TextIO = io.StringIO(stdin)
        self.stdout: TextIO = io.StringIO()
        self.stderr: TextIO = io.StringIO()
        self.config: MutableMapping[str, Any] = configuration(namespace)
        self.environment: Mapping[str, str] = {}
        self.editor = editor
        self.patience_us = patience_us
        self.cache: dict[str, Any] = {}
        self._credentials: Credentials = ADMINISTRATOR
        self._server = SERVER

    def typed(self, stdin: str = "") -> None:
        """Prepares for the next command: fresh streams."""
        self.stdin, self.stdout, self.stderr = io.StringIO(stdin), io.StringIO(), io.StringIO()

    @property
    def printed(self) -> tuple[str, str]:
        """What the last command printed: standard output and standard error."""
        return _text(self.stdout), _text(self.stderr)

    def open(self, flags: Flags) -> None:
        """There is one cluster and its administrator, unless the line says otherwise."""
        self._server = flags.get("server") or SERVER
        self._credentials = ADMINISTRATOR
        if flags.get("token"):
            self._credentials = Credentials(bearer_token=flags["token"])
        elif flags.get("username") or flags.get("kubeconfig") == "/dev/null":
            self._credentials = Credentials()

    def save(self) -> None:
        pass

    def address(self) -> str:
        return self._server

    def request(self, request: Request) -> Response:
        self._reach(request)
        request.credentials = self._credentials
        response = self.cluster.request(request)
        self.cluster.run(ROUND_TRIP_US)
        return response

    def _reach(self, request: Request) -> None:
        """Raises Failure when nobody listens at the server's address."""
        if self._server == SERVER and self.cluster.endpoint.up:
            return
        if request.path in ("/api", "/apis"):
            self.stderr.write(undiscovered(self._server, request.path, "32s", self.now(), 1))
        raise refused(self._server)

    def watch(self, request: Request, until_us: int | None = None) -> Iterator[Object]:
        response = self.request(request)
        if not response.streaming:
            raise error_of(response.body, response.code)
        stream = response.body
        until = self.now() + self.patience_us if until_us is None else until_us
        try:
            while True:
                for frame in stream.read():
                    yield {"type": frame.type, "object": frame.object}
                if stream.closed or not self._step(stream.on_ready, until):
                    return
        finally:
            stream.close()

    def _step(self, on_ready: Callable[[Callable[[], None]], None], until_us: int) -> bool:
        """Lets time pass until something is ready; whether it was before ``until_us``."""
        ready: list[bool] = []
        on_ready(lambda: ready.append(True))
        return self._pass(lambda: bool(ready), until_us)

    def _pass(self, holds: Callable[[], bool], until_us: int) -> bool:
        clock = self.cluster.clock
        while not holds():
            due = clock.next_due
            if due is None or due > until_us:
                self.cluster.run_until(max(until_us, clock.now))
                return holds()
            self.cluster.run_until(max(due, clock.now))
        return True

    def lines(self, request: Request) -> Iterator[bytes]:
        response = self.request(request)
        if response.code >= 400:
            raise error_of(response.body, response.code)
        if not response.streaming:
            yield bytes(response.body)
            return
        stream, until = response.body, self.now() + self.patience_us
        try:
            while True:
                if piece := stream.read():
                    yield piece
                elif stream.ended or not self._step(stream.on_ready, until):
                    return
        finally:
            stream.close()

    def connect(self, request: Request, streams: Streams) -> Object:
        response = self.request(request)
        if response.code != 101:
            raise error_of(response.body, response.code)
        wanted: Connect = response.body
        place = (wanted.namespace, wanted.pod, wanted.container)
        ended: list[int] = []

        def output(stream: str, content: bytes) -> None:
            (streams.stdout if stream == "stdout" or wanted.tty else streams.stderr)(content)

        try:
            if wanted.kind == "attach":
                session = wanted.kubelet.attach(*place, output, ended.append)
            else:
                session = wanted.kubelet.exec(
                    *place, list(wanted.command), output, ended.append, stdin=wanted.stdin, tty=wanted.tty
                )
        except ExecError as problem:
            return errors.internal(f"error executing command in container: {problem}").status()
        if streams.read is not None and wanted.stdin:
            while piece := streams.read():
                session.write_stdin(piece)
            session.close_stdin()
        server = self.cluster.endpoint
        if not self._pass(lambda: bool(ended) or not server.up, self.now() + self.patience_us) or not ended:
            session.close()
            if not server.up:
                raise Failure(BROKEN_OFF)
            return {"status": "Success"}
        return outcome(ended[0])

    def forward(self, request: Request, ports: list[tuple[str, int, int]], ready: Callable[[str], None]) -> None:
        raise Failure("port-forward needs a cluster with a socket: seatrial up")

    def now(self) -> int:
        return self.cluster.now

    def sleep(self, seconds: float) -> None:
        self.cluster.run(int(seconds * 1_000_000))

    def edit(self, text: str, suffix: str) -> str:
        if self.editor is None:
            raise Failure("unable to launch the editor: there is none in this session")
        return self.editor(text)


def outcome(code: int) -> Object:
    """The Status that a process with this exit code leaves (remotecommand.go)."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": f"command terminated with non-zero exit code: exit code {code}",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def _text(stream: TextIO) -> str:
    return stream.getvalue() if isinstance(stream, io.StringIO) else ""
