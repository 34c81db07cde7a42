"""API errors in Kubernetes' own words: one constructor per reason.

Source: k8s.io/apimachinery/pkg/api/errors and k8s.io/apiserver/pkg/endpoints/handlers/negotiation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seatrial.sim.machinery.fields import FieldError, quoted


class ApiError(Exception):
    """An answer other than success.

    ``args`` equals the constructor's arguments, because an exception that leaves a simulated process is rebuilt
    from them.
    """

    def __init__(self, code: int, reason: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(code, reason, message, details)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def __str__(self) -> str:
        return self.message

    def status(self) -> dict[str, Any]:
        """The metav1.Status that goes over the wire."""
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = self.details
        body["code"] = self.code
        return body


class PlainError(Exception):
    """An answer in plain text, as the mux below the API machinery gives it (404 page not found)."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text


def success(code: int, details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The metav1.Status of an operation that worked; ``code`` 0 leaves the field out, as deletions do."""
    body: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    if details is not None:
        body["details"] = details
    if code:
        body["code"] = code
    return body


def group_resource(group: str, resource: str) -> str:
    """``deployments.apps``, and ``pods`` for the core group (schema.GroupResource.String)."""
    return f"{resource}.{group}" if group else resource


def _details(name: str = "", group: str = "", kind: str = "", uid: str = "") -> dict[str, Any]:
    pairs = (("name", name), ("group", group), ("kind", kind), ("uid", uid))
    return {key: value for key, value in pairs if value}


def not_found(group: str, resource: str, name: str) -> ApiError:
    text = f'{group_resource(group, resource)} "{name}" not found'
    return ApiError(404, "NotFound", text, _details(name, group, resource))


def already_exists(group: str, resource: str, name: str) -> ApiError:
    text = f'{group_resource(group, resource)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", text, _details(name, group, resource))


def generate_name_conflict(group: str, resource: str, name: str) -> ApiError:
    text = (
        f'{group_resource(group, resource)} "{name}" already exists, the server was not able to generate '
        "a unique name for the object"
    )
    details = _details(name, group, resource)
    details["retryAfterSeconds"] = 1
    return ApiError(409, "AlreadyExists", text, details)


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def conflict(group: str, resource: str, name: str, why: str = MODIFIED) -> ApiError:
    text = f'Operation cannot be fulfilled on {group_resource(group, resource)} "{name}": {why}'
    return ApiError(409, "Conflict", text, _details(name, group, resource))


def forbidden(
    group: str, resource: str, name: str, why: str, causes: Sequence[Mapping[str, Any]] | None = None
) -> ApiError:
    """What authorization and admission refuse; without a name when the request has none."""
    target = group_resource(group, resource)
    if not target:
        text = f"forbidden: {why}"
    elif name:
        text = f'{target} "{name}" is forbidden: {why}'
    else:
        text = f"{target} is forbidden: {why}"
    details = _details(name, group, resource)
    if causes:
        details["causes"] = list(causes)
    return ApiError(403, "Forbidden", text, details)


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")


def bad_request(text: str) -> ApiError:
    return ApiError(400, "BadRequest", text)


def invalid(group: str, kind: str, name: str, errors: Sequence[FieldError]) -> ApiError:
    """A refused object: every field error is a cause, and the message lists them (NewInvalid)."""
    details = _details(name, group, kind)
    details["causes"] = [{"reason": e.kind, "message": e.message, "field": e.path} for e in errors]
    texts = list(dict.fromkeys(str(e) for e in errors))
    listed = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    text = f"{group_resource(group, kind)} {quoted(name)} is invalid: {listed}"
    return ApiError(422, "Invalid", text, details)


def method_not_allowed() -> ApiError:
    text = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", text, {})


def no_such_resource() -> ApiError:
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


def not_acceptable(available: Sequence[str]) -> ApiError:
    text = f"406: Not Acceptable\n\nAvailable representations: {', '.join(available)}"
    return ApiError(406, "NotAcceptable", text, {})


def unsupported_media_type(accepted: Sequence[str]) -> ApiError:
    text = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)
    return ApiError(415, "UnsupportedMediaType", text)


class PageExpired(ApiError):
    """A page of a list that cannot be continued as it was; ``token`` continues it with what is there now."""

    def __init__(self, text: str, token: str) -> None:
        super().__init__(410, "Expired", text)
        self.args = (text, token)
        self.token = token

    def status(self) -> dict[str, Any]:
        return {**super().status(), "metadata": {"continue": self.token}}


def expired(text: str) -> ApiError:
    return ApiError(410, "Expired", text)


def too_large_resource_version(asked: int, current: int) -> ApiError:
    text = f"Timeout: Too large resource version: {asked}, current: {current}"
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    return ApiError(504, "Timeout", text, {"causes": causes, "retryAfterSeconds": 1})


def too_many_requests(text: str, retry_after_s: int, causes: Sequence[Mapping[str, Any]] = ()) -> ApiError:
    details: dict[str, Any] = {"causes": list(causes)} if causes else {}
    if retry_after_s:
        details["retryAfterSeconds"] = retry_after_s
    return ApiError(429, "TooManyRequests", text, details)


def internal(text: str) -> ApiError:
    causes = [{"message": text}]
    return ApiError(500, "InternalError", f"Internal error occurred: {text}", {"causes": causes})


def unexplained(text: str) -> ApiError:
    """An error that is no Status of its own, such as a refused connection (ErrorToAPIStatus)."""
    return ApiError(500, "", text)


def unavailable(text: str) -> ApiError:
    return ApiError(503, "ServiceUnavailable", text)
