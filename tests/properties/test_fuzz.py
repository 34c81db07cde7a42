"""Whatever is asked, the server answers: mutated requests of real clients against the whole pipeline, edge included."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conformance import exchanges
from conformance.creations import files
from properties.fuzzing import Front, Mutator, Sent, Witness

FAILURES_SHOWN = 10


def recorded(front: Front) -> Iterator[Sent]:
    """Every recorded request after it was sent as it was, so that what it is about is there."""
    witness = Witness(front.cluster)
    for path in files():
        for _ in exchanges.replay(witness, exchanges.read(path)):  # type: ignore[arg-type]
            yield witness.last


@pytest.mark.parametrize("total", [2_000, pytest.param(100_000, marks=pytest.mark.soak)])
def test_mutated_requests_are_answered(total: int) -> None:
    """No exception, no failure of the server's own, nothing stored by a request that is refused."""
    front, mutator = Front(), Mutator(total)
    known = sum(len(exchanges.read(path)) for path in files())
    sent, broken = 0, []
    for number, request in enumerate(recorded(front), 1):
        while sent * known < number * total:
            sent += 1
            mutated = mutator.mutated(request)
            problem = front.problem(mutated)
            if problem:
                broken.append(problem)
    assert sent >= total
    assert broken == [], f"{len(broken)} of {sent}:\n" + "\n\n".join(broken[:FAILURES_SHOWN])
