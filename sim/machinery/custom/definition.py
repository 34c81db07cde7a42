"""From a CustomResourceDefinition to rows of the table of kinds, one for each served version.

Source: k8s.io/apiextensions-apiserver/pkg/apiserver/{customresource_handler,customresource_discovery_controller}.go.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from seatrial.sim.machinery.custom.converter import Converter
from seatrial.sim.machinery.custom.kind import Custom, ScalePaths
from seatrial.sim.machinery.custom.schema import Node
from seatrial.sim.machinery.errors import group_resource
from seatrial.sim.machinery.kinds import Resource, Subresource

Object = Mapping[str, Any]

VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
"""In the order in which the discovery of custom kinds lists them."""
SUBRESOURCE_VERBS = ("get", "patch", "update")


def condition(definition: Object, kind: str) -> Object | None:
    """A condition of a definition by its type."""
    for each in (definition.get("status") or {}).get("conditions") or ():
        if each.get("type") == kind:
            found: Object = each
            return found
    return None


def is_true(definition: Object, kind: str) -> bool:
    found = condition(definition, kind)
    return found is not None and found.get("status") == "True"


def storage_version(definition: Object) -> str:
    """The name of the version that objects are stored in."""
    return next((each["name"] for each in definition["spec"]["versions"] or () if each.get("storage")), "")


def storage_name(definition: Object) -> str:
    """The name of the kind in the store."""
    return group_resource(definition["spec"]["group"], definition["spec"]["names"]["plural"])


def rows(definition: Object) -> list[Resource]:
    """The rows of a definition whose names are accepted, in the definition's order of versions; none before."""
    if not (is_true(definition, "Established") or is_true(definition, "NamesAccepted")):
        return []
    return [row(definition, version) for version in definition["spec"]["versions"] if version.get("served")]


def row(definition: Object, version: Object) -> Resource:
    """One version of a definition as a row."""
    spec = definition["spec"]
    names = {
        **spec["names"],
        **{k: v for k, v in ((definition.get("status") or {}).get("acceptedNames") or {}).items() if v},
    }
    group, stored = spec["group"], storage_version(definition)
    kind = names["kind"]
    return Resource(
        group,
        version["name"],
        names["plural"],
        names.get("singular") or kind.lower(),
        kind,
        spec["scope"] == "Namespaced",
        VERBS,
        _subresources(version, kind),
        tuple(names.get("shortNames") or ()),
        tuple(names.get("categories") or ()),
        storage_name(definition),
        f"{group}/{stored}",
        _storage_hash(group, stored, kind),
        custom(definition, version),
        names.get("listKind") or f"{kind}List",
    )


def custom(definition: Object, version: Object) -> Custom:
    """What one version of a definition says of its objects."""
    spec = definition["spec"]
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    return Custom(
        kind=spec["names"]["kind"],
        node=None if schema is None else Node(schema),
        printer_columns=tuple(version.get("additionalPrinterColumns") or ()),
        selectable_fields=tuple(each["jsonPath"].removeprefix(".") for each in version.get("selectableFields") or ()),
        scale_paths=_scale_paths((version.get("subresources") or {}).get("scale")),
        preserves=bool(spec.get("preserveUnknownFields")),
        since=int(definition["metadata"].get("resourceVersion") or 0),
        alone=len(spec["versions"]) == 1,
        deprecation=_deprecation(spec, version),
        converter=_converter(spec),
        terminating=is_true(definition, "Terminating"),
    )


def _converter(spec: Object) -> Converter | None:
    conversion = spec.get("conversion") or {}
    if conversion.get("strategy") != "Webhook" or len(spec["versions"]) == 1:
        return None
    return Converter(conversion.get("webhook") or {})


def _deprecation(spec: Object, version: Object) -> str:
    if not version.get("deprecated"):
        return ""
    usual = f"{spec['group']}/{version['name']} {spec['names']['kind']} is deprecated"
    return version.get("deprecationWarning") or usual


def _subresources(version: Object, kind: str) -> dict[str, Subresource]:
    given = version.get("subresources") or {}
    found: dict[str, Subresource] = {}
    if given.get("status") is not None:
        found["status"] = Subresource("status", kind, SUBRESOURCE_VERBS)
    if given.get("scale") is not None:
        found["scale"] = Subresource("scale", "Scale", SUBRESOURCE_VERBS, "autoscaling", "v1")
    return found


def _scale_paths(scale: Object | None) -> ScalePaths | None:
    if scale is None:
        return None
    wanted, present, selector = (
        _path(scale.get(name) or "") for name in ("specReplicasPath", "statusReplicasPath", "labelSelectorPath")
    )
    return wanted, present, selector


def _path(text: str) -> tuple[str, ...]:
    return tuple(text.removeprefix(".").split(".")) if text else ()


def _storage_hash(group: str, version: str, kind: str) -> str:
    """storageVersionHash of discovery (k8s.io/apiserver/pkg/endpoints/discovery.StorageVersionHash)."""
    digest = hashlib.sha256(f"{group}/{version}/{kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()
