"""Secrets that hold tokens: of service accounts, made when somebody asks for one, and of bootstrapping nodes.

Source: k8s.io/kubernetes/pkg/controller/serviceaccount/tokens_controller.go and
pkg/controller/bootstrap/tokencleaner.go. The token comes from the API server's TokenRequest. *Not modelled*: the signed
cluster-info ConfigMap.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Any

from seatrial.sim.apiserver.request import Object
from seatrial.sim.controllers.actions import Create, Outcome, Steps, Turn, Update, delete_of, ignoring
from seatrial.sim.controllers.controller import Controller, Seen
from seatrial.sim.kernel.clock import parse_stamp

SECRETS, ACCOUNTS = "secrets", "serviceaccounts"
TOKEN_TYPE = "kubernetes.io/service-account-token"
BOOTSTRAP_TYPE = "bootstrap.kubernetes.io/token"
ACCOUNT_NAME, ACCOUNT_UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"
FOREVER_S = 10 * 365 * 24 * 3600
"""Tokens in secrets do not expire; this is as good as never."""


def reconcile_token(turn: Turn) -> Steps:
    """Fills a token secret, or deletes it with its account."""
    namespace, name = turn.key
    secret = turn.view(SECRETS).get(namespace, name)
    if secret is None or secret.get("type") != TOKEN_TYPE:
        return None
    annotations = secret["metadata"].get("annotations") or {}
    account = turn.view(ACCOUNTS).get(namespace, annotations.get(ACCOUNT_NAME, ""))
    uid = annotations.get(ACCOUNT_UID)
    if account is None or (uid and uid != account["metadata"]["uid"]):
        yield from ignoring(delete_of(SECRETS, secret), 404)
        return None
    data = dict(secret.get("data") or {})
    complete = {"token", "ca.crt", "namespace"} <= data.keys() and uid
    if complete:
        return None
    if "token" not in data:
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "metadata": {"name": account["metadata"]["name"], "namespace": namespace},
            "spec": {
                "expirationSeconds": FOREVER_S,
                "boundObjectRef": {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "name": name,
                    "uid": secret["metadata"]["uid"],
                },
            },
        }
        answer = yield Create(ACCOUNTS, request, "token")
        data["token"] = b64encode(answer["status"]["token"].encode()).decode()
    data["ca.crt"] = b64encode(turn.shared.get("root_ca", "").encode()).decode()
    data["namespace"] = b64encode(namespace.encode()).decode()
    more = {**annotations, ACCOUNT_UID: account["metadata"]["uid"]}
    yield Update(SECRETS, {**secret, "metadata": {**secret["metadata"], "annotations": more}, "data": data})
    return None


def secret_keys(seen: Seen) -> Iterable[tuple[str, str]]:
    secret = seen.new
    if secret is None or secret.get("type") != TOKEN_TYPE:
        return ()
    return ((secret["metadata"]["namespace"], secret["metadata"]["name"]),)


def account_keys(seen: Seen) -> Iterable[tuple[str, str]]:
    """The token secrets of an account that came or went."""
    if seen.verb == "MODIFIED":
        return ()
    metadata = seen.obj["metadata"]
    return [
        (metadata["namespace"], secret["metadata"]["name"])
        for secret in seen.view(SECRETS).list(metadata["namespace"])
        if secret.get("type") == TOKEN_TYPE
        and (secret["metadata"].get("annotations") or {}).get(ACCOUNT_NAME) == metadata["name"]
    ]


def expires_at(secret: Object) -> int | None:
    """µs at which a bootstrap token ends; None for one that does not."""
    text: Any = (secret.get("data") or {}).get("expiration")
    if not text:
        return None
    try:
        return parse_stamp(b64decode(text).decode())
    except ValueError:
        return None


def reconcile_bootstrap(turn: Turn) -> Steps:
    namespace, name = turn.key
    secret = turn.view(SECRETS).get(namespace, name)
    ends = expires_at(secret) if secret is not None and secret.get("type") == BOOTSTRAP_TYPE else None
    if secret is None or ends is None:
        return None
    if ends > turn.now:
        return Outcome(ends - turn.now)
    yield from ignoring(delete_of(SECRETS, secret), 404)
    return None


def bootstrap_keys(seen: Seen) -> Iterable[tuple[str, str]]:
    secret = seen.new
    if secret is None or secret.get("type") != BOOTSTRAP_TYPE or secret["metadata"]["namespace"] != "kube-system":
        return ()
    return ((secret["metadata"]["namespace"], secret["metadata"]["name"]),)


TOKEN = Controller(
    name="serviceaccount-token-controller",
    account="service-account-controller",
    reconcile=reconcile_token,
    root=True,
    watches=((SECRETS, secret_keys), (ACCOUNTS, account_keys)),
)
CLEANER = Controller(
    name="token-cleaner-controller",
    account="token-cleaner",
    reconcile=reconcile_bootstrap,
    watches=((SECRETS, bootstrap_keys),),
    workers=1,
)
