"""What a client holds open into the simulation: a process in a container, a connection into a pod.

Each opening, and whatever its client does with it afterwards, is handed to ``enter`` first, which writes it down; a
replay opens the same sessions again and does the same with them, with nobody there to hear what they say.

``provide`` adds a kind of session: an opener takes the JSON-shaped value that says what to open and two calls, for
output and for the end, and returns an object whose methods are named by the acts of ``Held``.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from seatrial.sim.apiserver.kubelets import ExecError, Kubelet, Kubelets
from seatrial.sim.machinery.errors import ApiError

ENTRY: Final = "session"
"""The kind of a journal's entries about sessions."""
Say = Callable[..., None]
Opener = Callable[[Mapping[str, Any], Say, Say], Any]
"""Opens a session. Raises ExecError, ApiError or OSError for one that there cannot be."""
REFUSALS: Final = (ExecError, ApiError, OSError)


class Held:
    """An open session, as its client uses it (``kubelets.Session`` and ``kubelets.Connection``)."""

    def __init__(self, sessions: Sessions, number: int) -> None:
        self._sessions = sessions
        self._number = number

    def write_stdin(self, data: bytes) -> None:
        self._sessions.act(self._number, "write_stdin", data)

    def close_stdin(self) -> None:
        self._sessions.act(self._number, "close_stdin")

    def resize(self, width: int, height: int) -> None:
        self._sessions.act(self._number, "resize", width, height)

    def write(self, data: bytes) -> None:
        self._sessions.act(self._number, "write", data)

    def close_write(self) -> None:
        self._sessions.act(self._number, "close_write")

    def close(self) -> None:
        self._sessions.act(self._number, "close")


class Sessions:
    """The sessions of one cluster."""

    def __init__(self, kubelets: Kubelets, enter: Callable[[str, Any], None]) -> None:
        self._kubelets = kubelets
        self._enter = enter
        self._count = 0
        self._open: dict[int, Any] = {}
        self._openers: dict[str, Opener] = {
            "exec": self._exec, "attach": self._attach, "port-forward": self._forward
        }  # fmt: skip

    def provide(self, kind: str, opener: Opener) -> None:
        """Lets sessions of one more kind be opened, and opened again by a replay."""
        self._openers[kind] = opener

    def open(self, kind: str, value: Mapping[str, Any], on_output: Say, on_end: Say) -> Held:
        """Opens a session at this moment. Raises what its opener raises."""
        number = self._count + 1
        self._enter(ENTRY, {"session": number, "open": kind, **value})
        self._begin(number, kind, value, on_output, on_end)
        return Held(self, number)

    def _begin(self, number: int, kind: str, value: Mapping[str, Any], on_output: Say, on_end: Say) -> None:
        self._count = number

        def ended(*arguments: Any) -> None:
            self._open.pop(number, None)
            on_end(*arguments)

        self._open[number] = None
        try:
            opened = self._openers[kind](value, on_output, ended)
        except BaseException:
            self._open.pop(number, None)
            raise
        if number in self._open:
            self._open[number] = opened

    def act(self, number: int, act: str, *arguments: Any) -> None:
        """The client of an open session does something; without effect on one that has ended."""
        if number in self._open:
            told = [_written(each) for each in arguments]
            self._enter(ENTRY, {"session": number, "act": act, **({"with": told} if told else {})})
            self._do(number, act, arguments)

    def _do(self, number: int, act: str, arguments: Sequence[Any]) -> None:
        # What was due before may have ended it.
        session = self._open.get(number)
        if session is not None:
            if act == "close":
                del self._open[number]
            getattr(session, act)(*arguments)

    def hang_up(self) -> None:
        """All clients are gone, as when the server that carried their connections has ended."""
        for number in list(self._open):
            self.act(number, "close")

    def replay(self, value: Mapping[str, Any]) -> None:
        """Takes in an entry of the journal."""
        number, kind = value["session"], value.get("open")
        if kind is None:
            self._do(number, value["act"], [_read(each) for each in value.get("with") or ()])
            return
        rest = {key: each for key, each in value.items() if key not in ("session", "open")}
        with suppress(*REFUSALS):
            self._begin(number, kind, rest, _unheard, _unheard)

    # what kubelets serve

    def at(self, node: str, kubelet: Kubelet) -> Kubelet:
        """A node's kubelet whose sessions are written down."""
        return Recorded(self, node, kubelet)

    def _kubelet(self, value: Mapping[str, Any]) -> Kubelet:
        served = self._kubelets.find(value["node"])
        if served is None:
            raise OSError(f"dial tcp: lookup {value['node']}: no such host")
        return served.kubelet

    def _exec(self, value: Mapping[str, Any], on_output: Say, on_exit: Say) -> Any:
        place = (value["namespace"], value["pod"], value["container"])
        stdin, tty = value.get("stdin", False), value.get("tty", False)
        return self._kubelet(value).exec(*place, list(value["command"]), on_output, on_exit, stdin=stdin, tty=tty)

    def _attach(self, value: Mapping[str, Any], on_output: Say, on_exit: Say) -> Any:
        place = (value["namespace"], value["pod"], value["container"])
        return self._kubelet(value).attach(*place, on_output, on_exit)

    def _forward(self, value: Mapping[str, Any], on_data: Say, on_close: Say) -> Any:
        return self._kubelet(value).port_forward(value["namespace"], value["pod"], value["port"], on_data, on_close)


class Recorded:
    """A kubelet (``kubelets.Kubelet``) whose sessions go through ``Sessions``; everything else is its own."""

    def __init__(self, sessions: Sessions, node: str, kubelet: Kubelet) -> None:
        self._sessions = sessions
        self._node = node
        self._kubelet = kubelet

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kubelet, name)

    def exec(
        self,
        namespace: str,
        pod: str,
        container: str,
        command: list[str],
        on_output: Say,
        on_exit: Say,
        stdin: bool = False,
        tty: bool = False,
    ) -> Held:
        value = {"node": self._node, "namespace": namespace, "pod": pod, "container": container, "command": command}
        asked = {key: True for key, wanted in (("stdin", stdin), ("tty", tty)) if wanted}
        return self._sessions.open("exec", {**value, **asked}, on_output, on_exit)

    def attach(self, namespace: str, pod: str, container: str, on_output: Say, on_exit: Say) -> Held:
        value = {"node": self._node, "namespace": namespace, "pod": pod, "container": container}
        return self._sessions.open("attach", value, on_output, on_exit)

    def port_forward(self, namespace: str, pod: str, port: int, on_data: Say, on_close: Say) -> Held:
        value = {"node": self._node, "namespace": namespace, "pod": pod, "port": port}
        return self._sessions.open("port-forward", value, on_data, on_close)


def _unheard(*_: Any) -> None:
    """Where the client was, in a replay."""


def _written(argument: Any) -> Any:
    return {"base64": base64.b64encode(argument).decode()} if isinstance(argument, bytes | bytearray) else argument


def _read(argument: Any) -> Any:
    return base64.b64decode(argument["base64"]) if isinstance(argument, Mapping) else argument
