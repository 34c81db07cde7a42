"""``kubectl set``. Source: k8s.io/kubectl/pkg/cmd/set."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from seatrial.scenarios.kubectl import printing
from seatrial.scenarios.kubectl.builder import Target, fetched, wanted
from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.client import PATCH_TYPES
from seatrial.scenarios.kubectl.failures import Failure, finish
from seatrial.scenarios.kubectl.generators import amounts, selector_of
from seatrial.scenarios.kubectl.merging import diff, merge_diff
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.machinery.schema import type_of_kind

Object = Mapping[str, Any]
Change = Callable[[Call, dict[str, Any]], bool | None]
"""Changes an object of one's own; whether it made sense for it (None: nothing to tell)."""
TEMPLATES = {"Pod": ("spec",), "CronJob": ("spec", "jobTemplate", "spec", "template", "spec")}


def run(call: Call) -> int:
    word = call.path.split()[-1]
    resources, pairs = _split(call, word)
    found = (
        wanted(call, resources) if resources or call.flags["filename"] or call.flags["kustomize"] else wanted(call, [])
    )
    problems = found.problems
    if word in ("image", "env") and not pairs and not _listing(call, word):
        if word == "image":
            raise Failure("at least one image update is required")
        if not call.flags["from"] and not call.flags["env"]:
            raise Failure("at least one environment variable must be provided")
    change = CHANGES[word](call, pairs)
    targets = found.targets if call.flags.get("local") else list(fetched(call, found, problems))
    for target in targets:
        try:
            _set(call, target, word, change)
        except (ApiError, Failure) as problem:
            problems.append(problem)
    finish(problems)
    return 0


def _listing(call: Call, word: str) -> bool:
    return word == "env" and bool(call.flags["list"])


def _split(call: Call, word: str) -> tuple[list[str], list[str]]:
    """Resources and changes among the arguments."""
    if word == "serviceaccount":
        if len(call.args) < 1 or (len(call.args) < 2 and not call.flags["filename"]):
            raise Failure("serviceaccount is required")
        return call.args[:-1], call.args[-1:]
    if word == "selector":
        return ([*call.args[:-1]], call.args[-1:]) if call.args and "=" in call.args[-1] else (call.args, [])
    resources: list[str] = []
    pairs: list[str] = []
    for each in call.args:
        is_pair = "=" in each or (word == "env" and each.endswith("-"))
        (pairs if is_pair else resources).append(each)
    return resources, pairs


def _set(call: Call, target: Target, word: str, change: Change) -> None:
    before = target.object
    after = copy.deepcopy(dict(before))
    made = change(call, after)
    if made is None:
        return
    if before == after and not call.flags.get("local"):
        if word in ("image", "env", "resources"):
            if call.flags.get("output"):
                printing.told(call, before, "")
            return
    if note := call.cause_note():
        metadata = after.setdefault("metadata", {})
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **note}
    verb = {"image": "image updated", "env": "env updated", "resources": "resource requirements updated",
            "serviceaccount": "serviceaccount updated", "selector": "selector updated",
            "subject": "subjects updated"}[word]  # fmt: skip
    if call.dry_run == "client" or call.flags.get("local"):
        printing.told(call, after, verb)
        return
    kind = target.kind
    type_ = type_of_kind(kind.group, kind.version, kind.kind)
    patch = merge_diff(before, after) if type_ is None else diff(before, after, type_.fields.get)
    name = "merge" if type_ is None else "strategic"
    asked = {"fieldManager": call.flags["field-manager"], "dryRun": "All" if call.dry_run == "server" else ""}
    try:
        shown = call.client.send("PATCH", target.path, asked, patch, PATCH_TYPES[name])
    except ApiError as problem:
        if word not in ("image", "env", "resources"):
            raise
        colon = "" if word == "resources" else ":"
        raise Failure(f"failed to patch {word} update to pod template{colon} {problem.message}") from None
    printing.told(call, shown, verb)


def pod_spec(obj: dict[str, Any]) -> dict[str, Any] | None:
    """The pod's specification in an object; None for kinds without one."""
    path = TEMPLATES.get(obj["kind"], ("spec", "template", "spec"))
    value: Any = obj
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else None


def _required_spec(obj: dict[str, Any]) -> dict[str, Any]:
    spec = pod_spec(obj)
    if spec is None:
        raise Failure(f"the object is not a pod or does not have a pod template: {obj['kind']}")
    return spec


def _chosen(containers: Sequence[dict[str, Any]], pattern: str) -> list[dict[str, Any]]:
    from fnmatch import fnmatchcase

    return [each for each in containers if fnmatchcase(each["name"], pattern)]


def image(call: Call, pairs: Sequence[str]) -> Change:
    wishes = dict(pair.split("=", 1) for pair in pairs)

    def change(call: Call, obj: dict[str, Any]) -> bool:
        spec = _required_spec(obj)
        for name, value in wishes.items():
            held = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
            matching = held if name == "*" else [each for each in held if each["name"] == name]
            if not matching:
                raise Failure(f'unable to find container named "{name}"')
            for each in matching:
                each["image"] = value
        return True

    return change


