"""Starting and stopping one container: image, configuration, process, hooks.

Source: k8s.io/kubernetes/pkg/kubelet/images/image_manager.go, …/kuberuntime/kuberuntime_container.go and
…/lifecycle/handlers.go. The stages of a start are the table ``STAGES``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from seatrial.sim.config import S
from seatrial.sim.kernel.clock import TIMEOUT, Signal
from seatrial.sim.machinery.quantity import parse
from seatrial.sim.nodes.capabilities import capabilities_of
from seatrial.sim.nodes.cri import EXITED, ONE_CORE, RUNNING, ContainerConfig, ContainerRecord, Image, PodRecord
from seatrial.sim.nodes.environment import ConfigError, Environment, expand
from seatrial.sim.nodes.images import InvalidName, normalise
from seatrial.sim.nodes.probes import FIELDS, port_number
from seatrial.sim.nodes.runtime import StartError, Unavailable
from seatrial.sim.nodes.spec import (
    NONROOT,
    NOT_FOUND,
    cpu_shares,
    described,
    grace_s,
    is_sidecar,
    is_to_end,
    nanocores,
    ports_of,
)

if TYPE_CHECKING:
    from seatrial.sim.nodes.worker import PodWorker

Object = Mapping[str, Any]
GRACE_MIN_S = 2
"""minimumGracePeriodInSeconds: what a container gets at least between TERM and KILL."""


HOOK_TIMEOUT_US = 60 * S
"""Of a hook's HTTP client; what ends a hook as a rule is the pod's grace period."""


class Failure(NamedTuple):
    """Why a container did not start: the reason and message of its Waiting state."""

    reason: str
    message: str
    wait_us: int | None = None
    """What is left of a crash loop's back-off."""


@dataclass(slots=True)
class Launch:
    """A start under way."""

    worker: PodWorker
    container: Object
    spec_field: str
    record: PodRecord
    """What the runtime said when the sync began."""
    image: Image | None = None
    config: ContainerConfig | None = None
    container_id: str = ""
    failure: Failure | None = None
    resources: Mapping[str, Any] = field(default_factory=dict)

    def event(self, kind: str, reason: str, message: str) -> None:
        self.worker.event(self.container, kind, reason, message)

    def fail(self, reason: str, message: str, said: str | None = None) -> None:
        self.failure = Failure(reason, message)
        if said is not None:
            self.event("Warning", "Failed", f"Error: {said}")


Stage = Callable[[Launch], Generator[Any, Any, None]]
Tell = Callable[[str, str, str], None]
"""Records an event: type, reason, message."""


def back_off(launch: Launch) -> Generator[Any, Any, None]:
    """A container that ended must not start again before its back-off is over (doBackOff)."""
    ended = next(
        (c for c in launch.record.containers if c.name == launch.container["name"] and c.state == EXITED), None
    )
    if ended is None:
        return
    worker, name = launch.worker, launch.container["name"]
    backoff, now = worker.kubelet.container_backoff, worker.kubelet.clock.now
    key = f"{worker.uid}/{name}"
    left = backoff.since_event(key, ended.finished_us, now)
    if left <= 0:
        backoff.next(key, ended.finished_us, now)
        return
    pod = described(worker.pod)
    launch.event("Warning", "BackOff", f"Back-off restarting failed container {name} in pod {pod}")
    delay = _duration(backoff.delay_us(key))
    message = f"back-off {delay} restarting failed container={name} pod={pod}"
    launch.failure = Failure("CrashLoopBackOff", message, left)
    return
    yield


def _duration(us: int) -> str:
    """A Go duration in whole seconds: 10s, 1m20s, 5m0s."""
    seconds = us // S
    return f"{seconds}s" if seconds < 60 else f"{seconds // 60}m{seconds % 60}s"


def _rounded(us: int) -> str:
    """A Go duration cut to milliseconds: 890ms, 1.2s."""
    if us < S:
        return f"{us // 1000}ms"
    text = f"{us // 1000 / 1000:.3f}".rstrip("0").rstrip(".")
    return f"{text}s"


