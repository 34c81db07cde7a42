"""``kubectl events``. Source: k8s.io/kubectl/pkg/cmd/events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.scenarios.kubectl import printing
from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.describing.writer import interval, last_seen
from seatrial.scenarios.kubectl.failures import Failure
from seatrial.scenarios.kubectl.tabwriter import Columns
from seatrial.sim.machinery.durations import since

Object = Mapping[str, Any]


def run(call: Call) -> int:
    flags = call.flags
    if call.args:
        raise Failure(f'unknown command "{call.args[0]}" for "kubectl events"')
    kinds = [word.capitalize() for word in flags["types"]]
    for word, given in zip(kinds, flags["types"], strict=True):
        if word not in ("Normal", "Warning"):
            raise Failure(
                f'valid --types are Normal or Warning, not "{given}"'
                if given
                else "valid --types are Normal or Warning"
            )
    show = printing.printer(call)
    terms: list[str] = []
    if flags["for"]:
        word = flags["for"][-1] if isinstance(flags["for"], list) else flags["for"]
        target = _involved(call, word)
        terms += [f"involvedObject.kind={target[0]}", f"involvedObject.name={target[1]}"]
    namespace = "" if flags["all-namespaces"] else call.namespace
    kind = call.client.kind("events")
    query = {"fieldSelector": ",".join(terms), "limit": flags["chunk-size"] or None}
    listed = call.client.get(kind.path(namespace), query)
    found = [{"apiVersion": "v1", "kind": "Event", **item} for item in listed.get("items") or ()]
    found = [each for each in found if not kinds or each.get("type") in kinds]
    found.sort(key=last_seen)
    if show is not None:
        call.write(show({"apiVersion": "v1", "items": found, "kind": "List", "metadata": {"resourceVersion": ""}}))
        return 0
    if not found and not flags["watch"]:
        call.err("No events found." if flags["all-namespaces"] else f"No events found in {call.namespace} namespace.")
        return 0
    columns = Columns()
    head = [] if flags["no-headers"] else [_head(call)]
    for line in columns.lines([*head, *(_row(call, each) for each in found)]):
        call.out(line)
    if flags["watch"]:
        version = listed["metadata"]["resourceVersion"]
        for event in call.client.watch(kind.path(namespace), {**query, "limit": None, "resourceVersion": version}):
            if event["type"] in ("ADDED", "MODIFIED") and (not kinds or event["object"].get("type") in kinds):
                for line in columns.lines([_row(call, event["object"])]):
                    call.out(line)
    return 0


def _head(call: Call) -> list[str]:
    place = ["NAMESPACE"] if call.flags["all-namespaces"] else []
    return [*place, "LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]


def _row(call: Call, event: Object) -> list[str]:
    involved = event.get("involvedObject") or {}
    place = [event["metadata"].get("namespace", "")] if call.flags["all-namespaces"] else []
    ago = interval(lambda stamp: since(stamp, call.now()), event)
    name = f"{involved.get('kind', '')}/{involved.get('name', '')}"
    return [*place, ago, event.get("type", ""), event.get("reason", ""), name, (event.get("message") or "").strip()]


def _involved(call: Call, word: str) -> tuple[str, str]:
    """(kind, name) of what ``--for`` names. Raises Failure."""
    first, slash, name = word.partition("/")
    if not slash or not name:
        raise Failure("--for must be in resource/name form")
    kind = call.client.kind(first)
    return kind.kind, name
