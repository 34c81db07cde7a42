"""``-k`` and ``kubectl kustomize``: the simple part of kustomize.

Known: resources (files and directories), namespace, namePrefix, nameSuffix, labels, commonLabels, commonAnnotations,
images, replicas, configMapGenerator, secretGenerator, generatorOptions, patches, patchesStrategicMerge and
patchesJson6902. Anything else in a kustomization is refused by name. Source: sigs.k8s.io/kustomize/api.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import orjson

from seatrial.scenarios.kubectl.failures import Failure
from seatrial.scenarios.kubectl.hashing import named_by_content
from seatrial.scenarios.kubectl.manifests import values_of
from seatrial.scenarios.kubectl.session import Files
from seatrial.sim.machinery.errors import ApiError
from seatrial.sim.machinery.patch import json_patch, merge_patch
from seatrial.sim.machinery.schema import Type, type_of_kind
from seatrial.sim.machinery.strategic import strategic_merge

Object = dict[str, Any]
NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
KNOWN = frozenset(
    {"apiVersion", "kind", "metadata", "resources", "bases", "namespace", "namePrefix", "nameSuffix", "labels",
     "commonLabels", "commonAnnotations", "images", "replicas", "configMapGenerator", "secretGenerator",
     "generatorOptions", "patches", "patchesStrategicMerge", "patchesJson6902"}
)  # fmt: skip
CLUSTER_WIDE = frozenset(
    {"Namespace", "Node", "PersistentVolume", "ClusterRole", "ClusterRoleBinding", "StorageClass", "PriorityClass",
     "CustomResourceDefinition", "IngressClass", "RuntimeClass", "APIService", "CSIDriver",
     "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "ValidatingAdmissionPolicy",
     "ValidatingAdmissionPolicyBinding"}
)  # fmt: skip
UNPREFIXED = frozenset({"Namespace", "CustomResourceDefinition", "APIService"})
SELECTING = frozenset({"Deployment", "ReplicaSet", "DaemonSet", "StatefulSet"})
REFERENCES: Sequence[tuple[str, tuple[str, ...]]] = (
    ("configMapRef", ("ConfigMap",)), ("configMapKeyRef", ("ConfigMap",)), ("configMap", ("ConfigMap",)),
    ("secretRef", ("Secret",)), ("secretKeyRef", ("Secret",)), ("secret", ("Secret",)),
    ("persistentVolumeClaim", ("PersistentVolumeClaim",)), ("service", ("Service",)),
)  # fmt: skip
"""Fields that name another object: under ``name``, ``secretName`` or ``claimName``."""
ORDER = ("Namespace", "ResourceQuota", "StorageClass", "CustomResourceDefinition", "ServiceAccount", "PodSecurityPolicy",
         "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "ConfigMap", "Secret", "Endpoints", "Service",
         "LimitRange", "PriorityClass", "PersistentVolume", "PersistentVolumeClaim", "Deployment", "StatefulSet",
         "CronJob", "PodDisruptionBudget")  # fmt: skip


def build(files: Files, directory: str) -> list[Object]:
    """The objects of a kustomization, in the order in which kubectl applies them. Raises Failure."""
    return sorted(_built(files, directory), key=_order)


def _order(obj: Object) -> int:
    kind = obj["kind"]
    if kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        return len(ORDER) + 1
    return ORDER.index(kind) if kind in ORDER else len(ORDER)


def _built(files: Files, directory: str) -> list[Object]:
    value = _kustomization(files, directory)
    unknown = sorted(set(value) - KNOWN)
    if unknown:
        raise Failure(
            f"invalid Kustomization: {directory}: {', '.join(unknown)}: not among what this kubectl knows of kustomize "
            f"({', '.join(sorted(KNOWN - {'apiVersion', 'kind', 'metadata'}))})"
        )
    objects = [obj for each in (*value.get("resources", ()), *value.get("bases", ()))
               for obj in _resource(files, directory, each)]  # fmt: skip
    objects += _generated(files, directory, value)
    for patch in _patches(files, directory, value):
        objects = _patched(objects, *patch)
    if namespace := value.get("namespace"):
        objects = [_placed(obj, namespace) for obj in objects]
    objects = _labelled(objects, value)
    if annotations := value.get("commonAnnotations"):
        objects = [_annotated(obj, annotations) for obj in objects]
    objects = [_imaged(obj, value.get("images") or ()) for obj in objects]
    for row in value.get("replicas") or ():
        objects = [_scaled(obj, row) for obj in objects]
    return _renamed(objects, value.get("namePrefix") or "", value.get("nameSuffix") or "")


def _joined(directory: str, path: str) -> str:
    parts: list[str] = []
    for part in (PurePosixPath(directory) / path).parts:
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return str(PurePosixPath(*parts)) if parts else "."


def _kustomization(files: Files, directory: str) -> Object:
    try:
        children = files.children(directory)
    except OSError:
        raise Failure(f"must build at directory: not a valid directory: evalsymlink failure on '{directory}' : lstat {directory}: no such file or directory") from None  # fmt: skip
    if children is None:
        raise Failure(f"must build at directory: '{directory}': file is not directory")
    found = [name for name in NAMES if name in children]
    if not found:
        raise Failure(f"unable to find one of 'kustomization.yaml', 'kustomization.yml' or 'Kustomization' in directory '{directory}'")  # fmt: skip
    value = next(iter(values_of(files.read(f"{directory.rstrip('/')}/{found[0]}"), found[0])), None)
    if not isinstance(value, dict):
        raise Failure(f"kustomization.yaml is empty: {directory}")
    return value


def _read(files: Files, directory: str, path: str) -> bytes:
    try:
        return files.read(_joined(directory, path))
    except OSError as problem:
        raise Failure(f"accumulating resources: open {_joined(directory, path)}: {problem.strerror}") from None


def _resource(files: Files, directory: str, path: str) -> Iterator[Object]:
    if re.match(r"https?://|git@", path):
        raise Failure(f"accumulating resources from '{path}': this kubectl reads files, not URLs")
    where = _joined(directory, path)
    try:
        is_directory = files.children(where) is not None
    except OSError:
        raise Failure(f"accumulating resources: accumulation err='accumulating resources from '{path}': open {where}: no such file or directory'") from None  # fmt: skip
    if is_directory:
        yield from _built(files, where)
        return
    for value in values_of(_read(files, directory, path), where):
        if isinstance(value, dict) and isinstance(value.get("items"), list):
            yield from value["items"]
        else:
            yield value


# generators


def _generated(files: Files, directory: str, value: Object) -> Iterator[Object]:
    common = value.get("generatorOptions") or {}
    for kind, rows in (("ConfigMap", value.get("configMapGenerator")), ("Secret", value.get("secretGenerator"))):
        for row in rows or ():
            options = {**common, **(row.get("options") or {})}
            data = _data(files, directory, row)
            metadata: Object = {"name": row["name"]}
            for field in ("labels", "annotations"):
                if options.get(field):
                    metadata[field] = options[field]
            if row.get("namespace"):
                metadata["namespace"] = row["namespace"]
            obj: Object = {"apiVersion": "v1", "kind": kind, "metadata": metadata}
            if kind == "Secret":
                obj["type"] = row.get("type") or "Opaque"
                data = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
            if data:
                obj["data"] = data
            if options.get("immutable"):
                obj["immutable"] = True
            yield {**obj, "$hash": not options.get("disableNameSuffixHash")}


def _data(files: Files, directory: str, row: Object) -> dict[str, str]:
    data: dict[str, str] = {}
    for text in row.get("literals") or ():
        key, _, value = text.partition("=")
        data[key] = value.strip("'\"")
    for text in row.get("files") or ():
        key, equals, path = text.partition("=")
        path = path if equals else text
        data[key if equals else path.rpartition("/")[2]] = _read(files, directory, path).decode()
    for path in [*(row.get("envs") or ()), *([row["env"]] if row.get("env") else ())]:
        for line in _read(files, directory, path).decode().splitlines():
            if line.strip() and not line.lstrip().startswith("#"):
                key, _, value = line.partition("=")
                data[key.strip()] = value
    return data


# patches


def _patches(files: Files, directory: str, value: Object) -> Iterator[tuple[Any, Object]]:
    """(patch, target) of every patch; JSON patches are lists."""
    for text in value.get("patchesStrategicMerge") or ():
        raw = text.encode() if "\n" in text else _read(files, directory, text)
        for patch in values_of(raw, "patch"):
            yield patch, {}
    for row in [*(value.get("patchesJson6902") or ()), *(value.get("patches") or ())]:
        raw = row["patch"].encode() if row.get("patch") else _read(files, directory, row["path"])
        listed = list(values_of(raw, "patch"))
        for patch in listed:
            yield patch, row.get("target") or {}


def _matches(obj: Object, target: Object) -> bool:
    group, _, version = str(obj["apiVersion"]).rpartition("/")
    metadata = obj["metadata"]
    have = {"group": group, "version": version, "kind": obj["kind"], "name": metadata.get("name", ""),
            "namespace": metadata.get("namespace", "")}  # fmt: skip
    for field, value in have.items():
        if target.get(field) and not re.fullmatch(str(target[field]), value):
            return False
    for field in ("labelSelector", "annotationSelector"):
        if target.get(field):
            from seatrial.sim.machinery import selectors

            held = metadata.get("labels" if field == "labelSelector" else "annotations") or {}
            if not selectors.labels(target[field])(held):
                return False
    return True


def _type(obj: Object) -> Type | None:
    group, _, version = str(obj["apiVersion"]).rpartition("/")
    return type_of_kind(group, version, obj["kind"])


def _patched(objects: list[Object], patch: Any, target: Object) -> list[Object]:
    if isinstance(patch, dict) and not target:
        metadata = patch.get("metadata") or {}
        target = {"kind": patch.get("kind"), "name": re.escape(metadata.get("name", ""))}
    out: list[Object] = []
    matched = False
    for obj in objects:
        if not _matches(obj, target):
            out.append(obj)
            continue
        matched = True
        if isinstance(patch, dict) and patch.get("$patch") == "delete":
            continue
        try:
            if isinstance(patch, list):
                out.append(json_patch(obj, patch))
            else:
                change = {key: each for key, each in patch.items() if key not in ("apiVersion", "kind")}
                if isinstance(change.get("metadata"), dict):
                    change["metadata"] = {key: each for key, each in change["metadata"].items() if key != "name"}
                type_ = _type(obj)
                out.append(merge_patch(obj, change) if type_ is None else strategic_merge(obj, change, type_))
        except ApiError as problem:
            raise Failure(f"invalid patch: {problem.message}") from None
    if not matched:
        raise Failure(f"no matches for Id {target.get('kind', '')}.[noVer].[noGrp]/{target.get('name', '')}.[noNs]; failed to find unique target for patch")  # fmt: skip
    return out


# transformers


def _placed(obj: Object, namespace: str) -> Object:
    if obj["kind"] == "Namespace":
        return {**obj, "metadata": {**obj["metadata"], "name": namespace}}
    if obj["kind"] in CLUSTER_WIDE:
        if obj.get("subjects"):
            obj = {**obj, "subjects": [
                {**each, "namespace": namespace} if each.get("kind") == "ServiceAccount" else each
                for each in obj["subjects"]
            ]}  # fmt: skip
        return obj
    return {**obj, "metadata": {**obj["metadata"], "namespace": namespace}}


def _put(obj: Object, path: Sequence[str], more: Mapping[str, str]) -> Object:
    """The object with entries added to a map at a path."""
    if not path:
        return {**obj, **more}
    inner = obj.get(path[0])
    return {**obj, path[0]: _put(inner if isinstance(inner, dict) else {}, path[1:], more)}


TEMPLATES = {"CronJob": ("spec", "jobTemplate", "spec", "template", "metadata")}


def _template_metadata(obj: Object) -> tuple[str, ...] | None:
    if obj["kind"] in TEMPLATES:
        return TEMPLATES[obj["kind"]]
    spec = obj.get("spec")
    return ("spec", "template", "metadata") if isinstance(spec, dict) and "template" in spec else None


def _labelled(objects: list[Object], value: Object) -> list[Object]:
    rows = list(value.get("labels") or ())
    if value.get("commonLabels"):
        rows.append({"pairs": value["commonLabels"], "includeSelectors": True})
    for row in rows:
        pairs, selects = row.get("pairs") or {}, bool(row.get("includeSelectors"))
        out = []
        for obj in objects:
            obj = _put(obj, ("metadata", "labels"), pairs)
            template = _template_metadata(obj)
            if template and (selects or row.get("includeTemplates")):
                obj = _put(obj, (*template, "labels"), pairs)
            if selects and obj["kind"] in SELECTING:
                obj = _put(obj, ("spec", "selector", "matchLabels"), pairs)
            elif selects and obj["kind"] == "Service" and (obj.get("spec") or {}).get("selector"):
                obj = _put(obj, ("spec", "selector"), pairs)
            out.append(obj)
        objects = out
    return objects


def _annotated(obj: Object, annotations: Mapping[str, str]) -> Object:
    obj = _put(obj, ("metadata", "annotations"), annotations)
    template = _template_metadata(obj)
    return _put(obj, (*template, "annotations"), annotations) if template else obj


def _imaged(value: Any, rows: Sequence[Object]) -> Any:
    """Every container's image as the rows say."""
    if not rows:
        return value
    if isinstance(value, list):
        return [_imaged(each, rows) for each in value]
    if not isinstance(value, dict):
        return value
    out = {key: _imaged(each, rows) for key, each in value.items()}
    for field in ("containers", "initContainers"):
        if isinstance(out.get(field), list):
            out[field] = [_container(each, rows) for each in out[field]]
    return out


