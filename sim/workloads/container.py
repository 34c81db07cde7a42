"""A running container: its file system, processes, log and resources.

Signals, exit codes and process ids are as in a PID namespace under runc: whatever runs as process 1 gets no signal
that it does not ask for, and starting a process in the container uses up the ids of runc's threads. Not modelled: CPU
contention; what a process does takes no time unless it waits.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Generator, Mapping
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from seatrial.sim.kernel.clock import Signal
from seatrial.sim.workloads import burning, cgroup, etc, procfs
from seatrial.sim.workloads.filesystem import Dir, File, FileSystem, Mounted, Node, failure, space_of
from seatrial.sim.workloads.log import Log
from seatrial.sim.workloads.net import ports_of
from seatrial.sim.workloads.pids import EXEC_IDS, MAIN_IDS, Namespace
from seatrial.sim.workloads.process import NULL, SET_UID, Endless, Null, Pipe, Proc, Sink, Stream, running_as
from seatrial.sim.workloads.queueing import Queue, Taken
from seatrial.sim.workloads.session import Attachment, Session, Terminal, interrupt
from seatrial.sim.workloads.undescribed import main_program

if TYPE_CHECKING:
    from seatrial.sim.workloads.world import World

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PROGRAM_ROOTS = ("/usr/", "/sbin/", "/bin/")
EXHAUST_BYTES_PER_S = 400 * 1024 * 1024
"""How fast a program fills memory that reads without end."""
NODE_MEMORY = 4 * 1024**3
OOM_STATUS, ERROR_STATUS = 137, 126
NOTABLE_BYTES = WRITTEN_BYTES = 1024 * 1024
"""A change of memory that the kubelet is told of."""


class Ended(NamedTuple):
    """How the container ended (cri.Exit)."""

    code: int
    oom: bool = False


class Container:
    """One container (cri.Process)."""

    __slots__ = (
        "_attached", "_covered", "_measured", "_on_exit", "_out", "_queue", "_rest", "_rng", "behaviour_memory",
        "burns_since_us", "burnt_ns", "changed", "clock", "config", "domain", "ended_us", "fs", "gid", "hostname",
        "image", "log", "main", "name", "namespace", "oom", "processes", "request_bytes", "requests", "sandbox",
        "started_us", "stdin", "terminal", "uid", "user", "users", "world",
    )  # fmt: skip

    def __init__(self, world: World, config: Any, on_exit: Callable[[Any], None]) -> None:
        self.world = world
        self.config: Any = config
        self.clock = world.clock
        self.sandbox = config.sandbox
        self.image = config.image
        self.name = f"{config.sandbox.namespace}/{config.sandbox.name}/{config.name}"
        self.hostname: str = config.sandbox.hostname
        self.domain: str = config.sandbox.domain
        self.fs = FileSystem(self.image.root, self._now)
        self.fs.is_full = self._is_full
        self.users: dict[int, str] = self.image.users
        self.behaviour_memory: int = self.image.memory
        self.uid, self.gid, self.user = self._identity(config.user or self.image.user)
        self.fs.owner = self.uid, self.gid
        self.processes: dict[int, Proc] = {}
        """The container's own, by number."""
        self.main: Proc | None = None
        self.namespace: Namespace = world.namespace(config)
        """Where its processes are numbered, and seen by others."""
        self._measured = (-1, (0, 0))
        """What was in the own layer after so many changes."""
        self.changed = Signal(self.clock)
        """Fires when a file was written."""
        self._rest = ports_of(config.sandbox).rest
        self.fs.on_written = self._rest.stir
        self.log = Log(self._now, self._rest)
        self.started_us = self.burns_since_us = self.clock.now
        self.burnt_ns = 0
        """What processes had burnt when what they burn last changed, at ``burns_since_us``."""
        self.oom: bool = False
        self.requests = 0
        """HTTP requests answered."""
        self.ended_us: int | None = None
        self.request_bytes = 0
        """Memory that each request under way takes."""
        self._queue: Queue | None = None
        self._rng: Random | None = None
        self._on_exit = on_exit
        self._attached: list[Attachment] = []
        self._out: Sink | None = None
        self.stdin: Pipe | None = None
        self.terminal: Terminal | None = None
        self._mount()

    def _now(self) -> int:
        return self.clock.now

    def _is_full(self) -> bool:
        return self.sandbox.host in self.world.full

    @property
    def rng(self) -> Random:
        if self._rng is None:
            self._rng = Random(f"{self.world.seed}/{self.name}/{self.started_us}")
        return self._rng

    def _identity(self, user: str) -> tuple[int, int, str]:
        name, _, group = (user or "0").partition(":")
        by_name = {known: number for number, known in self.users.items()}
        uid = int(name) if name.isdigit() else by_name.get(name, 0)
        gid = int(group) if group.isdigit() else by_name.get(group, uid if not name.isdigit() else 0)
        return uid, gid, self.users.get(uid, str(uid))

    def _mount(self) -> None:
        fs = self.fs
        for mount in self.config.mounts:
            volume = mount.volume
            try:
                node = volume.below(mount.sub_path) if mount.sub_path else volume.tree
                mounted = Mounted(node, mount.read_only, volume.source, volume.kind, volume.changed, volume.is_dir)
                fs.mount(mount.path, mounted)
            except OSError as error:
                raise OSError(error.errno, error.strerror, mount.path, None, error.filename) from None
        fs.mounts.setdefault(procfs.PLACE, Mounted(partial(procfs.Processes, self), True, "proc", "proc"))
        if cgroup.PLACE not in fs.mounts:
            fs.mounts[cgroup.PLACE] = Mounted(self._cgroup, not self.config.privileged, "cgroup", "cgroup2")
        for path in etc.FILES:
            if path not in fs.mounts:
                fs.mounts[path] = Mounted(partial(etc.made, self, path), source="/dev/vda1")
        self._covered = any(f"{at}/".startswith(PROGRAM_ROOTS) for at in fs.mounts)
        fs.mounts.setdefault(self.config.termination_message_path, Mounted(self._termination, source="/dev/vda1"))

    def _termination(self) -> Node:
        return File(b"", 0o666, self.started_us)

    def _cgroup(self) -> Node:
        return cgroup.tree(self)

    # Programs

    def start(self) -> None:
        """Starts the main process. Raises FileNotFoundError(argv[0])."""
        config, image = self.config, self.image
        argv = list(config.argv if config.argv is not None else image.entrypoint)
        if config.args is not None:
            argv += config.args
        elif config.argv is None:
            argv += image.cmd
        env = {"PATH": PATH, "HOSTNAME": self.hostname, **image.env, **config.env, "HOME": self._home()}
        if config.tty:
            env.setdefault("TERM", "xterm")
        cwd = config.working_dir or image.working_dir
        if not self.fs.exists(cwd):
            self.fs.make_dir(cwd, parents=True)
        program = main_program(self, argv, env, cwd)
        fds = self._main_fds()
        if self.sandbox.share_processes:
            self.namespace.begin_with_pause(self)
        proc = self.main = self._spawn(argv, env, cwd, fds, None)
        self.namespace.next_pid = proc.pid + (MAIN_IDS if proc.pid == 1 else EXEC_IDS)
        proc.on_exit.append(self._main_ended)
        for mount in config.mounts:
            mount.volume.followers.append(self.changed)
        self.fs.read_only = config.read_only_root
        if self.terminal is not None:
            self.terminal.interrupted = partial(interrupt, proc)
        proc.run_later(program)

    def _home(self) -> str:
        return "/root" if self.uid == 0 else self.image.env.get("HOME", "/")

    def _main_fds(self) -> dict[int, Stream]:
        if self.config.tty:
            self.terminal = Terminal(self.clock, self._wrote, self.config.stdin)
            self.terminal.input.opened(True)
            return {0: self.terminal.input, 1: self.terminal.stream, 2: self.terminal.stream}
        out = self._out = Sink(lambda data: self._wrote("stdout", data))
        err = Sink(lambda data: self._wrote("stderr", data))
        if not self.config.stdin:
            return {0: Null(), 1: out, 2: err}
        self.stdin = Pipe(self.clock, bounded=False)
        self.stdin.opened(True)
        return {0: self.stdin, 1: out, 2: err}

    def _wrote(self, stream: str, data: bytes) -> None:
        self.log.write(stream, data)
        self.world.wrote(self, len(data))
        for attachment in self._attached:
            attachment.output(stream, data)

    def _program_or_missing(self, name: str, env: Mapping[str, str], cwd: str) -> Callable[[Proc], Any]:
        try:
            return self.find_program(name, env.get("PATH"), cwd)
        except OSError:
            raise FileNotFoundError(name) from None

    def which(self, name: str, path: str | None, cwd: str) -> str | None:
        """Where a program is, or None."""
        if "/" in name:
            return name if self.fs.exists(name, cwd) else None
        if path in (None, PATH) and self.fs.root is self.image.root and not self._covered:
            places = self.image.places
            if name not in places:
                places[name] = self._search(name, PATH)
            found: str | None = places[name]
            return found
        return self._search(name, path)

    def _search(self, name: str, path: str | None) -> str | None:
        for directory in (path or PATH).split(":"):
            at = f"{directory.rstrip('/')}/{name}"
            if self.fs.exists(at):
                return at
        return None

    def find_program(self, name: str, path: str | None, cwd: str) -> Callable[[Proc], Any]:
        """What runs under a name. Raises OSError: not there, or not executable."""
        at = self.which(name, path, cwd)
        if at is None:
            raise failure(errno.ENOENT, name)
        node = self.fs.find(at, cwd)
        if isinstance(node, Dir) or not node.mode & 0o111:
            raise failure(errno.EACCES, name)
        assert isinstance(node, File)
        if node.program:
            program = self.world.program(node.program, self.image)
            return running_as(node.uid, program) if node.mode & SET_UID and not self.config.no_new_privs else program
        return self._script(node.read(), at)

    def _script(self, data: bytes, path: str) -> Callable[[Proc], Any]:
        """A script: its first line says who reads it."""
        first = data.split(b"\n", 1)[0].decode(errors="replace")
        interpreter = first[2:].split() if first.startswith("#!") else ["/bin/sh"]
        if interpreter and interpreter[0].endswith("/env"):
            interpreter = interpreter[1:]
        program = self.find_program(interpreter[0], None, "/")

        def run(proc: Proc) -> Any:
            proc.argv = [*interpreter, path, *proc.argv[1:]]
            return program(proc)

        return run

    def spawn(self, argv: list[str], env: Mapping[str, str], cwd: str, fds: dict[int, Stream], parent: Proc) -> Proc:
        """A child process, not yet running. Raises OSError(EAGAIN) where there are too many."""
        self.namespace.admit()
        return self._spawn(argv, dict(env), cwd, fds, parent)

    def _spawn(
        self, argv: list[str], env: dict[str, str], cwd: str, fds: dict[int, Stream], parent: Proc | None
    ) -> Proc:
        self.namespace.join(self)
        proc = Proc(self, self.namespace.next_pid, parent, argv, env, cwd, fds)
        self.namespace.next_pid += 1
        self.processes[proc.pid] = proc
        return proc

    def start_child(self, proc: Proc, argv: list[str]) -> Proc | None:
        """Starts a program as a child with the same files; None when it is not there."""
        try:
            program = self.find_program(argv[0], proc.env.get("PATH"), proc.cwd)
        except OSError as error:
            proc.err(f"{proc.argv[0]}: can't execute '{argv[0]}': {error.strerror}\n")
            return None
        try:
            child = self.spawn(argv, proc.env, proc.cwd, dict(proc.fds), proc)
        except OSError as error:
            proc.err(f"{proc.argv[0]}: {error.filename}: {error.strerror}\n")
            return None
        child.run(program)
        return child

    def run_child(self, proc: Proc, argv: list[str]) -> Generator[Any, Any, int]:
        """Runs a program as a child to its end; 127 when it is not there."""
        child = self.start_child(proc, argv)
        return ERROR_STATUS + 1 if child is None else (yield from child.wait())

    # What happens to it

    def signal(self, name: str) -> None:
        """To the main process; KILL ends the whole container."""
        if name == "KILL":
            self._kill_all(OOM_STATUS)
            return
        if self.main is not None:
            self.main.signal(name)

    def _kill_all(self, status: int) -> None:
        for pid in sorted(self.processes, reverse=True):
            proc = self.processes.get(pid)
            if proc is not None:
                proc.kill(status)

    def groups_of(self, proc: Proc) -> list[int]:
        """The groups of a process, its own among them."""
        return sorted({proc.gid, *self.config.groups})

    def process(self, pid: int) -> Any:
        """What can be signalled under a number; None when there is no such process."""
        return self.namespace.process(pid)

    def reap(self, proc: Proc) -> None:
        """A process ended."""
        if proc.cpu_nano:
            burning.burn(proc, 0)
        self.processes.pop(proc.pid, None)

    def _main_ended(self, status: int) -> None:
        self._kill_all(OOM_STATUS)
        self.namespace.leave(self)
        for mount in self.config.mounts:
            mount.volume.followers.remove(self.changed)
        self.log.finish()
        self.ended_us = self.clock.now
        for attachment in self._attached:
            # An attached client learns that the streams ended; the status is the pod's to tell.
            attachment.ended(0)
        self._attached.clear()
        self.world.container_ended(self)
        self._on_exit(Ended(status, self.oom))

    def exhaust(self, proc: Proc) -> Generator[Any, Any, None]:
        """A process takes ever more memory until the kernel ends the container."""
        limit = self.config.memory_limit or NODE_MEMORY
        yield self.clock.sleep(limit * 1_000_000 // EXHAUST_BYTES_PER_S)
        proc.memory = limit
        self.oom = True
        self._kill_all(OOM_STATUS)
        yield self.clock.sleep(0)

    def touched(self, size: int = WRITTEN_BYTES) -> None:
        """So many bytes of a file were written."""
        self.world.wrote(self, size)
        self.fs.written()
        self.changed.fire()

    def device(self, node: Node, proc: Proc | None = None) -> Stream | None:
        """What reading or writing a device node means; None for an ordinary file."""
        if not isinstance(node, File) or not node.device:
            return None
        if node.device in ("stdout", "stderr") and proc is not None:
            return proc.fds.get(1 if node.device == "stdout" else 2, NULL)
        if node.device in ("zero", "random"):
            return Endless(self.clock, bytes if node.device == "zero" else self.rng.randbytes)
        return NULL if node.device == "null" else None

    def termination_message(self) -> bytes:
        mounted = self.fs.mounts.get(self.config.termination_message_path)
        return mounted.node.read() if mounted is not None and isinstance(mounted.node, File) else b""

    # For the kubelet's clients

    def exec(
        self,
        argv: list[str],
        on_output: Callable[[str, bytes], None],
        on_exit: Callable[[int], None],
        stdin: bool = False,
        tty: bool = False,
    ) -> Session:
        """Starts a process beside the main one. Raises FileNotFoundError(argv[0])."""
        env = {"PATH": PATH, "HOSTNAME": self.hostname, **self.image.env, **self.config.env, "HOME": self._home()}
        cwd = self.config.working_dir or self.image.working_dir
        pid = self.namespace.next_pid
        self.namespace.next_pid += EXEC_IDS
        program = self._program_or_missing(argv[0], env, cwd)
        after, self.namespace.next_pid = self.namespace.next_pid, pid
        terminal = Terminal(self.clock, on_output, stdin) if tty else None
        if tty:
            env.setdefault("TERM", "xterm")
        if terminal is not None:
            fds: dict[int, Stream] = {0: terminal.input, 1: terminal.stream, 2: terminal.stream}
            source: Pipe | None = terminal.input
        else:
            source = Pipe(self.clock, bounded=False) if stdin else None
            fds = {
                0: source if source is not None else Null(),
                1: Sink(lambda data: on_output("stdout", data)),
                2: Sink(lambda data: on_output("stderr", data)),
            }
        if source is not None:
            source.opened(True)
        proc = self._spawn(argv, env, cwd, fds, None)
        self.namespace.next_pid = after
        proc.on_exit.append(on_exit)
        session = Session(proc, source, terminal)
        proc.run_later(program)
        return session

    def attach(self, on_output: Callable[[str, bytes], None], on_exit: Callable[[int], None]) -> Attachment:
        self._rest.stir()
        made = Attachment(self, on_output, on_exit)
        self._attached.append(made)
        return made

    def detach(self, attachment: Attachment) -> None:
        if attachment in self._attached:
            self._attached.remove(attachment)

    # Resources

    def usage(self) -> tuple[int, int]:
        """(nanocores, bytes) now."""
        return self.world.usage(self)

    @property
    def capacity(self) -> int:
        """Nanocores that it may use."""
        limit, machine = self.config.cpu_limit, self.config.machine_cpu
        return int(machine if limit is None else min(limit, machine))

    def work(self, count: int, cost_ns: int, over_us: int, window: int, places: int) -> Taken:
        """Takes in requests that cost CPU; ``places`` is how many may wait."""
        self._rest.settle()
        if self._queue is None:
            rng = Random(f"{self.world.seed}/{self.name}/{self.started_us}/requests")
            self._queue = Queue(self.clock.now, self.capacity, places, rng)
        self._queue.capacity = self.capacity
        self.requests += count
        before = self.queued_bytes()
        taken = self._queue.take(self.clock.now, count, cost_ns, over_us, window)
        self._grown(self.queued_bytes() - before)
        if not self._queue.is_idle(self.clock.now):
            self._rest.stir()
        return taken

    def work_at(self, at: int, cost_ns: int) -> None:
        """What one more request like an earlier one took, of which this is the first to be told."""
        assert self._queue is not None
        self.requests += 1
        self._queue.take(at, 1, cost_ns)

    def is_swift(self, cost_ns: int) -> bool:
        """Whether requests are answered at once, those that cost so much among them."""
        queue = self._queue
        return queue is not None and queue.is_idle(self.clock.now) and queue.is_soon_done(cost_ns)

    def logs(self, proc: Proc) -> bool:
        """Whether what a process says goes into the log, line by line, and to nobody else."""
        stream = proc.fds.get(1)
        return stream is self._out and not self._attached and not self.log.followed

    def log_at(self, at: int, line: bytes) -> None:
        """A line that was written at a time, of which this is the first to be told."""
        self.log.write_at(at, "stdout", line)
        self.world.wrote(self, len(line))

    def queued_bytes(self) -> int:
        """Memory that requests under way take."""
        self._rest.settle()
        return 0 if self._queue is None else self._queue.under_way(self.clock.now) * self.request_bytes

    def grow(self, proc: Proc, by: int) -> None:
        """A process takes more memory, or less."""
        proc.memory = max(0, proc.memory + by)
        self._grown(by)

    def stop_all(self, stopped: bool) -> None:
        """SIGSTOP or SIGCONT to every process."""
        for proc in list(self.processes.values()):
            proc.signal("STOP" if stopped else "CONT")

    def _grown(self, by: int) -> None:
        limit = self.config.memory_limit
        used = sum(proc.memory for proc in self.processes.values()) + self.queued_bytes()
        if limit is not None and used > limit:
            self.oom = True
            self.clock.at(self.clock.now, partial(self._kill_all, OOM_STATUS))
        elif abs(by) >= NOTABLE_BYTES:
            self.world.memory_changed(self)

    def busy(self) -> int:
        """Nanocores that requests take now."""
        self._rest.settle()
        return 0 if self._queue is None else self._queue.busy(self.clock.now)

    def count(self) -> int:
        """How many processes there are."""
        return len(self.processes)

    def written(self) -> tuple[int, int]:
        """Bytes and inodes of the container's own layer."""
        if self._measured[0] != self.fs.changes:
            self._measured = (self.fs.changes, space_of(self.fs.root))
        return self._measured[1]

    def cpu_total_ns(self) -> int:
        self._rest.settle()
        total = burning.total_ns(self)
        if self._queue is not None:
            self._queue.advance(self.clock.now)
            total += self._queue.done_ns
        return total
