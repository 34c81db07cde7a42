"""ImageLocality: nodes that hold the pod's images already (pkg/scheduler/framework/plugins/imagelocality)."""

from __future__ import annotations

import numpy as np

from seatrial.sim.scheduler.cache import Cache
from seatrial.sim.scheduler.columns import Column, Rows
from seatrial.sim.scheduler.framework import MAX_SCORE, Plugin, Score
from seatrial.sim.scheduler.podinfo import Traits

MB = 1024 * 1024
MIN_THRESHOLD = 23 * MB
MAX_CONTAINER_THRESHOLD = 1000 * MB


class ImageLocality(Plugin):
    """Scores by the size of images present, weighed by how many nodes have them."""

    name = "ImageLocality"

    def score(self, traits: Traits) -> Score | None:
        return _ImageScore(self.cache, traits.images)


class _ImageScore(Score):
    def __init__(self, cache: Cache, images: tuple[str, ...]) -> None:
        self.cache, self.images = cache, images

    def column(self, rows: Rows | None) -> Column:
        nodes = self.cache.nodes
        sums = np.zeros(len(nodes), dtype=np.int64)
        for image in self.images:
            size, holders = self.cache.images.get(normalized_image_name(image), (0, {}))
            scaled = int(size * (len(holders) / len(nodes))) if nodes else 0
            for name in holders:
                row = self.cache.row_of.get(name)
                if row is not None:
                    sums[row] += scaled
        most = MAX_CONTAINER_THRESHOLD * len(self.images)
        if most <= MIN_THRESHOLD:
            return np.zeros(len(nodes) if rows is None else len(rows), dtype=np.int64)
        scores = MAX_SCORE * (sums.clip(MIN_THRESHOLD, most) - MIN_THRESHOLD) // (most - MIN_THRESHOLD)
        return scores if rows is None else scores[rows]


def normalized_image_name(name: str) -> str:
    """The name with ``:latest`` where it says no tag."""
    return name if name.rfind(":") > name.rfind("/") else f"{name}:latest"
