"""The node authorizer: a kubelet reads what the pods on its node refer to, and writes what is its own.

Source: k8s.io/kubernetes/plugin/pkg/auth/authorizer/node. The graph of that package is asked anew each time, from the
pods that the store's index by node gives.

Not modelled: that a kubelet may only list pods with a selector for its own node; here it may list all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from seatrial.sim.apiserver.request import User
from seatrial.sim.store.store import Store

if TYPE_CHECKING:
    from seatrial.sim.apiserver.authorization import Attributes

Object = Mapping[str, Any]

USER_PREFIX = "system:node:"
LEASE_NAMESPACE = "kube-node-lease"
BY_NODE = "spec.nodeName"
"""The store's index of pods."""
READ = ("get", "list", "watch")


def node_of(user: User) -> str:
    """The node whose kubelet this is; empty for anybody else (nodeidentifier.NewDefaultNodeIdentifier)."""
    if "system:nodes" in user.groups and user.name.startswith(USER_PREFIX):
        return user.name.removeprefix(USER_PREFIX)
    return ""


def refusal_of(store: Store, node: str, asked: Attributes) -> str | None:
    """Why a kubelet may not do this to a kind that the graph guards; None when the kind's rules decide."""
    if asked.group == "" and asked.resource in GUARDED:
        if asked.resource == "serviceaccounts" and asked.subresource != "token" and asked.verb != "get":
            return None
        return _guarded(store, node, asked)
    if asked.group == "" and asked.verb in READ and not asked.subresource:
        if asked.resource == "nodes":
            return _node(node, asked)
        if asked.resource == "pods":
            return _pod(store, node, asked)
    if asked.group == "certificates.k8s.io" and asked.resource == "podcertificaterequests":
        return _certificate(store, node, asked)
    if asked.group == "coordination.k8s.io" and asked.resource == "leases":
        return _lease(node, asked)
    if asked.group == "storage.k8s.io" and asked.resource == "csinodes":
        return _own(node, asked, "CSINode")
    return None


def _guarded(store: Store, node: str, asked: Attributes) -> str | None:
    if asked.resource == "serviceaccounts":
        if asked.verb != "create" and asked.subresource:
            return "can only create tokens for individual service accounts"
    elif asked.verb not in READ and asked.subresource != "status":
        return "can only read resources of this type"
    if asked.subresource and asked.resource not in ("serviceaccounts", "persistentvolumeclaims"):
        return "cannot read subresource"
    if asked.resource != "persistentvolumes" and not asked.namespace:
        return "can only read namespaced object of this type"
    if not asked.name:
        return "No Object name found"
    for pod in store.indexed("pods", BY_NODE, node):
        if GUARDED[asked.resource](store, pod, asked):
            return None
    return f"no relationship found between node '{node}' and this object"


def _node(node: str, asked: Attributes) -> str | None:
    if asked.name == node:
        return None
    whom = f"'{asked.name}'" if asked.name else "all nodes"
    return f"node '{node}' cannot read {whom}, only its own Node object"


def _pod(store: Store, node: str, asked: Attributes) -> str | None:
    if asked.verb != "get" and selects(asked.field_selector, BY_NODE, node):
        return None
    if not asked.name:
        return "can only list/watch pods with spec.nodeName field selector"
    pod = store.get("pods", asked.namespace, asked.name)
    if pod is not None and pod["spec"].get("nodeName") == node:
        return None
    return f"no relationship found between node '{node}' and this object"


def _certificate(store: Store, node: str, asked: Attributes) -> str | None:
    """What NodeRestriction says of a new request is not said here."""
    if asked.subresource:
        return "nodes may not access the status subresource of PodCertificateRequests"
    if asked.verb in ("list", "watch"):
        if selects(asked.field_selector, BY_NODE, node):
            return None
        return "can only list/watch podcertificaterequests with nodeName field selector"
    if asked.verb == "get":
        found = store.get("podcertificaterequests.certificates.k8s.io", asked.namespace, asked.name)
        if found is None or found["spec"].get("nodeName") != node:
            return f"no relationship found between node '{node}' and this object"
    elif asked.verb != "create":
        return f"nodes may not {asked.verb} podcertificaterequests"
    return None


