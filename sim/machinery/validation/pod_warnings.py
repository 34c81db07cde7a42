"""What the server warns of in a pod or a pod template.

Source: k8s.io/kubernetes/pkg/api/pod/warnings.go, pkg/api/node/util.go and pkg/api/persistentvolumeclaim/util.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from seatrial.sim.machinery.fields import quoted
from seatrial.sim.machinery.validation.pods import each_container
from seatrial.sim.machinery.validation.problems import Object
from seatrial.sim.machinery.validation.resources import amount

OLD_LABELS: Mapping[str, str] = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
    "app.kubernetes.io/created-by": "deprecated since v1.9",
    "scheduler.alpha.kubernetes.io/preferAvoidPods": "deprecated since v1.22; use Taints and Tolerations instead",
    "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
}
"""Labels of nodes that should no longer be used."""
OLD_ANNOTATIONS: Mapping[str, str] = {
    "scheduler.alpha.kubernetes.io/critical-pod": (
        'non-functional in v1.16+; use the "priorityClassName" field instead'
    ),
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
OLD_VOLUMES: Mapping[str, tuple[str, str]] = {
    "photonPersistentDisk": ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    "gitRepo": ("gitRepo", "deprecated in v1.11"),
    "scaleIO": ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    "flocker": ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
    "storageos": ("storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    "quobyte": ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    "glusterfs": ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    "cephfs": ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    "rbd": ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
}
"""Field of a volume -> (as the warning shows it, what it says)."""
SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
APPARMOR_CONTAINER = "container.apparmor.security.beta.kubernetes.io/"
USE_SECCOMP = 'non-functional in v1.27+; use the "seccompProfile" field instead'
USE_APPARMOR = 'deprecated since v1.30; use the "appArmorProfile" field instead'
NO_SELECTOR = "a null labelSelector results in matching no pod"
REQUIRED_TERMS = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED_TERMS = "preferredDuringSchedulingIgnoredDuringExecution"

Warnings = Iterator[str]


def pod(value: Object) -> list[str]:
    return _of(value.get("spec") or {}, value.get("metadata") or {}, "")


def template(value: Object | None, path: str) -> list[str]:
    """``path``: where the template stands."""
    return _of(value.get("spec") or {}, value.get("metadata") or {}, f"{path}.") if value else []


def _of(spec: Object, metadata: Object, prefix: str) -> list[str]:
    """``prefix``: ends with a dot; empty for a pod itself."""
    found: list[str] = []
    for field, look in BY_FIELD.items():
        if part := spec.get(field):
            found += look(part, f"{prefix}spec.{field}")
    annotations = metadata.get("annotations")
    if annotations:
        found += _old_annotations(annotations, f"{prefix}metadata.annotations")
        found += _profiles(spec, annotations, prefix)
    found += _containers(spec, f"{prefix}spec")
    found += _ports(spec, f"{prefix}spec")
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        told = "must be >= 0; negative values are invalid and will be treated as 1"
        found.append(f"{prefix}spec.terminationGracePeriodSeconds: {told}")
    if part := spec.get("affinity"):
        found += _pod_affinity(part, f"{prefix}spec.affinity")
    return found


def _old_selector(values: Mapping[str, str], path: str) -> Warnings:
    for key in sorted(values):
        if key in OLD_LABELS:
            yield f"{path}[{key}]: {OLD_LABELS[key]}"


def selector_term(term: Object, path: str) -> Warnings:
    """A node selector term, or anything with matchExpressions."""
    for index, expression in enumerate(term.get("matchExpressions") or ()):
        if (key := expression.get("key") or "") in OLD_LABELS:
            yield f"{path}.matchExpressions[{index}].key: {key} is {OLD_LABELS[key]}"


def _node_affinity(affinity: Object, path: str) -> Warnings:
    nodes = affinity.get("nodeAffinity") or {}
    terms = (nodes.get(REQUIRED_TERMS) or {}).get("nodeSelectorTerms") or ()
    for index, term in enumerate(terms):
        yield from selector_term(term, f"{path}.nodeAffinity.{REQUIRED_TERMS}.nodeSelectorTerms[{index}]")
    for index, weighted in enumerate(nodes.get(PREFERRED_TERMS) or ()):
        preference = weighted.get("preference") or {}
        yield from selector_term(preference, f"{path}.nodeAffinity.{PREFERRED_TERMS}[{index}].preference")


def _spreads(values: Sequence[Object], path: str) -> Warnings:
    for index, value in enumerate(values):
        if (key := value.get("topologyKey") or "") in OLD_LABELS:
            yield f"{path}[{index}].topologyKey: {key} is {OLD_LABELS[key]}"
        if value.get("labelSelector") is None:
            yield f"{path}[{index}].labelSelector: {NO_SELECTOR}"


def _pod_affinity(affinity: Object, path: str) -> Warnings:
    for kind in ("podAffinity", "podAntiAffinity"):
        wanted = affinity.get(kind) or {}
        for index, term in enumerate(wanted.get(REQUIRED_TERMS) or ()):
            if term.get("labelSelector") is None:
                yield f"{path}.{kind}.{REQUIRED_TERMS}[{index}].labelSelector: {NO_SELECTOR}"
        for index, weighted in enumerate(wanted.get(PREFERRED_TERMS) or ()):
            if (weighted.get("podAffinityTerm") or {}).get("labelSelector") is None:
                yield f"{path}.{kind}.{PREFERRED_TERMS}[{index}].podAffinityTerm.labelSelector: {NO_SELECTOR}"


def _old_annotations(values: Mapping[str, str], path: str) -> Warnings:
    for key, text in OLD_ANNOTATIONS.items():
        if key in values:
            yield f"{path}[{key}]: {text}"


def _volumes(values: Sequence[Object], path: str) -> Warnings:
    for index, volume in enumerate(values):
        for field, (shown, text) in OLD_VOLUMES.items():
            if field in volume:
                yield f"{path}[{index}].{shown}: {text}"
        claim = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
        if claim:
            yield from claim_spec(claim.get("spec") or {}, f"{path}[{index}].ephemeral.volumeClaimTemplate.spec")
    tokens = {
        source["serviceAccountToken"].get("path", "")
        for volume in values
        if "projected" in volume
        for source in volume["projected"].get("sources") or ()
        if source.get("serviceAccountToken")
    }
    if tokens:
        for index, volume in enumerate(values):
            if "projected" in volume:
                yield from _beside_tokens(volume["projected"], tokens, f"{path}[{index}].projected.sources")


def _beside_tokens(projected: Object, tokens: set[str], path: str) -> Warnings:
    """Files where a token goes too."""
    for source in projected.get("sources") or ():
        for field, shown in (("configMap", "configMap"), ("secret", "secrets"), ("downwardAPI", "downwardAPI")):
            for number, item in enumerate((source.get(field) or {}).get("items") or ()):
                if item.get("path") in tokens:
                    yield _twice(f"{path}.{shown}[{number}]", item["path"])
        bundle = source.get("clusterTrustBundle")
        if bundle and bundle.get("path") in tokens:
            yield _twice(f"{path}.ClusterTrustBundle", bundle["path"])


def _twice(path: str, file: str) -> str:
    return f"{path}: has duplicated path with ServiceAccountToken {quoted(file)}"


def claim_spec(spec: Object, path: str) -> Warnings:
    """A claim's spec; also of templates of claims."""
    resources = spec.get("resources") or {}
    for kind in ("requests", "limits"):
        yield from _fraction(resources.get(kind), "storage", f"{path}.resources.{kind}")


