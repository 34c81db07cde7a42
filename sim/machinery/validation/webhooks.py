"""Webhook configurations, and what admission policies have in common with them.

Source: k8s.io/kubernetes/pkg/apis/admissionregistration/validation and k8s.io/apiserver/pkg/util/webhook.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from seatrial.sim.machinery.cel import admission
from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation.expressions import WEBHOOK, Scope, expression
from seatrial.sim.machinery.validation.label_selectors import label_selector
from seatrial.sim.machinery.validation.names import (
    is_fully_qualified_name,
    is_qualified_name,
    label_1035,
    subdomain,
)
from seatrial.sim.machinery.validation.problems import (
    NONE,
    Errors,
    Object,
    at,
    duplicate,
    each,
    invalid,
    not_supported,
    required,
    too_many,
)

REVIEW_VERSIONS = ("v1", "v1beta1")
SCOPES = ("*", "Cluster", "Namespaced")
OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
FAILURE_POLICIES = ("Fail", "Ignore")
MATCH_POLICIES = ("Equivalent", "Exact")
SIDE_EFFECTS = ("None", "NoneOnDryRun")
REINVOCATIONS = ("IfNeeded", "Never")
CONDITIONS_MAX = 64


def _resources(values: Sequence[str]) -> Errors:
    errors: list[FieldError] = []
    wild_subresources: list[str] = []
    wild_resources: list[str] = []
    if not values:
        errors.append(required(""))
    for index, value in enumerate(values):
        path, (resource, slash, sub) = f"[{index}]", value.partition("/")
        if not value:
            errors.append(required(path))
            continue
        if not slash:
            continue
        if resource in wild_subresources:
            errors.append(invalid(path, value, f"if '{resource}/*' is present, must not specify {value}"))
        if sub in wild_resources:
            errors.append(invalid(path, value, f"if '*/{sub}' is present, must not specify {value}"))
        if sub == "*":
            wild_subresources.append(resource)
        if resource == "*":
            wild_resources.append(sub)
    if len(values) > 1 and "*/*" in values:
        errors.append(invalid("", list(values), "if '*/*' is present, must not specify other resources"))
    if "*" in values and any("/" not in value and value != "*" for value in values):
        told = "if '*' is present, must not specify other resources without subresources"
        errors.append(invalid("", list(values), told))
    return errors


def _alone(name: str, values: Sequence[str], what: str) -> Errors:
    """A list that must not be empty, and in which ``*`` stands alone."""
    if not values:
        return (required(name),)
    if len(values) > 1 and "*" in values:
        return (invalid(name, list(values), f"if '*' is present, must not specify other {what}"),)
    return NONE


def rule(value: Object) -> Errors:
    """A RuleWithOperations."""
    operations, versions = value.get("operations") or (), value.get("apiVersions") or ()
    errors = [*_alone("operations", operations, "operations")]
    for index, operation in enumerate(operations):
        if operation not in OPERATIONS:
            errors.append(not_supported(f"operations[{index}]", operation, OPERATIONS))
    errors += _alone("apiGroups", value.get("apiGroups") or (), "API groups")
    errors += _alone("apiVersions", versions, "API versions")
    errors += [required(f"apiVersions[{index}]") for index, version in enumerate(versions) if not version]
    errors += at("resources", _resources(value.get("resources") or ()))
    scope = value.get("scope")
    if scope is not None and scope not in SCOPES:
        errors.append(not_supported("scope", scope, SCOPES))
    return errors


def review_versions(values: Sequence[str]) -> Errors:
    accepted = ", ".join(REVIEW_VERSIONS)
    return conversion_versions(values) if values else (required("", f"must specify one of {accepted}"),)


def conversion_versions(values: Sequence[str]) -> Errors:
    """The versions of the review that a webhook understands; for webhooks that convert objects, too."""
    if not values:
        return (required(""),)
    errors: list[FieldError] = []
    for index, value in enumerate(values):
        if value in values[:index]:
            errors.append(invalid(f"[{index}]", value, "duplicate version"))
            continue
        errors += [invalid(f"[{index}]", value, text) for text in label_1035(value)]
    if not any(value in REVIEW_VERSIONS for value in values):
        errors.append(invalid("", list(values), f"must include at least one of {', '.join(REVIEW_VERSIONS)}"))
    return errors


def client(config: Object) -> Errors:
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        return (required("", "exactly one of url or service is required"),)
    if url is not None:
        return at("url", _url(url))
    return at("service", webhook_service(service or {}))


URL_FORM = "desired format: https://host[/path]"


def _url(value: str) -> Errors:
    parts = urlsplit(value)
    errors: list[FieldError] = []
    if parts.scheme != "https":
        told = f"'https' is the only allowed URL scheme; {URL_FORM}"
        errors.append(invalid("", parts.scheme, told))
    if not parts.netloc:
        errors.append(invalid("", parts.netloc, f"host must be specified; {URL_FORM}"))
    if parts.username is not None:
        shown = parts.netloc.rpartition("@")[0]
        errors.append(invalid("", shown, "user information is not permitted in the URL"))
    if parts.fragment:
        errors.append(invalid("", parts.fragment, "fragments are not permitted in the URL"))
    if parts.query:
        errors.append(invalid("", parts.query, "query parameters are not permitted in the URL"))
    return errors


def webhook_service(value: Object) -> Errors:
    """A reference to a service that answers. Upstream mixes up name and namespace when one is missing."""
    errors: list[FieldError] = []
    if not value.get("name"):
        errors.append(required("namespace"))
    if not value.get("namespace"):
        errors.append(required("name"))
    port, path = value.get("port", 443), value.get("path")
    if not 1 <= port <= 65535:
        told = "port is not valid: must be between 1 and 65535, inclusive"
        errors.append(invalid("port", port, told))
    if path is not None:
        errors += at("path", _url_path(path))
    return errors


def _url_path(value: str) -> Errors:
    if value == "/" or not value:
        return NONE
    if value == "//":
        return (invalid("", value, "segment[0] may not be empty"),)
    if not value.startswith("/"):
        return (invalid("", value, "must start with a '/'"),)
    inner = value[1:].removesuffix("/")
    errors: list[FieldError] = []
    for index, step in enumerate(inner.split("/")):
        if not step:
            errors.append(invalid("", value, f"segment[{index}] may not be empty"))
        else:
            errors += [invalid("", value, f"segment[{index}]: {text}") for text in subdomain(step)]
    return errors


def conditions(values: Sequence[Object], scope: Scope) -> Errors:
    errors: list[FieldError] = []
    if len(values) > CONDITIONS_MAX:
        errors.append(too_many("", len(values), CONDITIONS_MAX))
    names: list[str] = []
    for index, value in enumerate(values):
        name, path = value.get("name") or "", f"[{index}]"
        errors += at(f"{path}.expression", expression(value.get("expression") or "", admission.MATCH, scope))
        if not name:
            errors.append(required(f"{path}.name"))
        else:
            errors += at(f"{path}.name", is_qualified_name(name))
            if name in names:
                errors.append(duplicate(f"{path}.name", name))
            names.append(name)
    return errors


def enum(name: str, value: Object, supported: Sequence[str]) -> Errors:
    given = value.get(name)
    return NONE if given is None or given in supported else (not_supported(name, given, supported),)


def _webhook(value: Object) -> Errors:
    errors = [*at("name", is_fully_qualified_name(value.get("name") or ""))]
    errors += each("rules", value.get("rules"), rule)
    errors += enum("failurePolicy", value, FAILURE_POLICIES)
    errors += enum("matchPolicy", value, MATCH_POLICIES)
    if value.get("sideEffects") is None:
        errors.append(required("sideEffects", f"must specify one of {', '.join(SIDE_EFFECTS)}"))
    errors += enum("sideEffects", value, SIDE_EFFECTS)
    errors += enum("reinvocationPolicy", value, REINVOCATIONS)
    timeout = value.get("timeoutSeconds")
    if timeout is not None and not 1 <= timeout <= 30:
        told = "the timeout value must be between 1 and 30 seconds"
        errors.append(invalid("timeoutSeconds", timeout, told))
    for name in ("namespaceSelector", "objectSelector"):
        if (selector := value.get(name)) is not None:
            errors += at(name, label_selector(selector))
    errors += at("clientConfig", client(value.get("clientConfig") or {}))
    errors += at("matchConditions", conditions(value.get("matchConditions") or (), WEBHOOK))
    errors += at("admissionReviewVersions", review_versions(value.get("admissionReviewVersions") or ()))
    return errors


def webhooks(value: Object) -> Errors:
    """A webhook configuration, mutating or validating."""
    listed = value.get("webhooks") or ()
    errors = [*each("webhooks", listed, _webhook)]
    names: list[str] = []
    for index, hook in enumerate(listed):
        name = hook.get("name")
        if name and name in names:
            errors.append(duplicate(f"webhooks[{index}].name", name))
        names.append(name or "")
    return errors