def selects(field_selector: str, field: str, value: str) -> bool:
    """Whether one of the selector's terms asks for exactly this value."""
    terms = (term.partition("=") for term in field_selector.split(","))
    return any(name == field and given.removeprefix("=") == value for name, _, given in terms)


def _volumes(pod: Object) -> Iterator[Mapping[str, Any]]:
    for volume in pod["spec"].get("volumes") or ():
        yield volume
        yield from (volume.get("projected") or {}).get("sources") or ()


def _environment(pod: Object, key: str) -> Iterator[str]:
    """Names of ConfigMaps or Secrets that containers take variables from; ``key`` is configMap or secret."""
    spec = pod["spec"]
    for group in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(group) or ():
            for source in container.get("envFrom") or ():
                if f"{key}Ref" in source:
                    yield source[f"{key}Ref"].get("name", "")
            for variable in container.get("env") or ():
                reference = (variable.get("valueFrom") or {}).get(f"{key}KeyRef")
                if reference:
                    yield reference.get("name", "")


def _same_namespace(pod: Object, asked: Attributes) -> bool:
    return bool(pod["metadata"]["namespace"] == asked.namespace)


def _config_map(store: Store, pod: Object, asked: Attributes) -> bool:
    if not _same_namespace(pod, asked):
        return False
    mounted = ((volume.get("configMap") or {}).get("name") for volume in _volumes(pod))
    return asked.name in (*mounted, *_environment(pod, "configMap"))


def _secret(store: Store, pod: Object, asked: Attributes) -> bool:
    if not _same_namespace(pod, asked):
        return False
    names = [(volume.get("secret") or {}).get("secretName") for volume in _volumes(pod)]
    names += [(volume.get("secret") or {}).get("name") for volume in _volumes(pod)]
    names += [reference.get("name") for reference in pod["spec"].get("imagePullSecrets") or ()]
    return asked.name in (*names, *_environment(pod, "secret"))


def _claims(pod: Object) -> Iterator[str]:
    for volume in pod["spec"].get("volumes") or ():
        if "persistentVolumeClaim" in volume:
            yield volume["persistentVolumeClaim"]["claimName"]
        elif "ephemeral" in volume:
            yield f"{pod['metadata']['name']}-{volume['name']}"


def _claim(store: Store, pod: Object, asked: Attributes) -> bool:
    return _same_namespace(pod, asked) and asked.name in _claims(pod)


def _volume(store: Store, pod: Object, asked: Attributes) -> bool:
    for name in _claims(pod):
        claim = store.get("persistentvolumeclaims", pod["metadata"]["namespace"], name)
        if claim is not None and (claim.get("spec") or {}).get("volumeName") == asked.name:
            return True
    return False


def _account(store: Store, pod: Object, asked: Attributes) -> bool:
    return _same_namespace(pod, asked) and pod["spec"].get("serviceAccountName") == asked.name


GUARDED = {
    "configmaps": _config_map,
    "secrets": _secret,
    "persistentvolumeclaims": _claim,
    "persistentvolumes": _volume,
    "serviceaccounts": _account,
}
"""How a pod may refer to an object of each guarded kind."""


def _lease(node: str, asked: Attributes) -> str | None:
    if asked.namespace != LEASE_NAMESPACE:
        return f'can only access leases in the "{LEASE_NAMESPACE}" system namespace'
    if asked.verb != "create" and asked.name != node:
        return "can only access node lease with the same name as the requesting node"
    return None


def _own(node: str, asked: Attributes, kind: str) -> str | None:
    if asked.verb != "create" and asked.name != node:
        return f"can only access {kind} with the same name as the requesting node"
    return None
