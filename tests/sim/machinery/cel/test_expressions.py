"""The expression language: what expressions give, how they fail, what is refused, what they cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from seatrial.sim.machinery.cel import types
from seatrial.sim.machinery.cel.authorization import authorizer
from seatrial.sim.machinery.cel.declarations import OPAQUE
from seatrial.sim.machinery.cel.environment import Environment
from seatrial.sim.machinery.cel.errors import CelError, CostExceeded, EvaluationError, location

CASES = yaml.safe_load((Path(__file__).parents[3] / "data" / "cel_cases.yaml").read_text())
ENVIRONMENT = Environment(
    {
        "object": types.DYN,
        "s": types.STRING,
        "n": types.INT,
        "authorizer": types.opaque(OPAQUE["Authorizer"]),
    }
)
OBJECT = {
    "metadata": {"name": "web", "labels": {"a": "b"}},
    "spec": {"replicas": 3, "list": [1, 2, 3], "text": "x y", "none": None},
}
BINDINGS = {"object": OBJECT, "s": "shop", "n": 7, "authorizer": authorizer(lambda question: (True, ""))}


@pytest.mark.parametrize(("text", "value"), CASES["values"])
def test_a_value(text: str, value: Any) -> None:
    found = ENVIRONMENT.compile(text).evaluate(BINDINGS)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(("text", "message"), CASES["failures"])
def test_a_failure(text: str, message: str) -> None:
    with pytest.raises(EvaluationError) as failure:
        ENVIRONMENT.compile(text).evaluate(BINDINGS)
    assert str(failure.value) == message


@pytest.mark.parametrize("case", CASES["refusals"], ids=lambda case: case[0])
def test_a_refusal(case: list[str]) -> None:
    text, *messages = case
    with pytest.raises(CelError) as refused:
        ENVIRONMENT.compile(text)
    shown = [":".join(map(str, location(text, issue.at)[:2])) + f": {issue.text}" for issue in refused.value.issues]
    assert shown == messages


def test_a_refusal_shows_the_place() -> None:
    with pytest.raises(CelError) as refused:
        ENVIRONMENT.compile("s ==\n  'é' + x")
    assert str(refused.value) == (
        "ERROR: <input>:2:9: undeclared reference to 'x' (in container '')\n |   'é' + x\n | ...．....^"
    )


@pytest.mark.parametrize(("text", "cost"), CASES["costs"])
def test_a_cost(text: str, cost: int) -> None:
    assert ENVIRONMENT.compile(text).measured(BINDINGS)[1] == cost


def test_an_evaluation_stops_at_its_limit() -> None:
    program = ENVIRONMENT.compile("object.spec.list.all(a, object.spec.list.all(b, a + b > 0)) || true")
    with pytest.raises(CostExceeded):
        program.evaluate(BINDINGS, limit=20)


INTEGERS = st.integers(-(2**63), 2**63 - 1)


@given(INTEGERS, INTEGERS)
def test_division_is_that_of_go(a: int, b: int) -> None:
    environment = Environment({"a": types.INT, "b": types.INT})
    if b == 0 or (a == -(2**63) and b == -1):
        with pytest.raises(EvaluationError):
            environment.compile("a / b").evaluate({"a": a, "b": b})
        return
    quotient = environment.compile("a / b").evaluate({"a": a, "b": b})
    rest = environment.compile("a % b").evaluate({"a": a, "b": b})
    assert quotient * b + rest == a and abs(rest) < abs(b) and (rest == 0 or (rest < 0) == (a < 0))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-5, 5) | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=6,
)


@given(VALUES, VALUES)
def test_equality_is_an_equivalence_that_membership_respects(a: Any, b: Any) -> None:
    environment = Environment({"a": types.DYN, "b": types.DYN})
    given_values = {"a": a, "b": b}

    def holds(text: str) -> bool:
        return environment.compile(text).evaluate(given_values) is True

    assert holds("a == a")
    assert holds("a == b") == holds("b == a") == holds("a in [b]") == (not holds("a != b"))


@given(st.text(alphabet="ns.()[]{}?:+-*/<>=&|!'\"\\ 01ax,", max_size=24))
def test_whatever_is_written_is_compiled_or_refused(text: str) -> None:
    try:
        program = ENVIRONMENT.compile(text)
    except CelError as refused:
        assert str(refused).startswith("ERROR: <input>:")
        return
    try:
        program.evaluate(BINDINGS)
    except EvaluationError as failed:
        assert str(failed)
