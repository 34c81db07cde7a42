"""NodeRestriction: a kubelet changes its own Node, its own lease and the pods bound to it, and nothing else.

Source: k8s.io/kubernetes/plugin/pkg/admission/noderestriction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from seatrial.sim.apiserver.context import Attributes, Context
from seatrial.sim.apiserver.nodeauthorization import LEASE_NAMESPACE, node_of
from seatrial.sim.apiserver.request import Object
from seatrial.sim.machinery import errors
from seatrial.sim.machinery.fields import quoted

MIRROR = "kubernetes.io/config.mirror"
OWN_LABELS = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/arch",
        "kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/instance-type",
        "beta.kubernetes.io/os",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "node.kubernetes.io/instance-type",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    }
)
"""Labels under kubernetes.io that a kubelet may set on its node (kubeletapis.kubeletLabels)."""
OWN_NAMESPACES = ("kubelet.kubernetes.io", "node.kubernetes.io")
CERTIFICATES = "podcertificaterequests.certificates.k8s.io"


def check(context: Context, attributes: Attributes) -> None:
    """Raises ApiError 403 for what a kubelet may not change."""
    node = node_of(context.user)
    rule = RULES.get(attributes.resource.storage) if node else None
    why = rule(node, attributes) if rule is not None else ""
    if node and attributes.resource.storage == CERTIFICATES:
        why = _certificate(context, node, attributes)
    if why:
        raise errors.forbidden(attributes.resource.group, attributes.resource.plural, attributes.name, why)


def _bound_node(obj: Object | None) -> str:
    return str(((obj or {}).get("spec") or {}).get("nodeName", ""))


def _pod(node: str, attributes: Attributes) -> str:
    operation, subresource = attributes.operation, attributes.subresource
    if subresource == "status":
        if _bound_node(attributes.old) != node:
            return f'node "{node}" can only update pod status for pods with spec.nodeName set to itself'
        ours, theirs = ((one or {}).get("metadata", {}).get("labels") for one in (attributes.object, attributes.old))
        return f'node "{node}" cannot update labels through pod status' if ours != theirs else ""
    if operation == "DELETE":
        ours = _bound_node(attributes.old) == node
        return "" if ours else f'node "{node}" can only delete pods with spec.nodeName set to itself'
    if subresource:
        return "" if subresource == "eviction" else f"unexpected pod subresource {subresource}"
    if operation != "CREATE":
        return f"unexpected operation {operation}"
    pod = attributes.object or {}
    if MIRROR not in (pod.get("metadata", {}).get("annotations") or {}):
        return f'pod does not have "{MIRROR}" annotation, node "{node}" can only create mirror pods'
    if _bound_node(pod) != node:
        return f'node "{node}" can only create pods with spec.nodeName set to itself'
    return ""


def _node(node: str, attributes: Attributes) -> str:
    if attributes.name != node:
        return f'node "{node}" is not allowed to modify node "{attributes.name}"'
    if attributes.subresource or attributes.operation == "DELETE":
        return ""
    new, old = attributes.object or {}, attributes.old or {}
    forbidden = _changed_labels(new, old)
    if forbidden:
        verb = "set the following" if attributes.operation == "CREATE" else "modify"
        return f"is not allowed to {verb} labels: {', '.join(forbidden)}"
    if attributes.operation == "UPDATE":
        ours, theirs = ((one.get("spec") or {}).get("taints") for one in (new, old))
        if ours != theirs:
            return f'node "{node}" is not allowed to modify taints'
    return ""


def _changed_labels(new: Object, old: Object) -> list[str]:
    """The labels under kubernetes.io and k8s.io that changed and are not the kubelet's to set."""
    ours, theirs = ((one.get("metadata", {}).get("labels") or {}) for one in (new, old))
    changed = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
    return sorted(key for key in changed if not _may_set(key))


