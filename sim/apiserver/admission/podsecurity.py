"""PodSecurity: a namespace's labels say which of the Pod Security Standards its pods are held to.

Source: k8s.io/pod-security-admission/{admission,api}. *enforce* refuses pods; *warn* tells whoever creates a pod or
something with a pod template; *audit* leaves an audit annotation, which only an audit log would show.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.sim.apiserver.admission.podstandards import violations
from seatrial.sim.apiserver.context import Attributes, Context
from seatrial.sim.machinery import errors
from seatrial.sim.machinery.fields import FieldError, quoted

PREFIX = "pod-security.kubernetes.io/"
LEVELS = ("privileged", "baseline", "restricted")
PRIVILEGED = ("privileged", "latest")
TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "podtemplates": ("template",),
    "replicationcontrollers": ("spec", "template"),
    "deployments.apps": ("spec", "template"),
    "replicasets.apps": ("spec", "template"),
    "statefulsets.apps": ("spec", "template"),
    "daemonsets.apps": ("spec", "template"),
    "jobs.batch": ("spec", "template"),
    "cronjobs.batch": ("spec", "jobTemplate", "spec", "template"),
}
"""Where the kinds that make pods keep their template."""
UNCHECKED_UPDATES = ("activeDeadlineSeconds", "tolerations")
"""What a pod's update may change without being looked at again."""


def _policy(labels: Mapping[str, str], mode: str) -> tuple[str, str]:
    level = labels.get(PREFIX + mode, "privileged")
    return (level if level in LEVELS else "restricted"), labels.get(f"{PREFIX}{mode}-version", "latest")


def _labels(context: Context, namespace: str) -> Mapping[str, str]:
    found = context.server.store.get("namespaces", "", namespace)
    return (found["metadata"].get("labels") or {}) if found is not None else {}


def check_pod(context: Context, attributes: Attributes) -> None:
    """Raises ApiError 403 for a pod that the namespace's level forbids; warns where it is only to be warned of."""
    obj, old = attributes.object, attributes.old
    assert obj is not None
    if attributes.subresource not in ("", "ephemeralcontainers"):
        return
    labels = _labels(context, attributes.namespace)
    if not any(key.startswith(PREFIX) for key in labels):
        return
    if old is not None and not _significant(obj, old):
        return
    enforce = _policy(labels, "enforce")
    found = violations(enforce[0], obj["metadata"], obj["spec"])
    if found:
        why = f"violates PodSecurity {_named(enforce)}: {_listed(found)}"
        raise errors.forbidden("", "pods", attributes.name, why)
    _warn(context, labels, obj["metadata"], obj["spec"])


def check_template(context: Context, attributes: Attributes) -> None:
    """Warns of a pod template whose pods would break the level that is warned of."""
    template: Any = attributes.object
    for name in TEMPLATES[attributes.resource.storage]:
        template = (template or {}).get(name)
    if template and not attributes.subresource:
        labels = _labels(context, attributes.namespace)
        _warn(context, labels, template.get("metadata") or {}, template.get("spec") or {})


def _warn(context: Context, labels: Mapping[str, str], metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
    policy = _policy(labels, "warn")
    found = violations(policy[0], metadata, spec)
    if found:
        context.warnings.append(f"would violate PodSecurity {_named(policy)}: {_listed(found)}")


def _significant(obj: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    new_spec, old_spec = obj["spec"], old["spec"]
    if new_spec is not old_spec:
        for key in {**new_spec, **old_spec}:
            if key not in UNCHECKED_UPDATES and new_spec.get(key) != old_spec.get(key):
                return True
    ours, theirs = (one["metadata"].get("annotations") or {} for one in (obj, old))
    return bool(ours != theirs)


def _named(policy: tuple[str, str]) -> str:
    return f'"{policy[0]}:{policy[1]}"'


def _listed(found: list[tuple[str, str]]) -> str:
    return ", ".join(f"{reason} ({detail})" for reason, detail in found)


def check_namespace(context: Context, attributes: Attributes) -> None:
    """Labels must be levels; a stricter *enforce* warns of the pods that are already there. Raises ApiError 422."""
    new, old = attributes.object, attributes.old
    assert new is not None
    if attributes.subresource:
        return
    labels = new["metadata"].get("labels") or {}
    for mode in ("enforce", "audit", "warn"):
        level = labels.get(PREFIX + mode)
        if level is not None and level not in LEVELS:
            text = f"Invalid value: {quoted(level)}: must be one of privileged, baseline, restricted"
            problem = FieldError("FieldValueInvalid", f"metadata.labels[{PREFIX}{mode}]", text)
            raise errors.invalid("", "Namespace", attributes.name, [problem])
    if old is None:
        return
    policy = _policy(labels, "enforce")
    before = _policy(old["metadata"].get("labels") or {}, "enforce")
    if policy in (before, PRIVILEGED) or LEVELS.index(policy[0]) < LEVELS.index(before[0]):
        return
    _warn_of_pods(context, attributes.name, policy)


def _warn_of_pods(context: Context, namespace: str, policy: tuple[str, str]) -> None:
    pods_by_reasons: dict[str, list[str]] = {}
    for pod in context.server.store.list("pods", namespace):
        found = violations(policy[0], pod["metadata"], pod["spec"])
        if found:
            pods_by_reasons.setdefault(", ".join(reason for reason, _ in found), []).append(pod["metadata"]["name"])
    if not pods_by_reasons:
        return
    context.warnings.append(
        f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level {_named(policy)}'
    )
    lines = []
    for reasons, names in pods_by_reasons.items():
        others = len(names) - 1
        more = f" (and {others} other pod{'s' if others > 1 else ''})" if others else ""
        lines.append(f"{names[0]}{more}: {reasons}")
    context.warnings.extend(sorted(lines))
