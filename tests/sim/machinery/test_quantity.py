"""Quantities: what the API server reads and writes for amounts of resources."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.sim.machinery import quantity
from seatrial.sim.machinery.quantity import FORMAT_WRONG, SUFFIX_WRONG, parse

READ = [
    # text, canonical form, whole units rounded up, thousandths rounded up
    ("0", "0", 0, 0),
    ("1000m", "1", 1, 1000),
    ("0.5", "500m", 1, 500),
    ("1.5Gi", "1536Mi", 1610612736, 1610612736000),
    ("2048Ki", "2Mi", 2097152, 2097152000),
    ("0.5Ki", "512", 512, 512000),
    ("1024", "1024", 1024, 1024000),
    ("1000000", "1M", 1000000, 1000000000),
    ("100k", "100k", 100000, 100000000),
    ("1e3", "1e3", 1000, 1000000),
    ("3.5e-3", "3500e-6", 1, 4),
    ("1E", "1E", 10**18, 10**21),
    ("-3", "-3", -3, -3000),
    ("-1.5", "-1500m", -2, -1500),
    ("+5", "5", 5, 5000),
    ("00.10", "100m", 1, 100),
    (".5", "500m", 1, 500),
    ("0.1n", "1n", 1, 1),
    ("123.456Mi", "129452998656m", 129452999, 129452998656),
    ("9Ei", str(2**63 - 1), 2**63 - 1, (2**63 - 1) * 1000),
]
REFUSED = [
    ("", FORMAT_WRONG),
    ("abc", FORMAT_WRONG),
    ("1Kb", FORMAT_WRONG),
    ("1 ", FORMAT_WRONG),
    ("1.2.3", FORMAT_WRONG),
    ("1e", SUFFIX_WRONG),
    ("1ki", SUFFIX_WRONG),
    ("1KiB", FORMAT_WRONG),
    ("1e999999999999", SUFFIX_WRONG),
]

amounts = st.builds(
    lambda number, suffix: f"{number}{suffix}",
    st.integers(-(10**6), 10**6),
    st.sampled_from(["", "n", "u", "m", "k", "M", "G", "Ki", "Mi", "Gi", "e3", "e-2"]),
)


@pytest.mark.parametrize(("text", "canonical", "value", "milli"), READ, ids=[row[0] for row in READ])
def test_a_quantity_is_read_and_written_canonically(text: str, canonical: str, value: int, milli: int) -> None:
    found = parse(text)
    assert (str(found), found.value(), found.milli_value()) == (canonical, value, milli)


@pytest.mark.parametrize(("text", "why"), REFUSED, ids=[row[0] or "empty" for row in REFUSED])
def test_what_is_no_quantity_is_refused_in_the_servers_words(text: str, why: str) -> None:
    with pytest.raises(ValueError, match="quantit") as refusal:
        parse(text)
    assert str(refusal.value) == why


@given(amounts)
def test_the_canonical_form_is_worth_the_same_and_final(text: str) -> None:
    once = parse(text)
    again = parse(str(once))
    assert again == once
    assert str(again) == str(once)


@given(amounts, amounts)
def test_sums_and_comparisons_agree_with_the_amounts(one: str, other: str) -> None:
    a, b = parse(one), parse(other)
    assert a + b == b + a
    assert (a + b) - b == a
    assert (a < b) is ((b - a).nanos > 0)
    assert (hash(a) == hash(b)) or a != b


def test_a_sum_keeps_the_suffixes_of_what_was_there_first() -> None:
    assert str(parse("1Gi") + parse("1024")) == "1048577Ki"
    assert str(parse("1024") + parse("1Gi")) == "1073742848"
    assert str(parse("0") + parse("2Gi")) == "2Gi"
    assert str(quantity.of(3) * 2) == "6"
    assert str(quantity.of_milli(1500)) == "1500m"
