"""What the registry does to daemon sets (k8s.io/kubernetes/pkg/registry/apps/daemonset/strategy.go)."""

from __future__ import annotations

from seatrial.sim.apiserver.context import Context
from seatrial.sim.apiserver.request import Object

TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
"""The annotation under which apps/v1 shows the template's generation."""


def _with_generation(obj: Object, generation: int) -> Object:
    metadata = obj["metadata"]
    annotations = {**(metadata.get("annotations") or {}), TEMPLATE_GENERATION: str(generation)}
    return {**obj, "metadata": {**metadata, "annotations": annotations}}


def prepare_create(context: Context, obj: Object) -> Object:
    """The first generation of the template is 1, whatever was sent."""
    return _with_generation(obj, 1)


def prepare_update(context: Context, obj: Object, old: Object) -> Object:
    """The template's generation counts its changes."""
    before = int((old["metadata"].get("annotations") or {}).get(TEMPLATE_GENERATION, "1"))
    same = obj["spec"]["template"] == old["spec"]["template"]
    return _with_generation(obj, before if same else before + 1)
