"""Recorded requests and a real server's answers, replayed at the pipeline in process.

A recording is one JSON object a line: group, name, method, path, query, headers, body or raw, status, response,
warnings. Groups run in order, each in a namespace of its own; answers feed variables of later requests.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

import yaml
from conformance.masks import differences, masked

from seatrial.api.kubernetes import encoding
from seatrial.sim.apiserver.request import Credentials, Request, Response
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec

ADMIN = Credentials("kubernetes-admin", ("system:masters",))
USER_AGENT = "Python-urllib/3.11"
PAUSE_US = 2_000_000
"""Simulated time between a group's first request and its namespace, and where a recording paused."""
ROUND_TRIP_US = 5_000
"""From one request to a client's next one."""
VARIABLE = re.compile(r"\{(\w+)\}")


class Difference(NamedTuple):
    """One request whose answer is not the recorded one."""

    group: str
    name: str
    request: str
    status_equal: bool
    fields: list[tuple[str, Any, Any]]


class Answer(NamedTuple):
    status: int
    body: Any
    warnings: list[str]


def read(path: Path) -> list[dict[str, Any]]:
    """The exchanges of one recorded group."""
    with gzip.open(path, "rt") as lines:
        return [json.loads(line) for line in lines]


def bare_cluster() -> Cluster:
    """A control plane with nothing but its API server, as the recordings were made against."""
    return Cluster(ClusterSpec(nodes=0, controllers="none"))


def send(cluster: Cluster, method: str, path: str, body: bytes | None, options: Mapping[str, Any]) -> Answer:
    """One request as a socket would bring it."""
    route, _, query = path.partition("?")
    pairs: dict[str, tuple[str, ...]] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        pairs[key] = (*pairs.get(key, ()), value)
    request = Request(
        method,
        unquote(route),
        pairs,
        b"" if body is None else body,
        options.get("ctype") or "application/json",
        options.get("accept") or "application/json",
        credentials=ADMIN,
        user_agent=USER_AGENT,
        headers={key.lower(): value for key, value in (options.get("headers") or {}).items()},
    )
    response = cluster.request(request)
    return Answer(response.code, _shown(cluster, response), [f'299 - "{_quoted(text)}"' for text in response.warnings])


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _shown(cluster: Cluster, response: Response) -> Any:
    """The body as the recording client saw it: JSON decoded, a watch as its frames until it ends, else text."""
    body = response.body
    if response.streaming:
        frames = []
        while not body.closed:
            frames += body.read()
            cluster.run(100_000)
        frames += body.read()
        seen = [{"type": frame.type, "object": json.loads(encoding.json_bytes(frame.object))} for frame in frames]
        return seen[0] if len(seen) == 1 else seen
    if isinstance(body, bytes):
        text = body.decode()
        return json.loads(text) if response.content_type.startswith("application/json") else text
    if response.content_type == "application/yaml":
        return encoding.yaml_bytes(body).decode()
    return json.loads(encoding.json_bytes(body))


def replay(cluster: Cluster, recorded: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], Answer]]:
    """Each recorded exchange with our answer."""
    namespace = f"x-{recorded[0]['group']}"
    new = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    send(cluster, "POST", "/api/v1/namespaces", json.dumps(new).encode(), {})
    cluster.run(PAUSE_US)
    variables: dict[str, Any] = {"NS": namespace}

    def filled(text: str) -> str:
        return VARIABLE.sub(lambda found: str(variables.get(found[1], found[0])), text)

    for want in recorded:
        body = None
        if want.get("body") is not None:
            body = filled(json.dumps(want["body"])).encode()
        elif want.get("raw") is not None:
            body = filled(want["raw"]).encode()
        answer = send(cluster, want["method"], filled(want["path"]), body, want)
        cluster.run(ROUND_TRIP_US)
        if want.get("pause"):
            cluster.run(int(want["pause"] * 1_000_000))
        for variable, pointer in (want.get("save") or {}).items():
            variables[variable] = _at(answer.body, pointer)
        yield want, answer


def _at(value: Any, pointer: str) -> Any:
    for step in pointer.split("."):
        if isinstance(value, list):
            value = value[int(step)]
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value


def compare(want: Mapping[str, Any], got: Answer) -> Difference | None:
    """What is not equal; None for an equal answer or one that the real server gives differently each time."""
    if want.get("unstable"):
        return None
    found: list[tuple[str, Any, Any]]
    if want["status"] != got.status:
        found = [("status", want["status"], got.status), ("message", _message(want["response"]), _message(got.body))]
    elif masked(want["warnings"]) != masked(got.warnings):
        found = [("warnings", want["warnings"], got.warnings)]
    else:
        ignored = [re.compile(pattern) for pattern in want.get("ignore") or ()]
        both = differences(masked(_comparable(want["response"])), masked(_comparable(got.body)))
        found = [entry for entry in both if not any(pattern.search(entry[0]) for pattern in ignored)]
    if not found:
        return None
    request = f"{want['method']} {want['path']}"
    return Difference(want["group"], want["name"], request, want["status"] == got.status, found)


def _message(body: Any) -> Any:
    return body.get("message") if isinstance(body, dict) else body


def _comparable(body: Any) -> Any:
    """YAML text by what it says, its order of keys aside."""
    if isinstance(body, str) and body.startswith("apiVersion:"):
        return yaml.safe_load(body)
    return body
