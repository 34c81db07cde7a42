"""agnhost webhook and crd-conversion-webhook: the reviewers of Kubernetes' own tests."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from seatrial.sim.workloads.agnhost.site import (
    JSON,
    Handler,
    Site,
    Steps,
    Values,
    certificate_of,
    flags,
    later,
    never,
    said,
    serving,
)
from seatrial.sim.workloads.net import HttpRequest, HttpResponse
from seatrial.sim.workloads.process import Proc

Object = Mapping[str, Any]
Verdict = dict[str, Any]
Review = Callable[[Object], Verdict]
"""From an AdmissionRequest to an AdmissionResponse without its uid."""
DELAY_US = 5_000_000
KEY = "webhook-e2e-test"
PORT, CONVERSION_PORT = 443, 9443


def webhook(proc: Proc, words: list[str]) -> Steps:
    options = flags(words)
    routes: dict[str, Handler] = {path: partial(_reviewed, review) for path, review in REVIEWS.items()}
    routes["/always-allow-delay-5s"] = lambda request, values: later(
        _reviewed(lambda _: _allowed("this webhook allows all requests"), request, values), DELAY_US
    )
    routes["/pods"] = _pods
    sidecar = options.get("sidecar-image", "")
    routes["/mutating-pods-sidecar"] = partial(_reviewed, partial(_with_sidecar, sidecar))
    routes["/readyz"] = lambda request, values: said("ok")
    port = int(options.get("port", PORT))
    return serving(proc, {("TCP", port): Site(proc, routes, certificate_of(proc, options))})


def conversion_webhook(proc: Proc, words: list[str]) -> Steps:
    options = flags(words)
    routes: dict[str, Handler] = {"/crdconvert": _convert, "/readyz": lambda request, values: said("ok")}
    port = int(options.get("port", CONVERSION_PORT))
    return serving(proc, {("TCP", port): Site(proc, routes, certificate_of(proc, options))})


def _reviewed(review: Review, request: HttpRequest, values: Values) -> HttpResponse:
    try:
        asked = json.loads(request.body)
        wanted = asked["request"]
        answer = {"uid": wanted["uid"], **review(wanted)}
    except (ValueError, KeyError, TypeError) as problem:
        return said(f"could not read the review: {problem}\n", 400)
    return said(
        json.dumps({"kind": asked["kind"], "apiVersion": asked["apiVersion"], "response": answer}), headers=JSON
    )


def _answered(asked: Object, answer: Object) -> HttpResponse:
    review = {"kind": asked["kind"], "apiVersion": asked["apiVersion"], "response": answer}
    return said(json.dumps(review), headers=JSON)


def _allowed(message: str = "") -> Verdict:
    return {"allowed": True, **({"status": {"metadata": {}, "message": message}} if message else {})}


def _denied(message: str = "", reason: str = "") -> Verdict:
    status: dict[str, Any] = {"metadata": {}}
    if message:
        status["message"] = message
    if reason:
        status["reason"] = reason
    return {"allowed": False, "status": status}


def _patched(*operations: Object) -> Verdict:
    if not operations:
        return _allowed()
    patch = base64.b64encode(json.dumps(operations).encode()).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": patch}


def _add_label(request: Object) -> Verdict:
    labels = request["object"]["metadata"].get("labels") or {}
    if not labels:
        return _patched({"op": "add", "path": "/metadata/labels", "value": {"added-label": "yes"}})
    if "added-label" not in labels:
        return _patched({"op": "add", "path": "/metadata/labels/added-label", "value": "yes"})
    if labels["added-label"] != "yes":
        return _patched({"op": "replace", "path": "/metadata/labels/added-label", "value": "yes"})
    return _allowed()


def _pods(request: HttpRequest, values: Values) -> HttpResponse:
    answer = _reviewed(_pod, request, values)
    waits = b"the pod response should not be sent" in answer.body
    return never(answer) if waits else answer


def _pod(request: Object) -> Verdict:
    if request["resource"] != {"group": "", "version": "v1", "resource": "pods"}:
        return _denied("expect resource to be { v1 pods}")
    pod = request["object"]
    label = (pod["metadata"].get("labels") or {}).get(KEY, "")
    problems = {
        "webhook-disallow": ["the pod contains unwanted label;"],
        "wait-forever": ["the pod response should not be sent;"],
    }.get(label, [])
    for container in pod["spec"]["containers"]:
        if "webhook-disallow" in container["name"]:
            problems = [*problems, "the pod contains unwanted container name;"]
    return _denied(" ".join(problems)) if problems else _allowed()


def _attached(request: Object) -> Verdict:
    if request.get("name") == "to-be-attached-pod":
        return _denied("attaching to pod 'to-be-attached-pod' is not allowed")
    return _allowed()


def _with_init_container(request: Object) -> Verdict:
    pod = request["object"]
    name = "webhook-added-init-container"
    present = any(each["name"] == name for each in pod["spec"].get("initContainers") or ())
    if pod["metadata"].get("name") != "webhook-to-be-mutated" or present:
        return _allowed()
    added = {"image": "webhook-added-image", "name": name, "resources": {}}
    return _patched({"op": "add", "path": "/spec/initContainers", "value": [added]})


def _with_sidecar(image: str, request: Object) -> Verdict:
    if not image:
        return {**_denied("No image specified by the sidecar-image parameter")}
    name = "webhook-added-sidecar"
    if any(each["name"] == name for each in request["object"]["spec"]["containers"]):
        return _allowed()
    return _patched(
        {"op": "add", "path": "/spec/containers/-", "value": {"image": image, "name": name, "resources": {}}}
    )


def _unwanted(unwanted: str, undeletable: str, request: Object) -> Verdict:
    """What a config map or a custom resource may not say."""
    deleted = request["operation"] == "DELETE"
    value = ((request["oldObject"] if deleted else request["object"]).get("data") or {}).get(KEY)
    if value == "webhook-disallow" and not deleted:
        return _denied(reason=unwanted)
    if value == "webhook-nondeletable" and deleted:
        return _denied(reason=undeletable)
    return _allowed()


def _mutate_data(request: Object) -> Verdict:
    data = request["object"].get("data") or {}
    stage = 2 if data.get("mutation-stage-1") == "yes" else 1 if data.get("mutation-start") == "yes" else 0
    return _patched(*([{"op": "add", "path": f"/data/mutation-stage-{stage}", "value": "yes"}] if stage else []))


def _definition(request: Object) -> Verdict:
    label = (request["object"]["metadata"].get("labels") or {}).get(KEY)
    return _denied("the crd contains unwanted label") if label == "webhook-disallow" else _allowed()


REVIEWS: Mapping[str, Review] = {
    "/always-deny": lambda request: _denied("this webhook denies all requests"),
    "/add-label": _add_label,
    "/pods/attach": _attached,
    "/mutating-pods": _with_init_container,
    "/configmaps": partial(
        _unwanted,
        "the configmap contains unwanted key and value",
        "the configmap cannot be deleted because it contains unwanted key and value",
    ),
    "/mutating-configmaps": _mutate_data,
    "/custom-resource": partial(
        _unwanted,
        "the custom resource contains unwanted data",
        "the custom resource cannot be deleted because it contains unwanted key and value",
    ),
    "/mutating-custom-resource": _mutate_data,
    "/crd": _definition,
}


def _convert(request: HttpRequest, values: Values) -> HttpResponse:
    """Between v1, which says ``hostPort``, and v2, which says ``host`` and ``port``."""
    try:
        asked = json.loads(request.body)
        wanted = asked["request"]
        made = [_converted(obj, wanted["desiredAPIVersion"]) for obj in wanted["objects"]]
        answer = {"uid": wanted["uid"], "convertedObjects": made, "result": {"metadata": {}, "status": "Success"}}
    except (ValueError, KeyError, TypeError) as problem:
        return said(f"could not read the review: {problem}\n", 400)
    return said(
        json.dumps({"kind": asked["kind"], "apiVersion": asked["apiVersion"], "response": answer}), headers=JSON
    )


def _converted(obj: Object, version: str) -> Object:
    new = {**obj, "apiVersion": version}
    if version.endswith("/v2") and "hostPort" in obj:
        host, _, port = new.pop("hostPort").partition(":")
        new.update(host=host, port=port)
    elif version.endswith("/v1") and ("host" in obj or "port" in obj):
        new["hostPort"] = f"{new.pop('host', '')}:{new.pop('port', '')}"
    return new
