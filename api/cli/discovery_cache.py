"""Resource types that kubectl remembers on disk from one command to the next, one file for each server.

Source: k8s.io/client-go/discovery/cached/disk. As there, a type that has gone is remembered until the file is older
than six hours or a type is missing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from seatrial.scenarios.kubectl.client import Kind

VERSION = 1


def directory(environment: Mapping[str, str], explicit: str = "") -> Path:
    """Where the files are: ``--cache-dir``, else below the user's caches."""
    if explicit:
        return Path(explicit) / "seatrial"
    base = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "seatrial" / "kubectl"


def _named(server: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "_", server.partition("://")[2])


def _file(where: Path, server: str) -> Path:
    return where / f"{_named(server)}.json"


def forget(environment: Mapping[str, str], server: str) -> None:
    """Drops what this kubectl and the real one remember of a server that is gone: the next one at its port may serve
    other types."""
    home = environment.get("HOME") or str(Path.home())
    caches = Path(environment.get("KUBECACHEDIR") or Path(home) / ".kube" / "cache")
    shutil.rmtree(caches / "discovery" / _named(server), ignore_errors=True)
    with suppress(OSError):
        _file(directory(environment), server).unlink(missing_ok=True)


def load(where: Path, server: str) -> tuple[int, list[Kind]] | None:
    """When they were asked for (µs), and the types; None when nothing that makes sense is there."""
    try:
        held = json.loads(_file(where, server).read_bytes())
        if held["version"] != VERSION:
            return None
        return int(held["at"]), [_kind(row) for row in held["kinds"]]
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _kind(row: list[Any]) -> Kind:
    """A row of the file. Raises TypeError, ValueError."""
    texts, namespaced, lists = row[:5], row[5], row[6:]
    group, version, plural, singular, kind = (str(text) for text in texts)
    verbs, short_names, categories, subresources = (tuple(each) for each in lists)
    return Kind(group, version, plural, singular, kind, bool(namespaced), verbs, short_names, categories, subresources)


def save(where: Path, server: str, held: tuple[int, list[Kind]]) -> None:
    """Keeps them; a disk that does not want to is left alone."""
    path = _file(where, server)
    value: dict[str, Any] = {"version": VERSION, "at": held[0], "kinds": held[1]}
    try:
        where.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_text(json.dumps(value))
        os.replace(draft, path)
    except OSError:
        return
