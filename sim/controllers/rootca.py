"""The ConfigMap kube-root-ca.crt of every namespace.

Source: k8s.io/kubernetes/pkg/controller/certificates/rootcacertpublisher/publisher.go.
"""

from __future__ import annotations

from collections.abc import Iterable

from seatrial.sim.controllers.actions import Create, Steps, Turn, Update
from seatrial.sim.controllers.conditions import namespace_is_terminating
from seatrial.sim.controllers.controller import Controller, Seen
from seatrial.sim.controllers.serviceaccounts import namespace_keys
from seatrial.sim.machinery.errors import ApiError

NAME = "kube-root-ca.crt"
DESCRIPTION = {
    "kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver when using"
    " internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across"
    " distributions of Kubernetes clusters."
}


def reconcile(turn: Turn) -> Steps:
    _, namespace = turn.key
    obj = turn.view("namespaces").get("", namespace)
    if obj is None or (obj.get("status") or {}).get("phase") != "Active":
        return None
    data = {"ca.crt": turn.shared.get("root_ca", "")}
    there = turn.view("configmaps").get(namespace, NAME)
    metadata: dict[str, object] = {"name": NAME, "namespace": namespace, "annotations": DESCRIPTION}
    if there is None:
        wanted = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        try:
            yield Create("configmaps", wanted)
        except ApiError as error:
            if error.reason != "AlreadyExists" and not namespace_is_terminating(error):
                raise
        return None
    annotations = there["metadata"].get("annotations") or {}
    if there.get("data") == data and DESCRIPTION.items() <= annotations.items():
        return None
    yield Update("configmaps", {**there, "metadata": {**there["metadata"], "annotations": DESCRIPTION}, "data": data})
    return None


def config_keys(seen: Seen) -> Iterable[tuple[str, str]]:
    """One that was changed or deleted is put right."""
    metadata = seen.obj["metadata"]
    if metadata["name"] != NAME or seen.verb == "ADDED":
        return ()
    return (("", metadata["namespace"]),)


CONTROLLER = Controller(
    name="root-ca-certificate-publisher-controller",
    account="root-ca-cert-publisher",
    reconcile=reconcile,
    watches=(("namespaces", namespace_keys), ("configmaps", config_keys)),
    workers=1,
)