def _may_set(key: str) -> bool:
    prefix, slash, _ = key.rpartition("/")
    if key in OWN_LABELS or not slash:
        return True
    if any(prefix == own or prefix.endswith("." + own) for own in OWN_NAMESPACES):
        return True
    return not (prefix in ("kubernetes.io", "k8s.io") or prefix.endswith((".kubernetes.io", ".k8s.io")))


def _token(node: str, attributes: Attributes) -> str:
    if attributes.subresource != "token":
        return ""
    bound = ((attributes.object or {}).get("spec") or {}).get("boundObjectRef") or {}
    return "" if bound.get("kind") == "Pod" else "node requested token not bound to a pod"


def _lease(node: str, attributes: Attributes) -> str:
    if attributes.namespace != LEASE_NAMESPACE:
        return f'can only access leases in the "{LEASE_NAMESPACE}" system namespace'
    if attributes.name != node:
        return "can only access node lease with the same name as the requesting node"
    return ""


def _csi_node(node: str, attributes: Attributes) -> str:
    return "" if attributes.name == node else "can only access CSINode with the same name as the requesting node"


def _certificate(context: Context, node: str, attributes: Attributes) -> str:
    """Only for a pod that is here, under its own account, and of a signer that it names."""
    if attributes.operation != "CREATE":
        return f"unexpected operation {attributes.operation}"
    spec, namespace = (attributes.object or {}).get("spec") or {}, attributes.namespace
    if spec.get("nodeName") != node:
        asked = quoted(spec.get("nodeName", ""))
        return f"PodCertificateRequest.Spec.NodeName={asked}, which is not the requesting node {quoted(node)}"
    store, name, account = context.server.store, spec.get("podName", ""), spec.get("serviceAccountName", "")
    whose = f"PodCertificateRequest for pod {quoted(f'{namespace}/{name}')}"
    pod = store.get("pods", namespace, name)
    if pod is None or pod["metadata"]["uid"] != spec.get("podUID"):
        uid = quoted(pod["metadata"]["uid"] if pod is not None else "")
        return f"{whose} contains pod UID ({quoted(spec.get('podUID', ''))}) which differs from running pod {uid}"
    if pod["spec"].get("nodeName") != node:
        told = f"is not running on node {quoted(node)} named in the PodCertificateRequest"
        return f"pod {quoted(f'{namespace}/{name}')} {told}"
    if MIRROR in (pod["metadata"].get("annotations") or {}):
        return f"pod {quoted(f'{namespace}/{name}')} is a mirror pod"
    if pod["spec"].get("serviceAccountName") != account:
        own = quoted(pod["spec"].get("serviceAccountName", ""))
        return f"{whose} contains serviceAccountName ({quoted(account)}) that differs from running pod ({own})"
    for kind, key, uid in (
        ("nodes", ("", node), "nodeUID"),
        ("serviceaccounts", (namespace, account), "serviceAccountUID"),
    ):
        found = store.get(kind, *key)
        own = "" if found is None else found["metadata"]["uid"]
        if spec.get(uid) != own:
            what = "node" if kind == "nodes" else "service account"
            told = f"which differs from the running one ({quoted(own)})"
            return f"{whose} names {what} UID {quoted(spec.get(uid, ''))}, {told}"
    signers = [
        source["podCertificate"]["signerName"]
        for volume in pod["spec"].get("volumes") or ()
        for source in (volume.get("projected") or {}).get("sources") or ()
        if "podCertificate" in source
    ]
    if spec.get("signerName") not in signers:
        told = f"does not mount a podCertificate projected volume for signer {quoted(spec.get('signerName', ''))}"
        return f"pod {quoted(f'{namespace}/{name}')} {told}"
    return ""


RULES: Mapping[str, Callable[[str, Attributes], str]] = {
    "pods": _pod,
    "nodes": _node,
    "serviceaccounts": _token,
    "leases.coordination.k8s.io": _lease,
    "csinodes.storage.k8s.io": _csi_node,
}
