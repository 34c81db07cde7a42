"""Programs of images that the catalogue says nothing about.

What is inside such an image cannot be known, so that it is taken to do what its pod expects of it: a program that the
pod names is there; it listens on the ports that the pod mentions and goes on, or, where the pod waits for an end
(``ContainerConfig.ends``), does its work and succeeds. As a webhook it admits what it is asked about, and converts
objects by their version alone; behind an APIService it serves no resources. One that is called as a component of the
cluster is, kube-scheduler say, or as a client like curl, is what its name says. Files and directories that the pod's
commands copy out of the image are there: a file can be executed, a directory is empty. Only what a container's main
process starts is taken for granted: who looks around with exec finds what is in the tree. *Not modelled*: commands of
such images that fail because they are misspelt.
"""

from __future__ import annotations

import errno
import json
import posixpath
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from seatrial.sim.workloads.filesystem import EXEC_MODE, Dir, File

if TYPE_CHECKING:
    from seatrial.sim.workloads.container import Container
    from seatrial.sim.workloads.net import HttpRequest
    from seatrial.sim.workloads.process import Proc

OWN = "generic"
"""The service that stands for such an image's own program."""
CLIENTS = frozenset({"curl", "dig", "getent", "host", "nc", "nslookup", "ping", "wget"})
GROUP_VERSION = re.compile(r"/apis/([a-z0-9.-]+/v[a-z0-9]+)/?(?:\?.*)?")
EMPTY = ("/dev/", "/proc/", "/run/", "/sys/", "/tmp/", "/var/run/", "/var/tmp/")
"""Where files are while something runs alone, so that no image ships any."""
WORK_US = 1_000_000
"""How long a program takes whose end is waited for."""


def main_program(container: Container, argv: list[str], env: Mapping[str, str], cwd: str) -> Callable[[Proc], Any]:
    """What a container's main process runs. Raises FileNotFoundError(argv[0])."""
    if not argv:
        raise FileNotFoundError("")
    try:
        return container.find_program(argv[0], env.get("PATH"), cwd)
    except OSError as error:
        if container.image.known or error.errno != errno.ENOENT:
            raise FileNotFoundError(argv[0]) from None
    return _by_name(container, argv[0])


def started_by(proc: Proc, name: str, path: str | None) -> Callable[[Proc], Any]:
    """What runs when a process starts a program by name. Raises OSError: not there, or not executable."""
    container = proc.container
    try:
        return container.find_program(name, path, proc.cwd)
    except OSError as error:
        if container.image.known or error.errno != errno.ENOENT or not _of_main(proc):
            raise
    return _by_name(container, name)


def _by_name(container: Container, path: str) -> Callable[[Proc], Any]:
    """A component of Kubernetes that somebody put into an image of their own is what its name says, and so is a client
    whose answer a script may wait for.
    """
    name = path.rpartition("/")[2]
    named = name in container.world.programs or name in CLIENTS
    return container.world.program(name if named else OWN, container.image)


def said(request: HttpRequest) -> Mapping[str, Any] | None:
    """What it answers as a webhook or an extension API server; None for any other request."""
    if (asked := GROUP_VERSION.fullmatch(request.path)) is not None:
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": asked[1], "resources": []}
    return review(request)


def review(request: HttpRequest) -> Mapping[str, Any] | None:
    """The answer of a webhook that has nothing against it; None for a request that asks for no review."""
    try:
        asked = json.loads(request.body)
        kind, wanted = asked["kind"], asked["request"]
        if kind == "AdmissionReview":
            answer = {"uid": wanted["uid"], "allowed": True}
        elif kind == "ConversionReview":
            made = [{**obj, "apiVersion": wanted["desiredAPIVersion"]} for obj in wanted["objects"]]
            answer = {"uid": wanted["uid"], "convertedObjects": made, "result": {"status": "Success"}}
        else:
            return None
    except (ValueError, KeyError, TypeError):
        return None
    return {"apiVersion": asked["apiVersion"], "kind": kind, "response": answer}


def shipped(proc: Proc, path: str, deep: bool) -> File | Dir | None:
    """What is copied from a place where the tree has nothing; None where an image has nothing either."""
    at = posixpath.normpath(posixpath.join(proc.cwd, path)) + "/"
    container = proc.container
    if container.image.known or not _of_main(proc) or at.startswith((*EMPTY, *(f"{m}/" for m in container.fs.mounts))):
        return None
    return Dir() if deep or path.endswith(("/", "/.")) else File(b"\x7fELF", EXEC_MODE, program=OWN)


def has_unknown_names(proc: Proc, path: str) -> bool:
    """Whether a pattern that matched nothing stands for files of the image whose names nobody can know."""
    return any(char in path for char in "*?[") and shipped(proc, path, False) is not None


def _of_main(proc: Proc) -> bool:
    while proc.parent is not None:
        proc = proc.parent
    return proc.pid == 1
