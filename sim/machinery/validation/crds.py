"""CustomResourceDefinitions.

Upstream checks the internal version, where what all versions have in common stands beside them: one schema is
``spec.validation``, several are ``spec.versions[i].schema``, and paths say so.

Source: k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation and pkg/apis/apiextensions/v1/conversion.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from seatrial.sim.machinery.fields import FieldError, quoted
from seatrial.sim.machinery.validation.crd_schemas import validation
from seatrial.sim.machinery.validation.names import label_1035, subdomain
from seatrial.sim.machinery.validation.problems import (
    Errors,
    Object,
    at,
    duplicate,
    forbidden,
    immutable,
    invalid,
    not_supported,
    required,
)
from seatrial.sim.machinery.validation.webhooks import client, conversion_versions

COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
APPROVED = "api-approved.kubernetes.io"
APPROVAL = f'protected groups must have approval annotation "{APPROVED}"'
APPROVAL_SOURCE = "see https://github.com/kubernetes/enhancements/pull/1111"
MIXED_CASE = "may have mixed case, but should otherwise match: "
KEEP_ALL = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
SHARED = ("schema", "subresources", "additionalPrinterColumns", "selectableFields")
SELECTABLE_MAX = 8
SELECTABLE_TYPES = ("string", "boolean", "integer")
NOT_SELECTABLE = (
    "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed."
)


def definition(value: Object) -> Errors:
    """A new definition, or the whole of a changed one; metadata excepted, but for the name."""
    spec, name = value.get("spec") or {}, value["metadata"].get("name") or ""
    plural = (spec.get("names") or {}).get("plural") or ""
    errors: list[FieldError] = []
    if name and name != f"{plural}.{spec.get('group') or ''}":
        errors.append(invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group'))
    errors += _spec(spec)
    errors += _stored_versions((value.get("status") or {}).get("storedVersions"), spec.get("versions") or ())
    if spec.get("preserveUnknownFields"):
        errors.append(invalid("spec.preserveUnknownFields", True, KEEP_ALL))
    return errors


def definition_create(value: Object) -> Errors:
    return [*definition(value), *_approval(value, None)]


def definition_update(new: Object, old: Object) -> Errors:
    after, before = new.get("spec") or {}, old.get("spec") or {}
    names, names_before = after.get("names") or {}, before.get("names") or {}
    conditions = (old.get("status") or {}).get("conditions") or ()
    errors: list[FieldError] = []
    if any(one.get("type") == "Established" and one.get("status") == "True" for one in conditions):
        errors += immutable("spec.scope", after.get("scope") or "", before.get("scope") or "")
        errors += immutable("spec.names.kind", names.get("kind") or "", names_before.get("kind") or "")
    errors += immutable("spec.group", after.get("group") or "", before.get("group") or "")
    errors += immutable("spec.names.plural", names.get("plural") or "", names_before.get("plural") or "")
    return [*errors, *_approval(new, old)]


INVALID_APPROVAL = f'{APPROVAL} with either a URL or a reason starting with "unapproved", {APPROVAL_SOURCE}'


def _is_protected(value: Object) -> bool:
    """Whether the group is one of the community's."""
    group = (value.get("spec") or {}).get("group") or ""
    return any(group == one or group.endswith(f".{one}") for one in ("k8s.io", "kubernetes.io"))


def approval_state(value: Object) -> tuple[str, str]:
    """missing, invalid, bypassed or approved, and the reason; both empty for a group that needs no approval."""
    if not _is_protected(value):
        return "", ""
    told = (value["metadata"].get("annotations") or {}).get(APPROVED) or ""
    state = _state(told)
    reasons = {
        "missing": f"{APPROVAL}, {APPROVAL_SOURCE}",
        "invalid": INVALID_APPROVAL,
        "bypassed": f"not approved: {quoted(told)}",
        "approved": f"approved in {told}",
    }
    return state, reasons[state]


def _approval(new: Object, old: Object | None) -> Errors:
    """Groups of the community need somebody's approval."""
    if not _is_protected(new):
        return ()
    told = (new["metadata"].get("annotations") or {}).get(APPROVED) or ""
    if old is not None:
        before = (old["metadata"].get("annotations") or {}).get(APPROVED) or ""
        if _state(told) == _state(before):
            return ()
    path, state = f"metadata.annotations[{APPROVED}]", _state(told)
    if state == "missing":
        return (required(path, f"{APPROVAL}, {APPROVAL_SOURCE}"),)
    if state == "invalid":
        return (invalid(path, told, INVALID_APPROVAL),)
    return ()


def _state(told: str) -> str:
    if not told:
        return "missing"
    if told.startswith("unapproved"):
        return "bypassed"
    url = urlsplit(told)
    return "approved" if url.scheme and url.netloc else "invalid"


