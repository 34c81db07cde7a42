"""``kubectl exec``, ``attach`` and the attached part of ``run``.

Source: k8s.io/kubectl/pkg/cmd/{exec,attach,run}.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.chosen_pods import TIMED_OUT, container_for, pod_for
from seatrial.scenarios.kubectl.failures import Failure, error_of
from seatrial.scenarios.kubectl.session import Streams

Object = Mapping[str, Any]
PIECE = 32768


def run(call: Call) -> int:
    return COMMANDS[call.path](call)


def streams(call: Call, wants_input: bool, tty: bool) -> Streams:
    """The session's streams as a process wants them."""
    out, err, stdin = call.session.stdout, call.session.stderr, call.session.stdin

    def to(stream: Any) -> Callable[[bytes], None]:
        def write(content: bytes) -> None:
            stream.write(content.decode(errors="replace"))
            stream.flush()

        return write

    return Streams(to(out), to(err), (lambda: _read(stdin)) if wants_input else None, tty)


def _read(stdin: Any) -> bytes:
    """The next piece of input: what a terminal or pipe has, or everything there is."""
    buffer = getattr(stdin, "buffer", None)
    if buffer is not None:
        return bytes(buffer.read1(PIECE))
    return str(stdin.read(PIECE)).encode()


def ended(status: Object) -> int:
    """What a process's outcome means for us: its exit code. Raises Failure, ApiError."""
    if status.get("status") == "Success":
        return 0
    for cause in (status.get("details") or {}).get("causes") or ():
        if cause.get("reason") == "ExitCode":
            raise Failure(f"command terminated with exit code {cause['message']}", int(cause["message"]), plain=True)
    if status.get("reason") == "InternalError" or status.get("message"):
        raise Failure(
            f"Internal error occurred: {status['message']}".replace(
                "Internal error occurred: Internal error", "Internal error"
            )
        )
    raise error_of(status)


def exec_(call: Call) -> int:
    flags = call.flags
    if call.dash < 0 and len(call.args) > 1:
        raise Failure("exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead")
    if not call.own_args and not flags["filename"]:
        raise Failure("pod, type/name or --filename must be specified")
    if not call.command_args:
        raise Failure("you must specify at least one command for the container")
    pod = pod_for(call, call.own_args[0])
    phase = (pod.get("status") or {}).get("phase")
    if phase in ("Succeeded", "Failed"):
        raise Failure(f"cannot exec into a container in a completed pod; current phase is {phase}")
    container = container_for(call, pod, flags["quiet"])
    return ended(connect(call, pod, "exec", container, call.command_args))


def connect(call: Call, pod: Object, kind: str, container: str, command: Sequence[str] = ()) -> Object:
    """The Status of a process in a container, its streams carried."""
    flags = call.flags
    metadata = pod["metadata"]
    stdin, tty = bool(flags["stdin"]), bool(flags["tty"])
    if (tty and not stdin) or (tty and not call.session.stdin.isatty()):
        call.err("Unable to use a TTY - input is not a terminal or the right kind of file")
        tty = False
    query = {"container": container, "command": list(command), "stdin": stdin, "stdout": True, "stderr": not tty,
             "tty": tty}  # fmt: skip
    path = call.client.kind("pods").path(metadata["namespace"], metadata["name"], kind)
    request = call.client.request_of("GET", path, query)
    return call.session.connect(request, streams(call, stdin, tty))


def attach(call: Call) -> int:
    if not call.args and not call.flags["filename"]:
        raise call.misused("at least 1 argument is required for attach")
    pod = pod_for(call, call.args[0])
    phase = (pod.get("status") or {}).get("phase")
    if phase in ("Succeeded", "Failed"):
        raise Failure(f"cannot attach a container in a completed pod; current phase is {phase}")
    container = container_for(call, pod, call.flags["quiet"])
    if not call.flags["quiet"]:
        call.err(
            "All commands and output from this session will be recorded in container logs, including credentials and sensitive information passed through the command prompt."
        )
        if call.flags["stdin"]:
            call.err("If you don't see a command prompt, try pressing enter.")
    return ended(connect(call, pod, "attach", container))


def run_attached(call: Call, pod: dict[str, Any]) -> int:
    """``kubectl run -i``: makes the pod, joins it, and with ``--rm`` deletes it."""
    from seatrial.scenarios.kubectl.applying import query

    kind = call.client.kind("pods")
    obj = call.client.send("POST", kind.path(call.namespace), query(call), pod)
    name = obj["metadata"]["name"]
    try:
        started = _started(call, kind.path(call.namespace), name)
        phase = (started.get("status") or {}).get("phase")
        container = started["spec"]["containers"][0]["name"]
        if phase in ("Succeeded", "Failed"):
            request = call.client.request_of("GET", kind.path(call.namespace, name, "log"), {"container": container})
            for piece in call.session.lines(request):
                call.write(piece.decode(errors="replace"))
        else:
            if call.flags["stdin"] and not call.flags["quiet"]:
                call.err(
                    "All commands and output from this session will be recorded in container logs, including credentials and sensitive information passed through the command prompt."
                )
                call.err("If you don't see a command prompt, try pressing enter.")
            connect(call, started, "attach", container)
        return _exit_code(call, kind.path(call.namespace), name)
    finally:
        if call.flags["rm"]:
            call.client.send("DELETE", kind.path(call.namespace, name))
            if not call.flags["quiet"]:
                call.out(f'pod "{name}" deleted from {call.namespace} namespace')


def watched(call: Call, path: str, name: str, holds: Callable[[Object], bool], seconds: float) -> Object:
    selector = {"fieldSelector": f"metadata.name={name}"}
    listed = call.client.get(path, selector)
    items = listed.get("items") or ()
    if items and holds(items[0]):
        return dict(items[0])
    deadline = call.deadline(seconds)
    query = {**selector, "resourceVersion": listed["metadata"]["resourceVersion"]}
    for event in call.client.watch(path, query, deadline):
        if event["type"] in ("ADDED", "MODIFIED") and holds(event["object"]):
            found: Object = event["object"]
            return found
    raise Failure(TIMED_OUT)


def _started(call: Call, path: str, name: str) -> Object:
    def started(pod: Object) -> bool:
        status = pod.get("status") or {}
        states = status.get("containerStatuses") or ()
        return status.get("phase") in ("Succeeded", "Failed") or any(
            "running" in each.get("state", {}) for each in states
        )

    return watched(call, path, name, started, call.flags["pod-running-timeout"] or 60.0)


def _exit_code(call: Call, path: str, name: str) -> int:
    if call.flags["restart"] != "Never" and call.flags["restart"] != "OnFailure":
        call.out(f"Session ended, resume using 'kubectl attach {name} -c {name} -i -t' command when the pod is running")
        return 0

    def done(pod: Object) -> bool:
        return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")

    pod = watched(call, path, name, done, 60.0)
    for each in (pod.get("status") or {}).get("containerStatuses") or ():
        code = ((each.get("state") or {}).get("terminated") or {}).get("exitCode", 0)
        if code:
            raise Failure(f"pod {call.namespace}/{name} terminated (Error)", int(code), plain=True)
    return 0


COMMANDS: Mapping[str, Callable[[Call], int]] = {"exec": exec_, "attach": attach}
