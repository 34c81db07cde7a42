"""``kubectl apply view-last-applied | set-last-applied | edit-last-applied``."""

from __future__ import annotations

import orjson

from seatrial.scenarios.kubectl.applying import LAST_APPLIED, annotated
from seatrial.scenarios.kubectl.builder import EXAMPLES, Target, from_files, objects
from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.client import PATCH_TYPES
from seatrial.scenarios.kubectl.failures import Failure
from seatrial.scenarios.kubectl.printing import full_name, printer
from seatrial.scenarios.kubectl.values import compact, pretty, yaml_text


def run(call: Call) -> int:
    match call.path.split()[-1]:
        case "view-last-applied":
            return view(call)
        case "set-last-applied":
            return set_(call)
    from seatrial.scenarios.kubectl.editing import edit_last_applied

    return edit_last_applied(call)


def last_applied(target: Target) -> str:
    """The annotation. Raises Failure."""
    annotations = (target.object.get("metadata") or {}).get("annotations") or {}
    if LAST_APPLIED not in annotations:
        raise Failure(f"no last-applied-configuration annotation found on resource: {target.name}")
    return str(annotations[LAST_APPLIED])


def view(call: Call) -> int:
    if not call.args and not call.flags["filename"] and not call.flags["kustomize"]:
        raise Failure(EXAMPLES)
    output = call.flags["output"]
    if output not in ("yaml", "json", ""):
        raise Failure(f"Unexpected -o output mode: {output}, the flag 'output' must be one of yaml|json")
    for target in objects(call, call.args):
        value = orjson.loads(last_applied(target))
        call.write(pretty(value) + "\n" if output == "json" else yaml_text(value))
    return 0


def set_(call: Call) -> int:
    found = from_files(call)
    if found.problems:
        raise found.problems[0]
    for target in found.targets:
        current = call.client.get(target.path)
        if LAST_APPLIED not in (current["metadata"].get("annotations") or {}) and not call.flags["create-annotation"]:
            raise Failure(
                f"no last-applied-configuration annotation found on resource: {target.name}, to create the annotation, "
                "run the command with --create-annotation"
            )
        wanted = annotated(target.object)["metadata"]["annotations"][LAST_APPLIED]
        if (current["metadata"].get("annotations") or {}).get(LAST_APPLIED) == compact(target.object) + "\n":
            call.out(f"set-last-applied {target.name}: no changes required.")
            continue
        shown = current
        if call.dry_run != "client":
            patch = {"metadata": {"annotations": {LAST_APPLIED: wanted}}}
            asked = {"dryRun": "All"} if call.dry_run == "server" else {}
            shown = call.client.send("PATCH", target.path, asked, patch, PATCH_TYPES["merge"])
        show = printer(call)
        call.write(show(shown) if show is not None else f"{full_name(shown)} configured{call.dry_note}\n")
    return 0
