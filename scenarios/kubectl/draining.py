"""``kubectl cordon``, ``uncordon``, ``drain`` and ``taint``. Source: k8s.io/kubectl/pkg/{drain,cmd/drain,cmd/taint}."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from seatrial.scenarios.kubectl import printing
from seatrial.scenarios.kubectl.builder import Target, Wanted, fetched, wanted
from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.client import PATCH_TYPES
from seatrial.scenarios.kubectl.failures import Ended, Failure, attempt_each, finish
from seatrial.sim.machinery.errors import ApiError

Object = Mapping[str, Any]
RETRY_S, POLL_S = 5.0, 1.0
MIRROR = "kubernetes.io/config.mirror"
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
IGNORED = "ignoring DaemonSet-managed Pods"
LOCAL = "deleting Pods with local storage"
UNMANAGED = "deleting Pods that declare no controller"
REFUSALS = {
    "daemonset": "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)",
    "local": "cannot delete Pods with local storage (use --delete-emptydir-data to override)",
    "unmanaged": "cannot delete Pods that declare no controller (use --force to override)",
}


def run(call: Call) -> int:
    match call.path:
        case "drain":
            return drain(call)
        case "taint":
            return taint(call)
    return mark(call, call.path == "cordon")


def nodes_of(call: Call) -> Wanted:
    """The nodes that are meant. Raises Failure."""
    selector = call.flags["selector"]
    if not call.args and not selector:
        raise call.misused(f"USAGE: {call.path} NODE [flags]")
    if call.args and selector:
        raise call.misused("error: cannot specify both a node name and a --selector option")
    kind = call.client.kind("nodes")
    found = Wanted()
    if selector:
        found.targets = [Target(kind, "")]
        return found
    joined = [name for name in call.args if "/" in name]
    found.targets = wanted(call, joined).targets if joined else [Target(kind, "", name) for name in call.args]
    return found


def mark(call: Call, cordon: bool) -> int:
    found = nodes_of(call)
    problems = found.problems
    for target in fetched(call, found, problems):
        set_schedulable(call, target, cordon)
    finish(problems)
    return 0


def set_schedulable(call: Call, target: Target, cordon: bool) -> None:
    """Cordons or uncordons a node and tells."""
    verb = "cordoned" if cordon else "uncordoned"
    if bool((target.object.get("spec") or {}).get("unschedulable")) == cordon:
        call.out(f"node/{target.name} already {verb}{call.dry_note}")
        return
    if call.dry_run != "client":
        asked = {"dryRun": "All"} if call.dry_run == "server" else {}
        patch = {"spec": {"unschedulable": True if cordon else None}}
        call.client.send("PATCH", target.path, asked, patch, PATCH_TYPES["strategic"])
    call.out(f"node/{target.name} {verb}{call.dry_note}")


# drain


def drain(call: Call) -> int:
    found = nodes_of(call)
    problems = found.problems
    targets = list(fetched(call, found, problems))
    finish(problems)
    for target in targets:
        set_schedulable(call, target, True)
    drained: set[str] = set()
    fatal: Exception | None = None
    for target in targets:
        try:
            _drain(call, target)
            drained.add(target.name)
            call.out(f"node/{target.name} drained{call.dry_note}")
        except (Failure, ApiError) as problem:
            pending = [each.name for each in targets if each.name not in drained]
            call.err(f'error: unable to drain node "{target.name}" due to error: {problem}, continuing command...')
            call.err("There are pending nodes to be drained:")
            for name in pending:
                call.err(f" {name}")
            call.err(str(problem))
            fatal = problem
    if fatal is not None:
        raise Ended(1)
    return 0


def _drain(call: Call, node: Target) -> None:
    flags = call.flags
    chosen, warnings, refused = pods_to_go(call, node.name)
    if refused:
        texts = [f"{REFUSALS[why]}: {', '.join(names)}" for why, names in refused.items()]
        raise Failure(", ".join(texts) if len(texts) == 1 else f"[{', '.join(texts)}]")
    if warnings:
        call.err("Warning: " + "; ".join(f"{why}: {', '.join(names)}" for why, names in warnings.items()))
    deadline = call.deadline(flags["timeout"])
    if call.dry_run == "client":
        for pod in chosen:
            call.out(f"evicting pod {_name(pod)}{call.dry_note}")
        return
    evicting: list[Object] = []
    for pod in chosen:
        call.out(f"{'deleting' if flags['disable-eviction'] else 'evicting'} pod {_name(pod)}{call.dry_note}")
        evicting.append(pod)
    waiting = {pod["metadata"]["uid"]: pod for pod in evicting}
    asked: set[str] = set()
    next_try = dict.fromkeys(waiting, call.now())
    while waiting:
        for uid, pod in list(waiting.items()):
            if uid in asked or call.now() < next_try[uid]:
                continue
            try:
                _evict(call, pod)
                asked.add(uid)
            except ApiError as problem:
                if problem.reason == "NotFound":
                    waiting.pop(uid)
                elif problem.code == 429:
                    metadata = pod["metadata"]
                    call.err(f'error when evicting pods/"{metadata["name"]}" -n "{metadata["namespace"]}" (will retry after '
                             f"5s): {problem.message}")  # fmt: skip
                    next_try[uid] = call.now() + int(RETRY_S * 1_000_000)
                else:
                    metadata = pod["metadata"]
                    raise Failure(
                        f'error when evicting pods/"{metadata["name"]}" -n "{metadata["namespace"]}": {problem.message}'
                    ) from None
        if call.dry_run == "server":
            return
        for uid in [uid for uid in waiting if uid in asked]:
            pod = waiting[uid]
            if _gone(call, pod):
                waiting.pop(uid)
                call.out(f"pod/{pod['metadata']['name']} {'deleted' if flags['disable-eviction'] else 'evicted'}")
        if waiting:
            if deadline is not None and call.now() >= deadline:
                raise Failure(
                    'error when waiting for pod "'
                    + next(iter(waiting.values()))["metadata"]["name"]
                    + '" in namespace "'
                    + next(iter(waiting.values()))["metadata"]["namespace"]
                    + '" to terminate: global timeout reached: '
                    + _go_duration(flags["timeout"])
                )
            call.session.sleep(POLL_S)


def _go_duration(seconds: float) -> str:
    """A duration as Go prints it: ``20s``, ``1m0s``."""
    whole = int(seconds)
    if whole < 60:
        return f"{seconds:g}s"
    hours, rest = divmod(whole, 3600)
    minutes, rest = divmod(rest, 60)
    return (f"{hours}h" if hours else "") + f"{minutes}m{rest}s"


def _name(pod: Object) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _pod_path(call: Call, pod: Object, subresource: str = "") -> str:
    metadata = pod["metadata"]
    return call.client.kind("pods").path(metadata["namespace"], metadata["name"], subresource)


def _evict(call: Call, pod: Object) -> None:
    options: dict[str, Any] = {}
    if call.flags["grace-period"] >= 0:
        options["gracePeriodSeconds"] = call.flags["grace-period"]
    if call.dry_run == "server":
        options["dryRun"] = ["All"]
    if call.flags["disable-eviction"]:
        call.client.send("DELETE", _pod_path(call, pod), body={"kind": "DeleteOptions", "apiVersion": "v1", **options})
        return
    metadata = pod["metadata"]
    body: dict[str, Any] = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
    }
    if options:
        body["deleteOptions"] = options
    call.client.send("POST", _pod_path(call, pod, "eviction"), body=body)


def _gone(call: Call, pod: Object) -> bool:
    try:
        held = call.client.get(_pod_path(call, pod))
    except ApiError as problem:
        if problem.reason == "NotFound":
            return True
        raise
    return bool(held["metadata"]["uid"] != pod["metadata"]["uid"])


def pods_to_go(call: Call, node: str) -> tuple[list[Object], dict[str, list[str]], dict[str, list[str]]]:
    """The pods that have to leave a node, what is warned of, and what forbids it (drain/filters.go)."""
    flags = call.flags
    query = {"fieldSelector": f"spec.nodeName={node}", "labelSelector": flags["pod-selector"]}
    chosen: list[Object] = []
    warnings: dict[str, list[str]] = {}
    refused: dict[str, list[str]] = {}
    for pod in call.client.items(call.client.kind("pods"), "", query):
        metadata, status = pod["metadata"], pod.get("status") or {}
        if MIRROR in (metadata.get("annotations") or {}):
            continue
        if flags["skip-wait-for-delete-timeout"] and metadata.get("deletionTimestamp"):
            continue
        finished = status.get("phase") in ("Succeeded", "Failed")
        owner = next((each for each in metadata.get("ownerReferences") or () if each.get("controller")), None)
        if owner is not None and owner["kind"] == "DaemonSet" and not finished:
            if flags["ignore-daemonsets"]:
                warnings.setdefault(IGNORED, []).append(_name(pod))
            else:
                refused.setdefault("daemonset", []).append(_name(pod))
            continue
        if finished:
            chosen.append(pod)
            continue
        if any("emptyDir" in each for each in pod["spec"].get("volumes") or ()):
            if not flags["delete-emptydir-data"]:
                refused.setdefault("local", []).append(_name(pod))
                continue
            warnings.setdefault(LOCAL, []).append(_name(pod))
        if owner is None:
            if not flags["force"]:
                refused.setdefault("unmanaged", []).append(_name(pod))
                continue
            warnings.setdefault(UNMANAGED, []).append(_name(pod))
        chosen.append(pod)
    order = (IGNORED, LOCAL, UNMANAGED)
    return chosen, {key: warnings[key] for key in order if key in warnings}, refused


# taint


def taint(call: Call) -> int:
    words = list(call.args)
    start = next(
        (at for at, word in enumerate(words) if at and (":" in word or "=" in word or word.endswith("-"))), None
    )
    resources = words[:start] if start is not None else words
    given = words[start:] if start is not None else []
    if not resources:
        raise Failure("one or more resources must be specified as <resource> <name>")
    if resources[0].lower() not in ("node", "nodes", "no") and not resources[0].lower().startswith("node/"):
        raise Failure(f"invalid resource type {resources[0]}, only node(s) is supported")
    if not given:
        raise Failure("at least one taint update is required")
    new, gone = _taints(call, given)
    found = (
        wanted(call, resources)
        if resources[1:] or "/" in resources[0] or call.flags["all"] or call.flags["selector"]
        else Wanted()
    )
    if not found.targets:
        raise Failure("you must specify at least one node" if not resources[1:] else "no nodes")
    attempt_each(fetched(call, found, found.problems), lambda target: _taint(call, target, new, gone), found.problems)
    return 0


def _taints(call: Call, given: list[str]) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Taints to put and to take away. Raises Failure."""
    new: list[dict[str, str]] = []
    gone: list[dict[str, str]] = []
    for text in given:
        removal = text.endswith("-")
        body = text.removesuffix("-")
        pair, colon, effect = body.partition(":")
        key, equals, value = pair.partition("=")
        if not removal and not colon:
            raise call.misused(f"invalid taint spec: {text}")
        if effect and effect not in EFFECTS:
            raise call.misused(f"invalid taint effect: {effect}, unsupported taint effect")
        if not re.fullmatch(r"([A-Za-z0-9.\-]+/)?[A-Za-z0-9]([A-Za-z0-9_.\-]*[A-Za-z0-9])?", key):
            raise call.misused(
                f"invalid taint spec: {text}, name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
            )
        row = {"key": key}
        if equals and value:
            row["value"] = value
        if effect:
            row["effect"] = effect
        (gone if removal else new).append(row)
    return new, gone


