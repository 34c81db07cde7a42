"""The versions that Kubernetes 1.18 served and later ones do not, as further versions of the kinds of today.

Source: k8s.io/kubernetes/pkg/apis/{extensions,apps,networking,autoscaling,policy}/v*beta*/{defaults,conversion}.go,
k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1beta1/conversion.go and the prerelease-lifecycle tags of
k8s.io/api, which say since when each was deprecated and gone.

Not modelled, and what is seen of it: these versions have no OpenAPI document and no protobuf (``kubectl explain
--api-version`` of them fails, JSON is always answered); ``rollbackTo`` and ``templateGeneration`` are unknown fields;
scale is autoscaling/v1's in every version; a definition without a structural schema keeps unknown fields through its
schema, not through preserveUnknownFields; webhooks that declare no side effects count as having none.
PodSecurityPolicies are stored and, as without their admission plugin, restrict nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from seatrial.sim.machinery import legacy_types, schema
from seatrial.sim.machinery.conversion import BEHAVIOR, metric_to_v1, metric_to_v2
from seatrial.sim.machinery.kinds import Kinds, Legacy, Resource, builtin, same

Object = Mapping[str, Any]
Change = Callable[[Any], Any]

UNLIMITED = 2**31 - 1
"""What extensions/v1beta1 defaults limits to (math.MaxInt32)."""
EMPTY_SELECTOR = "pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match"
EVERYTHING_V1BETA1 = {"matchExpressions": [{"key": EMPTY_SELECTOR, "operator": "DoesNotExist"}]}
NOTHING_V1 = {"matchExpressions": [{"key": EMPTY_SELECTOR, "operator": "Exists"}]}


def with_spec(obj: Object, **fields: Any) -> Object:
    """The object with fields of its spec that it does not have yet, or has as null."""
    spec = obj.get("spec") or {}
    missing = {key: value for key, value in fields.items() if spec.get(key) is None}
    return {**obj, "spec": {**spec, **missing}} if missing else obj


def labelled(obj: Object) -> Object:
    """Selector and labels of a workload are those of its template where it has none."""
    labels = ((obj.get("spec") or {}).get("template") or {}).get("metadata", {}).get("labels")
    if not labels:
        return obj
    metadata = obj.get("metadata") or {}
    if not metadata.get("labels"):
        obj = {**obj, "metadata": {**metadata, "labels": labels}}
    return with_spec(obj, selector={"matchLabels": labels})


def unplaced(then: Change) -> Change:
    """A cluster-wide object without the namespace that its manifest may carry: 1.18 dropped it."""

    def prefilled(obj: Object) -> Object:
        metadata = obj.get("metadata") or {}
        if metadata.get("namespace"):
            obj = {**obj, "metadata": {key: value for key, value in metadata.items() if key != "namespace"}}
        filled: Object = then(obj)
        return filled

    return prefilled


def deployment(surge: Any, unavailable: Any, **limits: Any) -> Change:
    """The defaults of a Deployment: what a rolling update may do, and limits."""

    def prefilled(obj: Object) -> Object:
        strategy = (obj.get("spec") or {}).get("strategy") or {}
        if strategy.get("type", "RollingUpdate") == "RollingUpdate":
            given = strategy.get("rollingUpdate") or {}
            rolling = {"maxUnavailable": unavailable, "maxSurge": surge, **given}
            strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
        spec = {**(obj.get("spec") or {}), "strategy": strategy}
        return with_spec(labelled({**obj, "spec": spec}), **limits)

    return prefilled


def on_delete(obj: Object) -> Object:
    """A workload whose pods are replaced only when somebody deletes them, unless it says otherwise."""
    strategy = (obj.get("spec") or {}).get("updateStrategy") or {}
    if not strategy.get("type"):
        spec = {**(obj.get("spec") or {}), "updateStrategy": {**strategy, "type": "OnDelete"}}
        obj = {**obj, "spec": spec}
    return labelled(obj)


# ingresses


def _backend_to_v1(backend: Object) -> Object:
    name, port = backend.get("serviceName", ""), backend.get("servicePort", 0)
    rest = {"resource": backend["resource"]} if backend.get("resource") is not None else {}
    if not name and port == 0:
        return rest
    return {"service": {"name": name, "port": {"name" if isinstance(port, str) else "number": port}}, **rest}


def _backend_to_v1beta1(backend: Object) -> Object:
    rest = {"resource": backend["resource"]} if backend.get("resource") is not None else {}
    service = backend.get("service")
    if service is None:
        return rest
    port = service.get("port") or {}
    return {"serviceName": service.get("name", ""), "servicePort": port.get("name") or port.get("number", 0), **rest}


def _ingress(old: str, new: str, backend: Change) -> Change:
    """The conversion of an Ingress: its own backend's name, and every backend."""

    def rule(given: Object) -> Object:
        http = given.get("http")
        if http is None:
            return given
        paths = [{**path, "backend": backend(path.get("backend") or {})} for path in http.get("paths") or ()]
        return {**given, "http": {**http, "paths": paths}}

    def convert(obj: Object) -> Object:
        spec = dict(obj.get("spec") or {})
        own = spec.pop(old, None)
        if own is not None:
            spec[new] = backend(own)
        if spec.get("rules"):
            spec["rules"] = [rule(each) for each in spec["rules"]]
        return {**obj, "spec": spec}

    return convert


