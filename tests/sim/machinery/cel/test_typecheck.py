"""What a policy's status says of expressions that do not fit the kinds they are for."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.sim.machinery import schema
from seatrial.sim.machinery.cel import typecheck
from seatrial.sim.machinery.cel.types import Type

DEPLOYMENT = ("apps", "v1", "Deployment")


def type_of(kind: typecheck.Kind) -> Type | None:
    found = schema.type_of_kind(*kind)
    return None if found is None else typecheck.of_struct(found)


@pytest.mark.parametrize(
    ("spec", "warnings"),
    [
        ({"validations": [{"expression": "object.spec.replicas > 1"}]}, []),
        ({"validations": [{"expression": "object.spec.template.spec.containers.all(c, c.image != '')"}]}, []),
        (
            {"validations": [{"expression": "object.metadata.creationTimestamp < timestamp('2030-01-01T00:00:00Z')"}]},
            [],
        ),
        (
            {"validations": [{"expression": "object.spec.replicas > '1'"}]},
            [
                {
                    "fieldRef": "spec.validations[0].expression",
                    "warning": "apps/v1, Kind=Deployment: ERROR: <input>:1:22: found no matching overload for '_>_' "
                    "applied to '(int, string)'\n | object.spec.replicas > '1'\n | .....................^\n",
                }
            ],
        ),
        (
            {
                "variables": [{"name": "n", "expression": "object.spec.replicas"}],
                "validations": [{"expression": "true", "messageExpression": "variables.n + 'x'"}],
            },
            [
                {
                    "fieldRef": "spec.validations[0].messageExpression",
                    "warning": "apps/v1, Kind=Deployment: ERROR: <input>:1:13: found no matching overload for '_+_' "
                    "applied to '(int, string)'\n | variables.n + 'x'\n | ............^\n",
                }
            ],
        ),
        (
            {"validations": [{"expression": "object.spec.replica == 1"}]},
            [
                {
                    "fieldRef": "spec.validations[0].expression",
                    "warning": "apps/v1, Kind=Deployment: ERROR: <input>:1:12: undefined field 'replica'\n"
                    " | object.spec.replica == 1\n | ...........^\n",
                }
            ],
        ),
    ],
)
def test_expression_warnings(spec: dict[str, Any], warnings: list[dict[str, str]]) -> None:
    assert typecheck.warnings(spec, [DEPLOYMENT], type_of) == warnings
