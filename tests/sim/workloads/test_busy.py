"""What never waits keeps a core busy, and does not keep the host busy."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sim.workloads.running import Bench, output_of, script

CORE = 1_000_000_000
HALF = {"cpu_limit": CORE // 2}
BUSY = [
    "while true; do :; done",
    "until [ -e /tmp/never ]; do true; done",
    "while :; do i=$((i + 1)); done",
    "f() { while true; do true; done; }; f",
    "dd if=/dev/zero of=/dev/null",
    "dd if=/dev/urandom > /dev/null",
    "cat /dev/urandom > /dev/null",
    "cat < /dev/zero > /dev/null",
    "yes > /dev/null",
    "sha256sum /dev/zero",
    "md5sum < /dev/urandom",
]


def started(text: str, **more: Any) -> tuple[Bench, Any]:
    bench = Bench()
    return bench, bench.start(["sh", "-c", text], **more)


@pytest.mark.parametrize("text", BUSY)
def test_a_core_is_busy_until_the_process_ends(text: str) -> None:
    bench, container = started(f"{{ {text}; }} & sleep 20; kill -9 $!; sleep 1000")
    bench.run(10)
    assert bench.world.usage(container)[0] == CORE
    bench.run(20)
    assert bench.world.usage(container)[0] == 0
    burnt = container.cpu_total_ns()
    assert burnt == pytest.approx(20 * CORE, rel=0.1)
    bench.run(60)
    assert container.cpu_total_ns() == burnt


def test_a_limit_is_all_that_is_used() -> None:
    bench, container = started("while true; do :; done", **HALF)
    bench.run(100)
    assert bench.world.usage(container)[0] == CORE // 2
    assert container.cpu_total_ns() == pytest.approx(50 * CORE, rel=0.01)


def test_a_loop_that_waits_is_not_busy() -> None:
    bench, container = started("while true; do sleep 0.1; done")
    bench.run(100)
    assert bench.world.usage(container)[0] == 0


def test_what_goes_on_without_a_change_is_looked_at_rarely() -> None:
    bench, container = started("while true; do echo x; done")
    bench.run(60)
    assert 500 < len(container.log.lines) < 5000


def test_a_loop_sees_within_a_second_what_it_waits_for() -> None:
    bench, _ = started("(sleep 100; touch /tmp/there) & until [ -e /tmp/there ]; do :; done; exit 7")
    bench.run(102)
    assert [ended.code for ended, _ in bench.ends] == [7]


def test_a_loop_that_counts_ends_when_it_has_counted() -> None:
    result = script("i=0; while [ $i -lt 2000 ]; do i=$((i + 1)); done; echo $i")
    assert result.output == "2000\n"
    assert result.seconds < 0.05


def test_a_disk_is_filled_and_no_memory() -> None:
    bench, container = started("dd if=/dev/zero of=/tmp/file bs=1M; sleep 1000")
    container.fs.is_full = lambda: bench.clock.now > began + 5_000_000
    began = bench.clock.now
    bench.run(10)
    assert output_of(container) == "dd: error writing '/tmp/file': No space left on device\n"
    assert container.fs.find("/tmp/file", "/").size >= 2_000_000_000
