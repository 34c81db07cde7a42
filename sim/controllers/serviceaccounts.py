"""The default ServiceAccount of every namespace.

Source: k8s.io/kubernetes/pkg/controller/serviceaccount/serviceaccounts_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable

from seatrial.sim.controllers.actions import Create, Steps, Turn
from seatrial.sim.controllers.conditions import namespace_is_terminating
from seatrial.sim.controllers.controller import Controller, Seen
from seatrial.sim.machinery.errors import ApiError

NAMES = ("default",)


def reconcile(turn: Turn) -> Steps:
    _, namespace = turn.key
    obj = turn.view("namespaces").get("", namespace)
    if obj is None or (obj.get("status") or {}).get("phase") != "Active":
        return None
    accounts = turn.view("serviceaccounts")
    for name in NAMES:
        if accounts.get(namespace, name) is not None:
            continue
        metadata = {"name": name, "namespace": namespace}
        try:
            yield Create("serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
        except ApiError as error:
            if error.reason != "AlreadyExists" and not namespace_is_terminating(error):
                raise
    return None


def namespace_keys(seen: Seen) -> Iterable[tuple[str, str]]:
    return () if seen.verb == "DELETED" else (("", seen.obj["metadata"]["name"]),)


def account_keys(seen: Seen) -> Iterable[tuple[str, str]]:
    """Only a deleted account matters."""
    return (("", seen.obj["metadata"]["namespace"]),) if seen.verb == "DELETED" else ()


CONTROLLER = Controller(
    name="serviceaccount-controller",
    account="service-account-controller",
    reconcile=reconcile,
    watches=(("namespaces", namespace_keys), ("serviceaccounts", account_keys)),
    workers=1,
)
