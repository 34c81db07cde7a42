"""ResourceQuotas: what a namespace uses, counted anew.

Source: k8s.io/kubernetes/pkg/controller/resourcequota/resource_quota_controller.go. Admission books what is added; this
controller sets the limits that admission checks and gives back what was deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from seatrial.sim.apiserver.request import Object
from seatrial.sim.config import S
from seatrial.sim.controllers.actions import ListAll, Outcome, Steps, Turn, update_status
from seatrial.sim.controllers.controller import Controller, Seen, Tick
from seatrial.sim.controllers.podstate import is_terminal
from seatrial.sim.machinery.kinds import Kinds, Resource
from seatrial.sim.machinery.quantity import parse
from seatrial.sim.machinery.usage import covers, usage

QUOTAS = "resourcequotas"
RESYNC_US = 300 * S
"""--resource-quota-sync-period."""
RESYNC = ("", "")
WATCHED = (
    "pods",
    "services",
    "persistentvolumeclaims",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "deployments.apps",
    "replicasets.apps",
    "statefulsets.apps",
    "jobs.batch",
    "cronjobs.batch",
    QUOTAS,
)
"""Kinds whose deletion gives something back at once; others wait for the next full count."""
PREFIXES = ("requests.", "limits.")


def sources(name: str) -> str:
    """The storage name of the kind that a quota name counts."""
    if name.startswith("count/"):
        return name.removeprefix("count/")
    if name.startswith("services"):
        return "services"
    if name in ("persistentvolumeclaims", "requests.storage") or ".storageclass.storage.k8s.io/" in name:
        return "persistentvolumeclaims"
    if name in WATCHED:
        return name
    return "pods"


def reconcile(turn: Turn) -> Steps:
    if turn.key == RESYNC:
        quotas = turn.view(QUOTAS).list()
        return Outcome(also=tuple((each["metadata"]["namespace"], each["metadata"]["name"]) for each in quotas))
    namespace, name = turn.key
    quota = turn.view(QUOTAS).get(namespace, name)
    if quota is None:
        return None
    hard = quota["spec"].get("hard") or {}
    used = yield from _count(turn, quota, namespace, hard)
    wanted = {"hard": hard, "used": used}
    before = quota.get("status") or {}
    if _figures(before.get("hard")) != _figures(hard) or _figures(before.get("used")) != _figures(used):
        yield update_status(QUOTAS, quota, {key: value for key, value in wanted.items() if value})
    return None


def _figures(listed: Mapping[str, str] | None) -> dict[str, Any]:
    return {key: parse(value) for key, value in (listed or {}).items()}


def _count(turn: Turn, quota: Object, namespace: str, hard: Mapping[str, str]) -> Any:
    """Used figures in the quota's own names (CalculateUsage)."""
    kinds: Kinds = turn.shared["kinds"]
    totals = {name: parse("0") for name in hard}
    for storage in dict.fromkeys(sources(name) for name in hard):
        try:
            resource = kinds.resource(storage)
        except KeyError:
            continue
        objects = turn.view(storage).list(namespace) if storage in WATCHED else (yield ListAll(resource, namespace))
        _add(totals, quota, resource, objects)
    return {name: str(total) for name, total in totals.items()}


def _add(totals: dict[str, Any], quota: Object, resource: Resource, objects: Iterable[Object]) -> None:
    for obj in objects:
        if covers(quota, resource, obj):
            for name, amount in usage(resource, obj).items():
                if name in totals:
                    totals[name] += amount


def quota_keys(seen: Seen) -> Iterable[tuple[str, str]]:
    """A new quota, or one whose limits have changed."""
    new, old = seen.new, seen.old
    if new is None or (old is not None and old["spec"] == new["spec"]):
        return ()
    return ((new["metadata"]["namespace"], new["metadata"]["name"]),)


def replenished(storage: str) -> Callable[[Seen], Iterable[tuple[str, str]]]:
    """Quotas of the namespace that count the kind, when an object goes or stops to count."""

    def keys(seen: Seen) -> Iterable[tuple[str, str]]:
        new, old = seen.new, seen.old
        if new is not None and not (old is not None and _stopped(storage, new, old)):
            return ()
        namespace = seen.obj["metadata"].get("namespace", "")
        return [
            (namespace, quota["metadata"]["name"])
            for quota in seen.view(QUOTAS).list(namespace)
            if any(sources(name) == storage for name in quota["spec"].get("hard") or ())
        ]

    return keys


def _stopped(storage: str, new: Object, old: Object) -> bool:
    if storage == "pods":
        return is_terminal(new) and not is_terminal(old)
    if storage == "services":
        return bool(new["spec"].get("type") != old["spec"].get("type"))
    return False


CONTROLLER = Controller(
    name="resourcequota-controller",
    reconcile=reconcile,
    watches=((QUOTAS, quota_keys), *((storage, replenished(storage)) for storage in WATCHED)),
    ticks=(Tick(RESYNC_US, RESYNC),),
)
