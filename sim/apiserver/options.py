"""The query parameters and bodies that steer a request: list, create, update, patch and delete options.

Source: k8s.io/apimachinery/pkg/apis/meta/v1 (ListOptions … DeleteOptions), …/internalversion/validation and
k8s.io/apimachinery/pkg/apis/meta/v1/validation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from seatrial.sim.machinery import errors
from seatrial.sim.machinery.fields import FieldError, quoted

Query = Mapping[str, Sequence[str]]

META = "meta.k8s.io"


def first(query: Query, name: str) -> str:
    """A parameter's first value; empty when it is not given."""
    values = query.get(name)
    return values[0] if values else ""


def flag(query: Query, name: str) -> bool:
    """A boolean parameter as Go's converter reads it: present and neither 0 nor false."""
    values = query.get(name)
    return bool(values) and values[0].lower() not in ("0", "false")  # type: ignore[index]


def number(query: Query, name: str) -> int | None:
    """An integer parameter. Raises ApiError 400 in strconv's words."""
    text = first(query, name)
    if not text:
        return None
    try:
        if not text.isascii() or text.strip() != text or "_" in text:
            raise ValueError
        return int(text)
    except ValueError:
        raise errors.bad_request(f"strconv.ParseInt: parsing {quoted(text)}: invalid syntax") from None


class ListOptions(NamedTuple):
    label_selector: str
    field_selector: str
    limit: int
    continue_: str
    resource_version: str
    match: str
    watch: bool
    bookmarks: bool
    initial_events: bool | None
    timeout_s: int | None


def list_options(query: Query, watch: bool) -> ListOptions:
    """Raises ApiError 400 for what cannot be parsed and 422 for what does not go together."""
    initial = query.get("sendInitialEvents")
    options = ListOptions(
        first(query, "labelSelector"),
        first(query, "fieldSelector"),
        number(query, "limit") or 0,
        first(query, "continue"),
        first(query, "resourceVersion"),
        first(query, "resourceVersionMatch"),
        watch,
        flag(query, "allowWatchBookmarks"),
        flag(query, "sendInitialEvents") if initial else None,
        number(query, "timeoutSeconds"),
    )
    problems = list(_list_problems(options))
    if problems:
        raise errors.invalid(META, "ListOptions", "", problems)
    return options