def pull(launch: Launch) -> Generator[Any, Any, None]:
    """Sees to it that the container's image is on the node."""
    container = launch.container
    name, policy = container.get("image", ""), container.get("imagePullPolicy", "IfNotPresent")
    launch.image = yield from _ensure(launch, name, policy, launch.event)


def pull_volumes(launch: Launch) -> Generator[Any, Any, None]:
    """The same for images that are mounted as volumes (getImageVolumes); what happens is told of the pod."""
    worker = launch.worker
    mounted = [mount["name"] for mount in launch.container.get("volumeMounts") or ()]
    for volume in worker.pod["spec"].get("volumes") or ():
        if "image" not in volume or volume["name"] not in mounted:
            continue
        source = volume["image"]
        policy = source.get("pullPolicy", "IfNotPresent")
        image = yield from _ensure(launch, source.get("reference", ""), policy, partial(worker.event, None))
        if image is None:
            return
        worker.volumes.mounted[volume["name"]] = worker.kubelet.runtime.workloads.image_volume(image)


def _ensure(launch: Launch, name: str, policy: str, event: Tell) -> Generator[Any, Any, Image | None]:
    """Sees to it that an image is on the node (EnsureImageExists); None when the start failed."""
    kubelet = launch.worker.kubelet
    store, clock = kubelet.runtime.images, kubelet.clock
    try:
        reference = normalise(name)
    except InvalidName as error:
        message = f'Failed to apply default image tag "{name}": couldn\'t parse image name "{name}": {error}'
        event("Warning", "InspectFailed", message)
        launch.fail("InvalidImageName", message, "InvalidImageName")
        return None
    present: Image | None = store.find(reference, clock.now)
    if policy == "Never" and present is None:
        message = f'Container image "{name}" is not present with pull policy of Never'
        event("Warning", "ErrImageNeverPull", message)
        launch.fail("ErrImageNeverPull", message, "ErrImageNeverPull")
        return None
    if present is not None and policy != "Always":
        message = f'Container image "{name}" already present on machine and can be accessed by the pod'
        event("Normal", "Pulled", message)
        return present
    return (yield from _fetch(launch, name, reference, present, event))


def _fetch(
    launch: Launch, name: str, reference: str, present: Image | None, event: Tell
) -> Generator[Any, Any, Image | None]:
    kubelet = launch.worker.kubelet
    backoff, clock, store = kubelet.image_backoff, kubelet.clock, kubelet.runtime.images
    key = f"{launch.worker.uid}/{reference}"
    if backoff.since_update(key, clock.now) > 0:
        event("Normal", "BackOff", f'Back-off pulling image "{name}"')
        previous = launch.worker.pull_errors.get(reference, "")
        message = f'Back-off pulling image "{name}": ErrImagePull: {previous}'
        launch.fail("ImagePullBackOff", message, "ImagePullBackOff")
        return None
    event("Normal", "Pulling", f'Pulling image "{name}"')
    asked = clock.now
    begin = max(asked, store.pulling_until_us)
    try:
        image = kubelet.runtime.workloads.find_image(reference)
        store.check_space(reference)
    except LookupError as error:
        yield clock.sleep(50_000)
        message = str(error.args[0])
        launch.worker.pull_errors[reference] = message
        event("Warning", "Failed", f'Failed to pull image "{name}": {message}')
        backoff.next(key, clock.now, clock.now)
        launch.fail("ErrImagePull", message, "ErrImagePull")
        return None
    there = present is not None or reference in store.fetching
    took = store.overhead_us // 2 if there else store.pull_us(image)
    store.pulling_until_us = begin + took
    store.fetching[reference] = None
    try:
        yield clock.sleep(begin + took - asked)
    finally:
        store.fetching.pop(reference, None)
    store.add(image, clock.now)
    backoff.forget(key)
    times = f"in {_rounded(took)} ({_rounded(clock.now - asked)} including waiting)"
    event("Normal", "Pulled", f'Successfully pulled image "{name}" {times}. Image size: {image.size_bytes} bytes.')
    return image


