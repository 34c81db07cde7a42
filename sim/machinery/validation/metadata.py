"""ObjectMeta: names, labels, annotations, owners, finalizers, field managers.

Source: k8s.io/apimachinery/pkg/api/validation (objectmeta.go), k8s.io/apimachinery/pkg/apis/meta/v1/validation and
k8s.io/kubernetes/pkg/apis/core/validation (ValidateObjectMeta).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation.label_selectors import labels
from seatrial.sim.machinery.validation.memo import remembered
from seatrial.sim.machinery.validation.names import Format, label, path_segment, qualified_name
from seatrial.sim.machinery.validation.problems import (
    NONE,
    Errors,
    Object,
    at,
    forbidden,
    immutable,
    invalid,
    required,
    too_long,
)

ANNOTATIONS_BYTES_MAX = 256 * 1024
"""All keys and values of an object's annotations (TotalAnnotationSizeLimitB)."""
MANAGER_CHARACTERS_MAX = 128
STANDARD_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})
MANY_CONTROLLERS = 'Only one reference can have Controller set to true. Found "true" in references for'
TRAILING_DASH = re.compile("-+$")

LEGACY_FINALIZER = "name is neither a standard finalizer name nor is it fully qualified"


def is_prefix(value: str, name_format: Format) -> Sequence[str]:
    """A generateName: what the format says of it once something follows its last dash."""
    return name_format(TRAILING_DASH.sub("a", value) if name_format is not path_segment else value)


def metadata(value: Object, namespaced: bool, name_format: Format, legacy_finalizers: bool = True) -> Errors:
    """The metadata of a new object.

    ``legacy_finalizers``: kinds of old take a finalizer without a slash only when it is one of the standard ones.
    """
    errors: list[FieldError] = []
    if base := value.get("generateName"):
        errors += [invalid("generateName", base, text) for text in is_prefix(base, name_format)]
    name = value.get("name")
    if not name:
        errors.append(required("name", "name or generateName is required"))
    elif wrong := name_format(name):
        errors += [invalid("name", name, text) for text in wrong]
    namespace = value.get("namespace")
    if namespaced:
        if not namespace:
            errors.append(required("namespace"))
        elif wrong := label(namespace):
            errors += [invalid("namespace", namespace, text) for text in wrong]
    elif namespace:
        errors.append(forbidden("namespace", "not allowed on this type"))
    if found := value.get("finalizers"):
        errors += finalizers(found)
    errors += _contents(value, legacy_finalizers)
    return errors or NONE


def _contents(value: Object, legacy_finalizers: bool) -> Errors:
    """What a new object and a changed one must have alike."""
    errors: list[FieldError] = []
    if value.get("generation", 0) < 0:
        errors.append(invalid("generation", value["generation"], "must be greater than or equal to 0"))
    if found := value.get("labels"):
        errors += at("labels", LABELS(found))
    if found := value.get("annotations"):
        errors += at("annotations", ANNOTATIONS(found))
    if found := value.get("ownerReferences"):
        errors += OWNERS(found)
    if legacy_finalizers and (found := value.get("finalizers")):
        errors += _legacy(found)
    if found := value.get("managedFields"):
        errors += MANAGERS(found)
    return errors


def annotation_map(value: Mapping[str, str]) -> Errors:
    errors: list[FieldError] = []
    size = 0
    for key, text in value.items():
        size += len(key.encode()) + len(text.encode())
        errors += [invalid("", key, wrong) for wrong in qualified_name(key.lower())]
    if size > ANNOTATIONS_BYTES_MAX:
        errors.append(too_long("", ANNOTATIONS_BYTES_MAX))
    return errors or NONE


def owners(references: Sequence[Object]) -> Errors:
    errors: list[FieldError] = []
    controllers: list[str] = []
    for reference in references:
        if found := _owner(reference):
            errors += at("ownerReferences", found)
        if reference.get("controller"):
            controllers.append(f"{reference.get('kind', '')}/{reference.get('name', '')}")
    if len(controllers) > 1:
        told = f"{MANY_CONTROLLERS} {controllers[0]} and {controllers[1]}"
        errors.append(invalid("ownerReferences", list(references), told))
    return errors


