"""The status of validating policies."""

from __future__ import annotations

from typing import Any

from seatrial.sim.controllers import policystatus


def checked(expression: str, **rule: Any) -> dict[str, Any]:
    rules = [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["deployments"], **rule}]
    spec = {"matchConstraints": {"resourceRules": rules}, "validations": [{"expression": expression}]}
    return policystatus.type_checking(spec)


def test_expressions_are_checked_against_the_kinds_that_rules_name() -> None:
    assert checked("object.spec.replicas > 1") == {}
    (warning,) = checked("object.spec.replicas > '1'")["expressionWarnings"]
    assert warning["fieldRef"] == "spec.validations[0].expression"
    assert warning["warning"].startswith("apps/v1, Kind=Deployment: ERROR: <input>:1:22: found no matching overload")


def test_rules_with_wildcards_name_no_kind() -> None:
    assert checked("object.spec.replicas > '1'", resources=["*"]) == {}
