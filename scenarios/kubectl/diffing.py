"""``kubectl diff``: the live object beside what applying would make of it. Source: k8s.io/kubectl/pkg/cmd/diff."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import orjson

from seatrial.scenarios.kubectl.applying import patch_for
from seatrial.scenarios.kubectl.builder import Target, from_files
from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.client import PATCH_TYPES
from seatrial.scenarios.kubectl.failures import Ended, finish
from seatrial.scenarios.kubectl.printing import without_managed_fields
from seatrial.scenarios.kubectl.values import yaml_text
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.machinery.schema import type_of_kind

Object = Mapping[str, Any]


def run(call: Call) -> int:
    if call.args:
        raise call.misused(f"Unexpected args: [{' '.join(call.args)}]")
    if not call.flags["filename"] and not call.flags["kustomize"]:
        raise call.misused("must specify one of -f and -k")
    found = from_files(call)
    finish(found.problems)
    differs = False
    for target in found.targets:
        live, merged = _states(call, target)
        text = difference(
            target,
            live,
            merged,
            call.now(),
            bool(call.flags["show-managed-fields"]),
            call.session.environment.get("TMPDIR") or "/tmp",
        )
        if text:
            differs = True
            call.write(text)
    if differs:
        raise Ended(1)
    return 0


def _states(call: Call, target: Target) -> tuple[Object | None, Object]:
    asked = {"fieldManager": call.flags["field-manager"], "dryRun": "All"}
    try:
        live = call.client.get(target.path)
    except ApiError as problem:
        if problem.reason != "NotFound":
            raise
        live = None
    if call.flags["server-side"]:
        force = "true" if call.flags["force-conflicts"] else "false"
        raw = orjson.dumps(target.object)
        return live, call.client.send("PATCH", target.path, {**asked, "force": force}, raw, PATCH_TYPES["apply"])
    if live is None:
        return None, call.client.send("POST", target.kind.path(target.namespace), asked, target.object)
    metadata = target.object["metadata"]
    wanted = {**target.object, "metadata": {**metadata, "annotations": metadata.get("annotations") or {}}}
    patch = patch_for(target, live, wanted)
    kind = target.kind
    name = "merge" if type_of_kind(kind.group, kind.version, kind.kind) is None else "strategic"
    return live, call.client.send("PATCH", target.path, asked, patch, PATCH_TYPES[name])


def difference(
    target: Target, live: Object | None, merged: Object, now_us: int, managed: bool = False, directory: str = "/tmp"
) -> str:
    """What ``diff -u -N`` prints of the two, in YAML; empty when they are the same."""
    kind = target.kind
    name = f"{kind.group + '.' if kind.group else ''}{kind.version}.{kind.kind}.{target.namespace}.{target.name}"
    if not managed:
        live, merged = (without_managed_fields(live) if live is not None else None), without_managed_fields(merged)
    before = yaml_text(live).splitlines() if live is not None else []
    after = yaml_text(merged).splitlines()
    from datetime import UTC, datetime

    stamp = datetime.fromtimestamp(now_us / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f000 +0000")
    places = [f"{directory}/{side}-{now_us % 10**10:010d}/{name}" for side in ("LIVE", "MERGED")]
    lines = list(difflib.unified_diff(before, after, places[0], places[1], stamp, stamp, lineterm=""))
    if not lines:
        return ""
    head = f"diff -u -N {places[0]} {places[1]}\n"
    return head + "".join(f"{line}\n" for line in lines)
