"""agnhost guestbook: a key-value store with a primary, replicas and a front, each a pod of its own."""

from __future__ import annotations

import json
from typing import Any

from seatrial.sim.workloads.agnhost.site import Handler, Site, Steps, Values, ask, flags, log, said, serving
from seatrial.sim.workloads.net import HttpRequest, HttpResponse
from seatrial.sim.workloads.process import Proc

RETRY_US = 1_000_000
TIMEOUT_US = 15_000_000


def guestbook(proc: Proc, words: list[str]) -> Steps:
    options = flags(words)
    port, backend = int(options.get("http-port", "80")), int(options.get("backend-port", "6379"))
    book = _Guestbook(proc, backend)
    if primary := options.get("replicaof"):
        proc.clock.spawn(book.register(primary), "guestbook")
    return serving(proc, {("TCP", port): Site(proc, book.routes)})


class _Guestbook:
    def __init__(self, proc: Proc, backend: int) -> None:
        self._proc, self._backend = proc, backend
        self._store: dict[str, str] = {}
        self._replicas: list[str] = []
        self.routes: dict[str, Handler] = {
            "/register": self._register,
            "/get": self._get,
            "/set": self._set,
            "/guestbook": self._front,
        }

    def register(self, primary: str) -> Any:
        proc, address = self._proc, self._proc.container.sandbox.ip
        until = proc.clock.now + TIMEOUT_US
        while proc.clock.now < until and proc.exit_status is None:
            log(proc, f"Registering to primary: {primary}:{self._backend}/register?host={address}")
            try:
                answer = json.loads(ask(proc, primary, self._backend, f"/register?host={address}"))
            except (OSError, ValueError) as problem:
                log(proc, f"encountered error while registering to primary: {problem}. Retrying in 1s.")
                yield proc.clock.sleep(RETRY_US)
                continue
            self._store = dict(answer["data"])
            log(proc, f"Registered to node: {primary}")
            return
        log(proc, "Timed out while registering to primary.")
        proc.kill(1)

    def _register(self, request: HttpRequest, values: Values) -> HttpResponse:
        replica = values.get("host", "")
        log(self._proc, f"GET /register?host={replica}")
        self._replicas.append(replica)
        log(self._proc, f"Node '{replica}' registered.")
        return said(json.dumps({"data": self._store}, separators=(",", ":")))

    def _get(self, request: HttpRequest, values: Values) -> HttpResponse:
        key = values.get("key", "")
        log(self._proc, f"GET /get?key={key}")
        found: Any = self._store.get(key, "") if key else self._store
        return said(json.dumps({"data": found}, separators=(",", ":")))

    def _set(self, request: HttpRequest, values: Values) -> HttpResponse:
        key, value = values.get("key", ""), values.get("value", "")
        log(self._proc, f"GET /set?key={key}&value={value}")
        if not key:
            return said("cannot set with empty key.\n", 400)
        self._store[key] = value
        for replica in self._replicas:
            try:
                ask(self._proc, replica, self._backend, f"/set?key={key}&value={value}")
            except OSError as problem:
                text = f"encountered error while propagating to replica '{replica}': {problem}\n"
                return said(text, 417)
        return said('{"message":"Updated"}')

    def _front(self, request: HttpRequest, values: Values) -> HttpResponse:
        command, key, value = (values.get(name, "") for name in ("cmd", "key", "value"))
        command = command.lower()
        log(self._proc, f"GET /guestbook?cmd={command}&key={key}&value={value}")
        if command not in ("get", "set"):
            return said(f"unsupported cmd: '{command}'\n", 400)
        if command == "set" and not key:
            return said("cannot set with empty key.\n", 400)
        host = "agnhost-primary" if command == "set" else "agnhost-replica"
        try:
            return said(ask(self._proc, host, self._backend, f"/{command}?key={key}&value={value}"))
        except OSError as problem:
            return said(f"encountered error while proxying to {host}: {problem}\n", 417)