def _container(container: Object, rows: Sequence[Object]) -> Object:
    image = str(container.get("image", ""))
    name, _, _ = image.partition("@")
    head, slash, tail = name.rpartition("/")
    base, _, tag = tail.partition(":")
    name = head + slash + base
    for row in rows:
        if row.get("name") != name:
            continue
        name = row.get("newName") or name
        if row.get("digest"):
            return {**container, "image": f"{name}@{row['digest']}"}
        tag = str(row.get("newTag") or tag)
        return {**container, "image": f"{name}:{tag}" if tag else name}
    return container


def _scaled(obj: Object, row: Object) -> Object:
    if obj["metadata"].get("name") == row.get("name") and obj["kind"] in (*SELECTING, "ReplicationController"):
        return _put(obj, ("spec",), {"replicas": row["count"]})
    return obj


def _renamed(objects: list[Object], prefix: str, suffix: str) -> list[Object]:
    """New names, and the same wherever another object is named."""
    names: dict[tuple[str, str], str] = {}
    out = []
    for obj in objects:
        hashed = obj.get("$hash", False)
        old = obj["metadata"].get("name", "")
        new = old if obj["kind"] in UNPREFIXED else f"{prefix}{old}{suffix}"
        obj = {key: value for key, value in obj.items() if key != "$hash"}
        obj = {**obj, "metadata": {**obj["metadata"], "name": new}}
        if hashed:
            obj = named_by_content(obj)
        names[obj["kind"], old] = obj["metadata"]["name"]
        out.append(obj)
    changed = {key: new for key, new in names.items() if key[1] != new}
    return [_referring(obj, changed) for obj in out] if changed else out


