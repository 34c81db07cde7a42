"""What the registry does to jobs (k8s.io/kubernetes/pkg/registry/batch/job/strategy.go)."""

from __future__ import annotations

from seatrial.sim.apiserver.context import Context
from seatrial.sim.apiserver.options import DeleteOptions
from seatrial.sim.apiserver.request import Object

PREFIX = "batch.kubernetes.io/"


def prepare_create(context: Context, obj: Object) -> Object:
    """Gives the pod template the labels that tie it to this job, and the job the selector that finds them."""
    spec = obj["spec"]
    if spec.get("manualSelector"):
        return obj
    metadata = obj["metadata"]
    uid, name = metadata["uid"], metadata.get("name", "")
    template = spec.get("template") or {}
    given = (template.get("metadata") or {}).get("labels") or {}
    labels = {
        **given,
        f"{PREFIX}controller-uid": uid,
        f"{PREFIX}job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    selector = dict(spec.get("selector") or {})
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), f"{PREFIX}controller-uid": uid}
    template = {**template, "metadata": {**(template.get("metadata") or {}), "labels": labels}}
    return {**obj, "spec": {**spec, "selector": selector, "template": template}}


def labelled(context: Context, obj: Object) -> Object:
    """A job without labels has those of its template: defaulting runs once more when the stored job is read back, and
    by then the template has some."""
    labels = ((obj["spec"].get("template") or {}).get("metadata") or {}).get("labels")
    if not labels or obj["metadata"].get("labels"):
        return obj
    return {**obj, "metadata": {**obj["metadata"], "labels": labels}}


def deletion_warning(options: DeleteOptions) -> str:
    """What whoever deletes a job without saying what becomes of its pods is told (DefaultGarbageCollectionPolicy)."""
    if options.policy or options.orphan_dependents is not None:
        return ""
    return (
        "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them "
        "or set propagationPolicy=Orphan to suppress this warning"
    )
