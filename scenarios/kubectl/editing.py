"""``kubectl edit``, ``create --edit`` and ``apply edit-last-applied``. Source: k8s.io/kubectl/pkg/cmd/util/editor."""

from __future__ import annotations

from typing import Any

import orjson

from seatrial.scenarios.kubectl import printing
from seatrial.scenarios.kubectl.applying import LAST_APPLIED, query
from seatrial.scenarios.kubectl.builder import Target, from_files, objects
from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.client import PATCH_TYPES
from seatrial.scenarios.kubectl.failures import Failure, text_of
from seatrial.scenarios.kubectl.manifests import values_of
from seatrial.scenarios.kubectl.merging import diff, merge_diff
from seatrial.scenarios.kubectl.values import compact, pretty, yaml_text
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.machinery.schema import type_of_kind

HEAD = (
    "# Please edit the object below. Lines beginning with a '#' will be ignored,\n"
    "# and an empty file will abort the edit. If an error occurs while saving this file will be\n"
    "# reopened with the relevant failures.\n#\n"
)
TRIES = 5


def run(call: Call) -> int:
    targets = objects(call, call.args)
    for target in targets:
        if call.flags["subresource"]:
            target.object = call.client.get(target.kind.path(target.namespace, target.name, call.flags["subresource"]))
        _edit(call, target)
    return 0


def written(call: Call, obj: Any) -> str:
    """An object for the editor."""
    obj = obj if call.flags.get("show-managed-fields") else printing.without_managed_fields(obj)
    return pretty(obj) + "\n" if call.flags["output"] == "json" else yaml_text(obj)


def edited(call: Call, text: str, problem: str = "") -> Any:
    """What the user makes of a text; None when they changed nothing or left nothing. Raises Failure."""
    suffix = ".json" if call.flags["output"] == "json" else ".yaml"
    comment = "".join(f"# {line}\n" for line in problem.splitlines())
    told = f"{HEAD}{comment}{'#' + chr(10) if comment else ''}"
    after = call.session.edit(told + text, suffix)
    body = "".join(line for line in after.splitlines(keepends=True) if not line.startswith("#"))
    if not body.strip() or body == text:
        return None
    return next(iter(values_of(body.encode(), "edited file")), None)


def _edit(call: Call, target: Target) -> None:
    before = target.object
    text, problem = written(call, before), ""
    for _ in range(TRIES):
        after = edited(call, text, problem)
        if after is None:
            call.err("Edit cancelled, no changes made.")
            return
        shown = before if call.flags.get("show-managed-fields") else printing.without_managed_fields(before)
        type_ = type_of_kind(target.kind.group, target.kind.version, target.kind.kind)
        patch = merge_diff(shown, after) if type_ is None else diff(shown, after, type_.fields.get)
        if not patch:
            call.err("Edit cancelled, no changes made.")
            return
        path = target.kind.path(target.namespace, target.name, call.flags["subresource"])
        try:
            kind = "merge" if type_ is None else "strategic"
            answer = call.client.send("PATCH", path, query(call), patch, PATCH_TYPES[kind])
        except ApiError as refused:
            problem = text_of(refused)[0]
            text = written(call, after)
            call.err(problem)
            if call.session.stdin.isatty():
                continue
            raise Failure("Edit cancelled, no valid changes were saved.") from None
        printing.told(call, answer, "edited")
        return


def create_edited(call: Call) -> int:
    from seatrial.scenarios.kubectl.creating import created

    found = from_files(call)
    if found.problems:
        raise found.problems[0]
    for target in found.targets:
        after = edited(call, written(call, target.object))
        if after is None:
            raise Failure("Edit cancelled, no changes made.")
        target.object = after
        created(call, target)
    return 0


def edit_last_applied(call: Call) -> int:
    from seatrial.scenarios.kubectl.lastapplied import last_applied

    for target in objects(call, call.args):
        after = edited(call, written(call, orjson.loads(last_applied(target))))
        if after is None:
            call.err("Edit cancelled, no changes made.")
            continue
        patch = {"metadata": {"annotations": {LAST_APPLIED: compact(after) + "\n"}}}
        answer = call.client.send("PATCH", target.path, query(call), patch, PATCH_TYPES["merge"])
        printing.told(call, answer, "edited")
    return 0
