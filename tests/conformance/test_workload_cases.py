"""Upstream's own table tests of the workload controllers, through the functions that decide in a cluster."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.conformance.cases import Object, Runner, judged, parametrize
from tests.conformance.deployments import DEPLOYMENTS
from tests.conformance.jobs import JOBS
from tests.conformance.nodes import NODES
from tests.conformance.statefulsets import STATEFULSETS

RUNNERS: Mapping[str, Runner] = {**DEPLOYMENTS, **JOBS, **STATEFULSETS, **NODES}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    parametrize(metafunc, "*workload_cases*.yaml", "area")


def test_case(case: Object) -> None:
    judged(RUNNERS[case["area"]], case)
