"""Binding: the scheduler's word that a pod runs on a node.

Source: k8s.io/kubernetes/pkg/registry/core/pod/storage/storage.go (BindingREST, assignPod) and
k8s.io/kubernetes/plugin/pkg/admission/podtopologylabels.
"""

from __future__ import annotations

from typing import Any

from seatrial.sim.apiserver import admission, bodies
from seatrial.sim.apiserver.context import Context, Steps
from seatrial.sim.apiserver.handlers import accepted, check_namespace
from seatrial.sim.apiserver.options import write_options
from seatrial.sim.apiserver.request import Object, Response
from seatrial.sim.machinery import alike, errors
from seatrial.sim.machinery.fields import FieldError, quoted

TOPOLOGY_LABELS = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")


def create(context: Context) -> Steps[Response]:
    """POST pods/NAME/binding, and POST bindings, where the body names the pod."""
    options = write_options(context.query, "create")
    context.dry_run = options.dry_run
    own = bodies.body_resource(context) if context.info.subresource else context.resource
    binding = bodies.read(context, own, options.field_validation)
    check_namespace(context, binding)
    name = context.info.name or binding["metadata"].get("name", "")
    given = binding["metadata"].get("name", "")
    if context.info.name and given != context.info.name:
        text = f"the name of the object ({given}) does not match the name on the URL ({context.info.name})"
        raise errors.bad_request(text)
    binding = yield from admission.admit(context, "CREATE", binding)
    _validate(binding)
    server, namespace = context.server, context.info.namespace
    pod = server.store.get("pods", namespace, name)
    if pod is None:
        raise errors.not_found("", "pods", name)
    new = _assigned(context, pod, binding)
    if not context.dry_run:
        pods = server.kinds.resource("pods")
        server.commit(pods, lambda store: store.update("pods", new, None, context.request.cause))
    return Response(201, errors.success(201), accepted(context).media_type, tuple(context.warnings))


def _validate(binding: Object) -> None:
    target = binding.get("target") or {}
    problems = []
    if target.get("kind") not in ("Node", "", None):
        text = f'Unsupported value: {quoted(target["kind"])}: supported values: "Node", "<empty>"'
        problems.append(FieldError("FieldValueNotSupported", "target.kind", text))
    if not target.get("name"):
        problems.append(FieldError("FieldValueRequired", "target.name", "Required value"))
    if problems:
        raise errors.invalid("", "Binding", binding["metadata"].get("name", ""), problems)


def _assigned(context: Context, pod: Object, binding: Object) -> Object:
    """The pod on its node. Raises ApiError 409 when it is taken, held back or on its way out."""
    metadata, spec = pod["metadata"], pod["spec"]
    name, node = metadata["name"], binding["target"]["name"]
    uid = binding["metadata"].get("uid")
    if uid and uid != metadata["uid"]:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {metadata['uid']}"
        raise errors.conflict("", "pods/binding", name, why)
    if "deletionTimestamp" in metadata:
        raise errors.conflict("", "pods/binding", name, f"pod {name} is being deleted, cannot be assigned to a host")
    if spec.get("nodeName"):
        why = f"pod {name} is already assigned to node {quoted(spec['nodeName'])}"
        raise errors.conflict("", "pods/binding", name, why)
    if spec.get("schedulingGates"):
        raise errors.conflict("", "pods/binding", name, f"pod {name} has non-empty .spec.schedulingGates")
    annotations = binding["metadata"].get("annotations")
    labels = _topology(context, node)
    metadata = dict(metadata)
    if annotations:
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **annotations}
    if labels:
        metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
    condition = {
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": context.stamp,
    }
    before = pod.get("status") or {}
    status = {**before, "conditions": with_condition(before.get("conditions") or (), condition)}
    # Where it was expected to go is of no interest any more (ClearingNominatedNodeNameAfterBinding).
    status.pop("nominatedNodeName", None)
    return {**pod, "metadata": metadata, "spec": {**spec, "nodeName": node}, "status": alike.shared(status, before)}


def _topology(context: Context, name: str) -> dict[str, str]:
    """The node's zone and region, which a bound pod carries as labels."""
    node = context.server.store.get("nodes", "", name)
    labels = (node["metadata"].get("labels") or {}) if node is not None else {}
    return {key: labels[key] for key in TOPOLOGY_LABELS if key in labels}


def with_condition(conditions: Any, new: Object) -> list[Object]:
    """The conditions with one set (podutil.UpdatePodCondition): its time stays while its status does."""
    kept = []
    found = False
    for condition in conditions:
        if condition["type"] != new["type"]:
            kept.append(condition)
            continue
        found = True
        if condition.get("status") == new["status"]:
            kept.append({**new, "lastTransitionTime": condition.get("lastTransitionTime")})
        else:
            kept.append(new)
    return kept if found else [*kept, new]
