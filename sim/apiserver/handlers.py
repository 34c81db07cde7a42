"""The verbs: from a routed request to its answer.

Source: k8s.io/apiserver/pkg/endpoints/handlers/{create,get,update,patch,delete,watch}.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from seatrial.sim.apiserver import listing, registry
from seatrial.sim.apiserver.context import Context, Steps
from seatrial.sim.apiserver.customresource_conversion import ConvertedWatch, require
from seatrial.sim.apiserver.options import (
    DeleteOptions,
    ListOptions,
    delete_options,
    first,
    list_options,
    write_options,
)
from seatrial.sim.apiserver.patching import Patcher
from seatrial.sim.apiserver.representation import Accepted, metadata_of, negotiate
from seatrial.sim.apiserver.request import Object, Response
from seatrial.sim.apiserver.strategy import strategy
from seatrial.sim.apiserver.watching import WatchStream
from seatrial.sim.machinery import apply, conversion, decode, defaults, errors, tables
from seatrial.sim.machinery.custom.converter import Unconverted
from seatrial.sim.machinery.shown import shown

INCLUDE_OBJECT = ("", "None", "Metadata", "Object")


def accepted(context: Context) -> Accepted:
    """What the client takes. A write asks before it stores anything. Raises ApiError 406."""
    resource = context.resource
    protobuf = resource.custom is None and resource.legacy is None
    return negotiate(context.request.accept, True, protobuf, not resource.virtual)


def reply(context: Context, obj: Object, code: int = 200) -> Response:
    """The body of a subresource or review, which is of a kind of its own."""
    wants = accepted(context)
    if wants.as_ == "Table":
        obj = table(context, [obj], {"resourceVersion": obj["metadata"].get("resourceVersion", "")})
    return Response(code, obj, wants.media_type, tuple(context.warnings))


def answer(context: Context, obj: Object, code: int = 200) -> Response:
    """One object in the form that the client accepts. Raises Unconverted, which tells how to go on."""
    try:
        return _answer(context, obj, code)
    except Unconverted as missing:
        missing.resume = partial(answer, context, obj, code)
        raise


def _answer(context: Context, obj: Object, code: int) -> Response:
    wants = accepted(context)
    if wants.as_ == "Table":
        body = table(context, [obj], {"resourceVersion": obj["metadata"].get("resourceVersion", "")})
    elif wants.as_ == "PartialObjectMetadata":
        body = metadata_of(obj)
    elif wants.as_:
        raise mismatched(context, wants.as_, "not a list", context.resource.kind)
    else:
        body = outward(context, obj)
    return Response(code, body, wants.media_type, tuple(context.warnings))


def mismatched(context: Context, wanted: str, what: str, kind: str) -> errors.ApiError:
    """The 406 for a form that does not fit what was asked for; a write has been made by then, as upstream's has."""
    group = context.resource.group.partition(".")[0] or "core"
    of = "*unstructured.Unstructured" if context.resource.custom is not None else f"*{group}.{kind}"
    return errors.ApiError(406, "NotAcceptable", f"you requested {wanted}, but the requested object is {what} ({of})")


def outward(context: Context, obj: Object) -> Object:
    """A stored object in the version of the request."""
    return conversion.convert(obj, context.resource)


def table(context: Context, objects: Any, list_metadata: Mapping[str, Any], headers: bool = True) -> Object:
    include = first(context.query, "includeObject")
    if include not in INCLUDE_OBJECT:
        raise errors.bad_request(f"unrecognized includeObject value: {include!r}")
    require(context, objects)
    return tables.table(
        context.resource,
        [outward(context, obj) for obj in objects] if context.resource.custom is not None else objects,
        context.server.clock.now,
        include_object=include or "Metadata",
        list_metadata=list_metadata,
        headers=headers,
    )


def get(context: Context) -> Response:
    return answer(context, registry.get(context))


def list_or_watch(context: Context) -> Response:
    watching = context.info.verb == "watch"
    options = list_options(context.query, watching)
    return _watch(context, options) if watching else _list(context, options)


def _list(context: Context, options: ListOptions) -> Response:
    wants = accepted(context)
    page = listing.find(context, options)
    metadata = page.metadata()
    resource = context.resource
    if wants.as_ == "Table":
        body: Object = table(context, page.items, metadata)
    elif wants.as_ == "PartialObjectMetadata":
        raise mismatched(context, wants.as_, "a list", f"{resource.kind}List")
    elif wants.as_ == "PartialObjectMetadataList":
        items = shown(page.items, metadata_of)
        body = {
            "kind": "PartialObjectMetadataList",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": metadata,
            "items": items,
        }
    else:
        body = {
            "kind": f"{resource.kind}List",
            "apiVersion": resource.api_version,
            "metadata": metadata,
            "items": list_items(context, page.items),
        }
    return Response(200, body, wants.media_type, tuple(context.warnings))


def list_items(context: Context, objects: Sequence[Object]) -> Sequence[Object]:
    """The items of a list: built-in kinds leave out what the list itself says of them.

    A component in the simulation gets them whole, as every typed client fills in what the wire leaves out.
    """
    if context.resource.custom is not None:
        require(context, objects)
        return [outward(context, obj) for obj in objects]
    if context.request.user is not None and not conversion.converts(context.resource):
        return list(objects)

    def bare(obj: Object) -> Object:
        return {key: value for key, value in outward(context, obj).items() if key not in ("kind", "apiVersion")}

    return shown(objects, bare)


