"""``kubectl debug``: an ephemeral container in a pod, a copy of a pod, or a pod on a node.

Source: k8s.io/kubectl/pkg/cmd/debug (debug.go, profiles.go). Not modelled: profiles beyond what ``general`` and
``legacy`` add.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.scenarios.kubectl.builder import Target, fetched, wanted
from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.client import PATCH_TYPES
from seatrial.scenarios.kubectl.failures import Failure

Object = Mapping[str, Any]
LETTERS = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX = 5


def run(call: Call) -> int:
    flags = call.flags
    if not call.own_args and not flags["filename"]:
        raise call.misused("NAME is required for debug")
    if flags["copy-to"] and flags["target"]:
        raise Failure("--target is incompatible with --copy-to. Use --share-processes instead.")
    if not flags["image"] and not (flags["copy-to"] and (flags["set-image"] or flags["container"])):
        raise Failure("you must specify --image, --container or --set-image.") if flags["copy-to"] else Failure(
            "you must specify --image when not using --copy-to.")  # fmt: skip
    words = [word if "/" in word else f"pods/{word}" for word in call.own_args]
    for target in fetched(call, wanted(call, words)):
        if target.kind.resource == "nodes":
            pod, container = _on_node(call, target)
        elif target.kind.resource == "pods":
            pod, container = _copy(call, target) if flags["copy-to"] else _ephemeral(call, target)
        else:
            raise Failure(f'"{target.kind.plural}" not supported by debug')
        if flags["attach"] or flags["stdin"]:
            _attach(call, pod, container)
    return 0


def suffix(call: Call, name: str) -> str:
    """Five letters, the same for the same name at the same time."""
    import hashlib

    digest = hashlib.sha256(f"{name}/{call.now()}".encode()).digest()
    return "".join(LETTERS[byte % len(LETTERS)] for byte in digest[:SUFFIX])


def _container(call: Call, name: str) -> dict[str, Any]:
    flags = call.flags
    found: dict[str, Any] = {"name": name, "image": flags["image"], "terminationMessagePolicy": "File"}
    if flags["image-pull-policy"]:
        found["imagePullPolicy"] = flags["image-pull-policy"]
    if call.command_args:
        found["args" if flags["arguments-only"] else "command"] = call.command_args
    if flags["env"]:
        found["env"] = [dict(zip(("name", "value"), text.split("=", 1), strict=True)) for text in flags["env"]]
    if flags["stdin"]:
        found["stdin"] = True
    if flags["tty"]:
        found["tty"] = True
    return found


def _ephemeral(call: Call, target: Target) -> tuple[Object, str]:
    flags = call.flags
    name = flags["container"] or f"debugger-{suffix(call, target.name)}"
    if not flags["quiet"]:
        call.err(f"Defaulting debug container name to {name}.") if not flags["container"] else None
        if flags["target"]:
            call.err(
                f"Targeting container \"{flags['target']}\". If you don't see processes from this container it may be because the container runtime doesn't support this feature."
            )
    container = _container(call, name)
    if flags["target"]:
        container["targetContainerName"] = flags["target"]
    path = target.kind.path(target.namespace, target.name, "ephemeralcontainers")
    patch = {"spec": {"ephemeralContainers": [container]}}
    return call.client.send("PATCH", path, {}, patch, PATCH_TYPES["strategic"]), name


def _copy(call: Call, target: Target) -> tuple[Object, str]:
    flags = call.flags
    spec = {
        key: value for key, value in target.object["spec"].items() if key not in ("nodeName", "ephemeralContainers")
    }
    if flags["same-node"]:
        spec["nodeName"] = target.object["spec"].get("nodeName", "")
    if flags["share-processes"]:
        spec["shareProcessNamespace"] = True
    containers = [dict(each) for each in spec["containers"]]
    images = dict(text.partition("=")[::2] for text in flags["set-image"])
    for each in containers:
        each["image"] = images.get(each["name"], images.get("*", each["image"]))
    name = flags["container"] or f"debugger-{suffix(call, target.name)}"
    held = next((each for each in containers if each["name"] == name), None)
    if held is not None:
        if flags["image"]:
            held["image"] = flags["image"]
        if call.command_args:
            held["command"] = call.command_args
            held.pop("args", None)
        held.update({key: True for key in ("stdin", "tty") if flags[key]})
        for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
            held.pop(probe, None)
    elif flags["image"]:
        containers.append(_container(call, name))
        if not flags["container"] and not flags["quiet"]:
            call.err(f"Defaulting debug container name to {name}.")
    metadata: dict[str, Any] = {"name": flags["copy-to"], "namespace": target.namespace}
    annotations = target.object["metadata"].get("annotations")
    if annotations:
        metadata["annotations"] = annotations
    if flags["keep-labels"] and target.object["metadata"].get("labels"):
        metadata["labels"] = target.object["metadata"]["labels"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**spec, "containers": containers}}
    made = call.client.send("POST", target.kind.path(target.namespace), {}, pod)
    if flags["replace"]:
        call.client.send("DELETE", target.path)
    return made, name


def _on_node(call: Call, target: Target) -> tuple[Object, str]:
    name = f"node-debugger-{target.name}-{suffix(call, target.name)}"
    container = _container(call, call.flags["container"] or "debugger")
    container["volumeMounts"] = [{"mountPath": "/host", "name": "host-root"}]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/managed-by": "kubectl-debug"}},
        "spec": {
            "containers": [container],
            "hostIPC": True,
            "hostNetwork": True,
            "hostPID": True,
            "nodeName": target.name,
            "restartPolicy": "Never",
            "tolerations": [{"operator": "Exists"}],
            "volumes": [{"name": "host-root", "hostPath": {"path": "/"}}],
        },
    }
    if not call.flags["quiet"]:
        call.err(f"Creating debugging pod {name} with container {container['name']} on node {target.name}.")
    return call.client.send("POST", call.client.kind("pods").path(call.namespace), {}, pod), container["name"]


def _attach(call: Call, pod: Object, container: str) -> None:
    from seatrial.scenarios.kubectl.connecting import connect, ended, watched

    metadata = pod["metadata"]
    path = call.client.kind("pods").path(metadata["namespace"])

    def running(held: Object) -> bool:
        status = held.get("status") or {}
        states = [*(status.get("containerStatuses") or ()), *(status.get("ephemeralContainerStatuses") or ())]
        return any(each["name"] == container and "waiting" not in (each.get("state") or {}) for each in states)

    held = watched(call, path, metadata["name"], running, 60.0)
    call.err(
        "All commands and output from this session will be recorded in container logs, including credentials and sensitive information passed through the command prompt."
    )
    call.err("If you don't see a command prompt, try pressing enter.")
    ended(connect(call, held, "attach", container))
