"""Who asks: client certificates, bearer tokens, impersonation, anonymous.

Source: k8s.io/apiserver/pkg/authentication and k8s.io/kubernetes/pkg/serviceaccount.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from seatrial.sim.apiserver.authorization import SERVICE_ACCOUNT_PREFIX, Attributes, Authorizer, refusal
from seatrial.sim.apiserver.request import Credentials, Request, User
from seatrial.sim.machinery import errors

AUTHENTICATED = "system:authenticated"
ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))
TokenReview = Callable[[str], User | None]
"""From a bearer token to its owner; None when it is not known or no longer valid."""


def authenticate(credentials: Credentials | None, review: TokenReview) -> User:
    """The owner of the credentials; without any, the anonymous user.

    Raises ApiError 401 for a token that nobody knows, as upstream does even where anonymous requests are welcome.
    """
    if credentials is None:
        return ANONYMOUS
    if credentials.certificate_common_name:
        groups = (*credentials.certificate_organizations, AUTHENTICATED)
        return User(credentials.certificate_common_name, groups, credentials.certificate_uid)
    if credentials.bearer_token:
        user = review(credentials.bearer_token)
        if user is None:
            raise errors.unauthorized()
        return replace(user, groups=(*user.groups, AUTHENTICATED))
    return ANONYMOUS


def service_account(
    namespace: str, name: str, uid: str = "", extra: Mapping[str, tuple[str, ...]] | None = None
) -> User:
    """The user that a ServiceAccount's token stands for, before AUTHENTICATED is added."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    return User(f"{SERVICE_ACCOUNT_PREFIX}{namespace}:{name}", groups, uid, extra or {})


def impersonated(request: Request, user: User, authorizer: Authorizer) -> User:
    """The user that the request wants to act as, once every part of it is allowed.

    Source: k8s.io/apiserver/pkg/endpoints/filters/impersonation. Raises ApiError 403.
    """
    wanted = _header(request, "impersonate-user")
    groups = tuple(_headers(request, "impersonate-group"))
    uid = _header(request, "impersonate-uid")
    extra_prefix = "impersonate-extra-"
    extra = {
        key.removeprefix(extra_prefix): tuple(value.split("\x00"))
        for key, value in request.headers.items()
        if key.startswith(extra_prefix)
    }
    if not (wanted or groups or uid or extra):
        return user
    if not wanted:
        raise errors.internal("invalid impersonation: requested user is empty")
    account = (
        wanted.removeprefix(SERVICE_ACCOUNT_PREFIX).split(":") if wanted.startswith(SERVICE_ACCOUNT_PREFIX) else []
    )
    if len(account) == 2:
        asked = [Attributes("impersonate", resource="serviceaccounts", namespace=account[0], name=account[1])]
    else:
        asked = [Attributes("impersonate", resource="users", name=wanted)]
    asked += [Attributes("impersonate", resource="groups", name=group) for group in groups]
    authentication = "authentication.k8s.io"
    if uid:
        asked.append(Attributes("impersonate", authentication, "v1", "uids", name=uid))
    for key, values in extra.items():
        asked += [Attributes("impersonate", authentication, "v1", "userextras", key, name=value) for value in values]
    for attributes in asked:
        if not authorizer.allowed(user, attributes):
            raise refusal(user, attributes, authorizer.objection(user, attributes))
    if len(account) == 2 and not groups:
        groups = service_account(account[0], account[1]).groups
    if wanted == ANONYMOUS.name:
        groups = (*groups, *ANONYMOUS.groups)
    elif AUTHENTICATED not in groups:
        groups = (*groups, AUTHENTICATED)
    return User(wanted, groups, uid, extra)


def _header(request: Request, name: str) -> str:
    return request.headers.get(name, "")


def _headers(request: Request, name: str) -> list[str]:
    """A header that may stand several times; the edge joins the values with NUL."""
    value = request.headers.get(name, "")
    return value.split("\x00") if value else []
