"""Reviews: whose token is this, who am I, may somebody do that. Answered, never stored.

Source: k8s.io/kubernetes/pkg/registry/{authentication,authorization}.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from seatrial.sim.apiserver import bodies
from seatrial.sim.apiserver.authentication import AUTHENTICATED
from seatrial.sim.apiserver.authorization import Attributes
from seatrial.sim.apiserver.context import Context, Steps
from seatrial.sim.apiserver.handlers import check_namespace, reply
from seatrial.sim.apiserver.options import write_options
from seatrial.sim.apiserver.request import Object, Response, User
from seatrial.sim.apiserver.tokens import ISSUER
from seatrial.sim.machinery import apply, errors
from seatrial.sim.machinery.fields import FieldError

AUTHORIZATION = "authorization.k8s.io"


def _read(context: Context) -> dict[str, Any]:
    """The review as sent, with its manager noted."""
    options = write_options(context.query, "create")
    context.dry_run = options.dry_run
    review = bodies.read(context, context.resource, options.field_validation)
    manager = options.field_manager or context.manager
    return dict(apply.update_managed_fields(None, review, manager, "", context.stamp, context.resource))


def token(context: Context) -> Steps[Response]:
    review = _read(context)
    spec = review["spec"]
    if not spec.get("token"):
        raise errors.bad_request("token is required for TokenReview in authentication")
    verdict = context.server.tokens.verdict(spec["token"], spec.get("audiences") or (ISSUER,))
    if verdict is None:
        status: dict[str, Any] = {"user": {}, "error": "[invalid bearer token, token lookup failed]"}
    else:
        user = verdict.user
        groups = [*user.groups, AUTHENTICATED]
        status = {
            "authenticated": True,
            "user": User(user.name, tuple(groups), user.uid, user.extra).info(),
            "audiences": list(verdict.audiences),
        }
    return reply(context, {**review, "status": status}, 201)
    yield


def self_subject(context: Context) -> Steps[Response]:
    review = _read(context)
    metadata = {**review.get("metadata", {}), "creationTimestamp": context.stamp}
    return reply(context, {**review, "metadata": metadata, "status": {"userInfo": context.user.info()}}, 201)
    yield


def subject_access(context: Context) -> Steps[Response]:
    review = _read(context)
    spec = review["spec"]
    _check_spec(context, spec, of_somebody=True)
    return _access(context, review, _user(spec))
    yield


def local_subject_access(context: Context) -> Steps[Response]:
    review = _read(context)
    check_namespace(context, review)
    spec = review["spec"]
    _check_spec(context, spec, of_somebody=True)
    asked = (spec.get("resourceAttributes") or {}).get("namespace", "")
    if asked != context.info.namespace:
        text = f'Invalid value: "{asked}": must match metadata.namespace'
        raise _invalid(context, FieldError("FieldValueInvalid", "spec.resourceAttributes.namespace", text))
    return _access(context, review, _user(spec))
    yield


def self_subject_access(context: Context) -> Steps[Response]:
    review = _read(context)
    _check_spec(context, review["spec"], of_somebody=False)
    return _access(context, review, context.user)
    yield


def _user(spec: Mapping[str, Any]) -> User:
    extra = {key: tuple(values) for key, values in (spec.get("extra") or {}).items()}
    return User(spec.get("user", ""), tuple(spec.get("groups") or ()), spec.get("uid", ""), extra)


def _invalid(context: Context, *problems: FieldError) -> errors.ApiError:
    return errors.invalid(AUTHORIZATION, context.resource.kind, "", problems)


def _check_spec(context: Context, spec: Mapping[str, Any], of_somebody: bool) -> None:
    """Raises ApiError 422 (ValidateSubjectAccessReviewSpec)."""
    problems = []
    resource, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and other is not None:
        text = "Invalid value: cannot be specified in combination with resourceAttributes"
        problems.append(FieldError("FieldValueInvalid", "spec.nonResourceAttributes", text))
    if resource is None and other is None:
        text = "Invalid value: exactly one of nonResourceAttributes or resourceAttributes must be specified"
        problems.append(FieldError("FieldValueInvalid", "spec.resourceAttributes", text))
    if of_somebody and not spec.get("user") and not spec.get("groups"):
        text = 'Invalid value: "": at least one of user or group must be specified'
        problems.append(FieldError("FieldValueInvalid", "spec.user", text))
    if problems:
        raise _invalid(context, *problems)


def _access(context: Context, review: Object, user: User) -> Response:
    spec = review["spec"]
    resource, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None:
        asked = Attributes(
            resource.get("verb", ""),
            resource.get("group", ""),
            resource.get("version", "*"),
            resource.get("resource", ""),
            resource.get("subresource", ""),
            resource.get("namespace", ""),
            resource.get("name", ""),
            field_selector=_selector(resource.get("fieldSelector") or {}),
        )
    else:
        asked = Attributes(other.get("verb", ""), path=other.get("path", ""))
    allowed, reason = context.server.authorizer.explain(user, asked)
    status: dict[str, Any] = {"allowed": allowed}
    if reason:
        status["reason"] = reason
    return reply(context, {**review, "status": status}, 201)


def _selector(given: Mapping[str, Any]) -> str:
    """A review's field selector as a list would be given it."""
    terms = given.get("requirements") or ()
    exact = (f"{term['key']}={term['values'][0]}" for term in terms if term["operator"] == "In" and term.get("values"))
    return str(given.get("rawSelector") or ",".join(exact))


def self_subject_rules(context: Context) -> Steps[Response]:
    review = _read(context)
    namespace = review["spec"].get("namespace", "")
    if not namespace:
        raise errors.bad_request("no namespace on request")
    resource_rules, other_rules = [], []
    for where, rule in context.server.authorizer.rules(context.user):
        if where not in (None, namespace):
            continue
        if rule.get("resources"):
            resource_rules.append(_kept(rule, ("verbs", "apiGroups", "resources", "resourceNames")))
        if rule.get("nonResourceURLs"):
            other_rules.append(_kept(rule, ("verbs", "nonResourceURLs")))
    status = {"resourceRules": resource_rules, "nonResourceRules": other_rules, "incomplete": False}
    metadata = {key: value for key, value in review.get("metadata", {}).items() if key != "managedFields"}
    return reply(context, {**review, "metadata": metadata, "spec": {}, "status": status}, 201)
    yield


def _kept(rule: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: rule[name] for name in names if rule.get(name)}
