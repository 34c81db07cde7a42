"""Image names, and the images that a node has.

Source: github.com/distribution/reference and k8s.io/kubernetes/pkg/kubelet/images. Not modelled: layers shared between
images when a pull's size is counted; a pull takes as long as the whole image.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from seatrial.sim.nodes.cri import Image

DOMAIN = re.compile(
    r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
    r"(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*(?::[0-9]+)?"
)
PATH = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
TAG = re.compile(r"[\w][\w.-]{0,127}", re.ASCII)
DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}")
DEFAULT_DOMAIN = "docker.io"
NAMES_MAX = 5
"""Names of an image that a Node's status shows (MaxNamesPerImageInNodeStatus)."""


class InvalidName(ValueError):
    """A name that is no image reference."""


def normalise(name: str) -> str:
    """``busybox`` → ``docker.io/library/busybox:latest`` (ParseNormalizedNamed, TagNameOnly). Raises InvalidName."""
    rest, _, digest = name.partition("@")
    if digest and not DIGEST.fullmatch(digest):
        raise InvalidName("invalid reference format")
    head, slash, tail = rest.partition("/")
    if slash and ("." in head or ":" in head or head == "localhost" or head.lower() != head):
        domain, path = head, tail
    else:
        domain, path = DEFAULT_DOMAIN, rest
    repository, colon, tag = path.partition(":")
    if domain == DEFAULT_DOMAIN and "/" not in repository:
        repository = f"library/{repository}"
    if repository.lower() != repository:
        raise InvalidName(f"invalid reference format: repository name ({repository}) must be lowercase")
    if not PATH.fullmatch(repository) or not DOMAIN.fullmatch(domain) or (colon and not TAG.fullmatch(tag)):
        raise InvalidName("invalid reference format")
    if digest:
        return f"{domain}/{repository}@{digest}"
    return f"{domain}/{repository}:{tag or 'latest'}"


@dataclass(slots=True)
class Stored:
    """An image on a node."""

    image: Image
    pulled_us: int
    used_us: int
    imported: bool
    """Whether it was brought along rather than pulled: of no registry, so that nobody knows a digest."""


class Named(NamedTuple):
    """An image, whatever it is called; without digests when it was only imported."""

    image_id: str
    digests: list[str]
    tags: list[str]
    size_bytes: int


class ImageStore:
    """The images of one node, and how fast it fetches more."""

    def __init__(self, bytes_per_s: int, overhead_us: int) -> None:
        self._images: dict[str, Stored] = {}
        self.bytes_per_s = bytes_per_s
        self.overhead_us = overhead_us
        self.pulling_until_us = 0
        """Pulls go one after the other (serializeImagePulls)."""
        self.fetching: dict[str, None] = {}
        """Images on their way: who asks for one meanwhile finds it there when its turn comes."""
        self.on_change: Callable[[], None] = _nobody
        self.full = False
        """Whether the disk has no room for one more."""

    def check_space(self, reference: str) -> None:
        """Raises LookupError with the runtime's message when there is no room for an image."""
        if self.full:
            raise LookupError(
                f'failed to pull and unpack image "{reference}": failed to copy: failed to send write: write '
                "/var/lib/containerd/io.containerd.content.v1.content/ingest/data: no space left on device"
            )

    def add(self, image: Image, now_us: int, imported: bool = False) -> None:
        self._images[image.reference] = Stored(image, now_us, now_us, imported)
        self.on_change()

    def digests(self, image_id: str) -> list[str]:
        """What registries call an image; empty of one that was only imported."""
        every = (each for each in self._images.values() if each.image.image_id == image_id and not each.imported)
        return sorted({each.image.repo_digest for each in every})

    def ref(self, image: Image) -> str:
        """What a container's status calls its image (ImageRef of the CRI)."""
        return next(iter(self.digests(image.image_id)), image.image_id)

    def find(self, reference: str, now_us: int) -> Image | None:
        stored = self._images.get(reference)
        if stored is None:
            return None
        stored.used_us = now_us
        return stored.image

    def remove(self, reference: str) -> None:
        self._images.pop(reference, None)
        self.on_change()

    def pull_us(self, image: Image) -> int:
        """How long a pull takes when nothing else is being pulled."""
        return self.overhead_us + image.size_bytes * 1_000_000 // self.bytes_per_s

    def all(self) -> list[Stored]:
        return list(self._images.values())

    def used_bytes(self) -> int:
        return sum(stored.image.size_bytes for stored in self._images.values())

    def wire(self, images_max: int = 50) -> list[dict[str, object]]:
        """``status.images`` of a Node, largest first: names of one image id are listed together, digests before tags
        (nodestatus.Images)."""
        ordered = sorted(self.by_id(), key=lambda entry: (-entry.size_bytes, entry.tags))
        return [
            {"names": [*each.digests, *each.tags][:NAMES_MAX], "sizeBytes": each.size_bytes}
            for each in ordered[:images_max]
        ]

    def by_id(self) -> list[Named]:
        """The images with all their names."""
        found: dict[str, Named] = {}
        for reference, stored in sorted(self._images.items()):
            image = stored.image
            named = found.setdefault(image.image_id, Named(image.image_id, [], [], image.size_bytes))
            if image.repo_digest not in named.digests and not stored.imported:
                named.digests.append(image.repo_digest)
            if "@" not in reference:
                named.tags.append(reference)
        return list(found.values())


def _nobody() -> None:
    return None
