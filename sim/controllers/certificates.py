"""CertificateSigningRequests: kubelets' are approved, approved ones are signed, old ones go, as do pods' requests.

Source: k8s.io/kubernetes/pkg/controller/certificates (approver/sarapprove.go, signer/signer.go, cleaner/cleaner.go,
cleaner/pcrcleaner.go).
The signature itself comes from ``shared["signer"]``, a function of (request in PEM, signer name, µs of validity) that
asks the edge, which has the cluster's authority. *Not modelled*: where nobody signs (it gives no bytes), requests stay
approved and unsigned.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from typing import Any

from seatrial.sim.apiserver.request import Object
from seatrial.sim.config import S
from seatrial.sim.controllers.actions import Create, Outcome, Steps, Turn, Update, delete_of, ignoring, update_status
from seatrial.sim.controllers.controller import Controller, Seen, Tick
from seatrial.sim.kernel.clock import parse_stamp

REQUESTS = "certificatesigningrequests.certificates.k8s.io"
POD_REQUESTS = "podcertificaterequests.certificates.k8s.io"
REVIEWS = "subjectaccessreviews.authorization.k8s.io"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
SIGNED = (
    "kubernetes.io/kube-apiserver-client",
    KUBELET_CLIENT,
    "kubernetes.io/kubelet-serving",
    "kubernetes.io/legacy-unknown",
)
VALID_US = 365 * 24 * 3600 * S
"""--cluster-signing-duration."""
RECOGNIZED = (
    ("selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview."),
    ("nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview."),
)
"""Permissions that let a kubelet have its certificate approved, with what the approval says."""
CLEAN = ("clean", "")
CLEAN_PERIOD_US = 600 * S
KEPT_US = {"Denied": 3600 * S, "Failed": 3600 * S, "Approved": 3600 * S, "": 24 * 3600 * S}
"""How long requests stay, by their last word."""
POD_CLEAN_PERIOD_US = 300 * S
POD_KEPT_US = 15 * 60 * S
"""Every pod's request is answered by then, and its kubelet has read the answer."""

Signer = Callable[[bytes, str, int], bytes]


def conditions_of(request: Object) -> list[Any]:
    return list((request.get("status") or {}).get("conditions") or ())


def has(request: Object, *types: str) -> bool:
    return any(each["type"] in types for each in conditions_of(request))


def reconcile_approval(turn: Turn) -> Steps:
    request = turn.view(REQUESTS).get("", turn.key[1])
    if request is None or request["spec"]["signerName"] != KUBELET_CLIENT or has(request, "Approved", "Denied"):
        return None
    spec = request["spec"]
    for permission, message in RECOGNIZED:
        attributes = {
            "group": "certificates.k8s.io",
            "resource": "certificatesigningrequests",
            "subresource": permission,
            "verb": "create",
            "version": "*",
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "metadata": {},
            "spec": {
                "user": spec.get("username", ""),
                "groups": spec.get("groups") or [],
                "uid": spec.get("uid", ""),
                "resourceAttributes": attributes,
            },
        }
        answer = yield Create(REVIEWS, review)
        if not answer["status"].get("allowed"):
            continue
        stamp = turn.stamp
        approved = {"type": "Approved", "status": "True", "reason": "AutoApproved", "message": message}
        approved |= {"lastUpdateTime": stamp, "lastTransitionTime": stamp}
        status = {**(request.get("status") or {}), "conditions": [*conditions_of(request), approved]}
        yield Update(REQUESTS, {**request, "status": status}, "approval")
        return None
    return None


def reconcile_signing(turn: Turn) -> Steps:
    request = turn.view(REQUESTS).get("", turn.key[1])
    signer: Signer | None = turn.shared.get("signer")
    if request is None or signer is None or request["spec"]["signerName"] not in SIGNED:
        return None
    status = request.get("status") or {}
    if not has(request, "Approved") or has(request, "Denied", "Failed") or status.get("certificate"):
        return None
    wanted = request["spec"].get("expirationSeconds")
    duration = VALID_US if wanted is None else min(wanted * S, VALID_US)
    pem = signer(b64decode(request["spec"]["request"]), request["spec"]["signerName"], duration)
    if pem:
        yield update_status(REQUESTS, request, {**status, "certificate": b64encode(pem).decode()})
    return None


def reconcile_cleaning(turn: Turn) -> Steps:
    for request in turn.view(REQUESTS).list():
        last = next((word for word in ("Denied", "Failed", "Approved") if has(request, word)), "")
        since = request["metadata"]["creationTimestamp"]
        for each in conditions_of(request):
            if each["type"] == last:
                since = each.get("lastUpdateTime") or since
        if turn.now - parse_stamp(since) > KEPT_US[last]:
            yield from ignoring(delete_of(REQUESTS, request), 404)
    return Outcome()


def reconcile_cleaning_of_pods(turn: Turn) -> Steps:
    requests = turn.view(POD_REQUESTS).list()
    turn.memory["calm"] = not requests
    for request in requests:
        if turn.now - parse_stamp(request["metadata"]["creationTimestamp"]) >= POD_KEPT_US:
            yield from ignoring(delete_of(POD_REQUESTS, request), 404)
    return Outcome()


def request_keys(seen: Seen) -> Iterable[tuple[str, str]]:
    return () if seen.new is None else (("", seen.new["metadata"]["name"]),)


APPROVING = Controller(
    name="certificatesigningrequest-approving-controller",
    account="certificate-controller",
    reconcile=reconcile_approval,
    watches=((REQUESTS, request_keys),),
)
SIGNING = Controller(
    name="certificatesigningrequest-signing-controller",
    account="certificate-controller",
    reconcile=reconcile_signing,
    watches=((REQUESTS, request_keys),),
)
CLEANING = Controller(
    name="certificatesigningrequest-cleaner-controller",
    account="certificate-controller",
    reconcile=reconcile_cleaning,
    watches=(),
    reads=(REQUESTS,),
    workers=1,
    ticks=(Tick(CLEAN_PERIOD_US, CLEAN),),
)
POD_CLEANING = Controller(
    name="podcertificaterequest-cleaner-controller",
    account="podcertificaterequestcleaner",
    reconcile=reconcile_cleaning_of_pods,
    watches=(),
    reads=(POD_REQUESTS,),
    workers=1,
    ticks=(Tick(POD_CLEAN_PERIOD_US, CLEAN, stirred_by=(POD_REQUESTS,)),),
)
