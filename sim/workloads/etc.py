"""The files that the kubelet and the runtime mount into every container's /etc."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from seatrial.sim.workloads.filesystem import File

if TYPE_CHECKING:
    from seatrial.sim.workloads.container import Container


def _hosts(container: Container) -> str:
    text: str = container.sandbox.hosts
    return text


def _hostname(container: Container) -> str:
    return f"{container.hostname}\n"


def _resolv(container: Container) -> str:
    dns, text = container.sandbox.dns, ""
    if dns.get("searches"):
        text += f"search {' '.join(dns['searches'])}\n"
    text += "".join(f"nameserver {server}\n" for server in dns.get("servers", ()))
    if dns.get("options"):
        text += f"options {' '.join(dns['options'])}\n"
    return text


FILES: Mapping[str, Callable[[Container], str]] = {
    "/etc/hosts": _hosts,
    "/etc/hostname": _hostname,
    "/etc/resolv.conf": _resolv,
}
"""What each says, by its path."""


def made(container: Container, path: str) -> File:
    """One of them, as it was when the container started."""
    return File(FILES[path](container).encode(), mtime_us=container.started_us)
