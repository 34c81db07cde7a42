"""/etc/kubernetes/manifests: files that become static pods as long as they lie there and the kubelet runs.

Source: k8s.io/kubernetes/pkg/kubelet/config (file_linux.go, common.go). A change is noticed at once, as inotify tells
of it; while the kubelet does not run it waits for its start.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from seatrial.sim.machinery import validation
from seatrial.sim.machinery.decode import decode
from seatrial.sim.machinery.defaults import default
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.machinery.kinds import Resource
from seatrial.sim.workloads.filesystem import File, FileSystem

if TYPE_CHECKING:
    from seatrial.sim.nodeshell.machine import Machine

SOURCE = "file.go:187"


class Manifests:
    """The files of one machine, as the kubelet last saw them."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.path = ""
        """staticPodPath of the running kubelet."""
        self._seen: Mapping[str, bytes] = {}

    def begin(self, path: str, taken: bool = False) -> None:
        """The kubelet's process begins with a directory; ``taken``: what lies there runs already."""
        self.path = path
        if taken:
            self._seen = self.files()
        else:
            self.look()

    def files(self) -> dict[str, bytes]:
        """Name → contents of what lies there now."""
        return files_of(self._machine.userland.fs, self.path)

    def look(self) -> None:
        """Takes over what has changed."""
        before, now = self._seen, self.files()
        self._seen = now
        pods = self._machine.node.kubelet.static_pods
        for name in before:
            if name not in now:
                pods.remove(name)
        for name, text in now.items():
            if before.get(name) == text:
                continue
            try:
                pod = pod_of(self._machine.site.wiring.kinds.resource("pods"), text)
            except ValueError as problem:
                place = f"{self.path}/{name}"
                said = f"{place}: couldn't parse as pod({problem}), please check config file"
                self._machine.say("E", SOURCE, f'"Could not process manifest file" err={_quoted(said)}')
                pods.remove(name)
                continue
            pods.put(name, pod)


def files_of(fs: FileSystem, path: str) -> dict[str, bytes]:
    """The plain files of a directory, but those whose names begin with a dot."""
    try:
        entries = fs.directory(path) if path else {}
    except OSError:
        return {}
    return {
        name: node.read()
        for name, node in sorted(entries.items())
        if isinstance(node, File) and not name.startswith(".")
    }


def pod_of(resource: Resource, text: bytes) -> Mapping[str, Any]:
    """The pod that a manifest means. Raises ValueError in the kubelet's words."""
    try:
        obj, _ = decode(resource, text, "application/yaml", "Ignore")
    except ApiError as problem:
        raise ValueError(problem.message) from None
    metadata = {"namespace": "default", **(obj.get("metadata") or {})}
    pod = default(resource, {**obj, "metadata": metadata})
    pod = {key: value for key, value in pod.items() if key != "status"}
    wrong = validation.validate_create(resource, pod)
    if wrong:
        raise ValueError(f"invalid pod: [{', '.join(str(each) for each in wrong)}]")
    return pod


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
