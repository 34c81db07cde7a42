"""``seatrial connect`` in the foreground: whatever moment it is told to end at, the Service is its pods' again."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from click.testing import CliRunner

from seatrial.api.cli import connect
from seatrial.api.server.state import Home


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("moment", ["the last word", "the wait"])
def test_a_signal_gives_the_service_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, number: signal.Signals, moment: str
) -> None:
    asked: list[str] = []
    wait = signal.sigwait

    def look(*_: Any) -> bool:
        if moment == "the last word":
            signal.raise_signal(number)
        return True

    def waited(numbers: Any) -> Any:
        if moment == "the wait":
            signal.raise_signal(number)
        return wait(numbers)

    monkeypatch.setattr(connect, "existing", lambda name: Home(tmp_path / name))
    monkeypatch.setattr(connect.remote, "ask", lambda home, method, *_: asked.append(method))
    monkeypatch.setattr(connect, "listens", look)
    monkeypatch.setattr(connect.signal, "sigwait", waited)
    done = CliRunner().invoke(connect.connect, ["svc/cart", "--to", "8080"], catch_exceptions=False)
    assert (done.exit_code, asked) == (0, ["POST", "DELETE"])
    assert done.output.endswith("service default/cart is its pods' again\n")
