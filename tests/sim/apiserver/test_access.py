"""Who may do what: every route is closed to strangers, roles open what upstream's open, tokens are good for as long as
they say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest

from seatrial.sim.apiserver.request import Credentials
from seatrial.sim.cluster import Cluster
from seatrial.sim.config import ClusterSpec
from seatrial.sim.machinery.kinds import Resource, builtin
from tests.sim.apiserver.callers import Answer, Caller

ADMIN = Credentials("kubernetes-admin", ("system:masters",))
JANE = Credentials("jane")
ANONYMOUS: Credentials | None = None
METHODS = {
    "create": "POST", "get": "GET", "list": "GET", "watch": "GET", "update": "PUT", "patch": "PATCH",
    "delete": "DELETE", "deletecollection": "DELETE",
}  # fmt: skip
COLLECTION = ("create", "list", "watch", "deletecollection")


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    """A control plane at rest: its controllers have put together the roles for users."""
    made = Cluster(ClusterSpec(control_plane_only=True))
    made.settle()
    return made


@pytest.fixture(scope="module")
def admin(cluster: Cluster) -> Caller:
    return Caller(cluster, ADMIN)


def bind(admin: Caller, role: str, user: str, namespace: str = "") -> None:
    """Gives a user a ClusterRole, everywhere or in a namespace."""
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    where = f"namespaces/{namespace}/rolebindings" if namespace else "clusterrolebindings"
    body = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": f"{user}-{role}"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }
    admin.must("POST", f"/apis/rbac.authorization.k8s.io/v1/{where}", body)


def role(name: str, *rules: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    metadata = {"name": name, **more}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": metadata, "rules": list(rules)
    }  # fmt: skip


ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"

# every route


class Route(NamedTuple):
    verb: str
    resource: Resource
    subresource: str = ""

    @property
    def name(self) -> str:
        return "" if self.verb in COLLECTION and not self.subresource else "x"

    @property
    def path(self) -> str:
        row = self.resource
        root = f"/apis/{row.group}/{row.version}" if row.group else f"/api/{row.version}"
        space = "/namespaces/default" if row.namespaced else ""
        path = "/".join(part for part in (f"{root}{space}/{row.plural}", self.name, self.subresource) if part)
        return f"{path}?watch=1" if self.verb == "watch" else path

    def refusal(self, user: str) -> str:
        """The server's words for somebody without a role."""
        row = self.resource
        shown = f"{row.plural}.{row.group}" if row.group else row.plural
        place = 'in the namespace "default"' if row.namespaced else "at the cluster scope"
        if row.plural == "namespaces" and self.name:
            place = f'in the namespace "{self.name}"'
        what = f"{row.plural}/{self.subresource}" if self.subresource else row.plural
        named = f' "{self.name}"' if self.name else ""
        why = f'User "{user}" cannot {self.verb} resource "{what}" in API group "{row.group}" {place}'
        return f"{shown}{named} is forbidden: {why}"


def routes() -> Iterator[Route]:
    for row in builtin():
        yield from (Route(verb, row) for verb in row.verbs)
        for name, subresource in row.subresources.items():
            yield from (Route(verb, row, name) for verb in subresource.verbs)


OPEN_TO_USERS = frozenset({"selfsubjectreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews"})
"""What system:basic-user lets every authenticated user create."""


@pytest.mark.parametrize(
    ("credentials", "user"), [(ANONYMOUS, "system:anonymous"), (JANE, "jane")], ids=["anonymous", "no-role"]
)
def test_every_route_is_closed_to_strangers(cluster: Cluster, credentials: Credentials | None, user: str) -> None:
    caller, before, count = Caller(cluster, credentials), cluster.store.revision, 0
    for route in routes():
        if user == "jane" and route.resource.plural in OPEN_TO_USERS:
            continue
        count += 1
        answer = caller(METHODS[route.verb], route.path, {})
        assert (answer.code, answer.message) == (403, route.refusal(user)), route.path
        assert answer.body["reason"] == "Forbidden"
    assert count > 500
    assert cluster.store.revision == before


