"""``seatrial shell``: a prompt in which kubectl, curl, ssh and the commands of seatrial act on one cluster."""

from __future__ import annotations

import contextlib
import http.client
import io
import ssl
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import click

from seatrial.api.cli import remote
from seatrial.api.cli.connection import HttpsSession
from seatrial.api.cli.options import cluster_option
from seatrial.api.cli.show import existing
from seatrial.api.problem import Problem
from seatrial.api.server.state import Home
from seatrial.scenarios.desk import Act, Ask, Desk, DeskFiles, Streams, kubectl_act
from seatrial.scenarios.kubectl.commands import Flags
from seatrial.sim.workloads.net import HttpRequest, HttpResponse
from seatrial.sim.workloads.shell.parser import is_incomplete

OWN = ("clock", "fault", "load", "ssh", "why", "explain", "trace-route", "addresses", "scenario", "snapshot", "status")
"""Commands of seatrial that are words of the shell."""
NAMED = ("addresses", "status")
"""Those that take the cluster as an argument, not as an option."""
TLS_PORTS = (443, 6443, 8443)
HTTP_TIMEOUT_S = 120.0
HISTORY_MAX = 2000
HELP = """\
kubectl …       what kubectl does; -f reads files of this machine and those that the shell wrote
curl URL        a request from outside: node and load balancer addresses, names such as web.default
ssh NODE …      a command on a machine of the cluster, or a login
clock …         show, advance 6m, until …, next, speed 10, pause, resume
fault, load, why, explain, trace-route, addresses, scenario, snapshot, status: as `seatrial NAME --help` says
grep, sort, awk, jq, head, cat, for, while, > and |: a shell of the simulation's own; nothing runs on this machine
exit            leave
"""


class HomeSession(HttpsSession):
    """kubectl's session as a cluster's administrator, whatever the kubeconfig says."""

    def __init__(self, home: Home) -> None:
        super().__init__()
        self._home = home
        self._namespace = ""

    def open(self, flags: Flags) -> None:
        if flags.get("kubeconfig") or flags.get("context"):
            super().open(flags)
            return
        if not self.config:
            process = remote.running(self._home)
            pki, name = self._home.pki, self._home.name
            self.config = {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": name, "cluster": {"server": f"https://127.0.0.1:{process['port']}",
                                                        "certificate-authority": str(pki / "ca.crt")}}],
                "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
                "users": [{"name": name, "user": {"client-certificate": str(pki / "admin.crt"),
                                                  "client-key": str(pki / "admin.key")}}],
                "current-context": name,
            }  # fmt: skip
        self.choose(flags)

    def save(self) -> None:
        """What ``kubectl config`` changes is the shell's own, and forgotten with it."""


class Output(io.TextIOBase):
    """An output that hands on what is written, text or bytes."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self.buffer = self

    def write(self, text: Any) -> int:
        self._write(text.decode(errors="replace") if isinstance(text, bytes | bytearray) else text)
        return len(text)

    def isatty(self) -> bool:
        return False


def own_words(name: str, words: Sequence[str], cluster: str) -> list[str]:
    """The line of a command of seatrial, with the cluster in it."""
    if name in NAMED:
        return [name, *words] if any(not word.startswith("-") for word in words) else [name, cluster, *words]
    if "--help" in words or "-h" in words:
        return [name, *words]
    if name == "ssh":
        return [name, "--cluster", cluster, *words]
    return [name, *words, "--cluster", cluster] if words else [name, "--help"]


def typed(words: Sequence[str]) -> int:
    """Does what ``seatrial WORDS`` does; its exit code."""
    from seatrial.api.cli.app import cli, tell

    try:
        code = cli.main(list(words), standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return 1
    except click.exceptions.Abort:
        return 1
    except Problem as problem:
        tell(problem)
        return 1
    return code if isinstance(code, int) else 0


def own_act(name: str, cluster: str) -> Act:
    """A command of seatrial with its streams turned to the shell's."""

    def act(words: list[str], streams: Streams) -> int:
        with tempfile.TemporaryFile("w+") as stdin:
            stdin.write(streams.stdin)
            stdin.seek(0)
            before, sys.stdin = sys.stdin, stdin
            try:
                with contextlib.redirect_stdout(Output(streams.out)), contextlib.redirect_stderr(Output(streams.err)):
                    return typed(own_words(name, words, cluster))
            finally:
                sys.stdin = before

    return act


def ask_through(proxy: Callable[[], str]) -> Ask:
    """Requests through a cluster's forward proxy."""

    def ask(host: str, port: int, request: HttpRequest) -> HttpResponse:
        where = urlsplit(proxy())
        place = where.hostname or "127.0.0.1", where.port or 80
        netloc = f"{host}:{port}"
        connection: http.client.HTTPConnection
        if port in TLS_PORTS:
            context = ssl._create_unverified_context()
            connection = http.client.HTTPSConnection(*place, timeout=HTTP_TIMEOUT_S, context=context)
            connection.set_tunnel(host, port)
            target = request.path
        else:
            connection = http.client.HTTPConnection(*place, timeout=HTTP_TIMEOUT_S)
            target = f"http://{netloc}{request.path}"
        try:
            connection.request(request.method, target, request.body or None, dict(request.headers))
            answer = connection.getresponse()
            body = answer.read()
        except http.client.HTTPException as problem:
            raise ConnectionRefusedError(111, str(problem)) from None
        finally:
            connection.close()
        if answer.status in (502, 504) and body.startswith(b"seatrial proxy: "):
            raise TimeoutError(110, "timed out") if answer.status == 504 else ConnectionRefusedError(111, body.decode())
        return HttpResponse(answer.status, dict(answer.getheaders()), body)

    return ask


