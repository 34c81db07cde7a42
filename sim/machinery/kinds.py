"""The table of kinds: one row per served group, version and plural.

Source: the API server's discovery documents. Built-in rows are immutable and shared between clusters; a ``Kinds`` is
one cluster's table, to which CustomResourceDefinitions and APIServices add at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, TypeVar

from seatrial.sim.machinery import schema
from seatrial.sim.machinery.custom.kind import Custom, ScalePaths
from seatrial.sim.machinery.errors import group_resource
from seatrial.sim.machinery.schema import Type

Object = Mapping[str, Any]
T = TypeVar("T")

STORED_AS: Mapping[tuple[str, str], tuple[str, str, str]] = {
    ("events.k8s.io", "events"): ("", "v1", "events"),
    ("autoscaling", "horizontalpodautoscalers"): ("autoscaling", "v2", "horizontalpodautoscalers"),
}
"""Kinds whose storage version is not the one that asks: group and plural to the group, version and plural they are
stored as (k8s.io/kubernetes/pkg/kubeapiserver/default_storage_factory_builder.go)."""

REVIEWED_ONLY = ("create",)
"""The verbs of a kind that is answered and never stored."""


class Subresource(NamedTuple):
    """A subresource as discovery describes it; group and version are empty when they are the parent's."""

    name: str
    kind: str
    verbs: tuple[str, ...]
    group: str = ""
    version: str = ""


def same(obj: Any) -> Any:
    """The object as it is."""
    return obj


@dataclass(frozen=True, slots=True, eq=False)
class Legacy:
    """What a version that is no longer served upstream has of its own."""

    type: Type
    warning: str
    """What every request for the version is warned of."""
    prefilled: Callable[[Any], Any] = same
    """An object of the version with what only this version defaults."""
    out: Callable[[Any], Any] = same
    """From the storage version; ``into`` is the way back."""
    into: Callable[[Any], Any] = same


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """One row: a plural in a version of a group."""

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    namespaced: bool
    verbs: tuple[str, ...]
    subresources: Mapping[str, Subresource] = field(default_factory=dict)
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    storage: str = ""
    """The name of the kind in the store, whatever the version: pods, deployments.apps."""
    storage_version: str = ""
    """The apiVersion in which objects of this kind are stored."""
    hash: str = ""
    """storageVersionHash of discovery."""
    custom: Custom | None = None
    """What a custom kind's definition says; None for a built-in kind."""
    list_kind: str = ""
    legacy: Legacy | None = None
    """Of a version that only clusters with an API profile serve."""
    api_version: str = field(init=False)
    """Group and version as objects name them. Kept, because every request asks for it a dozen times."""

    def __post_init__(self) -> None:
        api_version = f"{self.group}/{self.version}" if self.group else self.version
        object.__setattr__(self, "api_version", api_version)

    @property
    def scale_paths(self) -> ScalePaths | None:
        """Where a custom kind with a scale subresource keeps wanted replicas, present replicas and its selector."""
        return self.custom.scale_paths if self.custom is not None else None

    @property
    def printer_columns(self) -> Sequence[Mapping[str, Any]]:
        """A custom kind's additionalPrinterColumns."""
        return self.custom.printer_columns if self.custom is not None else ()

    @property
    def selectable_fields(self) -> Sequence[str]:
        """The paths of a custom kind's selectableFields, without the leading dot."""
        return self.custom.selectable_fields if self.custom is not None else ()

    @property
    def type(self) -> Type | None:
        """The type of the kind's objects."""
        if self.custom is not None:
            return self.custom.type
        if self.legacy is not None:
            return self.legacy.type
        return schema.type_of_kind(self.group, self.version, self.kind)

    @property
    def virtual(self) -> bool:
        """Whether objects are answered and never stored: reviews and bindings."""
        return self.verbs == REVIEWED_ONLY

    def with_empty_status(self, obj: Object) -> Object:
        """A new object, in whatever version it is, without what the client says of the status."""
        if self.custom is not None:
            return {key: value for key, value in obj.items() if key != "status"} if "status" in obj else obj
        group, _, version = str(obj.get("apiVersion", self.api_version)).rpartition("/")
        type = schema.type_of_kind(group, version, self.kind)
        status = None if type is None else type.fields.get("status")
        if status is None:
            return obj
        return {**obj, "status": status.zero if status.present else {}}


