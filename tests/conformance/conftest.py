"""Options of the conformance tests: other directories of cases and oracles in the form of those in tests/data."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cases", metavar="DIR", help="also run the *_cases.yaml of this directory")
    parser.addoption("--oracle", metavar="DIR", help="also run the *.json.gz oracle recordings of this directory")