PAGES = [
    ("/healthz", True, True), ("/livez", True, True), ("/readyz", True, True), ("/version", True, True),
    ("/version/", True, True), ("/api", False, True), ("/api/v1", False, True), ("/apis", False, True),
    ("/apis/apps", False, True), ("/apis/apps/v1", False, True), ("/openapi/v2", False, True),
    ("/openapi/v3", False, True), ("/metrics", False, False), ("/logs", False, False), ("/", False, False),
    ("/livez/etcd", False, False), ("/openid/v1/jwks", False, False), ("/nowhere", False, False),
    ("/.well-known/openid-configuration", False, False),
]  # fmt: skip
"""Paths that name no resource: whether they are open to anonymous, and to authenticated users."""


@pytest.mark.parametrize(("path", "anonymous", "user"), PAGES, ids=[page[0] for page in PAGES])
def test_pages(cluster: Cluster, path: str, anonymous: bool, user: bool) -> None:
    for credentials, name, allowed in ((ANONYMOUS, "system:anonymous", anonymous), (JANE, "jane", user)):
        answer = Caller(cluster, credentials)("GET", path)
        if allowed:
            assert answer.code == 200
        else:
            assert (answer.code, answer.message) == (403, f'forbidden: User "{name}" cannot get path "{path}"')


# roles

SPOTS = [
    # what, and whether view, edit and admin allow it
    ("get", "pods", 1, 1, 1), ("watch", "deployments.apps", 1, 1, 1), ("list", "configmaps", 1, 1, 1),
    ("get", "pods/log", 1, 1, 1), ("get", "pods/status", 1, 1, 1), ("get", "services", 1, 1, 1),
    ("get", "deployments.apps/scale", 1, 1, 1), ("get", "resourcequotas", 1, 1, 1), ("get", "endpoints", 1, 1, 1),
    ("get", "horizontalpodautoscalers.autoscaling", 1, 1, 1), ("get", "poddisruptionbudgets.policy", 1, 1, 1),
    ("get", "networkpolicies.networking.k8s.io", 1, 1, 1), ("get", "endpointslices.discovery.k8s.io", 1, 1, 1),
    ("get", "namespaces", 1, 1, 1), ("get", "serviceaccounts", 1, 1, 1), ("get", "events", 1, 1, 1),
    ("get", "secrets", 0, 1, 1), ("create", "pods", 0, 1, 1), ("delete", "deployments.apps", 0, 1, 1),
    ("create", "pods/exec", 0, 1, 1), ("get", "pods/exec", 0, 1, 1), ("create", "pods/portforward", 0, 1, 1),
    ("get", "pods/proxy", 0, 1, 1), ("create", "pods/eviction", 0, 1, 1), ("create", "serviceaccounts/token", 0, 1, 1),
    ("impersonate", "serviceaccounts", 0, 1, 1), ("patch", "statefulsets.apps/scale", 0, 1, 1),
    ("update", "ingresses.networking.k8s.io", 0, 1, 1), ("create", "jobs.batch", 0, 1, 1),
    ("create", "leases.coordination.k8s.io", 0, 1, 1), ("create", "events", 0, 1, 1),
    ("create", "roles.rbac.authorization.k8s.io", 0, 0, 1), ("get", "rolebindings.rbac.authorization.k8s.io", 0, 0, 1),
    ("create", "localsubjectaccessreviews.authorization.k8s.io", 0, 0, 1),
    ("create", "resourcequotas", 0, 0, 0), ("update", "namespaces", 0, 0, 0), ("create", "limitranges", 0, 0, 0),
    ("get", "nodes", 0, 0, 0), ("create", "pods/ephemeralcontainers", 0, 0, 0), ("create", "endpoints", 0, 0, 0),
    ("create", "clusterroles.rbac.authorization.k8s.io", 0, 0, 0), ("get", "customresourcedefinitions", 0, 0, 0),
]  # fmt: skip


