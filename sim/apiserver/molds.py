"""Pods that say the same: what the server made of the first one's spec is used again for the others.

A workload's pods differ in their names. Their specs are defaulted once, by what they say; what the mutating plug-ins
add depends on the namespace and a few other objects, and is remembered until one of those changes. The result is a
*mold*: a spec in which nothing but the name of the volume with the token is drawn anew for every pod. Once a pod of a
mold was found right, dropping, validation and warnings have nothing new to say about the specs of the others.

Only plain pods pass through molds: no annotations (they mean something for a spec), no status, and no ephemeral
volumes (their claims are named after the pod). Everybody else takes the long way, and so does every pod of a server
whose ``entries_max`` is 0; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

from seatrial.sim.kernel.compact import compact
from seatrial.sim.kernel.streams import Streams, suffix
from seatrial.sim.machinery import defaults, dropping
from seatrial.sim.machinery.kinds import Resource
from seatrial.sim.store.store import Store

Object = Mapping[str, Any]
Mutate = Callable[[], Object]

ENTRIES_MAX = 1024
"""Specs that are remembered; past this many the memory starts anew."""
READ = ("limitranges", "priorityclasses.scheduling.k8s.io", "runtimeclasses.node.k8s.io")
"""Kinds that the mutating plug-ins of pods read, besides the pod's account."""
TOKEN_VOLUME = "kube-api-access-"
HOLDERS = ("initContainers", "containers")


class Cast(NamedTuple):
    """One pod's spec, and the mold that it is of."""

    mold: Mold
    spec: Object

    def is_of(self, pod: Object) -> bool:
        """Whether the pod still has that spec, and no annotations: nobody else changed it since."""
        return pod["spec"] is self.spec and not pod["metadata"].get("annotations")

    def found_right(self, pod: Object) -> None:
        """The pod passed validation without a word: so will the others, if its spec is what they will have."""
        if pod["spec"] is self.spec and "conditions" not in pod["status"]:
            self.mold.sound, self.mold.status = True, pod["status"]


class Mold:
    """What the plug-ins made of a spec in one namespace, as long as what they read stays the same."""

    __slots__ = ("_after", "_mounted", "_others", "_token", "account", "read", "sound", "spec", "status")

    def __init__(self, before: Object, spec: Object, account: Object | None, read: tuple[int, ...]) -> None:
        self.spec, self.account, self.read = spec, account, read
        self.sound = False
        """Whether a pod of this mold was found right."""
        self.status: Object = {}
        """The status that such a pod begins with."""
        volumes = spec.get("volumes") or ()
        self._token = len(volumes) > len(before.get("volumes") or ())
        self._others = frozenset(volume["name"] for volume in volumes[:-1]) if self._token else frozenset()
        self._mounted = tuple(
            (key, tuple(_mounts_last(new, old) for new, old in zip(spec[key], before[key], strict=True)))
            for key in HOLDERS
            if self._token and spec.get(key)
        )

    def begun(self, resource: Resource, pod: Object) -> Object:
        """A pod of this sound mold as its strategy wants a new one."""
        pod = dropping.drop(resource, pod, {"spec": pod["spec"]})
        return {**pod, "metadata": {**pod["metadata"], "generation": 1}, "status": self.status}

    def cast(self, streams: Streams) -> Object:
        """A spec of this mold for one pod."""
        if not self._token:
            return self.spec
        name = ""
        while not name or name in self._others:
            name = TOKEN_VOLUME + suffix(streams("apiserver/names"), 5)
        spec = dict(self.spec)
        mount: Object | None = None
        for key, mounted in self._mounted:
            containers = list(spec[key])
            for index, has in enumerate(mounted):
                if has:
                    container = containers[index]
                    mounts = container["volumeMounts"]
                    mount = mount or {**mounts[-1], "name": name}
                    containers[index] = {**container, "volumeMounts": [*mounts[:-1], mount]}
            spec[key] = containers
        volumes = spec["volumes"]
        spec["volumes"] = [*volumes[:-1], {**volumes[-1], "name": name}]
        return spec


def _mounts_last(new: Object, old: Object) -> bool:
    return len(new.get("volumeMounts") or ()) > len(old.get("volumeMounts") or ())


class _Said:
    """One spec, with its defaults, and its molds by namespace."""

    __slots__ = ("again", "molds", "spec")

    def __init__(self, spec: Object) -> None:
        self.spec = spec
        self.again = False
        """Whether a second pod said the same: before that, nothing is worth remembering."""
        self.molds: dict[str, Mold] = {}


class Molds:
    """All molds of one server."""

    def __init__(self, store: Store, streams: Streams, entries_max: int = ENTRIES_MAX) -> None:
        self._store, self._streams, self._entries_max = store, streams, entries_max
        self._by_text: dict[bytes, _Said] = {}
        self._by_spec: dict[int, _Said] = {}
        """By the identity of the spec with its defaults."""

    def defaulted(self, resource: Resource, pod: Object) -> Object:
        """As ``defaults.default``; new pods that say the same share one spec."""
        spec = pod.get("spec")
        plain = isinstance(spec, dict) and not pod.get("status") and resource.legacy is None
        if not plain or not self._entries_max:
            return defaults.default(resource, pod)
        try:
            text = compact(orjson.dumps(spec))
        except TypeError:
            return defaults.default(resource, pod)
        said = self._by_text.get(text)
        if said is None:
            new = defaults.default(resource, pod)
            if new.get("status"):
                return new
            if len(self._by_text) >= self._entries_max:
                self._by_text.clear()
                self._by_spec.clear()
            said = self._by_text[text] = self._by_spec[id(new["spec"])] = _Said(new["spec"])
            return new
        said.again = True
        assert resource.type is not None
        known = {**pod, "spec": said.spec}
        if said.spec is spec:
            return known
        return {name: known[name] for name in resource.type.fields if name in known}

    def mutated(self, pod: Object, namespace: str, plugins: Mutate) -> tuple[Object, Cast | None]:
        """The pod as the mutating plug-ins leave it, and its cast if it is of a mold. ``plugins``: runs them."""
        said = self._by_spec.get(id(pod["spec"]))
        if said is None or not said.again or said.spec is not pod["spec"] or pod["metadata"].get("annotations"):
            return plugins(), None
        spec = said.spec
        account = self._store.get("serviceaccounts", namespace, spec.get("serviceAccountName") or "default")
        read = self._read()
        mold = said.molds.get(namespace)
        if mold is not None and mold.read == read and mold.account is account:
            cast = mold.cast(self._streams)
            return {**pod, "spec": cast}, Cast(mold, cast)
        new = plugins()
        if new["metadata"] is not pod["metadata"] or any("ephemeral" in each for each in spec.get("volumes") or ()):
            return new, None
        mold = said.molds[namespace] = Mold(spec, new["spec"], account, read)
        return new, Cast(mold, new["spec"])

    def _read(self) -> tuple[int, ...]:
        """Changes whenever anything changes that a plug-in reads."""
        return tuple([self._store.changes(storage) for storage in READ])
