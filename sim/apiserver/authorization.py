"""Who may do what: RBAC, the system:masters group and the kubelets' share.

Source: k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac and k8s.io/apiserver/pkg/endpoints/handlers/responsewriters.

Not modelled: the node authorizer's graph. A kubelet may read every object of the kinds that system:node names, where
upstream lets it read only those that a pod of its own refers to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from seatrial.sim.apiserver.request import User
from seatrial.sim.machinery import errors
from seatrial.sim.store.store import Store

ROLES = "roles.rbac.authorization.k8s.io"
CLUSTER_ROLES = "clusterroles.rbac.authorization.k8s.io"
ROLE_BINDINGS = "rolebindings.rbac.authorization.k8s.io"
CLUSTER_ROLE_BINDINGS = "clusterrolebindings.rbac.authorization.k8s.io"
STORAGES = (ROLES, CLUSTER_ROLES, ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS)

MASTERS = "system:masters"
NODES = "system:nodes"
NODE_ROLE = "system:node"
SERVICE_ACCOUNT_PREFIX = "system:serviceaccount:"
DECISIONS_MAX = 16384
"""Remembered decisions; past this many the memory starts anew."""


class Attributes(NamedTuple):
    """What is asked, as authorization sees it (authorizer.Attributes)."""

    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    """Set for a request that names no resource."""

    @property
    def full_resource(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


class Authorizer:
    """Answers from the roles and bindings in the store; remembers decisions until one of those changes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._decisions: dict[tuple[Any, ...], bool] = {}
        self._rules: dict[tuple[Any, ...], tuple[tuple[str | None, Mapping[str, Any]], ...]] = {}

    def forget(self) -> None:
        """To be called when a role or binding has changed."""
        self._decisions.clear()
        self._rules.clear()

    def allowed(self, user: User, asked: Attributes) -> bool:
        if MASTERS in user.groups:
            return True
        key = (user.name, user.groups, asked)
        known = self._decisions.get(key)
        if known is None:
            if len(self._decisions) >= DECISIONS_MAX:
                self._decisions.clear()
            known = any(
                rule_allows(rule, asked)
                for namespace, rule in self.rules(user)
                if namespace is None or (namespace == asked.namespace and not asked.path)
            )
            self._decisions[key] = known
        return known

    def rules(self, user: User) -> tuple[tuple[str | None, Mapping[str, Any]], ...]:
        """(namespace or None for the whole cluster, rule) for every rule that applies to the user."""
        key = (user.name, user.groups)
        found = self._rules.get(key)
        if found is None:
            found = self._rules[key] = tuple(self._find_rules(user))
        return found

    def _find_rules(self, user: User) -> Iterator[tuple[str | None, Mapping[str, Any]]]:
        if NODES in user.groups:
            role = self._store.get(CLUSTER_ROLES, "", NODE_ROLE)
            yield from ((None, rule) for rule in (role or {}).get("rules") or ())
        for binding in self._store.list(CLUSTER_ROLE_BINDINGS):
            if applies_to(binding, user):
                yield from ((None, rule) for rule in self.role_rules(binding["roleRef"], ""))
        for binding in self._store.list(ROLE_BINDINGS):
            if applies_to(binding, user):
                namespace = binding["metadata"]["namespace"]
                yield from ((namespace, rule) for rule in self.role_rules(binding["roleRef"], namespace))

    def role_rules(self, reference: Mapping[str, Any], namespace: str) -> tuple[Mapping[str, Any], ...]:
        """The rules of the role that a binding names; none when there is no such role."""
        if reference.get("kind") == "ClusterRole":
            role = self._store.get(CLUSTER_ROLES, "", reference["name"])
        else:
            role = self._store.get(ROLES, namespace, reference["name"])
        return tuple((role or {}).get("rules") or ())


def applies_to(binding: Mapping[str, Any], user: User) -> bool:
    namespace = binding["metadata"].get("namespace", "")
    return any(subject_matches(subject, user, namespace) for subject in binding.get("subjects") or ())


def subject_matches(subject: Mapping[str, Any], user: User, namespace: str) -> bool:
    kind, name = subject.get("kind"), subject.get("name", "")
    if kind == "User":
        return bool(name == user.name)
    if kind == "Group":
        return name in user.groups
    if kind == "ServiceAccount":
        return user.name == f"{SERVICE_ACCOUNT_PREFIX}{subject.get('namespace') or namespace}:{name}"
    return False


def rule_allows(rule: Mapping[str, Any], asked: Attributes) -> bool:
    """Whether one PolicyRule covers what is asked (rbac.RuleAllows)."""
    if not _covers(rule.get("verbs"), asked.verb):
        return False
    if asked.path:
        return any(_path_matches(url, asked.path) for url in rule.get("nonResourceURLs") or ())
    if not _covers(rule.get("apiGroups"), asked.group):
        return False
    if not resource_matches(rule.get("resources") or (), asked.full_resource, asked.subresource):
        return False
    names = rule.get("resourceNames")
    return not names or asked.name in names


def _covers(listed: Any, wanted: str) -> bool:
    return bool(listed) and ("*" in listed or wanted in listed)


def resource_matches(resources: Any, full: str, subresource: str) -> bool:
    if "*" in resources or full in resources:
        return True
    return bool(subresource) and f"*/{subresource}" in resources


def _path_matches(url: str, path: str) -> bool:
    if url == "*" or url == path:
        return True
    return url.endswith("*") and path.startswith(url.rstrip("*"))


def refusal(user: User, asked: Attributes) -> errors.ApiError:
    """The 403 that a client is shown."""
    if asked.path:
        return errors.forbidden("", "", "", f'User "{user.name}" cannot {asked.verb} path "{asked.path}"')
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    why = (
        f'User "{user.name}" cannot {asked.verb} resource "{asked.full_resource}" '
        f'in API group "{asked.group}" {where}'
    )
    return errors.forbidden(asked.group, asked.resource, asked.name, why)
