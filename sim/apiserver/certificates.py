"""Who may answer requests for certificates: the approval of CertificateSigningRequests, through which only the
conditions Approved and Denied change, and the status of PodCertificateRequests, which is its signer's.

Source: k8s.io/kubernetes/pkg/registry/certificates/{certificates,podcertificaterequest} (csrApprovalStrategy,
StatusStrategy) and k8s.io/kubernetes/plugin/pkg/admission/certificates/approval.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from seatrial.sim.apiserver import handlers
from seatrial.sim.apiserver.authorization import Attributes
from seatrial.sim.apiserver.context import Context, Steps
from seatrial.sim.apiserver.request import Response
from seatrial.sim.machinery import errors
from seatrial.sim.machinery.validation.problems import forbidden

GROUP = "certificates.k8s.io"
APPROVAL_TYPES = ("Approved", "Denied")


def _get(context: Context) -> Steps[Response]:
    return handlers.get(context)
    yield


def _update(context: Context) -> Steps[Response]:
    _check_signer(context)
    return (yield from handlers.update(context))


def _patch(context: Context) -> Steps[Response]:
    _check_signer(context)
    return (yield from handlers.patch(context))


APPROVAL: Mapping[str, Callable[[Context], Steps[Response]]] = {"get": _get, "update": _update, "patch": _patch}


def _sign(context: Context, write: Callable[[Context], Steps[Response]]) -> Steps[Response]:
    """Whoever answers a pod's request needs the verb ``sign`` on the signer. Raises ApiError 422."""
    request = context.server.store.get(context.resource.storage, context.namespace, context.info.name)
    signer = "" if request is None else request["spec"]["signerName"]
    if signer and not may(context, "sign", signer):
        told = f'User "{context.user.name}" is not permitted to "sign" for signer "{signer}"'
        wrong = [forbidden("spec.signerName", told)]
        raise errors.invalid(GROUP, context.resource.kind, context.info.name, wrong)
    return (yield from write(context))


SIGNING: Mapping[str, Callable[[Context], Steps[Response]]] = {
    "get": _get,
    "update": partial(_sign, write=handlers.update),
    "patch": partial(_sign, write=handlers.patch),
}


def _check_signer(context: Context) -> None:
    """Whoever approves needs the verb ``approve`` on the signer. Raises ApiError 403."""
    request = context.server.store.get(context.resource.storage, "", context.info.name)
    if request is None:
        return
    signer = request["spec"].get("signerName", "")
    if not may(context, "approve", signer):
        why = f'user not permitted to approve requests with signerName "{signer}"'
        raise errors.forbidden(GROUP, "certificatesigningrequests", context.info.name, why)


def may(context: Context, verb: str, signer: str) -> bool:
    """Whether the user may do this to a signer, by its name or by its domain's wildcard."""
    domain = signer.split("/", 1)[0]
    return any(
        context.server.authorizer.allowed(context.user, Attributes(verb, GROUP, "*", "signers", name=name))
        for name in (signer, f"{domain}/*")
    )
