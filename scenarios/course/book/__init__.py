"""The manifests of the book's third chapter as they are in its repository (github.com/sysnet4admin/_Book_k8sInfra, for
Kubernetes 1.18); `ingress-nginx.yaml` and `ingress.yaml` are the same texts as its fifth chapter's."""

from __future__ import annotations

from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent


def names() -> list[str]:
    return sorted(path.name for path in FOLDER.glob("*.yaml"))


@cache
def manifest(name: str) -> str:
    """Raises OSError."""
    return (FOLDER / name).read_text()