def any_path(obj: Object) -> Object:
    """A path says how it is matched."""
    spec = obj.get("spec") or {}
    rules = []
    for rule in spec.get("rules") or ():
        http = rule.get("http")
        if http is not None:
            paths = [
                path if path.get("pathType") else {**path, "pathType": "ImplementationSpecific"}
                for path in http.get("paths") or ()
            ]
            rule = {**rule, "http": {**http, "paths": paths}}
        rules.append(rule)
    return {**obj, "spec": {**spec, "rules": rules}} if rules else obj


# autoscalers


def _scaler(metric: Change) -> Change:
    def convert(obj: Object) -> Object:
        spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
        for part, key in ((spec, "metrics"), (status, "currentMetrics")):
            if part.get(key):
                part[key] = [metric(each) for each in part[key]]
        return {**obj, "spec": spec, "status": status}

    return convert


def scaler_to_v2beta1(obj: Object) -> Object:
    """A v2 autoscaler as v2beta1, which keeps the behaviour in an annotation."""
    from_v2: Object = _scaler(metric_to_v1)(obj)
    behavior = from_v2["spec"].pop("behavior", None)
    if behavior is None:
        return from_v2
    metadata = from_v2["metadata"]
    notes = {**(metadata.get("annotations") or {}), BEHAVIOR: orjson.dumps(behavior).decode()}
    return {**from_v2, "metadata": {**metadata, "annotations": notes}}


def scaler_to_v2(obj: Object) -> Object:
    """A v2beta1 autoscaler as v2."""
    metadata = obj.get("metadata") or {}
    notes = dict(metadata.get("annotations") or {})
    held = notes.pop(BEHAVIOR, None)
    converted: Object = _scaler(metric_to_v2)(obj)
    if held is None:
        return converted
    try:
        behavior = orjson.loads(held)
    except orjson.JSONDecodeError:
        return converted
    rest = {key: value for key, value in metadata.items() if key != "annotations"}
    spec = {**converted["spec"], "behavior": behavior}
    return {**converted, "metadata": {**rest, **({"annotations": notes} if notes else {})}, "spec": spec}


# disruption budgets: an empty selector of v1beta1 selects nothing, one of v1 everything


def _selector(pairs: tuple[tuple[Any, Any], ...]) -> Change:
    def convert(obj: Object) -> Object:
        spec = obj.get("spec") or {}
        for given, made in pairs:
            if spec.get("selector") == given:
                return {**obj, "spec": {**spec, "selector": made}}
        return {**obj, "spec": spec}

    return convert


# definitions