@pytest.mark.parametrize(("column", "named"), [(0, "view"), (1, "edit"), (2, "admin")])
def test_roles_for_users(cluster: Cluster, admin: Caller, column: int, named: str) -> None:
    user = f"holder-of-{named}"
    bind(admin, named, user, "default")
    holder = Caller(cluster, Credentials(user))
    for verb, resource, *allowed in SPOTS:
        assert holder.may(verb, resource) == bool(allowed[column]), (verb, resource)
        assert not holder.may(verb, resource, "kube-system"), (verb, resource)


def test_a_namespace_holder_works_in_it_alone(cluster: Cluster, admin: Caller) -> None:
    bind(admin, "edit", "worker", "default")
    worker, config = Caller(cluster, Credentials("worker")), {"metadata": {"name": "c"}}
    body = {"apiVersion": "v1", "kind": "ConfigMap", **config}
    worker.must("POST", "/api/v1/namespaces/default/configmaps", body)
    assert worker("POST", "/api/v1/namespaces/kube-public/configmaps", body).code == 403
    assert worker("GET", "/api/v1/configmaps").message == (
        'configmaps is forbidden: User "worker" cannot list resource "configmaps" in API group "" at the cluster scope'
    )


def test_names_limit_a_rule(cluster: Cluster, admin: Caller) -> None:
    rule = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["mine"], "verbs": ["get", "list"]}
    admin.must("POST", ROLES, role("named", rule))
    bind(admin, "named", "owner")
    owner = Caller(cluster, Credentials("owner"))
    assert owner("GET", "/api/v1/namespaces/default/configmaps/mine").code == 404
    assert owner("GET", "/api/v1/namespaces/default/configmaps/yours").code == 403
    assert owner("GET", "/api/v1/namespaces/default/configmaps").code == 403
    assert owner("GET", "/api/v1/namespaces/default/configmaps?fieldSelector=metadata.name=mine").code == 200


def test_nobody_gives_away_what_they_do_not_have(cluster: Cluster, admin: Caller) -> None:
    manages = {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["*"], "verbs": ["create", "update", "get"]}
    admin.must("POST", ROLES, role("role-writer", manages))
    bind(admin, "role-writer", "writer")
    writer = Caller(cluster, Credentials("writer"))
    secrets = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
    answer = writer("POST", ROLES, role("grab", secrets))
    assert answer.code == 403
    assert answer.message == (
        'clusterroles.rbac.authorization.k8s.io "grab" is forbidden: user "writer" (groups=["system:authenticated"]) is'
        ' attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["secrets"],'
        ' Verbs:["get"]}'
    )
    assert writer("POST", ROLES, role("own", manages)).code == 201
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "grab"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "writer"}],
    }  # fmt: skip
    bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    assert "attempting to grant RBAC permissions not currently held" in writer("POST", bindings, binding).message
    rules = [
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "verbs": ["escalate"]},
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "verbs": ["bind"],
         "resourceNames": ["cluster-admin"]},
    ]  # fmt: skip
    admin.must("POST", ROLES, role("trusted", *rules))
    bind(admin, "trusted", "writer")
    assert writer("POST", ROLES, role("grab", secrets)).code == 201
    assert writer("POST", bindings, binding).code == 201


def test_roles_grow_by_aggregation(cluster: Cluster, admin: Caller) -> None:
    rule = {"apiGroups": ["x.dev"], "resources": ["ys"], "verbs": ["get"]}
    bind(admin, "view", "viewer")
    viewer = Caller(cluster, Credentials("viewer"))
    assert not viewer.may("get", "ys.x.dev")
    labels = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    admin.must("POST", ROLES, role("ys", rule, labels=labels))
    cluster.settle()
    assert viewer.may("get", "ys.x.dev")
    admin.must("DELETE", f"{ROLES}/ys")
    cluster.settle()
    assert not viewer.may("get", "ys.x.dev")


# somebody else's name


