"""Aggregated ClusterRoles: the union of the rules of all roles that their selectors match, applied on the server.

Source: k8s.io/kubernetes/pkg/controller/clusterroleaggregation/clusterroleaggregation_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from seatrial.sim.controllers.actions import APPLY_PATCH, Patch, Steps, Turn
from seatrial.sim.controllers.controller import Controller, Seen
from seatrial.sim.controllers.ownership import labels_of
from seatrial.sim.machinery import selectors

ROLES = "clusterroles.rbac.authorization.k8s.io"
NAME = "clusterrole-aggregation-controller"
"""Also the manager of the rules' field."""


def reconcile(turn: Turn) -> Steps:
    _, name = turn.key
    roles = turn.view(ROLES)
    role = roles.get("", name)
    if role is None or not role.get("aggregationRule"):
        return None
    rules: list[Any] = []
    for selector in role["aggregationRule"].get("clusterRoleSelectors") or ():
        matches = selectors.labels(selector)
        found = [each for each in roles.list() if matches(labels_of(each)) and each["metadata"]["name"] != name]
        for each in sorted(found, key=lambda each: str(each["metadata"]["name"])):
            rules += [rule for rule in each.get("rules") or () if rule not in rules]
    if rules != (role.get("rules") or []):
        applied = {"apiVersion": role["apiVersion"], "kind": role["kind"], "metadata": {"name": name}}
        if rules:
            applied["rules"] = rules
        yield Patch(ROLES, "", name, applied, APPLY_PATCH, field_manager=NAME)
    return None


def role_keys(seen: Seen) -> Iterable[tuple[str, str]]:
    """Any change may concern every aggregated role."""
    new, old = seen.new, seen.old
    parts = ("rules", "aggregationRule")
    if new is not None and old is not None and labels_of(new) == labels_of(old):
        if all(new.get(part) == old.get(part) for part in parts):
            return ()
    aggregated = (each for each in seen.view(ROLES).list() if each.get("aggregationRule"))
    return [("", each["metadata"]["name"]) for each in aggregated]


CONTROLLER = Controller(
    name=NAME,
    reconcile=reconcile,
    watches=((ROLES, role_keys),),
)