def env(call: Call, pairs: Sequence[str]) -> Change:
    flags = call.flags
    new: list[dict[str, Any]] = []
    gone: list[str] = []
    for text in [*pairs, *flags["env"]]:
        key, equals, value = text.partition("=")
        if equals:
            new.append({"name": key, "value": value})
        else:
            gone.append(text.removesuffix("-"))
    if flags["from"]:
        new += _from(call)

    def change(call: Call, obj: dict[str, Any]) -> bool | None:
        spec = _required_spec(obj)
        containers = _chosen(spec.get("containers") or (), flags["containers"])
        if not containers:
            call.err(
                f'warning: {printing.full_name(obj)} does not have any containers matching "{flags["containers"]}"'
            )
            return None
        for container in containers:
            if flags["list"]:
                _list_env(call, obj, container)
                continue
            held = [each for each in container.get("env") or () if each["name"] not in gone]
            for each in new:
                place = next((at for at, one in enumerate(held) if one["name"] == each["name"]), None)
                if place is None:
                    held.append(each)
                elif not flags["overwrite"]:
                    raise Failure(
                        f"'{each['name']}' already has a value ({held[place].get('value', '')}), and --overwrite is false"
                    )
                else:
                    held[place] = each
            if held:
                container["env"] = held
            else:
                container.pop("env", None)
        return None if flags["list"] else True

    return change


def _from(call: Call) -> list[dict[str, Any]]:
    """Variables for every key of a ConfigMap or Secret."""
    flags, found = call.flags, []
    for target in fetched(call, wanted(call, [flags["from"]])):
        kind = target.kind.kind
        if kind not in ("ConfigMap", "Secret"):
            raise Failure(f"unsupported resource specified in --from: {target.full_name}")
        field = "configMapKeyRef" if kind == "ConfigMap" else "secretKeyRef"
        keys = flags["keys"] or sorted(target.object.get("data") or {})
        for key in keys:
            name = re.sub("[^a-zA-Z0-9_]", "_", key).upper()
            if name != key:
                call.err(f"Warning: key {key} transferred to {name}")
            found.append({"name": flags["prefix"] + name, "valueFrom": {field: {"key": key, "name": target.name}}})
    return found


def _list_env(call: Call, obj: Object, container: Object) -> None:
    kind = obj["kind"]
    call.out(f"# {kind} {obj['metadata']['name']}, container {container['name']}")
    for each in container.get("env") or ():
        source = each.get("valueFrom")
        if not source:
            call.out(f"{each['name']}={each.get('value', '')}")
        elif "fieldRef" in source:
            call.out(f"# {each['name']} from field path {source['fieldRef']['fieldPath']}")
        elif "configMapKeyRef" in source:
            reference = source["configMapKeyRef"]
            call.out(f"# {each['name']} from configmap {reference['name']}, key {reference['key']}")
        elif "secretKeyRef" in source:
            reference = source["secretKeyRef"]
            call.out(f"# {each['name']} from secret {reference['name']}, key {reference['key']}")
        else:
            call.out(f"# {each['name']} from resource field {source.get('resourceFieldRef', {}).get('resource', '')}")


def resources(call: Call, pairs: Sequence[str]) -> Change:
    flags = call.flags
    limits, requests = amounts(flags["limits"]), amounts(flags["requests"])
    if not limits and not requests:
        raise Failure("you must specify an update to requests or limits (in the form of --requests/--limits)")

    def change(call: Call, obj: dict[str, Any]) -> bool:
        spec = _required_spec(obj)
        held = _chosen(spec.get("containers") or (), flags["containers"])
        if not held:
            raise Failure(f'error: unable to find container named "{flags["containers"]}"')
        for each in held:
            now = each.setdefault("resources", {})
            for field, new in (("limits", limits), ("requests", requests)):
                if new:
                    now[field] = {**(now.get(field) or {}), **new}
        return True

    return change


def serviceaccount(call: Call, pairs: Sequence[str]) -> Change:
    def change(call: Call, obj: dict[str, Any]) -> bool:
        spec = _required_spec(obj)
        spec["serviceAccountName"] = pairs[0]
        spec["serviceAccount"] = pairs[0]
        return True

    return change


def selector(call: Call, pairs: Sequence[str]) -> Change:
    if not pairs:
        raise Failure("one or more resources must be specified as <resource> <name> or <resource>/<name>")

    def change(call: Call, obj: dict[str, Any]) -> bool:
        if obj["kind"] != "Service":
            raise Failure("setting a selector is only supported for Services")
        obj["spec"]["selector"] = dict(selector_of(pairs[0]).get("matchLabels") or {})
        return True

    return change


def subject(call: Call, pairs: Sequence[str]) -> Change:
    flags = call.flags
    group = "rbac.authorization.k8s.io"
    new: list[dict[str, str]] = [{"apiGroup": group, "kind": "User", "name": name} for name in flags["user"]]
    new += [{"apiGroup": group, "kind": "Group", "name": name} for name in flags["group"]]
    for each in flags["serviceaccount"]:
        namespace, _, name = each.partition(":")
        new.append({"kind": "ServiceAccount", "name": name, "namespace": namespace})
    if not new:
        raise Failure("you must specify at least one value of user, group or serviceaccount")

    def change(call: Call, obj: dict[str, Any]) -> bool:
        if obj["kind"] not in ("RoleBinding", "ClusterRoleBinding"):
            raise Failure("setting subjects is only supported for RoleBinding/ClusterRoleBinding")
        held = list(obj.get("subjects") or ())
        obj["subjects"] = held + [each for each in new if each not in held]
        return True

    return change


CHANGES: Mapping[str, Callable[[Call, Sequence[str]], Change]] = {
    "image": image,
    "env": env,
    "resources": resources,
    "serviceaccount": serviceaccount,
    "selector": selector,
    "subject": subject,
}
