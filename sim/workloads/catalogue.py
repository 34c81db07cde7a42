"""The image catalogue: what registries serve, and what is inside.

The rows are data (``data/images.yaml``); users add their own in the same form. An image that the catalogue lacks is
pulled all the same and does what its pod expects (``undescribed``), unless its name says that it cannot be had. Source
of the refusals' wording: containerd's resolver.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

import yaml

from seatrial.sim.workloads.filesystem import EXEC_MODE, Dir, File, FileSystem, Link, freeze, tree_of

MI = 1024 * 1024
RESOLVER = "10.0.2.3:53"
"""The machines' own name server, which knows no cluster names."""
TAG = re.compile(
    r"(?:v?\d[\w.+-]*|latest|stable|alpine|slim|mainline|edge|rc|lts|main|master|nightly|dev|prod|release|perl"
    r"|apache|fpm|cli|j(?:dk|re)\d*|java\d+|php\d+|py(?:thon)?\d+|dind|standalone|community|enterprise|curl|scm|rootless"
    r"|bullseye|bookworm|trixie|buster|focal|jammy|noble|glibc|musl|uclibc|management|amd64|arm64|linux"
    r"|[0-9a-f]{7,40})(?:[-.][\w.+-]*)?"
)
"""Tags that an official or described repository may be believed to have."""
DENIAL = re.compile(
    r"(?:no|nope|none|not|never|bad)(?:[-_.].*)?|.*(?:exist|nosuch|missing|wrong|invalid|typo|fake|bogus|broken).*"
)
"""Tags that say themselves that they are not there; of a repository that nobody described all others are believed."""
UNRESOLVABLE = (".invalid", ".example", ".test", ".localhost", ".local", ".internal")
"""Top-level domains that never resolve (RFC 2606, RFC 6761)."""
USERS = {0: "root", 1: "bin", 2: "daemon", 65534: "nobody"}


USUAL = ("/var/run/secrets/kubernetes.io/serviceaccount", "/var/log", "/var/tmp", "/usr/bin", "/usr/local/bin")
"""Directories of every image; the first spares each container a copy when its service account is mounted."""


class NoSuchImage(LookupError):
    """``args`` is the runtime's message."""


class Image:
    """An image (cri.Image) with what it does."""

    def __init__(self, reference: str, row: Mapping[str, Any], base: Mapping[str, Any], programs: Dir) -> None:
        self.reference = reference
        bare, _, digest = reference.partition("@")
        repository = bare.rpartition(":")[0] or reference
        self.tag: str = bare.rpartition(":")[2] if ":" in bare.rpartition("/")[2] else "latest"
        salt = f"{row.get('build', repository)}:{row.get('size_mb', 0)}:{reference if not row.get('shared') else ''}"
        self.image_id = f"sha256:{hashlib.sha256(salt.encode()).hexdigest()}"
        digest = digest or f"sha256:{hashlib.sha256(f'manifest of {salt}'.encode()).hexdigest()}"
        name = bare.removesuffix(f":{self.tag}") if ":" in bare.rpartition("/")[2] else bare
        self.repo_digest = f"{name}@{digest}"
        self.size_bytes = int(row.get("size_bytes") or row.get("size_mb", 50) * MI)
        self.entrypoint: list[str] = list(row.get("entrypoint") or [])
        self.cmd: list[str] = list(row.get("cmd") or [])
        self.env: dict[str, str] = {**base.get("env", {}), **row.get("env", {})}
        self.user = str(row.get("user", ""))
        self.working_dir: str = row.get("working_dir", "/")
        self.users: dict[int, str] = {**USERS, **(base.get("users") or {}), **(row.get("users") or {})}
        self.memory = int(float(row.get("memory_mb", 0.4)) * MI)
        self.known: bool = row.get("known", True)
        self.root = self._tree(row, base, programs)
        self.places: dict[str, str | None] = {}
        """Where programs are in the untouched image, as far as somebody looked."""

    def _tree(self, row: Mapping[str, Any], base: Mapping[str, Any], programs: Dir) -> Dir:
        files: dict[str, Any] = {**(base.get("files") or {}), **(row.get("files") or {})}
        passwd = "".join(
            f"{name}:x:{uid}:{uid}:{name}:/{'root' if uid == 0 else ''}:/bin/sh\n" for uid, name in self.users.items()
        )
        files.setdefault("/etc/passwd", passwd)
        files.setdefault("/etc/group", "".join(f"{name}:x:{uid}:\n" for uid, name in self.users.items()))
        root = tree_of(files)
        for name in USUAL:
            _merge(root, tree_of({f"{name}/": None}))
        for name in ("bin", "dev", "etc", "home", "proc", "root", "sys", "tmp", "usr", "var", "run", "mnt", "opt"):
            root.entries.setdefault(name, Dir())
        _merge(root, tree_of({"/sys/fs/cgroup/": None}))
        tmp = root.entries["tmp"]
        tmp.mode = 0o1777
        bin_ = root.entries["bin"]
        assert isinstance(bin_, Dir)
        bin_.entries.update(programs.entries)
        for path, program in (row.get("programs") or {}).items():
            place = tree_of({path: File(b"\x7fELF", EXEC_MODE, program=program)})
            _merge(root, place)
        for path in row.get("set_uid") or ():
            FileSystem(root, lambda: 0).find(path).mode |= 0o6000
        dev = root.entries["dev"]
        assert isinstance(dev, Dir)
        dev.entries.update(_devices())
        freeze(root)
        return root