def _fraction(amounts: Mapping[str, Any] | None, name: str, path: str) -> Warnings:
    """Bytes do not come in parts."""
    if amounts and name in amounts:
        quantity = amount(amounts[name])
        if quantity.milli_value() % 1000:
            yield f'{path}[{name}]: fractional byte value "{quantity}" is invalid, must be an integer'


def _aliases(values: Sequence[Object], path: str) -> Warnings:
    seen: set[str] = set()
    for index, value in enumerate(values):
        ip = value.get("ip") or ""
        if ip in seen:
            yield f"{path}[{index}].ip: duplicate ip {quoted(ip)}"
        seen.add(ip)


def _pull_secrets(values: Sequence[Object], path: str) -> Warnings:
    names = [value.get("name") or "" for value in values]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield f"{path}[{index}].name: duplicate name {quoted(name)}"
    for index, name in enumerate(names):
        if not name:
            yield f'{path}[{index}].name: invalid empty name ""'


def _overhead(values: Mapping[str, Any], path: str) -> Warnings:
    yield from _fraction(values, "memory", path)
    yield from _fraction(values, "ephemeral-storage", path)


BY_FIELD: Mapping[str, Callable[[Any, str], Warnings]] = {
    "nodeSelector": _old_selector,
    "affinity": _node_affinity,
    "topologySpreadConstraints": _spreads,
    "volumes": _volumes,
    "hostAliases": _aliases,
    "imagePullSecrets": _pull_secrets,
    "overhead": _overhead,
}


