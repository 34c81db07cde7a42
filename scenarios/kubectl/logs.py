"""``kubectl logs``.

Source: k8s.io/kubectl/pkg/cmd/logs, k8s.io/kubectl/pkg/polymorphichelpers/logsforobject.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from seatrial.scenarios.kubectl.builder import fetched, wanted
from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.chosen_pods import TIMED_OUT, container_for, containers_of, pods_of
from seatrial.scenarios.kubectl.failures import Failure
from seatrial.sim.machinery.errors import ApiError

Object = Mapping[str, Any]


def run(call: Call) -> int:
    flags, args = call.flags, call.args
    if not args and not flags["selector"]:
        raise call.misused(
            "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for "
            "the logs command"
        )
    if args and flags["selector"]:
        raise Failure("only a selector (-l) or a POD name is allowed")
    if len(args) > 2:
        raise call.misused(
            "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for the logs command"
        )
    if len(args) == 2:
        if flags["container"]:
            raise call.misused("only one of -c or an inline [CONTAINER] arg is allowed")
        flags.values["container"] = args[1]
    if flags["since"] and flags["since-time"]:
        raise Failure("at most one of `sinceTime` or `sinceSeconds` may be specified")
    if flags["tail"] < -1:
        raise Failure("--tail must be greater than or equal to -1")
    sources = list(_log_sources(call))
    if flags["follow"] and len(sources) > 1:
        if len(sources) > flags["max-log-requests"]:
            raise Failure(
                f"you are attempting to follow {len(sources)} log streams, but maximum allowed concurrency is "
                f"{flags['max-log-requests']}, use --max-log-requests to increase the limit"
            )
    prefixed = flags["prefix"] or flags["all-pods"]
    for pod, container in sources:
        prefix = f"[pod/{pod['metadata']['name']}/{container}] " if prefixed else ""
        _print_log(call, pod, container, prefix, len(sources) > 1)
    return 0


def _log_pods(call: Call) -> list[Object]:
    flags = call.flags
    kind = call.client.kind("pods")
    if flags["selector"]:
        found = call.client.items(kind, call.namespace, {"labelSelector": flags["selector"]})
        if not found:
            call.err(f"No resources found in {call.namespace} namespace.")
        return list(found)
    word = call.args[0]
    if "/" not in word:
        try:
            return [call.client.get(kind.path(call.namespace, word))]
        except ApiError as problem:
            if problem.reason == "NotFound":
                text = f'error from server (NotFound): pods "{word}" not found in namespace "{call.namespace}"'
                raise Failure(text) from None
            raise
    target = next(iter(fetched(call, wanted(call, [word]))))
    if target.kind.resource == "pods":
        return [target.object]
    pods = pods_of(call, target)
    if not pods:
        raise Failure(TIMED_OUT)
    if flags["all-pods"]:
        return pods
    if len(pods) > 1:
        call.err(f"Found {len(pods)} pods, using pod/{pods[0]['metadata']['name']}")
    return pods[:1]


def _log_sources(call: Call) -> Iterator[tuple[Object, str]]:
    flags = call.flags
    for pod in _log_pods(call):
        names = containers_of(pod)
        if flags["all-containers"]:
            for name in (*names["initContainers"], *names["containers"], *names["ephemeralContainers"]):
                yield pod, name
            continue
        if flags["container"] and flags["container"] not in [name for group in names.values() for name in group]:
            listed = ", ".join(name for group in names.values() for name in group)
            raise Failure(
                f"container {flags['container']} is not valid for pod {pod['metadata']['name']} out of: {listed}"
            )
        yield pod, container_for(call, pod)


def log_query(call: Call, container: str, several: bool) -> dict[str, Any]:
    flags = call.flags
    tail: int | None = flags["tail"] if flags["tail"] >= 0 else None
    if tail is None and flags["selector"] and not flags.changed("tail"):
        tail = 10
    query: dict[str, Any] = {
        "container": container,
        "follow": flags["follow"],
        "previous": flags["previous"],
        "timestamps": flags["timestamps"],
        "limitBytes": flags["limit-bytes"] or None,
        "sinceTime": flags["since-time"],
        "tailLines": None if tail is None else str(tail),
    }
    if flags["since"]:
        query["sinceSeconds"] = max(round(flags["since"]), 1)
    return query


def _print_log(call: Call, pod: Object, container: str, prefix: str, several: bool) -> None:
    metadata = pod["metadata"]
    path = call.client.kind("pods").path(metadata["namespace"], metadata["name"], "log")
    request = call.client.request_of("GET", path, log_query(call, container, several))
    try:
        for piece in call.session.lines(request):
            text = piece.decode(errors="replace")
            if prefix:
                text = "".join(prefix + line for line in text.splitlines(keepends=True))
            call.write(text)
            call.session.stdout.flush()
    except ApiError as problem:
        if call.flags["ignore-errors"]:
            call.err(f"error: {problem.message}")
            return
        raise
