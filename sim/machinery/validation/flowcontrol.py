"""FlowSchemas and PriorityLevelConfigurations.

Source: k8s.io/kubernetes/pkg/apis/flowcontrol/validation. *Not modelled*: what the mandatory objects («exempt»,
«catch-all») must be exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from seatrial.sim.machinery.fields import FieldError
from seatrial.sim.machinery.validation.names import label, subdomain
from seatrial.sim.machinery.validation.problems import (
    Errors,
    Object,
    at,
    each,
    forbidden,
    invalid,
    not_supported,
    required,
)

PRECEDENCE_MAX = 10_000
QUEUES_MAX = 10_000_000
ENTROPY_BITS_MAX = 60
DISTINGUISHERS = ("ByNamespace", "ByUser")
TYPES = ("Exempt", "Limited")
RESPONSES = ("Queue", "Reject")
SUBJECTS = ("Group", "ServiceAccount", "User")
VERBS = (
    "create", "delete", "deletecollection", "get", "head", "list", "patch", "post", "proxy", "put", "update", "watch",
)  # fmt: skip
"""Verbs that are not for any verb."""
NAMESPACE = "each member of this list must be '*' or a DNS-1123 label"


def flow_schema(value: Object) -> Errors:
    return at("spec", [*_schema(value.get("spec") or {}, value["metadata"].get("name") or "")])


def _schema(spec: Object, name: str) -> Iterator[FieldError]:
    precedence = spec.get("matchingPrecedence") or 0
    if precedence <= 0:
        yield invalid("matchingPrecedence", precedence, "must be a positive value")
    if precedence > PRECEDENCE_MAX:
        yield invalid("matchingPrecedence", precedence, f"must not be greater than {PRECEDENCE_MAX}")
    if precedence == 1 and name != "exempt":
        told = "only the schema named 'exempt' may have matchingPrecedence 1"
        yield invalid("matchingPrecedence", precedence, told)
    distinguisher = spec.get("distinguisherMethod")
    if distinguisher is not None and distinguisher.get("type") not in DISTINGUISHERS:
        yield not_supported("distinguisherMethod.type", {"Type": distinguisher.get("type") or ""}, DISTINGUISHERS)
    level = (spec.get("priorityLevelConfiguration") or {}).get("name") or ""
    if not level:
        yield required("priorityLevelConfiguration.name", "must reference a priority level")
    else:
        for text in subdomain(level):
            yield invalid("priorityLevelConfiguration.name", level, text)
    yield from each("rules", spec.get("rules"), lambda rule: [*_rule(rule)])


def _rule(rule: Object) -> Iterator[FieldError]:
    if not rule.get("subjects"):
        yield required("subjects", "subjects must contain at least one value")
    yield from each("subjects", rule.get("subjects"), lambda subject: [*_subject(subject)])
    if not rule.get("resourceRules") and not rule.get("nonResourceRules"):
        yield required("", "at least one of resourceRules and nonResourceRules has to be non-empty")
    yield from each("resourceRules", rule.get("resourceRules"), lambda one: [*_resource_rule(one)])
    yield from each("nonResourceRules", rule.get("nonResourceRules"), lambda one: [*_path_rule(one)])


def _subject(subject: Object) -> Iterator[FieldError]:
    kind = subject.get("kind") or ""
    if kind not in SUBJECTS:
        yield not_supported("kind", kind, SUBJECTS)
        return
    own = kind[0].lower() + kind[1:]
    given = {"ServiceAccount": "serviceAccount", "User": "user", "Group": "group"}
    details = subject.get(own)
    if details is None:
        yield required(own, f"{own} is required when subject kind is '{kind}'")
    for other, field in given.items():
        if other != kind and subject.get(field) is not None:
            yield forbidden(field, f"{field} is forbidden when subject kind is not '{other}'")
    if details is None:
        return
    name = details.get("name") or ""
    if not name:
        yield required(f"{own}.name")
    if kind == "ServiceAccount":
        if name and name != "*":
            for text in subdomain(name):
                yield invalid(f"{own}.name", name, text)
        namespace = details.get("namespace") or ""
        if not namespace:
            yield required(f"{own}.namespace", "must specify namespace for service account")
        else:
            for text in label(namespace):
                yield invalid(f"{own}.namespace", namespace, text)


def _listed(rule: Object, field: str, missing: str, what: str) -> Iterator[FieldError]:
    values = rule.get(field) or ()
    if not values:
        yield required(field, missing)
    elif len(values) > 1 and "*" in values:
        yield invalid(field, list(values), f"if '*' is present, must not specify other {what}")


def _verbs(rule: Object) -> Iterator[FieldError]:
    yield from _listed(rule, "verbs", "verbs must contain at least one value", "verbs")
    verbs = rule.get("verbs") or ()
    if "*" not in verbs and any(verb not in VERBS for verb in verbs):
        yield not_supported("verbs", list(verbs), VERBS)


def _resource_rule(rule: Object) -> Iterator[FieldError]:
    yield from _verbs(rule)
    yield from _listed(rule, "apiGroups", "resource rules must supply at least one api group", "api groups")
    yield from _listed(rule, "resources", "resource rules must supply at least one resource", "resources")
    namespaces = rule.get("namespaces") or ()
    if namespaces or not rule.get("clusterScope"):
        missing = "resource rules that are not cluster scoped must supply at least one namespace"
        yield from _listed(rule, "namespaces", missing, "namespaces")
    for index, namespace in enumerate(() if "*" in namespaces else namespaces):
        for text in label(namespace):
            yield invalid(f"namespaces[{index}]", namespace, f"{NAMESPACE}; {text}")


def _path_rule(rule: Object) -> Iterator[FieldError]:
    yield from _verbs(rule)
    missing = "nonResourceURLs must contain at least one value"
    yield from _listed(rule, "nonResourceURLs", missing, "non-resource URLs")
    paths = rule.get("nonResourceURLs") or ()
    for index, path in enumerate(() if "*" in paths else paths):
        if wrong := _wrong_path(path):
            yield invalid(f"nonResourceURLs[{index}]", path, wrong)


def _wrong_path(path: str) -> str:
    if not path:
        return "must not be empty"
    if path[0] != "/":
        return "must start with slash"
    if " " in path:
        return "must not contain white-space"
    if "//" in path:
        return "must not contain double slash"
    stars = path.count("*")
    return "wildcard can only do suffix matching" if stars > 1 or (stars and not path.endswith("/*")) else ""


def priority_level(value: Object) -> Errors:
    return at("spec", [*_level(value.get("spec") or {}, value["metadata"].get("name") or "")])


def _level(spec: Object, name: str) -> Iterator[FieldError]:
    kind, limited, exempt = spec.get("type") or "", spec.get("limited"), spec.get("exempt")
    if (name == "exempt") != (kind == "Exempt"):
        yield invalid("type", kind, "type must be 'Exempt' if and only if name is 'exempt'")
    if kind not in TYPES:
        yield not_supported("type", kind, TYPES)
    elif kind == "Exempt":
        if limited is not None:
            yield forbidden("limited", "must be nil if the type is not Limited")
        if exempt is not None:
            yield from at("exempt", [*_shares(exempt, "nominalConcurrencyShares")])
    else:
        if exempt is not None:
            yield forbidden("exempt", "must be nil if the type is Limited")
        if limited is None:
            yield required("limited", "must not be empty when type is Limited")
        else:
            yield from at("limited", [*_limited(limited)])


def _shares(value: Object, field: str) -> Iterator[FieldError]:
    if (value.get(field) or 0) < 0:
        yield invalid(field, value[field], "must be a non-negative integer")
    percent = value.get("lendablePercent")
    if percent is not None and not 0 <= percent <= 100:
        yield invalid("lendablePercent", percent, "must be between 0 and 100, inclusive")


def _limited(value: Object) -> Iterator[FieldError]:
    yield from _shares(value, "nominalConcurrencyShares")
    borrowing = value.get("borrowingLimitPercent")
    if borrowing is not None and borrowing < 0:
        yield invalid("borrowingLimitPercent", borrowing, "if specified, must be a non-negative integer")
    response = value.get("limitResponse") or {}
    kind, queuing = response.get("type") or "", response.get("queuing")
    if kind == "Reject":
        if queuing is not None:
            yield forbidden("limitResponse.queuing", "must be nil if limited.limitResponse.type is not Limited")
    elif kind == "Queue":
        if queuing is None:
            told = "must not be empty if limited.limitResponse.type is Limited"
            yield required("limitResponse.queuing", told)
        else:
            yield from at("limitResponse.queuing", [*_queuing(queuing)])
    else:
        yield not_supported("limitResponse.type", kind, RESPONSES)


def _queuing(value: Object) -> Iterator[FieldError]:
    queues, hand, length = (value.get(field) or 0 for field in ("queues", "handSize", "queueLengthLimit"))
    for field, number in (("queueLengthLimit", length), ("queues", queues)):
        if number <= 0:
            yield invalid(field, number, "must be positive")
    if queues > QUEUES_MAX:
        yield invalid("queues", queues, f"must not be greater than {QUEUES_MAX}")
    if hand <= 0:
        yield invalid("handSize", hand, "must be positive")
    elif hand > queues:
        yield invalid("handSize", hand, f"should not be greater than queues ({queues})")
    elif math.ceil(sum(math.log2(queues - index) for index in range(hand))) > ENTROPY_BITS_MAX:
        bits = f"required entropy bits of deckSize {queues} and handSize {hand}"
        yield invalid("handSize", hand, f"{bits} should not be greater than {ENTROPY_BITS_MAX}")
