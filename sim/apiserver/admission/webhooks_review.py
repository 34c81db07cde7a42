"""The AdmissionReview that a webhook is sent, and what its answer means.

Source: k8s.io/apiserver/pkg/admission/plugin/webhook/request (admissionreview.go), …/webhook/errors (statuserror.go).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from seatrial.sim.apiserver.admission.policies_inputs import admission_request, operation_options, shown
from seatrial.sim.apiserver.admission.webhooks_client import CallFailed
from seatrial.sim.apiserver.context import Attributes, Context
from seatrial.sim.machinery import errors
from seatrial.sim.machinery.kinds import Resource

GROUP = "admission.k8s.io"
VERSIONS = ("v1", "v1beta1")


def version_for(webhook: Mapping[str, Any]) -> str:
    """The first version of the review that both sides know."""
    for version in webhook.get("admissionReviewVersions") or ():
        if version in VERSIONS:
            return str(version)
    return "v1"


def review(context: Context, attributes: Attributes, shown_as: Resource, version: str, uid: str) -> dict[str, Any]:
    """What is posted."""
    request = {
        "uid": uid,
        **admission_request(attributes, shown_as),
        "object": shown(attributes.object, shown_as),
        "oldObject": shown(attributes.old, shown_as),
        "dryRun": attributes.dry_run,
        "options": operation_options(context, attributes.operation),
    }
    return {"kind": "AdmissionReview", "apiVersion": f"{GROUP}/{version}", "request": request}


class Verdict(NamedTuple):
    """A verified answer."""

    allowed: bool
    status: Mapping[str, Any] | None
    warnings: tuple[str, ...]
    operations: list[Any] | None
    """The JSON patch; None without one."""


def verdict(answer: Mapping[str, Any], version: str, uid: str, mutating: bool) -> Verdict:
    """Raises CallFailed for an answer that is not one to this review."""
    response = answer.get("response")
    if response is None:
        raise _invalid("webhook response was absent")
    if version == "v1":
        if response.get("uid", "") != uid:
            raise _invalid(f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
        got = f"{answer.get('apiVersion', '')}, Kind={answer.get('kind', '')}"
        wanted = f"{GROUP}/v1, Kind=AdmissionReview"
        if got != wanted:
            raise _invalid(f"expected webhook response of {wanted}, got {got}")
        _check_patch(response, mutating)
    operations = _operations(response.get("patch")) if mutating and response.get("patch") else None
    kind = response.get("patchType") or ("JSONPatch" if operations is not None else "")
    if operations is not None and response.get("allowed") and kind != "JSONPatch":
        raise CallFailed(f'unsupported patch type "{kind}"')
    return Verdict(
        bool(response.get("allowed")), response.get("status"), tuple(response.get("warnings") or ()), operations
    )


def _invalid(text: str) -> CallFailed:
    return CallFailed(f"received invalid webhook response: {text}")


def _check_patch(response: Mapping[str, Any], mutating: bool) -> None:
    patch, kind = response.get("patch"), response.get("patchType")
    if not mutating:
        if patch:
            raise _invalid("validating webhook may not return response.patch")
        if kind is not None:
            raise _invalid("validating webhook may not return response.patchType")
        return
    if patch and kind is None:
        raise _invalid("webhook returned response.patch but not response.patchType")
    if not patch and kind is not None:
        raise _invalid("webhook returned response.patchType but not response.patch")
    if kind == "":
        raise _invalid('webhook returned invalid response.patchType of ""')


def _operations(patch: Any) -> list[Any]:
    try:
        operations = orjson.loads(base64.b64decode(patch))
    except (binascii.Error, ValueError, TypeError) as error:
        raise CallFailed(f"received undecodable patch in webhook response: {error}") from None
    if not isinstance(operations, list):
        raise CallFailed("received undecodable patch in webhook response: json: cannot unmarshal object into Go value")
    return operations


def refusal(name: str, status: Mapping[str, Any] | None) -> errors.ApiError:
    """What the client is told of a request that a webhook refused."""
    status = status or {}
    code = status.get("code", 0)
    told, reason = status.get("message") or "", status.get("reason") or ""
    denied = f'admission webhook "{name}" denied the request'
    why = told or reason
    message = f"{denied}: {why}" if why else f"{denied} without explanation"
    return errors.ApiError(code if code >= 400 else 400, reason, message, status.get("details"))
