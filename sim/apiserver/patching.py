"""PATCH: from the stored object and a patch to the object that is to be stored.

Source: k8s.io/apiserver/pkg/endpoints/handlers/patch.go.
"""

from __future__ import annotations

from typing import Any

from seatrial.sim.apiserver.context import Context
from seatrial.sim.apiserver.options import WriteOptions, write_options
from seatrial.sim.apiserver.request import Object
from seatrial.sim.machinery import apply, conversion, decode, defaults, errors, patch, strategic

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


class Patcher:
    """One patch request: decoded once, applied to whatever the registry finds stored."""

    def __init__(self, context: Context) -> None:
        """Raises ApiError: 415 for an unknown patch type, 400 for a patch that cannot be read, 422 for options."""
        self._context = context
        self._kind = context.request.content_type.partition(";")[0].strip()
        accepted = [JSON_PATCH, MERGE_PATCH, STRATEGIC, APPLY]
        if context.resource.custom:
            accepted.remove(STRATEGIC)
        if self._kind not in accepted:
            if self._kind not in (JSON_PATCH, MERGE_PATCH, STRATEGIC, APPLY):
                context.warnings.clear()  # refused before the kind is looked at
            raise _unsupported(self._kind, accepted)
        self.options: WriteOptions = write_options(context.query, "patch", self._kind == APPLY)
        context.dry_run = self.options.dry_run
        self._patch = self._read(context.request.body)

    @property
    def creates(self) -> bool:
        """Whether the patch may create what is not there: server-side apply may."""
        return self._kind == APPLY

    def _read(self, body: Any) -> Any:
        if not isinstance(body, bytes | bytearray | memoryview):
            return body
        if self._kind == APPLY:
            return decode.read_yaml(bytes(body), self.options.field_validation, self._context.warnings)
        return decode.read_json(bytes(body), self.options.field_validation, self._context.warnings)

    def make(self, old: Object | None) -> Object:
        """The object to store. Raises ApiError as the patch's rules say."""
        context, resource = self._context, self._context.resource
        if self._kind == APPLY:
            return self._apply(old)
        assert old is not None
        shown = conversion.convert(old, resource)
        patched = self._patched(shown)
        given = self._patch if self._kind == STRATEGIC else None
        obj, warnings = decode.decode_patched(resource, patched, self.options.field_validation, given, shown)
        context.warnings.extend(warnings)
        new = conversion.to_storage(defaults.default(resource, obj, shown), resource)
        _check_identity(context, new)
        manager = self.options.field_manager or context.manager
        return apply.update_managed_fields(old, new, manager, context.info.subresource, context.stamp, resource)

    def _patched(self, shown: Object) -> Any:
        """What the patch makes of the object; not an object any more when the patch says so."""
        if self._kind == JSON_PATCH:
            return patch.json_patch(shown, self._patch)
        if self._kind == MERGE_PATCH:
            return patch.merge_patch(shown, self._patch)
        return strategic.strategic_merge(shown, self._patch, self._context.resource.type)

    def _apply(self, old: Object | None) -> Object:
        context, resource = self._context, self._context.resource
        _check_applied(context, self._patch, old)
        new = apply.apply(
            old,
            self._patch,
            self.options.field_manager,
            bool(self.options.force),
            context.info.subresource,
            context.stamp,
            resource,
        )
        obj, warnings = decode.decode_value(resource, new, self.options.field_validation)
        context.warnings.extend(warnings)
        return conversion.to_storage(defaults.default(resource, obj), resource)


def _check_applied(context: Context, given: Any, old: Object | None) -> None:
    metadata = given.get("metadata") if isinstance(given, dict) else None
    wanted = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
    if wanted and old is not None and wanted != old["metadata"]["resourceVersion"]:
        raise errors.conflict(context.resource.group, context.resource.plural, context.info.name)


def _check_identity(context: Context, new: Object) -> None:
    metadata = new.get("metadata") or {}
    name = metadata.get("name", "")
    if name != context.info.name:
        text = f"the name of the object ({name}) does not match the name on the URL ({context.info.name})"
        raise errors.bad_request(text)
    if metadata.get("namespace", "") != context.namespace:
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )


def _unsupported(kind: str, accepted: list[str]) -> errors.ApiError:
    """What is no patch type at all is refused before the kind is asked which it takes."""
    if kind in (JSON_PATCH, MERGE_PATCH, STRATEGIC, APPLY):
        return errors.unsupported_media_type(accepted)
    return errors.ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