def _owner(value: Object) -> Errors:
    errors: list[FieldError] = []
    version = value.get("apiVersion") or ""
    if not version or version.endswith("/") or version.count("/") > 1:
        errors.append(invalid("apiVersion", version, "version must not be empty"))
    if not (value.get("kind") and value.get("name") and value.get("uid")):
        errors += [invalid(key, "", "must not be empty") for key in ("kind", "name", "uid") if not value.get(key)]
    if version == "v1" and value.get("kind") == "Event":
        told = "/v1, Kind=Event is disallowed from being an owner"
        errors.append(invalid("", dict(value), told))
    return errors


def finalizer(value: str) -> Errors:
    return [invalid("", value, text) for text in qualified_name(value)]


def legacy_finalizer(value: str) -> Errors:
    """A finalizer without a slash is one that Kubernetes has always had."""
    if "/" not in value and value not in STANDARD_FINALIZERS:
        return (invalid("", value, LEGACY_FINALIZER),)
    return NONE


def finalizers(values: Sequence[str]) -> Errors:
    errors: list[FieldError] = []
    for value in values:
        errors += at("finalizers", finalizer(value))
    if "orphan" in values and "foregroundDeletion" in values:
        told = "finalizer orphan and foregroundDeletion cannot be both set"
        errors.append(invalid("finalizers", list(values), told))
    return errors


def _legacy(values: Sequence[str]) -> Errors:
    errors: list[FieldError] = []
    for index, value in enumerate(values):
        errors += at(f"finalizers[{index}]", legacy_finalizer(value))
    return errors


def managers(entries: Sequence[Object]) -> Errors:
    """managedFields, as clients may send them."""
    errors: list[FieldError] = []
    for index, entry in enumerate(entries):
        path = f"managedFields[{index}]"
        if entry.get("operation") not in ("Apply", "Update"):
            told = "must be `Apply` or `Update`"
            errors.append(invalid(f"{path}.operation", entry.get("operation") or "", told))
        if entry.get("fieldsType") and entry["fieldsType"] != "FieldsV1":
            errors.append(invalid(f"{path}.fieldsType", entry["fieldsType"], "must be `FieldsV1`"))
        name = entry.get("manager") or ""
        if len(name.encode()) > MANAGER_CHARACTERS_MAX:
            errors.append(too_long(f"{path}.fieldManager", MANAGER_CHARACTERS_MAX))
        if not name.isprintable():
            told = f"should only contain printable characters (including space) but got {name!r}"
            errors.append(invalid(f"{path}.fieldManager", name, told))
        if len((entry.get("subresource") or "").encode()) > 256:
            errors.append(too_long(f"{path}.subresource", 256))
    return errors or NONE


LABELS = remembered(labels)
ANNOTATIONS = remembered(annotation_map)
MANAGERS = remembered(managers)
OWNERS = remembered(owners)


def metadata_update(new: Object, old: Object, legacy_finalizers: bool = True) -> Errors:
    """The metadata of a changed object: what must be right, and what must not change."""
    errors: list[FieldError] = []
    if not new.get("resourceVersion"):
        errors.append(invalid("resourceVersion", new.get("resourceVersion") or "", "must be specified for an update"))
    if new.get("generation", 0) < old.get("generation", 0):
        errors.append(invalid("generation", new.get("generation", 0), "must not be decremented"))
    for key in ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"):
        if new.get(key) != old.get(key):
            errors += immutable(key, new.get(key), old.get(key))
    if old.get("deletionTimestamp") and new.get("finalizers") is not old.get("finalizers"):
        errors += _added_finalizers(new.get("finalizers") or (), old.get("finalizers") or ())
    errors += _contents(new, legacy_finalizers)
    return errors or NONE


def _added_finalizers(new: Sequence[str], old: Sequence[str]) -> Errors:
    added = [value for value in new if value not in old]
    if not added:
        return NONE
    listed = ", ".join(f'"{value}"' for value in added)
    told = "no new finalizers can be added if the object is being deleted, found new finalizers []string{"
    return (forbidden("finalizers", f"{told}{listed}}}"),)


def template_metadata(value: Object) -> Errors:
    """Labels and annotations of a template; they are reported beside ``metadata``, not in it."""
    errors: list[FieldError] = []
    if found := value.get("labels"):
        errors += at("labels", LABELS(found))
    if found := value.get("annotations"):
        errors += at("annotations", ANNOTATIONS(found))
    return errors or NONE


def only_labels_and_annotations(value: Object) -> Errors:
    """Metadata in which nothing else may be set (claims that a pod brings along)."""
    errors = list(template_metadata(value))
    others = [key for key in value if key not in ("labels", "annotations", "creationTimestamp") and value[key]]
    return [*errors, *(forbidden(key, "cannot be set") for key in others)]