def test_impersonation(cluster: Cluster, admin: Caller) -> None:
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"

    def who(caller: Caller) -> Any:
        return caller.must("POST", path, review)["status"]["userInfo"]

    headers = {"impersonate_user": "bob", "impersonate_group": "a\x00b", "impersonate_uid": "7"}
    assert who(Caller(cluster, ADMIN, **headers)) == {
        "username": "bob", "groups": ["a", "b", "system:authenticated"], "uid": "7"
    }  # fmt: skip
    account = who(Caller(cluster, ADMIN, impersonate_user="system:serviceaccount:default:robot"))
    assert account["groups"] == ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]
    refused = Caller(cluster, JANE, impersonate_user="bob")("GET", "/api/v1/pods")
    assert refused.code == 403
    assert refused.message == (
        'users "bob" is forbidden: User "jane" cannot impersonate resource "users" in API group "" at the cluster scope'
    )
    allowed = {"apiGroups": [""], "resources": ["users"], "resourceNames": ["bob"], "verbs": ["impersonate"]}
    admin.must("POST", ROLES, role("as-bob", allowed))
    bind(admin, "as-bob", "jane")
    assert who(Caller(cluster, JANE, impersonate_user="bob"))["username"] == "bob"
    assert (
        Caller(cluster, JANE, impersonate_user="bob", impersonate_group="system:masters")("POST", path, review).code
        == 403
    )


# nodes

NODE = Credentials("system:node:n1", ("system:nodes",))


def pod(name: str, node: str, secret: str) -> dict[str, Any]:
    volumes = [{"name": "s", "secret": {"secretName": secret}}]
    containers = [{"name": "c", "image": "i"}]
    spec = {"nodeName": node, "containers": containers, "volumes": volumes, "automountServiceAccountToken": False}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


@pytest.fixture(scope="module")
def kubelet(cluster: Cluster, admin: Caller) -> Caller:
    """The kubelet of n1, whose pod p1 uses the secret s1 and the ServiceAccount default; n2 has p2 with s2."""
    for number in (1, 2):
        admin.must("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"n{number}"}})
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"s{number}"}}
        admin.must("POST", "/api/v1/namespaces/default/secrets", secret)
        admin.must("POST", "/api/v1/namespaces/default/pods", pod(f"p{number}", f"n{number}", f"s{number}"))
    return Caller(cluster, NODE)


OF_NODES = [
    ("GET", "/api/v1/namespaces/default/secrets/s1", 200), ("GET", "/api/v1/namespaces/default/secrets/s2", 403),
    ("GET", "/api/v1/secrets", 403), ("GET", "/api/v1/namespaces/default/configmaps/kube-root-ca.crt", 403),
    ("GET", "/api/v1/nodes/n1", 200), ("GET", "/api/v1/nodes/n2", 403), ("GET", "/api/v1/nodes", 403),
    ("GET", "/api/v1/nodes?fieldSelector=metadata.name=n1", 200),
    ("GET", "/api/v1/pods?fieldSelector=spec.nodeName=n1", 200), ("GET", "/api/v1/services", 200),
    ("GET", "/api/v1/namespaces/default/pods/p1", 200), ("GET", "/api/v1/namespaces/default/pods/p2", 403),
    ("DELETE", "/api/v1/nodes/n1", 403), ("GET", "/apis/apps/v1/deployments", 403),
]  # fmt: skip
"""What a kubelet asks for, and what comes of it."""


@pytest.mark.parametrize(("method", "path", "code"), OF_NODES, ids=[f"{case[0]} {case[1]}" for case in OF_NODES])
def test_nodes_see_what_is_theirs(kubelet: Caller, method: str, path: str, code: int) -> None:
    assert kubelet(method, path).code == code


def test_nodes_are_told_why_not(kubelet: Caller) -> None:
    text = "node 'n1' cannot read {}, only its own Node object"
    assert kubelet("GET", "/api/v1/nodes/n2").message.endswith(text.format("'n2'"))
    assert kubelet("GET", "/api/v1/nodes").message.endswith(text.format("all nodes"))
    pods = kubelet("GET", "/api/v1/pods?fieldSelector=spec.nodeName=n2")
    assert pods.message.endswith("can only list/watch pods with spec.nodeName field selector")
    secret = kubelet("GET", "/api/v1/namespaces/default/secrets/s2")
    assert secret.message.endswith("no relationship found between node 'n1' and this object")


