"""The live cluster: what is durable, what is journalled, and where its calendar goes on."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from seatrial.api.problem import Problem
from seatrial.api.server import assembly, pki
from seatrial.api.server.assembly import Live, assemble, begin_us
from seatrial.api.server.state import Home, Settings
from seatrial.sim.apiserver.request import Credentials, Request, Response
from seatrial.sim.config import ClusterSpec
from seatrial.sim.store.sqlite import Durable

S = 1_000_000
ADMIN = Credentials("kubernetes-admin", ("system:masters",))
KEYS = pki.make()
SETTINGS = Settings(spec=ClusterSpec(name="lab", nodes=0, controllers="none"), seed=0, port=0, boots=1)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "lab")
    made.save(SETTINGS)
    return made


def create(live: Live, name: str) -> Response:
    path = "/api/v1/namespaces/default/configmaps"
    body = b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"%b"}}' % name.encode()
    request = Request("POST", path, body=body, credentials=ADMIN)
    answers: list[Response | None] = []
    assert live.submit(request, answers.append)
    (response,) = answers
    assert response is not None
    return response


def test_what_was_flushed_is_there_at_the_next_boot(home: Home) -> None:
    live = assemble(home, SETTINGS, KEYS)
    assert create(live, "kept").code == 201
    assert live.dirty()
    live.flush()
    assert not live.dirty()
    assert create(live, "lost").code == 201
    again = assemble(home, SETTINGS.model_copy(update={"boots": 2}), KEYS)
    found = [obj["metadata"]["name"] for obj in again.cluster.list("configmaps", "default")]
    assert ("kept" in found, "lost" in found) == (True, False)
    assert again.cluster.now > live.cluster.now
    again.close(0)


def test_each_boot_draws_names_of_its_own(home: Home) -> None:
    uids = []
    for boot in (1, 2):
        live = assemble(home, SETTINGS.model_copy(update={"boots": boot}), KEYS)
        uids.append(create(live, f"boot-{boot}").body["metadata"]["uid"])
        live.close(0)
    assert uids[0] != uids[1]


@pytest.mark.parametrize(
    ("facts", "begin"),
    [
        ({}, 1000 * S),
        ({"offset_us": -360 * S, "now_us": 900 * S}, 1360 * S),
        ({"offset_us": 0, "now_us": 1200 * S}, 1200 * S + 1),
        ({"offset_us": 60 * S, "now_us": 10 * S}, 940 * S),
    ],
)
def test_the_calendar_goes_on_and_never_back(tmp_path: Path, facts: dict[str, int], begin: int) -> None:
    durable = Durable(tmp_path / "cluster.db")
    for name, value in facts.items():
        durable.set_fact(name, str(value))
    durable.flush()
    assert begin_us(durable, 1000 * S) == begin
    durable.close()


def test_a_database_that_is_none_is_refused(home: Home) -> None:
    home.database.write_bytes(b"no database" * 500)
    with pytest.raises(Problem, match="damaged"):
        assemble(home, SETTINGS, KEYS)


def test_reads_are_not_journalled_and_a_full_journal_is_given_up(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "JOURNAL_ENTRIES_MAX", 3)
    live = assemble(home, SETTINGS, KEYS)
    assert not live.submit(Request("GET", "/api"), lambda _: None)
    assert live.cluster.journal.entries == []
    for number in range(6):
        create(live, f"n{number}")
    assert live.cluster.journal.entries == []
    assert "full" in live.cluster.journal.header
    live.close(0)


def test_a_request_that_waits_goes_on_when_time_does(home: Home) -> None:
    live = assemble(home, SETTINGS, KEYS)
    clock, given = live.cluster.clock, []

    def slow() -> Generator[Any, Any, Response]:
        yield clock.sleep(5 * S)
        return Response(200)

    steps = slow()
    live.carry_on(next(steps), steps, given.append)
    clock.run_until(clock.now + 4 * S)
    assert given == []
    clock.run_until(clock.now + S)
    assert [response.code for response in given if response is not None] == [200]
    live.close(0)
