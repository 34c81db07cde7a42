"""Leader election: of several replicas of a component one works, and another takes over when it falls silent.

Source: k8s.io/client-go/tools/leaderelection (leaderelection.go, resourcelock/leaselock.go) and the defaults of
k8s.io/component-base/config/v1alpha1.
"""

from __future__ import annotations

from collections.abc import Generator
from random import Random
from typing import Any

from seatrial.sim.apiserver.client import Client, Unreachable
from seatrial.sim.config import S
from seatrial.sim.kernel.clock import Clock
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.machinery.kinds import Kinds

LEASE_DURATION_S = 15
"""--leader-elect-lease-duration."""
RENEW_DEADLINE_US = 10 * S
"""--leader-elect-renew-deadline."""
RETRY_PERIOD_US = 2 * S
"""--leader-elect-retry-period."""
JITTER = 1.2
"""A replica that waits tries again after the retry period times 1 to 2.2 (JitterFactor)."""

Steps = Generator[Any, Any, Any]


class Elector:
    """One replica's part in an election."""

    def __init__(self, clock: Clock, client: Client, kinds: Kinds, rng: Random, identity: str, name: str) -> None:
        self._clock, self._client, self._rng = clock, client, rng
        self._resource = kinds.resource("leases.coordination.k8s.io")
        self._namespace, self._name = "kube-system", name
        self.identity = identity
        self.lease: dict[str, Any] | None = None
        self._seen_at = 0
        self._seen: Any = None

    def acquire(self) -> Steps:
        """Returns when this replica leads."""
        while not (yield from self._attempt()):
            wait = RETRY_PERIOD_US + int(RETRY_PERIOD_US * JITTER * self._rng.random())
            yield self._clock.sleep(wait, periodic=True)

    def hold(self) -> Steps:
        """Renews for as long as it succeeds; returns when the lease is lost."""
        renewed_at = self._clock.now
        while self._clock.now - renewed_at < RENEW_DEADLINE_US:
            yield self._clock.sleep(RETRY_PERIOD_US, periodic=True)
            if (yield from self._attempt()):
                renewed_at = self._clock.now

    def _attempt(self) -> Steps:
        try:
            return (yield from self._acquire_or_renew())
        except (ApiError, Unreachable):
            self.lease = None
            return False

    def _acquire_or_renew(self) -> Steps:
        clock = self._clock
        lease = self.lease
        if lease is None:
            try:
                lease = yield from self._client.get(self._resource, self._namespace, self._name)
            except ApiError as error:
                if error.code != 404:
                    raise
                self.lease = yield from self._client.create(self._resource, self._lease({}, clock.micro_stamp()))
                return True
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity", "")
        if spec != self._seen:
            self._seen, self._seen_at = spec, clock.now
        mine = holder == self.identity
        valid_us = spec.get("leaseDurationSeconds", LEASE_DURATION_S) * S
        if holder and not mine and self._seen_at + valid_us > clock.now:
            return False
        fresh = self._lease(spec, spec.get("acquireTime") if mine else clock.micro_stamp())
        if not mine:
            fresh["spec"]["leaseTransitions"] = spec.get("leaseTransitions", 0) + 1
        updated = {**lease, "spec": fresh["spec"]}
        self.lease = yield from self._client.update(self._resource, updated)
        self._seen, self._seen_at = self.lease["spec"], clock.now
        return True

    def _lease(self, before: dict[str, Any], acquired: Any) -> dict[str, Any]:
        spec = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": LEASE_DURATION_S,
            "acquireTime": acquired,
            "renewTime": self._clock.micro_stamp(),
            "leaseTransitions": before.get("leaseTransitions", 0),
        }
        metadata = {"name": self._name, "namespace": self._namespace}
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
