"""Formats of names and values."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from seatrial.sim.machinery.validation import addresses, names

GOOD: Sequence[tuple[Callable[[str], Sequence[object]], Sequence[str]]] = (
    (names.label, ("a", "a-b", "0", "a" * 63)),
    (names.subdomain, ("a", "a.b-c.d", "0.1", ".".join(["a" * 63] * 3))),
    (names.label_1035, ("a", "a-1")),
    (names.label_value, ("", "A", "a.b_c-d", "a" * 63)),
    (names.qualified_name, ("a", "A.b_c", "example.com/a", "a/" + "b" * 63)),
    (names.env_name, ("A", "a.b", "_", "0 x")),
    (names.port_name, ("http", "a1", "a-1")),
    (names.path_segment, ("Any thing!", "a:b", "...")),
    (names.config_key, ("a.b", "_", "A-b")),
    (addresses.is_ip, ("10.0.0.1", "::1", "2001:DB8::1")),
    (addresses.is_canonical_ip, ("10.0.0.1", "2001:db8::1")),
    (addresses.is_cidr, ("10.0.0.0/8", "::/0")),
)
BAD: Sequence[tuple[Callable[[str], Sequence[object]], Sequence[str]]] = (
    (names.label, ("", "-a", "a-", "A", "a.b", "a" * 64, "a\n")),
    (names.subdomain, ("", ".", "a..b", "-a.b", "a" * 254)),
    (names.label_1035, ("", "1a", "a.b")),
    (names.label_value, ("-", "a b", "a" * 64, "a\n")),
    (names.qualified_name, ("", "/a", "a/b/c", "A_B/c", "a/", "-")),
    (names.env_name, ("", "A=B", "a\x01")),
    (names.port_name, ("", "80", "A", "a--b", "-a", "a" * 16)),
    (names.path_segment, (".", "..", "a/b", "a%b")),
    (names.config_key, ("", ".", "..", "..a", "a b")),
    (addresses.is_ip, ("", "10.0.0", "10.0.0.01", "::ffff:1.2.3.4", "10.0.0.1/8", "fe80::1%eth0")),
    (addresses.is_canonical_ip, ("2001:DB8::1", "0:0::1")),
    (addresses.is_cidr, ("", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0", "::ffff:0.0.0.0/100")),
)


@pytest.mark.parametrize(
    ("check", "value"),
    [(check, value) for check, values in GOOD for value in values],
    ids=lambda x: getattr(x, "__name__", str(x))[:40],
)
def test_right_names(check: Callable[[str], Sequence[object]], value: str) -> None:
    assert not check(value)


@pytest.mark.parametrize(
    ("check", "value"),
    [(check, value) for check, values in BAD for value in values],
    ids=lambda x: getattr(x, "__name__", str(x))[:40],
)
def test_wrong_names(check: Callable[[str], Sequence[object]], value: str) -> None:
    assert check(value)


def test_a_subdomain_is_a_label_with_dots() -> None:
    assert names.label("a.b") == ("must not contain dots",)
