"""The commands of a line, on a cluster in this process: kubectl, ssh to a node, curl."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from seatrial.scenarios import kubectl
from seatrial.scenarios.kubectl.inside import ClusterSession
from seatrial.scenarios.script import Done, parsed
from seatrial.sim.cluster import Cluster


class Terminal:
    """A user with a terminal; ``files`` are at hand by their names."""

    def __init__(self, cluster: Cluster, files: Mapping[str, str]) -> None:
        self._cluster = cluster
        self._session = ClusterSession(cluster, dict(files))

    def type(self, text: str) -> Done:
        """Carries out one line. Raises ValueError for what is none of these."""
        line = parsed(text)
        if line.command == "kubectl":
            return self._kubectl(list(line.words), line.stdin)
        if line.command == "ssh":
            node, *words = line.words
            return self._ssh(node, words[1:] if words[0] == "--" else words, line.stdin)
        if line.command == "curl":
            return self._ssh("m-k8s", ["curl", *line.words], "")
        raise ValueError(f"{line.command} is not for a terminal")

    def _kubectl(self, words: list[str], stdin: str) -> Done:
        self._session.typed(stdin)
        code = kubectl.run(words, self._session)
        return Done(code, "".join(self._session.printed))

    def _ssh(self, node: str, words: list[str], stdin: str) -> Done:
        ran = self._cluster.ssh(node, words[0] if len(words) == 1 else shlex.join(words), stdin)
        return Done(ran.code, ran.stdout + ran.stderr)
