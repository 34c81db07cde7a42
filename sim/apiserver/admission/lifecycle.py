"""NamespaceLifecycle: nothing is created in a namespace that is not there or is going away.

Source: k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle.
"""

from __future__ import annotations

from seatrial.sim.apiserver.context import Attributes, Context
from seatrial.sim.machinery import errors

IMMORTAL = ("default", "kube-system", "kube-public")
ALWAYS_ALLOWED = frozenset({"localsubjectaccessreviews.authorization.k8s.io"})
"""Reviews that never store anything."""


def check(context: Context, attributes: Attributes) -> None:
    """Raises ApiError 404 for a missing namespace, 403 for one that is being terminated or may not be deleted."""
    resource, name = attributes.resource, attributes.name
    if resource.storage == "namespaces":
        if attributes.operation == "DELETE" and name in IMMORTAL:
            raise errors.forbidden("", "namespaces", name, "this namespace may not be deleted")
        return
    if not resource.namespaced or attributes.operation != "CREATE" or resource.storage in ALWAYS_ALLOWED:
        return
    namespace = context.server.store.get("namespaces", "", attributes.namespace)
    if namespace is None:
        raise errors.not_found("", "namespaces", attributes.namespace)
    if (namespace.get("status") or {}).get("phase") == "Terminating":
        text = f"namespace {attributes.namespace} is being terminated"
        causes = [{"reason": "NamespaceTerminating", "message": text, "field": "metadata.namespace"}]
        why = f"unable to create new content in namespace {attributes.namespace} because it is being terminated"
        raise errors.forbidden(resource.group, resource.plural, name, why, causes)