def _referring(obj: Object, names: Mapping[tuple[str, str], str]) -> Object:
    out: Object = orjson.loads(orjson.dumps(obj))
    _walk(out, names)
    spec = out.get("spec") or {}
    if out["kind"] == "HorizontalPodAutoscaler":
        target = spec.get("scaleTargetRef") or {}
        target["name"] = names.get((target.get("kind", ""), target.get("name", "")), target.get("name", ""))
    if out["kind"] == "StatefulSet" and "serviceName" in spec:
        spec["serviceName"] = names.get(("Service", spec["serviceName"]), spec["serviceName"])
    if isinstance(out.get("roleRef"), dict):
        role = out["roleRef"]
        role["name"] = names.get((role.get("kind", ""), role.get("name", "")), role.get("name", ""))
    for each in out.get("subjects") or ():
        each["name"] = names.get((each.get("kind", ""), each.get("name", "")), each.get("name", ""))
    return out


def _walk(value: Any, names: Mapping[tuple[str, str], str]) -> None:
    if isinstance(value, list):
        for each in value:
            _walk(each, names)
    if not isinstance(value, dict):
        return
    for field, kinds in REFERENCES:
        inner = value.get(field)
        if isinstance(inner, dict):
            for key in ("name", "secretName", "claimName"):
                for kind in kinds:
                    if (kind, inner.get(key)) in names:
                        inner[key] = names[kind, inner[key]]
    if ("ServiceAccount", value.get("serviceAccountName")) in names:
        value["serviceAccountName"] = names["ServiceAccount", value["serviceAccountName"]]
    for each in value.values():
        _walk(each, names)
