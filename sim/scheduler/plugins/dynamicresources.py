"""DynamicResources: devices that pods claim (pkg/scheduler/framework/plugins/dynamicresources).

*Not modelled*: allocation of devices. A pod that names resource claims waits, as it would for devices that are not
there; every other pod gets the plug-in's neutral answers, which upstream gives too.
"""

from __future__ import annotations

import numpy as np

from seatrial.sim.scheduler.cache import Cache
from seatrial.sim.scheduler.columns import Column, Rows
from seatrial.sim.scheduler.framework import Filter, Plugin, Rejected, Score, unresolvable
from seatrial.sim.scheduler.podinfo import Traits


class DynamicResources(Plugin):
    """Turns pods with resource claims down, scores nodes for the others alike."""

    name = "DynamicResources"
    events = ("ResourceClaim/Add", "ResourceClaim/Update", "ResourceSlice/Add", "ResourceSlice/Update")

    def filter(self, traits: Traits) -> Filter | None:
        claims = traits.spec.get("resourceClaims")
        if claims:
            raise Rejected(unresolvable(f'waiting for dynamic resource claim "{claims[0].get("name")}"'))
        return None

    def score(self, traits: Traits) -> Score | None:
        return Indifferent(self.cache)


class Indifferent(Score):
    """0 for every node."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache

    def column(self, rows: Rows | None) -> Column:
        return np.zeros(len(self.cache.nodes) if rows is None else len(rows), dtype=np.int64)
