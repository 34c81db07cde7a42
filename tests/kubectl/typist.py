"""A cluster in this process, and a user who types."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from seatrial.scenarios.kubectl import run
from seatrial.scenarios.kubectl.inside import ClusterSession
from seatrial.sim.cluster import Cluster


class Typist:
    """Types kubectl commands and keeps what they print."""

    def __init__(self, cluster: Cluster, files: Mapping[str, str] | None = None) -> None:
        self.cluster = cluster
        self.session = ClusterSession(cluster, files)

    def __call__(self, line: str, stdin: str = "") -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        self.session.typed(stdin)
        code = run(shlex.split(line), self.session)
        return (code, *self.session.printed)

    def out(self, line: str, stdin: str = "") -> str:
        """What a command prints that has to work."""
        code, out, err = self(line, stdin)
        assert code == 0, err
        return out

    def refused(self, line: str, stdin: str = "") -> str:
        """What a command says that has to fail."""
        code, _, err = self(line, stdin)
        assert code != 0
        return err
