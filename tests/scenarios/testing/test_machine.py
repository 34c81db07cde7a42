"""The state machine over whole clusters: the built-in controllers keep their promises, whatever breaks."""

from __future__ import annotations

import pytest
from hypothesis import settings

from seatrial.scenarios.testing.machine import ClusterMachine


class Shortly(ClusterMachine):
    """What continuous integration has time for."""


class Long(ClusterMachine):
    """The same for as long as one likes."""


TestShortly = Shortly.TestCase
TestShortly.settings = settings(max_examples=8, stateful_step_count=12)
TestLong = pytest.mark.soak(Long.TestCase)
TestLong.settings = settings(max_examples=1500, stateful_step_count=40)