def configure(launch: Launch) -> Generator[Any, Any, None]:
    """Everything the container is created with (generateContainerConfig)."""
    worker, container = launch.worker, launch.container
    kubelet, pod = worker.kubelet, worker.pod
    namespace = pod["metadata"]["namespace"]
    yield from worker.fetch_references(container)
    sandbox = kubelet.runtime.sandboxes[worker.uid]
    facts = {
        "status.podIP": sandbox.ip,
        "status.podIPs": sandbox.ip,
        "status.hostIP": kubelet.address,
        "status.hostIPs": kubelet.address,
    }
    services = kubelet.service_environment(namespace, pod["spec"].get("enableServiceLinks", True))
    try:
        environment = Environment(
            pod, container, lambda kind, name: kubelet.referenced(kind, namespace, name), facts, worker.volumes.read
        )
        variables = environment.make(services, kubelet.allocatable)
        mounts = worker.volumes.mounts(container, variables)
        _check_user(container, pod, launch.image)
    except ConfigError as error:
        launch.fail("CreateContainerConfigError", str(error), str(error))
        return
    resources = worker.allocated.get(container["name"]) or container.get("resources") or {}
    limits = resources.get("limits") or {}
    launch.resources = resources
    assert launch.image is not None
    launch.config = ContainerConfig(
        name=container["name"],
        image=launch.image,
        argv=[expand(part, variables) for part in container["command"]] if container.get("command") else None,
        args=[expand(part, variables) for part in container["args"]] if container.get("args") else None,
        env=variables,
        working_dir=container.get("workingDir", ""),
        mounts=mounts,
        sandbox=sandbox,
        user=_user(container, pod, launch.image),
        stdin=bool(container.get("stdin")),
        stdin_once=bool(container.get("stdinOnce")),
        tty=bool(container.get("tty")),
        memory_limit=parse(limits["memory"]).value() if limits.get("memory") else None,
        cpu_limit=nanocores(limits.get("cpu")),
        cpu_shares=cpu_shares(resources),
        machine_cpu=nanocores(kubelet.allocatable.get("cpu")) or ONE_CORE,
        read_only_root=bool(_context(container, pod, "readOnlyRootFilesystem")),
        fallback_to_logs=container.get("terminationMessagePolicy") == "FallbackToLogsOnError",
        termination_message_path=container.get("terminationMessagePath") or "/dev/termination-log",
        ports=ports_of(container),
        ends=is_to_end(container, pod),
        target=container.get("targetContainerName", ""),
        groups=_groups(pod),
        capabilities=capabilities_of(container),
        no_new_privs=(container.get("securityContext") or {}).get("allowPrivilegeEscalation") is False,
        privileged=_privileged(container),
    )


def _privileged(container: Object) -> bool:
    context = container.get("securityContext") or {}
    added = (context.get("capabilities") or {}).get("add") or ()
    return bool(context.get("privileged")) or any(name in added for name in ("NET_ADMIN", "CAP_NET_ADMIN", "ALL"))


def _context(container: Object, pod: Object, key: str) -> Any:
    own = (container.get("securityContext") or {}).get(key)
    return own if own is not None else (pod["spec"].get("securityContext") or {}).get(key)


def _user(container: Object, pod: Object, image: Image) -> str:
    user, group = _context(container, pod, "runAsUser"), _context(container, pod, "runAsGroup")
    if user is None:
        return "" if image.known or not _context(container, pod, "runAsNonRoot") else str(NONROOT)
    return str(user) if group is None else f"{user}:{group}"


def _groups(pod: Object) -> tuple[int, ...]:
    """Not modelled: groups that the image's own /etc/group puts its user into."""
    context = pod["spec"].get("securityContext") or {}
    of_volumes = context.get("fsGroup")
    return (*(context.get("supplementalGroups") or ()), *(() if of_volumes is None else (of_volumes,)))


def _check_user(container: Object, pod: Object, image: Image | None) -> None:
    """Raises ConfigError for what must not run as root and would (verifyRunAsNonRoot)."""
    if not _context(container, pod, "runAsNonRoot"):
        return
    named = f'(pod: "{described(pod)}", container: {container["name"]})'
    user = _context(container, pod, "runAsUser")
    if user == 0:
        raise ConfigError(f"container's runAsUser breaks non-root policy {named}")
    if user is not None or image is None or not image.known:
        return
    if image.user and not image.user.split(":")[0].isdigit():
        raise ConfigError(
            f"container has runAsNonRoot and image has non-numeric user ({image.user}), "
            f"cannot verify user is non-root {named}"
        )
    if not image.user or image.user.split(":")[0] == "0":
        raise ConfigError(f"container has runAsNonRoot and image will run as root {named}")


