"""The journal: what is written is read; what cannot be read is said with its line."""

from __future__ import annotations

import io

import pytest

from seatrial.sim.kernel.journal import Entry, Journal, JournalError


def journal() -> Journal:
    written = Journal({"seed": 3})
    written.append(10, "request", {"path": "/api"})
    written.append(20, "run", None)
    return written


def test_what_is_written_is_read() -> None:
    read = Journal.load(journal().dump())
    assert read.header == {"seed": 3}
    assert read.entries == [Entry(10, "request", {"path": "/api"}), Entry(20, "run", None)]


def test_line_that_a_crash_cut_off_is_dropped() -> None:
    assert Journal.load(journal().dump()[:-5]).entries == [Entry(10, "request", {"path": "/api"})]


def test_journal_in_a_file_is_the_same_and_keeps_nothing_in_memory() -> None:
    whole, spooled, file = journal(), journal(), io.BytesIO()
    spooled.write_to(file)
    for each in (whole, spooled):
        each.append(30, "run", None)
    assert file.getvalue() == whole.dump()
    assert spooled.entries == []


@pytest.mark.parametrize(
    ("raw", "line", "reason"),
    [
        (b"", 1, "empty"),
        (b'{"seed":1}\n', 1, "version None"),
        (b'{"seatrialJournal":99}\n', 1, "version 99"),
        (b'{"seatrialJournal":2}\n{"at":\n', 2, "not JSON"),
        (b'{"seatrialJournal":2}\n[]\n', 2, "not a JSON object"),
        (b'{"seatrialJournal":2}\n{"at":1,"kind":"run"}\n', 2, "has no 'value'"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_line(raw: bytes, line: int, reason: str) -> None:
    with pytest.raises(JournalError, match=f"line {line}: .*{reason}"):
        Journal.load(raw)
