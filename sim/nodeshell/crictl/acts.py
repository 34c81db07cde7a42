"""crictl logs, exec, stop, rm, pull and their like."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from seatrial.sim.apiserver.kubelets import LogOptions
from seatrial.sim.config import S
from seatrial.sim.kernel.clock import Signal, parse_stamp
from seatrial.sim.nodes.cri import RUNNING
from seatrial.sim.nodes.images import InvalidName, normalise
from seatrial.sim.nodes.logs import Lines
from seatrial.sim.nodeshell import ages
from seatrial.sim.nodeshell.crictl.base import Arguments, Refused, find, find_sandbox, named, rows
from seatrial.sim.nodeshell.machine import Machine
from seatrial.sim.workloads.catalogue import NoSuchImage
from seatrial.sim.workloads.process import Proc

Steps = Generator[Any, Any, int]
GRACE_US = 10 * S


def logs(proc: Proc, machine: Machine, given: Arguments) -> Steps:
    if not given.words:
        raise Refused("ID cannot be empty")
    row = find(machine, given.words[0])
    if given.has("p", "previous"):
        older = [r for r in rows(machine) if r.uid == row.uid and r.container.name == row.container.name]
        older = [r for r in older if r.container.attempt == row.container.attempt - 1]
        if not older:
            raise Refused(f'failed to find the previous container of "{row.container.name}"')
        row = older[0]
    runtime, identifier = machine.node.runtime, row.container.id
    live = runtime.live.get(identifier)
    if live is None or live.log is None:
        return 0
    tail, since = given.get("tail"), given.get("since")
    since_us: int | None = None
    if since:
        span = ages.go_duration(since)
        try:
            since_us = parse_stamp(since) if span is None else machine.clock.now - span
        except ValueError:
            raise Refused(f'failed to parse timestamp or duration: "{since}"') from None
    follow = given.has("f", "follow")
    options = LogOptions(
        follow,
        since_us=since_us,
        timestamps=given.has("t", "timestamps"),
        tail_lines=int(tail) if tail.isdigit() else None,
    )
    held = Lines(live.log, options, lambda: identifier in runtime.live and runtime.find(identifier).state == RUNNING)
    news = Signal(machine.clock)

    def tell() -> None:
        news.fire()

    held.on_ready(tell)
    proc.on_exit.append(lambda _: held.close())
    while True:
        proc.out(held.read())
        if held.ended:
            return 0
        yield news.wait(1_000_000, periodic=True)


def execute(proc: Proc, machine: Machine, given: Arguments) -> Steps:
    if len(given.words) < 2:
        raise Refused("exec requires a container ID and a command")
    row = find(machine, given.words[0])
    live = machine.node.runtime.live.get(row.container.id)
    if row.container.state != RUNNING or live is None or live.process is None:
        raise Refused(
            "execing command in container: rpc error: code = Unknown desc = container is in "
            f"CONTAINER_{row.container.state.upper()} state"
        )
    done = Signal(machine.clock)
    codes: list[int] = []

    def ended(code: int) -> None:
        codes.append(code)
        done.fire()

    def output(stream: str, data: bytes) -> None:
        if stream == "stderr":
            proc.err(data.decode(errors="surrogateescape"))
        else:
            proc.out(data)

    with_input = given.has("i", "interactive")
    try:
        session = live.process.exec(given.words[1:], output, ended, with_input)
    except FileNotFoundError as missing:
        raise Refused(
            "execing command in container: command terminated with exit code 126: OCI runtime exec failed: exec "
            f'failed: unable to start container process: exec: "{missing.args[0]}": executable file not found in $PATH'
        ) from None
    if with_input:

        def feed() -> Generator[Any, Any, None]:
            while data := (yield from proc.stdin.read_line()):
                session.write_stdin(data)
            session.close_stdin()

        feeder = machine.clock.spawn(feed(), "crictl exec")
        proc.on_exit.append(lambda _: feeder.kill())
    proc.on_exit.append(lambda _: None if codes else session.kill())
    while not codes:
        yield done.wait()
    if codes[0]:
        raise Refused(f"execing command in container: command terminated with exit code {codes[0]}")
    return 0


def stop(proc: Proc, machine: Machine, given: Arguments) -> Steps:
    grace = given.get("timeout", "t")
    status = 0
    for word in given.words:
        row = find(machine, word)
        live = machine.node.runtime.live.get(row.container.id)
        machine.node.runtime.stop_container(row.container.id, int(grace) * S if grace.isdigit() else GRACE_US)
        while (
            live is not None and live.ended is not None and machine.node.runtime.find(row.container.id).state == RUNNING
        ):
            yield live.ended.wait()
        proc.out(f"{word}\n")
    return status


def remove(proc: Proc, machine: Machine, given: Arguments) -> Steps:
    status = 0
    runtime = machine.node.runtime
    words = given.words
    if given.has("a", "all"):
        words = [row.container.id for row in rows(machine)]
    for word in words:
        row = find(machine, word)
        if row.container.state == RUNNING:
            if not given.has("f", "force"):
                proc.err(
                    f'ERRO[0000] removing container "{word}" failed: rpc error: code = Unknown desc = '
                    f'container "{row.container.id}" is running, please stop first\n'
                )
                status = 1
                continue
            yield from stop(quiet(proc), machine, Arguments({"t": "0"}, [row.container.id]))
        runtime.remove_container(row.container.id)
        proc.out(f"{word}\n")
    return status


class _Quiet:
    def out(self, text: Any) -> None: ...


def quiet(proc: Proc) -> Any:
    return _Quiet()


def stop_pods(proc: Proc, machine: Machine, given: Arguments) -> Steps:
    for word in given.words:
        uid, record = find_sandbox(machine, word)
        for container in record.containers:
            if container.state == RUNNING:
                yield from stop(quiet(proc), machine, Arguments({"t": "2"}, [container.id]))
        machine.node.runtime.stop_sandbox(uid)
        proc.out(f"Stopped sandbox {word}\n")
    return 0


def remove_pods(proc: Proc, machine: Machine, given: Arguments) -> Steps:
    for word in given.words:
        uid, record = find_sandbox(machine, word)
        assert record.sandbox is not None
        if record.sandbox.ready:
            if not given.has("f", "force"):
                raise Refused(f'sandbox "{word}" is in ready state; stop it first, or use -f')
            yield from stop_pods(quiet(proc), machine, Arguments({}, [record.sandbox.id]))
        machine.node.runtime.remove_pod(uid)
        proc.out(f"Removed sandbox {word}\n")
    return 0


def remove_images(proc: Proc, machine: Machine, given: Arguments) -> int:
    store, runtime = machine.node.runtime.images, machine.node.runtime
    used = {c.image for record in runtime.pods.values() for c in record.containers}
    words = given.words
    if given.has("prune", "q"):
        words = [stored.image.reference for stored in store.all() if stored.image.reference not in used]
    status = 0
    for word in words:
        found = [
            stored.image.reference
            for stored in store.all()
            if stored.image.reference == named(word) or stored.image.image_id.removeprefix("sha256:").startswith(word)
        ]
        if not found:
            proc.err(f'ERRO[0000] no such image "{word}"\n')
            status = 1
        for reference in found:
            store.remove(reference)
            proc.out(f"Deleted: {reference}\n")
    return status


def pull(proc: Proc, machine: Machine, given: Arguments) -> Steps:
    if not given.words:
        raise Refused("image name is required")
    store, clock = machine.node.runtime.images, machine.clock
    try:
        reference = normalise(given.words[-1])
        image = machine.site.world.find_image(reference)
    except InvalidName as problem:
        said = f'failed to parse image reference "{given.words[-1]}": {problem}'
        raise Refused(f"pulling image: rpc error: code = Unknown desc = {said}") from None
    except NoSuchImage as problem:
        yield clock.sleep(600_000)
        raise Refused(f"pulling image: rpc error: code = Unknown desc = {problem}") from None
    yield clock.sleep(store.pull_us(image))
    store.add(image, clock.now)
    proc.out(f"Image is up to date for {image.image_id}\n")
    return 0
