"""``kubectl patch`` and ``kubectl replace``. Source: k8s.io/kubectl/pkg/cmd/{patch,replace}."""

from __future__ import annotations

import json
from typing import Any

from seatrial.scenarios.kubectl import printing
from seatrial.scenarios.kubectl.applying import annotated, query
from seatrial.scenarios.kubectl.builder import Target, fetched, from_files, wanted
from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.client import PATCH_TYPES
from seatrial.scenarios.kubectl.failures import Failure, attempt_each, finish, while_doing
from seatrial.scenarios.kubectl.manifests import values_of
from seatrial.scenarios.kubectl.printing import file_problem
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.machinery.schema import type_of_kind


def run(call: Call) -> int:
    return replace(call) if call.path == "replace" else patch(call)


def _patch_of(call: Call) -> Any:
    flags = call.flags
    if flags["patch"] and flags["patch-file"]:
        raise Failure("cannot specify --patch and --patch-file together")
    text = flags["patch"]
    if flags["patch-file"]:
        try:
            text = call.session.files.read(flags["patch-file"]).decode()
        except OSError as problem:
            raise Failure(f"unable to read patch file: {file_problem(flags['patch-file'], problem)}") from None
    if not text:
        raise call.misused("must specify --patch or --patch-file containing the contents of the patch")
    if text.startswith("{"):
        return text.encode()  # JSON goes to the server as it is
    try:
        found = list(values_of(text.encode(), "patch"))
    except Failure as problem:
        said = problem.text.removeprefix("error parsing patch: error converting YAML to JSON: ")
        raise Failure(f'unable to parse "{text}": {said}') from None
    return found[0] if found else {}


def patch(call: Call) -> int:
    flags = call.flags
    if flags["type"] not in PATCH_TYPES or flags["type"] == "apply":
        raise Failure(f'--type must be one of [json merge strategic], not "{flags["type"]}"')
    if flags["subresource"] and flags["subresource"] not in ("status", "scale", "resize"):
        raise call.misused(f'invalid subresource value: "{flags["subresource"]}". Must be one of [resize scale status]')
    body = _patch_of(call)
    found = wanted(call, call.args)
    attempt_each(found.targets, lambda target: _patched(call, target, body), found.problems)
    if not found.targets:
        raise Failure("no objects passed to patch")
    return 0


def _patched(call: Call, target: Target, body: Any) -> None:
    flags = call.flags
    kind, name = target.kind, flags["type"]
    path = kind.path(target.namespace, target.name, flags["subresource"])
    before = call.client.get(path)
    if call.dry_run == "client":
        after = _locally(target, before, body, name)
    else:
        asked = {"fieldManager": flags["field-manager"], "dryRun": "All" if call.dry_run == "server" else ""}
        try:
            after = call.client.send("PATCH", path, asked, body, PATCH_TYPES[name])
        except ApiError as problem:
            if problem.code == 415:
                what = f"{PATCH_TYPES[name]} is not supported by {kind.api_version}, Kind={kind.kind}"
                raise Failure(f"{what}: {problem.message}") from None
            raise
    changed = before != after
    printing.told(call, after, "patched" if changed else "patched (no change)", dry=False)


def _locally(target: Target, before: Any, body: Any, name: str) -> Any:
    if isinstance(body, bytes):
        try:
            body = json.loads(body)
        except ValueError as problem:
            raise Failure(f"error decoding patch: {problem}") from None
    from seatrial.sim.machinery.patch import json_patch, merge_patch
    from seatrial.sim.machinery.strategic import strategic_merge

    kind = target.kind
    if name == "json":
        return json_patch(before, body)
    if name == "merge":
        return merge_patch(before, body)
    type_ = type_of_kind(kind.group, kind.version, kind.kind)
    if type_ is None:
        raise Failure("strategic merge patch is not supported for " + kind.kind)
    return strategic_merge(before, body, type_)


def replace(call: Call) -> int:
    flags = call.flags
    if flags["raw"]:
        raw = b"".join(call.session.files.read(name) for name in flags["filename"])
        call.write(bytes(call.client.ask("PUT", flags["raw"], body=raw).body).decode())
        return 0
    if not flags["filename"] and not flags["kustomize"]:
        raise call.misused("must specify --filename to replace")
    force = flags["force"] or flags["grace-period"] == 0
    found = from_files(call)
    problems = found.problems
    if not found.targets and problems:
        raise problems[0]
    if force:
        _deleted(call, found.targets)
    for target in found.targets:
        obj = annotated(target.object) if flags["save-config"] else target.object
        try:
            if force:
                shown = call.client.send("POST", target.kind.path(target.namespace), query(call), obj)
            elif call.dry_run == "client":
                shown = obj
            else:
                shown = _put(call, target, obj)
        except ApiError as problem:
            problems.append(while_doing("replacing", target.source, problem))
            continue
        printing.told(call, shown, "replaced")
    finish(problems)
    if not found.targets:
        raise Failure("no objects passed to replace")
    return 0


def _put(call: Call, target: Target, obj: Any) -> Any:
    path = target.kind.path(target.namespace, target.name, call.flags["subresource"])
    if not obj["metadata"].get("resourceVersion"):
        held = call.client.get(target.path)
        metadata = {**obj["metadata"], "resourceVersion": held["metadata"]["resourceVersion"]}
        obj = {**obj, "metadata": metadata}
    return call.client.send("PUT", path, query(call), obj)


def _deleted(call: Call, targets: list[Target]) -> None:
    from seatrial.scenarios.kubectl.deleting import options
    from seatrial.scenarios.kubectl.waiting import until_gone

    for target in fetched_or_not(call, targets):
        body = options(call, call.flags["grace-period"])
        call.client.send("DELETE", target.path, body=body)
        shown = target.full_name.replace("/", ' "', 1) + '"'
        where = f" from {target.namespace} namespace" if target.namespace else ""
        call.out(f"{shown} deleted{where}")
        until_gone(call, target, call.deadline(call.flags["timeout"]))


def fetched_or_not(call: Call, targets: list[Target]) -> list[Target]:
    """Those that the server has."""
    from seatrial.scenarios.kubectl.builder import Wanted

    ignored: list[Exception] = []
    copies = [Target(each.kind, each.namespace, each.name) for each in targets]
    return list(fetched(call, Wanted(copies), ignored))
