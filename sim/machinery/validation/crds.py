"""CustomResourceDefinitions.

Source: k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation.
"""

from __future__ import annotations

from seatrial.sim.machinery.validation.problems import NONE, Errors, Object, invalid


def definition(value: Object) -> Errors:
    spec, name = value.get("spec") or {}, value["metadata"].get("name") or ""
    plural = (spec.get("names") or {}).get("plural") or ""
    if name != f"{plural}.{spec.get('group') or ''}":
        return (invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group'),)
    return NONE


def definition_update(new: Object, old: Object) -> Errors:
    return NONE
