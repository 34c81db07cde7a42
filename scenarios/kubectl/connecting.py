"""``kubectl logs``, ``exec``, ``attach``, ``cp``, ``port-forward`` and the attached part of ``run``.

Source: k8s.io/kubectl/pkg/cmd/{logs,exec,attach,cp,portforward}, k8s.io/kubectl/pkg/polymorphichelpers.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from seatrial.scenarios.kubectl.builder import Target, fetched, wanted
from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.failures import Failure, error_of
from seatrial.scenarios.kubectl.session import Streams
from seatrial.sim.machinery import selectors
from seatrial.sim.machinery.errors import ApiError

Object = Mapping[str, Any]
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
PIECE = 32768


def run(call: Call) -> int:
    return COMMANDS[call.path](call)


# which pod, which container


def pod_for(call: Call, word: str) -> Object:
    """The pod that ``pod``, ``pod/name`` or ``deploy/name`` means, the best of several. Raises Failure, ApiError."""
    name = word if "/" in word else f"pods/{word}"
    target = next(iter(fetched(call, wanted(call, [name]))))
    if target.kind.resource == "pods":
        return dict(target.object)
    found = pods_of(call, target)
    if not found:
        raise Failure(TIMED_OUT)
    return found[0]


TIMED_OUT = "timed out waiting for the condition"


def pods_of(call: Call, target: Target) -> list[Object]:
    """The pods of a workload or service, those first that are most worth looking at (ActivePods)."""
    spec = target.object.get("spec") or {}
    chosen = spec.get("selector")
    if target.kind.kind in ("Service", "ReplicationController"):
        chosen = {"matchLabels": chosen or {}}
    if not chosen:
        raise Failure(f'cannot attach to {target.kind.resource} "{target.name}": no selector')
    query = {"labelSelector": selectors.text_of(chosen)}
    found = call.client.items(call.client.kind("pods"), target.namespace, query)
    return sorted(found, key=_worth, reverse=True)


def _worth(pod: Object) -> tuple[Any, ...]:
    status = pod.get("status") or {}
    phases = {"Pending": 0, "Unknown": 1, "Running": 2}
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions") or ())
    return bool(pod["spec"].get("nodeName")), phases.get(status.get("phase", ""), 2), ready


def containers_of(pod: Object) -> dict[str, list[str]]:
    spec = pod["spec"]
    return {
        key: [each["name"] for each in spec.get(key) or ()]
        for key in ("containers", "initContainers", "ephemeralContainers")
    }


def container_for(call: Call, pod: Object, quiet: bool = False) -> str:
    """The container that is meant; tells which when there are several. Raises Failure for one that is not there."""
    names = containers_of(pod)
    every = [name for group in names.values() for name in group]
    asked = call.flags.get("container") or ""
    if asked:
        if asked not in every:
            listed = ", ".join(every)
            raise Failure(f"container {asked} is not valid for pod {pod['metadata']['name']} out of: {listed}")
        return str(asked)
    preferred = (pod["metadata"].get("annotations") or {}).get(DEFAULT_CONTAINER)
    if preferred in every:
        return str(preferred)
    first = names["containers"][0]
    if len(every) > 1 and not quiet:
        listed = ", ".join([*names["containers"], *(f"{name} (ephem)" for name in names["ephemeralContainers"]),
                            *(f"{name} (init)" for name in names["initContainers"])])  # fmt: skip
        call.err(f'Defaulted container "{first}" out of: {listed}')
    return first


# logs


def logs(call: Call) -> int:
    flags, args = call.flags, call.args
    if not args and not flags["selector"]:
        raise call.misused(
            "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for "
            "the logs command"
        )
    if args and flags["selector"]:
        raise Failure("only a selector (-l) or a POD name is allowed")
    if len(args) > 2:
        raise call.misused(
            "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for the logs command"
        )
    if len(args) == 2:
        if flags["container"]:
            raise call.misused("only one of -c or an inline [CONTAINER] arg is allowed")
        flags.values["container"] = args[1]
    if flags["since"] and flags["since-time"]:
        raise Failure("at most one of `sinceTime` or `sinceSeconds` may be specified")
    if flags["tail"] < -1:
        raise Failure("--tail must be greater than or equal to -1")
    sources = list(_log_sources(call))
    if flags["follow"] and len(sources) > 1:
        if len(sources) > flags["max-log-requests"]:
            raise Failure(
                f"you are attempting to follow {len(sources)} log streams, but maximum allowed concurrency is "
                f"{flags['max-log-requests']}, use --max-log-requests to increase the limit"
            )
    prefixed = flags["prefix"] or flags["all-pods"]
    for pod, container in sources:
        prefix = f"[pod/{pod['metadata']['name']}/{container}] " if prefixed else ""
        _print_log(call, pod, container, prefix, len(sources) > 1)
    return 0


def _log_pods(call: Call) -> list[Object]:
    flags = call.flags
    kind = call.client.kind("pods")
    if flags["selector"]:
        found = call.client.items(kind, call.namespace, {"labelSelector": flags["selector"]})
        if not found:
            call.err(f"No resources found in {call.namespace} namespace.")
        return list(found)
    word = call.args[0]
    if "/" not in word:
        try:
            return [call.client.get(kind.path(call.namespace, word))]
        except ApiError as problem:
            if problem.reason == "NotFound":
                text = f'error from server (NotFound): pods "{word}" not found in namespace "{call.namespace}"'
                raise Failure(text) from None
            raise
    target = next(iter(fetched(call, wanted(call, [word]))))
    if target.kind.resource == "pods":
        return [target.object]
    pods = pods_of(call, target)
    if not pods:
        raise Failure(TIMED_OUT)
    if flags["all-pods"]:
        return pods
    if len(pods) > 1:
        call.err(f"Found {len(pods)} pods, using pod/{pods[0]['metadata']['name']}")
    return pods[:1]


def _log_sources(call: Call) -> Iterator[tuple[Object, str]]:
    flags = call.flags
    for pod in _log_pods(call):
        names = containers_of(pod)
        if flags["all-containers"]:
            for name in (*names["initContainers"], *names["containers"], *names["ephemeralContainers"]):
                yield pod, name
            continue
        if flags["container"] and flags["container"] not in [name for group in names.values() for name in group]:
            raise Failure(f"container {flags['container']} is not valid for pod {pod['metadata']['name']}")
        yield pod, container_for(call, pod)


def log_query(call: Call, container: str, several: bool) -> dict[str, Any]:
    flags = call.flags
    tail: int | None = flags["tail"] if flags["tail"] >= 0 else None
    if tail is None and flags["selector"] and not flags.changed("tail"):
        tail = 10
    query: dict[str, Any] = {
        "container": container,
        "follow": flags["follow"],
        "previous": flags["previous"],
        "timestamps": flags["timestamps"],
        "limitBytes": flags["limit-bytes"] or None,
        "sinceTime": flags["since-time"],
        "tailLines": None if tail is None else str(tail),
    }
    if flags["since"]:
        query["sinceSeconds"] = max(round(flags["since"]), 1)
    return query


def _print_log(call: Call, pod: Object, container: str, prefix: str, several: bool) -> None:
    metadata = pod["metadata"]
    path = call.client.kind("pods").path(metadata["namespace"], metadata["name"], "log")
    request = call.client.request_of("GET", path, log_query(call, container, several))
    try:
        for piece in call.session.lines(request):
            text = piece.decode(errors="replace")
            if prefix:
                text = "".join(prefix + line for line in text.splitlines(keepends=True))
            call.write(text)
            call.session.stdout.flush()
    except ApiError as problem:
        if call.flags["ignore-errors"]:
            call.err(f"error: {problem.message}")
            return
        raise


# exec and attach


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


# cp


def _spec(text: str) -> tuple[str, str, str]:
    """(namespace, pod, path) of ``[namespace/]pod:path``; a local path has no pod."""
    before, colon, path = text.partition(":")
    if not colon or (before.startswith((".", "/")) and "/" in before[1:]):
        return "", "", text
    if not before or not path:
        raise Failure("filespec must match the canonical format: [[namespace/]pod:]file/path")
    namespace, _, pod = before.rpartition("/")
    return namespace, pod, path


def copy(call: Call) -> int:
    if len(call.args) != 2:
        raise Failure("source and destination are required")
    source, target = _spec(call.args[0]), _spec(call.args[1])
    if source[1] and target[1]:
        raise Failure("one of src or dest must be a local file specification")
    if source[1]:
        return _fetch(call, source, target[2])
    if target[1]:
        return _bring(call, source[2], target)
    raise Failure("one of src or dest must be a remote file specification")


def _tar(call: Call, place: tuple[str, str, str], command: list[str], content: bytes = b"") -> bytes:
    namespace = place[0] or call.namespace
    pod = call.client.get(call.client.kind("pods").path(namespace, place[1]))
    container = container_for(call, pod)
    output, errors = bytearray(), bytearray()
    waiting = [content] if content else []
    read = (lambda: waiting.pop(0) if waiting else b"") if content else None
    query = {"container": container, "command": command, "stdin": bool(content), "stdout": True, "stderr": True}
    path = call.client.kind("pods").path(namespace, place[1], "exec")
    status = call.session.connect(
        call.client.request_of("GET", path, query), Streams(output.extend, errors.extend, read)
    )
    if errors:
        call.session.stderr.write(errors.decode(errors="replace"))
    ended(status)
    return bytes(output)


def _fetch(call: Call, place: tuple[str, str, str], local: str) -> int:
    path = place[2].rstrip("/") or "/"
    raw = _tar(call, place, ["tar", "cf", "-", path])
    base = path.lstrip("/")
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        for member in archive.getmembers():
            name = member.name.lstrip("./")
            rest = name.removeprefix(base).lstrip("/")
            if ".." in rest.split("/"):
                call.err(f"warning: skipping symlink or outside path: {name!r}")
                continue
            file = archive.extractfile(member)
            if file is not None:
                call.session.files.write(f"{local.rstrip('/')}/{rest}" if rest else local, file.read())
    return 0


def _bring(call: Call, local: str, place: tuple[str, str, str]) -> int:
    files = call.session.files
    try:
        children = files.children(local)
    except OSError:
        raise Failure(f"{local} doesn't exist in local filesystem") from None
    target = place[2].rstrip("/") or "/"
    directory, _, name = target.rpartition("/")
    if place[2].endswith("/"):
        directory, name = target, local.rstrip("/").rpartition("/")[2]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        _pack(archive, call, local, name, children)
    command = ["tar", "-xmf", "-"] + (["-C", directory or "/"] if directory or target.startswith("/") else [])
    _tar(call, place, command, buffer.getvalue())
    return 0


def _pack(archive: tarfile.TarFile, call: Call, path: str, name: str, children: list[str] | None) -> None:
    if children is None:
        content = call.session.files.read(path)
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(content), 0o644
        archive.addfile(member, io.BytesIO(content))
        return
    for child in children:
        inner = f"{path.rstrip('/')}/{child}"
        _pack(archive, call, inner, f"{name}/{child}", call.session.files.children(inner))


# port-forward


def port_forward(call: Call) -> int:
    if len(call.args) < 2 and not call.flags["filename"]:
        raise call.misused("TYPE/NAME and list of ports are required for port-forward")
    word = call.args[0]
    name = word if "/" in word else f"pods/{word}"
    target = next(iter(fetched(call, wanted(call, [name]))))
    pod = pod_for(call, word)
    if (pod.get("status") or {}).get("phase") != "Running":
        phase = (pod.get("status") or {}).get("phase", "Unknown")
        raise Failure(f"unable to forward port because pod is not running. Current status={phase}")
    ports = [_pair(text, target, pod) for text in call.args[1:]]
    addresses = [address for each in call.flags["address"] for address in each.split(",")] or ["localhost"]
    wanted_ = [
        (address, local, remote) for each in addresses for address in _addresses(each) for local, remote in ports
    ]
    path = call.client.kind("pods").path(pod["metadata"]["namespace"], pod["metadata"]["name"], "portforward")

    def ready(line: str) -> None:
        call.out(line)
        call.session.stdout.flush()

    call.session.forward(call.client.request_of("GET", path), wanted_, ready)
    return 0


def _addresses(address: str) -> list[str]:
    return ["127.0.0.1"] if address == "localhost" else [address]


def _pair(text: str, target: Target, pod: Object) -> tuple[int, int]:
    """(local, remote) of ``8080:80``, ``80``, ``:80`` and ports of a service. Raises Failure."""
    local, colon, remote = text.partition(":")
    if not colon:
        remote = local
    number = _remote(remote, target, pod)
    try:
        return int(local or 0) if local.isdigit() or not local else number, number
    except ValueError:
        raise Failure(f"error parsing local port '{local}'") from None


def _remote(text: str, target: Target, pod: Object) -> int:
    if target.kind.kind == "Service":
        for each in target.object["spec"].get("ports") or ():
            if text in (str(each["port"]), each.get("name")):
                wanted_ = each.get("targetPort", each["port"])
                return int(wanted_) if isinstance(wanted_, int) else _named(str(wanted_), pod)
        raise Failure(f"Service {target.name} does not have a service port {text}")
    if text.isdigit():
        return int(text)
    return _named(text, pod)


def _named(name: str, pod: Object) -> int:
    for container in pod["spec"].get("containers") or ():
        for each in container.get("ports") or ():
            if each.get("name") == name:
                return int(each["containerPort"])
    raise Failure(f"Pod '{pod['metadata']['name']}' does not have a named port '{name}'")


COMMANDS: Mapping[str, Callable[[Call], int]] = {
    "logs": logs,
    "exec": exec_,
    "attach": attach,
    "cp": copy,
    "port-forward": port_forward,
}
