"""Whatever our own OpenAPI documents describe can be asked: requests drawn from them by schemathesis."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from properties.fuzzing import Front, Sent
from schemathesis.core import NotSet

STRIDE = 17
"""In continuous integration one operation in so many is tried; soak tries all."""


def document(front: Front, path: str) -> Any:
    target = "/openapi/v3" if not path else f"/openapi/v3/{path}"
    return json.loads(front.send(Sent("GET", target, {"accept": "application/json"}, b""))[1])


def operations(front: Front, paths: list[str]) -> Iterator[Any]:
    for path in paths:
        for found in schemathesis.openapi.from_dict(document(front, path)).get_all_operations():
            yield found.ok()


def request_of(case: Any) -> Sent:
    """A drawn case as it would come off a socket."""
    path = case.path
    for name, value in (case.path_parameters or {}).items():
        path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
    query = urlencode(case.query or {}, doseq=True)
    body = b"" if isinstance(case.body, NotSet) else json.dumps(case.body, default=str).encode()
    headers = {"accept": "application/json"}
    if body:
        headers["content-type"] = "application/json" if case.media_type in (None, "*/*") else case.media_type
    return Sent(case.method.upper(), path + (f"?{query}" if query else ""), headers, body)


@pytest.mark.parametrize(
    ("stride", "examples"), [(STRIDE, 5), pytest.param(1, 15, marks=pytest.mark.soak)], ids=["some", "all"]
)
def test_requests_from_the_documents_are_answered(stride: int, examples: int) -> None:
    front = Front()
    paths = sorted(document(front, "")["paths"])
    broken: list[str] = []
    tried = 0
    for operation in list(operations(front, paths))[::stride]:

        @seed(tried)
        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            nonlocal tried
            tried += 1
            problem = front.problem(request_of(case))
            if problem:
                broken.append(problem)

        ask()
    assert tried > 200
    assert broken == [], f"{len(broken)} of {tried}:\n" + "\n\n".join(broken[:10])