def complete_definition(obj: Object) -> Object:
    """A definition with the versions, names and policies that it leaves to the server."""
    spec = obj.get("spec") or {}
    if not spec.get("versions") and spec.get("version"):
        spec = {**spec, "versions": [{"name": spec["version"], "served": True, "storage": True}]}
    elif spec.get("versions") and not spec.get("version"):
        spec = {**spec, "version": spec["versions"][0].get("name", "")}
    if not spec.get("scope"):
        spec = {**spec, "scope": "Namespaced"}
    if spec.get("preserveUnknownFields") is None:
        spec = {**spec, "preserveUnknownFields": True}
    conversion = spec.get("conversion") or {"strategy": "None"}
    if conversion.get("strategy") == "Webhook" and not conversion.get("conversionReviewVersions"):
        conversion = {**conversion, "conversionReviewVersions": ["v1beta1"]}
    return {**obj, "spec": {**spec, "conversion": conversion}}


def _column_to_v1(column: Object) -> Object:
    return {("jsonPath" if key == "JSONPath" else key): value for key, value in column.items()}


def _column_to_v1beta1(column: Object) -> Object:
    return {("JSONPath" if key == "jsonPath" else key): value for key, value in column.items()}


def _version_to_v1(version: Object, spec: Object) -> Object:
    """A version with what v1beta1 may say once for all of them."""
    columns = version.get("additionalPrinterColumns") or spec.get("additionalPrinterColumns")
    given = (version.get("schema") or spec.get("validation") or {}).get("openAPIV3Schema") or {}
    root = {"type": "object", **given}
    if spec.get("preserveUnknownFields"):
        root["x-kubernetes-preserve-unknown-fields"] = True
    made = {**version, "schema": {"openAPIV3Schema": root}}
    subresources = version.get("subresources") or spec.get("subresources")
    if subresources is not None:
        made["subresources"] = subresources
    if columns:
        made["additionalPrinterColumns"] = [_column_to_v1(column) for column in columns]
    return made


def definition_to_v1(obj: Object) -> Object:
    """A v1beta1 definition as v1: whatever stands beside the versions goes into each."""
    spec = obj.get("spec") or {}
    moved = ("version", "validation", "subresources", "additionalPrinterColumns", "preserveUnknownFields")
    out = {key: value for key, value in spec.items() if key not in moved}
    out["versions"] = [_version_to_v1(version, spec) for version in spec.get("versions") or ()]
    conversion = spec.get("conversion") or {}
    webhook = {
        key: conversion[given]
        for key, given in (("clientConfig", "webhookClientConfig"), ("conversionReviewVersions",) * 2)
        if conversion.get(given)
    }
    out["conversion"] = {"strategy": conversion.get("strategy", "None"), **({"webhook": webhook} if webhook else {})}
    return {**obj, "spec": out}


def definition_to_v1beta1(obj: Object) -> Object:
    """A v1 definition as v1beta1; what all versions share stands beside them."""
    spec = dict(obj.get("spec") or {})
    versions = []
    for version in spec.get("versions") or ():
        columns = [_column_to_v1beta1(column) for column in version.get("additionalPrinterColumns") or ()]
        versions.append({**version, **({"additionalPrinterColumns": columns} if columns else {})})
    if versions:
        spec["version"] = versions[0]["name"]
    shared = (("schema", "validation"), ("subresources",) * 2, ("additionalPrinterColumns",) * 2)
    for own, top in shared:
        values = [version.get(own) for version in versions]
        if values and values[0] is not None and all(value == values[0] for value in values):
            spec[top] = values[0]
            versions = [{key: value for key, value in version.items() if key != own} for version in versions]
    spec["versions"] = versions
    conversion = dict(spec.get("conversion") or {"strategy": "None"})
    webhook = conversion.pop("webhook", None) or {}
    if webhook.get("clientConfig"):
        conversion["webhookClientConfig"] = webhook["clientConfig"]
    if webhook.get("conversionReviewVersions"):
        conversion["conversionReviewVersions"] = webhook["conversionReviewVersions"]
    return {**obj, "spec": {**spec, "conversion": conversion}}


# admission webhooks and policies


def lenient_webhooks(obj: Object) -> Object:
    """Webhooks with v1beta1's defaults."""
    lenient = {
        "failurePolicy": "Ignore",
        "matchPolicy": "Exact",
        "timeoutSeconds": 30,
        "sideEffects": "None",
        "admissionReviewVersions": ["v1beta1"],
    }
    hooks = [
        {**lenient, **{key: value for key, value in hook.items() if value is not None}}
        for hook in obj.get("webhooks") or ()
    ]
    return {**obj, "webhooks": [{**hook, "sideEffects": _harmless(hook["sideEffects"])} for hook in hooks]}


