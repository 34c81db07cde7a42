"""``kubectl create role|clusterrole|rolebinding|clusterrolebinding``. Source: k8s.io/kubectl/pkg/cmd/create."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seatrial.scenarios.kubectl.call import Call
from seatrial.scenarios.kubectl.failures import Failure, NoMatch
from seatrial.scenarios.kubectl.generators import selector_of
from seatrial.scenarios.kubectl.naming import meta, name_of

Object = dict[str, Any]
GROUP = "rbac.authorization.k8s.io"
API = f"{GROUP}/v1"


def generated(call: Call, what: str) -> tuple[Object, str]:
    """The object, and what is said before a refusal."""
    match what:
        case "role":
            return _role(call, "Role"), ""
        case "clusterrole":
            return _role(call, "ClusterRole"), ""
        case "rolebinding":
            return _binding(call, "RoleBinding"), "failed to create rolebinding: "
    return _binding(call, "ClusterRoleBinding"), "failed to create clusterrolebinding: "


def _verbs(call: Call) -> list[str]:
    verbs = list(dict.fromkeys(verb for verb in call.flags["verb"]))
    return ["*"] if "*" in verbs else verbs


def _role(call: Call, kind: str) -> Object:
    flags, name = call.flags, name_of(call)
    metadata = meta(call, name) if kind == "Role" else {"name": name}
    found: Object = {"apiVersion": API, "kind": kind, "metadata": metadata}
    if flags.get("aggregation-rule"):
        if flags["resource"] or flags.get("non-resource-url") or flags["resource-name"] or flags["verb"]:
            raise Failure("aggregation rule must be specified without resources, non-resource URLs, or verbs")
        return {**found, "aggregationRule": {"clusterRoleSelectors": [selector_of(flags["aggregation-rule"])]},
                "rules": None}  # fmt: skip
    verbs, urls = _verbs(call), flags.get("non-resource-url") or []
    if not verbs:
        raise Failure("at least one verb must be specified")
    if not flags["resource"] and not urls:
        raise Failure("one of resource or nonResourceURL must be specified" if kind == "ClusterRole"
                      else "at least one resource must be specified")  # fmt: skip
    rules = _resource_rules(call, flags["resource"], verbs, flags["resource-name"])
    if urls:
        rules.append({"nonResourceURLs": list(dict.fromkeys(urls)), "verbs": verbs})
    return {**found, "rules": rules}


def _resource_rules(call: Call, words: Sequence[str], verbs: list[str], names: Sequence[str]) -> list[Object]:
    """A rule per API group, in the order in which they were named."""
    groups: dict[str, list[str]] = {}
    for word in dict.fromkeys(words):
        if word == "*":
            groups.setdefault("*", []).append("*")
            continue
        resource, slash, sub = word.partition("/")
        kind = call.client.find(resource)
        if kind is None:
            raise NoMatch(f'the server doesn\'t have a resource type "{resource.partition(".")[0]}"', plain=True)
        held = groups.setdefault(kind.group, [])
        text = kind.plural + slash + sub
        if text not in held:
            held.append(text)
    rules = []
    for group, resources in sorted(groups.items()):
        rule: Object = {"apiGroups": [group]}
        if names:
            rule["resourceNames"] = list(dict.fromkeys(names))
        rules.append({**rule, "resources": resources, "verbs": verbs})
    return rules


def _binding(call: Call, kind: str) -> Object:
    flags, name = call.flags, name_of(call)
    role, cluster_role = flags.get("role") or "", flags["clusterrole"]
    if kind == "RoleBinding" and bool(role) == bool(cluster_role):
        raise Failure("exactly one of clusterrole or role must be specified")
    metadata = meta(call, name) if kind == "RoleBinding" else {"name": name}
    reference = {"apiGroup": GROUP, "kind": "Role" if role else "ClusterRole", "name": role or cluster_role}
    subjects: list[Object] = [{"apiGroup": GROUP, "kind": "User", "name": each} for each in flags["user"]]
    subjects += [{"apiGroup": GROUP, "kind": "Group", "name": each} for each in flags["group"]]
    for each in flags["serviceaccount"]:
        namespace, colon, account = each.partition(":")
        if not colon or not namespace or not account or ":" in account:
            raise Failure("serviceaccount must be <namespace>:<name>")
        subjects.append({"kind": "ServiceAccount", "name": account, "namespace": namespace})
    found: Object = {"apiVersion": API, "kind": kind, "metadata": metadata, "roleRef": reference}
    if subjects:
        found["subjects"] = subjects
    return found
