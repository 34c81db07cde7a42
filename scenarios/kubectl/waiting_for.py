"""``kubectl wait``. Source: k8s.io/kubectl/pkg/cmd/wait."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from seatrial.scenarios.kubectl import jsonpath
from seatrial.scenarios.kubectl.builder import Target, fetched, wanted
from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.failures import Failure, finish
from seatrial.scenarios.kubectl.printing import printer
from seatrial.scenarios.kubectl.waiting import TIMED_OUT, until_gone
from seatrial.sim.machinery.errors import ApiError

Object = Mapping[str, Any]
Holds = Callable[[Object], bool]
NO_MATCH = "no matching resources found"
WEEK_S = 7 * 24 * 3600.0


def run(call: Call) -> int:
    flags = call.flags
    conditions = flags["for"] if isinstance(flags["for"], list) else [flags["for"]] if flags["for"] else []
    if not conditions:
        raise Failure('unrecognized condition: ""')
    timeout = flags["timeout"]
    deadline = call.now() + int((WEEK_S if timeout < 0 else timeout) * 1_000_000)
    problems: list[Exception] = []
    for text in conditions:
        _wait(call, text, deadline, problems)
        if problems:
            break
    finish(problems)
    return 0


def _wait(call: Call, text: str, deadline: int, problems: list[Exception]) -> None:
    lowered = text.lower()
    if lowered == "delete":
        _deleted(call, deadline, problems)
        return
    if lowered == "create":
        _created(call, deadline)
        return
    holds = condition_of(text)
    found = wanted(call, call.args)
    problems += found.problems
    targets = list(fetched(call, found, problems))
    if not targets and not problems:
        raise Failure(NO_MATCH)
    show = printer(call)
    for target in targets:
        try:
            held = _until(call, target, holds, deadline)
            call.write(show(held) if show is not None else f"{target.full_name} condition met\n")
        except (Failure, ApiError) as problem:
            problems.append(problem)


def condition_of(text: str) -> Holds:
    """What ``--for`` waits for. Raises Failure."""
    if text.startswith("condition="):
        name, _, value = text.removeprefix("condition=").partition("=")
        wanted_ = (value or "true").lower()

        def holds(obj: Object) -> bool:
            for each in (obj.get("status") or {}).get("conditions") or ():
                if each.get("type", "").lower() != name.lower():
                    continue
                generation = obj["metadata"].get("generation", 0)
                observed = each.get("observedGeneration") or (obj.get("status") or {}).get("observedGeneration")
                if observed is not None and observed < generation:
                    return False
                return bool(str(each.get("status", "")).lower() == wanted_)
            return False

        return holds
    if text.startswith("jsonpath="):
        return _by_path(text.removeprefix("jsonpath="))
    raise Failure(f'unrecognized condition: "{text}"')


def _by_path(text: str) -> Holds:
    match = re.fullmatch(r"(\{.*\}|[^=]+)(?:=(.*))?", text, re.DOTALL)
    if match is None:
        raise Failure(
            "jsonpath wait format must be --for=jsonpath='{.status.readyReplicas}'=3 or --for=jsonpath='{.status.readyReplicas}'"
        )
    path, value = match[1], match[2]
    if value == "":
        raise Failure(
            "jsonpath wait has to have a value after equal sign, like --for=jsonpath='{.status.readyReplicas}'=3"
        )
    wanted_ = None if value is None else value.strip("\"'") if value[:1] in "\"'" else value
    expression = jsonpath.relaxed(path)
    jsonpath.parse(expression)

    def holds(obj: Object) -> bool:
        found = jsonpath.values(expression, obj)
        if not found:
            return False
        if wanted_ is None:
            return True
        if isinstance(found[0], dict | list):
            raise Failure("jsonpath leads to a nested object or list which is not supported")
        return jsonpath.shown(found[0]) == wanted_

    return holds


def _until(call: Call, target: Target, holds: Holds, deadline: int) -> Object:
    """The object once the condition holds. Raises Failure when the time is over or it goes."""
    path, selector = target.kind.path(target.namespace), {"fieldSelector": f"metadata.name={target.name}"}
    while True:
        listed = call.client.get(path, selector)
        items = listed.get("items") or ()
        if not items:
            raise Failure(f'{target.kind.resource} "{target.name}" not found', plain=False)
        held: Object = {"apiVersion": target.kind.api_version, "kind": target.kind.kind, **items[0]}
        if holds(held):
            return held
        if call.now() >= deadline:
            raise Failure(f"{TIMED_OUT} on {target.kind.plural}/{target.name}")
        query = {**selector, "resourceVersion": listed["metadata"]["resourceVersion"]}
        for event in call.client.watch(path, query, deadline):
            if event["type"] == "DELETED":
                raise Failure(TIMED_OUT)
            if event["type"] in ("ADDED", "MODIFIED") and holds(event["object"]):
                found: Object = event["object"]
                return found
            if event["type"] == "ERROR":
                break
        if call.now() >= deadline:
            raise Failure(f"{TIMED_OUT} on {target.kind.plural}/{target.name}")


def _deleted(call: Call, deadline: int, problems: list[Exception]) -> None:
    found = wanted(call, call.args)
    missing: list[Exception] = []
    for target in fetched(call, found, missing):
        try:
            until_gone(call, target, deadline)
            call.out(f"{target.full_name} condition met")
        except Failure as problem:
            problems.append(problem)
    problems += [each for each in missing if not (isinstance(each, ApiError) and each.reason == "NotFound")]


def _created(call: Call, deadline: int) -> None:
    while True:
        found = wanted(call, call.args)
        problems: list[Exception] = []
        targets = list(fetched(call, found, problems))
        if targets and not problems:
            for target in targets:
                call.out(f"{target.full_name} condition met")
            return
        if any(not (isinstance(each, ApiError) and each.reason == "NotFound") for each in problems):
            raise problems[0]
        if call.now() >= deadline:
            raise Failure(TIMED_OUT)
        call.session.sleep(0.5)