def _watch(context: Context, options: ListOptions) -> Response:
    wants = accepted(context)
    resource = context.resource
    show: Callable[[Object, bool], Object] | None = None
    if wants.as_ == "Table":

        def show(obj: Object, is_first: bool) -> Object:
            metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
            return table(context, [obj], metadata, headers=is_first)
    elif wants.as_.startswith("PartialObjectMetadata"):

        def show(obj: Object, is_first: bool) -> Object:
            return metadata_of(obj)
    elif conversion.converts(resource):

        def show(obj: Object, is_first: bool) -> Object:
            return outward(context, obj)

    def bookmark(at: int) -> Object:
        empty = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": {"resourceVersion": str(at)}}
        return show(empty, False) if show is not None and wants.as_ != "Table" else empty

    custom = resource.custom
    make: Callable[..., WatchStream] = WatchStream
    if custom is not None and custom.converter is not None:
        make = partial(ConvertedWatch, context)
    stream = listing.watch(context, options, show, bookmark, make)
    return Response(200, stream, wants.media_type, tuple(context.warnings), streaming=True)


def body_of(context: Context, validation: str) -> Object:
    """The request's object: decoded, pruned and defaulted. Raises ApiError 400."""
    request, resource = context.request, context.resource
    if isinstance(request.body, bytes | bytearray | memoryview):
        obj, warnings = decode.decode(resource, bytes(request.body), request.content_type, validation)
        context.warnings.extend(warnings)
    else:
        obj = request.body
    default = context.server.molds.defaulted if resource.storage == "pods" else defaults.default
    return conversion.to_storage(default(resource, obj), resource)


def create(context: Context) -> Steps[Response]:
    resource, info = context.resource, context.info
    accepted(context)
    options = write_options(context.query, "create")
    context.dry_run = options.dry_run
    obj = body_of(context, options.field_validation)
    obj = in_namespace(context, obj)
    manager = options.field_manager or context.manager
    obj = apply.update_managed_fields(None, obj, manager, info.subresource, context.stamp, resource)
    stored = yield from registry.create(context, obj)
    return answer(context, stored, 201)


def check_namespace(context: Context, obj: Object) -> None:
    """Raises ApiError 400 when body and URL name different namespaces."""
    given = (obj.get("metadata") or {}).get("namespace", "")
    if given and given != context.namespace:
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )


def in_namespace(context: Context, obj: Object) -> Object:
    """The object with the URL's namespace when it names none (EnsureObjectNamespaceMatchesRequestNamespace).

    Raises ApiError 400 as ``check_namespace``.
    """
    check_namespace(context, obj)
    metadata = obj.get("metadata") or {}
    if metadata.get("namespace", "") == context.namespace:
        return obj
    return {**obj, "metadata": {**metadata, "namespace": context.namespace}}


def check_name(context: Context, obj: Object) -> None:
    """Raises ApiError 400 when body and URL name different objects."""
    given = (obj.get("metadata") or {}).get("name", "")
    if not given:
        raise errors.bad_request("name must be provided")
    if given != context.info.name:
        text = f"the name of the object ({given}) does not match the name on the URL ({context.info.name})"
        raise errors.bad_request(text)


def update(context: Context) -> Steps[Response]:
    resource, info = context.resource, context.info
    accepted(context)
    options = write_options(context.query, "update")
    context.dry_run = options.dry_run
    obj = body_of(context, options.field_validation)
    check_name(context, obj)
    obj = in_namespace(context, obj)
    manager = options.field_manager or context.manager

    def make(old: Object | None) -> Object:
        return apply.update_managed_fields(old, obj, manager, info.subresource, context.stamp, resource)

    uid = (obj.get("metadata") or {}).get("uid", "")
    stored, created = yield from registry.update(context, make, uid=uid)
    return answer(context, stored, 201 if created else 200)


def patch(context: Context) -> Steps[Response]:
    patcher = Patcher(context)
    accepted(context)
    stored, created = yield from registry.update(context, patcher.make, create_missing=patcher.creates)
    return answer(context, stored, 201 if created else 200)


def _delete_body(context: Context) -> DeleteOptions:
    body = context.request.body
    if isinstance(body, bytes | bytearray | memoryview):
        body = decode.decode_options(bytes(body), context.request.content_type) if bytes(body).strip() else None
    return delete_options(context.query, body)


def delete(context: Context) -> Steps[Response]:
    accepted(context)
    options = _delete_body(context)
    context.dry_run = options.dry_run
    warn = strategy(context.resource).deletion_warning
    if warn is not None and (text := warn(options)):
        context.warnings.append(text)
    obj, gone = yield from registry.delete(context, options)
    if not gone or strategy(context.resource).returns_deleted:
        return answer(context, obj)
    resource, metadata = context.resource, obj["metadata"]
    details = {"name": metadata["name"], "group": resource.group, "kind": resource.plural, "uid": metadata["uid"]}
    body = errors.success(0, {key: value for key, value in details.items() if value})
    return Response(200, body, accepted(context).media_type, tuple(context.warnings))


def delete_collection(context: Context) -> Steps[Response]:
    """Deletes what the selectors find, one after the other; answers with the list as it was."""
    accepted(context)
    options = _delete_body(context)
    context.dry_run = options.dry_run
    wants = list_options(context.query, False)
    page = listing.find(context, wants)
    require(context, page.items)
    for obj in page.items:
        metadata = obj["metadata"]
        info = context.info._replace(name=metadata["name"], namespace=metadata.get("namespace", ""))
        try:
            yield from registry.delete(context.for_info(info), options)
        except errors.ApiError as error:
            if error.code != 404:
                raise
    body = {
        "kind": f"{context.resource.kind}List",
        "apiVersion": context.resource.api_version,
        "metadata": page.metadata(),
        "items": list_items(context, page.items),
    }
    return Response(200, body, accepted(context).media_type, tuple(context.warnings))
