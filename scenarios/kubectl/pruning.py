"""``kubectl apply --prune``: deletes what was applied before and is no longer there.

Source: k8s.io/kubectl/pkg/cmd/apply/prune.go. Not modelled: ``--applyset``.
"""

from __future__ import annotations

from collections.abc import Sequence

from seatrial.scenarios.kubectl.builder import Target
from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.client import Kind
from seatrial.scenarios.kubectl.deleting import CASCADES
from seatrial.scenarios.kubectl.failures import Failure
from seatrial.scenarios.kubectl.printing import full_name
from seatrial.sim.machinery.errors import ApiError

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
ALLOWED = (
    "configmaps", "endpoints", "namespaces", "persistentvolumeclaims", "persistentvolumes", "pods",
    "replicationcontrollers", "secrets", "services", "jobs.batch", "cronjobs.batch", "ingresses.networking.k8s.io",
    "daemonsets.apps", "deployments.apps", "replicasets.apps", "statefulsets.apps",
)  # fmt: skip
"""What is pruned unless ``--prune-allowlist`` says otherwise."""
CHANGE = (
    "prune.go:71] Deprecated: kubectl apply will no longer prune non-namespaced resources by default when used with the "
    "--namespace flag in a future release. To preserve the current behaviour, list the resources you want to target "
    "explicitly in the --prune-allowlist flag."
)


def prune(call: Call, applied: Sequence[Target]) -> None:
    """Raises ApiError, Failure."""
    flags = call.flags
    if not flags["prune-allowlist"]:
        call.log(CHANGE)
    kept = {(target.kind.resource, target.namespace, target.name) for target in applied}
    places = dict.fromkeys(target.namespace for target in applied if target.namespace) or {call.namespace: None}
    for kind in _kinds(call):
        for namespace in places if kind.namespaced else ("",):
            query = {"labelSelector": flags["selector"] or ""}
            try:
                items = call.client.items(kind, namespace, query)
            except ApiError as problem:
                if problem.reason in ("NotFound", "MethodNotAllowed"):
                    continue
                raise
            for item in items:
                _gone(call, kind, item, kept)


def _kinds(call: Call) -> list[Kind]:
    given = call.flags["prune-allowlist"]
    found = []
    for word in given or ALLOWED:
        if given:
            group, version, kind_name = (["", *word.split("/")])[-3:]
            kind = call.client.kind_for(f"{group}/{version}" if group not in ("", "core") else version, kind_name)
        else:
            kind = call.client.find(word)
        if kind is None:
            raise Failure(f"invalid GroupVersionKind format: {word}, please follow <group/version/kind>")
        found.append(kind)
    return sorted(found, key=lambda kind: not kind.namespaced)


def _gone(call: Call, kind: Kind, item: dict[str, object], kept: set[tuple[str, str, str]]) -> None:
    metadata = item["metadata"]
    assert isinstance(metadata, dict)
    place = kind.resource, metadata.get("namespace", ""), metadata["name"]
    if LAST_APPLIED not in (metadata.get("annotations") or {}) or place in kept:
        return
    if call.dry_run != "client":
        body: dict[str, object] = {"kind": "DeleteOptions", "apiVersion": "v1",
                                   "propagationPolicy": CASCADES[call.flags["cascade"]]}  # fmt: skip
        if call.dry_run == "server":
            body["dryRun"] = ["All"]
        call.client.send("DELETE", kind.path(metadata.get("namespace", ""), metadata["name"]), body=body)
    call.out(f"{full_name(item)} pruned{call.dry_note}")