def test_a_binding_opens_to_a_node_what_its_authorizer_does_not(cluster: Cluster, admin: Caller) -> None:
    admin.must("POST", ROLES, role("all-nodes", {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}))
    bind(admin, "all-nodes", "system:node:n3")
    assert Caller(cluster, Credentials("system:node:n3", ("system:nodes",)))("GET", "/api/v1/nodes").code == 200


def test_nodes_change_what_is_theirs(kubelet: Caller) -> None:
    merge, status = "application/merge-patch+json", {"status": {"nodeInfo": {"osImage": "x"}}}
    assert kubelet("PATCH", "/api/v1/nodes/n1/status", status, merge).code == 200
    other = kubelet("PATCH", "/api/v1/nodes/n2/status", status, merge)
    assert other.code == 403
    assert 'node "n1" is not allowed to modify node "n2"' in other.message
    label = {"metadata": {"labels": {"node-restriction.kubernetes.io/x": "y"}}}
    assert "is not allowed to modify labels" in kubelet("PATCH", "/api/v1/nodes/n1", label, merge).message
    taint = {"spec": {"taints": [{"key": "x", "effect": "NoSchedule"}]}}
    assert "is not allowed to modify taints" in kubelet("PATCH", "/api/v1/nodes/n1", taint, merge).message
    pods = "/api/v1/namespaces/default/pods"
    assert "can only create mirror pods" in kubelet("POST", pods, pod("p3", "n1", "s1")).message
    assert kubelet("PATCH", f"{pods}/p1/status", {"status": {"phase": "Running"}}, merge).code == 200
    assert kubelet("PATCH", f"{pods}/p2/status", {"status": {"phase": "Running"}}, merge).code == 403
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": {}}
    leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
    assert kubelet("POST", leases, {**lease, "metadata": {"name": "n1"}}).code == 201
    assert kubelet("POST", leases, {**lease, "metadata": {"name": "n2"}}).code == 403


# tokens

REQUEST = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"


def issued(caller: Caller, account: str, **spec: Any) -> str:
    answer = caller.must("POST", f"{ACCOUNTS}/{account}/token", {**REQUEST, "spec": spec})
    return str(answer["status"]["token"])


def reviewed(admin: Caller, token: str, *audiences: str) -> Any:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    if audiences:
        body["spec"] = {"token": token, "audiences": list(audiences)}
    return admin.must("POST", "/apis/authentication.k8s.io/v1/tokenreviews", body)["status"]


def test_tokens_of_service_accounts(cluster: Cluster, admin: Caller) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}}
    uid = admin.must("POST", ACCOUNTS, account)["metadata"]["uid"]
    token = issued(admin, "robot", expirationSeconds=600)
    robot = Caller(cluster, Credentials(bearer_token=token))
    assert robot("GET", "/api/v1/pods").message == (
        'pods is forbidden: User "system:serviceaccount:default:robot" cannot list resource "pods" in API group "" at'
        " the cluster scope"
    )
    status = reviewed(admin, token)
    assert status["authenticated"] is True
    assert status["audiences"] == ["https://kubernetes.default.svc.cluster.local"]
    user = status["user"]
    assert (user["username"], user["uid"]) == ("system:serviceaccount:default:robot", uid)
    groups = ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]
    assert user["groups"] == groups
    assert list(user["extra"]) == ["authentication.kubernetes.io/credential-id"]
    cluster.advance("11m")
    assert robot("GET", "/api/v1/pods").code == 401
    assert "authenticated" not in reviewed(admin, token)
    fresh = Caller(cluster, Credentials(bearer_token=issued(admin, "robot")))
    assert fresh("GET", "/api").code == 200
    admin.must("DELETE", f"{ACCOUNTS}/robot")
    assert fresh("GET", "/api").code == 401


def test_tokens_for_others_are_not_for_the_server(cluster: Cluster, admin: Caller) -> None:
    token = issued(admin, "default", audiences=["vault", "other"])
    assert Caller(cluster, Credentials(bearer_token=token))("GET", "/api").code == 401
    assert reviewed(admin, token, "vault", "nobody")["audiences"] == ["vault"]
    assert "error" in reviewed(admin, token, "nobody")