class Document(NamedTuple):
    """A document that is there already."""

    v3: Mapping[str, Any]
    paths: Mapping[str, Any]
    definitions: Mapping[str, Any]


class Documented(Protocol):
    """What a custom group version adds to the server's OpenAPI: a whole v3 document, and parts of the v2 one."""

    @property
    def v3(self) -> Mapping[str, Any]: ...
    @property
    def paths(self) -> Mapping[str, Any]: ...
    @property
    def definitions(self) -> Mapping[str, Any]: ...


class Kinds:
    """One cluster's table of kinds."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._rows: dict[tuple[str, str, str], Resource] = {}
        self._by_kind: dict[tuple[str, str, str], Resource] = {}
        self._versions: dict[tuple[str, str], int] = {}
        self._stored: dict[str, Resource] = {}
        self.aggregated: dict[tuple[str, str], Any] = {}
        """Group versions that an APIService hands to another server, with what that server's discovery said."""
        self.generation = 0
        """Counts every change of the table, so that what is derived from it knows when it is stale."""
        self.documents: dict[str, Documented] = {}
        """The OpenAPI documents of custom groups, by path: apis/shop.example.com/v1."""
        self._remembered: dict[Any, tuple[int, Any]] = {}
        for resource in resources:
            self._add(resource)

    def _add(self, resource: Resource) -> None:
        self._rows[resource.group, resource.version, resource.plural] = resource
        self._by_kind[resource.group, resource.version, resource.kind] = resource
        key = (resource.group, resource.version)
        self._versions[key] = self._versions.get(key, 0) + 1
        if resource.api_version == resource.storage_version or resource.storage not in self._stored:
            self._stored[resource.storage] = resource

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """The row that a URL names."""
        return self._rows.get((group, version, plural))

    def by_kind(self, group: str, version: str, kind: str) -> Resource | None:
        """The row that an object names."""
        return self._by_kind.get((group, version, kind))

    def of(self, obj: Object) -> Resource | None:
        """The row of an object, by its apiVersion and kind."""
        group, _, version = str(obj.get("apiVersion", "")).rpartition("/")
        return self.by_kind(group, version, str(obj.get("kind", "")))

    def serves(self, group: str, version: str) -> bool:
        """Whether there is anything under a group and version."""
        return (group, version) in self._versions or (group, version) in self.aggregated

    def is_custom(self, group: str, version: str) -> bool:
        """Whether a group and version belongs to custom kinds."""
        return any(row.custom is not None for row in self.within(group, version))

    def resource(self, storage: str) -> Resource:
        """A kind in its storage version, e.g. ``deployments.apps``. Raises KeyError."""
        return self._stored[storage]

    def versions(self, group: str) -> list[str]:
        """The served versions of a group, preferred first."""
        found = [version for at, version in (*self._versions, *self.aggregated) if at == group]
        return sorted(dict.fromkeys(found), key=_version_order)

    def groups(self) -> list[str]:
        """Every served group in the order in which the rows came; the core group is the empty string."""
        return list(dict.fromkeys(group for group, _ in (*self._versions, *self.aggregated)))

    def within(self, group: str, version: str) -> list[Resource]:
        """The rows of one group and version, sorted by plural as discovery lists them."""
        found = [row for row in self._rows.values() if row.group == group and row.version == version]
        return sorted(found, key=lambda row: row.plural)

    def __iter__(self) -> Iterator[Resource]:
        return iter(list(self._rows.values()))

    def add_custom(self, resource: Resource) -> None:
        """Serves a custom kind, or replaces its row."""
        if (resource.group, resource.version, resource.plural) in self._rows:
            self.remove_custom(resource)
        self._add(resource)
        self.generation += 1

    def remove_custom(self, resource: Resource) -> None:
        """No longer serves a custom kind; unknown ones are ignored."""
        old = self._rows.pop((resource.group, resource.version, resource.plural), None)
        if old is None:
            return
        self._by_kind.pop((old.group, old.version, old.kind), None)
        key = (old.group, old.version)
        self._versions[key] -= 1
        if not self._versions[key]:
            del self._versions[key]
        if self._stored.get(old.storage) is old:
            del self._stored[old.storage]
        self.generation += 1

    def document(self, path: str, document: Documented | None) -> None:
        """Adds a custom group's OpenAPI document, or takes it away."""
        if document is not None:
            self.documents[path] = document
        else:
            self.documents.pop(path, None)
        self.generation += 1

    def remembered(self, key: Any, make: Callable[[], T]) -> T:
        """What follows from the table alone, made anew only after the table has changed."""
        found = self._remembered.get(key)
        if found is None or found[0] != self.generation:
            found = self._remembered[key] = (self.generation, make())
        value: T = found[1]
        return value

    def aggregate(self, group: str, version: str, discovered: Any) -> None:
        """Another server answers for a group and version."""
        self.aggregated[group, version] = discovered
        self.generation += 1

    def disaggregate(self, group: str, version: str) -> None:
        if self.aggregated.pop((group, version), None) is not None:
            self.generation += 1


