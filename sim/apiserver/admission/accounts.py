"""ServiceAccount: every pod runs as one, with its token mounted; and requests for certificates name who asks.

Source: k8s.io/kubernetes/plugin/pkg/admission/serviceaccount.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from seatrial.sim.apiserver.context import Attributes, Context
from seatrial.sim.apiserver.request import Object
from seatrial.sim.kernel.streams import suffix
from seatrial.sim.machinery import errors

MIRROR = "kubernetes.io/config.mirror"
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
HOLDERS = ("initContainers", "containers")
TOKEN_EXPIRATION_S = 3607
"""The odd seven seconds let the server tell injected tokens from asked ones (WarnOnlyBoundTokenExpirationSeconds)."""


def with_account(context: Context, attributes: Attributes) -> Object:
    """Raises ApiError 403 when the account is not there."""
    obj = attributes.object
    assert obj is not None
    if MIRROR in (obj["metadata"].get("annotations") or {}):
        return obj
    spec = dict(obj["spec"])
    name = spec.get("serviceAccountName") or "default"
    spec["serviceAccountName"] = spec["serviceAccount"] = name
    account = context.server.store.get("serviceaccounts", attributes.namespace, name)
    if account is None:
        why = f'error looking up service account {attributes.namespace}/{name}: serviceaccount "{name}" not found'
        raise errors.forbidden("", "pods", attributes.name, why)
    if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
        spec["imagePullSecrets"] = account["imagePullSecrets"]
    if _wants_token(spec, account):
        _mount_token(context, spec)
    return {**obj, "spec": spec}


def _wants_token(spec: dict[str, Any], account: Object) -> bool:
    if spec.get("automountServiceAccountToken") is not None:
        return bool(spec["automountServiceAccountToken"])
    return account.get("automountServiceAccountToken") is not False


def _mount_token(context: Context, spec: dict[str, Any]) -> None:
    if not any(_needs_token(container) for key in HOLDERS for container in spec.get(key) or ()):
        return
    volumes = list(spec.get("volumes") or ())
    names = {volume["name"] for volume in volumes}
    known = next((volume["name"] for volume in volumes if volume["name"].startswith("kube-api-access-")), "")
    name = known
    while not name or (not known and name in names):
        name = "kube-api-access-" + suffix(context.server.streams("apiserver/names"), 5)
    mount = {"name": name, "readOnly": True, "mountPath": TOKEN_PATH}
    for key in HOLDERS:
        if spec.get(key):
            spec[key] = [_mounted(container, mount) for container in spec[key]]
    if not known:
        spec["volumes"] = [*volumes, {"name": name, "projected": token_sources()}]


def _needs_token(container: Object) -> bool:
    return all(given.get("mountPath") != TOKEN_PATH for given in container.get("volumeMounts") or ())


def _mounted(container: Object, mount: Object) -> Object:
    if not _needs_token(container):
        return container
    return {**container, "volumeMounts": [*(container.get("volumeMounts") or ()), mount]}


@cache
def token_sources() -> Object:
    """The projected volume that holds token, CA certificate and namespace (tokenVolumeSource); one object for all pods,
    so that what is found out about it once holds for all."""
    return {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": TOKEN_EXPIRATION_S, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {
                "downwardAPI": {
                    "items": [
                        {
                            "path": "namespace",
                            "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                        }
                    ]
                }
            },
        ],
        "defaultMode": 420,
    }


def with_requester(context: Context, attributes: Attributes) -> Object:
    """A CertificateSigningRequest carries who asked, whatever the client wrote (csr strategy.PrepareForCreate)."""
    obj, user = attributes.object, attributes.user
    assert obj is not None
    spec = {key: value for key, value in obj["spec"].items() if key not in ("username", "uid", "groups", "extra")}
    spec["username"] = user.name
    if user.uid:
        spec["uid"] = user.uid
    spec["groups"] = list(user.groups)
    if user.extra:
        spec["extra"] = {key: list(values) for key, values in user.extra.items()}
    return {**obj, "spec": spec}
