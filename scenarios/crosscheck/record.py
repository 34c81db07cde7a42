"""Plays scenarios on any cluster that kubectl reaches, and records what its watches show.

kubectl is what speaks to the cluster, so that every way of authentication works and the commands of a scenario are the
very ones that people type. *Not modelled*: changes between two looks of a slow watch; they are in nobody's recording.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import yaml

from seatrial.scenarios.crosscheck.recording import Recording, Seen
from seatrial.scenarios.crosscheck.scenario import Scenario, Step

KINDS = (
    "pods",
    "replicasets",
    "deployments",
    "statefulsets",
    "daemonsets",
    "jobs",
    "cronjobs",
    "services",
    "endpointslices",
    "events",
    "poddisruptionbudgets",
    "persistentvolumeclaims",
    "resourcequotas",
    "horizontalpodautoscalers",
)
"""What is watched."""
SETTLE_S = 1.0
"""From the start of the watches to the first step, and from the last step to their end."""
READ_SIZE = 65_536


class KubectlFailed(Exception):
    """kubectl refused a command that the scenario needs."""


class Cluster:
    """A cluster by its kubeconfig."""

    def __init__(self, kubeconfig: Path | None, kubectl: str = "kubectl", context: str = "") -> None:
        self._command = [kubectl]
        if kubeconfig is not None:
            self._command += ["--kubeconfig", str(kubeconfig)]
        if context:
            self._command += ["--context", context]

    def run(self, *arguments: str, given: str = "", check: bool = True) -> str:
        """What kubectl prints. Raises KubectlFailed."""
        try:
            done = subprocess.run(
                [*self._command, *arguments], input=given, capture_output=True, text=True, check=False
            )
        except OSError as problem:
            raise KubectlFailed(f"{self._command[0]}: {problem.strerror}") from None
        if check and done.returncode:
            raise KubectlFailed(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def watch(self, namespace: str, kind: str) -> subprocess.Popen[bytes]:
        """A kubectl that writes every change of a kind."""
        watching = ["get", kind, "-n", namespace, "--watch", "--output-watch-events", "-o", "json"]
        return subprocess.Popen([*self._command, *watching], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    @property
    def version(self) -> str:
        found = json.loads(self.run("version", "-o", "json"))
        return str(found["serverVersion"]["gitVersion"])


def documents(stream: IO[bytes]) -> Iterator[Any]:
    """The JSON values that kubectl writes one after the other, as soon as each is complete."""
    decoder, text = json.JSONDecoder(), ""
    while chunk := os.read(stream.fileno(), READ_SIZE):
        text += chunk.decode()
        while text := text.lstrip():
            try:
                value, end = decoder.raw_decode(text)
            except ValueError:
                break
            text = text[end:]
            yield value


class Recorder:
    """The watches of one namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._began = time.monotonic()
        self._seen: list[tuple[float, str, dict[str, Any]]] = []
        self._watches = [cluster.watch(namespace, kind) for kind in KINDS]
        self._threads = [threading.Thread(target=self._follow, args=(watch,), daemon=True) for watch in self._watches]
        for thread in self._threads:
            thread.start()

    def _follow(self, watch: subprocess.Popen[bytes]) -> None:
        assert watch.stdout is not None
        with suppress(UnicodeDecodeError):
            for value in documents(watch.stdout):
                self._seen.append((time.monotonic(), value["type"], value["object"]))

    def begin(self) -> None:
        """This moment is second 0."""
        self._began = time.monotonic()

    def end(self) -> tuple[Seen, ...]:
        """Stops the watches; what they have seen, in order."""
        for watch in self._watches:
            watch.terminate()
        for watch, thread in zip(self._watches, self._threads, strict=True):
            watch.wait()
            thread.join()
        ordered = sorted(self._seen, key=lambda each: each[0])
        return tuple(Seen(round(at - self._began, 3), verb, obj) for at, verb, obj in ordered)


def play(cluster: Cluster, scenario: Scenario) -> Recording:
    """Plays a scenario in a namespace of its own, which is deleted afterwards. Raises KubectlFailed."""
    namespace = f"crosscheck-{scenario.name}"
    cluster.run("create", "namespace", namespace)
    try:
        recorder = Recorder(cluster, namespace)
        try:
            time.sleep(SETTLE_S)
            recorder.begin()
            for step in scenario.steps:
                take(cluster, namespace, step)
            time.sleep(SETTLE_S)
        finally:
            changes = recorder.end()
        return Recording(scenario.name, cluster.version, changes)
    finally:
        cluster.run("delete", "namespace", namespace, "--timeout=120s", check=False)


def take(cluster: Cluster, namespace: str, step: Step) -> None:
    """One step. A command that the server refuses is a fact like any other and shows in what follows."""
    if step.apply:
        cluster.run("apply", "-n", namespace, "-f", "-", given=yaml.safe_dump_all(step.apply))
    elif step.kubectl:
        cluster.run(*shlex.split(step.kubectl), "-n", namespace, check=False)
    else:
        time.sleep(step.wait)
