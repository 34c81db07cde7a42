"""One command being done: what was typed, the session it acts through, and the way to the server."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from seatrial.scenarios.kubectl.client import Client
from seatrial.scenarios.kubectl.commands import Flags
from seatrial.scenarios.kubectl.failures import Failure, usage
from seatrial.scenarios.kubectl.session import Session

MICRO = 1_000_000


class Call:
    """A command with its arguments; ``dash`` is how many stand before ``--`` (-1 without one)."""

    def __init__(self, path: str, args: list[str], flags: Flags, dash: int, session: Session, typed: str) -> None:
        self.path = path
        self.args = args
        self.flags = flags
        self.dash = dash
        self.session = session
        self.typed = typed
        self.warned: list[str] = []
        self.show: Callable[[Any], str] | None = None
        self.is_chosen = False
        self.is_typed = False
        """Whether objects are printed as Go's structs, not as maps."""

    @cached_property
    def client(self) -> Client:
        return Client(self.session, self.flags, self.warn)

    @cached_property
    def namespace(self) -> str:
        """The namespace that is meant: by flag, else by the context, else default."""
        return self.flags["namespace"] or context_namespace(self.session.config, self.flags.get("context"))

    @property
    def explicit_namespace(self) -> bool:
        return bool(self.flags["namespace"])

    @property
    def command_args(self) -> list[str]:
        """The arguments after ``--``."""
        return self.args[self.dash :] if self.dash >= 0 else []

    @property
    def own_args(self) -> list[str]:
        """The arguments before ``--``."""
        return self.args[: self.dash] if self.dash >= 0 else self.args

    def out(self, text: str = "") -> None:
        """A line on standard output."""
        self.session.stdout.write(text + "\n")

    def write(self, text: str) -> None:
        self.session.stdout.write(text)

    def err(self, text: str) -> None:
        """A line on standard error."""
        self.session.stderr.write(text + "\n")

    def warn(self, text: str) -> None:
        """A warning, once (WarningHandler with Deduplicate)."""
        if text not in self.warned:
            self.warned.append(text)
            self.err(f"Warning: {text}")

    def finish(self) -> None:
        """``--warnings-as-errors``."""
        if self.flags.get("warnings-as-errors") and self.warned:
            count = len(self.warned)
            raise Failure(f"{count} warning{'s' if count > 1 else ''} received")

    def misused(self, text: str) -> Failure:
        """A usage error of this command."""
        return usage(self.path, text)

    def now(self) -> int:
        return self.session.now()

    @cached_property
    def dry_run(self) -> str:
        """none, client or server. Raises Failure."""
        given = self.flags.get("dry-run", "none")
        match given:
            case "none" | "client" | "server":
                return str(given)
            case "unchanged":
                self.log("helpers.go:714] --dry-run is deprecated and can be replaced with --dry-run=client.")
                return "client"
            case "true" | "false":
                instead = "client" if given == "true" else "none"
                self.log(f"helpers.go:728] --dry-run={given} is deprecated (boolean value) and can be replaced with "
                         f"--dry-run={instead}.")  # fmt: skip
                return instead
        raise Failure(f'Invalid dry-run value ({given}). Must be "none", "server", or "client".')

    def log(self, text: str) -> None:
        """A warning of klog: letter, month and day, time, process, place."""
        from datetime import UTC, datetime

        stamp = datetime.fromtimestamp(self.now() / MICRO, UTC).strftime("W%m%d %H:%M:%S.%f")
        self.err(f"{stamp}       1 {text}")

    @property
    def dry_note(self) -> str:
        """What follows the verb of a dry run."""
        return {"client": " (dry run)", "server": " (server dry run)"}.get(self.dry_run, "")

    def deadline(self, seconds: float) -> int | None:
        """When something that may take so long has to end; None for never."""
        return None if seconds <= 0 else self.now() + int(seconds * MICRO)

    def cause_note(self) -> dict[str, str]:
        """The annotation of ``--record``."""
        return {"kubernetes.io/change-cause": self.typed} if self.flags.get("record") else {}


def context_namespace(config: Any, name: str | None = None) -> str:
    """The namespace of a context of a kubeconfig."""
    name = name or config.get("current-context") or ""
    for row in config.get("contexts") or ():
        if row.get("name") == name:
            return str((row.get("context") or {}).get("namespace") or "default")
    return "default"
