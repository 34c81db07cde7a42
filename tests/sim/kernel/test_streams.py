"""Random streams: by name, independent of each other, the same in every process."""

from __future__ import annotations

import re

from seatrial.sim.kernel.streams import ALPHABET, Streams, suffix, uid_from


def test_streams_do_not_disturb_each_other() -> None:
    alone, together = Streams(7), Streams(7)
    together("kubelet/w2").random()
    assert alone("kubelet/w1").random() == together("kubelet/w1").random()


def test_stream_goes_on_where_it_was() -> None:
    streams = Streams(7)
    assert streams("a") is streams("a")
    assert streams("a").random() != Streams(8)("a").random()


def test_values_do_not_depend_on_the_process() -> None:
    assert Streams(0)("names").getrandbits(32) == 726_055_558


def test_suffix_uses_the_safe_alphabet() -> None:
    text = suffix(Streams(1)("names"), 2000)
    assert set(text) == set(ALPHABET) == set("bcdfghjklmnpqrstvwxz2456789")


def test_uuid_is_of_version_four() -> None:
    rng = Streams(1)("uids")
    assert all(
        re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", uid_from(rng))
        for _ in range(200)
    )


def test_who_draws_seldom_draws_the_same() -> None:
    whole, seldom = Streams(7)("a"), Streams(7).seldom("a")
    assert [seldom.random() for _ in range(40)] == [whole.random() for _ in range(40)]