def create(launch: Launch) -> Generator[Any, Any, None]:
    kubelet, name = launch.worker.kubelet, launch.container["name"]
    assert launch.config is not None
    yield kubelet.clock.sleep(kubelet.settings.create_us)
    latest = launch.record.latest(name)
    attempt = latest.attempt + 1 if latest is not None else launch.worker.earlier_restarts(name)
    asked = launch.container.get("image", "")
    yield from kubelet.runtime.wait()
    try:
        launch.container_id = kubelet.runtime.create_container(launch.config, attempt, launch.resources, asked)
    except Unavailable as error:
        launch.fail("CreateContainerError", str(error), str(error))
        return
    launch.event("Normal", "Created", "Container created")


def run(launch: Launch) -> Generator[Any, Any, None]:
    kubelet = launch.worker.kubelet
    yield kubelet.clock.sleep(kubelet.settings.start_us)
    try:
        kubelet.runtime.start_container(launch.container_id)
    except StartError as error:
        launch.fail("RunContainerError", str(error), str(error))
        return
    launch.event("Normal", "Started", "Container started")


def post_start(launch: Launch) -> Generator[Any, Any, None]:
    hook = (launch.container.get("lifecycle") or {}).get("postStart")
    if not hook:
        return
    worker = launch.worker
    problem = yield from run_hook(worker, launch.container, launch.container_id, hook)
    if problem is None:
        return
    launch.event("Warning", "FailedPostStartHook", "PostStartHook failed")
    record = worker.kubelet.runtime.find(launch.container_id)
    yield from stop(worker, record, launch.container, "FailedPostStartHook")
    launch.failure = Failure("PostStartHookError", problem)


STAGES: tuple[Stage, ...] = (back_off, pull_volumes, pull, configure, create, run, post_start)
"""What starting a container takes, in order; the first stage that fails ends it."""


def start(
    worker: PodWorker, spec_field: str, container: Object, record: PodRecord
) -> Generator[Any, Any, Failure | None]:
    """Starts a container (startContainer)."""
    launch = Launch(worker, container, spec_field, record)
    for stage in STAGES:
        yield from stage(launch)
        if launch.failure is not None:
            return launch.failure
    return None


def run_hook(
    worker: PodWorker, container: Object, container_id: str, hook: Object, timeout_us: int | None = None
) -> Generator[Any, Any, str | None]:
    """Runs a lifecycle hook; None when it succeeded, else what the kubelet says of it."""
    kubelet = worker.kubelet
    if "sleep" in hook:
        us = int(hook["sleep"]["seconds"]) * S
        yield kubelet.clock.sleep(us if timeout_us is None else min(us, timeout_us))
        return None
    if "exec" in hook:
        return (yield from _exec_hook(worker, container, container_id, hook["exec"].get("command") or [], timeout_us))
    action = hook.get("httpGet") or hook.get("tcpSocket") or {}
    sandbox = kubelet.runtime.sandboxes[worker.uid]
    host = action.get("host") or sandbox.ip
    yield kubelet.clock.sleep(2_000)
    try:
        port = port_number(container, action.get("port", 80))
        if "httpGet" in hook:
            headers = {header["name"]: header["value"] for header in action.get("httpHeaders") or ()}
            tls = action.get("scheme") == "HTTPS"
            path = action.get("path") or "/"
            code, _ = kubelet.runtime.workloads.http_get(sandbox, host, port, path, headers, tls, HOOK_TIMEOUT_US)
            return None if code < 400 else _said("HTTP", container, worker, action, f"unexpected status {code}", "")
        kubelet.runtime.workloads.connect(sandbox, host, port)
    except OSError as error:
        return _said("HTTP", container, worker, action.get("path", ""), str(error), "")
    return None


