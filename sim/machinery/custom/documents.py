"""The OpenAPI documents of a custom group version, made when somebody asks for them.

The operations are those of a built-in kind with the names exchanged, as upstream builds both with the same installer;
the schemas are the definition's own, with the metadata that every object has.

Source: k8s.io/apiextensions-apiserver/pkg/controller/openapi/{builder,v2}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import orjson

from seatrial.sim.machinery.custom.schema import EMBEDDED, INT_OR_STRING, PRESERVE

if TYPE_CHECKING:
    from seatrial.sim.machinery.kinds import Resource

Raw = Mapping[str, Any]

TEMPLATE_GROUP, TEMPLATE_KIND, TEMPLATE_PLURAL = ("apps", "v1"), "Deployment", "deployments"
TEMPLATE_TYPE = "io.k8s.api.apps.v1.Deployment"
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
UNSPOKEN = ("application/vnd.kubernetes.protobuf", "strategic-merge-patch", ";stream=")
"""Media types that custom kinds do not speak."""
OBJECT_META = (
    "Standard object's metadata. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
)
LIST_META = (
    "Standard list metadata. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds"
)
VALUE_ONLY = ("anyOf", "allOf", "oneOf", "not", "nullable")
"""What the v2 document cannot say."""


class GroupDocument:
    """What the custom kinds of one group version add to the server's OpenAPI."""

    def __init__(self, group: str, version: str, rows: Sequence[Resource]) -> None:
        self._group, self._version, self._rows = group, version, rows

    @cached_property
    def v3(self) -> Raw:
        """The whole v3 document."""
        schemas = {name: schema for row in self._rows for name, schema in _schemas(row, 3)}
        paths = {path: item for row in self._rows for path, item in _paths(row, 3)}
        shared = _referenced(_built_in_v3()["components"]["schemas"], (schemas, paths))
        return {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes CRD Swagger", "version": "v0.1.0"},
            "paths": {path: paths[path] for path in sorted(paths)},
            "components": {"schemas": dict(sorted({**shared, **schemas}.items()))},
        }

    @cached_property
    def paths(self) -> Raw:
        """The paths of the v2 document."""
        return {path: item for row in self._rows for path, item in _paths(row, 2)}

    @cached_property
    def definitions(self) -> Raw:
        """The definitions of the v2 document."""
        return {name: schema for row in self._rows for name, schema in _schemas(row, 2)}


@cache
def _built_in_v3() -> Any:
    from seatrial.sim.machinery.openapi import Documents

    return orjson.loads(Documents({}).v3("/".join(("apis", *TEMPLATE_GROUP))) or b"{}")


@cache
def _built_in_v2() -> Any:
    from seatrial.sim.machinery.openapi import Documents

    return orjson.loads(Documents({}).v2())


def definition_name(row: Resource, kind: str) -> str:
    """com.example.shop.v1.Widget: how OpenAPI names a kind."""
    return ".".join((*reversed(row.group.split(".")), row.version, kind))


def _ref(name: str, spec: int) -> str:
    return f"#/{'definitions' if spec == 2 else 'components/schemas'}/{name}"


def _ref_property(name: str, description: str, spec: int) -> Raw:
    if spec == 2:
        return {"description": description, "$ref": _ref(name, 2)}
    return {"description": description, "allOf": [{"$ref": _ref(name, 3)}], "default": {}}


def _identity_properties() -> Raw:
    """apiVersion and kind as every kind describes them."""
    properties = _built_in_v3()["components"]["schemas"][TEMPLATE_TYPE]["properties"]
    return {name: properties[name] for name in ("apiVersion", "kind")}


def _schemas(row: Resource, spec: int) -> Iterator[tuple[str, Raw]]:
    name, list_name = definition_name(row, row.kind), definition_name(row, row.list_kind)
    yield name, {**_object(row, spec), "x-kubernetes-group-version-kind": [_gvk(row, row.kind)]}
    about = "More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md"
    items = {"description": f"List of {row.plural}. {about}", "type": "array", "items": {"$ref": _ref(name, spec)}}
    yield (
        list_name,
        {
            "description": f"{row.list_kind} is a list of {row.kind}",
            "type": "object",
            "required": ["items"],
            "properties": {
                **_identity_properties(),
                "items": items,
                "metadata": {"description": LIST_META, **_bare_ref(f"{META}ListMeta", spec)},
            },
            "x-kubernetes-group-version-kind": [_gvk(row, row.list_kind)],
        },
    )


def _bare_ref(name: str, spec: int) -> Raw:
    return {"$ref": _ref(name, 2)} if spec == 2 else {"allOf": [{"$ref": _ref(name, 3)}]}


def _gvk(row: Resource, kind: str) -> Raw:
    return {"group": row.group, "kind": kind, "version": row.version}


def _object(row: Resource, spec: int) -> Raw:
    custom = row.custom
    raw = custom.node.raw if custom is not None and custom.node is not None else None
    if raw is None or (spec == 2 and (raw.get(PRESERVE) or (custom is not None and custom.preserves))):
        return {"type": "object"}
    schema = _published(raw, spec)
    metadata = {"description": OBJECT_META, **_bare_ref(f"{META}ObjectMeta", spec)}
    own = {**(schema.get("properties") or {}), **_identity_properties(), "metadata": metadata}
    return {**schema, "properties": dict(sorted(own.items()))}


