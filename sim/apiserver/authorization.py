"""Who may do what: RBAC and the system:masters group; for kubelets, the node authorizer first.

Source: k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac and k8s.io/apiserver/pkg/endpoints/handlers/responsewriters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from seatrial.sim.apiserver.nodeauthorization import node_of, refusal_of
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
    field_selector: str = ""
    """What a list or watch is limited to: the node authorizer asks for it."""

    @property
    def full_resource(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


class Grant(NamedTuple):
    """One rule that applies to a user, and how the user came by it."""

    namespace: str | None
    """None: in the whole cluster."""
    rule: Mapping[str, Any]
    source: str
    """As a review's reason names it; empty for what needs no binding."""


class Authorizer:
    """Answers from the roles and bindings in the store; remembers decisions until one of those changes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._decisions: dict[tuple[Any, ...], bool] = {}
        self._grants: dict[tuple[Any, ...], tuple[Grant, ...]] = {}
        self._missing: dict[tuple[Any, ...], tuple[str, ...]] = {}

    def forget(self) -> None:
        """To be called when a role or binding has changed."""
        self._decisions.clear()
        self._grants.clear()
        self._missing.clear()

    def allowed(self, user: User, asked: Attributes) -> bool:
        if MASTERS in user.groups:
            return True
        if self._kept_from_node(user, asked):
            return self._bound(user, asked) is not None
        if asked.field_selector:
            asked = asked._replace(field_selector="")
        # What is allowed whatever the name is remembered once for all names.
        return (asked.name != "" and self._decide(user, asked, "")) or self._decide(user, asked, asked.name)

    def _decide(self, user: User, asked: Attributes, name: str) -> bool:
        key = (user.name, user.groups, *asked[:6], name, asked.path)
        known = self._decisions.get(key)
        if known is None:
            if len(self._decisions) >= DECISIONS_MAX:
                self._decisions.clear()
            known = self._decisions[key] = self._grant(user, asked._replace(name=name)) is not None
        return known

    def explain(self, user: User, asked: Attributes) -> tuple[bool, str]:
        """Whether it is allowed, and the reason that a review gives."""
        if MASTERS in user.groups:
            return True, ""
        kept_from = self._kept_from_node(user, asked)
        grant = self._bound(user, asked) if kept_from else self._grant(user, asked)
        if grant is None:
            return False, kept_from or self.missing_roles(user, asked.namespace)
        return True, grant.source

    def _kept_from_node(self, user: User, asked: Attributes) -> str:
        """Why the node authorizer refuses a kubelet; empty for everybody else."""
        node = node_of(user)
        return (refusal_of(self._store, node, asked) or "") if node else ""

    def _grant(self, user: User, asked: Attributes) -> Grant | None:
        return next(self._allowing(user, asked), None)

    def _bound(self, user: User, asked: Attributes) -> Grant | None:
        """What a binding allows, whatever the node authorizer thinks of it."""
        return next((grant for grant in self._allowing(user, asked) if grant.source), None)

    def _allowing(self, user: User, asked: Attributes) -> Iterator[Grant]:
        for grant in self.grants(user):
            here = grant.namespace is None or (grant.namespace == asked.namespace and not asked.path)
            if here and rule_allows(grant.rule, asked):
                yield grant

    def rules(self, user: User) -> Iterator[tuple[str | None, Mapping[str, Any]]]:
        """(namespace or None for the whole cluster, rule) for every rule that applies to the user."""
        return ((grant.namespace, grant.rule) for grant in self.grants(user))

    def grants(self, user: User) -> tuple[Grant, ...]:
        key = (user.name, user.groups)
        found = self._grants.get(key)
        if found is None:
            found = self._grants[key] = tuple(self._find_grants(user))
        return found

    def objection(self, user: User, asked: Attributes) -> str:
        """What a refusal adds to its text; empty when there is nothing to add."""
        return self.explain(user, asked)[1]

    def missing_roles(self, user: User, namespace: str) -> str:
        """What bindings of the user, in the whole cluster or in one namespace, refer to and nobody has created."""
        key = (user.name, user.groups, namespace)
        known = self._missing.get(key)
        if known is None:
            known = self._missing[key] = tuple(self._find_missing(user, namespace))
        if not known:
            return ""
        return f"RBAC: {known[0]}" if len(known) == 1 else f"RBAC: [{', '.join(known)}]"

    def _bindings(self, user: User) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any], str]]:
        """(binding, the subject that is the user, namespace) of every binding of the user."""
        for storage in (CLUSTER_ROLE_BINDINGS, ROLE_BINDINGS):
            for binding in self._store.list(storage):
                namespace = binding["metadata"].get("namespace", "")
                subject = matching_subject(binding, user, namespace)
                if subject is not None:
                    yield binding, subject, namespace

    def _find_grants(self, user: User) -> Iterator[Grant]:
        if NODES in user.groups:
            role = self._store.get(CLUSTER_ROLES, "", NODE_ROLE)
            yield from (Grant(None, rule, "") for rule in (role or {}).get("rules") or ())
        for binding, subject, namespace in self._bindings(user):
            source = describe(binding, subject)
            for rule in self.role_rules(binding["roleRef"], namespace):
                yield Grant(namespace or None, rule, source)

    def _find_missing(self, user: User, asked: str) -> Iterator[str]:
        for binding, _, namespace in self._bindings(user):
            reference = binding["roleRef"]
            if namespace in ("", asked) and self._role(reference, namespace) is None:
                plural = "clusterrole" if reference.get("kind") == "ClusterRole" else "role"
                yield f'{plural}.rbac.authorization.k8s.io "{reference["name"]}" not found'

    def _role(self, reference: Mapping[str, Any], namespace: str) -> Mapping[str, Any] | None:
        if reference.get("kind") == "ClusterRole":
            return self._store.get(CLUSTER_ROLES, "", reference["name"])
        return self._store.get(ROLES, namespace, reference["name"])

    def role_rules(self, reference: Mapping[str, Any], namespace: str) -> tuple[Mapping[str, Any], ...]:
        """The rules of the role that a binding names; none when there is no such role."""
        return tuple((self._role(reference, namespace) or {}).get("rules") or ())


def describe(binding: Mapping[str, Any], subject: Mapping[str, Any]) -> str:
    """The reason of a review that a binding allows (rbac.clusterRoleBindingDescriber)."""
    metadata, reference = binding["metadata"], binding["roleRef"]
    if metadata.get("namespace"):
        bound = f'RoleBinding "{metadata["name"]}/{metadata["namespace"]}"'
    else:
        bound = f'ClusterRoleBinding "{metadata["name"]}"'
    who = subject["name"]
    if subject.get("kind") == "ServiceAccount":
        who = f"{who}/{subject.get('namespace') or metadata.get('namespace', '')}"
    return f'RBAC: allowed by {bound} of {reference["kind"]} "{reference["name"]}" to {subject["kind"]} "{who}"'


def matching_subject(binding: Mapping[str, Any], user: User, namespace: str) -> Mapping[str, Any] | None:
    """The subject of a binding that the user is; None when the binding is not about them."""
    for subject in binding.get("subjects") or ():
        if subject_matches(subject, user, namespace):
            found: Mapping[str, Any] = subject
            return found
    return None


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


def refusal(user: User, asked: Attributes, reason: str = "") -> errors.ApiError:
    """The 403 that a client is shown; ``reason`` is what the authorizer has to say of it."""
    because = f": {reason}" if reason else ""
    if asked.path:
        return errors.forbidden("", "", "", f'User "{user.name}" cannot {asked.verb} path "{asked.path}"{because}')
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    why = (
        f'User "{user.name}" cannot {asked.verb} resource "{asked.full_resource}" '
        f'in API group "{asked.group}" {where}{because}'
    )
    return errors.forbidden(asked.group, asked.resource, asked.name, why)
