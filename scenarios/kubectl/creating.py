"""``kubectl create``: objects of files, and those that its sub-commands make from flags.

Source: k8s.io/kubectl/pkg/cmd/create.
"""

from __future__ import annotations

from typing import Any

from seatrial.scenarios.kubectl import printing
from seatrial.scenarios.kubectl.applying import annotated, query
from seatrial.scenarios.kubectl.builder import Target, from_files
from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.failures import Failure, finish, while_doing
from seatrial.sim.machinery.errors import ApiError

Object = dict[str, Any]


def run(call: Call) -> int:
    rest = call.path.removeprefix("create").strip()
    if not rest:
        return files(call)
    if rest == "token":
        from seatrial.scenarios.kubectl import tokens

        return tokens.run(call)
    if rest in ("role", "clusterrole", "rolebinding", "clusterrolebinding"):
        from seatrial.scenarios.kubectl import roles

        return made(call, *roles.generated(call, rest))
    from seatrial.scenarios.kubectl.generators import GENERATORS

    generator, failing = GENERATORS[rest]
    return made(call, generator(call), failing)


def files(call: Call) -> int:
    flags = call.flags
    if call.args:
        raise call.misused(f"Unexpected args: [{' '.join(call.args)}]")
    if flags["raw"]:
        raw = b"".join(call.session.files.read(name) if name != "-" else call.session.stdin.read().encode()
                       for name in flags["filename"])  # fmt: skip
        call.write(bytes(call.client.ask("POST", flags["raw"], body=raw).body).decode())
        return 0
    if not flags["filename"] and not flags["kustomize"]:
        raise Failure("must specify one of -f and -k")
    if flags["edit"]:
        from seatrial.scenarios.kubectl.editing import create_edited

        return create_edited(call)
    found = from_files(call)
    problems = found.problems
    for target in found.targets:
        try:
            created(call, target)
        except ApiError as problem:
            problems.append(while_doing("creating", target.source, problem))
    finish(problems)
    if not found.targets:
        raise Failure("no objects passed to create")
    return 0


def created(call: Call, target: Target, verb: str = "created") -> None:
    """Creates one object and tells. Raises ApiError."""
    if call.flags.get("save-config"):
        target.object = annotated(target.object)
    if note := call.cause_note():
        metadata = target.object.get("metadata") or {}
        annotations = {**(metadata.get("annotations") or {}), **note}
        target.object = {**target.object, "metadata": {**metadata, "annotations": annotations}}
    if call.dry_run != "client":
        target.object = call.client.send("POST", target.kind.path(target.namespace), query(call), target.object)
    printing.told(call, target.object, verb)


def made(call: Call, obj: Object, failing: str = "", verb: str = "created") -> int:
    """Creates an object that flags made, and tells."""
    call.is_typed = True
    show = printing.printer(call)
    if call.flags.get("save-config"):
        obj = annotated(obj)
    if note := call.cause_note():
        obj["metadata"]["annotations"] = {**(obj["metadata"].get("annotations") or {}), **note}
    shown: Any = obj
    if call.dry_run != "client":
        kind = call.client.kind_for(obj["apiVersion"], obj["kind"])
        if kind is None:
            raise Failure(f'no matches for kind "{obj["kind"]}" in version "{obj["apiVersion"]}"')
        try:
            shown = call.client.send("POST", kind.path(call.namespace), query(call), obj)
        except ApiError as problem:
            if failing:
                raise Failure(f"{failing}{problem.message}") from None
            raise
    if show is not None:
        call.write(show(shown))
    else:
        call.out(f"{printing.full_name(obj)} {verb}{call.dry_note}")
    return 0
