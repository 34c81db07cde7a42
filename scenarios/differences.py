"""What differs between two moments of a cluster: which objects came, went and changed, and in which fields.

Taken from the log alone, so it costs what happened in between. Left out is what every write changes and nobody reads:
managedFields and resourceVersion.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import unified_diff
from typing import Any, Final, NamedTuple

import yaml

from seatrial.sim.store.log import Change
from seatrial.sim.store.shelf import Place, place_of
from seatrial.sim.store.store import Store

Object = Mapping[str, Any]
NOISE: Final = ("managedFields", "resourceVersion")
"""Fields of metadata that say nothing of the object."""
LOUD: Final = ("events", "leases.coordination.k8s.io")
"""Kinds that change all the time."""
ADDED, REMOVED, CHANGED = "added", "removed", "changed"
CONTEXT_LINES: Final = 3


class Difference(NamedTuple):
    """One object that is not the same at two moments; None where it was not there."""

    storage: str
    before: Object | None
    after: Object | None

    @property
    def verb(self) -> str:
        """added, removed or changed."""
        return ADDED if self.before is None else REMOVED if self.after is None else CHANGED

    @property
    def shown(self) -> Object:
        found = self.after if self.after is not None else self.before
        assert found is not None
        return found

    @property
    def title(self) -> str:
        """``Deployment default/web``."""
        metadata = self.shown["metadata"]
        namespace = metadata.get("namespace")
        return f"{self.shown.get('kind', self.storage)} {f'{namespace}/' if namespace else ''}{metadata['name']}"


class Field(NamedTuple):
    """A field that differs; None where it was not there."""

    path: str
    before: Any
    after: Any


def differences(store: Store, since: int, until: int) -> list[Difference]:
    """What differs between two revisions, whichever is the earlier, in the order of kinds and names."""
    first, last = sorted((since, until))
    found: dict[tuple[str, Place], Difference] = {}
    for change in _changes(store, first, last):
        key = (change.storage, place_of(change.obj))
        after = None if change.verb == "DELETED" else change.obj
        known = found.get(key)
        found[key] = Difference(change.storage, change.old if known is None else known.before, after)
    unequal = [each for each in found.values() if _quiet(each.before) != _quiet(each.after)]
    if since > until:
        unequal = [Difference(each.storage, each.after, each.before) for each in unequal]
    return sorted(unequal, key=lambda each: (each.storage, place_of(each.shown)))


def _changes(store: Store, first: int, last: int) -> Iterator[Change]:
    for revision in range(first + 1, last + 1):
        change = store.change(revision)
        if change is not None:
            yield change


def _quiet(obj: Object | None) -> Object | None:
    """An object without what every write changes."""
    if obj is None:
        return None
    metadata = {key: value for key, value in obj["metadata"].items() if key not in NOISE}
    return {**obj, "metadata": metadata}


def fields(difference: Difference) -> list[Field]:
    """The fields in which an object differs, the innermost ones; entries of lists by name where they have one."""
    return list(_fields("", _quiet(difference.before) or {}, _quiet(difference.after) or {}))


def _fields(path: str, before: Any, after: Any) -> Iterator[Field]:
    if before == after:
        return
    one, other = _parts(before), _parts(after)
    if one is None or other is None:
        yield Field(path, before, after)
        return
    for key in [*one, *(key for key in other if key not in one)]:
        inner = key if key.startswith("[") or not path else f".{key}"
        yield from _fields(f"{path}{inner}", one.get(key), other.get(key))


def _parts(value: Any) -> dict[str, Any] | None:
    """What is inside of a map or of a list of named things; None for anything else."""
    if isinstance(value, Mapping):
        return {_key(name): each for name, each in value.items()} if value else None
    if isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
        for name in ("name", "type", "uid", "ip"):
            if len({each.get(name) for each in value} - {None}) == len(value):
                return {f"[{name}={each[name]}]": each for each in value}
    return None


def _key(name: str) -> str:
    return f"['{name}']" if "." in name or "/" in name else name


def unified(difference: Difference, names: tuple[str, str]) -> list[str]:
    """The difference as ``diff -u`` of the object's YAML; ``names`` are those of the two moments."""
    before, after = _yaml(_quiet(difference.before)), _yaml(_quiet(difference.after))
    heads = [
        f"{difference.title}  {name}" if text else "/dev/null"
        for name, text in zip(names, (before, after), strict=True)
    ]
    return [line.rstrip("\n") for line in unified_diff(before, after, heads[0], heads[1], n=CONTEXT_LINES)]


def _yaml(obj: Object | None) -> list[str]:
    if obj is None:
        return []
    return yaml.dump(obj, Dumper=_Dumper, sort_keys=True, allow_unicode=True).splitlines(keepends=True)


class _Dumper(yaml.CSafeDumper):
    """YAML without anchors: what objects share is written out."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
