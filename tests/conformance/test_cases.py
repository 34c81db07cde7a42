"""What is said of cases holds: a field that no test looks at makes its case fail."""

from __future__ import annotations

import pytest

from tests.conformance.cases import judged, plain

CASE = {"inputs": {"a": 1, "pod": {"name": "p"}, "rows": [{"x": 1}]}, "expect": {"b": 2}}


def test_a_case_that_is_looked_at_whole_passes() -> None:
    judged(lambda given, expect: plain([given, expect]) and None, CASE)


def test_a_field_that_nobody_looks_at_is_named() -> None:
    with pytest.raises(AssertionError, match=r"inputs\.pod\.name, inputs\.rows\[0\]\.x, expect\.b$"):
        judged(lambda given, expect: [given[key] for key in ("a", "pod", "rows")] and None, CASE)