def _published(raw: Raw, spec: int) -> Raw:
    """A schema as the document shows it."""
    out = {key: value for key, value in raw.items() if key not in ("properties", "items", "additionalProperties")}
    if spec == 2:
        if raw.get(PRESERVE):
            out = {key: value for key, value in out.items() if key not in ("type", "required")}
            return {key: value for key, value in out.items() if key not in VALUE_ONLY}
        if raw.get("nullable") or raw.get(INT_OR_STRING):
            out.pop("type", None)
        out = {key: value for key, value in out.items() if key not in VALUE_ONLY}
        if raw.get("nullable"):
            return out
    if "properties" in raw:
        out["properties"] = {name: _published(inner, spec) for name, inner in sorted(raw["properties"].items())}
    for name in ("items", "additionalProperties"):
        if name in raw:
            inner = raw[name]
            out[name] = _published(inner, spec) if isinstance(inner, Mapping) else inner
    if raw.get(EMBEDDED):
        metadata = {"description": OBJECT_META, **_bare_ref(f"{META}ObjectMeta", spec)}
        out["properties"] = {**(out.get("properties") or {}), **_identity_properties(), "metadata": metadata}
        out["required"] = [
            *(out.get("required") or ()),
            *(n for n in ("kind", "apiVersion") if n not in (out.get("required") or ())),
        ]
    return out


def _paths(row: Resource, spec: int) -> Iterator[tuple[str, Raw]]:
    """The template's paths with the row's names, without those of subresources that it does not have."""
    document = _built_in_v3() if spec == 3 else _built_in_v2()
    start = f"/apis/{'/'.join(TEMPLATE_GROUP)}/"
    change = _exchange(row, spec)
    for path, item in document["paths"].items():
        if not path.startswith(start) or f"/{TEMPLATE_PLURAL}" not in path or "/watch/" in path:
            continue
        last = path.rpartition("/")[2]
        if last in ("status", "scale") and last not in row.subresources:
            continue
        if not row.namespaced:
            if "namespaces/" not in path:
                continue
            path = path.replace("namespaces/{namespace}/", "")
        path = path.replace(start, f"/apis/{row.group}/{row.version}/")
        yield path.replace(f"/{TEMPLATE_PLURAL}", f"/{row.plural}"), change(item)


def _exchange(row: Resource, spec: int) -> Callable[[Any], Any]:
    """From the template's operations to the row's."""
    words = row.group.split(".")
    camel = "".join(word.title() for word in words)
    friendly = f"{camel}{row.version.title()}"
    tag = f"{camel[:1].lower()}{camel[1:]}_{row.version}"
    article = "an" if row.kind[:1] in "AEIOU" else "a"
    scope = "Namespaced" if row.namespaced else ""
    refs = {
        _ref(TEMPLATE_TYPE, spec): _ref(definition_name(row, row.kind), spec),
        _ref(f"{TEMPLATE_TYPE}List", spec): _ref(definition_name(row, row.list_kind), spec),
    }

    def text(key: str, value: str) -> str:
        if key == "$ref":
            return refs.get(value, value)
        if key == "operationId":
            return value.replace("AppsV1", friendly).replace("Namespaced", scope).replace(TEMPLATE_KIND, row.kind)
        if key == "description":
            return value.replace(f"a {TEMPLATE_KIND}", f"{article} {row.kind}").replace(TEMPLATE_KIND, row.kind)
        return value

    def change(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            if key == "x-kubernetes-group-version-kind":
                return _gvk(row, row.kind)
            kept = {name: change(item, name) for name, item in value.items() if not _is_unspoken(name)}
            body = kept.get("requestBody")
            if body and "*/*" in body["content"]:
                schema = body["content"]["*/*"]
                content = {"application/json": schema, "application/yaml": schema}
                kept["requestBody"] = {**body, "content": content}
            return kept
        if isinstance(value, list):
            if key == "tags":
                return [tag]
            if key in ("consumes", "produces"):
                listed = ["application/json", "application/yaml"] if value == ["*/*"] else value
                return [each for each in listed if not _is_unspoken(each)]
            return [change(each, key) for each in value if row.namespaced or not _is_namespace(each)]
        return text(key, value) if isinstance(value, str) else value

    return change


def _is_unspoken(media: str) -> bool:
    return any(part in media for part in UNSPOKEN)


def _is_namespace(parameter: Any) -> bool:
    """Whether it is the parameter that cluster-wide kinds do not have."""
    if not isinstance(parameter, dict):
        return False
    return parameter.get("name") == "namespace" or str(parameter.get("$ref", "")).startswith("#/parameters/namespace-")


def _referenced(schemas: Raw, roots: Any) -> dict[str, Any]:
    """The built-in schemas that the roots and each other refer to."""
    found: dict[str, Any] = {}
    waiting = [roots]
    while waiting:
        for name in _refs(waiting.pop()):
            if name in schemas and name not in found:
                found[name] = schemas[name]
                waiting.append(schemas[name])
    return found


def _refs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str):
            yield reference.rpartition("/")[2]
        for item in value.values():
            yield from _refs(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _refs(item)
