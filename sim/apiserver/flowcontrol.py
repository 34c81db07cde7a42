"""Priority and fairness: which FlowSchema and priority level a request belongs to, as its answer's headers tell.

Source: k8s.io/apiserver/pkg/util/flowcontrol (rule.go) and …/server/filters/priority-and-fairness.go. Not modelled:
queueing. The server answers each request at once, so none ever waits for a seat or is refused for want of one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from seatrial.sim.apiserver.authorization import SERVICE_ACCOUNT_PREFIX
from seatrial.sim.apiserver.request import Object, User
from seatrial.sim.apiserver.routing import RequestInfo
from seatrial.sim.store.store import Store

SCHEMAS: Final = "flowschemas.flowcontrol.apiserver.k8s.io"
LEVELS: Final = "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io"
KNOWN_MAX: Final = 4096
Headers = Mapping[str, str]


class FlowControl:
    """Classifies requests by what the store says of flow schemas; what was found is remembered until that changes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[Any, Headers] = {}
        self._schemas: list[Object] = []
        self._stale = True
        store.observe(self._changed)

    def _changed(self, change: Any) -> None:
        if change.storage in (SCHEMAS, LEVELS):
            self._stale = True

    def headers(self, user: User, info: RequestInfo) -> Headers:
        """The headers that name the request's flow schema and priority level; none where nothing matches."""
        if self._stale:
            self._known.clear()
            self._schemas = sorted(self._store.list(SCHEMAS), key=_order)
            self._stale = False
        what = (
            (info.verb, info.group, info.resource, info.subresource, info.namespace) if info.is_resource else info.path
        )
        key = (user.name, user.groups, info.verb, what)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            found = self._known[key] = self._find(user, info)
        return found

    def _find(self, user: User, info: RequestInfo) -> Headers:
        for schema in self._schemas:
            if any(_matches(rule, user, info) for rule in schema["spec"].get("rules") or ()):
                level = self._store.get(LEVELS, "", schema["spec"]["priorityLevelConfiguration"]["name"])
                return {
                    "X-Kubernetes-Pf-Flowschema-Uid": schema["metadata"]["uid"],
                    "X-Kubernetes-Pf-Prioritylevel-Uid": level["metadata"]["uid"] if level is not None else "",
                }
        return {}


def _order(schema: Object) -> tuple[int, str]:
    return schema["spec"].get("matchingPrecedence", 1000), schema["metadata"]["name"]


def _matches(rule: Object, user: User, info: RequestInfo) -> bool:
    if not any(SUBJECTS[subject["kind"]](subject, user) for subject in rule.get("subjects") or ()):
        return False
    if info.is_resource:
        return any(_resource(each, info) for each in rule.get("resourceRules") or ())
    return any(_path(each, info) for each in rule.get("nonResourceRules") or ())


def _user(subject: Object, user: User) -> bool:
    return subject["user"]["name"] in ("*", user.name)


def _group(subject: Object, user: User) -> bool:
    name = subject["group"]["name"]
    return name == "*" or name in user.groups


def _account(subject: Object, user: User) -> bool:
    namespace, _, name = user.name.removeprefix(SERVICE_ACCOUNT_PREFIX).partition(":")
    wanted = subject["serviceAccount"]
    is_account = user.name.startswith(SERVICE_ACCOUNT_PREFIX)
    return is_account and namespace == wanted["namespace"] and wanted["name"] in ("*", name)


SUBJECTS: Final[Mapping[str, Callable[[Object, User], bool]]] = {
    "User": _user, "Group": _group, "ServiceAccount": _account
}  # fmt: skip


def _holds(listed: Sequence[str], value: str) -> bool:
    return "*" in listed or value in listed


def _resource(rule: Object, info: RequestInfo) -> bool:
    resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    if not (_holds(rule["verbs"], info.verb) and _holds(rule["apiGroups"], info.group)):
        return False
    if not _holds(rule["resources"], resource):
        return False
    if not info.namespace:
        return bool(rule.get("clusterScope"))
    return _holds(rule.get("namespaces") or (), info.namespace)


def _path(rule: Object, info: RequestInfo) -> bool:
    if not _holds(rule["verbs"], info.verb):
        return False
    urls = rule["nonResourceURLs"]
    return _holds(urls, info.path) or any(url.endswith("/*") and info.path.startswith(url[:-1]) for url in urls)
