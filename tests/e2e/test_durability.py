"""What was acknowledged survives kill -9: servers die under concurrent writers, again and again."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import ssl
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from seatrial.api.server.state import Home
from tests.e2e.conftest import DEADLINE_S, Machine, wait_for

pytestmark = pytest.mark.e2e
WRITERS = 4
ALIVE_MAX = 100
PATH = "/api/v1/namespaces/default/configmaps"
ACKNOWLEDGED_MAX = 60
"""So many writes are acknowledged at most before the server is killed."""
INSTANT_S = 0.02
"""From an acknowledgement to the kill at most: whatever the server is about to do, it is hit in the midst of it."""


class Writer(threading.Thread):
    """A client that creates, updates and deletes as fast as it is answered, and remembers what was acknowledged."""

    def __init__(
        self, number: int, port: int, context: ssl.SSLContext, held: dict[str, int], told: threading.Semaphore
    ) -> None:
        super().__init__(daemon=True)
        self.told = told
        """Released with each answer."""
        self.number = number
        self.held = held
        """By name: the last value that was acknowledged, -1 for a deletion."""
        self.unsure: dict[str, int] = {}
        """Sent, and not answered when the server died: either way is right."""
        self.refusals: list[str] = []
        self.stopped = False
        self._connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=DEADLINE_S)
        self._rng = random.Random(number * 1_000_003 + len(held))

    def run(self) -> None:
        try:
            self._write()
        finally:
            self._connection.close()

    def _write(self) -> None:
        turn = 0
        while not self.stopped:
            turn += 1
            alive = [name for name, value in self.held.items() if value >= 0]
            kind = self._rng.choice(("create", "create", "update", "delete")) if len(alive) > 3 else "create"
            if len(alive) > ALIVE_MAX and kind == "create":
                kind = "delete"  # the rounds stay alike, however many there are
            name = f"w{self.number}-{len(self.held)}" if kind == "create" else self._rng.choice(alive)
            value = -1 if kind == "delete" else self.held.get(name, 0) + turn
            self.unsure = {name: value}
            try:
                code = self._send(kind, name, value)
            except (OSError, http.client.HTTPException):
                return
            finally:
                self.told.release()
            if code not in (200, 201):
                self.refusals.append(f"{kind} {name}: {code}")
                return
            self.held[name] = value
            self.unsure = {}

    def _send(self, kind: str, name: str, value: int) -> int:
        body: Any = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"value": str(value)}}
        method = {"create": "POST", "update": "PUT", "delete": "DELETE"}[kind]
        path = PATH if kind == "create" else f"{PATH}/{name}"
        headers = {"Content-Type": "application/json"}
        self._connection.request(method, path, json.dumps(body) if kind != "delete" else None, headers)
        answer = self._connection.getresponse()
        answer.read()
        return answer.status


def client_context(home: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(home / "pki" / "ca.crt"))
    context.load_cert_chain(home / "pki" / "admin.crt", home / "pki" / "admin.key")
    return context


Held = list[dict[str, int]]


def read(home: Path) -> Any:
    """The list of what is there now."""
    process = json.loads((home / "process.json").read_text())
    connection = http.client.HTTPSConnection(
        "127.0.0.1", process["port"], context=client_context(home), timeout=DEADLINE_S
    )
    connection.request("GET", PATH)
    answer = connection.getresponse()
    assert answer.status == 200
    try:
        return json.loads(answer.read())
    finally:
        connection.close()


def check(home: Path, held: Held, unsure: Held) -> int:
    """Compares what is there with what was acknowledged; what nobody could be sure of is settled. The revision."""
    answer = read(home)
    found = {item["metadata"]["name"]: int(item["data"]["value"]) for item in answer["items"] if "data" in item}
    for mine, open_ in zip(held, unsure, strict=True):
        mine.update({name: value for name, value in open_.items() if found.get(name, -1) == value})
        for name, value in mine.items():
            assert found.get(name, -1) == value, f"{name}: {value} was acknowledged, {found.get(name)} is there"
    return int(answer["metadata"]["resourceVersion"])


def write_and_die(home: Path, held: Held, rng: random.Random) -> Held:
    """Clients write until the server is killed in the midst of it; what nobody can be sure of."""
    process = json.loads((home / "process.json").read_text())
    context = client_context(home)
    told = threading.Semaphore(0)
    writers = [Writer(number, process["port"], context, held[number], told) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    for _ in range(rng.randint(1, ACKNOWLEDGED_MAX)):
        assert told.acquire(timeout=DEADLINE_S), "nothing was acknowledged"
    time.sleep(rng.uniform(0, INSTANT_S))
    os.kill(process["pid"], signal.SIGKILL)
    for writer in writers:
        writer.stopped = True
        writer.join(DEADLINE_S)
        assert not writer.is_alive()
    assert [refusal for writer in writers for refusal in writer.refusals] == []
    return [writer.unsure for writer in writers]


@pytest.mark.parametrize("rounds", [20, pytest.param(1000, marks=pytest.mark.soak)])
def test_no_acknowledged_write_is_lost(machine: Machine, rounds: int) -> None:
    home = machine.root / "state" / "seatrial" / "seatrial"
    rng = random.Random(rounds)
    held: Held = [{} for _ in range(WRITERS)]
    unsure: Held = [{} for _ in range(WRITERS)]
    revision = 0
    machine.must("seatrial", "up", "--nodes", "0", "--controllers", "none")
    for _ in range(rounds):
        unsure = write_and_die(home, held, rng)
        wait_for("the end of the server", lambda: not Home(home).running)
        machine.must("seatrial", "up")
        known = check(home, held, unsure)
        assert known >= revision
        revision = known
    assert sum(len(mine) for mine in held) > rounds
