"""Leader election: of several replicas of a component one works, and another takes over when it falls silent.

Source: k8s.io/client-go/tools/leaderelection (leaderelection.go, resourcelock/leaselock.go) and the defaults of
k8s.io/component-base/config/v1alpha1.

A component that is killed leaves its lease to run out. Of those that are asked to end the scheduler gives it back, and
the controller manager does not (ControllerManagerReleaseLeaderElectionLockOnExit is off).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from seatrial.sim.apiserver.client import Client, Unreachable
from seatrial.sim.apiserver.standing import Beat, renewed
from seatrial.sim.apiserver.wiring import Wiring
from seatrial.sim.config import S
from seatrial.sim.kernel.streams import uid_from
from seatrial.sim.machinery.errors import ApiError

JITTER = 1.2
"""A replica that waits tries again after the retry period times 1 to 2.2 (JitterFactor)."""

RESTART_US = 1 * S
"""From the loss of the lease, which ends the process, to its restart by the kubelet."""

Steps = Generator[Any, Any, Any]
Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Election:
    """What replicas compete for, and the pace at which they do."""

    name: str
    namespace: str = "kube-system"
    lease_us: int = 15 * S
    """--leader-elect-lease-duration."""
    renew_deadline_us: int = 10 * S
    """--leader-elect-renew-deadline."""
    retry_us: int = 2 * S
    """--leader-elect-retry-period."""


class Elector:
    """One replica's part in an election; ``recorder`` names it in the event about its victory."""

    def __init__(
        self, wiring: Wiring, client: Client, rng: Random, host: str, election: Election, recorder: str
    ) -> None:
        self._wiring, kinds = wiring, wiring.kinds
        self._clock, self._client, self._rng = wiring.clock, client, rng
        self._resource = kinds.resource("leases.coordination.k8s.io")
        self._events = kinds.resource("events")
        self._election, self._recorder = election, recorder
        self.identity = f"{host}_{uid_from(rng)}"
        self.lease: Object | None = None
        self._renewed = False
        self._seen_at = 0
        self._seen: Any = None

    @property
    def stands_by(self) -> bool:
        """Whether another replica leads: it has renewed the lease between the last two looks."""
        return self._renewed

    def acquire(self) -> Steps:
        """Returns when this replica leads."""
        while not (yield from self._attempt()):
            wait = self._election.retry_us + int(self._election.retry_us * JITTER * self._rng.random())
            yield self._clock.sleep(wait, periodic=True)

    def hold(self) -> Steps:
        """Renews for as long as it succeeds; returns when the lease is lost."""
        clock, standing, pause = self._clock, self._wiring.endpoint.server.standing, self._election.retry_us
        renewed_at = clock.now
        while clock.now - renewed_at < self._election.renew_deadline_us:
            yield clock.sleep(pause, periodic=True)
            sent, known, pause = clock.now, self.lease is not None, self._election.retry_us
            if not (yield from self._attempt()):
                continue
            renewed_at = clock.now
            pace = standing.pace(self._client.host, self._resource.storage, sent, pause) if known else None
            if pace is not None and self.lease is not None:
                manager = self._client.user_agent.partition("/")[0]
                beat = Beat(self._wiring, self._client.host, self._resource, self.lease, pace, renewed(manager), True)
                yield beat
                self.lease = beat.stored
                self._seen, self._seen_at = self.lease["spec"], beat.answered_us()
                renewed_at, pause = beat.answered_us(), beat.left_us()

    def release(self) -> Steps:
        """Gives the lease back if it is still held, so that the next leader need not wait (ReleaseOnCancel)."""
        try:
            lease = yield from self._client.get(self._resource, self._election.namespace, self._election.name)
            if lease["spec"].get("holderIdentity") != self.identity:
                return
            now = self._clock.micro_stamp()
            given = {"holderIdentity": "", "leaseDurationSeconds": 1, "acquireTime": now, "renewTime": now}
            yield from self._client.update(self._resource, {**lease, "spec": {**lease["spec"], **given}})
        except (ApiError, Unreachable):
            return

    def announce(self) -> Steps:
        """Tells of the victory in an event about the lease; one that cannot be written is lost."""
        lease = self.lease
        if lease is None:
            return
        meta, at = lease["metadata"], self._clock.stamp()
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{meta['name']}.{self._clock.now * 1000:x}", "namespace": meta["namespace"]},
            "involvedObject": {
                "kind": "Lease",
                "namespace": meta["namespace"],
                "name": meta["name"],
                "uid": meta["uid"],
                "apiVersion": "coordination.k8s.io/v1",
                "resourceVersion": meta["resourceVersion"],
            },
            "reason": "LeaderElection",
            "message": f"{self.identity} became leader",
            "source": {"component": self._recorder},
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
            "type": "Normal",
            "eventTime": None,
            "reportingComponent": self._recorder,
            "reportingInstance": "",
        }
        try:
            yield from self._client.create(self._events, event)
        except (ApiError, Unreachable):
            return

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
                lease = yield from self._client.get(self._resource, self._election.namespace, self._election.name)
            except ApiError as error:
                if error.code != 404:
                    raise
                self.lease = yield from self._client.create(self._resource, self._lease({}, clock.micro_stamp()))
                return True
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity", "")
        mine = holder == self.identity
        self._renewed = bool(holder) and not mine and self._seen is not None and spec != self._seen
        if spec != self._seen:
            self._seen, self._seen_at = spec, clock.now
        valid_us = spec.get("leaseDurationSeconds", self._election.lease_us // S) * S
        if holder and not mine and self._seen_at + valid_us > clock.now:
            return False
        fresh = self._lease(spec, spec.get("acquireTime") if mine else clock.micro_stamp())
        if not mine:
            fresh["spec"]["leaseTransitions"] = spec.get("leaseTransitions", 0) + 1
        updated = {**lease, "spec": fresh["spec"]}
        self.lease = yield from self._client.update(self._resource, updated)
        self._seen, self._seen_at = self.lease["spec"], clock.now
        return True

    def _lease(self, before: Object, acquired: Any) -> dict[str, Any]:
        spec = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self._election.lease_us // S,
            "acquireTime": acquired,
            "renewTime": self._clock.micro_stamp(),
            "leaseTransitions": before.get("leaseTransitions", 0),
        }
        metadata = {"name": self._election.name, "namespace": self._election.namespace}
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