def _harmless(effects: str) -> str:
    return "None" if effects == "Unknown" else effects


def escalation_allowed(obj: Object) -> Object:
    """A PodSecurityPolicy that does not forbid privilege escalation."""
    return with_spec(obj, allowPrivilegeEscalation=True)


INGRESS_INTO = _ingress("backend", "defaultBackend", _backend_to_v1)
INGRESS_OUT = _ingress("defaultBackend", "backend", _backend_to_v1beta1)
BUDGET_INTO = _selector((({}, NOTHING_V1), (EVERYTHING_V1BETA1, {})))
BUDGET_OUT = _selector((({}, EVERYTHING_V1BETA1), (NOTHING_V1, {})))


class Version(NamedTuple):
    """One row: a kind in a version of a group; ``now`` is the API version it is stored in."""

    api_version: str
    plural: str
    now: str
    deprecated: str
    gone: str
    prefilled: Change = same
    out: Change = same
    into: Change = same
    type: str = ""
    """The name of its type, where that is not the stored version's."""


def _plain(api_version: str, now: str, deprecated: str, gone: str, *plurals: str) -> tuple[Version, ...]:
    """Kinds that nothing but the version tells from today's."""
    return tuple(Version(api_version, plural, now, deprecated, gone) for plural in plurals)


INGRESS = (any_path, INGRESS_OUT, INGRESS_INTO, f"{legacy_types.NETWORKING}.Ingress")
RBAC, STORAGE, HOOKS = "rbac.authorization.k8s.io", "storage.k8s.io", "admissionregistration.k8s.io"
NETWORKING, SCALING = "networking.k8s.io", "horizontalpodautoscalers"

VERSIONS: tuple[Version, ...] = (
    Version("extensions/v1beta1", "ingresses", f"{NETWORKING}/v1", "1.14", "1.22", *INGRESS),
    Version(f"{NETWORKING}/v1beta1", "ingresses", f"{NETWORKING}/v1", "1.19", "1.22", *INGRESS),
    *_plain(f"{NETWORKING}/v1beta1", f"{NETWORKING}/v1", "1.19", "1.22", "ingressclasses"),
    *_plain("extensions/v1beta1", f"{NETWORKING}/v1", "1.9", "1.16", "networkpolicies"),
    Version(
        "extensions/v1beta1", "deployments", "apps/v1", "1.8", "1.16",
        deployment(1, 1, progressDeadlineSeconds=UNLIMITED, revisionHistoryLimit=UNLIMITED),
    ),
    Version("extensions/v1beta1", "daemonsets", "apps/v1", "1.8", "1.16", on_delete),
    Version("extensions/v1beta1", "replicasets", "apps/v1", "1.8", "1.16", labelled),
    Version("apps/v1beta1", "deployments", "apps/v1", "1.8", "1.16", deployment("25%", "25%", revisionHistoryLimit=2)),
    Version("apps/v1beta1", "statefulsets", "apps/v1", "1.8", "1.16", on_delete),
    *_plain("apps/v1beta1", "apps/v1", "1.8", "1.16", "controllerrevisions"),
    *_plain(
        "apps/v1beta2", "apps/v1", "1.9", "1.16",
        "controllerrevisions", "daemonsets", "deployments", "replicasets", "statefulsets",
    ),
    *_plain("batch/v1beta1", "batch/v1", "1.21", "1.25", "cronjobs"),
    Version(
        "autoscaling/v2beta1", SCALING, "autoscaling/v2", "1.22", "1.25",
        out=scaler_to_v2beta1, into=scaler_to_v2, type=f"{legacy_types.SCALING}.HorizontalPodAutoscaler",
    ),
    *_plain("autoscaling/v2beta2", "autoscaling/v2", "1.23", "1.26", SCALING),
    Version(
        "policy/v1beta1", "poddisruptionbudgets", "policy/v1", "1.21", "1.25", out=BUDGET_OUT, into=BUDGET_INTO
    ),
    *_plain(f"{RBAC}/v1beta1", f"{RBAC}/v1", "1.17", "1.22",
            "clusterrolebindings", "clusterroles", "rolebindings", "roles"),
    Version(
        "apiextensions.k8s.io/v1beta1", "customresourcedefinitions", "apiextensions.k8s.io/v1", "1.16", "1.22",
        complete_definition, definition_to_v1beta1, definition_to_v1, f"{legacy_types.CUSTOM}.CustomResourceDefinition",
    ),
    Version(f"{HOOKS}/v1beta1", "mutatingwebhookconfigurations", f"{HOOKS}/v1", "1.16", "1.22", lenient_webhooks),
    Version(f"{HOOKS}/v1beta1", "validatingwebhookconfigurations", f"{HOOKS}/v1", "1.16", "1.22", lenient_webhooks),
    *_plain(f"{STORAGE}/v1beta1", f"{STORAGE}/v1", "1.19", "1.22", "csidrivers", "storageclasses", "volumeattachments"),
    *_plain(f"{STORAGE}/v1beta1", f"{STORAGE}/v1", "1.17", "1.22", "csinodes"),
    *_plain("apiregistration.k8s.io/v1beta1", "apiregistration.k8s.io/v1", "1.19", "1.22", "apiservices"),
    *_plain("scheduling.k8s.io/v1beta1", "scheduling.k8s.io/v1", "1.14", "1.22", "priorityclasses"),
    *_plain("coordination.k8s.io/v1beta1", "coordination.k8s.io/v1", "1.19", "1.22", "leases"),
)  # fmt: skip
"""What Kubernetes 1.18 served beside today's versions."""

