"""``kubectl apply``: three-way merges with what was applied last, or the server's own apply.

Source: k8s.io/kubectl/pkg/cmd/apply (apply.go, patcher.go, prune.go).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from seatrial.scenarios.kubectl import printing
from seatrial.scenarios.kubectl.builder import Target, from_files
from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.client import PATCH_TYPES
from seatrial.scenarios.kubectl.failures import Failure, finish, while_doing
from seatrial.scenarios.kubectl.merging import three_way
from seatrial.scenarios.kubectl.values import compact
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.machinery.schema import type_of_kind

Object = Mapping[str, Any]
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
RETRIES = 5
CONFLICT = """Please review the fields above--they currently have other managers. Here
are the ways you can resolve this warning:
* If you intend to manage all of these fields, please re-run the apply
  command with the `--force-conflicts` flag.
* If you do not intend to manage all of the fields, please edit your
  manifest to remove references to the fields that should keep their
  current managers.
* You may co-own fields by updating your manifest to match the existing
  value; in this case, you'll become the manager if the other manager(s)
  stop managing the field (remove it from their configuration).
See https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts"""


def run(call: Call) -> int:
    match call.path:
        case "apply view-last-applied" | "apply set-last-applied" | "apply edit-last-applied":
            from seatrial.scenarios.kubectl import lastapplied

            return lastapplied.run(call)
    flags = call.flags
    if call.args:
        raise call.misused(f"Unexpected args: [{' '.join(call.args)}]")
    if not flags["filename"] and not flags["kustomize"]:
        raise Failure("must specify one of -f and -k")
    if flags["force-conflicts"] and not flags["server-side"]:
        raise Failure("--force-conflicts only works with --server-side")
    if flags["server-side"] and call.dry_run == "client":
        raise Failure("--dry-run=client doesn't work with --server-side (did you mean --dry-run=server instead?)")
    if flags["prune"] and not (flags["selector"] or flags["all"] or flags["applyset"]):
        raise Failure(
            "all resources selected for prune without explicitly passing --all. To prune all resources, pass the --all flag. If you did not mean to prune all resources, specify a label selector"
        )
    found = from_files(call)
    problems = found.problems
    if not found.targets and not problems:
        raise Failure("no objects passed to apply")
    if problems and not found.targets:
        raise problems[0]
    applied: list[Target] = []
    for target in found.targets:
        try:
            applied.append(_applied(call, target))
        except (ApiError, Failure) as problem:
            problems.append(problem)
    if flags["prune"] and not problems:
        from seatrial.scenarios.kubectl.pruning import prune

        prune(call, applied)
    finish(problems)
    return 0


def validation(call: Call) -> str:
    """``--validate`` as the server takes it."""
    given = call.flags.get("validate") or "strict"
    return {"true": "Strict", "strict": "Strict", "warn": "Warn", "false": "Ignore", "ignore": "Ignore"}.get(
        given, "Strict"
    )


def query(call: Call, **more: Any) -> dict[str, Any]:
    """The query of a request that writes."""
    manager = call.flags.get("field-manager") or ""
    found: dict[str, Any] = {"fieldManager": manager, **more}
    if "validate" in call.flags.values:
        found["fieldValidation"] = validation(call)
    if call.dry_run == "server":
        found["dryRun"] = "All"
    return found


def annotated(obj: Object) -> dict[str, Any]:
    """The object with itself in the annotation that remembers what was applied."""
    metadata = dict(obj.get("metadata") or {})
    annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != LAST_APPLIED}
    metadata["annotations"] = annotations
    kept = compact({**obj, "metadata": metadata}) + "\n"
    metadata["annotations"] = {**annotations, LAST_APPLIED: kept}
    return {**obj, "metadata": metadata}


def _applied(call: Call, target: Target) -> Target:
    if not target.name:
        generated = (target.object.get("metadata") or {}).get("generateName")
        if generated:
            raise Failure(f"from {generated}: cannot use generate name with apply")
        raise Failure(
            f'error when retrieving current configuration of:\nResource: "{target.kind.group}/{target.kind.version}, Resource={target.kind.plural}", GroupVersionKind: "{target.kind.group}/{target.kind.version}, Kind={target.kind.kind}"\nName: "", Namespace: "{target.namespace}"\nfrom server for: "{target.source}": resource name may not be empty'
        )
    note = call.cause_note()
    if note:
        metadata = target.object["metadata"]
        annotations = {**(metadata.get("annotations") or {}), **note}
        target.object = {**target.object, "metadata": {**metadata, "annotations": annotations}}
    if call.flags["server-side"]:
        return _by_server(call, target)
    return _by_client(call, target)


def _by_server(call: Call, target: Target) -> Target:
    flags = call.flags
    manager = flags["field-manager"] if flags.changed("field-manager") else "kubectl"
    asked = query(call, fieldManager=manager, force="true" if flags["force-conflicts"] else "false")
    raw = orjson.dumps(target.object)
    try:
        target.object = call.client.send("PATCH", target.path, asked, raw, PATCH_TYPES["apply"])
    except ApiError as problem:
        if problem.reason == "Conflict":
            raise Failure(f"{problem.message}\n{CONFLICT}") from None
        raise _located(problem, target, "applying patch to") from None
    if call.flags.get("output"):
        printing.told(call, target.object, "serverside-applied")
    else:
        call.out(f"{printing.full_name(target.object)} serverside-applied{call.dry_note}")
    return target


def _located(problem: ApiError, target: Target, verb: str) -> ApiError:
    if problem.reason in ("Invalid", "Forbidden", "Conflict") and verb == "applying patch to":
        return problem
    return while_doing(verb, target.source, problem)


def _by_client(call: Call, target: Target) -> Target:
    modified = annotated(target.object)
    try:
        current = call.client.get(target.path)
    except ApiError as problem:
        if problem.reason != "NotFound":
            raise
        return _created(call, target, modified)
    if LAST_APPLIED not in ((current.get("metadata") or {}).get("annotations") or {}):
        call.warn(
            f"resource {target.kind.plural}/{target.name} is missing the {LAST_APPLIED} annotation which is required "
            "by kubectl apply. kubectl apply should only be used on resources created declaratively by either kubectl "
            "create --save-config or kubectl apply. The missing annotation will be patched automatically."
        )
    if call.dry_run == "client":
        patch = patch_for(target, current, modified)
        printing.told(call, current, "configured" if patch else "unchanged")
        return target
    for attempt in range(RETRIES):
        patch = patch_for(target, current, modified)
        if not patch:
            target.object = current
            printing.told(call, current, "unchanged")
            return target
        kind = "merge" if _type(target) is None else "strategic"
        try:
            target.object = call.client.send("PATCH", target.path, query(call), patch, PATCH_TYPES[kind])
            break
        except ApiError as problem:
            if problem.reason == "Conflict" and attempt < RETRIES - 1:
                current = call.client.get(target.path)
                continue
            if call.flags["force"] and problem.reason in ("Conflict", "Invalid"):
                return _again(call, target, modified)
            raise _unpatched(problem, target, patch) from None
    changed = target.object["metadata"].get("resourceVersion") != current["metadata"].get("resourceVersion")
    printing.told(call, target.object, "configured" if changed or call.dry_run == "server" else "unchanged")
    return target


def _unpatched(problem: ApiError, target: Target, patch: Object) -> ApiError:
    """applyPatch errors carry the patch, unless the server says the object is invalid."""
    if problem.reason == "Invalid":
        return problem
    kind = target.kind
    gvk = f'"{kind.group}/{kind.version}, Resource={kind.plural}", GroupVersionKind: "{kind.group}/{kind.version}, Kind={kind.kind}"'
    text = (
        f"error when applying patch:\n{orjson.dumps(patch, option=orjson.OPT_SORT_KEYS).decode()}\nto:\nResource: {gvk}\n"
        f'Name: "{target.name}", Namespace: "{target.namespace}"\nfor: "{target.source}": '
        f'error when patching "{target.source}": {problem.message}'
    )
    return ApiError(problem.code, problem.reason, text, problem.details)


def _again(call: Call, target: Target, modified: Object) -> Target:
    """``--force``: deletes what cannot be patched and makes it anew."""
    call.client.send(
        "DELETE", target.path, body={"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
    )
    from seatrial.scenarios.kubectl.waiting import until_gone

    until_gone(call, target, 0)
    target.object = call.client.send("POST", target.kind.path(target.namespace), query(call), modified)
    printing.told(call, target.object, "configured")
    return target


def _created(call: Call, target: Target, modified: Object) -> Target:
    if call.dry_run == "client":
        target.object = modified
        printing.told(call, modified, "created")
        return target
    try:
        target.object = call.client.send("POST", target.kind.path(target.namespace), query(call), modified)
    except ApiError as problem:
        raise while_doing("creating", target.source, problem) from None
    printing.told(call, target.object, "created")
    return target


def _type(target: Target) -> Any:
    kind = target.kind
    return type_of_kind(kind.group, kind.version, kind.kind)


def patch_for(target: Target, current: Object, modified: Object) -> dict[str, Any]:
    last = ((current.get("metadata") or {}).get("annotations") or {}).get(LAST_APPLIED)
    try:
        original = orjson.loads(last) if last else {}
    except orjson.JSONDecodeError:
        original = {}
    return three_way(original, modified, current, _type(target))
