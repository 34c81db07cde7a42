"""Patterns as Go's regexp reads them, and what it says of those that it cannot read."""

from __future__ import annotations

import pytest

from seatrial.sim.machinery.regexps import compiled

WRONG = {
    "(a": "missing closing ): `(a`",
    "x[a": "missing closing ]: `[a`",
    "a)": "unexpected ): `a)`",
    "a**": "invalid nested repetition operator: `**`",
    "*a": "missing argument to repetition operator: `*`",
    "a{1001}": "invalid repeat count: `{1001}`",
    "a(?=b)": "invalid or unsupported Perl syntax: `(?=`",
    "a(?<=b)": "invalid named capture: `(?<=b)`",
    "a(?<!b)>c": "invalid named capture: `(?<!b)>`",
    "(?P<n": "invalid named capture: `(?P<n`",
    "a\\": "trailing backslash at end of expression: ``",
    r"\8": r"invalid escape sequence: `\8`",
    "[z-a]": "invalid character class range: `z-a`",
}


@pytest.mark.parametrize(("pattern", "said"), WRONG.items())
def test_what_go_says_of_a_pattern_that_it_cannot_read(pattern: str, said: str) -> None:
    with pytest.raises(ValueError) as error:
        compiled(pattern)
    assert str(error.value) == f"error parsing regexp: {said}"


def test_flags_may_stand_in_the_middle() -> None:
    assert compiled("^(?i)(abort|warn)?$").search("Warn")


def test_syntax_that_only_some_know() -> None:
    assert compiled(r"^[[:alpha:]]+\z").search("abc")
    assert not compiled(r"^\d$").search("٣")