def _list_problems(options: ListOptions) -> Sequence[FieldError]:
    def forbidden(path: str, why: str) -> FieldError:
        return FieldError("FieldValueForbidden", path, f"Forbidden: {why}")

    found = []
    match, version = options.match, options.resource_version
    if options.watch:
        if options.initial_events is None:
            if match:
                why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
                found.append(forbidden("resourceVersionMatch", why))
                if match != "NotOlderThan":
                    text = f'Unsupported value: {quoted(match)}: supported values: "NotOlderThan"'
                    found.append(FieldError("FieldValueNotSupported", "resourceVersionMatch", text))
        else:
            if match != "NotOlderThan":
                why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
                found.append(forbidden("resourceVersionMatch", why))
        return found
    if options.initial_events is not None:
        found.append(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    if not match:
        return found
    if not version:
        why = "resourceVersionMatch is forbidden unless resourceVersion is provided"
        found.append(forbidden("resourceVersionMatch", why))
    if options.continue_:
        found.append(forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided"))
    if match not in ("Exact", "NotOlderThan"):
        text = f'Unsupported value: {quoted(match)}: supported values: "Exact", "NotOlderThan", ""'
        found.append(FieldError("FieldValueNotSupported", "resourceVersionMatch", text))
    if match == "Exact" and version == "0":
        why = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        found.append(forbidden("resourceVersionMatch", why))
    return found


def revision(text: str) -> int:
    """A resourceVersion as a number; 0 when empty. Raises ValueError whose text is the field error's."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise ValueError(
            f"resourceVersion: Invalid value: {quoted(text)}: strconv.ParseUint: parsing {quoted(text)}: invalid syntax"
        )
    return int(text)


class WriteOptions(NamedTuple):
    """What create, update, patch and apply have in common."""

    dry_run: bool
    field_manager: str
    field_validation: str
    force: bool | None = None


PLAIN = WriteOptions(False, "", "Warn")
"""What a write without parameters asks for."""
WRITE_KINDS = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}
FIELD_MANAGER_BYTES_MAX = 128


def write_options(query: Query, verb: str, apply: bool = False) -> WriteOptions:
    """Raises ApiError 422 for options that are not what they may be."""
    if not query and not apply:
        return PLAIN
    force = flag(query, "force") if query.get("force") else None
    options = WriteOptions(
        bool(query.get("dryRun")), first(query, "fieldManager"), first(query, "fieldValidation") or "Warn", force
    )
    problems = []
    for value in query.get("dryRun") or ():
        if value != "All":
            text = f'Unsupported value: {_go_list(query["dryRun"])}: supported values: "All"'
            problems.append(FieldError("FieldValueNotSupported", "dryRun", text))
            break
    problems += _manager_problems(options.field_manager)
    if options.field_validation not in ("Ignore", "Warn", "Strict"):
        text = f'Unsupported value: {quoted(options.field_validation)}: supported values: "Ignore", "Strict", "Warn"'
        problems.append(FieldError("FieldValueNotSupported", "fieldValidation", text))
    if verb == "patch" and not apply and force is not None:
        problems.append(
            FieldError("FieldValueForbidden", "force", "Forbidden: may not be specified for non-apply patch")
        )
    if apply and not options.field_manager:
        text = "Required value: is required for apply patch"
        problems.append(FieldError("FieldValueRequired", "fieldManager", text))
    if problems:
        raise errors.invalid(META, WRITE_KINDS[verb], "", problems)
    return options


def _go_list(values: Sequence[str]) -> str:
    return "[" + ",".join(quoted(value) for value in values) + "]"


def _manager_problems(manager: str) -> list[FieldError]:
    if len(manager.encode()) > FIELD_MANAGER_BYTES_MAX:
        text = f"Too long: may not be more than {FIELD_MANAGER_BYTES_MAX} bytes"
        return [FieldError("FieldValueTooLong", "fieldManager", text)]
    if not manager.isprintable():
        text = f"Invalid value: {quoted(manager)}: should only contain printable characters"
        return [FieldError("FieldValueInvalid", "fieldManager", text)]
    return []


class DeleteOptions(NamedTuple):
    dry_run: bool = False
    grace_s: int | None = None
    policy: str = ""
    """Orphan, Background, Foreground, or empty for the kind's default."""
    orphan_dependents: bool | None = None
    uid: str | None = None
    resource_version: str | None = None


POLICIES = ("Foreground", "Background", "Orphan")


def delete_options(query: Query, body: Mapping[str, Any] | None) -> DeleteOptions:
    """From the body when there is one, else from the query. Raises ApiError 422."""
    if body:
        given = body.get("preconditions") or {}
        dry_run = body.get("dryRun") or query.get("dryRun") or ()
        options = DeleteOptions(
            bool(dry_run),
            body.get("gracePeriodSeconds"),
            body.get("propagationPolicy") or "",
            body.get("orphanDependents"),
            given.get("uid"),
            given.get("resourceVersion"),
        )
    else:
        dry_run = query.get("dryRun") or ()
        options = DeleteOptions(
            bool(dry_run),
            number(query, "gracePeriodSeconds"),
            first(query, "propagationPolicy"),
            flag(query, "orphanDependents") if query.get("orphanDependents") else None,
        )
    problems = []
    if any(value != "All" for value in dry_run):
        text = f'Unsupported value: {_go_list(list(dry_run))}: supported values: "All"'
        problems.append(FieldError("FieldValueNotSupported", "dryRun", text))
    if options.policy and options.orphan_dependents is not None:
        text = f"Invalid value: {quoted(options.policy)}: orphanDependents and deletionPropagation cannot be both set"
        problems.append(FieldError("FieldValueInvalid", "propagationPolicy", text))
    if options.policy and options.policy not in POLICIES:
        allowed = '"Foreground", "Background", "Orphan", "nil"'
        text = f"Unsupported value: {quoted(options.policy)}: supported values: {allowed}"
        problems.append(FieldError("FieldValueNotSupported", "propagationPolicy", text))
    if problems:
        raise errors.invalid(META, "DeleteOptions", "", problems)
    return options
