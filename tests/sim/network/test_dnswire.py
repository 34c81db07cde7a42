"""Names on the wire: bytes in, bytes out."""

from __future__ import annotations

import struct

import pytest

from seatrial.sim.network.dnswire import OverTcp, answered
from seatrial.sim.network.names import NOERROR, NXDOMAIN, Answer, Question, Record

WEB = "web.shop.svc.cluster.local"
EDNS = b"\0" + struct.pack("!2HIH", 41, 4096, 0, 0)


def query(name: str, kind: int = 1, number: int = 7, more: bytes = b"", flags: int = 0x0100) -> bytes:
    labels = b"".join(bytes((len(part),)) + part.encode() for part in name.split(".")) + b"\0"
    return struct.pack("!6H", number, flags, 1, 0, 0, 1 if more else 0) + labels + struct.pack("!2H", kind, 1) + more


def ask(question: Question) -> Answer:
    if question == Question(WEB, "A"):
        return Answer(NOERROR, (Record(WEB, "A", "10.96.7.1"),))
    if question == Question(f"_http._tcp.{WEB}", "SRV"):
        return Answer(NOERROR, (Record(question.name, "SRV", f"0 100 80 {WEB}"),))
    if question.name == "many.org":
        return Answer(NOERROR, tuple(Record("many.org", "A", f"10.0.0.{n}") for n in range(60)), ours=False)
    if question.name == "silent.org":
        raise TimeoutError
    return Answer(NXDOMAIN)


def counts(message: bytes | None) -> tuple[int, int, int, int]:
    """Number, flags, answers, additional records."""
    assert message is not None
    number, flags, _, answers, _, more = struct.unpack_from("!6H", message)
    return number, flags, answers, more


def test_an_address_has_four_bytes_and_the_question_is_repeated() -> None:
    asked = query(WEB.upper())
    said = answered(ask, asked)
    assert counts(said) == (7, 0x8500, 1, 0)
    assert said is not None
    assert said[12 : len(asked)] == asked[12:]
    assert said.endswith(struct.pack("!2HIH", 1, 1, 30, 4) + bytes((10, 96, 7, 1)))


def test_a_service_record_names_port_and_target() -> None:
    said = answered(ask, query(f"_http._tcp.{WEB}", 33))
    assert said is not None
    assert struct.pack("!3H", 0, 100, 80) + b"\x03web\x04shop" in said


@pytest.mark.parametrize(
    ("asked", "code"),
    [(query("nobody.org"), 3), (query(WEB, flags=0x2800), 4)],
    ids=["no such name", "an opcode that nobody knows"],
)
def test_what_cannot_be_answered_says_why(asked: bytes, code: int) -> None:
    number, flags, answers, _ = counts(answered(ask, asked))
    assert (number, flags & 15, answers) == (7, code, 0)


@pytest.mark.parametrize("data", [b"", b"x", query(WEB)[:20], query("silent.org")])
def test_what_is_no_question_gets_no_answer(data: bytes) -> None:
    assert answered(ask, data) is None


def test_an_answer_that_is_too_long_is_cut_unless_the_client_takes_more() -> None:
    assert counts(answered(ask, query("many.org"))) == (7, 0x8380, 0, 0)
    assert counts(answered(ask, query("many.org"), stream=True)) == (7, 0x8180, 60, 0)
    assert counts(answered(ask, query(WEB, more=EDNS))) == (7, 0x8500, 1, 1)


def test_over_tcp_each_message_comes_behind_its_length_in_whatever_pieces() -> None:
    got: list[bytes] = []
    connection = OverTcp(ask, got.append, lambda: None)
    message = query(WEB)
    sent = (len(message).to_bytes(2, "big") + message) * 2
    for at in range(0, len(sent), 11):
        connection.write(sent[at : at + 11])
    assert len(got) == 2
    assert all(int.from_bytes(each[:2], "big") == len(each) - 2 for each in got)