def test_tokens_die_with_what_they_are_bound_to(cluster: Cluster, admin: Caller, kubelet: Caller) -> None:
    pods = "/api/v1/namespaces/default/pods"
    uid = admin.must("POST", pods, pod("bound", "n1", "s1"))["metadata"]["uid"]
    reference = {"apiVersion": "v1", "kind": "Pod", "name": "bound"}
    refused = admin(
        "POST", f"{ACCOUNTS}/default/token", {**REQUEST, "spec": {"boundObjectRef": {**reference, "uid": "x"}}}
    )
    assert (refused.code, refused.body["reason"]) == (409, "Conflict")
    token = issued(admin, "default", boundObjectRef={**reference, "uid": uid})
    extra = reviewed(admin, token)["user"]["extra"]
    assert extra["authentication.kubernetes.io/pod-name"] == ["bound"]
    assert extra["authentication.kubernetes.io/node-name"] == ["n1"]
    admin.must("DELETE", f"{pods}/bound?gracePeriodSeconds=0")
    assert Caller(cluster, Credentials(bearer_token=token))("GET", "/api").code == 401


def test_bootstrap_tokens(cluster: Cluster, admin: Caller) -> None:
    def secret(**data: str) -> dict[str, Any]:
        known = {"token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true"}
        return {
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bootstrap-token-abcdef"},
            "type": "bootstrap.kubernetes.io/token", "stringData": {**known, **data},
        }  # fmt: skip

    secrets = "/api/v1/namespaces/kube-system/secrets"
    joining = Caller(cluster, Credentials(bearer_token="abcdef.0123456789abcdef"))
    assert joining("GET", "/api").code == 401
    admin.must("POST", secrets, secret(**{"auth-extra-groups": "system:bootstrappers:kubeadm"}))
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    info = joining.must("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review)["status"]["userInfo"]
    assert info["username"] == "system:bootstrap:abcdef"
    assert info["groups"] == ["system:bootstrappers", "system:bootstrappers:kubeadm", "system:authenticated"]
    admin.must("PUT", f"{secrets}/bootstrap-token-abcdef", secret(expiration="2020-01-01T00:00:00Z"))
    assert joining("GET", "/api").code == 401


# reviews


def test_access_reviews_of_others(cluster: Cluster, admin: Caller) -> None:
    bind(admin, "view", "reader", "default")
    root = "/apis/authorization.k8s.io/v1"

    def asked(kind: str, spec: Mapping[str, Any], path: str, **metadata: str) -> Answer:
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "metadata": metadata, "spec": spec}
        return admin("POST", f"{root}/{path}", body)

    pods = {"verb": "get", "resource": "pods", "namespace": "default"}
    known = asked("SubjectAccessReview", {"user": "reader", "resourceAttributes": pods}, "subjectaccessreviews")
    assert known.body["status"] == {
        "allowed": True,
        "reason": 'RBAC: allowed by RoleBinding "reader-view/default" of ClusterRole "view" to User "reader"',
    }
    page = {"verb": "get", "path": "/metrics"}
    answer = asked("SubjectAccessReview", {"groups": ["g"], "nonResourceAttributes": page}, "subjectaccessreviews")
    assert answer.body["status"] == {"allowed": False}
    local = {"user": "reader", "resourceAttributes": pods}
    there = "namespaces/default/localsubjectaccessreviews"
    assert asked("LocalSubjectAccessReview", local, there, namespace="default").body["status"]["allowed"] is True
    elsewhere = {"user": "reader", "resourceAttributes": {**pods, "namespace": "kube-system"}}
    assert asked("LocalSubjectAccessReview", elsewhere, there, namespace="default").code == 422
    assert asked("SubjectAccessReview", {"resourceAttributes": pods}, "subjectaccessreviews").code == 422
    rules = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": "default"},
    }
    mine = Caller(cluster, Credentials("reader")).must("POST", f"{root}/selfsubjectrulesreviews", rules)["status"]
    assert any("pods" in rule["resources"] and "get" in rule["verbs"] for rule in mine["resourceRules"])
    assert any("/version" in rule["nonResourceURLs"] for rule in mine["nonResourceRules"])
