"""Which cluster is meant where a command is typed: that of the directory's Seatrial.yaml, or the one kubectl uses."""

from __future__ import annotations

import os
import re
from pathlib import Path

from seatrial.api.cli import kubeconfig
from seatrial.api.problem import Problem
from seatrial.api.server import state
from seatrial.sim.config import ClusterSpec

FILENAME = "Seatrial.yaml"
DEFAULT_NAME = "seatrial"
NAME_LINE = re.compile(r"^name:[ \t]*['\"]?([a-z0-9][-a-z0-9]*)", re.MULTILINE)


USED = "the one that kubectl uses, or seatrial"
"""``used_name`` in words."""


def used_name() -> str:
    """The cluster that is looked at or acted on when none is named: that of the directory's Seatrial.yaml, else that of
    kubectl's current context, else ``seatrial``."""
    name = default_name()
    if name != DEFAULT_NAME:
        return name
    current = kubeconfig.current(kubeconfig.chosen(None, os.environ))
    return current if current and state.find(current, os.environ).exists else name


def default_name() -> str:
    """The cluster that is made, started or ended when none is named: that of the directory's Seatrial.yaml, or else
    ``seatrial``."""
    try:
        found = NAME_LINE.search(Path(FILENAME).read_text())
    except (OSError, UnicodeDecodeError):
        return DEFAULT_NAME
    return found[1] if found else DEFAULT_NAME


def spec_file(given: str | None, name: str) -> Path | None:
    """The file that says what a cluster is made of: the given one, or the directory's if it is about this cluster."""
    if given:
        return Path(given).absolute()
    path = Path(FILENAME).absolute()
    return path if path.exists() and default_name() == name else None


def read_spec(path: Path, name: str) -> ClusterSpec:
    """The specification in a file, for the cluster of a name. Raises Problem with each mistake's line and column."""
    from seatrial.scenarios.clusterfile import read_spec as read
    from seatrial.scenarios.positions import Mistaken

    try:
        spec = read(path.read_text(), str(path))
    except (OSError, UnicodeDecodeError) as problem:
        why = getattr(problem, "strerror", None) or str(problem)
        raise Problem(str(path), f"it cannot be read ({why})", "seatrial init writes one") from None
    except Mistaken as problem:
        raise Problem(f"cluster {name}", str(problem), "seatrial init shows what can stand in the file") from None
    return spec.model_copy(update={"name": name})
