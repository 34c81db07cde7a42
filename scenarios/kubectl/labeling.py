"""``kubectl label`` and ``kubectl annotate``. Source: k8s.io/kubectl/pkg/cmd/{label,annotate}."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from seatrial.scenarios.kubectl import printing
from seatrial.scenarios.kubectl.builder import Target, fetched, wanted
from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.client import PATCH_TYPES
from seatrial.scenarios.kubectl.failures import Failure, attempt_each
from seatrial.sim.machinery.patch import merge_patch

Object = Mapping[str, Any]
LABEL_VALUE = r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
LABEL_MAX = 63


def run(call: Call) -> int:
    word = "labels" if call.path == "label" else "annotations"
    resources: list[str] = []
    changes: list[str] = []
    for each in call.args:
        is_pair = "=" in each or each.endswith("-")
        if not is_pair and changes:
            raise Failure(f"all resources must be specified before {word[:-1]} changes: {each}")
        (changes if is_pair else resources).append(each)
    if not resources and not call.flags["filename"] and not call.flags["kustomize"]:
        raise Failure("one or more resources must be specified as <resource> <name> or <resource>/<name>")
    if not changes and not call.flags["list"]:
        raise Failure(f"at least one {word[:-1]} update is required")
    new: dict[str, str] = {}
    gone: list[str] = []
    for each in changes:
        key, equals, value = each.partition("=")
        if equals:
            new[key] = value
        else:
            gone.append(each[:-1])
    for key, value in new.items() if word == "labels" else ():
        if not re.fullmatch(LABEL_VALUE, value) or len(value) > LABEL_MAX:
            raise Failure(f'invalid label value: "{key}={value}": {_why(value)}')
    both = [key for key in gone if key in new]
    if both:
        raise Failure(
            f"cannot modify and remove {'a label' if word == 'labels' else 'an annotation'} in the same command"
        )
    found = wanted(call, resources)
    targets = list(fetched(call, found, found.problems))
    attempt_each(targets, lambda target: change(call, target, word, new, gone), found.problems)
    return 0


def _why(value: str) -> str:
    """What is wrong with a label's value (validation.IsValidLabelValue)."""
    if len(value) > LABEL_MAX:
        return f"must be no more than {LABEL_MAX} characters"
    return (
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
        "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
        "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
    )


def change(call: Call, target: Target, word: str, new: Mapping[str, str], gone: list[str]) -> None:
    """Changes labels or annotations of one object and tells. Raises Failure, ApiError."""
    held = (target.object.get("metadata") or {}).get(word) or {}
    if call.flags["list"]:
        for key in sorted(held):
            call.out(f"{key}={held[key]}")
        return
    if not call.flags["overwrite"]:
        taken = [key for key in new if key in held and held[key] != new[key]]
        if taken and word == "labels":
            raise Failure(
                "; ".join(f"'{key}' already has a value ({held[key]}), and --overwrite is false" for key in taken)
            )
        if taken:
            listed = "; ".join(f"'{key}' already has a value ({held[key]})" for key in taken)
            raise Failure(f"--overwrite is false but found the following declared annotation(s): {listed}")
    removed = [key for key in gone if key in held]
    if word == "labels":
        for key in gone:
            if key not in held:
                call.out(f'label "{key}" not found.')
    verb = _verb(word, held, new, removed)
    patch: dict[str, Any] = {"metadata": {word: {**new, **dict.fromkeys(removed)}}}
    if call.flags["resource-version"]:
        patch["metadata"]["resourceVersion"] = call.flags["resource-version"]
    shown = merge_patch(target.object, patch)
    if call.dry_run != "client" and (patch["metadata"][word] and not (word == "labels" and verb == "not labeled")):
        asked = {"fieldManager": call.flags["field-manager"]}
        if call.dry_run == "server":
            asked["dryRun"] = "All"
        shown = call.client.send("PATCH", target.path, asked, patch, PATCH_TYPES["merge"])
    printing.told(call, shown, verb)


def _verb(word: str, held: Mapping[str, str], new: Mapping[str, str], removed: list[str]) -> str:
    if word == "annotations":
        return "annotated"
    changed = any(held.get(key) != value for key, value in new.items())
    if changed or (new and not removed):
        return "labeled" if changed else "not labeled"
    return "unlabeled" if removed else "not labeled"
