"""The approval of CertificateSigningRequests: only the conditions Approved and Denied change through it.

Source: k8s.io/kubernetes/pkg/registry/certificates/certificates (csrApprovalStrategy) and
k8s.io/kubernetes/plugin/pkg/admission/certificates/approval.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from seatrial.sim.apiserver import handlers
from seatrial.sim.apiserver.authorization import Attributes
from seatrial.sim.apiserver.context import Context, Steps
from seatrial.sim.apiserver.request import Response
from seatrial.sim.machinery import errors

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