def _stored_versions(stored: Sequence[str] | None, versions: Sequence[Object]) -> Iterator[FieldError]:
    path, storage = "status.storedVersions", [v.get("name") or "" for v in versions if v.get("storage")]
    stored = storage if stored is None else stored
    if not stored:
        yield invalid(path, [], "must have at least one stored version")
        return
    for name in storage:
        if name not in stored:
            yield invalid(path, list(stored), f"must have the storage version {name}")
    known = [version.get("name") for version in versions]
    for index, name in enumerate(stored):
        if name not in known:
            told = (
                f"missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions"
            )
            told += " until a storage migration ensures no data remains persisted in "
            yield invalid(f"{path}[{index}]", name, f"{told}{name} and removes {name} from status.storedVersions")


def _spec(spec: Object) -> Iterator[FieldError]:
    group, scope, versions = spec.get("group") or "", spec.get("scope") or "", spec.get("versions") or ()
    if not group:
        yield required("spec.group")
    elif wrong := subdomain(group):
        yield invalid("spec.group", group, ",".join(wrong))
    elif "." not in group:
        yield invalid("spec.group", group, "should be a domain with at least one dot")
    if not scope:
        yield required("spec.scope")
    elif scope not in ("Cluster", "Namespaced"):
        yield not_supported("spec.scope", scope, ("Cluster", "Namespaced"))
    for index, version in enumerate(versions):
        if (version.get("schema") or {}).get("openAPIV3Schema") is None:
            yield required(f"spec.versions[{index}].schema.openAPIV3Schema", "schemas are required")
    shared = _shared(versions)
    yield from _versions(versions, shared)
    names = spec.get("names") or {}
    for field in ("plural", "singular", "kind", "listKind"):
        if not names.get(field):
            yield required(f"spec.names.{field}")
    yield from at("spec.names", [*_names(names)])
    if versions:
        has_status = any((version.get("subresources") or {}).get("status") is not None for version in versions)
        common = {field: versions[0].get(field) for field in shared}
        yield from _parts(common, "spec", "spec.validation", has_status, versions[0].get("schema"))
    yield from at("spec.conversion", [*_conversion(spec.get("conversion"))])


def _shared(versions: Sequence[Object]) -> tuple[str, ...]:
    """What all versions have in common."""
    return tuple(f for f in SHARED if all(version.get(f) == versions[0].get(f) for version in versions))


def _versions(versions: Sequence[Object], shared: Sequence[str]) -> Iterator[FieldError]:
    names = [version.get("name") or "" for version in versions]
    for index, (name, version) in enumerate(zip(names, versions, strict=True)):
        path = f"spec.versions[{index}]"
        if wrong := label_1035(name):
            yield invalid(f"{path}.name", name, ",".join(wrong))
        yield from _deprecation(version, path)
        has_status = (version.get("subresources") or {}).get("status") is not None
        own = {field: version.get(field) for field in SHARED if field not in shared}
        yield from _parts(own, path, f"{path}.schema", has_status, version.get("schema"))
    if len(set(names)) < len(names):
        yield invalid("spec.versions", _printed(versions, shared), "must contain unique version names")
    if sum(bool(version.get("storage")) for version in versions) != 1:
        told = "must have exactly one version marked as storage version"
        yield invalid("spec.versions", _printed(versions, shared), told)
    if names and (wrong := label_1035(names[0])):
        yield invalid("spec.version", names[0], ",".join(wrong))


def _printed(versions: Sequence[Object], shared: Sequence[str]) -> list[dict[str, Any]]:
    """Versions as their internal type prints. *Not modelled*: parts of their own are printed as on the wire."""
    return [
        {
            "Name": version.get("name") or "",
            "Served": bool(version.get("served")),
            "Storage": bool(version.get("storage")),
            "Deprecated": bool(version.get("deprecated")),
            "DeprecationWarning": version.get("deprecationWarning"),
            **{f"{f[0].upper()}{f[1:]}": None if f in shared else version.get(f) for f in SHARED},
        }
        for version in versions
    ]


def _deprecation(version: Object, path: str) -> Iterator[FieldError]:
    text = version.get("deprecationWarning")
    if text is None:
        return
    here = f"{path}.deprecationWarning"
    if not version.get("deprecated"):
        yield invalid(here, text, "can only be set for deprecated versions")
        return
    if len(text.encode()) > 256:
        yield invalid(here, text, "must be <= 256 characters long")
    if not text:
        yield invalid(here, text, "must not be an empty string")
    for index, character in enumerate(text):
        if not character.isprintable():
            told = f"must only contain printable UTF-8 characters; non-printable character found at index {index}"
            yield invalid(here, text, told)
            return


def _parts(
    parts: Mapping[str, Any], path: str, schema_path: str, has_status: bool, known: Object | None
) -> Iterator[FieldError]:
    """What one version has of its own, or all have in common; ``known`` is the schema that selectable fields are in."""
    schema = parts.get("schema")
    if schema:
        yield from validation(schema, schema_path, has_status)
    if scale := (parts.get("subresources") or {}).get("scale"):
        yield from _scale(scale, f"{path}.subresources.scale")
    for index, column in enumerate(parts.get("additionalPrinterColumns") or ()):
        yield from _column(column, f"{path}.additionalPrinterColumns[{index}]")
    if fields := parts.get("selectableFields"):
        yield from _selectable(fields, (known or {}).get("openAPIV3Schema") or {}, f"{path}.selectableFields")