def _exec_hook(
    worker: PodWorker, container: Object, container_id: str, command: list[str], timeout_us: int | None
) -> Generator[Any, Any, str | None]:
    kubelet = worker.kubelet
    live = kubelet.runtime.live.get(container_id)
    shown = f"[{' '.join(command)}]"
    if live is None or live.process is None or kubelet.runtime.find(container_id).state != RUNNING:
        return _said("Exec", container, worker, shown, "container is not running", "")
    granted = not live.config.image.known
    ended: list[int] = []
    done = Signal(kubelet.clock)
    output: list[bytes] = []

    def on_exit(code: int) -> None:
        ended.append(code)
        done.fire()

    try:
        session = live.process.exec(list(command), lambda _, data: output.append(data), on_exit)
    except FileNotFoundError as error:
        return None if granted else _said("Exec", container, worker, shown, str(error), "")
    if not ended and (yield done.wait(timeout_us)) is TIMEOUT and not ended:
        session.kill()
        return _said("Exec", container, worker, shown, "context deadline exceeded", "")
    if ended[0] == 0 or (granted and ended[0] == NOT_FOUND):
        return None
    text = b"".join(output).decode(errors="replace")
    error_text = f"command '{' '.join(command)}' exited with {ended[0]}: {text}"
    return _said("Exec", container, worker, shown, error_text, text)


def _said(kind: str, container: Object, worker: PodWorker, what: Any, error: str, output: str) -> str:
    named = f'Container "{container["name"]}" in Pod "{described(worker.pod)}"'
    return f'{kind} lifecycle hook ({what}) for {named} failed - error: {error}, message: "{output}"'


def stop(
    worker: PodWorker, record: ContainerRecord, container: Object, message: str = "", probe: str = ""
) -> Generator[Any, Any, None]:
    """Stops a container: preStop hook, TERM, grace, KILL (killContainer)."""
    kubelet = worker.kubelet
    worker.event(container, "Normal", "Killing", message or f"Stopping container {record.name}")
    left = grace_s(worker.pod) * S if worker.grace_us is None else worker.grace_us
    if probe:
        own = (container.get(FIELDS[probe]) or {}).get("terminationGracePeriodSeconds")
        left = int(own) * S if own is not None else left
    hook = (container.get("lifecycle") or {}).get("preStop")
    if hook and left > 0:
        begun = kubelet.clock.now
        problem = yield from run_hook(worker, container, record.id, hook, left)
        if problem is not None:
            worker.event(container, "Warning", "FailedPreStopHook", "PreStopHook failed")
        left -= kubelet.clock.now - begun
    live = kubelet.runtime.live.get(record.id)
    if live is None or live.ended is None or kubelet.runtime.find(record.id).state != RUNNING:
        return
    ended = live.ended
    kubelet.runtime.stop_container(record.id, max(left, GRACE_MIN_S * S))
    if kubelet.runtime.find(record.id).state == RUNNING:
        yield ended.wait()


def stop_all(worker: PodWorker) -> Generator[Any, Any, None]:
    """Stops every running container: the regular ones together, then sidecars, last started first."""
    runtime = worker.kubelet.runtime
    spec = worker.pod["spec"]
    sidecars = [c for c in spec.get("initContainers") or () if is_sidecar(c)]
    names = {c["name"] for c in sidecars}
    others = [*spec.get("initContainers", ()), *spec["containers"], *spec.get("ephemeralContainers", ())]
    together = [c for c in others if c["name"] not in names]
    yield from _stop_together(worker, [(r, c) for c in together if (r := _running(runtime, worker.uid, c))])
    for container in reversed(sidecars):
        record = _running(runtime, worker.uid, container)
        if record is not None:
            yield from stop(worker, record, container)


def _running(runtime: Any, uid: str, container: Object) -> ContainerRecord | None:
    record: ContainerRecord | None = runtime.record(uid).latest(container["name"])
    return record if record is not None and record.state == RUNNING else None


def _stop_together(worker: PodWorker, found: list[tuple[ContainerRecord, Object]]) -> Generator[Any, Any, None]:
    if len(found) == 1:
        yield from stop(worker, *found[0])
        return
    clock = worker.kubelet.clock
    processes = [clock.spawn(stop(worker, *each), f"stop/{each[0].name}") for each in found]
    try:
        for process in processes:
            yield process.join()
    finally:
        for process in processes:
            process.kill()
