"""Changing a running cluster's history: who asks while the server goes over to the other one is not answered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seatrial.api.cli import branches
from seatrial.api.problem import Problem
from seatrial.api.server.state import Home

RESULT = {"at": "now", "revision": 5, "gaveUp": {"at": "later", "revision": 9}, "kept": ""}
CLOCK: dict[str, Any] = {}
SILENCE = Problem("cluster lab", "its server does not answer", "look at its log")


def changed(monkeypatch: pytest.MonkeyPatch, home: Home, answers: list[Any]) -> None:
    """Asks a server that answers so when it is asked for its status."""

    def ask(home: Home, method: str, path: str, *_: Any, **__: Any) -> Any:
        if path != "/status":
            return RESULT
        answer = answers.pop(0)
        if isinstance(answer, Problem):
            raise answer
        return {"history": answer, "clock": CLOCK}

    monkeypatch.setattr(branches.remote, "ask", ask)
    monkeypatch.setattr(branches, "tell", lambda clock: None)
    monkeypatch.setattr(branches.time, "sleep", lambda seconds: None)
    branches.change(home, "/clock/rewind", {})


def test_a_server_that_goes_over_to_the_other_history_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home(tmp_path)
    assert home.acquire()
    changed(monkeypatch, home, [1, 1, SILENCE, 2])
    assert "goes on from now (revision 5)" in capsys.readouterr().out
    home.release()


def test_a_server_that_has_died_on_the_way_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(Problem, match="does not answer"):
        changed(monkeypatch, Home(tmp_path), [1, SILENCE])