def _merge(into: Dir, more: Dir) -> None:
    for name, node in more.entries.items():
        there = into.entries.get(name)
        if isinstance(there, Dir) and isinstance(node, Dir):
            _merge(there, node)
        else:
            into.entries[name] = node


def _devices() -> dict[str, Any]:
    devices = {name: File(b"", 0o666, device=name) for name in ("null", "zero", "full", "tty", "stdout", "stderr")}
    devices["random"] = devices["urandom"] = File(b"", 0o666, device="random")
    return {**devices, "shm": Dir(0o1777), "fd": Link("/proc/self/fd")}


def _has(row: Mapping[str, Any] | None, official: bool, tag: str) -> bool:
    """Whether a repository is believed to have a tag."""
    if row is None and not official:
        return DENIAL.fullmatch(tag.lower()) is None
    patterns = (row or {}).get("tags")
    return any(re.fullmatch(str(each), tag) for each in patterns) if patterns else TAG.fullmatch(tag) is not None


@lru_cache(maxsize=4)
def rows_of(text: str) -> Mapping[str, Any]:
    """A catalogue's YAML."""
    found: Mapping[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return found


def built_in() -> Mapping[str, Any]:
    """The catalogue that comes with the package."""
    return rows_of(resources.files(__package__).joinpath("data/images.yaml").read_text())


class Catalogue:
    """Images by normalised reference."""

    def __init__(self, more: Mapping[str, Any] | None = None) -> None:
        data = built_in()
        more = more or {}
        self.bases: dict[str, Any] = {**data["bases"], **more.get("bases", {})}
        self.images: dict[str, Any] = {**data["images"], **more.get("images", {})}
        self.services: dict[str, Any] = {**data["services"], **more.get("services", {})}
        self.packages: dict[str, list[str]] = {**data["packages"], **more.get("packages", {})}
        self.official: frozenset[str] = frozenset(data["official"])
        self._made: dict[str, Image] = {}
        self._programs: dict[str, Dir] = {}

    def find(self, reference: str) -> Image:
        """Raises NoSuchImage."""
        made = self._made.get(reference)
        if made is None:
            made = self._made[reference] = self._make(reference)
        return made

    def unknown(self) -> list[str]:
        """Images in use that the catalogue says nothing about."""
        return sorted(reference for reference, image in self._made.items() if not image.known)

    def _make(self, reference: str) -> Image:
        bare, at, _ = reference.partition("@")
        repository, colon, tag = bare.rpartition(":")
        if at or not colon or "/" in tag:
            repository, tag = bare, "latest"
        row = self.images.get(repository)
        self._refuse(reference, repository, tag, row)
        if row is None:
            row = {"base": "debian", "cmd": ["app"], "programs": {"/usr/local/bin/app": "generic"}, "known": False}
        return self.built(reference, row, row.get("base", "scratch"))

    def built(self, reference: str, row: Mapping[str, Any], base: str) -> Image:
        """What a row means upon a base."""
        return Image(reference, row, self.bases[base], self._base_programs(base))

    def _base_programs(self, base: str) -> Dir:
        found = self._programs.get(base)
        if found is None:
            found = self._programs[base] = Dir()
            names = (self.bases[base].get("programs") or "").split()
            found.entries = {name: File(b"\x7fELF", EXEC_MODE, program=name) for name in names}
        return found

    def _refuse(self, reference: str, repository: str, tag: str, row: Mapping[str, Any] | None) -> None:
        """Raises NoSuchImage for what no registry serves."""
        domain, _, path = repository.partition("/")
        pulling = f'failed to pull and unpack image "{reference}": failed to resolve reference "{reference}": '
        host = domain.partition(":")[0]
        if host.endswith(UNRESOLVABLE) or ("." not in host and host != "localhost"):
            manifest = f"https://{domain}/v2/{path}/manifests/{tag}"
            dial = f"dial tcp: lookup {host} on {RESOLVER}: no such host"
            raise NoSuchImage(f'{pulling}failed to do request: Head "{manifest}": {dial}')
        if host == "localhost":
            manifest = f"https://{domain}/v2/{path}/manifests/{tag}"
            port = domain.partition(":")[2] or "443"
            dial = f"dial tcp 127.0.0.1:{port}: connect: connection refused"
            raise NoSuchImage(f'{pulling}failed to do request: Head "{manifest}": {dial}')
        official = domain == "docker.io" and path.startswith("library/")
        if row is None and official and path.removeprefix("library/") not in self.official:
            raise NoSuchImage(
                f"{pulling}pull access denied, repository does not exist or may require authorization: server message: "
                "insufficient_scope: authorization failed"
            )
        if "@" not in reference and not _has(row, official, tag):
            raise NoSuchImage(f"{pulling}{reference}: not found")