POLICIES = ("policy/v1beta1", "extensions/v1beta1")
"""Where PodSecurityPolicies were served; they are stored in the first."""
PRIORITIES: Mapping[str, int] = {"extensions": 17150}
"""groupPriorityMinimum of groups that are not served today."""
VERSION_PRIORITY = 9


def rows() -> Iterator[Resource]:
    """The rows that profile ``book`` adds to the table of kinds."""
    today = builtin()
    for each in VERSIONS:
        group, _, version = each.api_version.rpartition("/")
        stored_group, _, stored_version = each.now.rpartition("/")
        stored = today.find(stored_group, stored_version, each.plural)
        assert stored is not None and stored.type is not None
        type = schema.type_named(each.type) if each.type else stored.type
        warning = (
            f"{each.api_version} {stored.kind} is deprecated in v{each.deprecated}+, unavailable in v{each.gone}+; "
            f"use {each.now} {stored.kind}"
        )
        yield Resource(
            group,
            version,
            each.plural,
            stored.singular,
            stored.kind,
            stored.namespaced,
            stored.verbs,
            stored.subresources,
            stored.short_names,
            stored.categories,
            stored.storage,
            stored.storage_version,
            stored.hash,
            legacy=Legacy(
                type,
                warning,
                each.prefilled if stored.namespaced else unplaced(each.prefilled),
                each.out,
                each.into,
            ),
        )
    yield from _security_policies()


def _security_policies() -> Iterator[Resource]:
    verbs = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
    kind, plural = "PodSecurityPolicy", "podsecuritypolicies"
    type = schema.type_named(f"{legacy_types.POLICY}.{kind}")
    ends = (
        "deprecated in v1.21+, unavailable in v1.25+",
        f"deprecated in v1.11+, unavailable in v1.16+; use {POLICIES[0]} {kind}",
    )
    for api_version, end in zip(POLICIES, ends, strict=True):
        group, _, version = api_version.rpartition("/")
        yield Resource(
            group,
            version,
            plural,
            "podsecuritypolicy",
            kind,
            False,
            verbs,
            {},
            ("psp",),
            (),
            f"{plural}.policy",
            POLICIES[0],
            legacy=Legacy(type, f"{api_version} {kind} is {end}", unplaced(escalation_allowed)),
        )


def table(profile: str) -> Kinds:
    """A fresh table of kinds for a cluster of an API profile: ``book``, or none."""
    return builtin(rows() if profile == "book" else ())
