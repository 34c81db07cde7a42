"""Schedules of cron jobs and their time zones."""

from __future__ import annotations

import pytest

from seatrial.sim.machinery.validation.cron import schedule_problem, zone_problem

PROBLEMS = (
    ("* * * * *", ""),
    ("*/5 0-12/2 1,15 JAN-MAR sun", ""),
    ("0 0 ? * 0-6", ""),
    ("@hourly", ""),
    ("@every 1h30m", ""),
    ("", "empty spec string"),
    ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
    ("60 * * * *", "end of range (60) above maximum (59): 60"),
    ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
    ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
    ("*/0 * * * *", "step of range should be a positive number: */0"),
    ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
    ("1/2/3 * * * *", "too many slashes: 1/2/3"),
    ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
    ("@never", "unrecognized descriptor: @never"),
)


@pytest.mark.parametrize(("schedule", "problem"), PROBLEMS, ids=[schedule for schedule, _ in PROBLEMS])
def test_schedules(schedule: str, problem: str) -> None:
    assert schedule_problem(schedule) == problem


@pytest.mark.parametrize("zone", ["Europe/Berlin", "UTC", "America/Argentina/Buenos_Aires", "Etc/GMT+5"])
def test_known_zones(zone: str) -> None:
    assert not zone_problem(zone)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc", "/UTC", "europe/nowhere"])
def test_unknown_zones(zone: str) -> None:
    assert zone_problem(zone)