def _version_order(version: str) -> tuple[int, int, int, str]:
    """Sorts v2 before v1, v1beta2, v1alpha1 and others (apimachinery/pkg/version.CompareKubeAwareVersionStrings)."""
    number, stage, minor = _parts(version)
    if number is None:
        return (1, 0, 0, version)
    return (0, {"": 0, "beta": 1, "alpha": 2}[stage] * 1_000_000 - number, -minor, version)


def _parts(version: str) -> tuple[int | None, str, int]:
    for stage in ("alpha", "beta"):
        head, found, tail = version.partition(stage)
        if found and tail.isdigit() and head[:1] == "v" and head[1:].isdigit():
            return int(head[1:]), stage, int(tail)
    if version[:1] == "v" and version[1:].isdigit():
        return int(version[1:]), "", 0
    return None, "", 0


@lru_cache(maxsize=1)
def _builtin_rows() -> tuple[Resource, ...]:
    """Every resource of the built-in groups, in the server's order of groups."""
    rows: list[Resource] = []
    for path, listed in schema.data("discovery").items():
        group, version = ("", path.rpartition("/")[2]) if path.startswith("/api/") else tuple(path.split("/")[2:4])
        rows += _rows(group, version, listed)
    return tuple(rows)


def _rows(group: str, version: str, listed: list[Mapping[str, Any]]) -> Iterator[Resource]:
    below: dict[str, dict[str, Subresource]] = {}
    for row in listed:
        plural, _, name = row["name"].partition("/")
        if name:
            sub = Subresource(name, row["kind"], tuple(row["verbs"]), row.get("group", ""), row.get("version", ""))
            below.setdefault(plural, {})[name] = sub
    for row in listed:
        plural = row["name"]
        if "/" in plural:
            continue
        stored_group, stored_version, stored_plural = STORED_AS.get((group, plural), (group, version, plural))
        yield Resource(
            group,
            version,
            plural,
            row["singularName"],
            row["kind"],
            row["namespaced"],
            tuple(row["verbs"]),
            below.get(plural, {}),
            tuple(row.get("shortNames", ())),
            tuple(row.get("categories", ())),
            group_resource(stored_group, stored_plural),
            f"{stored_group}/{stored_version}" if stored_group else stored_version,
            row.get("storageVersionHash", ""),
        )


def builtin(more: Iterable[Resource] = ()) -> Kinds:
    """A fresh table with what every API server serves, and more."""
    return Kinds((*_builtin_rows(), *more))
