"""Faults and loads that outlive a boot: written down with the cluster's objects, and in force again after the next one.

A boot begins with machines that work. What was broken when the cluster was halted (or its process killed) is broken
again at once, and what was to come still comes, for as long as it would have lasted; what was over by itself is not
done again. Figures of loads begin anew.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import orjson

from seatrial.sim.cluster import Cluster
from seatrial.sim.store.sqlite import Durable

log = logging.getLogger("seatrial")
FACTS = ("faults", "loads")
Entry = dict[str, Any]


def keep(cluster: Cluster, durable: Durable) -> None:
    """Writes down what is in force and what will be."""
    faults = [_entry(each["fault"], each) for each in cluster.faults.list()]
    loads = [_entry(each["load"], each) for each in cluster.loads.list() if each["state"] != "ended"]
    for fact, entries in zip(FACTS, (faults, loads), strict=True):
        durable.set_fact(fact, orjson.dumps(entries).decode())
    durable.flush()


def _entry(value: Any, about: Entry) -> Entry:
    return {"value": value, **{key: about[key] for key in ("name", "since", "until")}}


def restore(cluster: Cluster, durable: Durable) -> None:
    """Puts into force again what was written down, after what is due at this moment, as a replay does it."""
    cluster.clock.run_until(cluster.now)
    for fact, add in zip(FACTS, (cluster.add_fault, cluster.add_load), strict=True):
        for entry in orjson.loads(durable.fact(fact) or "[]"):
            _restore(entry, cluster.now, add)


def _restore(entry: Entry, now: int, add: Callable[..., str]) -> None:
    until, begins = entry["until"], max(entry["since"], now)
    if until is not None and until <= begins:
        return
    lasts = None if until is None else until - begins
    try:
        add(entry["value"], entry["name"], begins - now, lasts)
    except ValueError as problem:
        log.warning("%s is not in force again: %s", entry["name"], problem)