def _taint(call: Call, target: Target, new: list[dict[str, str]], gone: list[dict[str, str]]) -> None:
    held = list((target.object.get("spec") or {}).get("taints") or ())
    for row in new:
        same = [each for each in held if (each["key"], each["effect"]) == (row["key"], row["effect"])]
        if same and not call.flags["overwrite"]:
            raise Failure(
                f"node {target.name} already has {row['key']} taint(s) with same effect(s) and --overwrite is false"
            )
    kept = list(held)
    for row in gone:
        matching = [
            each for each in kept if each["key"] == row["key"] and row.get("effect", each["effect"]) == each["effect"]
        ]
        if not matching:
            what = f"{row['key']}:{row['effect']}" if "effect" in row else row["key"]
            raise Failure(f'taint "{what}" not found')
        kept = [each for each in kept if each not in matching]
    taints = new + [
        each for each in kept if not any((each["key"], each["effect"]) == (row["key"], row["effect"]) for row in new)
    ]
    overwrote = any((each["key"], each["effect"]) == (row["key"], row["effect"]) for each in held for row in new)
    verb = "untainted" if gone and not new else "modified" if overwrote or (gone and new) else "tainted"
    shown = target.object
    if call.dry_run != "client":
        asked = {"fieldManager": call.flags["field-manager"], "dryRun": "All" if call.dry_run == "server" else ""}
        patch = {"spec": {"taints": taints or None}}
        shown = call.client.send("PATCH", target.path, asked, patch, PATCH_TYPES["merge"])
    printing.told(call, shown, verb, dry=False)