def _profiles(spec: Object, annotations: Mapping[str, str], prefix: str) -> Warnings:
    """Annotations that fields took the place of. A pod's AppArmor annotations are fields by now."""
    path = f"{prefix}metadata.annotations"
    security = spec.get("securityContext") or {}
    if security.get("seccompProfile") is None and SECCOMP_POD in annotations:
        yield f"{path}[{SECCOMP_POD}]: {USE_SECCOMP}"
    for _, container in each_container(spec):
        own, name = container.get("securityContext") or {}, container.get("name") or ""
        key = SECCOMP_CONTAINER + name
        if own.get("seccompProfile") is None and key in annotations:
            yield f"{path}[{key}]: {USE_SECCOMP}"
        key = APPARMOR_CONTAINER + name
        has_field = own.get("appArmorProfile") is not None or security.get("appArmorProfile") is not None
        if prefix and not has_field and key in annotations:
            yield f"{path}[{key}]: {USE_APPARMOR}"


def _containers(spec: Object, path: str) -> Warnings:
    for place, container in each_container(spec):
        if resources := container.get("resources"):
            for name in ("memory", "ephemeral-storage"):
                yield from _fraction(resources.get("limits"), name, f"{path}.{place}.resources.limits")
                yield from _fraction(resources.get("requests"), name, f"{path}.{place}.resources.requests")
        if len(variables := container.get("env") or ()) > 1:
            yield from _hidden(variables, f"{path}.{place}.env")


def _hidden(variables: Sequence[Object], path: str) -> Warnings:
    """A variable that comes again without its earlier value in it."""
    seen: set[str] = set()
    for index, variable in enumerate(variables):
        name, value = variable.get("name") or "", variable.get("value") or ""
        if name in seen:
            before = f"$({name})"
            if variable.get("valueFrom") is not None or value == before or before not in value:
                told = "which may be dropped when using apply"
                yield f"{path}[{index}]: hides previous definition of {quoted(name)}, {told}"
        seen.add(name)


def _ports(spec: Object, path: str) -> Warnings:
    """Ports of all containers that are in each other's way."""
    seen: dict[tuple[Any, Any], list[tuple[str, Object]]] = {}
    for place, container in each_container(spec):
        for index, port in enumerate(container.get("ports") or ()):
            here = f"{path}.{place}.ports[{index}]"
            ip, number = port.get("hostIP") or "", port.get("hostPort") or 0
            if ip and not number:
                yield f"{here}: hostIP set without hostPort: {_shown(port)}"
            others = seen.setdefault((port.get("containerPort"), port.get("protocol")), [])
            for there, other in others:
                if text := _conflict(ip, number, other.get("hostIP") or "", other.get("hostPort") or 0):
                    yield f"{here}: {text} port definition with {there}"
            others.append((here, port))


def _conflict(ip: str, number: int, other_ip: str, other: int) -> str:
    if ip == other_ip and number == other:
        return "duplicate"
    if not number or not other:
        return "overlapping"
    return "dangerously ambiguous" if number == other and bool(ip) != bool(other_ip) else ""


def _shown(port: Object) -> str:
    """A port as Go prints the struct."""
    fields = (("Name", "name", ""), ("HostPort", "hostPort", 0), ("ContainerPort", "containerPort", 0))
    first = " ".join(f"{shown}:{port.get(name) or zero}" for shown, name, zero in fields)
    return f"{{{first} Protocol:{port.get('protocol') or ''} HostIP:{port.get('hostIP') or ''}}}"
