"""kube-state-metrics: a pod that watches objects and tells of them as metrics.

Source: k8s.io/kube-state-metrics/v2. Not modelled: sharding, allow-lists of labels and annotations.
"""

from __future__ import annotations

from collections.abc import Mapping

from seatrial.sim.apiserver.informer import Informer
from seatrial.sim.apiserver.wiring import Wiring
from seatrial.sim.machinery.metrics import Family, Labels, Rows, exposition, families
from seatrial.sim.network.agent import Agent, service_account
from seatrial.sim.network.kubestate import KINDS, rows

VERSION = "v2.20.0"


class StateMetrics(Agent):
    """One exporter; it acts as its pod's service account."""

    def __init__(self, wiring: Wiring, namespace: str, instance: str, host: str, account: str) -> None:
        user = service_account(namespace, account or "kube-state-metrics")
        super().__init__(wiring, f"kube-state-metrics/{instance}", host, user, f"kube-state-metrics/{VERSION}")
        self._informers: dict[str, Informer] = {}
        self._began_us = 0

    def _begin(self) -> None:
        self._began_us = self.clock.now
        self._informers = {storage: self.watch(storage) for storage in KINDS}

    def _end(self) -> None:
        self._informers = {}

    def metrics(self, open_metrics: bool = False) -> bytes:
        """Port 8080: what there is, of the kinds that it may list."""
        known = families("kube-state-metrics")
        values: dict[str, dict[Labels, float]] = {}
        for storage, informer in self._informers.items():
            for obj in informer.view.list():
                for name, labels, value in rows(KINDS[storage], obj):
                    family = known.get(name)
                    if family is not None:
                        key = tuple(labels.get(label, "") for label in family.labels)
                        values.setdefault(name, {})[key] = value
        return exposition([known[name] for name in values], values, open_metrics=open_metrics)

    def telemetry(self) -> bytes:
        """Port 8081: how the exporter itself is."""
        known: Mapping[str, Family] = families("kube-state-metrics-self")
        counts: dict[Labels, float] = {}
        for storage, informer in self._informers.items():
            counts[KINDS[storage].prefix, "success" if informer.synced else "error"] = 1.0
        values: dict[str, Rows | float] = {
            "kube_state_metrics_list_total": counts,
            "kube_state_metrics_watch_total": counts,
            "kube_state_metrics_total_shards": 1,
            "kube_state_metrics_shard_ordinal": {("0",): 0},
            "process_start_time_seconds": self._began_us / 1_000_000,
        }
        process = families("kube-proxy")["process_start_time_seconds"]
        return exposition([*known.values(), process], values)