def _scale(scale: Object, path: str) -> Iterator[FieldError]:
    for field, below in (("specReplicasPath", ".spec"), ("statusReplicasPath", ".status")):
        value = scale.get(field) or ""
        if not value:
            yield required(f"{path}.{field}")
        elif value[0] != ".":
            yield invalid(f"{path}.{field}", value, "must be a simple json path starting with .")
        elif not value.startswith(f"{below}."):
            yield invalid(f"{path}.{field}", value, f"should be a json path under {below}")
    if value := scale.get("labelSelectorPath"):
        if value[0] != ".":
            yield invalid(f"{path}.labelSelectorPath", value, "must be a simple json path starting with .")
        elif not value.startswith((".spec.", ".status.")):
            told = "should be a json path under either .spec or .status"
            yield invalid(f"{path}.labelSelectorPath", value, told)


def _column(column: Object, path: str) -> Iterator[FieldError]:
    kind, shape, place = column.get("type") or "", column.get("format"), column.get("jsonPath") or ""
    if not column.get("name"):
        yield required(f"{path}.name")
    told = f"must be one of {','.join(COLUMN_TYPES)}"
    if not kind:
        yield required(f"{path}.type", told)
    elif kind not in COLUMN_TYPES:
        yield invalid(f"{path}.type", kind, told)
    if shape and shape not in COLUMN_FORMATS:
        yield invalid(f"{path}.format", shape, f"must be one of {','.join(COLUMN_FORMATS)}")
    if not place:
        yield required(f"{path}.JSONPath")
    elif place[0] != ".":
        yield invalid(f"{path}.JSONPath", place, "must be a simple json path starting with .")


def _selectable(fields: Sequence[Object], schema: Object, path: str) -> Iterator[FieldError]:
    seen: list[str] = []
    for index, field in enumerate(fields):
        here, place = f"{path}[{index}].jsonPath", field.get("jsonPath") or ""
        if not place:
            yield required(here)
            continue
        found: Object | None = schema
        for step in place.removeprefix(".").split("."):
            found = ((found or {}).get("properties") or {}).get(step)
        if place[0] != "." or found is None:
            yield invalid(here, place, "is an invalid path: does not refer to a valid field")
            continue
        if place.startswith(".metadata."):
            yield invalid(here, place, "must not point to fields in metadata")
        if found.get("type") not in SELECTABLE_TYPES:
            yield invalid(here, place, NOT_SELECTABLE)
        if place in seen:
            yield duplicate(here, place)
        seen.append(place)
    if len(set(seen)) > SELECTABLE_MAX:
        told = f"Too many: {len(set(seen))}: must have at most {SELECTABLE_MAX} items"
        yield FieldError("FieldValueTooMany", path, told)


def _names(names: Object) -> Iterator[FieldError]:
    for field in ("plural", "singular"):
        value = names.get(field) or ""
        if value and (wrong := label_1035(value)):
            yield invalid(field, value, ",".join(wrong))
    for field in ("kind", "listKind"):
        value = names.get(field) or ""
        if value and (wrong := label_1035(value.lower())):
            yield invalid(field, value, MIXED_CASE + ",".join(wrong))
    yield from _labels("shortNames", names.get("shortNames") or ())
    if names.get("kind") and names["kind"] == names.get("listKind"):
        yield invalid("listKind", names["listKind"], "kind and listKind may not be the same")
    yield from _labels("categories", names.get("categories") or ())


def _labels(field: str, values: Sequence[str]) -> Iterator[FieldError]:
    for index, value in enumerate(values):
        if wrong := label_1035(value):
            yield invalid(f"{field}[{index}]", value, ",".join(wrong))


def _conversion(value: Object | None) -> Iterator[FieldError]:
    if value is None:
        return
    strategy, webhook = value.get("strategy") or "", value.get("webhook")
    if not strategy:
        yield required("strategy")
    elif strategy not in ("None", "Webhook"):
        yield not_supported("strategy", strategy, ("None", "Webhook"))
    config, versions = (webhook or {}).get("clientConfig"), (webhook or {}).get("conversionReviewVersions") or ()
    if strategy == "Webhook":
        if config is None:
            yield required("webhookClientConfig", "required when strategy is set to Webhook")
        else:
            yield from at("webhookClientConfig", client(config))
        yield from at("conversionReviewVersions", conversion_versions(versions))
    else:
        told = "should not be set when strategy is not set to Webhook"
        if config is not None:
            yield forbidden("webhookClientConfig", told)
        if versions:
            yield forbidden("conversionReviewVersions", told)