class Shell:
    """One cluster, one desk, and a user at the terminal."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._stdout, self._stderr = sys.stdout, sys.stderr
        self.session = HomeSession(home)
        acts = {"kubectl": kubectl_act(self.session), **{name: own_act(name, home.name) for name in OWN}}
        self.desk = Desk(acts, ask_through(self._proxy), self._out, self._err)
        self.session.files = DeskFiles(lambda: self.desk, self.session.files)

    def _proxy(self) -> str:
        url = str(remote.ask(self.home, "GET", "/addresses")["proxy"])
        if not url:
            raise ConnectionRefusedError(111, "the cluster has no proxy")
        return url

    def _out(self, text: str) -> None:
        self._stdout.write(text)
        self._stdout.flush()

    def _err(self, text: str) -> None:
        self._stderr.write(text)
        self._stderr.flush()

    def run(self, line: str, stdin: str = "") -> int:
        """Runs a line: an act alone at the terminal itself, anything else at the desk."""
        words = self.desk.words(line)
        if words is None or stdin:
            return self.desk.run(line, stdin)
        from seatrial.scenarios.kubectl import run

        try:
            if words[0] == "kubectl":
                return run(words[1:], self.session)
            return typed(own_words(words[0], words[1:], self.home.name))
        except Problem as problem:
            from seatrial.api.cli.app import tell

            tell(problem)
            return 1

    def candidates(self, line: str) -> list[str]:
        """What may stand in the place of a line's last word."""
        from seatrial.scenarios.kubectl.completion import candidates

        segment = line.rpartition("|")[2].rpartition(";")[2].lstrip()
        words = segment.split(" ")
        if len(words) == 1:
            names = [*self.desk.acts, "curl", "exit", "help"]
            return [f"{name} " for name in sorted(names) if name.startswith(words[0])]
        before = [word for word in words[1:-1] if word]
        if words[0] == "kubectl":
            found, directive = candidates([*before, words[-1]], self.session)
            return [each.partition("\t")[0] + ("" if directive == 6 else " ") for each in found]
        if words[0] in OWN:
            from click.shell_completion import ShellComplete

            from seatrial.api.cli.app import cli

            asked = ShellComplete(cli, {}, "seatrial", "_SEATRIAL_COMPLETE")
            return [f"{each.value} " for each in asked.get_completions([words[0], *before], words[-1])]
        return []

    def prompt(self) -> int:
        """Reads and runs lines until the end; the last exit code."""
        with history(self):
            code = 0
            while True:
                try:
                    line = self._line(f"{self.home.name}> ")
                    if line.strip() in ("help", "?"):
                        click.echo(HELP, nl=False)
                    elif line.strip():
                        code = self.run(line)
                        if self.desk.exited:
                            return code
                except EOFError:
                    click.echo()
                    return code
                except KeyboardInterrupt:
                    click.echo()
                    code = 130

    def _line(self, prompt: str) -> str:
        """A line, or several when quotes, here-documents or loops are open."""
        line = input(prompt)
        while is_incomplete(line + "\n"):
            line += "\n" + input("> ")
        return line


@contextlib.contextmanager
def history(shell: Shell) -> Iterator[None]:
    """The arrow keys and the tabulator at the prompt, where the terminal has them."""
    try:
        import readline
    except ImportError:
        yield
        return
    path = shell.home.path / "shell_history"
    with contextlib.suppress(OSError):
        readline.read_history_file(path)
    readline.set_history_length(HISTORY_MAX)
    found: list[str] = []

    def complete(text: str, state: int) -> str | None:
        if not state:
            line = readline.get_line_buffer()[: readline.get_endidx()]
            try:
                found[:] = shell.candidates(line)
            except Exception:
                found[:] = []
        return found[state] if state < len(found) else None

    readline.set_completer(complete)
    readline.set_completer_delims(" \t\n|;")
    readline.parse_and_bind("tab: complete")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            readline.write_history_file(path)


@click.command(short_help="Open a prompt with kubectl, curl, ssh and clock in it.")
@click.option("--command", "-c", "script", default=None, help="Run this and leave with its exit code.")
@cluster_option
def shell(script: str | None, name: str) -> int:
    """Open a prompt in which kubectl, curl, ssh, clock, fault and load act on one cluster.

    Pipes, loops, variables and files work as in any shell, and run in the simulation's own: nothing is started on this
    machine. Without a terminal the script comes from standard input.

    \b
    Examples:
      seatrial shell
      seatrial shell -c 'kubectl get pods -A | grep -v Running'
      seatrial shell --cluster lab < exercise.sh
    """
    home = existing(name)
    remote.running(home)
    made = Shell(home)
    if script is None and sys.stdin.isatty():
        click.echo(f"Everything here happens in cluster {name}. `help` says what there is, `exit` leaves.")
        return made.prompt()
    return made.desk.run(sys.stdin.read() if script is None else script)
